//! How the rows of an output are packed: as they are, or as gzip members or zstd frames, one after another, each of
//! which holds whole rows and can be read without the others. Both formats say that a file may be such a sequence
//! (RFC 1952 §2.2, RFC 8878 §3), so every tool reads it as one.
//!
//! [`super::Output`] packs what it writes; [`RowReader`] reads rows back, also from a file that a crash has torn.

mod reader;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use zstd::bulk::Compressor;

pub use self::reader::{Ending, RowReader};
use crate::decode::DecodeError;
use crate::decode::content;

const GZIP_LEVEL: u32 = 3;
const ZSTD_LEVEL: i32 = 3;

/// How rows are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codec {
    /// As they are.
    #[default]
    Plain,
    /// Members of gzip (RFC 1952), each with its check sum.
    Gzip,
    /// Frames of zstd (RFC 8878), each with its check sum.
    Zstd,
}

impl Codec {
    /// By the file's suffix: `.gz` and `.zst`, in any case; plain otherwise.
    pub fn of(path: &Path) -> Codec {
        match path.extension() {
            Some(suffix) if suffix.eq_ignore_ascii_case("gz") => Codec::Gzip,
            Some(suffix) if suffix.eq_ignore_ascii_case("zst") => Codec::Zstd,
            _ => Codec::Plain,
        }
    }

    /// `plain`, `gzip` or `zstd`.
    #[cfg(feature = "state")]
    pub(in crate::bulk) fn name(self) -> &'static str {
        match self {
            Codec::Plain => "plain",
            Codec::Gzip => "gzip",
            Codec::Zstd => "zstd",
        }
    }

    /// Appends the rows to `out`, packed: as one whole member or frame, or as they are. Takes CPU time in proportion
    /// to the rows and holds them packed once more. No rows are an empty member: a file without any is none of its
    /// format.
    ///
    /// # Errors
    /// Memory for zstd cannot be had.
    pub fn encode(self, rows: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Codec::Plain => out.extend_from_slice(rows),
            Codec::Gzip => {
                let mut member = GzEncoder::new(out, Compression::new(GZIP_LEVEL));
                member.write_all(rows)?;
                member.finish()?;
            }
            Codec::Zstd => {
                let mut frame = Compressor::new(ZSTD_LEVEL)?;
                frame.include_checksum(true)?;
                out.extend_from_slice(&frame.compress(rows)?);
            }
        }
        Ok(())
    }

    /// What undoes it; `None` for plain.
    pub(in crate::bulk) fn decoder(self) -> Result<Option<content::Codec>, DecodeError> {
        Ok(match self {
            Codec::Plain => None,
            Codec::Gzip => Some(content::Codec::gzip_file()),
            Codec::Zstd => Some(content::Codec::zstd_file()?),
        })
    }
}
