//! Why a run's state cannot be used, with the path and the remedy.

use std::fmt;
use std::io;
use std::path::Path;

/// Why a run's state cannot be used. The text names the file and what to do.
#[derive(Debug)]
pub struct StateError {
    reason: Reason,
    message: String,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Another process is using it.
    Busy,
    /// The output stands without a state, or the state without its output.
    Alone,
    /// It is not a state of this version, or damaged.
    Damaged,
    /// Options or input are not those it began with.
    Changed,
    /// The file system cannot lock it.
    CannotLock,
    /// What was asked for does not fit what is there.
    Refused,
    /// It cannot be read or written.
    Io,
}

impl StateError {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Self {
        StateError { reason, message: message.into() }
    }

    /// What is wrong with it.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    pub(super) fn io(path: &Path, error: &io::Error) -> Self {
        StateError::new(Reason::Io, format!("{}: {error}", path.display()))
    }

    pub(super) fn sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{CannotOpen, DatabaseBusy, DatabaseCorrupt, FileLockingProtocolFailed, NotADatabase};
        let shown = path.display();
        match error.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => StateError::new(
                Reason::Damaged,
                format!("{shown}: it is damaged ({error}); put a copy back, or start over with --fresh"),
            ),
            Some(DatabaseBusy) => StateError::new(Reason::Busy, format!("{shown}: another process is using it")),
            Some(FileLockingProtocolFailed) => cannot_lock(path, &error.to_string()),
            Some(CannotOpen) => StateError::new(Reason::Io, format!("{shown}: it cannot be opened: {error}")),
            // No such table or column: somebody else's file, or a page that was lost.
            _ if is_not_ours(error) => StateError::new(
                Reason::Damaged,
                format!("{shown}: it is no whole state of a run ({error}); start over with --fresh"),
            ),
            _ => StateError::new(Reason::Io, format!("{shown}: {error}")),
        }
    }
}

/// What says that tables or values are not what was written.
fn is_not_ours(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, SqlInputError, Utf8Error,
    };
    matches!(
        error,
        SqlInputError { .. }
            | FromSqlConversionFailure(..)
            | InvalidColumnType(..)
            | IntegralValueOutOfRange(..)
            | Utf8Error(..)
    )
}

/// The file system cannot lock the state.
pub(super) fn cannot_lock(path: &Path, why: &str) -> StateError {
    StateError::new(
        Reason::CannotLock,
        format!(
            "{}: its file system cannot lock files ({why}), without which two runs could spoil each other; \
             write the output to a local disk, or to stdout without a state",
            path.display()
        ),
    )
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StateError {}

/// An error of SQLite as one of input and output, for whoever writes.
pub(super) fn as_io(path: &Path, error: &rusqlite::Error) -> io::Error {
    use rusqlite::ErrorCode::{DiskFull, ReadOnly};
    let kind = match error.sqlite_error_code() {
        Some(DiskFull) => io::ErrorKind::StorageFull,
        Some(ReadOnly) => io::ErrorKind::ReadOnlyFilesystem,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, format!("{}: {error}", path.display()))
}
