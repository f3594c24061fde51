//! Opens a state: the lock, the file, what it is known by, and what it says of the rows; in an order in which no kill
//! leaves an output that would be refused. The state is made before the output, and says of an output that is to be
//! emptied that it is, before it is.

use std::fs::{OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use gannet_core::ErrorKind;

use super::committer::{Commits, Cookies};
use super::data::{DataFile, sync_dir};
use super::error::{Reason, StateError, cannot_lock};
use super::identity::Identity;
use super::journal::{self, Journal, Table, get, put};
use super::recorder::{Committing, Recorder, Turns};
use super::recover::{Known, Recovered, recover};
use super::tail::{HAS_TAIL, Tail};
use super::{Durability, Lock, beside, merge, path_of, resolved, schema};
use crate::bulk::Prior;
use crate::bulk::prior::Bits;
use crate::bulk::sink::{BatchWriter, Codec, Manner, Stats};
use crate::session::Session;

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

    /// Asks rows again: those for which `condition` holds (SQL over [`super::COLUMNS`]), or without one those of a
    /// retry that is not done yet. `None` where no row is asked again.
    ///
    /// # Errors
    /// The condition is not SQL; a retry is under way, or none is; the state is not of a run.
    pub fn retry(mut self, condition: Option<&str>) -> Result<Option<Opened>, StateError> {
        if self.known().is_none() {
            return Err(StateError::new(Reason::Alone, format!("{}: it has no run yet", self.given.display())));
        }
        self.mark_start()?;
        self.finish_merge()?;
        // The run's own output first: what a kill left in it is brought together.
        let mut known = self.known_rows(Table::Outcome)?;
        let mut data = self.data()?;
        let (_, tail) = self.recover(&mut data, Table::Outcome, &mut known)?;
        let is_ordered = get(&self.journal.db, ORDERED).map_err(|error| self.journal.error(&error))?.unwrap_or(true);
        if !is_ordered {
            self.release(&mut known.held, &mut data)?;
        }
        if let Some(tail) = tail {
            tail.remove().map_err(|error| StateError::io(&Tail::path_of(&self.out), &error))?;
            self.journal.transaction(|db| put(db, HAS_TAIL, &false))?;
        }
        self.choose(condition, &known)?;
        if self.count("again")? == 0 {
            return Ok(None);
        }
        let gathered = beside(&self.out, "retry");
        let data = DataFile::open_private(&gathered, Codec::Plain).and_then(|data| sync_dir(&gathered).map(|()| data));
        let data = data.map_err(|error| StateError::io(&gathered, &error))?;
        self.opened(data, Table::Newer, None).map(Some)
    }

    /// Writes down which rows are asked again.
    fn choose(&mut self, condition: Option<&str>, known: &Known) -> Result<(), StateError> {
        let under_way = self.count("again")?;
        let refused = |message: String| Err(StateError::new(Reason::Refused, message));
        let shown = self.given.display();
        let Some(condition) = condition else {
            if under_way == 0 {
                return refused(format!("{shown}: no retry is under way; say which rows with --where"));
            }
            return Ok(());
        };
        if under_way > 0 {
            return refused(format!("{shown}: a retry of {under_way} rows is under way; without --where it goes on"));
        }
        if known.held.len() > 0 {
            return refused(format!(
                "{shown}: rows wait for their turn in it; finish the run first, with the command that began it"
            ));
        }
        let wanted = super::status::matching(&path_of(&self.out), condition)?;
        remove(&beside(&self.out, "retry"))?;
        self.journal.transaction(|db| {
            let mut insert = db.prepare("INSERT INTO again VALUES (?)")?;
            wanted.iter().try_for_each(|index| insert.execute([index]).map(|_| ()))
        })
    }

    /// The output, there and as long as it should be at least once was.
    fn data(&mut self) -> Result<DataFile, StateError> {
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

    fn known_rows(&self, table: Table) -> Result<Known, StateError> {
        let failed = |error: rusqlite::Error| self.journal.error(&error);
        let done = self.journal.indices(table.name()).map_err(failed)?;
        let held = self.journal.indices("held").map_err(failed)?;
        Ok(Known { done, held })
    }

    /// Brings output and state together, and what waits to be packed.
    fn recover(
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

    fn opened(mut self, mut data: DataFile, table: Table, turns: Option<u64>) -> Result<Opened, StateError> {
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
        let mut stats = super::status::stats(&self.journal.db, table).map_err(failed)?;
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
    fn release(&mut self, held: &mut Bits, data: &mut DataFile) -> Result<(), StateError> {
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

/// The lock of the file, which is made if it is not there.
fn lock(path: &Path) -> Result<Lock, StateError> {
    let io = |error: io::Error| StateError::io(path, &error);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock { file }),
        Err(TryLockError::WouldBlock) => Err(StateError::new(
            Reason::Busy,
            format!("{}: another gannet is using it; wait for it, or give -o another name", path.display()),
        )),
        Err(TryLockError::Error(error)) => Err(cannot_lock(path, &error.to_string())),
    }
}

fn open(path: &Path, durability: Durability) -> Result<(Journal, i64), StateError> {
    let journal = Journal::open(path, durability)?;
    let version = schema::version(&journal.db).map_err(|error| journal.error(&error))?;
    if version != 0 && version != schema::VERSION {
        return Err(StateError::new(
            Reason::Damaged,
            format!(
                "{}: it was made by another version of gannet (state {version}, this one writes {}); \
                 finish it with that one, or start over with --fresh",
                path.display(),
                schema::VERSION
            ),
        ));
    }
    Ok((journal, version))
}

/// Empties a damaged state that is to be replaced; the file stays, because it is locked.
fn empty(path: &Path, lock: &Lock) -> io::Result<()> {
    lock.file.set_len(0)?;
    for suffix in ["-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(PathBuf::from(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), StateError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StateError::io(path, &error)),
        _ => Ok(()),
    }
}

fn alone(out: &Path) -> StateError {
    StateError::new(
        Reason::Alone,
        format!(
            "{}: it exists already, without a state to go on from ({}); --fresh overwrites it, another name keeps it",
            out.display(),
            path_of(out).display()
        ),
    )
}

/// A file under a name that this run would use, and not its own.
fn other(path: &Path) -> StateError {
    StateError::new(
        Reason::Alone,
        format!(
            "{}: it exists already, and is not of this run, which would write to it; move it away, or give -o another \
             name; --fresh overwrites it",
            path.display()
        ),
    )
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

/// Under this name it is said whether the rows stand in the order of the input.
const ORDERED: &str = "ordered";

/// Rows that waited for their turn are written by so much.
const RELEASED_AT_ONCE: usize = 1 << 20;
