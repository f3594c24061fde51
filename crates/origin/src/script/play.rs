//! Plays one script on one connection. Every byte read is recorded as it arrives,
//! before any step uses it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::server::TlsStream;

use super::server::Record;
use super::{Script, Step, frames};
use crate::wire::{Cut, Ending, Wire};

/// The connection, with or without TLS.
pub(super) enum Stream {
    Plain(Wire),
    Tls(Box<TlsStream<Wire>>),
}

/// A connection at some step of its script.
pub(super) struct Player<'a> {
    pub(super) stream: Stream,
    pub(super) cut: &'a Cut,
    pub(super) record: &'a Record,
    /// Read and not yet used by a step.
    pub(super) unused: BytesMut,
}

impl Player<'_> {
    /// Plays it to its end, or to where the peer ended it; then the stream is dropped.
    pub(super) async fn play(mut self, script: &Script) -> io::Result<()> {
        loop {
            for step in &script.steps {
                if !self.step(step).await? {
                    return Ok(());
                }
            }
            if !script.repeated || !script.reads() {
                return Ok(());
            }
        }
    }

    /// Whether to go on to the next step.
    async fn step(&mut self, step: &Step) -> io::Result<bool> {
        match step {
            Step::Head => return self.read_head().await,
            Step::Frame(kind) => return self.read_frames(*kind).await,
            Step::Body(len) => return self.read_body(*len).await,
            Step::End | Step::Hang => {
                self.unused.clear();
                while self.read().await? {
                    self.unused.clear();
                }
                return Ok(matches!(step, Step::End));
            }
            Step::Send(bytes) => {
                self.stream.write_all(bytes).await?;
                self.stream.flush().await?;
            }
            Step::SendSlowly(bytes) => {
                for byte in bytes {
                    self.stream.write_all(&[*byte]).await?;
                    self.stream.flush().await?;
                    // Lets a reader on the same runtime take the byte by itself.
                    tokio::task::yield_now().await;
                }
            }
            Step::Wait(go) => go.notified().await,
            Step::Signal(done) => done.notify_one(),
            Step::Meet(barrier) => {
                barrier.wait().await;
            }
            Step::ShutdownWrite => self.stream.shutdown().await?,
            Step::Close => return Ok(false),
            Step::Reset => {
                self.cut.now(Ending::Reset);
                return Ok(false);
            }
            Step::HangUnread => std::future::pending().await,
        }
        Ok(true)
    }

    async fn read_head(&mut self) -> io::Result<bool> {
        loop {
            if let Some(at) = self.unused.windows(4).position(|window| window == b"\r\n\r\n") {
                let _ = self.unused.split_to(at + 4);
                return Ok(true);
            }
            if !self.read().await? {
                return Ok(false);
            }
        }
    }

    /// Reads up to the end of the first frame of this type.
    async fn read_frames(&mut self, kind: u8) -> io::Result<bool> {
        if self.unused.is_empty() && !self.read().await? {
            return Ok(false);
        }
        if self.unused.first() == Some(&b'P') && !self.read_body(frames::PREFACE.len()).await? {
            return Ok(false);
        }
        loop {
            while self.unused.len() < frames::HEAD {
                if !self.read().await? {
                    return Ok(false);
                }
            }
            let length =
                usize::from(self.unused[0]) << 16 | usize::from(self.unused[1]) << 8 | usize::from(self.unused[2]);
            let found = self.unused[3];
            if !self.read_body(frames::HEAD + length).await? {
                return Ok(false);
            }
            if found == kind {
                return Ok(true);
            }
        }
    }

    async fn read_body(&mut self, len: usize) -> io::Result<bool> {
        let mut left = len;
        loop {
            let taken = left.min(self.unused.len());
            let _ = self.unused.split_to(taken);
            left -= taken;
            if left == 0 {
                return Ok(true);
            }
            if !self.read().await? {
                return Ok(false);
            }
        }
    }

    /// Reads once; false at the peer's end.
    async fn read(&mut self) -> io::Result<bool> {
        let from = self.unused.len();
        let count = self.stream.read_buf(&mut self.unused).await?;
        self.record.on_received(&self.unused[from..]);
        Ok(count > 0)
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(wire) => Pin::new(wire).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(wire) => Pin::new(wire).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(wire) => Pin::new(wire).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(wire) => Pin::new(wire).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
