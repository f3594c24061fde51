//! Brings a state and its output together after whatever ended the last run. The output is the truth: what stands
//! in it whole is done, also where the state did not learn of it; what the state believes and the output lost is asked
//! again. Only what is torn is cut off; what is damaged is kept aside, and where it stands in front of what the state
//! knows to be whole, nothing is touched and the run refused: intact rows may follow.

use std::borrow::Cow;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::data::DataFile;
use super::error::Reason;
use super::journal::{Journal, Kept, Table, get, put};
use super::{StateError, beside};
use crate::bulk::prior::Bits;
use crate::bulk::sink::{Codec, Ending, RowReader, host};

/// What the state knows of the rows.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) done: Bits,
    /// Those of them that wait for their turn and are not in the output.
    pub(super) held: Bits,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Recovered {
    /// Rows that the output had and the state did not.
    pub(super) adopted: u64,
    /// Rows that the state had and the output did not.
    pub(super) lost: u64,
    /// Bytes that were cut off.
    pub(super) cut: u64,
    /// Where they are kept, if they were more than an unended row.
    pub(super) kept_aside: Option<PathBuf>,
}

/// Reads the output from where the state's knowledge ends, or all of it where that cannot be relied on, and makes
/// both tell the same. May be killed at any moment and done again.
pub(super) fn recover(
    journal: &mut Journal,
    data: &mut DataFile,
    table: Table,
    known: &mut Known,
) -> Result<Recovered, StateError> {
    let path = data.path().to_owned();
    let io = |error: io::Error| StateError::io(&path, &error);
    let committed: u64 = get(&journal.db, table.end()).map_err(|error| journal.error(&error))?.unwrap_or(0);
    let suspect: bool = get(&journal.db, table.suspect()).map_err(|error| journal.error(&error))?.unwrap_or(false);
    restore_salvaged(journal, data, committed)?;
    let there = data.len().map_err(io)?;
    let is_all = suspect || there < committed;
    if is_all {
        journal.transaction(|db| put(db, table.suspect(), &true))?;
    }
    if is_all || there > committed {
        // What is adopted must stay.
        data.sync().map_err(io)?;
    }
    let mut reading = Reading::new(known, is_all, committed);
    reading.read(journal, data, table)?;
    if !is_all && reading.is_damaged && reading.is_unmoved() {
        // What follows the end at once may be a row that an edit in front of it has moved there.
        journal.transaction(|db| put(db, table.suspect(), &true))?;
        reading = Reading::new(reading.known, true, committed);
        reading.read(journal, data, table)?;
    }
    if reading.is_damaged && reading.end < committed {
        return Err(damaged(data, reading.end, there));
    }
    let cut = there.saturating_sub(reading.end);
    let is_kept = reading.is_damaged || reading.is_doubtful;
    let kept_aside = if is_kept { Some(keep_aside(data, reading.end).map_err(io)?) } else { None };
    // Whole rows of a torn member become a member of their own. They are kept in the state until that is written.
    let torn = (reading.found.split_off(reading.whole.0), reading.turned.split_off(reading.whole.1));
    let (salvaged, end) = (std::mem::take(&mut reading.salvaged), reading.end);
    if !salvaged.is_empty() {
        journal.transaction(|db| put(db, SALVAGED, &salvaged).and_then(|()| put(db, SALVAGED_AT, &end)))?;
    }
    reading.adopt(journal, table, reading.end)?;
    data.end_at(reading.end).map_err(io)?;
    data.append(&salvaged).map_err(io)?;
    if cut > 0 {
        data.sync().map_err(io)?;
    }
    let lost = reading.forget_lost(journal, table)?;
    (reading.found, reading.turned) = torn;
    reading.end = data.end();
    reading.adopt(journal, table, reading.end)?;
    let adopted = reading.adopted;
    journal.transaction(|db| {
        put(db, table.suspect(), &false)?;
        db.execute("DELETE FROM run WHERE name IN (?, ?)", [SALVAGED, SALVAGED_AT]).map(|_| ())
    })?;
    Ok(Recovered { adopted, lost, cut, kept_aside })
}

/// Whole rows of a torn member, cut off and not yet written again.
const SALVAGED: &str = "salvaged";
/// Where they are to stand; they do once the committed end is another.
const SALVAGED_AT: &str = "salvaged_at";

/// No input has more rows: an index from here on is nothing that was written here.
const MOST_ROWS: u64 = 1 << 40;

