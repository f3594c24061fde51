//! Writes a run's rows and its state, on the thread that writes. The order is that of the contract: rows into the
//! output, the output synced, then the state committed with how far the output goes. A failed sync is final: the
//! kernel may have dropped what it could not write, so the output is read as a whole by the next run.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use gannet_core::reorder::{Ready, Reorder, SpillAt};

use super::data::DataFile;
use super::error::as_io;
use super::journal::{Journal, Page, Table, put};
use super::recover::SUSPECT;
use super::{Durability, Lock, merge};
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
        let rows: &[u8] = match &mut self.ordered {
            None => &batch.rows,
            Some(turns) => {
                turns.take(batch, &self.journal)?;
                &turns.ready
            }
        };
        self.data.append(rows).map_err(|error| named(self.data.path(), &error))?;
        if self.durability != Durability::Os && !rows.is_empty() {
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
    pub(super) fn new(next: u64, held: impl Iterator<Item = u64>, memory: u64) -> Self {
        let mut reorder = Reorder::new(next, usize::try_from(memory).unwrap_or(usize::MAX));
        let mut held_any = false;
        for index in held {
            reorder.on_spilled(index, IN_STATE);
            held_any = true;
        }
        Turns { reorder, ready: Vec::new(), held_any }
    }

    /// Takes the batch's rows, and gathers those whose turn has come.
    fn take(&mut self, batch: &Batch, journal: &Journal) -> io::Result<()> {
        self.ready.clear();
        self.ready.shrink_to(KEPT);
        self.gather(journal)?;
        let mut start = 0;
        for done in finished(batch) {
            let row = &batch.rows[start..start + done.row];
            start += done.row;
            if done.index == self.reorder.next_index() {
                self.ready.extend_from_slice(row);
                self.reorder.skip();
                self.gather(journal)?;
            } else {
                self.reorder.push(done.index, row.to_vec(), row.len() + ENTRY);
            }
        }
        Ok(())
    }

    /// Gathers the waiting rows whose turn has come.
    fn gather(&mut self, journal: &Journal) -> io::Result<()> {
        while let Some((index, ready)) = self.reorder.pop_ready() {
            match ready {
                Ready::Held(row) => self.ready.extend_from_slice(&row),
                Ready::Spilled(_) => {
                    let row = journal.held_row(index).map_err(|error| as_io(journal.path(), &error))?;
                    self.ready.extend_from_slice(&row);
                }
            }
        }
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
        self.held_any = is_held || self.reorder.held() > 0 || self.reorder.spilled() > 0;
        while let Some((index, _)) = self.reorder.over_budget() {
            self.reorder.on_spilled(index, IN_STATE);
        }
    }
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

/// The state itself knows the place by the index.
const IN_STATE: SpillAt = SpillAt { offset: 0, len: 0 };
/// What a waiting row takes beside its bytes: its place in a map.
const ENTRY: usize = 64;
/// Room for rows whose turn has come that is kept.
const KEPT: usize = 8 << 20;
