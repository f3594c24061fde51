//! The origin as its users hold it: built, bound to its addresses, running, and
//! gone when dropped. Every listener owns its connections and ends them with itself.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

use crate::connection::{Connection, Shared};
use crate::runner::{Runner, Serve, Stop, accept};
use crate::stats::Stats;
use crate::tls::Identity;

/// A running origin.
///
/// Dropping it stops it: the listeners close, and every connection is cut,
/// whatever it was doing. An origin that runs on the caller's runtime is gone soon
/// after; wait for it with [`Origin::shutdown`] where that matters, for example to
/// bind the same port again. One on its own thread is gone when `drop` returns.
#[derive(Debug)]
pub struct Origin {
    bound: Bound,
    runner: Runner,
}

/// What an origin's users need to know of it.
#[derive(Debug, Clone)]
struct Bound {
    http: Vec<SocketAddr>,
    https: Vec<SocketAddr>,
    identity: Option<Identity>,
    shared: Arc<Shared>,
    max_streams: u32,
}

/// Says where an origin listens, and starts it.
#[derive(Debug, Clone)]
pub struct Builder {
    http: Vec<String>,
    https: bool,
    https_at: Vec<String>,
    identity: Option<Identity>,
    keep_urls: usize,
    max_streams: u32,
}

impl Origin {
    /// Starts one on the current tokio runtime, with HTTP and HTTPS on free ports
    /// of 127.0.0.1.
    ///
    /// # Errors
    /// When a port cannot be bound.
    pub async fn start() -> io::Result<Origin> {
        Origin::builder().https(true).start().await
    }

    /// Starts the same on a thread and a runtime of its own, for callers that have
    /// none or that want the origin's work off theirs.
    ///
    /// # Errors
    /// When a port cannot be bound or the thread cannot be started.
    pub fn start_blocking() -> io::Result<Origin> {
        Origin::builder().https(true).start_blocking()
    }

    /// Starts from these choices: HTTP on a free port of 127.0.0.1, no HTTPS.
    pub fn builder() -> Builder {
        Builder {
            http: Vec::new(),
            https: false,
            https_at: Vec::new(),
            identity: None,
            keep_urls: 10_000,
            max_streams: 200,
        }
    }

    /// The first HTTP address.
    pub fn addr(&self) -> SocketAddr {
        self.bound.http[0]
    }

    /// All HTTP addresses, in the order they were asked for.
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.bound.http
    }

    /// The first HTTPS address, if HTTPS was asked for.
    pub fn https_addr(&self) -> Option<SocketAddr> {
        self.bound.https.first().copied()
    }

    /// All HTTPS addresses.
    pub fn https_addrs(&self) -> &[SocketAddr] {
        &self.bound.https
    }

    /// `http://ip:port` and this path, which starts with a slash.
    pub fn url(&self, path: &str) -> String {
        self.url_at(0, path)
    }

    /// The same at the nth HTTP address.
    ///
    /// # Panics
    /// When there is no such address.
    pub fn url_at(&self, nth: usize, path: &str) -> String {
        format!("http://{}{path}", self.bound.http[nth])
    }

    /// `https://ip:port` and this path.
    ///
    /// # Panics
    /// When HTTPS was not asked for; [`Origin::https_addr`] tells.
    pub fn https_url(&self, path: &str) -> String {
        let addr = self.https_addr().expect("invariant: the origin was started with HTTPS");
        format!("https://{addr}{path}")
    }

    /// The authority to trust for HTTPS, in PEM.
    ///
    /// # Panics
    /// When HTTPS was not asked for.
    pub fn ca_pem(&self) -> &str {
        let identity = self.bound.identity.as_ref();
        identity.expect("invariant: the origin was started with HTTPS").ca_pem()
    }

    /// What reached it so far.
    pub fn stats(&self) -> Stats {
        self.bound.shared.stats()
    }

    /// Starts the figures again from nothing, and with them the attempts that
    /// `/flaky` counts and the buckets of `/limited`. What is open stays counted.
    pub fn reset_stats(&self) {
        self.bound.shared.reset();
    }

    /// Stops it and waits until its ports are free and its connections closed.
    ///
    /// For an origin on its own thread this blocks the caller for that moment.
    pub async fn shutdown(self) {
        self.runner.shutdown().await;
    }
}

#[expect(clippy::needless_pass_by_value, reason = "so that text and `SocketAddr` go in as they are")]
impl Builder {
    /// Listens for HTTP here instead of at `127.0.0.1:0`. Port 0 means any free one.
    #[must_use]
    pub fn listen(mut self, addr: impl ToString) -> Builder {
        self.http = vec![addr.to_string()];
        self
    }

    /// Listens for HTTP here too. `/stats` keeps separate figures for each address.
    #[must_use]
    pub fn also_listen(mut self, addr: impl ToString) -> Builder {
        if self.http.is_empty() {
            self.http.push(ANYWHERE.to_owned());
        }
        self.http.push(addr.to_string());
        self
    }

