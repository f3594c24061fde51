//! Where a request's time went. Every moment kept here is one that the engine looks at the clock for anyway (when
//! bytes moved), or one of a new connection, which costs a thousand times more than the look: a request on a kept
//! connection pays for nothing but the copying. [`crate::Response::timings`] puts them together when asked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::connect::TlsInfo;

/// What the time of one request went into.
///
/// `queued`, `dns`, `connect` and `tls` are lengths; `sent`, `first_byte`, `head` and `total` are moments, counted
/// from the start of the request. All but `before`, `head` and `total` speak of the last exchange: the one that
/// brought the response. In JSON every one is a number of seconds, `null` for what there was not.
///
/// In a response that no server sent, but a middleware, all of them are zero or none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Timings {
    /// Until the last exchange began: redirects that were followed, and connections that turned out to be closed.
    #[serde(with = "gannet_core::timeout::seconds")]
    pub before: Duration,
    /// Waiting for a connection of the pool; zero where one was free, or could be opened.
    #[serde(with = "gannet_core::timeout::seconds")]
    pub queued: Duration,
    /// The name lookup, the wait for a free resolver thread included; none on a kept connection, or for an address.
    #[serde(with = "gannet_core::timeout::seconds::optional")]
    pub dns: Option<Duration>,
    /// Opening the connection, all addresses that were tried included; none on a kept connection.
    #[serde(with = "gannet_core::timeout::seconds::optional")]
    pub connect: Option<Duration>,
    /// The TLS handshake; none on a kept connection, or without TLS.
    #[serde(with = "gannet_core::timeout::seconds::optional")]
    pub tls: Option<Duration>,
    /// Whether the connection had carried a request before.
    pub reused: bool,
    /// When the last byte of the request was with the kernel; none if the response came before that.
    #[serde(with = "gannet_core::timeout::seconds::optional")]
    pub sent: Option<Duration>,
    /// When the first bytes of the response came (RFC 9110 §15.2: an interim one counts).
    #[serde(with = "gannet_core::timeout::seconds::optional")]
    pub first_byte: Option<Duration>,
    /// When the response's head was there.
    #[serde(with = "gannet_core::timeout::seconds")]
    pub head: Duration,
    /// When the last byte of the body came; none until it has been read.
    #[serde(with = "gannet_core::timeout::seconds::optional")]
    pub total: Option<Duration>,
}

/// How a connection came to be, and between whom it is. Shared by the connection and the responses it brought.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    pub(crate) dns: Option<Duration>,
    pub(crate) connect: Option<Duration>,
    pub(crate) tls: Option<Duration>,
    /// Where the origin is spoken to inside TLS.
    pub(crate) secured: Option<TlsInfo>,
    /// None where the socket has no such address: a Unix socket.
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) local: Option<SocketAddr>,
}

/// What is kept of one exchange while it runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    pub(crate) before: Duration,
    pub(crate) queued: Duration,
    pub(crate) opened: Option<Arc<Opened>>,
    pub(crate) reused: bool,
    pub(crate) sent: Option<Instant>,
    pub(crate) first_byte: Option<Instant>,
    /// When the last byte of the body came.
    pub(crate) ended: Option<Instant>,
}

impl Marks {
    /// `head` is the moment of the head, counted from `started`.
    pub(crate) fn timings(&self, started: Instant, head: Duration) -> Timings {
        let opened = self.opened.as_deref().filter(|_| !self.reused);
        let since = |moment: Option<Instant>| moment.map(|moment| moment.saturating_duration_since(started));
        Timings {
            before: self.before,
            queued: self.queued,
            dns: opened.and_then(|opened| opened.dns),
            connect: opened.and_then(|opened| opened.connect),
            tls: opened.and_then(|opened| opened.tls),
            reused: self.reused,
            sent: since(self.sent),
            first_byte: since(self.first_byte),
            head,
            // A body that was here with its head came before the head was looked at.
            total: since(self.ended).map(|total| total.max(head)),
        }
    }
}
