//! Where a response's body ends (RFC 9112 §6.3), decided from its head alone.

use super::{ProtocolError, RequestKind, Version};

/// How a response's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFraming {
    /// There is no body.
    None,
    /// After this many bytes.
    Length(u64),
    /// After the last chunk and its trailers.
    Chunked,
    /// When the connection ends.
    UntilClose,
}

/// The framing fields of one head, gathered in one pass over its fields.
#[derive(Default)]
pub(super) struct FramingFields {
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
}

impl FramingFields {
    pub(super) fn on_field(&mut self, name: &str, value: &[u8]) -> Result<(), ProtocolError> {
        // By length first: a head has a dozen fields, and three of them matter.
        match name.len() {
            10 if name.eq_ignore_ascii_case("connection") => self.on_connection(value),
            14 if name.eq_ignore_ascii_case("content-length") => return self.on_content_length(value),
            17 if name.eq_ignore_ascii_case("transfer-encoding") => return self.on_transfer_encoding(value),
            _ => {}
        }
        Ok(())
    }

    /// The body's framing and whether the connection persists after it.
    pub(super) fn decide(
        &self,
        version: Version,
        status: u16,
        request: RequestKind,
    ) -> Result<(BodyFraming, bool), ProtocolError> {
        if self.chunked && self.length.is_some() {
            return Err(ProtocolError::BothLengths);
        }
        if self.chunked && version == Version::Http10 {
            return Err(ProtocolError::TransferEncoding);
        }
        if status == 101 {
            // RFC 9112 §6.3 point 1: it ends with its empty line, and what follows is the other protocol's.
            return Ok((BodyFraming::None, false));
        }
        let persists = !self.close && (version == Version::Http11 || self.keep_alive);
        if request.head || status == 304 {
            return Ok((BodyFraming::None, persists));
        }
        if status == 204 {
            // A 204 that announces a body all the same: nobody knows whether it sends one.
            let announced = self.chunked || self.length.is_some_and(|length| length > 0);
            return Ok((BodyFraming::None, persists && !announced));
        }
        Ok(match (self.chunked, self.length) {
            (true, _) => (BodyFraming::Chunked, persists),
            (false, Some(0)) => (BodyFraming::None, persists),
            (false, Some(length)) => (BodyFraming::Length(length), persists),
            (false, None) => (BodyFraming::UntilClose, false),
        })
    }

    fn on_connection(&mut self, value: &[u8]) {
        self.close |= has_close(value);
        self.keep_alive |= list(value).any(|option| option.eq_ignore_ascii_case(b"keep-alive"));
    }

    /// `5`, and `5, 5` (RFC 9112 §6.3 point 5), repeated or not; never `+5`, `0x5`, an empty one or one above u64.
    fn on_content_length(&mut self, value: &[u8]) -> Result<(), ProtocolError> {
        for part in value.split(|&b| b == b',') {
            let digits = part.trim_ascii();
            if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                return Err(ProtocolError::ContentLength);
            }
            let length = digits
                .iter()
                .try_fold(0u64, |sum, d| sum.checked_mul(10)?.checked_add(u64::from(d - b'0')))
                .ok_or(ProtocolError::ContentLength)?;
            if self.length.is_some_and(|known| known != length) {
                return Err(ProtocolError::ContentLengthsDiffer);
            }
            self.length = Some(length);
        }
        Ok(())
    }

    /// Exactly one `chunked` over all fields: no other transfer coding was offered (no TE field is sent).
    fn on_transfer_encoding(&mut self, value: &[u8]) -> Result<(), ProtocolError> {
        let mut codings = list(value);
        let only = codings.next().ok_or(ProtocolError::TransferEncoding)?;
        if self.chunked || codings.next().is_some() || !only.eq_ignore_ascii_case(b"chunked") {
            return Err(ProtocolError::TransferEncoding);
        }
        self.chunked = true;
        Ok(())
    }
}

/// Whether these options of a Connection field hold `close`.
pub(super) fn has_close(value: &[u8]) -> bool {
    list(value).any(|option| option.eq_ignore_ascii_case(b"close"))
}

/// The members of a comma-separated list, empty ones left out (RFC 9110 §5.6.1).
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&b| b == b',').map(<[u8]>::trim_ascii).filter(|part| !part.is_empty())
}
