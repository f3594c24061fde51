//! A small proxy for tests: it forwards absolute-form requests, opens tunnels by
//! CONNECT and by SOCKS 4A and 5 on one port, over TLS if asked to, wants credentials
//! if it has some, and keeps a record of what it was asked.
//!
//! It connects to this machine only: every name leads to 127.0.0.1, and an address
//! that is not of the loopback device is refused. For answers that break the rules
//! use [`crate::script::ScriptedServer`].

mod http;
mod serve;
mod socks;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::http::StatusCode;
use tokio::net::TcpStream;

use crate::origin::bind_one;
use crate::runner::Runner;
use crate::tls::Identity;

/// A running proxy on 127.0.0.1. Dropping it stops it and cuts its connections; see
/// [`Origin`](crate::Origin) for when.
#[derive(Debug)]
pub struct Proxy {
    kept: Kept,
    runner: Runner,
}

/// Says what a proxy asks of its clients, and starts it.
#[derive(Debug, Clone, Default)]
pub struct ProxyBuilder {
    rules: Rules,
    identity: Option<Identity>,
}

/// One thing a proxy was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Which connection it came on, from 0.
    pub connection: usize,
    /// `GET http://host/path`, `CONNECT host:port`, `SOCKS5 host:port` or `SOCKS4 host:port`.
    pub what: String,
    /// `user:password` as they were told to the proxy.
    pub credentials: Option<String>,
    /// The fields of an HTTP request, names in lower case.
    pub fields: Vec<(String, String)>,
}

#[derive(Debug, Clone, Default)]
struct Rules {
    credentials: Option<String>,
    refuses: Option<StatusCode>,
}

/// What a proxy's users and its connections share.
#[derive(Debug, Clone)]
struct Kept {
    addr: SocketAddr,
    identity: Option<Identity>,
    log: Arc<Log>,
}

#[derive(Debug, Default)]
struct Log {
    rules: Rules,
    figures: Mutex<Figures>,
}

#[derive(Debug, Default)]
struct Figures {
    asked: Vec<Asked>,
    accepted: usize,
    open: usize,
}

impl Proxy {
    /// Starts one on the current tokio runtime that serves everyone, without TLS.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> io::Result<Proxy> {
        Proxy::builder().start().await
    }

    /// The same on a thread and a runtime of its own, for callers that have none.
    ///
    /// # Errors
    /// As [`Proxy::start`], or when the thread cannot be started.
    pub fn start_blocking() -> io::Result<Proxy> {
        Proxy::builder().start_blocking()
    }

    /// Starts from these choices: everyone is served, without TLS.
    pub fn builder() -> ProxyBuilder {
        ProxyBuilder::default()
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.kept.addr
    }

    /// `scheme://127.0.0.1:port`.
    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.kept.addr)
    }

    /// What it was asked so far, in that order.
    pub fn asked(&self) -> Vec<Asked> {
        self.kept.log.lock().asked.clone()
    }

    /// The same, only [`Asked::what`].
    pub fn lines(&self) -> Vec<String> {
        self.kept.log.lock().asked.iter().map(|asked| asked.what.clone()).collect()
    }

    /// How many connections it accepted.
    pub fn connections(&self) -> usize {
        self.kept.log.lock().accepted
    }

    /// How many are open now.
    pub fn open(&self) -> usize {
        self.kept.log.lock().open
    }

    /// Stops it and waits until its port is free and its connections are closed.
    pub async fn shutdown(self) {
        self.runner.shutdown().await;
    }
}

impl ProxyBuilder {
    /// Serves only who knows these.
    #[must_use]
    pub fn credentials(mut self, user: &str, password: &str) -> ProxyBuilder {
        self.rules.credentials = Some(format!("{user}:{password}"));
        self
    }

    /// Refuses every tunnel and every request: HTTP with this status, SOCKS with
    /// "not allowed". One outside of 100 to 999 is taken for 403.
    #[must_use]
    pub fn refuse(mut self, status: u16) -> ProxyBuilder {
        self.rules.refuses = Some(StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN));
        self
    }

    /// Speaks inside TLS with this certificate.
    #[must_use]
    pub fn identity(mut self, identity: &Identity) -> ProxyBuilder {
        self.identity = Some(identity.clone());
        self
    }

    /// Starts it on the current tokio runtime.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(self) -> io::Result<Proxy> {
        let (kept, server) = self.bind().await?;
        Ok(Proxy { kept, runner: Runner::here(server) })
    }

    /// Starts it on a thread and a runtime of its own.
    ///
    /// # Errors
    /// As [`ProxyBuilder::start`], or when the thread cannot be started.
    pub fn start_blocking(self) -> io::Result<Proxy> {
        let (kept, runner) = Runner::on_thread(self.bind())?;
        Ok(Proxy { kept, runner })
    }

    async fn bind(self) -> io::Result<(Kept, serve::Server)> {
        let listener = bind_one("127.0.0.1:0").await?;
        let log = Arc::new(Log { rules: self.rules, figures: Mutex::default() });
        let kept = Kept { addr: listener.local_addr()?, identity: self.identity, log };
        Ok((kept.clone(), serve::Server { listener, kept }))
    }
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self, asked: Asked) {
        self.lock().asked.push(asked);
    }

    /// Whether who says these credentials is served.
    fn admits(&self, credentials: Option<&str>) -> bool {
        self.rules.credentials.as_deref().is_none_or(|wanted| credentials == Some(wanted))
    }
}

/// Why a target was not reached.
enum Unreached {
    /// It is not on this machine.
    NotAllowed,
    Failed,
}

/// Connects to a host of this machine.
async fn reach(host: &str, port: u16) -> Result<TcpStream, Unreached> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let ip = bare.parse().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    if !ip.is_loopback() {
        return Err(Unreached::NotAllowed);
    }
    let stream = TcpStream::connect((ip, port)).await.map_err(|_| Unreached::Failed)?;
    let _ = stream.set_nodelay(true);
    Ok(stream)
}
