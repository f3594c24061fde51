//! Opens a state: the lock, the file, what it is known by, and what it says of the rows; in an order in which no kill
//! leaves an output that would be refused. The state is made before the output, and says of an output that is to be
//! emptied that it is, before it is.

mod file;
mod opened;
mod retry;

use std::path::{Path, PathBuf};

use self::file::{alone, empty, lock, open, other, remove};
use super::error::{Reason, StateError};
use super::identity::Identity;
use super::journal::{self, Journal, Table, get, put};
use super::tail::{HAS_TAIL, Tail};
use super::{Durability, Lock, beside, merge, resolved};
use crate::bulk::sink::Codec;

pub use self::opened::{Opened, RunState};

/// A state that is open and locked, and may be anybody's still: what it is known by is to be compared first.
#[derive(Debug)]
pub struct Opening {
    /// The name that was given.
    given: PathBuf,
    /// The file that is meant: all that lies beside it goes by this name.
    out: PathBuf,
    journal: Journal,
    lock: Lock,
    durability: Durability,
    /// None for a state that was just made.
    known: Option<Identity>,
    is_fresh: bool,
}

impl Opening {
    /// Opens the state of this output, or makes one. `fresh`: what is there is to be replaced.
    ///
    /// # Errors
    /// Another process uses it; the output stands without a state; it is damaged or of another version; the file
    /// system cannot lock it. Each names the file and the remedy.
    pub fn begin(out: &Path, durability: Durability, fresh: bool) -> Result<Self, StateError> {
        let (given, out) = (out, &resolved(out));
        let path = beside(out, "state");
        let is_there = out.symlink_metadata().is_ok();
        if is_there && !fresh && path.symlink_metadata().is_err() {
            return Err(alone(given));
        }
        let lock = lock(&path)?;
        let (journal, version) = match open(&path, durability) {
            Err(error) if fresh && error.reason() == Reason::Damaged => {
                empty(&path, &lock).map_err(|error| StateError::io(&path, &error))?;
                open(&path, durability)?
            }
            opened => opened?,
        };
        // Without its tables it was made by a run that was killed just then.
        let known = match version {
            0 if is_there && !fresh => return Err(alone(given)),
            0 => None,
            _ if fresh => None,
            _ => Some(journal.identity().map_err(|error| journal.error(&error))?),
        };
        let (given, out) = (given.to_owned(), out.to_owned());
        Ok(Opening { given, out, journal, lock, durability, known, is_fresh: fresh })
    }

    /// The output that it belongs to, by the name that was given.
    pub fn output(&self) -> &Path {
        &self.given
    }

    /// A file beside the output, as its state is: of a symbolic link, beside its target.
    pub fn beside(&self, suffix: &str) -> PathBuf {
        beside(&self.out, suffix)
    }

    /// What the run is known by; none for one that is new or starts over.
    pub fn known(&self) -> Option<&Identity> {
        self.known.as_ref().filter(|_| !self.is_fresh)
    }

