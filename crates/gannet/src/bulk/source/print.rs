//! What an input is known by, so that a later run can tell whether it is the same: a digest of its bytes, never the
//! bytes, and never a URL, which may hold secrets. A file may have grown by lines in between, if it is the last input.

#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use super::blocks::read_at;
use super::{InputSource, named};

const CHUNK: usize = 256 << 10;

/// What one input is known by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputPrint {
    /// What it is.
    pub kind: PrintKind,
    /// The absolute path of a file, for messages: a file that was moved is the same. None for URLs, which must not be
    /// stored, and for streams.
    pub name: Option<String>,
    /// The size of the file as it stands on disk when it is opened, or of the URL's text, in bytes; 0 for a stream.
    pub size: u64,
    /// SHA-256 in hexadecimal of the first `size` bytes of the file, compressed ones where it is, or of the URL's text.
    pub digest: String,
    /// Whether the last of these bytes is a line end, or there are none.
    pub ends_line: bool,
}

/// What an input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrintKind {
    /// A URL, with its ranges as they are written.
    Url,
    /// A regular file.
    File,
    /// Standard input or another pipe: of it nothing is known here. [`super::InputOptions::spool`] keeps it.
    Stream,
}

/// What has become of the inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// They are as they were.
    Same,
    /// The last one, a file that is not compressed, has new lines behind the ones it had; all others are as they were.
    Grown {
        /// By how many bytes.
        by: u64,
    },
    /// They are others: rows would not be the ones they were.
    Differs {
        /// Which and how, as a sentence for users without its full stop.
        why: String,
    },
}

impl InputSource {
    /// What the inputs are known by, in their order. Reads all files up to the size they had when they were opened.
    ///
    /// # Errors
    /// A file cannot be read, or is shorter by now; it is named.
    pub fn fingerprints(&self) -> io::Result<Vec<InputPrint>> {
        self.origins().iter().map(Origin::print).collect()
    }

    /// What has become of the inputs since they were `known` by these. Reads all files that were not shortened, up to
    /// the size they had.
    ///
    /// # Errors
    /// A file cannot be read; it is named.
    pub fn compare(&self, known: &[InputPrint]) -> io::Result<Change> {
        let origins = self.origins();
        if origins.len() != known.len() {
            let (now, before) = (origins.len(), known.len());
            return Ok(differs(format!("this run began with {before} inputs, and now they are {now}")));
        }
        let last = known.len().saturating_sub(1);
        for (number, (origin, known)) in origins.iter().zip(known).enumerate() {
            match origin.compare(number, known)? {
                Change::Same => {}
                Change::Grown { .. } if number < last => {
                    let name = origin.name(number);
                    return Ok(differs(format!("{name} has grown, which only the last input may")));
                }
                change => return Ok(change),
            }
        }
        Ok(Change::Same)
    }
}

/// SHA-256 of the bytes, in 64 hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    let mut context = Context::new(&SHA256);
    context.update(bytes);
    hex(context)
}

/// Where the bytes of an input come from.
pub(super) enum Origin {
    Url(String),
    File { path: PathBuf, file: Arc<File>, size: u64, is_packed: bool },
    Stream,
}

impl Origin {
    pub(super) fn file(path: &Path, file: Arc<File>, size: u64, is_packed: bool) -> Self {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Origin::File { path, file, size, is_packed }
    }

    fn print(&self) -> io::Result<InputPrint> {
        let (kind, name, size, digest, ends_line) = match self {
            Origin::Url(url) => {
                let digest = digest(url.as_bytes());
                (PrintKind::Url, None, url.len() as u64, digest, false)
            }
            Origin::File { path, file, size, .. } => {
                let name = path.to_string_lossy().into_owned();
                let (digest, last) = digest_of_file(file, *size).map_err(|error| self::named(&name, &error))?;
                (PrintKind::File, Some(name), *size, digest, matches!(last, None | Some(b'\n')))
            }
            Origin::Stream => (PrintKind::Stream, None, 0, digest(b""), true),
        };
        Ok(InputPrint { kind, name, size, digest, ends_line })
    }

    fn compare(&self, number: usize, known: &InputPrint) -> io::Result<Change> {
        if self.kind() != known.kind {
            let (now, before) = (what(self.kind()), what(known.kind));
            return Ok(differs(format!("input {} was {before}, and now it is {now}", number + 1)));
        }
        match self {
            Origin::Stream => Ok(Change::Same),
            Origin::Url(url) if digest(url.as_bytes()) == known.digest => Ok(Change::Same),
            Origin::Url(_) => Ok(differs(format!("{} is another URL now", self.name(number)))),
            Origin::File { file, size, is_packed, .. } => {
                let name = self.name(number);
                let why = grown(file, *size, *is_packed, known).map_err(|error| named(&name, &error))?;
                Ok(match why {
                    Some(why) => differs(format!("{name} is not as it was when this run began: {why}")),
                    None if *size == known.size => Change::Same,
                    None => Change::Grown { by: *size - known.size },
                })
            }
        }
    }

    fn kind(&self) -> PrintKind {
        match self {
            Origin::Url(_) => PrintKind::Url,
            Origin::File { .. } => PrintKind::File,
            Origin::Stream => PrintKind::Stream,
        }
    }

    /// How the input is called in messages: URLs by their number, for what is in them.
    fn name(&self, number: usize) -> String {
        match self {
            Origin::File { path, .. } => path.display().to_string(),
            Origin::Url(_) | Origin::Stream => format!("input {}", number + 1),
        }
    }
}

/// Whether the file is as it is known, or has grown by lines; else how it differs.
fn grown(file: &File, size: u64, is_packed: bool, known: &InputPrint) -> io::Result<Option<String>> {
    if size < known.size {
        return Ok(Some(format!("it has {size} bytes now, and had {}", known.size)));
    }
    if digest_of_file(file, known.size)?.0 != known.digest {
        let which =
            if size == known.size { "its bytes are".to_owned() } else { format!("its first {} bytes are", known.size) };
        return Ok(Some(format!("{which} not the same")));
    }
    if size == known.size {
        return Ok(None);
    }
    if is_packed {
        return Ok(Some("it has grown, which a compressed file may not".to_owned()));
    }
    let mut next = Vec::new();
    read_at(file, known.size, 2, &mut next)?;
    if known.ends_line || next.starts_with(b"\n") || next.starts_with(b"\r\n") {
        return Ok(None);
    }
    Ok(Some("the line that was its last, without a line end, goes on".to_owned()))
}

/// The digest of the first `size` bytes, and the last of them.
fn digest_of_file(file: &File, size: u64) -> io::Result<(String, Option<u8>)> {
    let mut context = Context::new(&SHA256);
    let (mut at, mut last, mut chunk) = (0, None, Vec::new());
    while at < size {
        chunk.clear();
        let room = (size - at).min(CHUNK as u64) as usize;
        read_at(file, at, room, &mut chunk)?;
        if chunk.is_empty() {
            let message = "shorter than when it was opened";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        context.update(&chunk);
        last = chunk.last().copied();
        at += chunk.len() as u64;
    }
    Ok((hex(context), last))
}

fn hex(context: Context) -> String {
    let digest = context.finish();
    digest.as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn what(kind: PrintKind) -> &'static str {
    match kind {
        PrintKind::Url => "a URL",
        PrintKind::File => "a file",
        PrintKind::Stream => "standard input or a pipe",
    }
}

fn differs(why: String) -> Change {
    Change::Differs { why }
}
