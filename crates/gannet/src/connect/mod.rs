//! Opening a connection: look the name up, race its addresses, shake hands. Each step fails with its own kind.
//! Called by `send` with a lease that has no connection; decides nothing about reuse.

mod dns;
mod stream;
mod tcp;
mod tls;

use gannet_core::{ErrorKind, Phase};
use tokio::time::{Instant, timeout_at};
use url::{Host, Url};

use crate::alarm::later;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::pool::Conn;
use crate::trace::Steps;

use dns::Resolver;
pub(crate) use stream::Stream;
use tls::TlsSetup;

/// What opens connections for one session.
pub(crate) struct Connector {
    resolver: Resolver,
    tls: TlsSetup,
}

impl Connector {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        Ok(Connector { resolver: Resolver::new(options.dns.clone()), tls: TlsSetup::new(&options.tls)? })
    }

    /// Opens a connection to this URL's origin. `limit` bounds lookup, TCP and TLS together, but not the wait for
    /// a free thread of our own resolver. `progress` is told of each step.
    pub(crate) async fn connect(
        &self,
        url: &Url,
        limit: Option<std::time::Duration>,
        progress: &mut Steps,
    ) -> Result<Conn> {
        let port = url.port_or_known_default().unwrap_or(80);
        let lookup = match url.host() {
            Some(Host::Domain(name)) => Lookup::Name(self.resolver.lookup(name)),
            Some(Host::Ipv4(ip)) => Lookup::Address(ip.into()),
            Some(Host::Ipv6(ip)) => Lookup::Address(ip.into()),
            None => return Err(Error::new(ErrorKind::Url, Phase::Prepare, "the URL has no host")),
        };
        let lookup = match lookup {
            Lookup::Name(mut pending) => {
                progress.on_lookup(url.host_str().unwrap_or_default(), pending.is_known());
                pending.started().await;
                Lookup::Name(pending)
            }
            address @ Lookup::Address(_) => address,
        };
        let mut phase = Phase::Dns;
        let steps = async {
            let addresses = match lookup {
                Lookup::Name(pending) => {
                    let cached = pending.is_known();
                    let addresses = pending.addresses().await?;
                    progress.on_addresses(&addresses, cached);
                    addresses
                }
                Lookup::Address(ip) => vec![ip],
            };
            phase = Phase::Connect;
            progress.on_connect(url.host_str().unwrap_or_default(), port);
            let tcp = tcp::connect(&addresses, port).await?;
            progress.on_connected(tcp.peer_addr().ok(), tcp.local_addr().ok());
            if url.scheme() != "https" {
                return Ok(Conn::new(Stream::Tcp(tcp), progress.finish()));
            }
            phase = Phase::Tls;
            progress.on_handshake();
            let host = url.host().ok_or_else(|| Error::new(ErrorKind::Url, Phase::Prepare, "the URL has no host"))?;
            let tls = self.tls.handshake(host, tcp).await?;
            progress.on_secured();
            Ok(Conn::new(Stream::Tls(Box::new(tls)), progress.finish()))
        };
        let Some(limit) = limit else {
            return steps.await;
        };
        match timeout_at(later(Instant::now(), limit), steps).await {
            Ok(result) => result,
            Err(_) => Err(Error::timeout(ErrorKind::TimeoutConnect, phase, limit)),
        }
    }
}

enum Lookup {
    Name(dns::Pending),
    Address(std::net::IpAddr),
}
