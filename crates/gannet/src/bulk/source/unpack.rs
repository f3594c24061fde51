//! Compressed inputs: what another feed brings, decompressed in place, 256 KiB of it at a time. Several gzip members
//! or zstd frames follow one another as one input. Refused: data that is damaged or ends early, once everything in
//! front of that was given.

#[cfg(test)]
mod tests;

use std::io;
use std::task::{Context, Poll, ready};

use super::feed::{Feed, LARGEST};
use crate::decode::content::Codec;

/// How much compressed input goes into one step: as near as damage can be told.
const STEP: usize = 16 << 10;
/// How much room there is for what comes out of one.
const ROOM: usize = 64 << 10;

/// The bytes of a compressed input, decompressed.
pub(super) struct Unpack {
    feed: Box<dyn Feed>,
    decoder: Codec,
    /// Compressed bytes, and how many of them are used.
    input: Vec<u8>,
    used: usize,
    /// The offset of the next one in the file.
    at: u64,
    has_ended: bool,
    /// What went wrong behind the bytes that were given last.
    failure: Option<io::Error>,
}

impl Unpack {
    pub(super) fn new(feed: Box<dyn Feed>, decoder: Codec) -> Self {
        Unpack { feed, decoder, input: Vec::new(), used: 0, at: 0, has_ended: false, failure: None }
    }

    /// Decompresses what there is into `into`, until it has grown by 256 KiB.
    fn unpack(&mut self, into: &mut Vec<u8>) -> io::Result<()> {
        let full = into.len() + LARGEST;
        loop {
            let input = &self.input[self.used..];
            let input = &input[..input.len().min(STEP)];
            let before = into.len();
            if before == full || (input.is_empty() && !self.has_ended) {
                return Ok(());
            }
            into.resize(full.min(before + ROOM), 0);
            let done = self.decoder.step(input, &mut into[before..]);
            let (used, written) = done.as_ref().map_or((0, 0), |&done| done);
            into.truncate(before + written);
            match done {
                Err(error) => return Err(self.damaged(&error.to_string())),
                Ok((0, 0)) if !input.is_empty() => return Err(self.damaged("its decoder is stuck")),
                Ok((0, 0)) if self.decoder.is_at_end() => return Ok(()),
                Ok((0, 0)) => return Err(self.too_short()),
                Ok(_) => {}
            }
            self.used += used;
            self.at += used as u64;
        }
    }

    fn damaged(&self, why: &str) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, format!("at about byte {} of the file, {why}", self.at))
    }

    fn too_short(&self) -> io::Error {
        let message = format!(
            "the {} data ends early, after {} bytes: the file was not written to its end",
            self.decoder.name(),
            self.at
        );
        io::Error::new(io::ErrorKind::UnexpectedEof, message)
    }
}

impl Feed for Unpack {
    fn poll_feed(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<()>> {
        if let Some(failure) = self.failure.take() {
            return Poll::Ready(Err(failure));
        }
        let before = into.len();
        loop {
            let result = self.unpack(into);
            if into.len() > before {
                self.failure = result.err();
                return Poll::Ready(Ok(()));
            }
            result?;
            if self.has_ended {
                return Poll::Ready(Ok(()));
            }
            self.input.clear();
            self.used = 0;
            ready!(self.feed.poll_feed(cx, &mut self.input))?;
            self.has_ended = self.input.is_empty();
        }
    }

    fn taken(&self) -> Option<u64> {
        Some(self.at)
    }
}
