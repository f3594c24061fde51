//! A response's body on its way in: pieces by length, by chunks (with trailers), or up to the connection's end.
//! Data is never copied here: a step says which bytes of the input are body.

use std::ops::Range;

use super::head::MAX_FIELDS;
use super::{BodyFraming, HeadLimits, MAX_TRAILER_BYTES, ProtocolError};
use crate::headers::Headers;

/// Chunk extensions mean nothing to a client, so few bytes of them suffice for one whole body (hyper's bound).
const MAX_EXTENSION_BYTES: u32 = 16 << 10;

/// Takes a body apart.
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
    extension_bytes: u32,
    /// What the head left over of its bounds.
    limits: HeadLimits,
    trailer: Vec<u8>,
    trailers: Headers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Length(u64),
    UntilClose,
    Size { size: u64, digits: u8 },
    SizeBlank { size: u64 },
    Extension { size: u64 },
    SizeLf { size: u64 },
    Data(u64),
    DataCr,
    DataLf,
    Trailer { line_start: bool },
    TrailerCr { line_start: bool },
    Done,
}

/// One step of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// All input was framing; more is needed.
    NeedMore { consumed: usize },
    /// These bytes of the input are body, and end what was consumed.
    Data(Range<usize>),
    /// The body ended after this many bytes of the input.
    End { consumed: usize },
}

impl BodyDecoder {
    /// A decoder for a body of this framing, its trailers within the default limits.
    pub fn new(framing: BodyFraming) -> Self {
        BodyDecoder::with_limits(framing, HeadLimits::default())
    }

    /// As [`BodyDecoder::new`]; trailers keep to these bounds, and to 16 KiB in any case.
    pub(super) fn with_limits(framing: BodyFraming, limits: HeadLimits) -> Self {
        let state = match framing {
            BodyFraming::None | BodyFraming::Length(0) => State::Done,
            BodyFraming::Length(length) => State::Length(length),
            BodyFraming::Chunked => State::Size { size: 0, digits: 0 },
            BodyFraming::UntilClose => State::UntilClose,
        };
        BodyDecoder { state, extension_bytes: 0, limits, trailer: Vec::new(), trailers: Headers::new() }
    }

    /// Whether the whole body has come.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The fields that came behind the last chunk.
    pub fn trailers(&self) -> &Headers {
        &self.trailers
    }

    /// The connection ended: fine only where that is what ends the body.
    pub(super) fn on_eof(&mut self) -> Result<(), ProtocolError> {
        match self.state {
            State::Done => Ok(()),
            State::UntilClose => {
                self.state = State::Done;
                Ok(())
            }
            _ => Err(ProtocolError::EofInBody),
        }
    }

    pub(super) fn step(&mut self, input: &[u8]) -> Result<Step, ProtocolError> {
        let mut at = 0;
        while at < input.len() || self.state == State::Done {
            match self.state {
                State::Done => return Ok(Step::End { consumed: at }),
                State::Length(left) => return Ok(Step::Data(self.data(at, input.len(), left))),
                State::Data(left) => return Ok(Step::Data(self.data(at, input.len(), left))),
                State::UntilClose => return Ok(Step::Data(at..input.len())),
                _ => {
                    self.state = self.framing_byte(input[at])?;
                    at += 1;
                }
            }
        }
        Ok(Step::NeedMore { consumed: at })
    }

    fn data(&mut self, at: usize, end: usize, left: u64) -> Range<usize> {
        let take = left.min((end - at) as u64);
        self.state = match (self.state, left - take) {
            (State::Length(_), 0) => State::Done,
            (State::Length(_), rest) => State::Length(rest),
            (_, 0) => State::DataCr,
            (_, rest) => State::Data(rest),
        };
        at..at + take as usize
    }

    fn framing_byte(&mut self, byte: u8) -> Result<State, ProtocolError> {
        Ok(match (self.state, byte) {
            (State::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                if digits == 16 {
                    return Err(ProtocolError::ChunkSize);
                }
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                State::Size { size: size << 4 | digit, digits: digits + 1 }
            }
            (State::Size { digits: 0, .. }, _) => return Err(ProtocolError::ChunkSize),
            (State::Size { size, .. } | State::SizeBlank { size } | State::Extension { size }, b'\r') => {
                State::SizeLf { size }
            }
            (State::Size { size, .. } | State::SizeBlank { size }, b' ' | b'\t') => {
                self.count_extension()?;
                State::SizeBlank { size }
            }
            (State::Size { size, .. } | State::SizeBlank { size }, b';') => State::Extension { size },
            (State::Extension { size }, b'\t' | b' '..=b'~' | 0x80..) => {
                self.count_extension()?;
                State::Extension { size }
            }
            (State::SizeLf { size: 0 }, b'\n') => State::Trailer { line_start: true },
            (State::SizeLf { size }, b'\n') => State::Data(size),
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { size: 0, digits: 0 },
            (State::DataCr | State::DataLf, _) => return Err(ProtocolError::ChunkEnd),
            (State::Trailer { line_start }, b'\r') => State::TrailerCr { line_start },
            (State::Trailer { .. }, b'\n') => return Err(ProtocolError::Trailer),
            (State::Trailer { .. }, _) => {
                self.keep_trailer(&[byte])?;
                State::Trailer { line_start: false }
            }
            (State::TrailerCr { line_start: true }, b'\n') => {
                self.finish_trailers()?;
                State::Done
            }
            (State::TrailerCr { line_start: false }, b'\n') => {
                self.keep_trailer(b"\r\n")?;
                State::Trailer { line_start: true }
            }
            (State::TrailerCr { .. }, _) => return Err(ProtocolError::Trailer),
            _ => return Err(ProtocolError::ChunkSize),
        })
    }

    fn count_extension(&mut self) -> Result<(), ProtocolError> {
        self.extension_bytes += 1;
        if self.extension_bytes > MAX_EXTENSION_BYTES { Err(ProtocolError::ChunkSize) } else { Ok(()) }
    }

    fn keep_trailer(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        if self.trailer.len() + bytes.len() > MAX_TRAILER_BYTES.min(self.limits.max_bytes) {
            return Err(ProtocolError::HeadTooLarge);
        }
        self.trailer.extend_from_slice(bytes);
        Ok(())
    }

    fn finish_trailers(&mut self) -> Result<(), ProtocolError> {
        if self.trailer.is_empty() {
            return Ok(());
        }
        self.trailer.extend_from_slice(b"\r\n");
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let fields = &mut fields[..self.limits.max_fields.min(MAX_FIELDS)];
        match httparse::parse_headers(&self.trailer, fields) {
            Ok(httparse::Status::Complete((_, fields))) => {
                for field in fields.iter().filter(|field| !is_forbidden_trailer(field.name)) {
                    self.trailers.append(field.name, field.value).map_err(|_| ProtocolError::Trailer)?;
                }
                Ok(())
            }
            Err(httparse::Error::TooManyHeaders) => Err(ProtocolError::TooManyFields),
            _ => Err(ProtocolError::Trailer),
        }
    }
}

/// Fields that frame, route or authenticate have no say behind the body (RFC 9110 §6.5.1).
fn is_forbidden_trailer(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "content-length",
        "transfer-encoding",
        "host",
        "trailer",
        "content-encoding",
        "content-type",
        "content-range",
        "set-cookie",
    ];
    crate::headers::is_credential(name) || NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}
