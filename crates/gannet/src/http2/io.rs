//! Reads ahead of the frame parser, which asks for small pieces: a system call brings what is there, up to a buffer
//! that is lent only while something stands in it. What the parser cannot tell of a connection's end is noted here.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::heads::{self, Frames, Heads};
use crate::alarm::{Alarm, later};
use crate::buffer::{READ_SIZE, ReadBuffer};
use crate::connect::Stream;
use crate::error::is_tls_refusal;

/// After a failed write the end of what can be read comes at once; if it does not, the connection ends all the same.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Pings, acknowledgements and windows are written in so few bytes: they move nobody's body.
const CONTROL_FRAMES: usize = 64;

pub(super) struct ReadAhead {
    stream: Stream,
    buffer: ReadBuffer,
    start: usize,
    end: usize,
    frames: Frames,
    heard: Arc<Heard>,
    /// A write failed. What the server had to say may still be readable, and says more: an alert of TLS, a GOAWAY.
    broken: Option<Broken>,
}

struct Broken {
    error: io::Error,
    since: Instant,
    alarm: Alarm,
}

/// What is known of a connection beside its frames.
pub(super) struct Heard {
    since: Instant,
    /// When something last came, in nanoseconds from then on.
    at: AtomicU64,
    /// When the socket last took more than control frames, likewise.
    wrote: AtomicU64,
    /// Heads that may still come unread.
    pub(super) heads: Heads,
    going_away: AtomicBool,
    fault: OnceLock<Fault>,
}

/// Why a connection ended that its requests are only told is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A ping was not answered.
    Silent,
    /// The server ended TLS because of a certificate.
    TlsRefused,
    /// More heads came than anyone had looked at.
    Flooded,
}

impl Heard {
    pub(super) fn new() -> Self {
        let (at, wrote) = (AtomicU64::new(0), AtomicU64::new(0));
        let (going_away, fault) = (AtomicBool::new(false), OnceLock::new());
        Heard { since: Instant::now(), at, wrote, heads: Heads::new(), going_away, fault }
    }

    /// Whether the server has said that it ends the connection.
    pub(super) fn is_going_away(&self) -> bool {
        self.going_away.load(Ordering::Relaxed)
    }

    /// The first one counts.
    pub(super) fn blame(&self, fault: Fault) {
        let _ = self.fault.set(fault);
    }

    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault.get().copied()
    }

    /// Changes with everything that comes.
    pub(super) fn at(&self) -> u64 {
        self.at.load(Ordering::Relaxed)
    }

    /// For how long nothing has come.
    pub(super) fn silent_for(&self) -> Duration {
        self.since.elapsed().saturating_sub(Duration::from_nanos(self.at()))
    }

    pub(super) fn wrote_at(&self) -> Instant {
        self.since + Duration::from_nanos(self.wrote.load(Ordering::Relaxed))
    }

    fn nanos(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn on_written(&self, result: &Poll<io::Result<usize>>) {
        if matches!(result, Poll::Ready(Ok(count)) if *count > CONTROL_FRAMES) {
            self.wrote.store(self.nanos(), Ordering::Relaxed);
        }
    }

    fn on_bytes(&self, frames: &mut Frames, bytes: &[u8]) -> io::Result<()> {
        self.at.store(self.nanos(), Ordering::Relaxed);
        let mut fits = true;
        frames.pass(bytes, |kind, stream| match kind {
            heads::HEADERS => fits &= self.heads.admit(stream),
            heads::GOAWAY => self.going_away.store(true, Ordering::Relaxed),
            _ => {}
        });
        if fits {
            return Ok(());
        }
        self.blame(Fault::Flooded);
        Err(io::Error::other("more interim responses than anyone reads"))
    }
}

impl ReadAhead {
    pub(super) fn new(stream: Stream, heard: Arc<Heard>) -> Self {
        let (buffer, frames) = (ReadBuffer::default(), Frames::default());
        ReadAhead { stream, buffer, start: 0, end: 0, frames, heard, broken: None }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Room for as much as a buffer holds needs no buffer between.
        if out.remaining() >= READ_SIZE {
            let before = out.filled().len();
            let result = Pin::new(&mut self.stream).poll_read(cx, out);
            return match &out.filled()[before..] {
                [] => self.poll_end(cx, result),
                bytes => Poll::Ready(self.heard.on_bytes(&mut self.frames, bytes)),
            };
        }
        self.buffer.lend();
        let mut free = ReadBuf::new(&mut self.buffer);
        let result = Pin::new(&mut self.stream).poll_read(cx, &mut free);
        let count = free.filled().len();
        (self.start, self.end) = (0, count);
        if count == 0 {
            self.buffer.give_back();
            return self.poll_end(cx, result);
        }
        Poll::Ready(self.heard.on_bytes(&mut self.frames, &self.buffer[..count]))
    }

    /// Nothing came: not yet, or never again. A failed write says more than the failed read behind it, unless that is
    /// an alert.
    fn poll_end(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<()>>) -> Poll<io::Result<()>> {
        if let Poll::Ready(Err(error)) = &result
            && is_tls_refusal(error)
        {
            self.heard.blame(Fault::TlsRefused);
            return result;
        }
        let Some(broken) = &mut self.broken else { return result };
        if result.is_pending() {
            ready!(broken.alarm.poll(cx, Some(later(broken.since, LAST_WORDS))));
        }
        Poll::Ready(Err(std::mem::replace(&mut broken.error, io::ErrorKind::BrokenPipe.into())))
    }

    /// Keeps the error of a write for later; what is written then goes nowhere.
    fn or_broken<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>, as_if: T) -> Poll<io::Result<T>> {
        match result {
            Poll::Ready(Err(error)) => {
                self.broken = Some(Broken { error, since: Instant::now(), alarm: Alarm::default() });
                // Reading has the last word.
                cx.waker().wake_by_ref();
                Poll::Ready(Ok(as_if))
            }
            result => result,
        }
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
        if self.broken.is_some() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.heard.on_written(&result);
        self.or_broken(cx, result, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all = slices.iter().map(|slice| slice.len()).sum();
        if self.broken.is_some() {
            return Poll::Ready(Ok(all));
        }
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.heard.on_written(&result);
        self.or_broken(cx, result, all)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken.is_some() {
            return Poll::Ready(Ok(()));
        }
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        self.or_broken(cx, result, ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// A connection, and its other end.
    async fn pair() -> (ReadAhead, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (ReadAhead::new(Stream::Tcp(stream), Arc::new(Heard::new())), listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn what_the_server_left_behind_is_read_after_a_failed_write() {
        let (mut near, mut far) = pair().await;
        near.write_all(b"never read").await.unwrap();
        far.readable().await.unwrap();
        far.write_all(b"last words").await.unwrap();
        // What was not read makes it a reset.
        drop(far);
        near.write_all(b"into the void").await.unwrap();
        near.flush().await.unwrap();
        let mut words = [0; 10];
        near.read_exact(&mut words).await.unwrap();
        assert_eq!(&words, b"last words");
        let error = near.read(&mut words).await.unwrap_err();
        assert!([io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset].contains(&error.kind()), "{error:?}");
        near.write_all(b"and more").await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_write_ends_the_reading_for_certain() {
        let (mut near, _far) = pair().await;
        let error = io::ErrorKind::BrokenPipe.into();
        near.broken = Some(Broken { error, since: Instant::now(), alarm: Alarm::default() });
        let started = Instant::now();
        assert_eq!(near.read(&mut [0; 10]).await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(started.elapsed(), LAST_WORDS);
    }
}
