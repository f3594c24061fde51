//! The socket under a connection, which a handler can have cut: closed or reset,
//! at once or as soon as everything written so far has gone to the kernel.
//! hyper has no such door, so the connection's task waits on the [`Cut`] beside it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// How a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// A FIN, though the message was not complete.
    Close,
    /// A RST (RFC 9293 section 3.10.7.4).
    Reset,
}

/// The order to cut one connection, shared by its handlers, its socket and its task.
#[derive(Debug, Default)]
pub(crate) struct Cut {
    state: AtomicU8,
    fired: Notify,
}

impl Cut {
    /// Cuts at once: what was written and not flushed is lost.
    pub(crate) fn now(&self, ending: Ending) {
        let state = match ending {
            Ending::Close => FIRED_CLOSE,
            Ending::Reset => FIRED_RESET,
        };
        self.state.store(state, Ordering::Release);
        self.fired.notify_one();
    }

    /// Cuts at the socket's next flush, which comes after all writes before it.
    pub(crate) fn once_flushed(&self, ending: Ending) {
        let state = match ending {
            Ending::Close => ARMED_CLOSE,
            Ending::Reset => ARMED_RESET,
        };
        self.state.store(state, Ordering::Release);
    }

    /// Waits until the cut is due; the caller then drops the connection.
    pub(crate) async fn fired(&self) {
        self.fired.notified().await;
    }

    fn on_flushed(&self) {
        match self.state.load(Ordering::Acquire) {
            ARMED_CLOSE => self.now(Ending::Close),
            ARMED_RESET => self.now(Ending::Reset),
            _ => {}
        }
    }

    fn is_reset(&self) -> bool {
        self.state.load(Ordering::Acquire) == FIRED_RESET
    }
}

/// A TCP stream that sends RST instead of FIN when dropped after a reset was ordered.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    cut: Arc<Cut>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, cut: Arc<Cut>) -> Wire {
        // Without this a reply of two writes waits for the peer's delayed ACK.
        let _ = stream.set_nodelay(true);
        Wire { stream, cut }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.cut.is_reset() {
            // A linger of zero makes close(2) send RST (socket(7)).
            let _ = socket2::SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO));
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.cut.on_flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

const ARMED_CLOSE: u8 = 1;
const ARMED_RESET: u8 = 2;
const FIRED_CLOSE: u8 = 3;
const FIRED_RESET: u8 = 4;
