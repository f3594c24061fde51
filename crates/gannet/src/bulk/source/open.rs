//! Opens one input: what brings its bytes, what keeps them for being read again, and what it is known by.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::feed::{Feed, FileFeed};
use super::given::{Format, open_file};
use super::print::Origin;
use super::spool::{Spool, SpoolFeed};
use super::stdin::StreamFeed;
use super::unpack::Unpack;
use super::unreadable;
use crate::bulk::sink::Codec;
use crate::error::Result;

/// An input of bytes, opened.
pub(super) struct Opened {
    pub(super) feed: Box<dyn Feed>,
    pub(super) kept: Kept,
    /// How many bytes it has, compressed ones where it is compressed; `None` for what must be waited for.
    pub(super) size: Option<u64>,
    pub(super) format: Format,
    pub(super) origin: Origin,
}

/// Where the bytes can be read again.
pub(super) enum Kept {
    File(Arc<File>),
    /// In a copy that is made as they come.
    Copy,
}

/// A file, or a pipe by its name; what is compressed, by its suffix, is read as what was compressed.
///
/// # Errors
/// Kind `input`, naming the file: it cannot be opened, or is of a kind that is not read.
pub(super) fn file(path: &Path, format: Option<Format>) -> Result<Opened> {
    let format = format.map_or_else(|| Format::of(path), Ok)?;
    let decoder = Codec::of(path).decoder().map_err(|error| unreadable(format!("{}: {error}", path.display())))?;
    let (file, size) = open_file(path)?;
    let (mut feed, mut kept, origin): (Box<dyn Feed>, _, _) = match size {
        Some(size) => {
            let file = Arc::new(file);
            let origin = Origin::file(path, Arc::clone(&file), size, decoder.is_some());
            (Box::new(FileFeed::new(Arc::clone(&file))), Kept::File(file), origin)
        }
        None => (Box::new(StreamFeed::new(file)), Kept::Copy, Origin::Stream),
    };
    if let Some(decoder) = decoder {
        (feed, kept) = (Box::new(Unpack::new(feed, decoder)), Kept::Copy);
    }
    Ok(Opened { feed, kept, size, format, origin })
}

/// Standard input, or what was kept of it by an earlier run.
///
/// # Errors
/// Kind `input`: the file that keeps it cannot be opened.
pub(super) fn stdin(stdin: impl Read + Send + 'static, format: Option<Format>, spool: Option<&Path>) -> Result<Opened> {
    let stdin = StreamFeed::new(stdin);
    let (feed, kept, size): (Box<dyn Feed>, _, _) = match spool {
        None => (Box::new(stdin), Kept::Copy, None),
        Some(path) => match Spool::open(path).map_err(|error| unreadable(error.to_string()))? {
            Spool::Whole(file, size) => {
                let file = Arc::new(file);
                (Box::new(FileFeed::new(Arc::clone(&file))), Kept::File(file), Some(size))
            }
            Spool::Part(part) => {
                let file = part.file();
                (Box::new(SpoolFeed::new(stdin, part)), Kept::File(file), None)
            }
        },
    };
    Ok(Opened { feed, kept, size, format: format.unwrap_or(Format::Text), origin: Origin::Stream })
}
