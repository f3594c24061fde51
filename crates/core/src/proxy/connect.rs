//! CONNECT to an HTTP proxy and its answer. A status of 2xx opens the tunnel right behind the head: Content-Length
//! and Transfer-Encoding in it mean nothing (RFC 9110 §9.3.6). Of any other answer the status is all that is used;
//! its body is never read, and never taken for the origin's.

use std::mem::MaybeUninit;

use url::Host;

use super::tunnel::{Target, TunnelError};
use crate::decimal::write_decimal;
use crate::headers::Headers;

/// The most bytes of an answer's head, interim ones included.
const MAX_HEAD: usize = 64 << 10;
/// The most fields of a head: as in responses.
const MAX_FIELDS: usize = 100;

#[derive(Debug)]
pub(super) struct Connect {
    pub(super) out: Vec<u8>,
    /// Bytes of interim heads so far.
    interim: usize,
    /// How much of the input was searched for a line end already.
    scanned: usize,
}

impl Connect {
    pub(super) fn new(target: &Target<'_>, headers: &Headers) -> Result<Self, TunnelError> {
        let authority = authority(target)?;
        let mut out = [b"CONNECT ", &authority[..], b" HTTP/1.1\r\nhost: ", &authority[..], b"\r\n"].concat();
        for (name, value) in headers.iter() {
            // Which host is meant stands in the target; there is no body to frame.
            if ["host", "content-length", "transfer-encoding"].iter().any(|own| name.eq_ignore_ascii_case(own)) {
                continue;
            }
            out.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        out.extend_from_slice(b"\r\n");
        Ok(Connect { out, interim: 0, scanned: 0 })
    }

    pub(super) fn on_bytes(&mut self, input: &[u8]) -> Result<(usize, bool), TunnelError> {
        let mut at = 0;
        loop {
            let rest = &input[at..];
            // A head can only become whole with a line end: a proxy that sends byte by byte costs no re-parsing.
            let fresh = &rest[self.scanned.min(rest.len())..];
            self.scanned = rest.len();
            let length = match fresh.contains(&b'\n') {
                true => parse(&rest[..rest.len().min(MAX_HEAD)])?,
                false => None,
            };
            match length {
                None if self.interim + rest.len() >= MAX_HEAD => return Err(TunnelError::HeadTooLarge),
                None => return Ok((at, false)),
                Some((length, 200..=299)) => return Ok((at + length, true)),
                Some((length, 100 | 102..=199)) => {
                    self.interim += length;
                    self.scanned = 0;
                    at += length;
                }
                // 101 was not asked for; below 100 there is no status.
                Some((_, 0..=101)) => return Err(TunnelError::NotAProxy),
                Some((_, status)) => return Err(TunnelError::Status(status)),
            }
        }
    }

    pub(super) fn on_eof(rest: &[u8]) -> TunnelError {
        parse(rest).err().unwrap_or(TunnelError::Closed)
    }
}

/// Length and status of the head at the front, if it is whole.
fn parse(bytes: &[u8]) -> Result<Option<(usize, u16)>, TunnelError> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut response, bytes, &mut fields)
        .map_err(|error| match error {
            httparse::Error::TooManyHeaders => TunnelError::HeadTooLarge,
            _ => TunnelError::NotAProxy,
        })?;
    match parsed {
        httparse::Status::Partial => Ok(None),
        httparse::Status::Complete(length) => Ok(Some((length, response.code.ok_or(TunnelError::NotAProxy)?))),
    }
}

