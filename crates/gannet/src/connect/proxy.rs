//! Through a proxy: a stream to it, TLS over that where it is an https proxy, and a tunnel to the host where one is
//! needed. The tunnel's dialogue is decided by `gannet_core::proxy`; here its bytes are moved.

use std::net::IpAddr;

use gannet_core::Phase;
use gannet_core::proxy::{self, Handshake, ProxyScheme, Refusal, TunnelError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Host;

use super::dial::Dialing;
use super::stream::Stream;
use super::{Connector, Target};
use crate::error::Result;
use crate::proxy::ProxyServer;
use crate::trace::Steps;

/// Where a connection through a proxy begins.
pub(super) struct Through<'a> {
    pub(super) proxy: &'a ProxyServer,
    pub(super) target: &'a Target<'a>,
    /// The connection to the proxy.
    pub(super) dialing: Dialing<'a>,
    /// The lookup of the target's addresses, where the proxy is to be given those.
    pub(super) lookup: Option<Dialing<'a>>,
}

impl ProxyServer {
    /// Whether names are looked up on this side of it.
    pub(super) fn wants_addresses(&self) -> bool {
        matches!(self.url().scheme(), ProxyScheme::Socks4 | ProxyScheme::Socks5)
    }

    /// Where it is reached.
    pub(super) fn target(&self) -> Target<'_> {
        let tls = self.url().scheme() == ProxyScheme::Https;
        Target { host: self.url().host(), name: self.name(), port: self.url().port(), tls, chosen: true }
    }
}

impl Connector {
    /// A stream on which the proxy or, through a tunnel, the target reads what is sent. In `phase` how far it came.
    pub(super) async fn through(
        &self,
        through: Through<'_>,
        phase: &mut Phase,
        progress: &mut Steps,
    ) -> Result<Stream> {
        let Through { proxy, target, dialing, lookup } = through;
        let Some(lookup) = lookup else {
            let stream = self.dialed(dialing, proxy, phase, progress).await?;
            if proxy.is_forwarding(target.tls, self.version) {
                return Ok(stream);
            }
            let tunnel = tunnel(stream, proxy, target, &target.host, phase).await?;
            return tunnel.map_err(|error| proxy.refused(error));
        };
        *phase = Phase::Dns;
        let mut addresses = lookup.addresses(progress).await?;
        // Version 4 has no word for the others.
        addresses.retain(|ip| ip.is_ipv4() || proxy.url().scheme() != ProxyScheme::Socks4);
        let mut addresses = addresses.into_iter().map(host_of);
        let again = proxy.target();
        let mut dialing = Some(dialing);
        let mut address = addresses.next();
        // SOCKS takes one address at a time, and a proxy that could not reach it hangs up.
        while let Some(host) = address {
            let dialing = dialing.take().unwrap_or_else(|| self.dialer.dial(&again, progress));
            address = addresses.next();
            let stream = self.dialed(dialing, proxy, phase, progress).await?;
            match tunnel(stream, proxy, target, &host, phase).await? {
                Err(TunnelError::Refused(Refusal::Unreachable(_))) if address.is_some() => {}
                tunnel => return tunnel.map_err(|error| proxy.refused(error)),
            }
        }
        Err(proxy.refused(TunnelError::Target))
    }

    /// A stream to the proxy itself.
    async fn dialed(
        &self,
        dialing: Dialing<'_>,
        proxy: &ProxyServer,
        phase: &mut Phase,
        progress: &mut Steps,
    ) -> Result<Stream> {
        *phase = Phase::Proxy;
        let steps = async {
            let stream = dialing.stream(&mut Phase::Dns, progress).await?;
            match proxy.url().scheme() {
                ProxyScheme::Https => self.proxy_tls.handshake(&proxy.url().host(), stream, true).await,
                _ => Ok(stream),
            }
        };
        steps.await.map_err(|error| proxy.unreached(error))
    }
}

/// The tunnel to this host.
async fn tunnel(
    mut stream: Stream,
    proxy: &ProxyServer,
    target: &Target<'_>,
    host: &Host<&str>,
    phase: &mut Phase,
) -> Result<Result<Stream, TunnelError>> {
    let scheme = proxy.url().scheme();
    *phase = Phase::Tunnel;
    let to = proxy::Target { host: host.clone(), port: target.port };
    let handshake =
        Handshake::socks(scheme, &to, proxy.credentials()).unwrap_or_else(|| Handshake::connect(&to, proxy.fields()));
    let opened = match handshake {
        Ok(handshake) => open(&mut stream, handshake).await.map_err(|error| proxy.broke(error))?,
        Err(error) => Err(error),
    };
    Ok(opened.map(|()| stream))
}

/// Moves the bytes of a tunnel's opening until it is open or will not be.
async fn open(stream: &mut Stream, mut handshake: Handshake) -> std::io::Result<Result<(), TunnelError>> {
    let mut unread = Vec::new();
    loop {
        if let Some(out) = handshake.poll_output() {
            stream.write_all(&out).await?;
            stream.flush().await?;
        }
        match handshake.on_bytes(&unread) {
            Ok((_, true)) => return Ok(Ok(())),
            Ok((0, false)) => {
                if stream.read_buf(&mut unread).await? == 0 {
                    return Ok(Err(handshake.on_eof(&unread)));
                }
            }
            Ok((consumed, false)) => drop(unread.drain(..consumed)),
            Err(error) => return Ok(Err(error)),
        }
    }
}

fn host_of(address: IpAddr) -> Host<&'static str> {
    match address {
        IpAddr::V4(ip) => Host::Ipv4(ip),
        IpAddr::V6(ip) => Host::Ipv6(ip),
    }
}
