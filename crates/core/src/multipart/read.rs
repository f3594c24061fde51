//! Reads a multipart body (RFC 2046 §5.1.1): bytes in, heads of parts and pieces of their content out. Sans-io; the
//! response's body drives it. However the bytes are cut, what comes out is the same.
//!
//! A delimiter is CRLF, `--`, the boundary, blanks, CRLF, or `--` at the end; a line that only begins like one is
//! content. Refused: heads that are no header fields, heads and preambles over their bounds, a body that ends before its
//! last boundary. What stands behind that is passed over.

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::field::MediaType;
use crate::headers::Headers;

/// The longest boundary (RFC 2046 §5.1.1).
const MAX_BOUNDARY: usize = 70;
/// The most blanks behind a boundary; a line with more is content.
const MAX_PADDING: usize = 64;
/// The most fields a part's head may have, as a response's.
const MAX_FIELDS: usize = 100;

const MAX_NAME: usize = u16::MAX as usize;

/// How large what stands around the parts' content may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MultipartLimits {
    /// Bytes of one part's head; 16 KiB.
    pub max_head: usize,
    /// Fields of one part's head; 100, and at most.
    pub max_fields: usize,
    /// Bytes before the first boundary; 64 KiB.
    pub max_preamble: usize,
}

impl Default for MultipartLimits {
    fn default() -> Self {
        MultipartLimits { max_head: 16 << 10, max_fields: MAX_FIELDS, max_preamble: 64 << 10 }
    }
}

/// Why a body cannot be read as multipart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MultipartError {
    /// The content type is not multipart, or names no boundary.
    NotMultipart,
    /// The boundary is empty, longer than 70 bytes, ends in a blank, or holds what is not printable ASCII.
    Boundary,
    /// More bytes before the first boundary than [`MultipartLimits::max_preamble`].
    Preamble {
        /// The bound.
        max: usize,
    },
    /// A part's head is no list of header fields.
    Head,
    /// A part's head is larger than [`MultipartLimits::max_head`].
    HeadTooLarge {
        /// The bound.
        max: usize,
    },
    /// A part's head has more fields than [`MultipartLimits::max_fields`].
    TooManyFields {
        /// The bound.
        max: usize,
    },
    /// The body ended before its last boundary.
    Ended,
}

impl fmt::Display for MultipartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MultipartError::NotMultipart => f.write_str("the content type is not multipart with a boundary"),
            MultipartError::Boundary => f.write_str("the boundary is not one to 70 printable characters"),
            MultipartError::Preamble { max } => write!(f, "no boundary within the first {max} bytes"),
            MultipartError::Head => f.write_str("a part's head is malformed"),
            MultipartError::HeadTooLarge { max } => write!(f, "a part's head is larger than {max} bytes"),
            MultipartError::TooManyFields { max } => write!(f, "a part's head has more than {max} fields"),
            MultipartError::Ended => f.write_str("the multipart body ended before its last boundary"),
        }
    }
}

impl std::error::Error for MultipartError {}

/// What a look at the input found. Ranges are places in the input that was handed in.
#[derive(Debug)]
pub enum PartEvent {
    /// Nothing more can be told without more bytes.
    NeedMore,
    /// A part begins, with these fields.
    Head(Headers),
    /// A piece of its content, never empty.
    Data(Range<usize>),
    /// The part is whole.
    PartEnd,
    /// The last part was whole. Returned again at every later call; what still comes is passed over.
    End,
}

/// Reads one body. The caller keeps the bytes: it hands in those not consumed yet and drops what is.
#[derive(Debug)]
pub struct MultipartParser {
    /// CRLF, `--` and the boundary.
    delimiter: Vec<u8>,
    limits: MultipartLimits,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Bytes passed over so far.
    Preamble {
        passed: usize,
    },
    /// How much of the head was searched for a line end already.
    Head {
        scanned: usize,
    },
    /// At its first byte the empty line above counts as the delimiter's CRLF.
    Content {
        at_start: bool,
    },
    Done,
    Failed(MultipartError),
}

