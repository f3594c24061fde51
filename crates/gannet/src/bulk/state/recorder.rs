//! Writes a run's rows, on the thread that writes, and hands what is to be known of them to the thread that commits.
//! The order is that of the contract: rows into the output, the output synced, then the state committed with how far
//! the output goes.

use std::io;
use std::path::{Path, PathBuf};

use gannet_core::reorder::{Ready, Reorder};
use rusqlite::Connection;

use super::committer::{CLOSING, Commits, Committer};
use super::data::DataFile;
use super::error::as_io;
use super::journal::{Page, Table, held_row};
use super::{Durability, Lock, merge, status};
use crate::bulk::prior::Bits;
use crate::bulk::sink::{Batch, BatchWriter, Done, Entry, Report};

/// Rows and state of one run.
#[derive(Debug)]
pub(super) struct Recorder {
    pub(super) data: DataFile,
    pub(super) table: Table,
    pub(super) durability: Durability,
    pub(super) ordered: Option<Turns>,
    pub(super) committing: Committing,
    /// Given up last, after every connection is closed.
    #[expect(dead_code, reason = "held, not used")]
    pub(super) lock: Lock,
}

/// The thread that commits, once it is needed.
#[derive(Debug)]
pub(super) enum Committing {
    NotYet(Box<Commits>),
    Thread(Committer),
    Over,
}

/// Rows that wait for their turn. All of them stand in the state from the commit on that finished them; those that
/// memory has no room for are read from there again.
#[derive(Debug)]
pub(super) struct Turns {
    reorder: Reorder<Vec<u8>>,
    /// Rows that stand in the output since an earlier run: their turn is over.
    in_output: Bits,
    /// Rows that wait and are read from the state when their turn comes.
    in_state: Bits,
    /// Rows whose turn has come.
    ready: Vec<u8>,
    /// Whether the state may hold rows that had their turn.
    held_any: bool,
    state: PathBuf,
    reader: Option<Connection>,
}

impl BatchWriter for Recorder {
    fn begin(&mut self, report: Report) -> io::Result<()> {
        if let Committing::NotYet(commits) = std::mem::replace(&mut self.committing, Committing::Over) {
            self.committing = Committing::Thread(Committer::start(*commits, report)?);
        }
        Ok(())
    }

    fn write(&mut self, batch: &mut Batch, number: u64) -> (u64, io::Result<()>) {
        let before = self.data.end();
        let result = self.record(batch, number);
        (self.data.end() - before, result)
    }

    fn commits(&self) -> bool {
        true
    }

    #[cfg(test)]
    fn settle(&mut self) {
        if let Committing::Thread(committer) = &self.committing {
            committer.flush();
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        // Rows that waited in the state since an earlier run, and whose turn no new row has brought.
        self.record(&mut Batch::default(), CLOSING)?;
        if self.data.end_empty().map_err(|error| named(self.data.path(), &error))? {
            self.record(&mut Batch::default(), CLOSING)?;
        }
        let Committing::Thread(mut committer) = std::mem::replace(&mut self.committing, Committing::Over) else {
            return Ok(());
        };
        let Some(mut journal) = committer.finish() else {
            return Err(io::Error::other("the thread that commits the state panicked"));
        };
        if let Some(turns) = &self.ordered
            && turns.is_waiting()
            && journal.is_complete().map_err(|error| as_io(journal.path(), &error))?
        {
            let path = self.data.path().display();
            return Err(io::Error::other(format!("{path}: all rows are done, but some still wait for their turn")));
        }
        if self.table == Table::Newer {
            merge::merge_when_done(&mut journal, &self.data).map_err(io::Error::other)?;
        }
        Ok(())
    }
}

impl Recorder {
    fn record(&mut self, batch: &mut Batch, number: u64) -> io::Result<()> {
        let Committing::Thread(committer) = &self.committing else {
            return Err(io::Error::other("the thread that commits the state has ended"));
        };
        let before = self.data.end();
        match &mut self.ordered {
            None => append(&mut self.data, &batch.rows)?,
            Some(turns) => turns.take(batch, &mut self.data)?,
        }
        let has_rows = self.data.end() != before;
        let held = self.ordered.as_ref().map(|turns| turns.held(batch)).unwrap_or_default();
        // In the order of the input, slots of the concurrency wait for the commit.
        let is_urgent = batch.is_urgent || self.ordered.is_some() || self.durability == Durability::Row;
        let forget_held_before = self.ordered.as_mut().and_then(|turns| turns.had_their_turn(!held.is_empty()));
        // The rows' buffer stays here to be filled again.
        let entries = std::mem::take(&mut batch.entries);
        let names = std::mem::take(&mut batch.names);
        let batch = Batch { entries, names, ..Batch::default() };
        committer.push(Page { batch, held, forget_held_before, has_rows, end: self.data.end(), number }, is_urgent);
        if let Some(turns) = self.ordered.as_mut().filter(|turns| turns.is_over_budget()) {
            committer.flush();
            turns.spill();
        }
        Ok(())
    }
}

impl Turns {
    /// Rows of `in_output` have had their turn, and those of `in_state` wait for it in the state.
    pub(super) fn new(in_output: Bits, in_state: Bits, memory: u64, state: PathBuf) -> Self {
        let reorder = Reorder::new(0, usize::try_from(memory).unwrap_or(usize::MAX));
        let held_any = in_state.len() > 0;
        Turns { reorder, in_output, in_state, ready: Vec::new(), held_any, state, reader: None }
    }

