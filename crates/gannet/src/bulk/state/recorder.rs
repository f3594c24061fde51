//! Writes a run's rows and its state, on the thread that writes. The order is that of the contract: rows into the
//! output, the output synced, then the state committed with how far the output goes. A failed sync is final: the
//! kernel may have dropped what it could not write, so the output is read as a whole by the next run.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use gannet_core::reorder::{Ready, Reorder};

use super::data::DataFile;
use super::error::as_io;
use super::journal::{Journal, Page, Table, put};
use super::recover::SUSPECT;
use super::{Durability, Lock, merge};
use crate::bulk::prior::Bits;
use crate::bulk::sink::{Batch, BatchWriter, Done, Entry};
use crate::session::Session;

/// Rows and state of one run.
#[derive(Debug)]
pub(super) struct Recorder {
    pub(super) journal: Journal,
    pub(super) data: DataFile,
    pub(super) table: Table,
    pub(super) durability: Durability,
    pub(super) ordered: Option<Turns>,
    pub(super) cookies: Option<Cookies>,
    /// Given up last, after the connection is closed.
    #[expect(dead_code, reason = "held, not used")]
    pub(super) lock: Lock,
}

/// The cookies of the session, written down when they change.
#[derive(Debug)]
pub(super) struct Cookies {
    pub(super) session: Session,
    pub(super) changes: u64,
    pub(super) written: Instant,
}

/// Rows that wait for their turn. All of them stand in the state from the commit on that finished them; those that
/// memory has no room for are read from there again.
#[derive(Debug)]
pub(super) struct Turns {
    reorder: Reorder<Vec<u8>>,
    /// Rows that wait and are read from the state when their turn comes.
    in_state: Bits,
    /// The rows whose turn has come.
    ready: Vec<u8>,
    /// Whether the state may hold rows that had their turn.
    held_any: bool,
}

impl BatchWriter for Recorder {
    fn write(&mut self, batch: &mut Batch) -> (u64, io::Result<()>) {
        let before = self.data.end();
        let result = self.record(batch);
        (self.data.end() - before, result)
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.ordered.is_some() {
            // Rows that waited in the state since an earlier run, and whose turn no new row has brought.
            self.record(&mut Batch::default())?;
        }
        self.data.end_empty().map_err(|error| named(self.data.path(), &error))?;
        if self.table == Table::Newer {
            merge::merge_when_done(&mut self.journal, &self.data).map_err(io::Error::other)?;
        }
        Ok(())
    }
}

impl Recorder {
    fn record(&mut self, batch: &mut Batch) -> io::Result<()> {
        let before = self.data.end();
        match &mut self.ordered {
            None => append(&mut self.data, &batch.rows)?,
            Some(turns) => turns.take(batch, &self.journal, &mut self.data)?,
        }
        if self.durability != Durability::Os && self.data.end() > before {
            self.sync()?;
        }
        let held = self.ordered.as_ref().map(|turns| turns.held(batch)).unwrap_or_default();
        let page = Page {
            table: self.table,
            entries: &batch.entries,
            names: &batch.names,
            held: &held,
            forget_held_before: self.ordered.as_ref().and_then(Turns::had_their_turn),
            cookies: self.cookies.as_mut().and_then(Cookies::changed),
            end: self.data.end(),
        };
        let is_held = !held.is_empty();
        self.journal.commit(&page).map_err(|error| as_io(self.journal.path(), &error))?;
        if let Some(turns) = &mut self.ordered {
            turns.on_committed(is_held);
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let synced = self.data.sync();
        if synced.is_err() {
            // What the kernel could not write it may believe written (Rebello et al., ATC 2020).
            let _ = self.journal.transaction(|db| put(db, SUSPECT, &true));
        }
        synced.map_err(|error| named(self.data.path(), &error))
    }
}

impl Cookies {
    /// The jar as it is now, if it has changed; at most once a second.
    fn changed(&mut self) -> Option<String> {
        let jar = self.session.cookies();
        if jar.changes() == self.changes || self.written.elapsed() < COOKIES_EVERY {
            return None;
        }
        self.changes = jar.changes();
        self.written = Instant::now();
        serde_json::to_string(&jar.iter().collect::<Vec<_>>()).ok()
    }
}

const COOKIES_EVERY: Duration = Duration::from_secs(1);

impl Turns {
    /// The next turn is that of `next`; these rows wait in the state.
    pub(super) fn new(next: u64, held: Bits, memory: u64) -> Self {
        let reorder = Reorder::new(next, usize::try_from(memory).unwrap_or(usize::MAX));
        Turns { reorder, held_any: held.len() > 0, in_state: held, ready: Vec::new() }
    }

