//! A request on its way out: the head, then the body's pieces, written as far as the socket takes them. It is
//! polled beside the reading of the response, so that a server which answers before it has read everything
//! cannot deadlock with us. The body can be held back until the server asks for it (RFC 9110 §10.1.1).

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use gannet_core::h1;
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use crate::body::{Kind, Source};
use crate::buffer;
use crate::connect::Stream;

/// Bodies up to this size leave in the same write as the head.
const INLINE: usize = 32 << 10;

pub(crate) struct Upload {
    out: Vec<u8>,
    written: usize,
    /// What of `out` is body: no head, and no chunk's.
    content: Range<usize>,
    /// A large body that was in memory already: written from where it is.
    direct: Bytes,
    source: Source,
    /// A piece on its way into a chunk; none in a body that has a length.
    piece: Vec<u8>,
    chunked: bool,
    ended: bool,
    /// How long the head is.
    head: u64,
    /// Bytes that are with the kernel, head and framing included.
    sent: u64,
    /// Those of them that are the body's.
    body_sent: u64,
    /// The source had nothing to give when it was last asked, and all before is written.
    starved: bool,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Sending,
    /// The head goes, and the body waits for a 100 (Continue), until then at the most.
    Held(Instant),
    /// The server answered before the body was begun: it is not sent at all.
    GivenUp,
    /// Everything is with the kernel.
    Sent,
}

/// What one poll of an upload did.
pub(crate) enum Sent {
    /// Everything is with the kernel.
    All,
    /// Something was written, more is to come when the socket takes it.
    Some,
}

impl Upload {
    /// `out` holds the head. A one-time stream is taken out of the body, which then cannot be sent again. The body is
    /// held back until `held`.
    pub(crate) fn new(mut out: Vec<u8>, body: &mut Kind, chunked: bool, held: Option<Instant>) -> Self {
        let mut direct = Bytes::new();
        let head = out.len() as u64;
        let source = match body {
            Kind::Empty => Source::done(),
            Kind::Bytes(bytes) if bytes.len() <= INLINE && held.is_none() => {
                out.extend_from_slice(bytes);
                Source::done()
            }
            Kind::Bytes(bytes) => {
                direct = bytes.clone();
                Source::done()
            }
            other => Source::new(other),
        };
        Upload {
            content: head as usize..out.len(),
            out,
            written: 0,
            direct,
            source,
            piece: Vec::new(),
            chunked,
            ended: false,
            head,
            sent: 0,
            body_sent: 0,
            starved: false,
            state: held.map_or(State::Sending, State::Held),
        }
    }

    /// Whether everything is with the kernel.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Sent
    }

    /// Whether there is something to write, now or once it is released.
    pub(crate) fn is_under_way(&self) -> bool {
        matches!(self.state, State::Sending | State::Held(_))
    }

    /// How long the body waits to be asked for, where it does.
    pub(crate) fn held_until(&self) -> Option<Instant> {
        match self.state {
            State::Held(until) => Some(until),
            _ => None,
        }
    }

    /// Lets the body go.
    pub(crate) fn release(&mut self) {
        self.state = State::Sending;
    }

    /// The final answer is here: a body that still waits is not sent.
    pub(crate) fn on_answer(&mut self) {
        if self.held_until().is_some() {
            self.state = State::GivenUp;
        }
    }

    /// Whether the body was not even begun, the answer being here; a one-time stream is then put back.
    pub(crate) fn reclaim(&mut self, body: &mut Kind) -> bool {
        if self.state != State::GivenUp {
            return false;
        }
        body.put_back(std::mem::replace(&mut self.source, Source::done()));
        true
    }

    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether the body's source has nothing to give now: it is we who are waited for.
    pub(crate) fn is_starved(&self) -> bool {
        self.starved
    }

    /// Bytes of the body that are with the kernel, without the framing of chunks.
    pub(crate) fn body_sent(&self) -> u64 {
        self.body_sent
    }

    /// Writes what the socket takes. Ready when all is written or something was; pending when nothing could be.
    pub(crate) fn poll(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<Sent>> {
        let mut progress = false;
        loop {
            let holds = self.held_until().is_some();
            let pending = match self.written < self.out.len() {
                true => &self.out[self.written..],
                false if holds => &[],
                false => &self.direct[..],
            };
            if !pending.is_empty() {
                match Pin::new(&mut *stream).poll_write(cx, pending) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(count)) => self.on_written(count),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending if progress => return Poll::Ready(Ok(Sent::Some)),
                    Poll::Pending => return Poll::Pending,
                }
                progress = true;
                continue;
            }
            if holds {
                let _ = Pin::new(&mut *stream).poll_flush(cx)?;
                return if progress { Poll::Ready(Ok(Sent::Some)) } else { Poll::Pending };
            }
            self.starved = false;
            match self.poll_next(cx) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => {
                    // What was written is told at once: the flush may wait long for a socket that takes no more.
                    match Pin::new(&mut *stream).poll_flush(cx)? {
                        Poll::Ready(()) => {}
                        Poll::Pending if progress => return Poll::Ready(Ok(Sent::Some)),
                        Poll::Pending => return Poll::Pending,
                    }
                    self.state = State::Sent;
                    buffer::give_write(std::mem::take(&mut self.out));
                    return Poll::Ready(Ok(Sent::All));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(body_error(error))),
                Poll::Pending => {
                    // TLS keeps back what the socket did not take, and the server may wait for it.
                    self.starved = Pin::new(&mut *stream).poll_flush(cx)?.is_ready();
                    return if progress { Poll::Ready(Ok(Sent::Some)) } else { Poll::Pending };
                }
            }
        }
    }

    fn on_written(&mut self, count: usize) {
        self.sent += count as u64;
        if self.written < self.out.len() {
            let until = self.written + count;
            let (from, to) = (self.content.start.max(self.written), self.content.end.min(until));
            self.body_sent += to.saturating_sub(from) as u64;
            self.written = until;
        } else {
            self.body_sent += count as u64;
            let _ = self.direct.split_to(count);
        }
    }

    /// Puts the next piece into `out`; false when there is none.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.out.clear();
        (self.written, self.content) = (0, 0..0);
        if self.ended {
            return Poll::Ready(Ok(false));
        }
        if !self.chunked {
            let more = ready!(self.source.poll_piece(cx, &mut self.out))?;
            self.content = 0..self.out.len();
            self.ended = !more;
            return Poll::Ready(Ok(more));
        }
        self.piece.clear();
        if ready!(self.source.poll_piece(cx, &mut self.piece))? {
            self.content = h1::write_chunk(&mut self.out, &self.piece);
        } else {
            self.ended = true;
            h1::write_last_chunk(&mut self.out);
        }
        Poll::Ready(Ok(true))
    }
}

/// The error is of the request, not of the connection: `send` tells them apart by this kind.
pub(crate) fn is_body_error(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput
}

/// Whatever a stream or file fails with, be it a broken connection of its own, is no failure of ours.
fn body_error(error: io::Error) -> io::Error {
    if is_body_error(&error) { error } else { io::Error::new(io::ErrorKind::InvalidInput, error) }
}
