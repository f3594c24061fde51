//! Output and state brought together: what a kill left is adopted, cut off or asked again, rows that waited for their turn
//! and need not any more are written, and a run is made of it that can go on. Refuses an output that is gone, and a
//! file that is not of this run.

use std::io;
use std::path::Path;

use gannet_core::ErrorKind;

use super::Opening;
use super::file::{other, remove};
use crate::bulk::Prior;
use crate::bulk::prior::Bits;
use crate::bulk::sink::{BatchWriter, Codec, Manner, Stats};
use crate::bulk::state::committer::{Commits, Cookies};
use crate::bulk::state::data::{DataFile, sync_dir};
use crate::bulk::state::error::{Reason, StateError};
use crate::bulk::state::journal::{self, Table, get, put};
use crate::bulk::state::recorder::{Committing, Recorder, Turns};
use crate::bulk::state::recover::{Known, Recovered, recover};
use crate::bulk::state::tail::{HAS_TAIL, Tail};
use crate::bulk::state::{Durability, path_of, status};
use crate::session::Session;

/// A state that is ready to be written to, with what it knows.
#[derive(Debug)]
pub struct Opened {
    /// To be given to [`crate::bulk::sink::RowSink::with_state`].
    pub state: RunState,
    /// To be given to [`crate::bulk::Run::resume`].
    pub prior: Prior,
    /// What the user should know, a line each: rows adopted, asked again, cut off.
    pub notes: Vec<String>,
}

/// What writes rows and state.
#[derive(Debug)]
pub struct RunState {
    recorder: Recorder,
    stats: Stats,
}

impl Opening {
    /// The output, there and as long as it should be at least once was.
    pub(super) fn data(&mut self) -> Result<DataFile, StateError> {
        let io = |error: io::Error| StateError::io(&self.out, &error);
        let figure = |name| get::<i64>(&self.journal.db, name).map_err(|error| self.journal.error(&error));
        let (end, empty) = (figure("end")?.unwrap_or(0), figure("empty_output")?.unwrap_or(0) != 0);
        if end > 0 && !empty && self.out.symlink_metadata().is_err() {
            return Err(StateError::new(
                Reason::Alone,
                format!(
                    "{}: it is gone, but its state {} is there; put it back, or start over with --fresh",
                    self.given.display(),
                    self.journal.path().display()
                ),
            ));
        }
        let mut data = DataFile::open(&self.out, Codec::of(&self.given)).map_err(io)?;
        if empty {
            data.end_at(0).and_then(|()| data.sync()).map_err(io)?;
            if self.has_tail()? {
                remove(&Tail::path_of(&self.out))?;
            }
            sync_dir(&self.out).map_err(io)?;
            self.journal.transaction(|db| put(db, "empty_output", &false))?;
        }
        sync_dir(&self.out).map_err(io)?;
        Ok(data)
    }

    pub(super) fn known_rows(&self, table: Table) -> Result<Known, StateError> {
        let failed = |error: rusqlite::Error| self.journal.error(&error);
        let done = self.journal.indices(table.name()).map_err(failed)?;
        let held = self.journal.indices("held").map_err(failed)?;
        Ok(Known { done, held })
    }

    /// Brings output and state together, and what waits to be packed.
    pub(super) fn recover(
        &mut self,
        data: &mut DataFile,
        table: Table,
        known: &mut Known,
    ) -> Result<(Recovered, Option<Tail>), StateError> {
        let mut recovered = recover(&mut self.journal, data, table, known)?;
        if data.codec() == Codec::Plain {
            return Ok((recovered, None));
        }
        if !self.has_tail()? {
            let path = Tail::path_of(&self.out);
            if path.symlink_metadata().is_ok() {
                return Err(other(&path));
            }
            self.journal.transaction(|db| put(db, HAS_TAIL, &true))?;
        }
        let tail = Tail::open(&self.out, self.durability == Durability::Row);
        let mut tail = tail.map_err(|error| StateError::io(&Tail::path_of(&self.out), &error))?;
        recovered.adopted += tail.adopt(&mut self.journal, known)?;
        Ok((recovered, Some(tail)))
    }

