//! Reads ahead of the frame parser, which asks for small pieces: a system call brings what is there, up to a buffer
//! that is lent only while something stands in it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::buffer::{READ_SIZE, ReadBuffer};
use crate::connect::Stream;

pub(super) struct ReadAhead {
    stream: Stream,
    buffer: ReadBuffer,
    start: usize,
    end: usize,
    heard: Arc<Heard>,
}

/// When something last came.
pub(super) struct Heard {
    since: Instant,
    /// Nanoseconds from then on.
    at: AtomicU64,
}

impl Heard {
    pub(super) fn new() -> Self {
        Heard { since: Instant::now(), at: AtomicU64::new(0) }
    }

    /// Changes with everything that comes.
    pub(super) fn at(&self) -> u64 {
        self.at.load(Ordering::Relaxed)
    }

    /// For how long nothing has come.
    pub(super) fn silent_for(&self) -> Duration {
        self.since.elapsed().saturating_sub(Duration::from_nanos(self.at()))
    }

    fn note(&self) {
        let nanos = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.at.store(nanos, Ordering::Relaxed);
    }
}

impl ReadAhead {
    pub(super) fn new(stream: Stream, heard: Arc<Heard>) -> Self {
        ReadAhead { stream, buffer: ReadBuffer::default(), start: 0, end: 0, heard }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Room for as much as a buffer holds needs no buffer between.
        if out.remaining() >= READ_SIZE {
            let before = out.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(cx, out))?;
            if out.filled().len() > before {
                self.heard.note();
            }
            return Poll::Ready(Ok(()));
        }
        self.buffer.lend();
        let mut free = ReadBuf::new(&mut self.buffer);
        let result = Pin::new(&mut self.stream).poll_read(cx, &mut free);
        let count = free.filled().len();
        (self.start, self.end) = (0, count);
        if count == 0 {
            self.buffer.give_back();
        } else {
            self.heard.note();
        }
        result
    }
}

impl AsyncRead for ReadAhead {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = &mut *self;
        if me.start == me.end {
            ready!(me.poll_fill(cx, out))?;
        }
        let count = out.remaining().min(me.end - me.start);
        if count > 0 {
            out.put_slice(&me.buffer[me.start..me.start + count]);
            me.start += count;
            if me.start == me.end {
                me.buffer.give_back();
                (me.start, me.end) = (0, 0);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ReadAhead {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