/// Rows are written down when there are so many.
const ADOPT_AT_ONCE: usize = 10_000;

/// Finishes what a kill interrupted: the rows of a torn member, in the place of that.
fn restore_salvaged(journal: &Journal, data: &mut DataFile, committed: u64) -> Result<(), StateError> {
    let path = data.path().to_owned();
    let io = |error: io::Error| StateError::io(&path, &error);
    let at: Option<u64> = get(&journal.db, SALVAGED_AT).map_err(|error| journal.error(&error))?;
    if at != Some(committed) || data.len().map_err(io)? < committed {
        return Ok(());
    }
    let rows: Option<Vec<u8>> = get(&journal.db, SALVAGED).map_err(|error| journal.error(&error))?;
    data.end_at(committed).map_err(io)?;
    data.append(&rows.unwrap_or_default()).map_err(io)
}

struct Reading<'a> {
    known: &'a mut Known,
    /// Every row that was seen, where all are read.
    seen: Option<Bits>,
    /// Rows that the state does not have yet.
    found: Vec<Kept>,
    /// Rows that the state believes to wait for their turn.
    turned: Vec<u64>,
    /// How many of both stand in front of the end.
    whole: (usize, usize),
    adopted: u64,
    /// Where they ended as the state knows it.
    committed: u64,
    /// Where the whole rows end.
    end: u64,
    /// Rows behind the end, of a member that may not be whole.
    salvaged: Vec<u8>,
    /// What follows the end is no torn row: an ended line that is none, or bytes that no crash can have left.
    is_damaged: bool,
    /// A member is torn that was whole once, and it cannot be told whether others follow.
    is_doubtful: bool,
}

impl<'a> Reading<'a> {
    fn new(known: &'a mut Known, is_all: bool, committed: u64) -> Self {
        Reading {
            known,
            seen: is_all.then(Bits::default),
            found: Vec::new(),
            turned: Vec::new(),
            whole: (0, 0),
            adopted: 0,
            committed,
            end: if is_all { 0 } else { committed },
            salvaged: Vec::new(),
            is_damaged: false,
            is_doubtful: false,
        }
    }

    /// Reads to the end, or to what is damaged.
    fn read(&mut self, journal: &mut Journal, data: &DataFile, table: Table) -> Result<(), StateError> {
        let io = |error: io::Error| StateError::io(data.path(), &error);
        let mut reader = RowReader::new(data.reader().map_err(io)?, data.codec(), self.end);
        let mut rows = Vec::new();
        while let Some(batch) = reader.next_batch(&mut rows).map_err(io)? {
            self.take(&rows, data.codec()).map_err(|index| twice(data, index))?;
            if self.is_damaged {
                break;
            }
            if batch.whole {
                self.end = batch.end;
                self.salvaged.clear();
                self.whole = (self.found.len(), self.turned.len());
                if self.found.len() + self.turned.len() >= ADOPT_AT_ONCE {
                    // Until all is read, what the state knows of the end stays: it tells what is lost, and what is damaged.
                    self.adopt(journal, table, self.end.max(self.committed))?;
                }
            } else {
                self.salvaged.extend_from_slice(&rows);
            }
        }
        match reader.ending() {
            Ending::Whole | Ending::Zeros => {}
            Ending::Damaged => self.is_damaged = true,
            // What the state knows of ended, and the file is long enough for it.
            Ending::Unended if self.end < self.committed => {
                let is_there = data.len().map_err(io)? >= self.committed;
                self.is_damaged |= is_there;
                self.is_doubtful = !is_there && data.codec() != Codec::Plain;
            }
            Ending::Unended => {}
        }
        Ok(())
    }

    /// Nothing was taken from the file.
    fn is_unmoved(&self) -> bool {
        self.end == self.committed && self.found.is_empty() && self.turned.is_empty() && self.salvaged.is_empty()
    }

    /// Takes rows in, up to one that is damaged.
    ///
    /// # Errors
    /// The index of a row that stands there twice.
    fn take(&mut self, rows: &[u8], codec: Codec) -> Result<(), u64> {
        let mut whole = 0;
        for line in rows.split_inclusive(|&byte| byte == b'\n') {
            let Some(told) = Told::of(line) else {
                self.is_damaged = true;
                break;
            };
            self.take_row(told)?;
            whole += line.len();
        }
        if self.is_damaged {
            match codec {
                Codec::Plain => {
                    self.end += whole as u64;
                    self.whole = (self.found.len(), self.turned.len());
                }
                Codec::Gzip | Codec::Zstd => self.salvaged.extend_from_slice(&rows[..whole]),
            }
        }
        Ok(())
    }

