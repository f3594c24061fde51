//! A response's head: parsed by httparse, kept as one block with offsets, its framing decided in the same pass.

use std::mem::MaybeUninit;

use http::StatusCode;

use super::framing::{self, FramingFields};
use super::{BodyFraming, ProtocolError};
use crate::headers::Headers;

/// The response's protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    Http2,
}

/// What about the request decides how its response is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RequestKind {
    /// The method was HEAD: the response has no body whatever its fields say.
    pub head: bool,
    /// It asked for another protocol: a 101 (Switching Protocols) is then its answer, and HTTP ends on this connection
    /// with that head (RFC 9110 §7.8). Otherwise a 101 is an error.
    pub upgrade: bool,
}

/// How large a response's head may grow; interim responses (1xx) and trailers count towards the same bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes; 64 KiB by default.
    pub max_bytes: usize,
    /// Fields of one head; 100 by default and at most.
    pub max_fields: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        HeadLimits { max_bytes: 64 << 10, max_fields: MAX_FIELDS }
    }
}

/// A final response's head.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// The protocol version.
    pub version: Version,
    /// The status, 200 to 999; or 101, where an upgrade was asked for.
    pub status: StatusCode,
    /// The reason phrase, where it is not the usual one for the status (and is ASCII).
    pub reason: Option<Box<str>>,
    /// The fields.
    pub headers: Headers,
    /// Where the body ends.
    pub framing: BodyFraming,
    /// Whether the connection persists after this response, as far as the head decides it.
    pub persists: bool,
}

/// What stands at the front of a connection's bytes.
pub(super) enum Parsed {
    /// Not a whole head yet.
    Partial,
    /// An interim response of this many bytes, its status, and whether it says that the connection ends
    /// (RFC 9112 §9.6).
    Interim { length: usize, code: u16, close: bool },
    /// A final head of this many bytes.
    Final(usize, ResponseHead),
}

/// Parses the head at the front of `bytes`, if it is whole.
pub(super) fn parse(bytes: &[u8], request: RequestKind, max_fields: usize) -> Result<Parsed, ProtocolError> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let fields = &mut fields[..max_fields.min(MAX_FIELDS)];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut response, bytes, fields)
        .map_err(map_error)?;
    let httparse::Status::Complete(length) = parsed else {
        return Ok(Parsed::Partial);
    };
    let code = response.code.ok_or(ProtocolError::StatusLine)?;
    let is_upgrade = code == 101;
    // HTTP/1.0 has no interim responses, and what answers in it understood no Upgrade.
    if is_upgrade && (!request.upgrade || response.version != Some(1)) {
        return Err(ProtocolError::UnexpectedUpgrade);
    }
    if code < 200 && !is_upgrade {
        // StatusCode begins at 100; 0xx has no meaning at all.
        if code < 100 {
            return Err(ProtocolError::StatusLine);
        }
        let closes = |name: &str, value| name.eq_ignore_ascii_case("connection") && framing::has_close(value);
        let close = response.headers.iter().any(|field| closes(field.name, field.value));
        return Ok(Parsed::Interim { length, code, close });
    }
    let status = StatusCode::from_u16(code).map_err(|_| ProtocolError::StatusLine)?;
    let version = if response.version == Some(1) { Version::Http11 } else { Version::Http10 };
    let mut framing = FramingFields::default();
    for field in response.headers.iter() {
        // What a field's place can express; only a limit above the default lets such a name come this far.
        if field.name.len() > usize::from(u16::MAX) {
            return Err(ProtocolError::HeadTooLarge);
        }
        framing.on_field(field.name, field.value)?;
    }
    let (framing, persists) = framing.decide(version, code, request)?;
    let reason =
        response.reason.filter(|text| !text.is_empty() && Some(*text) != status.canonical_reason()).map(Box::from);
    let headers = Headers::from_block(&bytes[..length], response.headers.iter().map(|f| (f.name, trim_end(f.value))));
    Ok(Parsed::Final(length, ResponseHead { version, status, reason, headers, framing, persists }))
}

/// The most fields a head may have: hyper's bound too.
pub(super) const MAX_FIELDS: usize = 100;

pub(super) fn map_error(error: httparse::Error) -> ProtocolError {
    match error {
        httparse::Error::TooManyHeaders => ProtocolError::TooManyFields,
        httparse::Error::HeaderName | httparse::Error::HeaderValue | httparse::Error::NewLine => ProtocolError::Field,
        httparse::Error::Status | httparse::Error::Token | httparse::Error::Version => ProtocolError::StatusLine,
    }
}

fn trim_end(value: &[u8]) -> &[u8] {
    value.trim_ascii_end()
}
