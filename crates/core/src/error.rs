//! The names of what can go wrong. A kind is chosen where the failure is seen and never read out of an
//! error's text; it is what rows, summaries and retry rules speak of.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What went wrong, in one word. Few enough, so that a user can learn them all.
///
/// The text form ([`ErrorKind::as_str`]) is stable: it stands in result rows as `error.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorKind {
    /// `input`: a line of the input could not be read as a request.
    Input,
    /// `url`: the URL does not parse, or is neither http nor https.
    Url,
    /// `request`: a method, header, body or option of the request cannot be sent as it stands.
    Request,
    /// `dns`: the name has no address, or the lookup failed.
    Dns,
    /// `denied`: the address guard allows no address of the host.
    Denied,
    /// `connect`: no address accepted a connection.
    Connect,
    /// `tls`: the handshake failed, or the certificate was refused.
    Tls,
    /// `proxy`: the proxy refused to open a tunnel to the host, or what it said is no answer of a proxy. One that
    /// cannot be reached itself, or that could not reach the host, is `dns`, `connect` or `tls` as any server is.
    Proxy,
    /// `connection`: the connection was closed or reset before a whole response head came.
    Connection,
    /// `protocol`: the response breaks HTTP's framing rules.
    Protocol,
    /// `body`: the response's body ended early or its connection broke; what came is not whole.
    Body,
    /// `too_large`: a body grew over its cap, as sent or as decoded.
    TooLarge,
    /// `decode`: content coding, charset or JSON could not be decoded.
    Decode,
    /// `redirect`: too many redirects, a target that cannot be followed, or a body that cannot be sent again.
    Redirect,
    /// `status`: the status is 400 or above, or not the one that was needed.
    Status,
    /// `timeout.pool`: waited too long for a connection to become free.
    TimeoutPool,
    /// `timeout.connect`: lookup, TCP and TLS together took too long.
    TimeoutConnect,
    /// `timeout.read`: the server sent nothing for too long.
    TimeoutRead,
    /// `timeout.total`: one attempt took too long as a whole.
    TimeoutTotal,
    /// `timeout.deadline`: the row with all its attempts took too long.
    TimeoutDeadline,
    /// `resources`: this machine ran out of file descriptors, ports or memory; never the server's fault.
    Resources,
    /// `in-doubt`: a request that must not be sent twice was under way when an earlier run was killed; whether the
    /// server did its work nobody knows, and it was not sent again.
    InDoubt,
    /// `closed`: the session was closed, or the run stopped, before this could finish.
    Closed,
}

impl ErrorKind {
    /// Every kind, in the order of their declaration.
    pub const ALL: [ErrorKind; 23] = [
        ErrorKind::Input,
        ErrorKind::Url,
        ErrorKind::Request,
        ErrorKind::Dns,
        ErrorKind::Denied,
        ErrorKind::Connect,
        ErrorKind::Tls,
        ErrorKind::Proxy,
        ErrorKind::Connection,
        ErrorKind::Protocol,
        ErrorKind::Body,
        ErrorKind::TooLarge,
        ErrorKind::Decode,
        ErrorKind::Redirect,
        ErrorKind::Status,
        ErrorKind::TimeoutPool,
        ErrorKind::TimeoutConnect,
        ErrorKind::TimeoutRead,
        ErrorKind::TimeoutTotal,
        ErrorKind::TimeoutDeadline,
        ErrorKind::Resources,
        ErrorKind::InDoubt,
        ErrorKind::Closed,
    ];

    /// The stable name, as it stands in result rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Input => "input",
            ErrorKind::Url => "url",
            ErrorKind::Request => "request",
            ErrorKind::Dns => "dns",
            ErrorKind::Denied => "denied",
            ErrorKind::Connect => "connect",
            ErrorKind::Tls => "tls",
            ErrorKind::Proxy => "proxy",
            ErrorKind::Connection => "connection",
            ErrorKind::Protocol => "protocol",
            ErrorKind::Body => "body",
            ErrorKind::TooLarge => "too_large",
            ErrorKind::Decode => "decode",
            ErrorKind::Redirect => "redirect",
            ErrorKind::Status => "status",
            ErrorKind::TimeoutPool => "timeout.pool",
            ErrorKind::TimeoutConnect => "timeout.connect",
            ErrorKind::TimeoutRead => "timeout.read",
            ErrorKind::TimeoutTotal => "timeout.total",
            ErrorKind::TimeoutDeadline => "timeout.deadline",
            ErrorKind::Resources => "resources",
            ErrorKind::InDoubt => "in-doubt",
            ErrorKind::Closed => "closed",
        }
    }

    /// Whether this is one of the five timeouts.
    pub const fn is_timeout(self) -> bool {
        matches!(
            self,
            ErrorKind::TimeoutPool
                | ErrorKind::TimeoutConnect
                | ErrorKind::TimeoutRead
                | ErrorKind::TimeoutTotal
                | ErrorKind::TimeoutDeadline
        )
    }

    /// Whether the same request may well succeed a moment later: connection failures and timeouts.
    /// Statuses, a proxy's among them, have a rule of their own, see [`crate::retry::RetryPolicy`].
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            ErrorKind::Dns
                | ErrorKind::Connect
                | ErrorKind::Connection
                | ErrorKind::Body
                | ErrorKind::TimeoutPool
                | ErrorKind::TimeoutConnect
                | ErrorKind::TimeoutRead
                | ErrorKind::TimeoutTotal
                | ErrorKind::Resources
        )
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for ErrorKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ErrorKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        ErrorKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or_else(|| serde::de::Error::custom(format!("unknown error kind {name:?}")))
    }
}

/// Where in the life of a request something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Before anything was asked for: reading options, URL, headers.
    Prepare,
    /// Waiting for a connection of the pool.
    Pool,
    /// Looking up the host's addresses.
    Dns,
    /// Opening a TCP connection.
    Connect,
    /// Looking up and connecting to the proxy, TLS to it included.
    Proxy,
    /// Asking the proxy for a tunnel to the host.
    Tunnel,
    /// The TLS handshake.
    Tls,
    /// Sending head and body.
    Send,
    /// Waiting for the response's head.
    Head,
    /// Reading the response's body.
    Body,
    /// Following a redirect.
    Redirect,
    /// Decoding what came.
    Decode,
}

impl Phase {
    /// The phase as words fit for "while …".
    pub const fn as_str(self) -> &'static str {
        match self {
            Phase::Prepare => "preparing the request",
            Phase::Pool => "waiting for a free connection",
            Phase::Dns => "looking up the host",
            Phase::Connect => "connecting",
            Phase::Proxy => "connecting to the proxy",
            Phase::Tunnel => "waiting for the proxy's tunnel",
            Phase::Tls => "in the TLS handshake",
            Phase::Send => "sending the request",
            Phase::Head => "waiting for the response head",
            Phase::Body => "reading the body",
            Phase::Redirect => "following a redirect",
            Phase::Decode => "decoding the body",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own_that_reads_back() {
        let mut names: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ErrorKind::ALL.len());
        for kind in ErrorKind::ALL {
            let text = serde_json::to_string(&kind).unwrap();
            assert_eq!(serde_json::from_str::<ErrorKind>(&text).unwrap(), kind);
        }
    }
}
