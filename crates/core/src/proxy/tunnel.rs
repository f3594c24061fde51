//! The opening of a tunnel, one machine for every kind of proxy, and what can go wrong with it.

use std::fmt;

use http::StatusCode;
use url::Host;

use super::connect::Connect;
use super::socks::{Socks4, Socks5};
use super::{ProxyCredentials, ProxyScheme};
use crate::error::ErrorKind;
use crate::headers::Headers;

/// Where a tunnel leads.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    /// The host as the proxy is to see it: a name if the proxy looks it up.
    pub host: Host<&'a str>,
    /// The port.
    pub port: u16,
}

/// The opening of one tunnel: write what [`Handshake::poll_output`] gives, hand in what comes, until it is open.
#[derive(Debug)]
pub struct Handshake(Machine);

#[derive(Debug)]
enum Machine {
    Connect(Connect),
    Socks4(Socks4),
    Socks5(Socks5),
}

impl Handshake {
    /// By CONNECT (RFC 9110 §9.3.6). `headers` go to the proxy alone; Proxy-Authorization is one of them.
    ///
    /// # Errors
    /// The target cannot be named to this proxy.
    pub fn connect(target: &Target<'_>, headers: &Headers) -> Result<Self, TunnelError> {
        Ok(Handshake(Machine::Connect(Connect::new(target, headers)?)))
    }

    /// By SOCKS, of the version that `scheme` names; with `None` for the schemes that speak HTTP.
    ///
    /// # Errors
    /// Target or credentials cannot be expressed in that version.
    pub fn socks(
        scheme: ProxyScheme,
        target: &Target<'_>,
        credentials: Option<&ProxyCredentials>,
    ) -> Option<Result<Self, TunnelError>> {
        let machine = match scheme {
            ProxyScheme::Http | ProxyScheme::Https => return None,
            // A name is for version 4A alone.
            ProxyScheme::Socks4 if matches!(target.host, Host::Domain(_)) => Err(TunnelError::Target),
            ProxyScheme::Socks4 | ProxyScheme::Socks4a => Socks4::new(target, credentials).map(Machine::Socks4),
            ProxyScheme::Socks5 | ProxyScheme::Socks5h => Socks5::new(target, credentials).map(Machine::Socks5),
        };
        Some(machine.map(Handshake))
    }

    /// What is to be written now; `None` when the proxy is to speak.
    pub fn poll_output(&mut self) -> Option<Vec<u8>> {
        let out = match &mut self.0 {
            Machine::Connect(connect) => &mut connect.out,
            Machine::Socks4(socks) => &mut socks.out,
            Machine::Socks5(socks) => &mut socks.out,
        };
        (!out.is_empty()).then(|| std::mem::take(out))
    }

    /// Looks at the proxy's bytes: all that came and was not consumed before. Says how many are consumed now, and
    /// whether the tunnel is open; if not, either something is to be written or more bytes are needed.
    ///
    /// # Errors
    /// The proxy refuses, or what it says is no answer. Bytes behind the answer are an error too: nobody asked
    /// the server at the tunnel's other end for any.
    pub fn on_bytes(&mut self, input: &[u8]) -> Result<(usize, bool), TunnelError> {
        let (consumed, open) = match &mut self.0 {
            Machine::Connect(connect) => connect.on_bytes(input),
            Machine::Socks4(socks) => socks.on_bytes(input),
            Machine::Socks5(socks) => socks.on_bytes(input),
        }?;
        if open && consumed < input.len() {
            return Err(TunnelError::Surplus);
        }
        Ok((consumed, open))
    }

    /// The connection ended, after everything in `rest` (what is not consumed yet): what that means.
    pub fn on_eof(&self, rest: &[u8]) -> TunnelError {
        match &self.0 {
            // What came may be no HTTP at all, which says more than "closed".
            Machine::Connect(_) => Connect::on_eof(rest),
            Machine::Socks4(_) | Machine::Socks5(_) => TunnelError::Closed,
        }
    }
}

/// Why a tunnel was not opened. The text goes on from the proxy's name: "the proxy … answered 407 …".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TunnelError {
    /// The answer to CONNECT was this status.
    Status(u16),
    /// A SOCKS proxy said no.
    Refused(Refusal),
    /// It wants credentials and none are given.
    WantsCredentials,
    /// It does not take the credentials.
    CredentialsRefused,
    /// What it said is no answer of such a proxy.
    NotAProxy,
    /// Its answer's head is too large.
    HeadTooLarge,
    /// Bytes came behind its answer, before anything was sent through the tunnel.
    Surplus,
    /// The connection ended before an answer.
    Closed,
    /// The host cannot be named to a proxy of this kind.
    Target,
    /// The credentials cannot be told to a proxy of this kind.
    Credentials,
}

/// The reason that a SOCKS proxy gives (RFC 1928 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Its rules do not allow it.
    NotAllowed,
    /// It could not reach the host, or failed otherwise.
    Unreachable(&'static str),
    /// It does not know the command or the kind of address.
    Unsupported,
}

impl TunnelError {
    /// `connect` where the proxy could not reach the host or hung up, so that the next try may go better;
    /// `proxy` for everything else.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            TunnelError::Refused(Refusal::Unreachable(_)) | TunnelError::Closed => ErrorKind::Connect,
            _ => ErrorKind::Proxy,
        }
    }

    /// The status that the proxy answered CONNECT with.
    pub const fn status(&self) -> Option<u16> {
        match self {
            TunnelError::Status(status) => Some(*status),
            _ => None,
        }
    }
}

impl fmt::Display for TunnelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TunnelError::Status(status) => {
                let reason = StatusCode::from_u16(*status).ok().and_then(|status| status.canonical_reason());
                write!(f, "refused the tunnel: {status}")?;
                reason.map_or(Ok(()), |reason| write!(f, " {reason}"))
            }
            TunnelError::Refused(Refusal::NotAllowed) => f.write_str("does not allow the connection"),
            TunnelError::Refused(Refusal::Unreachable(why)) => write!(f, "could not connect: {why}"),
            TunnelError::Refused(Refusal::Unsupported) => f.write_str("does not support such a connection"),
            TunnelError::WantsCredentials => f.write_str("wants a user and a password"),
            TunnelError::CredentialsRefused => f.write_str("does not accept the user and password"),
            TunnelError::NotAProxy => f.write_str("gave no answer of such a proxy"),
            TunnelError::HeadTooLarge => f.write_str("answered with a head that is too large"),
            TunnelError::Surplus => f.write_str("sent more than its answer"),
            TunnelError::Closed => f.write_str("closed the connection before it opened the tunnel"),
            TunnelError::Target => f.write_str("cannot be told this host in its protocol"),
            TunnelError::Credentials => f.write_str("cannot be told these credentials in its protocol"),
        }
    }
}

impl std::error::Error for TunnelError {}
