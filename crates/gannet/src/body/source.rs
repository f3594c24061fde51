//! A body's bytes, piece by piece, wherever they come from: memory, files, a stream. Holds a stream to the length
//! that was announced for it, and a file to that it had.

use std::fs::File;
use std::io::{self, Read, Take};
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::reader::{self, Pipe};
use super::{BodyStream, Kind};
use crate::multipart::Segment;

/// The most that a piece of memory or of a file has.
const PIECE: usize = 64 << 10;

pub(crate) struct Source {
    from: From,
    /// What is still owed under a declared length.
    owed: Option<u64>,
}

enum From {
    Done,
    Bytes(Bytes),
    Segments { segments: Arc<[Segment]>, next: usize, file: Option<Opened> },
    Stream(BodyStream),
}

/// A file of the segments that is being read.
enum Opened {
    /// As many bytes as were announced: fewer is an error, more are left.
    File(Take<File>),
    /// What may block is read aside.
    Pipe(BodyStream),
}

impl Source {
    /// A one-time stream is taken out of the body, which then cannot be sent again.
    pub(crate) fn new(body: &mut Kind) -> Self {
        match body {
            Kind::Empty => Source::done(),
            Kind::Bytes(bytes) => Source::of_bytes(bytes.clone()),
            Kind::Segments { segments, begun, .. } => {
                *begun = true;
                Source::of_segments(segments.clone())
            }
            Kind::Once { stream, length } => {
                stream.take().map_or_else(Source::done, |stream| Source::of_stream(stream, *length))
            }
            Kind::Again { make, length } => Source::of_stream(make(), *length),
        }
    }

    pub(crate) const fn done() -> Self {
        Source { from: From::Done, owed: None }
    }

    pub(super) fn of_bytes(bytes: Bytes) -> Self {
        Source { from: From::Bytes(bytes), owed: None }
    }

    pub(super) fn of_segments(segments: Arc<[Segment]>) -> Self {
        Source { from: From::Segments { segments, next: 0, file: None }, owed: None }
    }

    pub(super) fn of_stream(stream: BodyStream, length: Option<u64>) -> Self {
        Source { from: From::Stream(stream), owed: length }
    }

    /// The stream, where it is one.
    pub(crate) fn into_stream(self) -> Option<BodyStream> {
        match self.from {
            From::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    /// Appends the next piece to `out`; false at the end. A piece may be empty.
    ///
    /// # Errors
    /// A stream that fails, or is longer or shorter than announced; a file that cannot be read, or became shorter.
    pub(crate) fn poll_piece(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<io::Result<bool>> {
        let more = match &mut self.from {
            From::Done => false,
            From::Bytes(bytes) => {
                let piece = bytes.split_to(bytes.len().min(PIECE));
                out.extend_from_slice(&piece);
                !piece.is_empty()
            }
            From::Segments { segments, next, file } => ready!(poll_segment(cx, segments, next, file, out))?,
            From::Stream(pieces) => match ready!(pieces.as_mut().poll_next(cx)).transpose()? {
                Some(piece) => {
                    out.extend_from_slice(&piece);
                    self.pay(piece.len() as u64)?;
                    true
                }
                None if self.owed.is_some_and(|owed| owed > 0) => {
                    return Poll::Ready(Err(invalid("the body's stream ended before its declared length")));
                }
                None => false,
            },
        };
        if !more {
            self.from = From::Done;
        }
        Poll::Ready(Ok(more))
    }

    fn pay(&mut self, count: u64) -> io::Result<()> {
        if let Some(owed) = &mut self.owed {
            let left = owed.checked_sub(count);
            *owed = left.ok_or_else(|| invalid("the body's stream is longer than its declared length"))?;
        }
        Ok(())
    }
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// Appends the next piece of the segments; false at their end. Files are read where we are: a page-cache read of
/// 64 KiB is shorter than handing it to another thread.
fn poll_segment(
    cx: &mut Context<'_>,
    segments: &[Segment],
    next: &mut usize,
    file: &mut Option<Opened>,
    out: &mut Vec<u8>,
) -> Poll<io::Result<bool>> {
    while let Some(segment) = segments.get(*next) {
        match segment {
            Segment::Bytes(bytes) => {
                out.extend_from_slice(bytes);
                *next += 1;
                return Poll::Ready(Ok(true));
            }
            Segment::File { path, length } => {
                let open = match file {
                    Some(open) => open,
                    None => file.insert(Opened::new(path, *length).map_err(|error| file_error(path, &error))?),
                };
                if ready!(open.poll(cx, out)).map_err(|error| file_error(path, &error))? {
                    return Poll::Ready(Ok(true));
                }
                *file = None;
                *next += 1;
            }
        }
    }
    Poll::Ready(Ok(false))
}

fn file_error(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {error}", path.display()))
}

impl Opened {
    fn new(path: &Path, length: Option<u64>) -> io::Result<Self> {
        Ok(match length {
            Some(length) => Opened::File(File::open(path)?.take(length)),
            None => Opened::Pipe(Box::pin(reader::pieces(Pipe::at(path)))),
        })
    }

    /// Appends the next piece; false at the end.
    fn poll(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<io::Result<bool>> {
        match self {
            Opened::File(file) => {
                let read = file.by_ref().take(PIECE as u64).read_to_end(out)?;
                if read == 0 && file.limit() > 0 {
                    return Poll::Ready(Err(io::Error::other("the file became shorter")));
                }
                Poll::Ready(Ok(read > 0))
            }
            Opened::Pipe(pieces) => {
                let piece = ready!(pieces.as_mut().poll_next(cx)).transpose()?;
                out.extend_from_slice(piece.as_deref().unwrap_or_default());
                Poll::Ready(Ok(piece.is_some()))
            }
        }
    }
}
