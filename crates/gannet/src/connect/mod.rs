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
    /// a free thread of our own resolver.
    pub(crate) async fn connect(&self, url: &Url, limit: Option<std::time::Duration>) -> Result<Conn> {
        let port = url.port_or_known_default().unwrap_or(80);
        let lookup = match url.host() {
            Some(Host::Domain(name)) => Lookup::Name(self.resolver.lookup(name)),
            Some(Host::Ipv4(ip)) => Lookup::Address(ip.into()),
            Some(Host::Ipv6(ip)) => Lookup::Address(ip.into()),
            None => return Err(Error::new(ErrorKind::Url, Phase::Prepare, "the URL has no host")),
        };
        let lookup = match lookup {
            Lookup::Name(mut pending) => {
                pending.started().await;
                Lookup::Name(pending)
            }
            address @ Lookup::Address(_) => address,
        };
        let mut phase = Phase::Dns;
        let steps = async {
            let addresses = match lookup {
                Lookup::Name(pending) => pending.addresses().await?,
                Lookup::Address(ip) => vec![ip],
            };
            phase = Phase::Connect;
            let tcp = tcp::connect(&addresses, port).await?;
            if url.scheme() != "https" {
                return Ok(Conn::new(Stream::Tcp(tcp)));
            }
            phase = Phase::Tls;
            let host = url.host().ok_or_else(|| Error::new(ErrorKind::Url, Phase::Prepare, "the URL has no host"))?;
            Ok(Conn::new(Stream::Tls(Box::new(self.tls.handshake(host, tcp).await?))))
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