    pub(super) fn opened(mut self, mut data: DataFile, table: Table, turns: Option<u64>) -> Result<Opened, StateError> {
        let mut known = self.known_rows(table)?;
        let (recovered, mut tail) = self.recover(&mut data, table, &mut known)?;
        let ordered = match turns {
            Some(memory) => {
                let mut in_output = known.done.clone();
                for index in known.held.iter() {
                    in_output.remove(index);
                }
                Some(Turns::new(in_output, known.held.clone(), memory, path_of(&self.out)))
            }
            None if table == Table::Outcome => {
                self.release(&mut known.held, &mut data)?;
                None
            }
            None => None,
        };
        if let Some(tail) = &mut tail {
            tail.told_end = data.end();
        }
        let failed = |error: rusqlite::Error| StateError::sqlite(&path_of(&self.out), &error);
        let mut prior = Prior { holds: self.journal.load_holds().map_err(failed)?, ..Prior::default() };
        prior.pending = self.journal.load_pending().map_err(failed)?;
        prior.lost = self.journal.load_lost().map_err(failed)?;
        if table == Table::Newer {
            prior.wanted = Some(self.journal.indices("again").map_err(failed)?);
        }
        let mut stats = status::stats(&self.journal.db, table).map_err(failed)?;
        (stats.earlier_rows, stats.earlier_attempts) = (stats.rows, stats.attempts);
        prior.ok = stats.ok;
        prior.failed = stats.errors.iter().map(|(kind, count)| (*kind, *count)).collect::<Vec<(ErrorKind, u64)>>();
        prior.done = known.done;
        let notes = notes(&self.given, &recovered);
        let synced = match self.durability {
            Durability::Os => None,
            _ => Some((data.reader().map_err(|error| StateError::io(&self.out, &error))?, data.path().to_owned())),
        };
        let commits = Commits { journal: self.journal, table, synced, cookies: None };
        let committing = Committing::NotYet(Box::new(commits));
        let (durability, lock) = (self.durability, self.lock);
        let recorder = Recorder { data, table, durability, ordered, tail, committing, lock };
        Ok(Opened { state: RunState { recorder, stats }, prior, notes })
    }

    /// Rows that waited for their turn, in a run that is not in order, or not any more: they stand in the output then.
    pub(super) fn release(&mut self, held: &mut Bits, data: &mut DataFile) -> Result<(), StateError> {
        let failed = |error: rusqlite::Error| StateError::sqlite(&path_of(&self.out), &error);
        let (mut rows, mut released) = (Vec::new(), Vec::new());
        let mut waiting = held.iter().peekable();
        while let Some(index) = waiting.next() {
            rows.extend(journal::held_row(&self.journal.db, index).map_err(failed)?);
            released.push(index);
            if rows.len() >= RELEASED_AT_ONCE || waiting.peek().is_none() {
                let written = data.append(&rows).and_then(|()| data.sync());
                written.map_err(|error| StateError::io(&self.out, &error))?;
                self.journal.adopt(Table::Outcome, &[], &released, data.end())?;
                rows.clear();
                released.clear();
            }
        }
        drop(waiting);
        *held = Bits::default();
        Ok(())
    }
}

impl RunState {
    /// Puts the cookies of earlier runs into the session's jar, and keeps those that come.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn keep_cookies(&mut self, session: &Session) -> Result<(), StateError> {
        let Committing::NotYet(commits) = &mut self.recorder.committing else { return Ok(()) };
        let journal = &commits.journal;
        let kept: Option<String> = get(&journal.db, "cookies").map_err(|error| journal.error(&error))?;
        let mut jar = session.cookies();
        jar.restore(kept.and_then(|text| serde_json::from_str::<Vec<_>>(&text).ok()).unwrap_or_default());
        let changes = jar.changes();
        drop(jar);
        commits.cookies = Some(Cookies { session: session.clone(), changes, written: None });
        Ok(())
    }

    /// How its rows are handed on.
    pub(crate) fn manner(&self) -> Manner {
        // What is packed is written beside the output first, whether or not its turn has come.
        match self.recorder {
            Recorder { ordered: Some(_), tail: None, .. } => Manner::Committed,
            _ => Manner::Written,
        }
    }

    /// What earlier runs came to.
    pub(crate) fn stats(&self) -> Stats {
        self.stats.clone()
    }

    pub(crate) fn into_writer(self) -> Box<dyn BatchWriter> {
        Box::new(self.recorder)
    }
}

fn notes(out: &Path, recovered: &Recovered) -> Vec<String> {
    let out = out.display();
    let mut notes = Vec::new();
    let rows = |count: u64| if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
    if recovered.adopted > 0 {
        notes.push(format!(
            "{out}: {} that the last run wrote and did not commit count as done",
            rows(recovered.adopted)
        ));
    }
    if recovered.lost > 0 {
        notes.push(format!("{out}: {} are missing from it and are asked again", rows(recovered.lost)));
    }
    if let Some(aside) = &recovered.kept_aside {
        let cut = recovered.cut;
        notes.push(format!("{out}: {cut} bytes at its end are no rows; they were moved to {}", aside.display()));
    } else if recovered.cut > 0 {
        notes.push(format!("{out}: a torn row of {} bytes at its end was cut off", recovered.cut));
    }
    notes
}

/// Rows that waited for their turn are written by so much.
const RELEASED_AT_ONCE: usize = 1 << 20;
