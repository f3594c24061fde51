//! One TCP connection to one address, as the options want its socket.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};

use crate::error::EADDRNOTAVAIL;
use crate::options::{Connections, IpVersion};

/// How sockets are made.
pub(super) struct Sockets {
    version: IpVersion,
    local_address: Option<IpAddr>,
    interface: Option<Box<str>>,
    keepalive: Option<Duration>,
}

impl Sockets {
    pub(super) fn new(options: &Connections) -> Self {
        Sockets {
            version: options.ip_version,
            local_address: options.local_address,
            interface: options.interface.as_deref().map(Box::from),
            // The kernel counts whole seconds, from one on.
            keepalive: options.keepalive.map(|time| time.max(Duration::from_secs(1))),
        }
    }

    /// Whether such an address can be connected to at all.
    pub(super) fn reach(&self, address: &IpAddr) -> bool {
        let version = match self.version {
            IpVersion::Any => true,
            IpVersion::V4 => address.is_ipv4(),
            IpVersion::V6 => address.is_ipv6(),
        };
        version && self.local_address.is_none_or(|local| local.is_ipv4() == address.is_ipv4())
    }

    pub(super) async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A request leaves in one write; waiting to fill a segment only delays it.
        socket.set_nodelay(true)?;
        if let Some(interface) = &self.interface {
            socket
                .bind_device(Some(interface.as_bytes()))
                .map_err(|error| io::Error::new(error.kind(), format!("the interface {interface}: {error}")))?;
        }
        if let Some(local) = self.local_address {
            // Not as a bare EADDRNOTAVAIL, which would mean that the ports ran out.
            socket
                .bind(SocketAddr::new(local, 0))
                .map_err(|error| io::Error::new(error.kind(), format!("the local address {local}: {error}")))?;
        }
        if let Some(time) = self.keepalive {
            let keepalive = TcpKeepalive::new().with_time(time).with_interval(time);
            SockRef::from(&socket).set_tcp_keepalive(&keepalive)?;
        }
        socket.connect(address).await.map_err(|error| match error.raw_os_error() {
            // A machine without IPv6 says this at once, for ever; with IPv4 it means that the ports ran out.
            Some(EADDRNOTAVAIL) if address.is_ipv6() => io::ErrorKind::NetworkUnreachable.into(),
            _ => error,
        })
    }
}
