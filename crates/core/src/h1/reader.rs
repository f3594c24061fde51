//! One response, from the first byte to the last: interim heads, the final head, the body, its end.

use std::ops::Range;

use super::body::Step;
use super::head::{self, Parsed};
use super::{BodyDecoder, BodyFraming, HeadLimits, ProtocolError, RequestKind, ResponseHead};
use crate::headers::Headers;

/// Reads one response. The caller keeps the bytes: it hands in those not consumed yet and drops what is.
#[derive(Debug)]
pub struct ResponseReader {
    state: State,
    request: RequestKind,
    limits: HeadLimits,
    /// Bytes of interim responses and empty lines so far; they count towards the head's limit.
    interim_bytes: usize,
    /// Whether an interim response said that the connection ends.
    interim_close: bool,
    /// Whether a 100 (Continue) came.
    continued: bool,
    /// How much of the unconsumed input was searched for a line end already.
    scanned: usize,
    persists: bool,
}

#[derive(Debug)]
enum State {
    Head,
    Body(BodyDecoder),
    Failed(ProtocolError),
}

/// What a look at the input found. Ranges are places in the input that was handed in.
#[derive(Debug)]
pub enum Event {
    /// Nothing more can be told without more bytes.
    NeedMore,
    /// The final head.
    Head(ResponseHead),
    /// A piece of the body, never empty.
    Data(Range<usize>),
    /// The body is whole. Returned again at every later call.
    End,
}

impl ResponseReader {
    /// A reader for the answer to a request of this kind.
    pub fn new(request: RequestKind, limits: HeadLimits) -> Self {
        ResponseReader {
            state: State::Head,
            request,
            limits,
            interim_bytes: 0,
            interim_close: false,
            continued: false,
            scanned: 0,
            persists: false,
        }
    }

    /// Looks at the input and says how many bytes of it are consumed, and what they were.
    ///
    /// # Errors
    /// The response breaks the rules; every later call gives the same error.
    pub fn read(&mut self, input: &[u8]) -> Result<(usize, Event), ProtocolError> {
        let result = match &mut self.state {
            State::Failed(error) => Err(*error),
            State::Head => self.read_head(input),
            State::Body(decoder) => decoder.step(input).map(|step| match step {
                Step::NeedMore { consumed } => (consumed, Event::NeedMore),
                Step::Data(range) => (range.end, Event::Data(range)),
                Step::End { consumed } => (consumed, Event::End),
            }),
        };
        result.inspect_err(|error| self.state = State::Failed(*error))
    }

    /// The connection ended, after everything in `rest` (what is not consumed yet).
    ///
    /// # Errors
    /// The response is not whole.
    pub fn on_eof(&mut self, rest: &[u8]) -> Result<(), ProtocolError> {
        self.persists = false;
        let result = match &mut self.state {
            State::Failed(error) => Err(*error),
            // What came may be no HTTP at all, which says more than "closed".
            State::Head => match head::parse(rest, self.request, self.limits.max_fields) {
                Err(error) => Err(error),
                Ok(_) => Err(ProtocolError::EofInHead { empty: rest.is_empty() && self.interim_bytes == 0 }),
            },
            State::Body(decoder) => decoder.on_eof(),
        };
        result.inspect_err(|error| self.state = State::Failed(*error))
    }

    /// Whether the server has asked for the request's body (RFC 9110 §15.2.1).
    pub fn is_continued(&self) -> bool {
        self.continued
    }

    /// Whether the whole response has come.
    pub fn is_done(&self) -> bool {
        matches!(&self.state, State::Body(decoder) if decoder.is_done())
    }

    /// Whether the connection may carry another request: the response is whole, the server keeps the connection,
    /// and nothing unasked-for (`surplus` bytes) came behind it.
    pub fn may_reuse(&self, surplus: usize) -> bool {
        self.persists && surplus == 0 && self.is_done()
    }

    /// The fields that came behind a chunked body.
    pub fn trailers(&self) -> Option<&Headers> {
        match &self.state {
            State::Body(decoder) if !decoder.trailers().is_empty() => Some(decoder.trailers()),
            _ => None,
        }
    }

    fn read_head(&mut self, input: &[u8]) -> Result<(usize, Event), ProtocolError> {
        let mut at = 0;
        loop {
            // Nothing behind the limit is looked at: how the bytes come in pieces must not decide the error.
            let room = self.limits.max_bytes.saturating_sub(self.interim_bytes);
            let bytes = &input[at..][..room.min(input.len() - at)];
            let full = input.len() - at > room;
            // Consumed as they come: a server that sends nothing else costs no re-parsing.
            let blank = empty_lines(bytes);
            if blank > 0 {
                self.interim_bytes += blank;
                self.scanned = 0;
                at += blank;
                continue;
            }
            // A head can only become whole with a line end: a server that sends byte by byte costs no re-parsing.
            if !full && !bytes[self.scanned.min(bytes.len())..].contains(&b'\n') {
                self.scanned = bytes.len();
                return Ok((at, Event::NeedMore));
            }
            match head::parse(bytes, self.request, self.limits.max_fields)? {
                Parsed::Partial if full => return Err(ProtocolError::HeadTooLarge),
                Parsed::Partial => {
                    self.scanned = bytes.len();
                    return Ok((at, Event::NeedMore));
                }
                Parsed::Interim { length, code, close } => {
                    self.continued |= code == 100;
                    self.interim_bytes += length;
                    self.interim_close |= close;
                    self.scanned = 0;
                    at += length;
                }
                Parsed::Final(length, mut head) => {
                    head.persists &= !self.interim_close;
                    self.persists = head.persists;
                    let left = HeadLimits { max_bytes: room - length, ..self.limits };
                    self.state = State::Body(BodyDecoder::with_limits(head.framing, left));
                    return Ok((at + length, Event::Head(head)));
                }
            }
        }
    }
}

/// How many bytes of empty lines stand at the front; httparse would skip them too.
fn empty_lines(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match &bytes[at..] {
            [b'\n', ..] => at += 1,
            [b'\r', b'\n', ..] => at += 2,
            _ => return at,
        }
    }
}

impl BodyFraming {
    /// The length announced by the head, where there is one.
    pub fn length(self) -> Option<u64> {
        match self {
            BodyFraming::None => Some(0),
            BodyFraming::Length(length) => Some(length),
            BodyFraming::Chunked | BodyFraming::UntilClose => None,
        }
    }
}