    fn take_row(&mut self, told: Told<'_>) -> Result<(), u64> {
        let index = told.index;
        let Known { done, held } = &mut *self.known;
        // A row that waited for its turn was known before it came to stand here.
        let waited = held.remove(index);
        if waited {
            self.turned.push(index);
        }
        let is_known = done.has(index);
        let is_twice = match &mut self.seen {
            Some(seen) => !seen.insert(index),
            None => is_known && !waited,
        };
        if is_twice {
            return Err(index);
        }
        if !is_known {
            done.insert(index);
            self.found.push(told.into());
        }
        Ok(())
    }

    fn adopt(&mut self, journal: &mut Journal, table: Table, end: u64) -> Result<(), StateError> {
        journal.adopt(table, &self.found, &self.turned, end)?;
        self.adopted += self.found.len() as u64;
        self.found.clear();
        self.turned.clear();
        self.whole = (0, 0);
        Ok(())
    }

    /// Rows that the state has and the output, read as a whole, has not: they are to be asked again, if they may be
    /// sent twice.
    fn forget_lost(&mut self, journal: &mut Journal, table: Table) -> Result<u64, StateError> {
        let Some(seen) = &self.seen else { return Ok(0) };
        let Known { done, held } = &mut *self.known;
        let lost: Vec<u64> = done.iter().filter(|index| !seen.has(*index) && !held.has(*index)).collect();
        journal.transaction(|db| {
            let mut delete = db.prepare(&format!(r#"DELETE FROM {} WHERE "index" = ?"#, table.name()))?;
            let mut note = db.prepare("INSERT OR IGNORE INTO lost VALUES (?)")?;
            lost.iter().try_for_each(|index| {
                delete.execute([*index])?;
                note.execute([*index]).map(|_| ())
            })
        })?;
        for index in &lost {
            done.remove(*index);
        }
        Ok(lost.len() as u64)
    }
}

/// What a row says of itself; the rest is passed over.
#[derive(Deserialize)]
pub(super) struct Told<'a> {
    pub(super) index: u64,
    #[serde(borrow)]
    url: Cow<'a, str>,
    status: Option<u16>,
    attempts: u32,
    elapsed_ms: f64,
    error: Option<ToldError>,
}

#[derive(Deserialize)]
struct ToldError {
    kind: String,
}

impl<'a> Told<'a> {
    /// None where the line is no row.
    pub(super) fn of(line: &'a [u8]) -> Option<Self> {
        serde_json::from_slice::<Told<'a>>(line).ok().filter(|told| told.index < MOST_ROWS)
    }
}

impl From<Told<'_>> for Kept {
    fn from(told: Told<'_>) -> Kept {
        let host = host(&told.url).unwrap_or_default().to_ascii_lowercase();
        let elapsed = Duration::try_from_secs_f64(told.elapsed_ms / 1e3).unwrap_or_default();
        let Told { index, status, attempts, error, .. } = told;
        Kept { index, status, error: error.map(|error| error.kind), attempts, elapsed, bytes: None, host }
    }
}

/// Copies what is about to be cut off to a file of its own, after what it may hold already.
fn keep_aside(data: &DataFile, from: u64) -> io::Result<PathBuf> {
    let path = beside(data.path(), "broken");
    let mut reader = data.reader()?;
    reader.seek(SeekFrom::Start(from))?;
    let mut aside = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
    io::copy(&mut reader.take(u64::MAX), &mut aside)?;
    aside.sync_all()?;
    Ok(path)
}

/// Damage in front of what is committed: what follows is not thrown away before somebody has looked.
fn damaged(data: &DataFile, at: u64, length: u64) -> StateError {
    let path = data.path().display();
    StateError::new(
        Reason::Damaged,
        format!(
            "{path}: it is damaged at byte {at} of {length}, and rows that are done stand behind; nothing was changed. \
             Put it back as it was; or keep a copy and cut it there (truncate -s {at} {path}), and the same command \
             asks again what stood behind; or start over with --fresh"
        ),
    )
}

fn twice(data: &DataFile, index: u64) -> StateError {
    StateError::new(
        Reason::Damaged,
        format!(
            "{}: row {index} stands in it twice: something else has written to it; put it back as it was, \
             or start over with --fresh",
            data.path().display()
        ),
    )
}
