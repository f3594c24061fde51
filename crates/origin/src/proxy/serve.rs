//! A proxy's listener, and one connection until it is known what is spoken on it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::{Kept, Log, http, socks};
use crate::runner::{Serve, Stop, accept};

/// A bound proxy.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) listener: TcpListener,
    pub(super) kept: Kept,
}

impl Serve for Server {
    async fn run(self, stop: Stop) {
        let kept = self.kept;
        accept(self.listener, stop, |stream, _| serve(stream, Client::accept(&kept.log), kept.clone())).await;
    }
}

/// Errors are the peer's doing and end the connection.
async fn serve(stream: TcpStream, client: Client, kept: Kept) {
    let _ = stream.set_nodelay(true);
    let _ = match kept.identity {
        None => choose(Seen::new(stream), &client).await,
        Some(identity) => match identity.acceptor().accept(stream).await {
            Ok(stream) => choose(Seen::new(stream), &client).await,
            Err(error) => Err(error),
        },
    };
}

/// SOCKS begins with its version; everything else is HTTP.
async fn choose<S: AsyncRead + AsyncWrite + Unpin + Send>(mut stream: Seen<S>, client: &Client) -> io::Result<()> {
    stream.read_more().await?;
    match stream.seen.first() {
        Some(5) => socks::five(stream, client).await,
        Some(4) => socks::four(stream, client).await,
        Some(_) => http::serve(stream, client).await,
        None => Ok(()),
    }
}

/// One connection of a client; counted as open until dropped.
pub(super) struct Client {
    pub(super) log: Arc<Log>,
    pub(super) nth: usize,
}

impl Client {
    fn accept(log: &Arc<Log>) -> Client {
        let mut figures = log.lock();
        figures.accepted += 1;
        figures.open += 1;
        Client { log: Arc::clone(log), nth: figures.accepted - 1 }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.log.lock().open -= 1;
    }
}

/// A stream of which something was read ahead.
pub(super) struct Seen<S> {
    pub(super) stream: S,
    /// Read, and given to the next reader first.
    pub(super) seen: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Seen<S> {
    fn new(stream: S) -> Seen<S> {
        Seen { stream, seen: BytesMut::new() }
    }

    /// Reads once more.
    pub(super) async fn read_more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.seen).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Carries bytes both ways until one side ends or breaks.
    pub(super) async fn relay(mut self, mut target: TcpStream) -> io::Result<()> {
        tokio::io::copy_bidirectional(&mut self, &mut target).await.map(|_| ())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Seen<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.seen.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let count = self.seen.len().min(buf.remaining());
        buf.put_slice(&self.seen[..count]);
        self.seen.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Seen<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
