//! A request on its way out: the head, then the body's pieces, written as far as the socket takes them. It is
//! polled beside the reading of the response, so that a server which answers before it has read everything
//! cannot deadlock with us.

use std::fs::File;
use std::io::{self, Read, Take};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use gannet_core::h1;
use tokio::io::AsyncWrite;

use crate::body::{BodyStream, Kind};
use crate::buffer;
use crate::connect::Stream;
use crate::multipart::Segment;

/// Bodies up to this size leave in the same write as the head.
const INLINE: usize = 32 << 10;

pub(crate) struct Upload {
    out: Vec<u8>,
    written: usize,
    /// A large body that was in memory already: written from where it is.
    direct: Bytes,
    source: Source,
    chunked: bool,
    /// How long the head is.
    head: u64,
    /// Bytes that are with the kernel, head and framing included.
    sent: u64,
    /// What is still owed under a declared length.
    owed: Option<u64>,
    flushed: bool,
}

enum Source {
    Done,
    Segments { segments: Arc<[Segment]>, next: usize, file: Option<Take<File>> },
    Stream(BodyStream),
}

/// What one poll of an upload did.
pub(crate) enum Sent {
    /// Everything is with the kernel.
    All,
    /// Something was written, more is to come when the socket takes it.
    Some,
}

impl Upload {
    /// `out` holds the head. A one-time stream is taken out of the body, which then cannot be sent again.
    pub(crate) fn new(mut out: Vec<u8>, body: &mut Kind, chunked: bool) -> Self {
        let mut direct = Bytes::new();
        let head = out.len() as u64;
        let mut owed = None;
        let source = match body {
            Kind::Empty => Source::Done,
            Kind::Bytes(bytes) if bytes.len() <= INLINE => {
                out.extend_from_slice(bytes);
                Source::Done
            }
            Kind::Bytes(bytes) => {
                direct = bytes.clone();
                Source::Done
            }
            Kind::Segments { segments, .. } => Source::Segments { segments: segments.clone(), next: 0, file: None },
            Kind::Once { stream, length } => {
                owed = *length;
                stream.take().map_or(Source::Done, Source::Stream)
            }
            Kind::Again { make, length } => {
                owed = *length;
                Source::Stream(make())
            }
        };
        Upload { out, written: 0, direct, source, chunked, head, sent: 0, owed, flushed: false }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.flushed
    }

    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Writes what the socket takes. Ready when all is written or something was; pending when nothing could be.
    pub(crate) fn poll(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<Sent>> {
        let mut progress = false;
        loop {
            let pending = if self.written < self.out.len() { &self.out[self.written..] } else { &self.direct[..] };
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
            match self.poll_next(cx) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => {
                    ready!(Pin::new(stream).poll_flush(cx))?;
                    self.flushed = true;
                    buffer::give_write(std::mem::take(&mut self.out));
                    return Poll::Ready(Ok(Sent::All));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(body_error(error))),
                Poll::Pending if progress => return Poll::Ready(Ok(Sent::Some)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn on_written(&mut self, count: usize) {
        self.sent += count as u64;
        if self.written < self.out.len() {
            self.written += count;
        } else {
            let _ = self.direct.split_to(count);
        }
    }

    /// Puts the next piece into `out`; false when there is none.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.out.clear();
        self.written = 0;
        match &mut self.source {
            Source::Done => return Poll::Ready(Ok(false)),
            Source::Segments { segments, next, file } => {
                let mut piece = Vec::new();
                let into = if self.chunked { &mut piece } else { &mut self.out };
                let more = read_segment(segments, next, file, into)?;
                if !more {
                    self.source = Source::Done;
                }
                match (self.chunked, more) {
                    (true, true) => h1::write_chunk(&mut self.out, &piece),
                    (true, false) => h1::write_last_chunk(&mut self.out),
                    (false, more) => return Poll::Ready(Ok(more)),
                }
            }
            Source::Stream(pieces) => match ready!(pieces.as_mut().poll_next(cx)).transpose()? {
                Some(piece) => self.on_piece(&piece)?,
                None => {
                    self.source = Source::Done;
                    if self.owed.is_some_and(|owed| owed > 0) {
                        return Poll::Ready(Err(invalid("the body's stream ended before its declared length")));
                    }
                    if self.chunked {
                        h1::write_last_chunk(&mut self.out);
                    }
                }
            },
        }
        Poll::Ready(Ok(true))
    }

    fn on_piece(&mut self, piece: &[u8]) -> io::Result<()> {
        if let Some(owed) = &mut self.owed {
            *owed = owed
                .checked_sub(piece.len() as u64)
                .ok_or_else(|| invalid("the body's stream is longer than its declared length"))?;
        }
        if self.chunked {
            h1::write_chunk(&mut self.out, piece);
        } else {
            self.out.extend_from_slice(piece);
        }
        Ok(())
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

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// Appends the next piece of the segments; false at their end. Files are read where we are: a page-cache read of
/// 64 KiB is shorter than handing it to another thread.
fn read_segment(
    segments: &[Segment],
    next: &mut usize,
    file: &mut Option<Take<File>>,
    out: &mut Vec<u8>,
) -> io::Result<bool> {
    while let Some(segment) = segments.get(*next) {
        match segment {
            Segment::Bytes(bytes) => {
                out.extend_from_slice(bytes);
                *next += 1;
                return Ok(true);
            }
            Segment::File { path, length } => {
                let file_error = |error: io::Error| {
                    io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {error}", path.display()))
                };
                let open = match file {
                    Some(open) => open,
                    None => {
                        let opened = File::open(path).map_err(file_error)?;
                        // As many bytes as were announced: fewer is an error, more are left.
                        file.insert(opened.take(length.unwrap_or(u64::MAX)))
                    }
                };
                let read = open.by_ref().take(64 << 10).read_to_end(out).map_err(file_error)?;
                if read > 0 {
                    return Ok(true);
                }
                if length.is_some() && open.limit() > 0 {
                    return Err(file_error(io::Error::other("the file became shorter")));
                }
                *file = None;
                *next += 1;
            }
        }
    }
    Ok(false)
}
