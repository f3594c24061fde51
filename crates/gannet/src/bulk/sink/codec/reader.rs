//! Reads the rows of an output back, whole ones only: to learn where a crash has torn it, and to merge what is in it.
//! A file is torn from where its last whole member ends, or for plain rows its last whole line; zeros, which a file
//! system may leave in the place of bytes that never reached the disk, count as torn too.
//!
//! What a torn member still yields is given when its bytes simply end. Once its decoder finds it damaged nothing of
//! it is given, because what was decoded before may be wrong already. Whether a crash can have left what is torn, or it
//! is damaged, is told apart: [`RowReader::ending`].

use std::fs::File;
use std::io;

use memchr::{memchr, memrchr};

use super::Codec;
use crate::bulk::source::read_at;
use crate::decode::content;

/// How much is read at once, and how much of plain rows is given at once.
const CHUNK: usize = 256 << 10;
/// How much a member is decoded by at once.
const STEP: usize = 64 << 10;
/// A member that decodes to more is given in pieces.
const PIECE: usize = 4 << 20;
/// A piece of a file that was never written reads as zeros, a sector at the least.
const SECTOR: usize = 512;
/// How a member begins (RFC 1952 §2.3.1: deflate is the only method), and a frame (RFC 8878 §3.1.1).
const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
/// So many zeros end a whole member of gzip that has rows: the upper bytes of its length.
const MOST_ZEROS: u64 = 3;
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// What is known of the rows that [`RowReader::next_batch`] gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Where the last whole member read so far ends, or the last whole line: if nothing follows but what is torn, the
    /// file is to be cut here.
    pub end: u64,
    /// Whether the rows, and all given before, stand in front of `end`. Rows that do not are of a member that is
    /// given in pieces, and the batch with which it ends is whole; or it never comes, and they are of a torn member.
    pub whole: bool,
}

/// What the last whole row or member of a file is followed by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// Nothing, or it is not known yet.
    #[default]
    Whole,
    /// The beginning of a row or member, which the file is too short for.
    Unended,
    /// Zeros up to the file's end, or such a beginning and then zeros: bytes that never reached the disk.
    Zeros,
    /// What no crash leaves: a member whose bytes are wrong, what is no member at all, or zeros with other bytes behind
    /// them. Whole rows may follow, which are not read. A damaged length may make a member seem unended instead.
    Damaged,
}

/// Reads the rows of a file.
#[derive(Debug)]
pub struct RowReader {
    file: File,
    codec: Codec,
    /// Behind the last whole member, or line.
    end: u64,
    /// What was begun behind `end` and not given: a piece's last, unended row.
    rest: Vec<u8>,
    /// What undoes packed rows, once begun.
    unpacker: Option<Unpacker>,
    /// The member behind `end` is given in pieces.
    in_pieces: bool,
    is_done: bool,
    ending: Ending,
}

impl RowReader {
    /// Reads from this offset on, at which a member must begin, or a line. The file's own position is neither used
    /// nor moved.
    pub fn new(file: File, codec: Codec, from: u64) -> Self {
        RowReader {
            file,
            codec,
            end: from,
            rest: Vec::new(),
            unpacker: None,
            in_pieces: false,
            is_done: false,
            ending: Ending::Whole,
        }
    }

    /// What follows the rows, once [`RowReader::next_batch`] has given `None`.
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// Where the last whole member read so far ends, or the last whole line.
    #[cfg(feature = "state")]
    pub(in crate::bulk) fn end(&self) -> u64 {
        self.end
    }

    /// Replaces `rows` by the next whole rows, each with its LF; `None` at the end. Plain rows come by 256 KiB, packed
    /// ones member by member, and those of a member over 4 MiB in pieces; members that end within a row count as one.
    /// What is torn is told by the last batch, which is not whole; it may have no rows. Memory is that of the batch,
    /// or of one row if that is longer.
    ///
    /// # Errors
    /// The file cannot be read. That it is damaged is no error.
    pub fn next_batch(&mut self, rows: &mut Vec<u8>) -> io::Result<Option<Batch>> {
        rows.clear();
        if self.is_done {
            return Ok(None);
        }
        match self.codec {
            Codec::Plain => self.next_lines(rows),
            Codec::Gzip | Codec::Zstd => self.next_member(rows),
        }
    }

