//! The client's side of SOCKS: version 5 with no authentication or user and password (RFC 1928, RFC 1929), and
//! version 4, with names too (SOCKS 4A). Never more is consumed than the proxy's answer holds.

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use url::Host;

use super::ProxyCredentials;
use super::tunnel::{Refusal, Target, TunnelError};

const CONNECT: u8 = 1;
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NONE_ACCEPTABLE: u8 = 0xff;

/// SOCKS 5: methods, then perhaps credentials, then the request.
#[derive(Debug)]
pub(super) struct Socks5 {
    pub(super) out: Vec<u8>,
    awaits: Awaits,
    credentials: Option<Vec<u8>>,
    request: Vec<u8>,
}

#[derive(Debug)]
enum Awaits {
    Method,
    Verdict,
    Reply,
}

impl Socks5 {
    pub(super) fn new(target: &Target<'_>, credentials: Option<&ProxyCredentials>) -> Result<Self, TunnelError> {
        let mut request = vec![5, CONNECT, 0];
        match &target.host {
            Host::Ipv4(ip) => {
                request.push(1);
                request.extend_from_slice(&ip.octets());
            }
            Host::Ipv6(ip) => {
                request.push(4);
                request.extend_from_slice(&ip.octets());
            }
            Host::Domain(name) => {
                request.push(3);
                request.extend_from_slice(&counted(checked(name)?).ok_or(TunnelError::Target)?);
            }
        }
        request.extend_from_slice(&target.port.to_be_bytes());
        let credentials = match credentials {
            None => None,
            Some(ProxyCredentials { user, password }) => {
                let parts = (counted(user.as_bytes()), counted(password.as_bytes()));
                let (Some(user), Some(password)) = parts else { return Err(TunnelError::Credentials) };
                Some([vec![1], user, password].concat())
            }
        };
        let out = match credentials {
            None => vec![5, 1, NO_AUTHENTICATION],
            Some(_) => vec![5, 2, NO_AUTHENTICATION, USER_AND_PASSWORD],
        };
        Ok(Socks5 { out, awaits: Awaits::Method, credentials, request })
    }

    pub(super) fn on_bytes(&mut self, input: &[u8]) -> Result<(usize, bool), TunnelError> {
        match self.awaits {
            Awaits::Method => {
                let Some([5, method]) = front(input, &[5])? else { return Ok((0, false)) };
                match (method, self.credentials.take()) {
                    (NO_AUTHENTICATION, _) => self.ask(),
                    (USER_AND_PASSWORD, Some(credentials)) => {
                        self.out = credentials;
                        self.awaits = Awaits::Verdict;
                    }
                    (NONE_ACCEPTABLE, None) => return Err(TunnelError::WantsCredentials),
                    (NONE_ACCEPTABLE, Some(_)) => return Err(TunnelError::CredentialsRefused),
                    _ => return Err(TunnelError::NotAProxy),
                }
                Ok((2, false))
            }
            Awaits::Verdict => {
                let Some([_, verdict]) = front(input, &[1, 5])? else { return Ok((0, false)) };
                if verdict != 0 {
                    return Err(TunnelError::CredentialsRefused);
                }
                self.ask();
                Ok((2, false))
            }
            Awaits::Reply => reply(input),
        }
    }

    fn ask(&mut self) {
        self.out = std::mem::take(&mut self.request);
        self.awaits = Awaits::Reply;
    }
}

/// Version, reply, reserved, the address that the proxy connected from, port. A refusal needs no address.
fn reply(input: &[u8]) -> Result<(usize, bool), TunnelError> {
    let Some([5, code]) = front(input, &[5])? else { return Ok((0, false)) };
    refusal(code).map_or(Ok(()), |refusal| Err(TunnelError::Refused(refusal)))?;
    let length = match input.get(3..) {
        Some([1, ..]) => 4,
        Some([4, ..]) => 16,
        Some([3, length, ..]) => 1 + usize::from(*length),
        Some([3]) | None | Some([]) => return Ok((0, false)),
        Some(_) => return Err(TunnelError::NotAProxy),
    };
    let whole = 4 + length + 2;
    if input.len() < whole { Ok((0, false)) } else { Ok((whole, true)) }
}

fn refusal(code: u8) -> Option<Refusal> {
    Some(match code {
        0 => return None,
        1 => Refusal::Unreachable("general failure"),
        2 => Refusal::NotAllowed,
        3 => Refusal::Unreachable("network unreachable"),
        4 => Refusal::Unreachable("host unreachable"),
        5 => Refusal::Unreachable("connection refused"),
        6 => Refusal::Unreachable("TTL expired"),
        _ => Refusal::Unsupported,
    })
}

/// SOCKS 4 and 4A: one request, one answer.
#[derive(Debug)]
pub(super) struct Socks4 {
    pub(super) out: Vec<u8>,
}

impl Socks4 {
    pub(super) fn new(target: &Target<'_>, credentials: Option<&ProxyCredentials>) -> Result<Self, TunnelError> {
        let user = match credentials {
            Some(ProxyCredentials { user, password }) if password.is_empty() && !user.contains('\0') => user.as_bytes(),
            // It would go out without the password that was meant to protect it.
            Some(_) => return Err(TunnelError::Credentials),
            None => &[],
        };
        let mut out = vec![4, CONNECT];
        out.extend_from_slice(&target.port.to_be_bytes());
        // An address of 0.0.0.x, x not 0, says that a name follows.
        let (address, name): ([u8; 4], Option<&[u8]>) = match &target.host {
            Host::Ipv4(ip) => (ip.octets(), None),
            Host::Ipv6(ip) => match IpAddr::from(*ip).to_canonical() {
                IpAddr::V4(ip) => (ip.octets(), None),
                IpAddr::V6(_) => return Err(TunnelError::Target),
            },
            Host::Domain(name) => ([0, 0, 0, 1], Some(checked(name)?)),
        };
        out.extend_from_slice(&address);
        out.extend_from_slice(&[user, b"\0"].concat());
        if let Some(name) = name {
            out.extend_from_slice(&[name, b"\0"].concat());
        }
        Ok(Socks4 { out })
    }

    pub(super) fn on_bytes(&mut self, input: &[u8]) -> Result<(usize, bool), TunnelError> {
        let Some([0, code]) = front(input, &[0])? else { return Ok((0, false)) };
        match code {
            90 if input.len() < 8 => Ok((0, false)),
            90 => Ok((8, true)),
            91 => Err(TunnelError::Refused(Refusal::Unreachable("rejected or failed"))),
            92 | 93 => Err(TunnelError::CredentialsRefused),
            _ => Err(TunnelError::NotAProxy),
        }
    }
}

/// The two bytes that every answer begins with, once both are there; the first is one of these.
fn front(input: &[u8], first: &[u8]) -> Result<Option<[u8; 2]>, TunnelError> {
    match input {
        [version, ..] if !first.contains(version) => Err(TunnelError::NotAProxy),
        [version, second, ..] => Ok(Some([*version, *second])),
        _ => Ok(None),
    }
}

/// A name that another program can be handed: no empty one, nothing that is not printable ASCII.
fn checked(name: &str) -> Result<&[u8], TunnelError> {
    let is_name = !name.is_empty() && name.len() <= 255 && name.bytes().all(|byte| byte.is_ascii_graphic());
    is_name.then_some(name.as_bytes()).ok_or(TunnelError::Target)
}

/// A length in one byte, and the bytes.
fn counted(bytes: &[u8]) -> Option<Vec<u8>> {
    let length = u8::try_from(bytes.len()).ok()?;
    Some([&[length], bytes].concat())
}
