//! Opening a connection: look the name up, race its addresses, shake hands. Each step fails with its own kind.
//! [`Dialer`] reaches a host and port by a bare stream; TLS goes over any stream. Called by `send` with a lease that
//! has no connection; decides nothing about reuse.

mod dial;
mod dns;
mod guard;
mod proxy;
mod socket;
mod stream;
mod tls;

use std::sync::Arc;

use gannet_core::timeout::Timeouts;
use gannet_core::{ErrorKind, Phase};
use tokio::time::{Instant, timeout_at};
use url::{Host, Url};

use crate::alarm::later;
use crate::error::{Error, Result};
use crate::options::{HttpVersion, Options};
use crate::pool::Conn;
use crate::proxy::ProxyServer;
use crate::resolve::Resolve;
use crate::trace::Steps;

use dial::Dialer;
use proxy::Through;
pub(crate) use stream::Stream;
pub use tls::TlsInfo;
use tls::TlsSetup;

/// What opens connections for one session.
pub(crate) struct Connector {
    dialer: Dialer,
    tls: TlsSetup,
    /// For proxies that are spoken to inside TLS.
    proxy_tls: TlsSetup,
    version: HttpVersion,
}

/// Where a URL leads to, and how one speaks there.
pub(crate) struct Target<'a> {
    pub(crate) host: Host<&'a str>,
    /// The host as it stands in the URL.
    pub(crate) name: &'a str,
    pub(crate) port: u16,
    pub(crate) tls: bool,
    /// By the options, not by a URL: the address guard has no say.
    pub(crate) chosen: bool,
}

/// A connection that is wanted: to this URL's origin, through this proxy.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) url: &'a Url,
    pub(crate) via: Option<&'a ProxyServer>,
    /// HTTP/1.1 is to be spoken on it, whatever the session offers.
    pub(crate) http1: bool,
}

impl<'a> Target<'a> {
    pub(crate) fn of(url: &'a Url) -> Result<Self> {
        let host = url.host().ok_or_else(|| Error::new(ErrorKind::Url, Phase::Prepare, "the URL has no host"))?;
        let (name, tls) = (url.host_str().unwrap_or_default(), url.scheme() == "https");
        Ok(Target { host, name, port: url.port().unwrap_or(if tls { 443 } else { 80 }), tls, chosen: false })
    }
}

impl Connector {
    /// # Errors
    /// Kind `request`: options that cannot be, or not together.
    pub(crate) fn new(options: &Options, resolver: Option<Arc<dyn Resolve>>) -> Result<Self> {
        let tls = TlsSetup::new(&options.tls, options.http.version)?;
        // What is said to a proxy is HTTP/1.1.
        let proxy_tls = TlsSetup::new(&options.proxy.tls, HttpVersion::Http1)
            .map_err(|error| Error::request(format!("proxy.{}", error.message())))?;
        Ok(Connector { dialer: Dialer::new(options, resolver)?, tls, proxy_tls, version: options.http.version })
    }

    /// Forgets the addresses of names.
    pub(crate) fn forget_names(&self) {
        self.dialer.forget_names();
    }

    /// Opens a connection to the URL's origin, or to the proxy and through it. `limits.connect` bounds lookup, TCP, a
    /// proxy's tunnel and TLS together, but not the wait for a free thread of our own resolver; `limits.dns` each lookup
    /// alone. `progress` is told of each step.
    pub(crate) async fn connect(&self, wanted: Wanted<'_>, limits: &Timeouts, progress: &mut Steps) -> Result<Conn> {
        let Wanted { url, via, http1 } = wanted;
        let target = Target::of(url)?;
        if self.dialer.is_guarded() && via.is_some_and(|proxy| !proxy.wants_addresses()) {
            // Not even to an address: the connection might be used again for a name.
            let why = "guard.deny_private is on, and this proxy looks names up itself; socks5:// is given addresses";
            return Err(Error::new(ErrorKind::Denied, Phase::Connect, why));
        }
        let reached = via.map(ProxyServer::target);
        let mut dialing = self.dialer.dial(reached.as_ref().unwrap_or(&target), progress);
        dialing.queued(limits.dns).await;
        let mut lookup = via.filter(|proxy| proxy.wants_addresses()).map(|_| self.dialer.dial(&target, progress));
        if let Some(lookup) = &mut lookup {
            lookup.queued(limits.dns).await;
        }
        let mut phase = Phase::Dns;
        let steps = async {
            let stream = match via {
                None => dialing.stream(&mut phase, progress).await?,
                Some(proxy) => {
                    let through = Through { proxy, target: &target, dialing, lookup };
                    self.through(through, &mut phase, progress).await?
                }
            };
            if !target.tls {
                return Ok(Conn::new(stream, progress.finish()));
            }
            phase = Phase::Tls;
            progress.on_handshake();
            let stream = self.tls.handshake(&target.host, stream, http1).await?;
            progress.on_secured(self.tls.info_of(&stream));
            Ok(Conn::new(stream, progress.finish()))
        };
        let Some(limit) = limits.connect else {
            return steps.await;
        };
        match timeout_at(later(Instant::now(), limit), steps).await {
            Ok(result) => result,
            Err(_) => {
                let error = Error::timeout(ErrorKind::TimeoutConnect, phase, limit);
                Err(match via {
                    None => error,
                    Some(proxy) => proxy.timed_out(error),
                })
            }
        }
    }
}