    fn next_lines(&mut self, rows: &mut Vec<u8>) -> io::Result<Option<Batch>> {
        loop {
            let before = rows.len();
            read_at(&self.file, self.end + before as u64, CHUNK, rows)?;
            let is_last = rows.len() < before + CHUNK;
            // No row holds a zero byte: they are escaped in JSON.
            let zero = memchr(0, &rows[before..]).map(|at| before + at);
            let upto = zero.unwrap_or(rows.len());
            let whole = memrchr(b'\n', &rows[before..upto]).map(|at| before + at + 1);
            if whole.is_none() && zero.is_none() && !is_last {
                continue;
            }
            let (there, whole) = (rows.len(), whole.unwrap_or(0));
            rows.truncate(whole);
            self.end += whole as u64;
            if whole > 0 {
                return Ok(Some(Batch { end: self.end, whole: true }));
            }
            self.is_done = true;
            self.ending = match zero {
                Some(zero) if is_zero_from(&self.file, self.end + zero as u64)? => Ending::Zeros,
                Some(_) => Ending::Damaged,
                None if there > 0 => Ending::Unended,
                None => Ending::Whole,
            };
            return Ok((there > 0).then_some(Batch { end: self.end, whole: false }));
        }
    }

    fn next_member(&mut self, rows: &mut Vec<u8>) -> io::Result<Option<Batch>> {
        let mut unpacker = match self.unpacker.take() {
            Some(unpacker) => unpacker,
            None => Unpacker::new(self.codec, self.end)?,
        };
        rows.append(&mut self.rest);
        let mut searched = 0;
        let whole = loop {
            match unpacker.step(&self.file, rows)? {
                Step::Inside if rows.len() < PIECE => {}
                Step::Inside => {
                    if let Some(last) = memrchr(b'\n', &rows[searched..]) {
                        self.rest = rows.split_off(searched + last + 1);
                        self.in_pieces = true;
                        break false;
                    }
                    searched = rows.len();
                }
                Step::MemberEnd if rows.last().is_some_and(|&byte| byte != b'\n') => {}
                Step::MemberEnd => {
                    self.end = unpacker.at;
                    if std::mem::take(&mut self.in_pieces) || !rows.is_empty() {
                        break true;
                    }
                }
                Step::FileEnd if unpacker.at == self.end => {
                    self.is_done = true;
                    return Ok(None);
                }
                step @ (Step::FileEnd | Step::Damaged) => {
                    if self.in_pieces && step == Step::FileEnd {
                        rows.truncate(memrchr(b'\n', rows).map_or(0, |at| at + 1));
                        self.ending = self.torn_as(written_upto(&self.file, self.end)?)?;
                    } else {
                        self.salvage(rows)?;
                    }
                    self.is_done = true;
                    break false;
                }
            }
        };
        self.unpacker = Some(unpacker);
        Ok(Some(Batch { end: self.end, whole }))
    }

    /// What the torn member at `end` yields of whole rows, going by its bytes in front of any hole; none where it was
    /// given in pieces. Finds out whether it is torn or damaged.
    fn salvage(&mut self, rows: &mut Vec<u8>) -> io::Result<()> {
        rows.clear();
        let written = written_upto(&self.file, self.end)?;
        let mut unpacker = Unpacker::new(self.codec, self.end)?;
        unpacker.limit = written.0;
        let step = loop {
            match unpacker.step(&self.file, rows)? {
                Step::Inside | Step::MemberEnd if self.in_pieces => rows.clear(),
                // It was no longer when it was read before.
                Step::Inside | Step::MemberEnd => {}
                step @ (Step::FileEnd | Step::Damaged) => break step,
            }
        };
        self.ending = match step {
            Step::FileEnd => self.torn_as(written)?,
            _ => Ending::Damaged,
        };
        let keeps = step == Step::FileEnd && !self.in_pieces;
        rows.truncate(memrchr(b'\n', rows).filter(|_| keeps).map_or(0, |at| at + 1));
        Ok(())
    }

