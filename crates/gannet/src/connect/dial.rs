//! A bare stream to a host and port: its addresses are looked up and raced (RFC 8305; the order is decided by
//! `gannet_core::eyeballs`). The attempts of a race that lose are closed as soon as one has won. Every address
//! passes the guard in the moment it is connected to.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use gannet_core::eyeballs::{Eyeballs, Next, Pace};
use gannet_core::{ErrorKind, Phase};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep_until};
use url::Host;

use super::Target;
use super::dns::{Lookup, Resolver};
use super::guard::{Guard, Refused};
use super::socket::Sockets;
use super::stream::Stream;
use crate::error::{Error, Result, is_exhaustion};
use crate::options::Options;
use crate::resolve::Resolve;
use crate::trace::Steps;

/// What reaches hosts for one session.
pub(super) struct Dialer {
    resolver: Resolver,
    sockets: Sockets,
    /// Each connection begins at another address of a name.
    spreads: bool,
    pace: Pace,
    guard: Guard,
    unix_socket: Option<Arc<Path>>,
}

/// One connection being made. Dropping it closes whatever was opened.
pub(super) struct Dialing<'a> {
    dialer: &'a Dialer,
    route: Route,
    name: &'a str,
    port: u16,
    chosen: bool,
}

enum Route {
    Name(Lookup),
    Address(IpAddr),
    Unix(Arc<Path>),
}

impl Dialer {
    /// # Errors
    /// Kind `request`: options that cannot be, or not together.
    pub(super) fn new(options: &Options, resolver: Option<Arc<dyn Resolve>>) -> Result<Self> {
        let connections = &options.connections;
        let unix_socket: Option<Arc<Path>> = connections.unix_socket.as_deref().map(Arc::from);
        if unix_socket.is_some() && options.guard.deny_private {
            return Err(Error::request("guard.deny_private: connections.unix_socket leads every URL to this machine"));
        }
        let sockets = Sockets::new(connections);
        let mut pace = Pace { attempt_delay: connections.eyeballs_delay, ..Pace::default() };
        if !sockets.reach(&Ipv6Addr::UNSPECIFIED.into()) {
            // What such an answer brings is not used.
            pace.resolution_delay = Duration::ZERO;
        }
        Ok(Dialer {
            resolver: Resolver::new(&options.dns, resolver)?,
            sockets,
            spreads: options.dns.spread,
            pace,
            guard: Guard::new(&options.guard),
            unix_socket,
        })
    }

    /// Forgets the addresses of names.
    pub(super) fn forget_names(&self) {
        self.resolver.clear();
    }

    /// Begins to reach this host and port: its name is being looked up from now on.
    pub(super) fn dial<'a>(&'a self, target: &Target<'a>, progress: &mut Steps) -> Dialing<'a> {
        let route = match (&self.unix_socket, &target.host) {
            (Some(path), _) => Route::Unix(path.clone()),
            (None, Host::Domain(name)) => {
                let lookup = self.resolver.lookup(name, target.port);
                progress.on_lookup(target.name, lookup.is_known());
                Route::Name(lookup)
            }
            (None, Host::Ipv4(ip)) => Route::Address((*ip).into()),
            (None, Host::Ipv6(ip)) => Route::Address((*ip).into()),
        };
        Dialing { dialer: self, route, name: target.name, port: target.port, chosen: target.chosen }
    }

    /// Whether URLs may lead to public addresses only.
    pub(super) fn is_guarded(&self) -> bool {
        self.guard.is_on()
    }

    /// The only place where a TCP connection is begun.
    async fn connect(&self, address: SocketAddr, chosen: bool) -> std::result::Result<TcpStream, Attempt> {
        if !chosen {
            self.guard.judge(address).map_err(Attempt::Refused)?;
        }
        self.sockets.connect(address).await.map_err(Attempt::Failed)
    }
}

