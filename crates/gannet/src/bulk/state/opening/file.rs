//! The file of a state: locked, opened, emptied; and what lies beside it under names that the run would use. Refuses a
//! state that another process uses or another version made, and says of an output without a state what can be done.

use std::fs::{OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::bulk::state::error::{Reason, StateError, cannot_lock};
use crate::bulk::state::journal::Journal;
use crate::bulk::state::{Durability, Lock, path_of, schema};

/// The lock of the file, which is made if it is not there.
pub(super) fn lock(path: &Path) -> Result<Lock, StateError> {
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

pub(super) fn open(path: &Path, durability: Durability) -> Result<(Journal, i64), StateError> {
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
pub(super) fn empty(path: &Path, lock: &Lock) -> io::Result<()> {
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

pub(super) fn remove(path: &Path) -> Result<(), StateError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StateError::io(path, &error)),
        _ => Ok(()),
    }
}

pub(super) fn alone(out: &Path) -> StateError {
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
pub(super) fn other(path: &Path) -> StateError {
    StateError::new(
        Reason::Alone,
        format!(
            "{}: it exists already, and is not of this run, which would write to it; move it away, or give -o another \
             name; --fresh overwrites it",
            path.display()
        ),
    )
}
