//! Read and write buffers, lent while bytes are at hand. A connection that waits holds none, so five thousand
//! open connections share the few buffers that one core works on at a time.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Fits a head and a small body in one read, and keeps large downloads at few system calls.
pub(crate) const READ_SIZE: usize = 32 << 10;
const KEPT_PER_THREAD: usize = 16;

thread_local! {
    static READ: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static WRITE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A lent read buffer, or none: then it is empty. Dropping it gives it back.
#[derive(Default)]
pub(crate) struct ReadBuffer(Vec<u8>);

impl ReadBuffer {
    /// Borrows a buffer of [`READ_SIZE`] initialised bytes, if none is held.
    pub(crate) fn lend(&mut self) {
        if self.0.is_empty() {
            self.0 = READ.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; READ_SIZE]);
        }
    }

    pub(crate) fn give_back(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        // One that had to grow is let go.
        if buffer.len() == READ_SIZE {
            READ.with_borrow_mut(|kept| keep(kept, buffer));
        }
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl Deref for ReadBuffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for ReadBuffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

/// An empty buffer to write a request or a row into.
pub(crate) fn take_write() -> Vec<u8> {
    WRITE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(1024))
}

/// Takes a write buffer back.
pub(crate) fn give_write(mut buffer: Vec<u8>) {
    if buffer.capacity() > 0 && buffer.capacity() <= READ_SIZE {
        buffer.clear();
        WRITE.with_borrow_mut(|kept| keep(kept, buffer));
    }
}

fn keep(kept: &mut Vec<Vec<u8>>, buffer: Vec<u8>) {
    if kept.len() < KEPT_PER_THREAD {
        kept.push(buffer);
    }
}