/// What stands at a place of the input.
enum Look {
    /// No delimiter.
    Content,
    /// It depends on what comes.
    NeedMore,
    /// A delimiter of this length; whether it is the last.
    Delimiter { length: usize, last: bool },
}

impl MultipartParser {
    /// A parser for the body of this content type: `multipart/mixed; boundary=…`, or any other kind of multipart.
    ///
    /// # Errors
    /// [`MultipartError::NotMultipart`], [`MultipartError::Boundary`].
    pub fn for_content_type(content_type: &[u8], limits: MultipartLimits) -> Result<Self, MultipartError> {
        let media = MediaType::parse(content_type).ok_or(MultipartError::NotMultipart)?;
        let boundary = media.parameter("boundary").filter(|_| media.essence.starts_with("multipart/"));
        MultipartParser::new(boundary.ok_or(MultipartError::NotMultipart)?, limits)
    }

    /// A parser for parts with this boundary between them.
    ///
    /// # Errors
    /// [`MultipartError::Boundary`].
    pub fn new(boundary: &str, limits: MultipartLimits) -> Result<Self, MultipartError> {
        let is_printable = boundary.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if boundary.is_empty() || boundary.len() > MAX_BOUNDARY || !is_printable || boundary.ends_with(' ') {
            return Err(MultipartError::Boundary);
        }
        let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
        Ok(MultipartParser { delimiter, limits, state: State::Preamble { passed: 0 } })
    }

    /// Looks at the input and says how many bytes of it are consumed, and what they were.
    ///
    /// # Errors
    /// The body is malformed; every later call gives the same error.
    pub fn read(&mut self, input: &[u8]) -> Result<(usize, PartEvent), MultipartError> {
        let result = match self.state {
            State::Preamble { passed } => self.read_preamble(input, passed),
            State::Head { scanned } => self.read_head(input, scanned),
            State::Content { at_start } => Ok(self.read_content(input, at_start)),
            State::Done => Ok((input.len(), PartEvent::End)),
            State::Failed(error) => Err(error),
        };
        result.inspect_err(|error| self.state = State::Failed(*error))
    }

    /// The body ended, after everything that was handed in.
    ///
    /// # Errors
    /// [`MultipartError::Ended`], or the error there was before.
    pub fn on_end(&mut self) -> Result<(), MultipartError> {
        match self.state {
            State::Done => Ok(()),
            State::Failed(error) => Err(error),
            _ => {
                self.state = State::Failed(MultipartError::Ended);
                Err(MultipartError::Ended)
            }
        }
    }

    fn read_preamble(&mut self, input: &[u8], passed: usize) -> Result<(usize, PartEvent), MultipartError> {
        let max = self.limits.max_preamble;
        let mut at = 0;
        while at < input.len() {
            let look = if passed == 0 && at == 0 { self.look_behind_line(input) } else { self.look(&input[at..]) };
            match look {
                Look::Content => at = next_line_end(input, at + 1),
                Look::NeedMore => break,
                Look::Delimiter { length, last } => {
                    self.begin_part(last);
                    let event = if last { PartEvent::End } else { PartEvent::NeedMore };
                    return Ok((at + length, event));
                }
            }
            if passed + at > max {
                return Err(MultipartError::Preamble { max });
            }
        }
        self.state = State::Preamble { passed: passed + at };
        Ok((at, PartEvent::NeedMore))
    }

