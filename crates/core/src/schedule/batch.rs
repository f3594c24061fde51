//! Counting the rows of the batch under way. Only one batch is read at a time, so that "the batch is finished"
//! is "it is full or the input ended, and no row is unfinished".

use std::num::NonZeroU64;

#[derive(Debug)]
pub(super) struct Batch {
    size: u64,
    number: u64,
    read: u64,
}

impl Batch {
    pub(super) fn new(size: NonZeroU64) -> Self {
        Batch { size: size.get(), number: 1, read: 0 }
    }

    pub(super) fn on_read(&mut self) {
        self.read += 1;
    }

    /// Whether all its rows were read.
    pub(super) fn is_full(&self) -> bool {
        self.read >= self.size
    }

    /// Called when no row is unfinished: closes the batch if no row is to come, and gives its number and its rows.
    pub(super) fn close(&mut self, input_ended: bool) -> Option<(u64, u64)> {
        let complete = self.is_full() || (input_ended && self.read > 0);
        if !complete {
            return None;
        }
        let closed = (self.number, self.read);
        self.number += 1;
        self.read = 0;
        Some(closed)
    }
}