    /// What a member is that was decoded as far as it can have been written.
    fn torn_as(&self, (upto, is_last): (u64, bool)) -> io::Result<Ending> {
        let magic: &[u8] = match self.codec {
            Codec::Plain => &[],
            Codec::Gzip => &GZIP_MAGIC,
            Codec::Zstd => &ZSTD_MAGIC,
        };
        // The decoder waits for a whole head before it says that it is none.
        let (mut start, length) = (Vec::new(), (upto - self.end).min(magic.len() as u64) as usize);
        read_at(&self.file, self.end, length, &mut start)?;
        let zeros = self.file.metadata()?.len().saturating_sub(upto);
        Ok(match () {
            () if !is_last || !magic.starts_with(&start) => Ending::Damaged,
            () if upto == self.end || zeros > MOST_ZEROS => Ending::Zeros,
            () => Ending::Unended,
        })
    }
}

/// Where the bytes from `from` on end that can have been written: in front of the first sector of zeros, and of any
/// zeros before it; and whether nothing but zeros follows.
fn written_upto(file: &File, from: u64) -> io::Result<(u64, bool)> {
    let (mut at, mut upto, mut chunk) = (from, from, Vec::new());
    loop {
        chunk.clear();
        let room = CHUNK - (at % SECTOR as u64) as usize;
        read_at(file, at, room, &mut chunk)?;
        if chunk.is_empty() {
            return Ok((upto, true));
        }
        let mut rest = &chunk[..];
        while !rest.is_empty() {
            let (sector, behind) = rest.split_at(rest.len().min(SECTOR - (at % SECTOR as u64) as usize));
            match sector.iter().rposition(|&byte| byte != 0) {
                Some(last) => upto = at + last as u64 + 1,
                None if sector.len() == SECTOR => return Ok((upto, is_zero_from(file, at)?)),
                None => {}
            }
            at += sector.len() as u64;
            rest = behind;
        }
    }
}

/// Whether the file has only zeros from there on.
fn is_zero_from(file: &File, mut at: u64) -> io::Result<bool> {
    let mut chunk = Vec::new();
    loop {
        chunk.clear();
        read_at(file, at, CHUNK, &mut chunk)?;
        if chunk.is_empty() {
            return Ok(true);
        }
        if chunk.iter().any(|&byte| byte != 0) {
            return Ok(false);
        }
        at += chunk.len() as u64;
    }
}

/// Undoes the members of a file, step by step.
struct Unpacker {
    decoder: content::Codec,
    input: Vec<u8>,
    taken: usize,
    /// The offset in the file of what is decoded next.
    at: u64,
    /// The file is read up to here.
    limit: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Inside,
    /// A member ends here.
    MemberEnd,
    /// There are no more bytes, and nothing more comes out.
    FileEnd,
    Damaged,
}

impl Unpacker {
    fn new(codec: Codec, at: u64) -> io::Result<Self> {
        let decoder = codec.decoder().map_err(io::Error::other)?;
        let decoder = decoder.expect("invariant: plain rows are not unpacked");
        Ok(Unpacker { decoder, input: Vec::new(), taken: 0, at, limit: u64::MAX })
    }

    /// Decodes a little more and appends it to `rows`.
    fn step(&mut self, file: &File, rows: &mut Vec<u8>) -> io::Result<Step> {
        if self.taken == self.input.len() {
            self.input.clear();
            self.taken = 0;
            let room = (self.limit - self.at).min(CHUNK as u64) as usize;
            read_at(file, self.at, room, &mut self.input)?;
        }
        let input = &self.input[self.taken..];
        // Zeros may pad a gzip stream, but no one pads an output.
        if self.decoder.is_at_end() && input.first() == Some(&0) {
            return Ok(Step::Damaged);
        }
        let (before, was_at_end, is_last) = (rows.len(), self.decoder.is_at_end(), input.is_empty());
        rows.resize(before + STEP, 0);
        let done = self.decoder.step(input, &mut rows[before..]);
        let (consumed, written) = done.as_ref().map_or((0, 0), |&done| done);
        rows.truncate(before + written);
        self.taken += consumed;
        self.at += consumed as u64;
        Ok(match done {
            Err(_) => Step::Damaged,
            Ok(_) if self.decoder.is_at_end() && (consumed > 0 || !was_at_end) => Step::MemberEnd,
            Ok((0, 0)) if is_last => Step::FileEnd,
            Ok((0, 0)) => Step::Damaged,
            Ok(_) => Step::Inside,
        })
    }
}

impl std::fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpacker").field("at", &self.at).finish_non_exhaustive()
    }
}
