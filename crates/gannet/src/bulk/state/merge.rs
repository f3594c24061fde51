//! Puts the newer outcomes of a retry in the place of the older ones. The rows of a retry are gathered in a file of
//! their own (`OUT.retry`), so that OUT has one row per input at every moment; when all have come, OUT is written anew
//! with them in it and put in its place by a rename. Doing it twice gives the same, so a kill in the middle is mended
//! by doing it again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::data::{DataFile, sync_dir};
use super::journal::{self, Journal, Table, get, put};
use super::{Durability, StateError, beside};
use crate::bulk::sink::{Codec, Ending, RowReader};

/// Says that all newer rows have come, and a merge was begun.
pub(super) const MERGING: &str = "merging";

/// Merges if every row that is asked again has come. `newer` is the file they were gathered in.
pub(super) fn merge_when_done(journal: &mut Journal, newer: &DataFile) -> Result<(), StateError> {
    let count = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        journal.db.query_row(&sql, [], |row| row.get::<_, i64>(0)).map_err(|error| journal.error(&error))
    };
    if count("again")? > count("newer")? {
        return Ok(());
    }
    // From here on the rows gathered are relied on, also where no commit was to survive a loss of power.
    newer.sync().map_err(|error| StateError::io(newer.path(), &error))?;
    journal.survive(Durability::Group)?;
    journal.transaction(|db| put(db, MERGING, &true))?;
    let out = newer.path().with_extension("");
    merge(journal, &out)
}

/// Whether a merge was begun and not finished.
pub(super) fn is_begun(journal: &Journal) -> Result<bool, StateError> {
    let begun: Option<bool> = get(&journal.db, MERGING).map_err(|error| journal.error(&error))?;
    Ok(begun.unwrap_or(false))
}

/// Merges `OUT.retry` into OUT. The state is synced before the rows gathered go.
pub(super) fn merge(journal: &mut Journal, out: &Path) -> Result<(), StateError> {
    journal.survive(Durability::Group)?;
    let gathered = beside(out, "retry");
    let newer = File::open(&gathered).map_err(|error| StateError::io(&gathered, &error))?;
    let io = |error: io::Error| StateError::io(out, &error);
    // The name may be a link: what it leads to is replaced.
    let real = out.canonicalize().map_err(io)?;
    let fresh = beside(&real, "merge");
    // The name that was given may have been another, which led to this one.
    let codec = journal::codec(&journal.db).map_err(|error| journal.error(&error))?.unwrap_or(Codec::of(out));
    let there = std::fs::metadata(&real).map_err(io)?.len();
    let committed: u64 = get(&journal.db, Table::Outcome.end()).map_err(|error| journal.error(&error))?.unwrap_or(0);
    if there < committed {
        // It has lost rows, which nothing else would tell once the end is another: it is to be read as a whole.
        journal.transaction(|db| put(db, Table::Outcome.suspect(), &true))?;
    }
    let length = rewrite((&real, codec), &newer, &fresh).map_err(|error| {
        // What it takes on the disk may be what others lack.
        let _ = std::fs::remove_file(&fresh);
        io(error)
    })?;
    journal.transaction(|db| {
        db.execute_batch(
            "INSERT OR REPLACE INTO outcome SELECT * FROM newer; DELETE FROM newer; DELETE FROM again;
             DELETE FROM run WHERE name = 'newer_end';",
        )?;
        put(db, Table::Outcome.end(), &length)?;
        put(db, MERGING, &false)
    })?;
    match std::fs::remove_file(&gathered) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StateError::io(&gathered, &error)),
        _ => Ok(()),
    }
}

/// Writes OUT anew, with the gathered rows in the places of their older selves; how long it is.
fn rewrite((out, codec): (&Path, Codec), newer: &File, fresh: &Path) -> io::Result<u64> {
    let mut places = places(newer)?;
    let mut target = DataFile::open_private(fresh, codec)?;
    target.end_at(0)?;
    let old = File::open(out)?;
    std::fs::set_permissions(fresh, old.metadata()?.permissions())?;
    let mut reader = RowReader::new(old, codec, 0);
    let (mut rows, mut merged) = (Vec::new(), Vec::new());
    while reader.next_batch(&mut rows)?.is_some() {
        for line in rows.split_inclusive(|&byte| byte == b'\n') {
            match index(line).and_then(|index| places.remove(&index)) {
                None => merged.extend_from_slice(line),
                Some(place) => append_row(newer, place, &mut merged)?,
            }
            if merged.len() >= CHUNK {
                target.append(&merged)?;
                merged.clear();
            }
        }
    }
    is_intact(&reader)?;
    // Rows that OUT has lost since they were asked again.
    for place in places.into_values() {
        append_row(newer, place, &mut merged)?;
        if merged.len() >= CHUNK {
            target.append(&merged)?;
            merged.clear();
        }
    }
    target.append(&merged)?;
    target.sync()?;
    std::fs::rename(fresh, out)?;
    sync_dir(out)?;
    Ok(target.end())
}

fn append_row(file: &File, (place, length): (u64, usize), rows: &mut Vec<u8>) -> io::Result<()> {
    let start = rows.len();
    rows.resize(start + length, 0);
    file.read_exact_at(&mut rows[start..], place)
}

/// Where each row stands, and how long it is.
fn places(file: &File) -> io::Result<BTreeMap<u64, (u64, usize)>> {
    let mut reader = RowReader::new(file.try_clone()?, Codec::Plain, 0);
    let (mut rows, mut place, mut places) = (Vec::new(), 0, BTreeMap::new());
    while reader.next_batch(&mut rows)?.is_some() {
        for line in rows.split_inclusive(|&byte| byte == b'\n') {
            if let Some(index) = index(line) {
                places.insert(index, (place, line.len()));
            }
            place += line.len() as u64;
        }
    }
    is_intact(&reader)?;
    Ok(places)
}

/// Rows behind what is damaged would be left out, and the file that has them replaced.
fn is_intact(reader: &RowReader) -> io::Result<()> {
    if reader.ending() != Ending::Damaged {
        return Ok(());
    }
    let at = reader.end();
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        format!(
            "it is damaged at byte {at}, so newer rows cannot be put into it; nothing was changed. Put it back as it was; \
             or keep a copy and cut it there (truncate -s {at}), and the run asks again what stood behind"
        ),
    ))
}

/// The index of a row, which every row begins with.
fn index(line: &[u8]) -> Option<u64> {
    let digits = line.strip_prefix(b"{\"index\":")?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

/// Rows are written by so much.
const CHUNK: usize = 1 << 20;
