//! Where rows come from. A source gives them in order, one at a time, and can give any of them again: rows that
//! must wait are remembered as (index, place) only, a few bytes each.
//!
//! [`InputSource`] reads what the command is given (URLs, files, standard input); [`ListSource`] and
//! [`StreamSource`] take what a Rust program has.

mod blocks;
mod csv;
mod defaults;
mod expand;
mod feed;
mod given;
mod input;
mod jsonl;
mod list;
mod open;
mod print;
mod spool;
mod stdin;
mod template;
mod text;
mod unpack;

pub(in crate::bulk) use blocks::read_at;
pub use defaults::{BodyTemplate, RequestDefaults};
pub use given::{Format, Input, InputOptions};
pub use input::InputSource;
pub use list::{ListSource, StreamSource, Target};
pub use print::{Change, InputPrint, PrintKind, digest};

use std::io;
use std::task::{Context, Poll};

use super::Row;
use crate::error::{Error, Result};
use crate::request::Request;

/// A source of rows.
pub trait Source: Send {
    /// The next row, in order; `None` at the end. Indices count from 0 without gaps. What cannot be read as a
    /// request is a row too, with its error. Pending wakes the task when there is more.
    ///
    /// # Errors
    /// Only what ends the whole run: the input itself cannot be read any further.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Row>>>;

    /// A row that was given before, again: it was parked, or is to be retried.
    ///
    /// # Errors
    /// The input can no longer be read at that place.
    fn recall(&mut self, index: u64, place: u64) -> io::Result<Row>;

    /// The row will not be asked for again. Sources that keep rows in memory let it go.
    fn on_finished(&mut self, _index: u64) {}

    /// How many rows there are in all, where that is known (it may become known on the way).
    fn total(&self) -> Option<u64> {
        None
    }

    /// How far it is, in bytes, of how many: for a total that is only estimated.
    fn progress_bytes(&self) -> Option<(u64, u64)> {
        None
    }

    /// How many rows may be parked at once, for a source that has to keep them in memory; no bound by default.
    fn max_parked(&self) -> Option<usize> {
        None
    }
}

/// What a piece of input says of its row; the reader adds index, place and line.
struct Draft {
    id: Option<String>,
    url: String,
    request: Result<Request>,
}

impl Draft {
    /// A row that could not be read as a request.
    fn refused(id: Option<String>, url: String, why: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Draft { id, url, request: Err(unreadable(why)) }
    }

    fn at(self, index: u64, place: u64, line: Option<u64>) -> Row {
        Row { index, place, line, id: self.id, url: self.url, request: self.request }
    }
}

fn unreadable(why: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(gannet_core::ErrorKind::Input, gannet_core::Phase::Prepare, why)
}

/// The same error of the operating system, naming what it happened to.
fn named(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{name}: {error}"))
}