    /// Takes the batch's rows, and writes those whose turn has come.
    fn take(&mut self, batch: &Batch, journal: &Journal, data: &mut DataFile) -> io::Result<()> {
        self.gather(journal, data)?;
        let mut start = 0;
        for done in finished(batch) {
            let row = &batch.rows[start..start + done.row];
            start += done.row;
            if done.index == self.reorder.next_index() {
                self.ready.extend_from_slice(row);
                self.reorder.skip();
                self.gather(journal, data)?;
            } else {
                self.reorder.push(done.index, row.to_vec(), row.len() + ENTRY);
            }
        }
        self.write_ready(data)
    }

    /// Gathers the waiting rows whose turn has come. However many they are, they are written as they are read: one slow
    /// row may have held up all others.
    fn gather(&mut self, journal: &Journal, data: &mut DataFile) -> io::Result<()> {
        loop {
            let next = self.reorder.next_index();
            if let Some((_, Ready::Held(row))) = self.reorder.pop_ready() {
                self.ready.extend_from_slice(&row);
            } else if self.in_state.remove(next) {
                let row = journal.held_row(next).map_err(|error| as_io(journal.path(), &error))?;
                self.ready.extend_from_slice(&row);
                self.reorder.skip();
            } else {
                return Ok(());
            }
            if self.ready.len() >= AT_ONCE {
                self.write_ready(data)?;
            }
        }
    }

    fn write_ready(&mut self, data: &mut DataFile) -> io::Result<()> {
        append(data, &self.ready)?;
        self.ready.clear();
        self.ready.shrink_to(AT_ONCE);
        Ok(())
    }

    /// The batch's rows that wait still.
    fn held<'a>(&self, batch: &'a Batch) -> Vec<(u64, &'a [u8])> {
        let mut start = 0;
        let rows = finished(batch).map(|done| {
            let row = &batch.rows[start..start + done.row];
            start += done.row;
            (done.index, row)
        });
        rows.filter(|(index, _)| *index >= self.reorder.next_index()).collect()
    }

    fn had_their_turn(&self) -> Option<u64> {
        self.held_any.then(|| self.reorder.next_index())
    }

    fn on_committed(&mut self, is_held: bool) {
        self.held_any = is_held || self.reorder.held() > 0 || self.in_state.len() > 0;
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
/// So many bytes of rows whose turn has come are written at once, and that room for them is kept.
const AT_ONCE: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::sink::Codec;
    use crate::bulk::state::identity::Identity;
    use crate::bulk::state::journal::create;

    const ROW: usize = 1 << 20;

    /// Rows of a mebibyte with these indices.
    fn batch(indices: impl Iterator<Item = u64>) -> Batch {
        let mut batch = Batch::default();
        for index in indices {
            batch.rows.resize(batch.rows.len() + ROW, b'a' + (index % 26) as u8);
            let (status, error, elapsed) = (Some(200), None, Duration::ZERO);
            batch.entries.push(Entry::Done(Done {
                index,
                row: ROW,
                status,
                error,
                attempts: 1,
                elapsed,
                bytes: 0,
                host: 0,
            }));
        }
        batch
    }

    #[test]
    fn however_many_rows_one_held_up_they_are_written_as_they_are_read() {
        for memory in [0, 5 * ROW as u64, u64::MAX] {
            let dir = tempfile::tempdir().unwrap();
            let mut journal = Journal::open(&dir.path().join("state"), Durability::Os).unwrap();
            journal.transaction(|db| create(db, &Identity::default(), false)).unwrap();
            let mut data = DataFile::open(&dir.path().join("out"), Codec::Plain).unwrap();
            let mut turns = Turns::new(0, Bits::default(), memory);
            for batch in [batch(1..20), batch(20..40)] {
                turns.take(&batch, &journal, &mut data).unwrap();
                let (table, entries, held) = (Table::Outcome, &batch.entries, turns.held(&batch));
                let names = &batch.names;
                let page = Page { table, entries, names, held: &held, forget_held_before: None, cookies: None, end: 0 };
                journal.commit(&page).unwrap();
                turns.on_committed(true);
            }
            assert_eq!(data.end(), 0);
            turns.take(&batch(0..1), &journal, &mut data).unwrap();
            assert!(turns.ready.capacity() <= 2 * AT_ONCE, "{}", turns.ready.capacity());
            assert_eq!((turns.reorder.held(), turns.in_state.len()), (0, 0));
            let rows = std::fs::read(data.path()).unwrap();
            assert_eq!(rows.len(), 40 * ROW);
            assert!(rows.chunks(ROW).zip(0u64..).all(|(row, index)| row == batch(index..index + 1).rows));
        }
    }
}
