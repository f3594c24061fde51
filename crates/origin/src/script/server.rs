//! The server that plays scripts: it gives each connection its own, keeps what was
//! received, and lets a test wait for connections and bytes.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::Script;
use super::play::{Player, Stream};
use crate::origin::bind_one;
use crate::runner::{Runner, Serve, Stop, accept};
use crate::tls::Identity;
use crate::wire::{Cut, Wire};

/// A server on 127.0.0.1 that plays a script on each connection.
///
/// The first connection gets the first script, the next one the second, and so on;
/// the last script serves all further connections too. Dropping the server cuts
/// every connection; see [`Origin`](crate::Origin) for when.
#[derive(Debug)]
pub struct ScriptedServer {
    kept: Kept,
    runner: Runner,
}

/// What a server's users need to know of it.
#[derive(Debug, Clone)]
struct Kept {
    addr: SocketAddr,
    identity: Option<Identity>,
    log: Arc<Log>,
}

/// Gives the nth connection, from 0, its script.
type Choose = Box<dyn FnMut(usize) -> Script + Send>;

impl ScriptedServer {
    /// Starts one on the current tokio runtime.
    ///
    /// # Errors
    /// `InvalidInput` without any script, or when no port can be bound.
    pub async fn start(scripts: impl IntoIterator<Item = Script>) -> io::Result<ScriptedServer> {
        ScriptedServer::here(in_turn(scripts)?, None).await
    }

    /// Starts one that asks this closure for the script of the nth connection, from 0.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start_with(choose: impl FnMut(usize) -> Script + Send + 'static) -> io::Result<ScriptedServer> {
        ScriptedServer::here(Box::new(choose), None).await
    }

    /// Starts one whose scripts run inside TLS. A connection whose handshake fails
    /// uses up its script.
    ///
    /// # Errors
    /// As [`ScriptedServer::start`].
    pub async fn start_tls(
        scripts: impl IntoIterator<Item = Script>,
        identity: &Identity,
    ) -> io::Result<ScriptedServer> {
        ScriptedServer::here(in_turn(scripts)?, Some(identity.clone())).await
    }

    /// The same, where a client that offers HTTP/2 by ALPN is taken at its word.
    ///
    /// # Errors
    /// As [`ScriptedServer::start`].
    pub async fn start_tls_http2(
        scripts: impl IntoIterator<Item = Script>,
        identity: &Identity,
    ) -> io::Result<ScriptedServer> {
        ScriptedServer::here(in_turn(scripts)?, Some(identity.offering_http2())).await
    }

    /// Starts one on a thread and a runtime of its own, for tests of blocking code.
    ///
    /// # Errors
    /// As [`ScriptedServer::start`], or when the thread cannot be started.
    pub fn start_blocking(scripts: impl IntoIterator<Item = Script>) -> io::Result<ScriptedServer> {
        let (kept, runner) = Runner::on_thread(bind(in_turn(scripts)?, None))?;
        Ok(ScriptedServer { kept, runner })
    }

    async fn here(choose: Choose, identity: Option<Identity>) -> io::Result<ScriptedServer> {
        let (kept, server) = bind(choose, identity).await?;
        Ok(ScriptedServer { kept, runner: Runner::here(server) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.kept.addr
    }

    /// `http://ip:port`, or with TLS `https://ip:port`, and this path.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.kept.identity.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.kept.addr)
    }

    /// What each connection has sent so far, in the order they were accepted; with
    /// TLS what it sent inside.
    pub fn received(&self) -> Vec<Vec<u8>> {
        self.kept.log.lock().clone()
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.kept.log.progress.borrow().accepted
    }

    /// Waits until this many connections have been accepted.
    pub async fn wait_for_connections(&self, count: usize) {
        self.wait(|progress| progress.accepted >= count).await;
    }

    /// Waits until this many connections have ended, from either side.
    pub async fn wait_for_closed(&self, count: usize) {
        self.wait(|progress| progress.ended >= count).await;
    }

    /// Waits until at least one connection was accepted and none is open.
    pub async fn wait_for_connections_closed(&self) {
        self.wait(|progress| progress.accepted > 0 && progress.ended == progress.accepted).await;
    }

    /// Waits until this many bytes have been received, on all connections together.
    pub async fn wait_for_received(&self, bytes: usize) {
        self.wait(|progress| progress.received >= bytes).await;
    }

    /// Stops it and waits until its port is free and its connections are closed.
    pub async fn shutdown(self) {
        self.runner.shutdown().await;
    }

    async fn wait(&self, reached: impl FnMut(&Progress) -> bool) {
        let mut progress = self.kept.log.progress.subscribe();
        // Cannot fail: the sender lives in the log, which `self` keeps.
        let _ = progress.wait_for(reached).await;
    }
}

fn in_turn(scripts: impl IntoIterator<Item = Script>) -> io::Result<Choose> {
    let scripts: Vec<Script> = scripts.into_iter().collect();
    let Some(last) = scripts.last().cloned() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a server needs a script"));
    };
    Ok(Box::new(move |nth| scripts.get(nth).unwrap_or(&last).clone()))
}

async fn bind(choose: Choose, identity: Option<Identity>) -> io::Result<(Kept, Server)> {
    let listener = bind_one("127.0.0.1:0").await?;
    let kept = Kept { addr: listener.local_addr()?, identity, log: Arc::new(Log::default()) };
    Ok((kept.clone(), Server { listener, choose, kept }))
}

/// A bound server.
struct Server {
    listener: TcpListener,
    choose: Choose,
    kept: Kept,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("kept", &self.kept).finish_non_exhaustive()
    }
}

impl Serve for Server {
    async fn run(mut self, stop: Stop) {
        let kept = self.kept;
        let serve = |stream, _| {
            let record = Log::accept(&kept.log);
            let script = (self.choose)(record.nth);
            play(stream, script, record, kept.identity.clone())
        };
        accept(self.listener, stop, serve).await;
    }
}

/// Plays a script on a connection. Errors are the peer's doing and end the script.
async fn play(stream: TcpStream, script: Script, record: Record, identity: Option<Identity>) {
    let cut = Arc::new(Cut::default());
    let wire = Wire::new(stream, Arc::clone(&cut));
    let stream = match identity {
        None => Stream::Plain(wire),
        Some(identity) => match identity.acceptor().accept(wire).await {
            Ok(stream) => Stream::Tls(Box::new(stream)),
            Err(_) => return,
        },
    };
    let player = Player { stream, cut: &cut, record: &record, unused: BytesMut::new() };
    let _ = player.play(&script).await;
}

/// What happened on all connections.
#[derive(Debug, Default)]
struct Log {
    received: Mutex<Vec<Vec<u8>>>,
    progress: watch::Sender<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    accepted: usize,
    ended: usize,
    received: usize,
}

impl Log {
    fn accept(log: &Arc<Log>) -> Record {
        let mut received = log.lock();
        let nth = received.len();
        received.push(Vec::new());
        drop(received);
        log.progress.send_modify(|progress| progress.accepted += 1);
        Record { log: Arc::clone(log), nth }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's entry in the log; the connection has ended when this is dropped.
#[derive(Debug)]
pub(super) struct Record {
    log: Arc<Log>,
    nth: usize,
}

impl Record {
    pub(super) fn on_received(&self, bytes: &[u8]) {
        self.log.lock()[self.nth].extend_from_slice(bytes);
        self.log.progress.send_modify(|progress| progress.received += bytes.len());
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.log.progress.send_modify(|progress| progress.ended += 1);
    }
}
