//! What a trace is told. An event borrows from the request; its `Debug` shows no secret.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use gannet_core::Headers;
use gannet_core::h1::Version;
use http::{Method, StatusCode};
use url::Url;

use crate::connect::TlsInfo;
use crate::error::Error;
use crate::redact::RedactedUrl;
use crate::timings::Timings;

/// One thing that happened to a request. In this order, as far as they happen: waiting, lookup, connect and TLS, or
/// reuse; sending, which may go on while the response comes; the response; once more for every redirect and retry;
/// last `End` or `Error`.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// No connection is free and none may be opened: the request stands in the line.
    QueueStart,
    /// Its turn has come.
    QueueEnd {
        /// How long it waited.
        waited: Duration,
    },
    /// The host's addresses are asked for; several requests for one name share one lookup.
    DnsStart {
        /// The name.
        host: &'a str,
    },
    /// The addresses are known from an earlier lookup, and neither `DnsStart` nor `DnsEnd` comes.
    DnsCacheHit {
        /// The name.
        host: &'a str,
    },
    /// The addresses have come.
    DnsEnd {
        /// All of them, in the resolver's order.
        addresses: &'a [IpAddr],
        /// How long it took, the wait for a free resolver thread included.
        took: Duration,
    },
    /// A connection is being opened.
    ConnectStart {
        /// Where to: the server, or a proxy on the way.
        host: &'a str,
        /// The port.
        port: u16,
    },
    /// It is open.
    ConnectEnd {
        /// The address that took it; none for a socket without.
        peer: Option<SocketAddr>,
        /// How long it took, with all addresses that were tried.
        took: Duration,
    },
    /// The TLS handshake begins.
    TlsStart,
    /// It is done.
    TlsEnd {
        /// How long it took.
        took: Duration,
        /// What was agreed on.
        tls: Option<&'a TlsInfo>,
    },
    /// A kept connection carries the request: no lookup, no connect.
    Reused {
        /// The address at its other end.
        peer: Option<SocketAddr>,
        /// How many requests it has carried before.
        served: u32,
    },
    /// A head is about to be sent, with all that the session adds to the request: the first one, and that of every
    /// redirect and retry.
    Sending {
        /// The protocol version.
        version: Version,
        /// The method.
        method: &'a Method,
        /// What is asked for.
        url: ShownUrl<'a>,
        /// The URL stands whole in the request line: a proxy passes the request on (RFC 9112 §3.2.2).
        whole: bool,
        /// The fields, Host among them, in the order of the wire.
        headers: ShownHeaders<'a>,
    },
    /// The request's head is with the kernel.
    HeadSent {
        /// Its length in bytes.
        bytes: u64,
    },
    /// A part of the request's body is with the kernel, as framed for the wire.
    BodySent {
        /// The length of the part in bytes.
        bytes: u64,
    },
    /// A response's head has come: the last one's, or that of a redirect.
    HeadReceived {
        /// The status.
        status: StatusCode,
        /// The text behind it, where it is not the usual one.
        reason: Option<&'a str>,
        /// The protocol version.
        version: Version,
        /// The fields.
        headers: ShownHeaders<'a>,
    },
    /// A part of a response's body has come, its content codings not undone yet.
    BodyReceived {
        /// The length of the part in bytes.
        bytes: u64,
    },
    /// The response is a redirect, and it is followed.
    Redirect {
        /// Its status.
        status: StatusCode,
        /// What was asked.
        from: ShownUrl<'a>,
        /// What is asked next.
        to: ShownUrl<'a>,
        /// With which method.
        method: &'a Method,
    },
    /// The request is sent once more.
    Retry {
        /// Why.
        reason: RetryReason,
    },
    /// An attempt came to nothing, and another follows after a wait: in [`crate::Session::execute_retrying`] and in a
    /// [`crate::Download`]. Told to those who watch this request alone, who see all of its attempts; a session's trace is
    /// asked anew for each.
    Backoff {
        /// Which attempt it was, from 1.
        attempt: u32,
        /// The status, where one came.
        status: Option<StatusCode>,
        /// What went wrong, where no response came.
        error: Option<&'a Error>,
        /// How long until the next.
        wait: Duration,
    },
    /// The last byte of the body has come. A body that nobody reads to its end never gets here.
    End {
        /// Where the time went.
        timings: &'a Timings,
    },
    /// It failed: no response, or none that is whole.
    Error {
        /// Why.
        error: &'a Error,
    },
}

/// Why a session repeated a request by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryReason {
    /// The server closed a kept connection while the request was on its way, and did not answer (RFC 9112 §9.3.1).
    StaleConnection,
    /// The server did not look at it: it refused the stream, or closes the connection (RFC 9113 §8.7).
    Unprocessed,
    /// The server does not answer for this origin on the kept connection that the request came by (RFC 9110 §15.5.20).
    Misdirected,
    /// The server cannot be waited for by Expect (417), and is sent the request without (RFC 9110 §15.5.18).
    Unexpected,
    /// The server asked who sends this, and is told (RFC 7616).
    Challenge,
}

/// Header fields that show themselves without their secrets: credentials, cookies, the query of another place.
#[derive(Clone, Copy)]
pub struct ShownHeaders<'a>(pub(crate) &'a Headers);

impl<'a> ShownHeaders<'a> {
    /// The fields as they are, their secrets with them.
    pub fn get(self) -> &'a Headers {
        self.0
    }
}

impl fmt::Debug for ShownHeaders<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

/// A URL that shows itself without its secrets.
#[derive(Clone, Copy)]
pub struct ShownUrl<'a>(pub(crate) &'a Url);

impl<'a> ShownUrl<'a> {
    /// The URL as it is, its secrets with it.
    pub fn get(self) -> &'a Url {
        self.0
    }
}

impl fmt::Display for ShownUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&RedactedUrl::new(self.0), f)
    }
}

impl fmt::Debug for ShownUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&RedactedUrl::new(self.0), f)
    }
}
