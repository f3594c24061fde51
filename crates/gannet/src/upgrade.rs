//! The other protocol that a server switches to (RFC 9110 §7.8): the connection behind a 101, handed out as a stream of
//! bytes. It keeps its slot in the pool until it is dropped, and no request is sent on it any more.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use gannet_core::h1::ResponseHead;
use gannet_core::{ErrorKind, Headers, Phase};
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connect::Stream;
use crate::error::{Error, Result};
use crate::pool::{Cut, Lease, Why};
use crate::response::Response;
use crate::timings::Marks;

/// A connection that speaks another protocol from now on: bytes in both directions, over TLS where the URL was https.
///
/// It counts towards `connections.max` and `connections.max_per_host` until it is dropped, which closes it. No timeout
/// of the session holds here; [`crate::Session::close_within`] cuts it off like everything else.
pub struct Upgraded {
    /// What came behind the head, before anybody looked.
    ahead: Bytes,
    lease: Lease,
    /// Beside the connection's own, which wakes who reads: reading and writing may be two tasks.
    writing: Arc<Cut>,
}

/// What an exchange leaves of its connection when HTTP ends on it.
pub(crate) struct Switched {
    pub(crate) lease: Lease,
    pub(crate) ahead: Bytes,
    pub(crate) marks: Marks,
    /// The whole request had left.
    pub(crate) is_sent: bool,
}

impl Response {
    /// The connection itself, where the server switched protocols: the status is 101, which it is only if the request
    /// asked for it ([`crate::RequestBuilder::upgrade`]). Bytes that came with the head are read first.
    ///
    /// # Errors
    /// Kind `status` where the server answered otherwise, which it may; `protocol` where it did not wait for the whole
    /// request; `body` where the response was read from already.
    pub fn upgrade(mut self) -> Result<Upgraded> {
        if self.status != StatusCode::SWITCHING_PROTOCOLS {
            let error = self.status_error();
            let message = format!("the server did not switch protocols: {}", error.bare_message());
            return Err(self.told(error.with_message(message)));
        }
        let Some(Switched { mut lease, ahead, marks, is_sent }) = self.body.switch() else {
            let message = "nothing is left of the connection: the response was read already";
            return Err(self.told(Error::new(ErrorKind::Body, Phase::Body, message)));
        };
        self.body.end_with(marks);
        if !is_sent {
            // What is written from now on would be taken for the rest of the request.
            let message = "the server switched protocols before it had the whole request";
            let error = self.told(Error::new(ErrorKind::Protocol, Phase::Head, message));
            self.tell_end(Some(&error));
            return Err(error);
        }
        self.tell_end(None);
        lease.because(Why::Ended);
        let writing = lease.watch();
        Ok(Upgraded { ahead, lease, writing })
    }
}

impl Upgraded {
    fn stream(&mut self) -> io::Result<&mut Stream> {
        if self.writing.is_cut() {
            return Err(cut_off());
        }
        self.lease.conn().map(|conn| &mut conn.stream).ok_or_else(cut_off)
    }

    /// As `moved`, unless the session cuts the connection off meanwhile.
    fn or_cut<T>(&self, cx: &mut Context<'_>, moved: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if moved.is_pending() && self.writing.poll(cx) { Poll::Ready(Err(cut_off())) } else { moved }
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let count = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead[..count]);
            self.ahead.advance(count);
            return Poll::Ready(Ok(()));
        }
        let Some(conn) = self.lease.conn() else { return Poll::Ready(Err(cut_off())) };
        if conn.cut.is_cut() {
            return Poll::Ready(Err(cut_off()));
        }
        let read = Pin::new(&mut conn.stream).poll_read(cx, buf);
        if read.is_pending() && conn.cut.poll(cx) {
            return Poll::Ready(Err(cut_off()));
        }
        read
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(self.stream()?).poll_write(cx, bytes);
        self.or_cut(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(self.stream()?).poll_write_vectored(cx, slices);
        self.or_cut(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(self.stream()?).poll_flush(cx);
        self.or_cut(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(self.stream()?).poll_shutdown(cx);
        self.or_cut(cx, shut)
    }
}

impl std::fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upgraded").field("ahead", &self.ahead.len()).finish_non_exhaustive()
    }
}

/// Whether the server switched to something that was asked for (RFC 9110 §7.8: it must not to anything else).
///
/// # Errors
/// Kind `protocol`.
pub(crate) fn check(asked: &Headers, head: &ResponseHead) -> Result<()> {
    let list = |headers: &Headers| -> Vec<Vec<u8>> {
        let names = headers.get_all("upgrade").flat_map(|value| value.split(|&byte| byte == b','));
        names.map(|name| name.trim_ascii().to_ascii_lowercase()).filter(|name| !name.is_empty()).collect()
    };
    let (asked, chosen) = (list(asked), list(&head.headers));
    if !chosen.is_empty() && chosen.iter().all(|name| asked.contains(name)) {
        return Ok(());
    }
    let message = "the server switched to a protocol that was not asked for, or did not say to which";
    Err(Error::new(ErrorKind::Protocol, Phase::Head, message))
}

fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the session was closed")
}