/// `host:port`, the port always there. Whatever could end the line or name another host is refused.
fn authority(target: &Target<'_>) -> Result<Vec<u8>, TunnelError> {
    let mut text = match &target.host {
        Host::Domain(name) => name.as_bytes().to_vec(),
        host => host.to_string().into_bytes(),
    };
    let splits = |byte: &u8| !byte.is_ascii_graphic() || b"/?#@\\".contains(byte);
    let is_name = matches!(target.host, Host::Domain(_));
    if text.is_empty() || text.iter().any(splits) || (is_name && text.contains(&b':')) {
        return Err(TunnelError::Target);
    }
    text.push(b':');
    write_decimal(&mut text, u64::from(target.port));
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::proxy::Handshake;

    fn name(host: &str) -> Target<'_> {
        Target { host: Host::Domain(host), port: 443 }
    }

    fn asked(target: &Target<'_>, headers: &Headers) -> String {
        let mut handshake = Handshake::connect(target, headers).unwrap();
        let out = handshake.poll_output().unwrap();
        assert_eq!(handshake.poll_output(), None);
        String::from_utf8(out).unwrap()
    }

    /// The answer whole, and in pieces of one byte: both ways must come to the same.
    fn answered(answer: &[u8]) -> Result<bool, TunnelError> {
        let headers = Headers::new();
        let whole = Handshake::connect(&name("h"), &headers).unwrap().on_bytes(answer).map(|(_, open)| open);
        let mut handshake = Handshake::connect(&name("h"), &headers).unwrap();
        let (mut start, mut result) = (0, Ok(false));
        for end in 1..=answer.len() {
            match handshake.on_bytes(&answer[start..end]) {
                Ok((_, true)) if end < answer.len() => result = Err(TunnelError::Surplus),
                Ok((consumed, open)) => {
                    start += consumed;
                    result = Ok(open);
                    continue;
                }
                Err(error) => result = Err(error),
            }
            break;
        }
        assert_eq!(whole, result, "{:?}", String::from_utf8_lossy(answer));
        whole
    }

    #[test]
    fn the_request_names_host_and_port_and_carries_the_proxys_fields() {
        let mut headers = Headers::new();
        headers.append_secret("Proxy-Authorization", "Basic eA==").unwrap();
        headers.append("Host", "other").unwrap();
        headers.append("Content-Length", "5").unwrap();
        assert_eq!(
            asked(&name("example.com"), &headers),
            "CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\nProxy-Authorization: Basic eA==\r\n\r\n"
        );
        let six = Target { host: Host::Ipv6("::1".parse().unwrap()), port: 8443 };
        assert!(asked(&six, &Headers::new()).starts_with("CONNECT [::1]:8443 HTTP/1.1\r\nhost: [::1]:8443\r\n"));
    }

    #[test]
    fn item_19_a_host_that_would_split_the_request_is_refused() {
        for host in ["", "a\r\nx: y", "a\nb", "a\0b", "a b", "a/b", "a@b", "a:1", "a?b", "a#b", "é"] {
            let made = Handshake::connect(&name(host), &Headers::new());
            assert_eq!(made.unwrap_err(), TunnelError::Target, "{host:?}");
        }
    }

    #[test]
    fn any_2xx_opens_whatever_its_fields_say_about_a_body() {
        for answer in [
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.0 200 Connection established\r\n\r\n",
            "HTTP/1.1 299\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ] {
            assert_eq!(answered(answer.as_bytes()), Ok(true), "{answer:?}");
            for cut in 0..answer.len() {
                assert_eq!(answered(&answer.as_bytes()[..cut]), Ok(false), "{answer:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn other_statuses_refuse_and_their_body_is_not_looked_at() {
        for status in [101, 300, 302, 403, 407, 502, 999] {
            let error =
                answered(format!("HTTP/1.1 {status} X\r\nContent-Length: 3\r\n\r\nxyz").as_bytes()).unwrap_err();
            let wanted = if status == 101 { TunnelError::NotAProxy } else { TunnelError::Status(status) };
            assert_eq!((error, error.kind()), (wanted, ErrorKind::Proxy));
        }
        let text = TunnelError::Status(407).to_string();
        assert_eq!(text, "refused the tunnel: 407 Proxy Authentication Required");
    }

    #[test]
    fn what_is_no_answer_or_more_than_one_is_refused() {
        assert_eq!(answered(b"HTTP/1.1 200 OK\r\n\r\nx"), Err(TunnelError::Surplus));
        assert_eq!(answered(b"SSH-2.0-OpenSSH\r\n"), Err(TunnelError::NotAProxy));
        assert_eq!(answered(b"HTTP/2 200\r\n\r\n"), Err(TunnelError::NotAProxy));
        assert_eq!(answered(b"HTTP/1.1 099 X\r\n\r\n"), Err(TunnelError::NotAProxy));
        assert_eq!(answered(b"HTTP/1.1 200 OK\r\nA b\r\n\r\n"), Err(TunnelError::NotAProxy));
    }

    #[test]
    fn item_20_a_head_without_end_is_refused() {
        let mut handshake = Handshake::connect(&name("h"), &Headers::new()).unwrap();
        let long = [b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &vec![b'x'; MAX_HEAD]].concat();
        assert_eq!(handshake.on_bytes(&long), Err(TunnelError::HeadTooLarge));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(MAX_FIELDS + 1));
        assert_eq!(answered(many.as_bytes()), Err(TunnelError::HeadTooLarge));
        let mut handshake = Handshake::connect(&name("h"), &Headers::new()).unwrap();
        let interim = b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(50_000);
        let mut rest = &interim[..];
        let error = loop {
            match handshake.on_bytes(&rest[..1000]) {
                Ok((consumed, open)) => {
                    assert!(!open);
                    rest = &rest[consumed..];
                }
                Err(error) => break error,
            }
        };
        assert_eq!(error, TunnelError::HeadTooLarge);
    }
}
