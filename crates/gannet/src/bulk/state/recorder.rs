//! Writes a run's rows, on the thread that writes, and hands what is to be known of them to the thread that commits.
//! The order is that of the contract: rows into the output, the output synced, then the state committed with how far
//! the output goes.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use gannet_core::reorder::{Ready, Reorder};
use rusqlite::Connection;

use super::committer::{CLOSING, Commits, Committer};
use super::data::DataFile;
use super::error::as_io;
use super::journal::{Page, Table, held_row, put};
use super::tail::{HAS_TAIL, MEMBER, Tail};
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
    /// For an output that is packed: rows gather in it.
    pub(super) tail: Option<Tail>,
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

/// Rows that wait for their turn. All of them stand in the state from the commit on that finished them: of a plain
/// output that of their batch, of a packed one that of the next [`Recorder::pack`], and until then in the [`Tail`]. Those
/// that memory has no room for are read from the state again.
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

    fn due(&self) -> Option<Instant> {
        self.tail.as_ref()?.due()
    }

    fn on_due(&mut self, number: u64) -> (u64, io::Result<()>) {
        let before = self.data.end();
        let result = self.pack(Vec::new(), number, false);
        (self.data.end() - before, result)
    }

    fn commits(&self) -> bool {
        true
    }

    #[cfg(test)]
    fn settle(&mut self) {
        if self.due().is_some() {
            self.pack(Vec::new(), 1, false).expect("the test's disk has room");
        }
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
        let is_committed = committer.flush();
        let Some(mut journal) = committer.finish() else {
            return Err(io::Error::other("the thread that commits the state panicked"));
        };
        if let Some(tail) = self.tail.take_if(|_| is_committed) {
            let path = tail.path().to_owned();
            tail.remove().map_err(|error| named(&path, &error))?;
            journal.transaction(|db| put(db, HAS_TAIL, &false)).map_err(io::Error::other)?;
        }
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
        if self.tail.is_some() {
            return self.gather(batch, number);
        }
        let Committing::Thread(committer) = &self.committing else { return Err(ended()) };
        let before = self.data.end();
        match &mut self.ordered {
            None => append(&mut self.data, &batch.rows)?,
            Some(turns) => turns.take(batch, &mut |rows| append(&mut self.data, rows))?,
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

    /// Takes a batch for an output that is packed: its rows are safe in the file beside it, and what is not about
    /// finished rows is committed without waiting for their member.
    fn gather(&mut self, batch: &mut Batch, number: u64) -> io::Result<()> {
        let (Some(tail), Committing::Thread(committer)) = (&mut self.tail, &self.committing) else {
            return Err(ended());
        };
        tail.keep(&batch.rows).map_err(|error| named(tail.path(), &error))?;
        match &mut self.ordered {
            None => tail.rows.extend_from_slice(&batch.rows),
            Some(turns) => {
                turns.take(batch, &mut |rows| {
                    tail.rows.extend_from_slice(rows);
                    if tail.rows.len() >= MEMBER {
                        append(&mut self.data, &tail.rows)?;
                        tail.rows.clear();
                    }
                    Ok(())
                })?;
                tail.held.extend(turns.held(batch));
            }
        }
        tail.take_finished(batch);
        let entries = std::mem::take(&mut batch.entries);
        // The state must not learn of a hold before the row that brought it, nor of an end behind rows it was not told.
        let must_pack = number == CLOSING
            || self.data.end() != tail.told_end
            || (tail.due().is_some() && entries.iter().any(|entry| matches!(entry, Entry::Hold(..))))
            || self.ordered.as_ref().is_some_and(Turns::is_over_budget);
        if must_pack {
            return self.pack(entries, number, batch.is_urgent);
        }
        if !entries.is_empty() {
            let is_urgent = batch.is_urgent || self.durability == Durability::Row;
            let (batch, end) = (Batch { entries, ..Batch::default() }, self.data.end());
            let page = Page { batch, held: Vec::new(), forget_held_before: None, has_rows: false, end, number };
            committer.push(page, is_urgent);
        }
        Ok(())
    }

    /// Writes the rows that were gathered as a member, hands on what is to be known of them, and of these entries, and
    /// empties the file that guarded them.
    fn pack(&mut self, entries: Vec<Entry>, number: u64, is_urgent: bool) -> io::Result<()> {
        let (Some(tail), Committing::Thread(committer)) = (&mut self.tail, &self.committing) else {
            return Err(ended());
        };
        append(&mut self.data, &tail.rows)?;
        tail.rows.clear();
        let (has_rows, end) = (self.data.end() != tail.told_end, self.data.end());
        tail.told_end = end;
        let mut held = std::mem::take(&mut tail.held);
        let mut forget_held_before = None;
        if let Some(turns) = &mut self.ordered {
            held.retain(|(index, _)| *index >= turns.reorder.next_index());
            forget_held_before = turns.had_their_turn(!held.is_empty());
        }
        let is_over_budget = self.ordered.as_ref().is_some_and(Turns::is_over_budget);
        // Until the commit, rows that wait for their turn stand nowhere else, and no row surely on the disk.
        let awaits_commit = !held.is_empty() || is_over_budget || self.durability == Durability::Row;
        let page = Page { batch: tail.told(entries), held, forget_held_before, has_rows, end, number };
        committer.push(page, is_urgent || awaits_commit);
        if awaits_commit && !committer.flush() {
            // Told by the thread that commits. The file keeps what it has.
            return Ok(());
        }
        if let Some(turns) = self.ordered.as_mut().filter(|_| is_over_budget) {
            turns.spill();
        }
        tail.empty().map_err(|error| named(tail.path(), &error))
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
    fn take(&mut self, batch: &Batch, output: Appending<'_>) -> io::Result<()> {
        self.gather(output)?;
        let mut start = 0;
        for done in finished(batch) {
            let row = &batch.rows[start..start + done.row];
            start += done.row;
            if done.index == self.reorder.next_index() {
                self.reorder.skip();
                self.give(row, output)?;
                self.gather(output)?;
            } else {
                self.reorder.push(done.index, row.to_vec(), row.len() + ENTRY);
            }
        }
        self.flush(output)
    }

    /// Gathers the waiting rows whose turn has come.
    fn gather(&mut self, output: Appending<'_>) -> io::Result<()> {
        loop {
            let next = self.reorder.next_index();
            if self.in_output.has(next) {
                self.reorder.skip();
            } else if self.in_state.remove(next) {
                self.reorder.skip();
                let row = self.read(next)?;
                self.give(&row, output)?;
            } else if let Some((_, Ready::Held(row))) = self.reorder.pop_ready() {
                self.give(&row, output)?;
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
    fn give(&mut self, row: &[u8], output: Appending<'_>) -> io::Result<()> {
        self.ready.extend_from_slice(row);
        if self.ready.len() < PIECE { Ok(()) } else { self.flush(output) }
    }

    fn flush(&mut self, output: Appending<'_>) -> io::Result<()> {
        let appended = output(&self.ready);
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

/// Appends whole rows to the output, now or with others.
type Appending<'a> = &'a mut dyn FnMut(&[u8]) -> io::Result<()>;

fn ended() -> io::Error {
    io::Error::other("the thread that commits the state has ended")
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