    /// Whether a retry was begun that is not done yet.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn has_retry(&self) -> Result<bool, StateError> {
        if self.known().is_none() {
            return Ok(false);
        }
        let asked = self.count("again")?;
        Ok(asked > 0 && !merge::is_begun(&self.journal)?)
    }

    /// Goes on with the run, or begins it, under this identity. `turns` is the memory for rows that wait for their turn
    /// where rows are written in the order of the input.
    ///
    /// # Errors
    /// The output is gone, or was changed by something else; state or output cannot be read or written.
    pub fn run(mut self, identity: &Identity, turns: Option<u64>) -> Result<Opened, StateError> {
        let is_new = self.known().is_none();
        if is_new {
            self.refuse_others()?;
            match self.create(identity, turns.is_some()) {
                // What is to be replaced need not be whole: its tables may be damaged so that they cannot be dropped.
                Err(error) if self.is_fresh && error.reason() == Reason::Damaged => {
                    self = self.emptied()?;
                    self.create(identity, turns.is_some())?;
                }
                created => created?,
            }
            remove(&beside(&self.out, "retry"))?;
            remove(&beside(&self.out, "merge"))?;
        }
        self.mark_start()?;
        if !is_new {
            self.finish_merge()?;
            let is_same = self.known.as_ref() == Some(identity);
            self.journal.transaction(|db| {
                if !is_same {
                    // The input may have other rows now: it is read to its end again.
                    db.execute("DELETE FROM run WHERE name = 'input_rows'", [])?;
                }
                put(db, ORDERED, &turns.is_some())?;
                journal::put_identity(db, identity)
            })?;
        }
        let data = self.data()?;
        self.opened(data, Table::Outcome, turns)
    }

    /// Makes the tables of a run that begins, in the place of what was there.
    fn create(&mut self, identity: &Identity, is_ordered: bool) -> Result<(), StateError> {
        let tail = self.packs().then(|| Tail::path_of(&self.out));
        let is_there = |path: &Path| path.symlink_metadata().is_ok();
        let empty_output = is_there(&self.out) || tail.as_deref().is_some_and(is_there);
        // Of another run, which this one replaces.
        let has_tail = self.is_fresh && tail.is_some();
        self.journal.transaction(|db| {
            journal::create(db, identity, empty_output)?;
            put(db, HAS_TAIL, &has_tail)?;
            put(db, ORDERED, &is_ordered)
        })?;
        // Out of the log, whose first damaged frame hides all behind it.
        self.journal.checkpoint()
    }

    /// What stands under the names that a new run would use is somebody's, unless it is to be replaced.
    fn refuse_others(&self) -> Result<(), StateError> {
        if self.is_fresh {
            return Ok(());
        }
        let tail = self.packs().then_some("tail");
        let mut names = tail.into_iter().chain(["retry", "merge"]).map(|suffix| beside(&self.out, suffix));
        names.find(|path| path.symlink_metadata().is_ok()).map_or(Ok(()), |path| Err(other(&path)))
    }

    fn packs(&self) -> bool {
        Codec::of(&self.given) != Codec::Plain
    }

    /// Whether rows may stand beside the output that are not packed yet. A state that does not say may have them.
    fn has_tail(&self) -> Result<bool, StateError> {
        let told: Option<bool> = get(&self.journal.db, HAS_TAIL).map_err(|error| self.journal.error(&error))?;
        Ok(self.packs() && told.unwrap_or(true))
    }

    /// The same with nothing in the file, which stays locked.
    fn emptied(self) -> Result<Self, StateError> {
        let Opening { given, out, journal, lock, durability, known, is_fresh } = self;
        let path = journal.path().to_owned();
        drop(journal);
        empty(&path, &lock).map_err(|error| StateError::io(&path, &error))?;
        let (journal, _) = open(&path, durability)?;
        Ok(Opening { given, out, journal, lock, durability, known, is_fresh })
    }

    fn finish_merge(&mut self) -> Result<(), StateError> {
        if merge::is_begun(&self.journal)? {
            merge::merge(&mut self.journal, &self.out)?;
            self.journal.survive(self.durability)?;
        }
        Ok(())
    }

    fn count(&self, table: &str) -> Result<u64, StateError> {
        let sql = format!("SELECT count(*) FROM {table}");
        let count = self.journal.db.query_row(&sql, [], |row| row.get::<_, u64>(0));
        count.map_err(|error| self.journal.error(&error))
    }

    /// After a restart of the machine the output is read as a whole: what was not synced may be gone, whatever the
    /// state says.
    fn mark_start(&mut self) -> Result<(), StateError> {
        let failed = |error: rusqlite::Error| self.journal.error(&error);
        // Two names may lead to one output.
        let codec = Codec::of(&self.given);
        let begun_with = journal::codec(&self.journal.db).map_err(failed)?;
        if let Some(before) = begun_with.filter(|before| *before != codec) {
            return Err(StateError::new(
                Reason::Refused,
                format!(
                    "{}: by this name its rows would be {}, and they are {}; give -o the name that the run began with",
                    self.given.display(),
                    codec.name(),
                    before.name()
                ),
            ));
        }
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let before: Option<String> = get(&self.journal.db, "boot").map_err(failed)?;
        let is_restarted = before.is_some_and(|before| before != boot);
        self.journal.transaction(|db| {
            if is_restarted {
                put(db, Table::Outcome.suspect(), &true)?;
                put(db, Table::Newer.suspect(), &true)?;
            }
            journal::put_codec(db, codec)?;
            put(db, "boot", &boot)
        })
    }
}

/// Under this name it is said whether the rows stand in the order of the input.
const ORDERED: &str = "ordered";
