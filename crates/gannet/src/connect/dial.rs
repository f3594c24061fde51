//! A bare stream to a host and port: its addresses are looked up and raced (RFC 8305; the order is decided by
//! `gannet_core::eyeballs`). The attempts of a race that lose are closed as soon as one has won.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use gannet_core::eyeballs::{Eyeballs, Next, Pace};
use gannet_core::{ErrorKind, Phase};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep_until};
use url::Host;

use super::Target;
use super::dns::{self, Resolver};
use super::stream::Stream;
use crate::error::{EADDRNOTAVAIL, Error, Result, is_exhaustion};
use crate::options::Options;
use crate::trace::Steps;

/// What reaches hosts for one session.
pub(super) struct Dialer {
    resolver: Resolver,
    unix_socket: Option<Arc<Path>>,
}

/// One connection being made. Dropping it closes whatever was opened.
pub(super) struct Dialing<'a> {
    route: Route,
    name: &'a str,
    port: u16,
}

enum Route {
    Name(dns::Pending),
    Address(IpAddr),
    Unix(Arc<Path>),
}

impl Dialer {
    pub(super) fn new(options: &Options) -> Self {
        let unix_socket = options.connections.unix_socket.as_deref().map(Arc::from);
        Dialer { resolver: Resolver::new(options.dns.clone()), unix_socket }
    }

    /// Begins to reach this host and port: its name is being looked up from now on.
    pub(super) fn dial<'a>(&self, target: &Target<'a>, progress: &mut Steps) -> Dialing<'a> {
        let route = match (&self.unix_socket, &target.host) {
            (Some(path), _) => Route::Unix(path.clone()),
            (None, Host::Domain(name)) => {
                let pending = self.resolver.lookup(name);
                progress.on_lookup(target.name, pending.is_known());
                Route::Name(pending)
            }
            (None, Host::Ipv4(ip)) => Route::Address((*ip).into()),
            (None, Host::Ipv6(ip)) => Route::Address((*ip).into()),
        };
        Dialing { route, name: target.name, port: target.port }
    }
}

impl Dialing<'_> {
    /// Returns when the lookup is being made, no longer queued: a wait of our own making.
    pub(super) async fn queued(&mut self) {
        if let Route::Name(pending) = &mut self.route {
            pending.started().await;
        }
    }

    /// The addresses alone, for a proxy to connect to.
    pub(super) async fn addresses(self, progress: &mut Steps) -> Result<Vec<IpAddr>> {
        match self.route {
            Route::Name(pending) => {
                let cached = pending.is_known();
                let addresses = pending.addresses().await?;
                progress.on_addresses(&addresses, cached);
                Ok(addresses)
            }
            Route::Address(ip) => Ok(vec![ip]),
            Route::Unix(_) => Ok(Vec::new()),
        }
    }

    /// The stream, and in `phase` how far it came, should the caller give up.
    pub(super) async fn stream(self, phase: &mut Phase, progress: &mut Steps) -> Result<Stream> {
        let addresses = match self.route {
            Route::Name(pending) => {
                let cached = pending.is_known();
                let addresses = pending.addresses().await?;
                progress.on_addresses(&addresses, cached);
                addresses
            }
            Route::Address(ip) => vec![ip],
            Route::Unix(path) => {
                *phase = Phase::Connect;
                progress.on_connect(self.name, self.port);
                let unix = unix(&path).await?;
                progress.on_connected(None, None);
                return Ok(Stream::Unix(unix));
            }
        };
        *phase = Phase::Connect;
        progress.on_connect(self.name, self.port);
        let tcp = race(&addresses, self.port).await?;
        progress.on_connected(tcp.peer_addr().ok(), tcp.local_addr().ok());
        Ok(Stream::Tcp(tcp))
    }
}

async fn unix(path: &Path) -> Result<UnixStream> {
    UnixStream::connect(path).await.map_err(|error| {
        Error::io(ErrorKind::Connect, Phase::Connect, "cannot connect", error)
            .with_message(format!("cannot connect to the Unix socket {}", path.display()))
    })
}

async fn race(addresses: &[IpAddr], port: u16) -> Result<TcpStream> {
    if let [only] = addresses {
        return connect(SocketAddr::new(*only, port)).await.map_err(|error| failed(error, &[*only], port));
    }
    let mut race = Eyeballs::new(Pace::default());
    race.on_addresses(addresses, Instant::now().into_std());
    race.on_resolved();
    let mut attempts = FuturesUnordered::new();
    let mut last_error = std::io::Error::from_raw_os_error(EADDRNOTAVAIL);
    loop {
        let until = loop {
            match race.poll(Instant::now().into_std()) {
                Next::Start(address) => attempts.push(connect(SocketAddr::new(address, port))),
                Next::Wait(until) => break until,
                Next::Failed => return Err(failed(last_error, addresses, port)),
            }
        };
        tokio::select! {
            biased;
            Some(result) = attempts.next() => match result {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    race.on_failed();
                    // What a server said is worth more than what this machine lacks.
                    if !is_exhaustion(&error) || is_exhaustion(&last_error) {
                        last_error = error;
                    }
                }
            },
            () = sleep_until(until.unwrap_or_else(std::time::Instant::now).into()), if until.is_some() => {}
        }
    }
}

async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await.map_err(|error| match error.raw_os_error() {
        // A machine without IPv6 says this at once, for ever; with IPv4 it means that the ports ran out.
        Some(EADDRNOTAVAIL) if address.is_ipv6() => std::io::ErrorKind::NetworkUnreachable.into(),
        _ => error,
    })?;
    // A request leaves in one write; waiting to fill a segment only delays it.
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn failed(error: std::io::Error, addresses: &[IpAddr], port: u16) -> Error {
    let tried = match addresses {
        [only] => SocketAddr::new(*only, port).to_string(),
        many => format!("any of {} addresses, port {port}", many.len()),
    };
    Error::io(ErrorKind::Connect, Phase::Connect, "cannot connect", error)
        .with_message(format!("cannot connect to {tried}"))
}
