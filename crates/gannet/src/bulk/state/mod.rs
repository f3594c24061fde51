//! Run state: what is known of a bulk run beside its output, so that it can be stopped by anything, at any moment, and
//! go on. It lies beside the output, as `OUT.state` (SQLite, with its `-wal` and `-shm`), for its owner alone.
//!
//! The order of every step is: rows into the output, the output synced, the state committed with how far the output
//! goes. So a kill loses nothing that is in the output, and a loss of power at most the last group. One process at a
//! time writes, held off by a lock on the file; any other may read ([`Status`]).

mod clock;
mod committer;
mod data;
mod error;
mod identity;
mod journal;
mod merge;
mod opening;
mod recorder;
mod recover;
mod schema;
mod status;
mod tail;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use error::{Reason, StateError};
pub use identity::{Identity, Setting};
pub use opening::{Opened, Opening, RunState};
pub use schema::COLUMNS;
pub use status::{HostFailures, Status};

/// What a commit survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A loss of power, each row as soon as it is finished: a commit and two syncs for a row or a few.
    Row,
    /// A loss of power, but for the last group: rows of the last twentieth of a second, or as many as came while the
    /// disk synced the group before; of a packed output, those that were not packed too. The default.
    #[default]
    Group,
    /// The end of the process, however it comes. What was written is left to the operating system.
    Os,
}

impl FromStr for Durability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "row" => Ok(Durability::Row),
            "group" => Ok(Durability::Group),
            "os" => Ok(Durability::Os),
            _ => Err(format!("not a durability: {text:?}; use row, group or os")),
        }
    }
}

/// The lock of the process that writes; given up when it is dropped, or the process ends however it does.
#[derive(Debug)]
struct Lock {
    /// Closing any descriptor of the file would give up SQLite's own locks on it, so it stays open to the end.
    file: File,
}

/// `OUT.state` and its kin: a name that begins with the output's.
fn beside(out: &Path, suffix: &str) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

/// The state that belongs to an output. That of a symbolic link is its target's, so that two names of one output have
/// one state.
pub fn path_of(out: &Path) -> PathBuf {
    beside(&resolved(out), "state")
}

/// The file that is meant, also where it is not there yet.
fn resolved(out: &Path) -> PathBuf {
    let mut path = out.to_owned();
    // As many links as the kernel follows (path_resolution(7)).
    for _ in 0..40 {
        let Ok(target) = path.read_link() else { break };
        path = path.parent().map_or_else(|| target.clone(), |dir| dir.join(&target));
    }
    path
}
