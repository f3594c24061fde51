//! Rows of a packed output that are not packed yet. Small members pack badly, so rows gather for a quarter of a second;
//! meanwhile they stand as plain lines in a file beside the output (`OUT.tail`), so that no kill loses one. Their member
//! written, the file is emptied. What a kill leaves in it, and the output lacks, the next run adopts into the state, as
//! rows that wait for their turn.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::data::{DataFile, sync_dir};
use super::journal::{Journal, Kept};
use super::recover::{Known, Told};
use super::{StateError, beside};
use crate::bulk::sink::{Batch, Codec, Entry, RowReader};

/// The rows of the next member.
#[derive(Debug)]
pub(super) struct Tail {
    file: DataFile,
    /// Whether each batch survives a loss of power.
    is_synced: bool,
    /// Rows that go into the member.
    pub(super) rows: Vec<u8>,
    /// Rows that wait for their turn, and which the state has not.
    pub(super) held: Vec<(u64, Vec<u8>)>,
    /// What the state is to know of both, when they are packed.
    finished: Batch,
    /// How far the output went when the state was told last.
    pub(super) told_end: u64,
    /// Since when rows gather.
    since: Option<Instant>,
}

impl Tail {
    /// The name of the file beside this output.
    pub(super) fn path_of(out: &Path) -> PathBuf {
        beside(out, "tail")
    }

    /// Opens it, or makes it, for its owner alone.
    pub(super) fn open(out: &Path, is_synced: bool) -> io::Result<Self> {
        let path = Tail::path_of(out);
        let file = DataFile::open_private(&path, Codec::Plain)?;
        sync_dir(&path)?;
        Ok(Tail {
            file,
            is_synced,
            rows: Vec::new(),
            held: Vec::new(),
            finished: Batch::default(),
            told_end: 0,
            since: None,
        })
    }

    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Takes into the state what the last run left in it: rows that neither output nor state have. They are then held
    /// there, and the file is empty. How many there were. May be killed at any moment and done again.
    pub(super) fn adopt(&mut self, journal: &mut Journal, known: &mut Known) -> Result<u64, StateError> {
        let path = self.path().to_owned();
        let io = |error: io::Error| StateError::io(&path, &error);
        let mut reader = RowReader::new(self.file.reader().map_err(io)?, Codec::Plain, 0);
        let (mut rows, mut found) = (Vec::new(), Vec::new());
        while reader.next_batch(&mut rows).map_err(io)?.is_some() {
            for line in rows.split_inclusive(|&byte| byte == b'\n') {
                // What is damaged was never in the output: its row is asked again.
                let Some(told) = Told::of(line).filter(|told| known.done.insert(told.index)) else { continue };
                known.held.insert(told.index);
                found.push((Kept::from(told), line.to_vec()));
            }
        }
        if !found.is_empty() {
            journal.adopt_held(&found)?;
        }
        self.file.end_at(0).map_err(io)?;
        Ok(found.len() as u64)
    }

    /// The batch's rows are safe from now on, whether or not their turn has come.
    pub(super) fn keep(&mut self, rows: &[u8]) -> io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        self.file.append(rows)?;
        if self.is_synced { self.file.sync() } else { Ok(()) }
    }

    /// Takes what is to be known of the batch's finished rows, and leaves the rest of its entries.
    pub(super) fn take_finished(&mut self, batch: &mut Batch) {
        self.finished.entries.extend(batch.entries.extract_if(.., |entry| matches!(entry, Entry::Done(_))));
        self.finished.names.push_str(&batch.names);
        batch.names.clear();
        if self.since.is_none() && !self.finished.entries.is_empty() {
            self.since = Some(Instant::now());
        }
    }

    /// When its rows are to be packed, at the latest.
    pub(super) fn due(&self) -> Option<Instant> {
        let is_large =
            self.file.end().max(self.rows.len() as u64) >= MEMBER as u64 || self.finished.entries.len() >= MOST_ENTRIES;
        self.since.map(|since| if is_large { since } else { since + GATHER })
    }

    /// What the state is to know of the rows gathered, those entries first; from here on another group gathers.
    pub(super) fn told(&mut self, mut entries: Vec<Entry>) -> Batch {
        let finished = std::mem::take(&mut self.finished);
        entries.extend(finished.entries);
        self.since = None;
        Batch { entries, names: finished.names, ..Batch::default() }
    }

    /// Its rows, which are packed, are safe elsewhere.
    pub(super) fn empty(&mut self) -> io::Result<()> {
        self.rows.shrink_to(MEMBER);
        self.file.end_at(0)
    }

    /// It is needed no more.
    pub(super) fn remove(self) -> io::Result<()> {
        std::fs::remove_file(self.path())
    }
}

/// Under this name the state says that the file beside the output is its run's: from before it is made until it is gone.
pub(super) const HAS_TAIL: &str = "has_tail";
/// So many bytes of rows are packed at once; more come together only within one batch.
pub(super) const MEMBER: usize = 1 << 20;
/// How long rows gather to be packed.
const GATHER: Duration = Duration::from_millis(250);
/// So many rows are packed however few their bytes.
const MOST_ENTRIES: usize = 1 << 16;