    /// Whether to listen for HTTPS too, on a free port of each HTTP address. Default no.
    #[must_use]
    pub fn https(mut self, on: bool) -> Builder {
        self.https = on;
        self
    }

    /// Listens for HTTPS here, instead of on free ports of the HTTP addresses.
    #[must_use]
    pub fn https_listen(mut self, addr: impl ToString) -> Builder {
        self.https_at.push(addr.to_string());
        self
    }

    /// The certificate for HTTPS. Default: a new one for localhost, 127.0.0.1, ::1
    /// and the addresses listened at.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Builder {
        self.identity = Some(identity);
        self
    }

    /// How many distinct URLs [`Stats::urls`] keeps at most. Default 10,000.
    #[must_use]
    pub fn keep_urls(mut self, most: usize) -> Builder {
        self.keep_urls = most;
        self
    }

    /// How many requests a connection of HTTP/2 carries at once. Default 200.
    #[must_use]
    pub fn max_streams(mut self, most: u32) -> Builder {
        self.max_streams = most;
        self
    }

    /// Starts it on the current tokio runtime.
    ///
    /// # Errors
    /// When an address cannot be resolved or bound.
    pub async fn start(self) -> io::Result<Origin> {
        let (bound, server) = self.bind().await?;
        Ok(Origin { bound, runner: Runner::here(server) })
    }

    /// Starts it on a thread and a runtime of its own.
    ///
    /// # Errors
    /// As [`Builder::start`], or when the thread cannot be started.
    pub fn start_blocking(self) -> io::Result<Origin> {
        let (bound, runner) = Runner::on_thread(self.bind())?;
        Ok(Origin { bound, runner })
    }

    async fn bind(mut self) -> io::Result<(Bound, Server)> {
        if self.http.is_empty() {
            self.http.push(ANYWHERE.to_owned());
        }
        let http = bind_all(&self.http).await?;
        if self.https && self.https_at.is_empty() {
            self.https_at = http.iter().map(|(addr, _)| SocketAddr::new(addr.ip(), 0).to_string()).collect();
        }
        let https = bind_all(&self.https_at).await?;
        let all = || http.iter().chain(&https).map(|(addr, _)| *addr);
        let identity = match self.identity {
            _ if https.is_empty() => None,
            Some(identity) => Some(identity),
            None => Some(Identity::for_loopback(all().map(|addr| addr.ip()))?),
        };
        let names = all().map(|addr| addr.to_string()).collect();
        let bound = Bound {
            http: http.iter().map(|(addr, _)| *addr).collect(),
            https: https.iter().map(|(addr, _)| *addr).collect(),
            identity,
            shared: Arc::new(Shared::new(names, self.keep_urls)),
            max_streams: self.max_streams,
        };
        let listeners = http.into_iter().chain(https).map(|(_, listener)| listener).collect();
        Ok((bound.clone(), Server { listeners, bound }))
    }
}

/// Binds each address, and says where that came to be.
async fn bind_all(addrs: &[String]) -> io::Result<Vec<(SocketAddr, TcpListener)>> {
    let mut all = Vec::with_capacity(addrs.len());
    for addr in addrs {
        let listener = bind_one(addr)
            .await
            .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {addr}: {error}")))?;
        all.push((listener.local_addr()?, listener));
    }
    Ok(all)
}

/// Binds the first address this text stands for.
pub(crate) async fn bind_one(addr: &str) -> io::Result<TcpListener> {
    let addr = tokio::net::lookup_host(addr)
        .await?
        .next()
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such address"))?;
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A port whose last connections linger in TIME_WAIT can be bound again.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// A bound origin: the HTTP listeners first, as in [`Bound`].
struct Server {
    listeners: Vec<TcpListener>,
    bound: Bound,
}

impl Serve for Server {
    async fn run(self, stop: Stop) {
        let mut loops = JoinSet::new();
        for (host, listener) in self.listeners.into_iter().enumerate() {
            loops.spawn(serve(listener, host, self.bound.clone(), stop.clone()));
        }
        while loops.join_next().await.is_some() {}
    }
}

/// Serves what comes to one of the addresses.
async fn serve(listener: TcpListener, host: usize, bound: Bound, stop: Stop) {
    let plain = bound.http.len();
    let (local, tls) = match bound.http.get(host) {
        Some(addr) => (*addr, None),
        None => (bound.https[host - plain], bound.identity.as_ref().map(Identity::acceptor_for_both)),
    };
    let serve = |stream, peer| {
        let (shared, tls) = (Arc::clone(&bound.shared), tls.clone());
        Connection { shared, host, local, peer, tls, max_streams: bound.max_streams }.serve(stream)
    };
    accept(listener, stop, serve).await;
}

const ANYWHERE: &str = "127.0.0.1:0";
/// More than any client opens at once; the kernel takes the lesser of this and its own.
const BACKLOG: u32 = 4096;