impl Dialing<'_> {
    /// Returns when the lookup is being made, no longer queued, which is a wait of our own making; from then on it may
    /// take as long as `limit`.
    pub(super) async fn queued(&mut self, limit: Option<Duration>) {
        if let Route::Name(lookup) = &mut self.route {
            lookup.started(limit).await;
        }
    }

    /// The addresses alone, for a proxy to connect to: those that the guard lets pass.
    pub(super) async fn addresses(self, progress: &mut Steps) -> Result<Vec<IpAddr>> {
        let mut addresses = match self.route {
            Route::Name(lookup) => {
                let cached = lookup.is_known();
                let addresses = lookup.all().await?;
                progress.on_addresses(&addresses, cached);
                addresses
            }
            Route::Address(ip) => vec![ip],
            Route::Unix(_) => Vec::new(),
        };
        let mut refused = None;
        addresses.retain(|ip| match self.dialer.guard.judge(SocketAddr::new(*ip, self.port)) {
            Ok(()) => true,
            Err(why) => {
                refused = Some(why);
                false
            }
        });
        match refused {
            Some(why) if addresses.is_empty() => Err(Attempt::Refused(why).into_error(&[], self.port)),
            _ => Ok(addresses),
        }
    }

    /// The stream, and in `phase` how far it came, should the caller give up.
    pub(super) async fn stream(self, phase: &mut Phase, progress: &mut Steps) -> Result<Stream> {
        let tcp = match self.route {
            Route::Name(lookup) => {
                let race = Race { dialer: self.dialer, name: self.name, port: self.port, chosen: self.chosen };
                race.run(lookup, phase, progress).await?
            }
            Route::Address(ip) => {
                *phase = Phase::Connect;
                progress.on_connect(self.name, self.port);
                if !self.dialer.sockets.reach(&ip) {
                    return Err(Error::request(format!("{ip} is of the IP version that is not used: {UNUSED}")));
                }
                let connected = self.dialer.connect(SocketAddr::new(ip, self.port), self.chosen).await;
                connected.map_err(|attempt| attempt.into_error(&[ip], self.port))?
            }
            Route::Unix(path) => {
                *phase = Phase::Connect;
                progress.on_connect(self.name, self.port);
                let unix = unix(&path).await?;
                progress.on_connected(None, None);
                return Ok(Stream::Unix(unix));
            }
        };
        progress.on_connected(tcp.peer_addr().ok(), tcp.local_addr().ok());
        Ok(Stream::Tcp(tcp))
    }
}

/// What leaves one of the IP versions out.
const UNUSED: &str = "connections.ip_version or connections.local_address says which";

/// Another address first, within each IP version: which of those goes first stays the lookup's to say.
fn shift(addresses: &mut [IpAddr], by: usize) {
    for is_v4 in [true, false] {
        let mut own: Vec<IpAddr> = addresses.iter().copied().filter(|ip| ip.is_ipv4() == is_v4).collect();
        if own.len() < 2 {
            continue;
        }
        let count = own.len();
        own.rotate_left(by % count);
        let places = addresses.iter_mut().filter(|ip| ip.is_ipv4() == is_v4);
        places.zip(own).for_each(|(place, ip)| *place = ip);
    }
}

async fn unix(path: &Path) -> Result<UnixStream> {
    UnixStream::connect(path).await.map_err(|error| {
        Error::io(ErrorKind::Connect, Phase::Connect, "cannot connect", error)
            .with_message(format!("cannot connect to the Unix socket {}", path.display()))
    })
}

/// The addresses of one name, one against the other.
struct Race<'a> {
    dialer: &'a Dialer,
    name: &'a str,
    port: u16,
    chosen: bool,
}

