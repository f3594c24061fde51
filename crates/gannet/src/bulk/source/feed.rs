//! Brings the bytes of an input in, block by block, as rows are asked for. Whatever else can be read from front to
//! back is one more [`Feed`]; what it brings can be read again if its input is kept by [`Blocks`] as a stream.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::blocks::{Blocks, read_at};
use super::named;

/// The most that a feed brings at once, in bytes.
pub(super) const LARGEST: usize = 256 << 10;
const FIRST: usize = 16 << 10;

/// The bytes of one input, from front to back.
pub(super) trait Feed: Send {
    /// Appends the next bytes to `into`; appends nothing at the end.
    ///
    /// # Errors
    /// The input cannot be read any further.
    fn poll_feed(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<()>>;

    /// How many bytes of its file it has used, where these are not the ones it brings.
    fn taken(&self) -> Option<u64> {
        None
    }
}

/// A regular file. Never pending. Its first block is small, for those of many files that wait with their header read.
pub(super) struct FileFeed {
    file: Arc<File>,
    place: u64,
    block: usize,
}

impl FileFeed {
    pub(super) fn new(file: Arc<File>) -> Self {
        FileFeed { file, place: 0, block: FIRST }
    }
}

impl Feed for FileFeed {
    fn poll_feed(&mut self, _cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<()>> {
        let before = into.len();
        read_at(&self.file, self.place, self.block, into)?;
        self.place += (into.len() - before) as u64;
        self.block = (self.block * 2).min(LARGEST);
        Poll::Ready(Ok(()))
    }
}

/// What was brought in of one input and is not used yet.
pub(super) struct Intake {
    /// `None` once it has ended.
    feed: Option<Box<dyn Feed>>,
    input: usize,
    bytes: Vec<u8>,
    start: usize,
    place: u64,
    /// What the feed said when it was last asked.
    taken: Option<u64>,
}

impl Intake {
    pub(super) fn new(feed: Box<dyn Feed>, input: usize) -> Self {
        Intake { feed: Some(feed), input, bytes: Vec::new(), start: 0, place: 0, taken: None }
    }

    /// The bytes that are there.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// The offset of the first of them in the input.
    pub(super) fn place(&self) -> u64 {
        self.place
    }

    /// How many bytes of the file are done with; the compressed ones of what is in memory count as that.
    pub(super) fn done(&self) -> u64 {
        self.taken.unwrap_or(self.place)
    }

    /// The number of the input.
    pub(super) fn input(&self) -> usize {
        self.input
    }

    pub(super) fn has_ended(&self) -> bool {
        self.feed.is_none()
    }

    /// These many bytes are done with.
    pub(super) fn consume(&mut self, count: usize) {
        self.start += count;
        self.place += count as u64;
    }

    /// Gets more behind what is there; false at the end of the input.
    ///
    /// # Errors
    /// The input cannot be read any further, or the copy of it not written.
    pub(super) fn poll_more(&mut self, cx: &mut Context<'_>, blocks: &mut Blocks) -> Poll<io::Result<bool>> {
        let Some(feed) = &mut self.feed else { return Poll::Ready(Ok(false)) };
        self.bytes.drain(..self.start);
        self.start = 0;
        // After a very long line its room is given back.
        if self.bytes.capacity() > 8 * LARGEST && self.bytes.len() < LARGEST {
            self.bytes.shrink_to(2 * LARGEST);
        }
        let before = self.bytes.len();
        ready!(feed.poll_feed(cx, &mut self.bytes)).map_err(|error| named(blocks.name(self.input), &error))?;
        self.taken = feed.taken();
        if self.bytes.len() == before {
            self.feed = None;
            return Poll::Ready(Ok(false));
        }
        blocks.on_read(self.input, &self.bytes[before..])?;
        Poll::Ready(Ok(true))
    }

    /// Nothing more is wanted: the memory is given back, and a stream's reader told to stop.
    pub(super) fn close(&mut self) {
        self.feed = None;
        self.bytes = Vec::new();
        self.start = 0;
    }
}
