//! Cuts a body that comes in pieces into lines. Sans-io: pieces in, lines out, and one bound on what is held.
//! A line ends with LF or CRLF; a lone CR is part of the line. Refused: a line longer than the bound.

#[cfg(test)]
mod tests;

use bytes::{Buf, Bytes, BytesMut};

use crate::decode::DecodeError;

/// Splits a stream of bytes into lines.
///
/// Give it a piece with [`Lines::push`], take lines with [`Lines::next_line`] until there is none, and ask
/// [`Lines::finish`] for the rest when the stream has ended. It holds at most the longest line and one piece.
#[derive(Debug)]
pub struct Lines {
    buffer: BytesMut,
    /// How much of the buffer is known to hold no LF, so that a long line is looked through once.
    searched: usize,
    max: usize,
}

impl Lines {
    /// A splitter for lines of at most `max` bytes, their ends not counted.
    pub fn new(max: usize) -> Self {
        Lines { buffer: BytesMut::new(), searched: 0, max }
    }

    /// Takes in the next piece of the stream.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole line without its end, or `None` until more has come. Costs no copy: a line that is kept
    /// keeps the piece it came from in memory.
    ///
    /// # Errors
    /// [`gannet_core::ErrorKind::TooLarge`] for a line over the bound, ended or not; what is held is then
    /// thrown away.
    pub fn next_line(&mut self) -> Result<Option<Bytes>, DecodeError> {
        let Some(found) = self.buffer[self.searched..].iter().position(|&b| b == b'\n') else {
            self.searched = self.buffer.len();
            return self.within(self.without_cr(self.searched)).map(|()| None);
        };
        let end = self.searched + found;
        let length = self.without_cr(end);
        self.within(length)?;
        let line = self.buffer.split_to(length).freeze();
        self.buffer.advance(end + 1 - length);
        self.searched = 0;
        Ok(Some(line))
    }

    /// Says that the stream has ended, and gives what stands behind the last line end, if anything. Call it
    /// when [`Lines::next_line`] has no more.
    ///
    /// # Errors
    /// As [`Lines::next_line`].
    pub fn finish(&mut self) -> Result<Option<Bytes>, DecodeError> {
        self.within(self.buffer.len())?;
        self.searched = 0;
        let rest = self.buffer.split().freeze();
        Ok((!rest.is_empty()).then_some(rest))
    }

    fn without_cr(&self, end: usize) -> usize {
        if self.buffer[..end].ends_with(b"\r") { end - 1 } else { end }
    }

    fn within(&mut self, length: usize) -> Result<(), DecodeError> {
        if length <= self.max {
            return Ok(());
        }
        self.buffer.clear();
        self.searched = 0;
        Err(DecodeError::too_large(format!("a line is longer than {} bytes", self.max)))
    }
}