impl Race<'_> {
    async fn run(&self, mut lookup: Lookup, phase: &mut Phase, progress: &mut Steps) -> Result<TcpStream> {
        let mut race = Eyeballs::new(self.dialer.pace);
        let mut attempts = FuturesUnordered::new();
        let (mut known, mut lost, mut resolved) = (Vec::new(), None, false);
        let cached = lookup.is_known();
        loop {
            let until = loop {
                match race.poll(Instant::now().into_std()) {
                    Next::Start(ip) => attempts.push(self.dialer.connect(SocketAddr::new(ip, self.port), self.chosen)),
                    Next::Wait(until) => break until,
                    Next::Failed => return Err(self.lost(lost, &known)),
                }
            };
            let turn = async {
                match until {
                    Some(until) => sleep_until(until.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(attempt) = attempts.next() => match attempt {
                    Ok(stream) => return Ok(stream),
                    Err(attempt) => {
                        race.on_failed();
                        lost = Some(attempt.or(lost));
                    }
                },
                answer = lookup.next(), if !resolved => match answer? {
                    Some(mut addresses) => {
                        if self.dialer.spreads {
                            shift(&mut addresses, fastrand::usize(..));
                        }
                        if *phase == Phase::Dns {
                            progress.on_addresses(&addresses, cached);
                            progress.on_connect(self.name, self.port);
                            *phase = Phase::Connect;
                        }
                        let before = known.len();
                        known.extend(addresses.into_iter().filter(|ip| self.dialer.sockets.reach(ip)));
                        race.on_addresses(&known[before..], Instant::now().into_std());
                    }
                    None => {
                        resolved = true;
                        race.on_resolved();
                    }
                },
                () = turn => {}
            }
        }
    }

    fn lost(&self, lost: Option<Attempt>, addresses: &[IpAddr]) -> Error {
        match lost {
            Some(attempt) => attempt.into_error(addresses, self.port),
            None => Error::new(
                ErrorKind::Dns,
                Phase::Dns,
                format!("the name has no address of the IP version that is used: {UNUSED}"),
            ),
        }
    }
}

/// How an attempt at one address was lost.
enum Attempt {
    Refused(Refused),
    Failed(io::Error),
}

impl Attempt {
    /// The one that says more: what a server said before what this machine lacks, and that before what the guard
    /// forbids.
    fn or(self, other: Option<Attempt>) -> Attempt {
        match (self, other) {
            (Attempt::Refused(_), Some(other)) => other,
            (Attempt::Failed(error), Some(Attempt::Failed(other))) if is_exhaustion(&error) => Attempt::Failed(other),
            (attempt, _) => attempt,
        }
    }

    fn into_error(self, addresses: &[IpAddr], port: u16) -> Error {
        let error = match self {
            Attempt::Refused(refused) => {
                return Error::new(ErrorKind::Denied, Phase::Connect, refused.to_string());
            }
            Attempt::Failed(error) => error,
        };
        let tried = match addresses {
            [only] => SocketAddr::new(*only, port).to_string(),
            many => format!("any of {} addresses, port {port}", many.len()),
        };
        Error::io(ErrorKind::Connect, Phase::Connect, "cannot connect", error)
            .with_message(format!("cannot connect to {tried}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::IpVersion;

    #[test]
    fn every_address_comes_first_at_times_and_the_versions_keep_their_places() {
        let all: Vec<IpAddr> = ["::1", "127.0.0.1", "::2", "127.0.0.2", "::3"].map(|ip| ip.parse().unwrap()).to_vec();
        let mut firsts = std::collections::BTreeSet::new();
        for by in 0..6 {
            let mut shifted = all.clone();
            shift(&mut shifted, by);
            assert!(shifted.iter().zip(&all).all(|(a, b)| a.is_ipv4() == b.is_ipv4()));
            firsts.extend([shifted[0], shifted[1]]);
            shifted.sort();
            let mut sorted = all.clone();
            sorted.sort();
            assert_eq!(shifted, sorted, "none is lost");
        }
        assert_eq!(firsts.len(), 5);
    }

    #[test]
    fn addresses_wait_for_ipv6_only_where_it_is_used() {
        let delay = |version, local: Option<&str>| {
            let mut options = Options::default();
            options.connections.ip_version = version;
            options.connections.local_address = local.map(|local| local.parse().unwrap());
            Dialer::new(&options, None).unwrap().pace.resolution_delay
        };
        assert_eq!(delay(IpVersion::Any, None), Pace::default().resolution_delay);
        assert_eq!(delay(IpVersion::V6, Some("::1")), Pace::default().resolution_delay);
        assert_eq!(delay(IpVersion::V4, None), Duration::ZERO);
        assert_eq!(delay(IpVersion::Any, Some("127.0.0.1")), Duration::ZERO);
    }
}