    fn read_head(&mut self, input: &[u8], scanned: usize) -> Result<(usize, PartEvent), MultipartError> {
        let MultipartLimits { max_head, max_fields, .. } = self.limits;
        let max_fields = max_fields.min(MAX_FIELDS);
        // Whole lines only, and nothing behind the bound: how the bytes come in pieces must not decide the error. A head
        // can only become whole with a line end, so that one that comes byte by byte costs no re-parsing.
        let bytes = &input[..input.len().min(max_head)];
        if let Some(end) = bytes[scanned..].iter().rposition(|&byte| byte == b'\n') {
            match parse_fields(&bytes[..=scanned + end], max_fields) {
                Ok(None) => {}
                Ok(Some((length, headers))) => {
                    self.state = State::Content { at_start: true };
                    return Ok((length, PartEvent::Head(headers)));
                }
                Err(httparse::Error::TooManyHeaders) => return Err(MultipartError::TooManyFields { max: max_fields }),
                Err(_) => return Err(MultipartError::Head),
            }
        }
        if input.len() > max_head {
            return Err(MultipartError::HeadTooLarge { max: max_head });
        }
        self.state = State::Head { scanned: bytes.len() };
        Ok((0, PartEvent::NeedMore))
    }

    fn read_content(&mut self, input: &[u8], at_start: bool) -> (usize, PartEvent) {
        let mut at = 0;
        while at < input.len() {
            let look = if at_start && at == 0 { self.look_behind_line(input) } else { self.look(&input[at..]) };
            match look {
                Look::Content => at = next_line_end(input, at + 1),
                Look::NeedMore => break,
                Look::Delimiter { length, last } if at == 0 => {
                    self.begin_part(last);
                    return (length, PartEvent::PartEnd);
                }
                Look::Delimiter { .. } => break,
            }
        }
        if at == 0 {
            return (0, PartEvent::NeedMore);
        }
        self.state = State::Content { at_start: false };
        (at, PartEvent::Data(0..at))
    }

    /// Behind a delimiter.
    fn begin_part(&mut self, last: bool) {
        self.state = if last { State::Done } else { State::Head { scanned: 0 } };
    }

    /// As [`MultipartParser::look`], at a place that a line end stands before; or at that of a delimiter of its own.
    fn look_behind_line(&self, bytes: &[u8]) -> Look {
        match self.look_for(&self.delimiter[2..], bytes) {
            Look::Content => self.look(bytes),
            found => found,
        }
    }

    /// Whether a delimiter stands here.
    fn look(&self, bytes: &[u8]) -> Look {
        // Most bytes are none: the rest is for the few that may be.
        if bytes[0] == b'\r' { self.look_for(&self.delimiter, bytes) } else { Look::Content }
    }

    fn look_for(&self, delimiter: &[u8], bytes: &[u8]) -> Look {
        let Some(rest) = bytes.strip_prefix(delimiter) else {
            return if delimiter.starts_with(bytes) { Look::NeedMore } else { Look::Content };
        };
        if rest.starts_with(b"--") {
            return Look::Delimiter { length: delimiter.len() + 2, last: true };
        }
        let padding = rest.iter().take(MAX_PADDING + 1).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        match &rest[padding.min(MAX_PADDING)..] {
            [b'\r', b'\n', ..] => Look::Delimiter { length: delimiter.len() + padding + 2, last: false },
            [] | [b'\r'] => Look::NeedMore,
            [b'-'] if padding == 0 => Look::NeedMore,
            _ => Look::Content,
        }
    }
}

/// Where the next line end may begin, from here on.
fn next_line_end(bytes: &[u8], from: usize) -> usize {
    bytes[from..].iter().position(|&byte| byte == b'\r').map_or(bytes.len(), |found| from + found)
}

/// The fields at the front of the bytes and their length, the empty line included.
fn parse_fields(bytes: &[u8], max_fields: usize) -> Result<Option<(usize, Headers)>, httparse::Error> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    match httparse::parse_headers(bytes, &mut fields[..max_fields])? {
        httparse::Status::Partial => Ok(None),
        // What a field's place can express; only a bound above the default lets such a name come this far.
        httparse::Status::Complete((_, fields)) if fields.iter().any(|field| field.name.len() > MAX_NAME) => {
            Err(httparse::Error::HeaderName)
        }
        httparse::Status::Complete((length, fields)) => {
            let fields = fields.iter().map(|field| (field.name, field.value.trim_ascii_end()));
            Ok(Some((length, Headers::from_block(&bytes[..length], fields))))
        }
    }
}