    /// Takes the batch's rows, and appends those whose turn has come.
    fn take(&mut self, batch: &Batch, data: &mut DataFile) -> io::Result<()> {
        self.gather(data)?;
        let mut start = 0;
        for done in finished(batch) {
            let row = &batch.rows[start..start + done.row];
            start += done.row;
            if done.index == self.reorder.next_index() {
                self.reorder.skip();
                self.give(row, data)?;
                self.gather(data)?;
            } else {
                self.reorder.push(done.index, row.to_vec(), row.len() + ENTRY);
            }
        }
        self.flush(data)
    }

    /// Gathers the waiting rows whose turn has come.
    fn gather(&mut self, data: &mut DataFile) -> io::Result<()> {
        loop {
            let next = self.reorder.next_index();
            if self.in_output.has(next) {
                self.reorder.skip();
            } else if self.in_state.remove(next) {
                self.reorder.skip();
                let row = self.read(next)?;
                self.give(&row, data)?;
            } else if let Some((_, Ready::Held(row))) = self.reorder.pop_ready() {
                self.give(&row, data)?;
            } else {
                return Ok(());
            }
        }
    }

    /// A row that waits in the state.
    fn read(&mut self, index: u64) -> io::Result<Vec<u8>> {
        let reader = match &self.reader {
            Some(reader) => reader,
            None => self.reader.insert(status::open(&self.state).map_err(io::Error::other)?),
        };
        held_row(reader, index).map_err(|error| as_io(&self.state, &error))
    }

    /// The row's turn has come. Written piece by piece: one row may bring that of everything behind it.
    fn give(&mut self, row: &[u8], data: &mut DataFile) -> io::Result<()> {
        self.ready.extend_from_slice(row);
        if self.ready.len() < PIECE { Ok(()) } else { self.flush(data) }
    }

    fn flush(&mut self, data: &mut DataFile) -> io::Result<()> {
        let appended = append(data, &self.ready);
        self.ready.clear();
        self.ready.shrink_to(PIECE);
        appended
    }

    /// The batch's rows that wait still.
    fn held(&self, batch: &Batch) -> Vec<(u64, Vec<u8>)> {
        let mut start = 0;
        let rows = finished(batch).map(|done| {
            let row = &batch.rows[start..start + done.row];
            start += done.row;
            (done.index, row)
        });
        let waiting = rows.filter(|(index, _)| *index >= self.reorder.next_index());
        waiting.map(|(index, row)| (index, row.to_vec())).collect()
    }

    /// Rows below this one can be forgotten by the state, if it holds any; `more`: it is about to hold some.
    fn had_their_turn(&mut self, more: bool) -> Option<u64> {
        let before = self.held_any;
        self.held_any = more || self.is_waiting();
        before.then(|| self.reorder.next_index())
    }

    fn is_waiting(&self) -> bool {
        self.reorder.held() > 0 || self.in_state.len() > 0
    }

    fn is_over_budget(&self) -> bool {
        self.reorder.is_over_budget()
    }

    /// Drops rows from memory that the state holds.
    fn spill(&mut self) {
        while let Some((index, _)) = self.reorder.over_budget() {
            self.in_state.insert(index);
        }
    }
}

fn append(data: &mut DataFile, rows: &[u8]) -> io::Result<()> {
    data.append(rows).map_err(|error| named(data.path(), &error))
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn finished(batch: &Batch) -> impl Iterator<Item = &Done> {
    batch.entries.iter().filter_map(|entry| match entry {
        Entry::Done(done) => Some(done),
        _ => None,
    })
}

/// What a waiting row takes beside its bytes: its place in a map.
const ENTRY: usize = 64;
/// Rows whose turn has come are written by so much.
const PIECE: usize = 1 << 20;
