//! A body on its way in: the bytes at hand, the exchange that brings more, the decoder between, and the most that is
//! handed on. Refuses a coding that is not known and what is too large when it is read, not when the head comes: who
//! only looks at the status is not disturbed. Driven by [`Response`](super::Response), drained by redirects.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use gannet_core::h1::BodyFraming;
use gannet_core::{ErrorKind, Headers, Phase};
use tokio::time::Instant;

use crate::decode::DecodeError;
use crate::decode::content::{ContentDecoder, DecodeLimits};
use crate::error::{Error, Result};
use crate::exchange::Exchange;
use crate::timings::Marks;
use crate::trace::{Event, Tracer};
use crate::upgrade::Switched;

/// A body on its way in.
pub(crate) struct ResponseBody {
    /// Bytes that have come and were not handed on, as the wire had them.
    at_hand: Vec<u8>,
    /// Until the last byte has come; then its connection is back in the pool.
    pub(super) exchange: Option<Box<Exchange>>,
    pub(super) decoder: Option<Box<ContentDecoder>>,
    /// The most that is handed on in all.
    max: Option<u64>,
    handed_on: u64,
    pub(super) length: Option<u64>,
    pub(super) trailers: Option<Box<Headers>>,
    /// Why the body cannot be handed on, or no further: known from the head, and told to who reads it, not to who looks
    /// at the status; or met behind bytes that went first.
    refused: Option<Error>,
    failed: bool,
    /// The rest of a piece that was handed on, and handed back.
    returned: Option<Box<Bytes>>,
    /// The caller has begun to take it in pieces.
    pub(crate) begun: bool,
    /// Bytes that have come, as the wire had them.
    pub(super) came: u64,
    /// Of the exchange that is over; while it runs it has its own.
    marks: Marks,
    /// Who watches, until the end is told.
    pub(super) tracer: Option<Arc<Tracer>>,
}

impl ResponseBody {
    /// `codings` is the response's head, where its content codings are to be decoded.
    pub(crate) fn new(
        at_hand: Vec<u8>,
        exchange: Exchange,
        framing: BodyFraming,
        codings: Option<&Headers>,
        limits: DecodeLimits,
    ) -> Self {
        let max = limits.max_output;
        let codings = codings.filter(|headers| framing != BodyFraming::None && headers.contains("content-encoding"));
        let decoder = codings
            .map_or(Ok(None), |headers| ContentDecoder::for_codings(headers.get_all("content-encoding"), limits));
        let (decoder, mut refused) = match decoder {
            Ok(decoder) => (decoder, None),
            Err(error) => (None, Some(decode_error(error))),
        };
        if let (Some(length), Some(max), None, None) = (framing.length(), max, &decoder, &refused)
            && length > max
        {
            refused = Some(too_large(max));
        }
        let mut body = ResponseBody {
            came: at_hand.len() as u64,
            marks: Marks::default(),
            tracer: None,
            at_hand,
            exchange: None,
            decoder: decoder.map(Box::new),
            max,
            handed_on: 0,
            length: framing.length(),
            trailers: None,
            refused,
            failed: false,
            returned: None,
            begun: false,
        };
        if exchange.is_done() {
            body.end(exchange);
        } else {
            body.exchange = Some(Box::new(exchange));
        }
        body
    }

    /// No body: behind a 101 the connection is another protocol's, and kept for who takes it.
    pub(crate) fn switched(exchange: Exchange) -> Self {
        ResponseBody { length: None, exchange: Some(Box::new(exchange)), ..ResponseBody::local(Vec::new()) }
    }

    /// The connection behind a 101, once.
    pub(crate) fn switch(&mut self) -> Option<Switched> {
        self.exchange.take()?.switch()
    }

    /// The exchange is over, and this was noted of it.
    pub(crate) fn end_with(&mut self, marks: Marks) {
        self.marks = marks;
    }

    /// A body that is whole, and came from nowhere.
    pub(super) fn local(bytes: Vec<u8>) -> Self {
        ResponseBody {
            length: Some(bytes.len() as u64),
            at_hand: bytes,
            exchange: None,
            decoder: None,
            max: None,
            handed_on: 0,
            trailers: None,
            refused: None,
            failed: false,
            returned: None,
            begun: false,
            came: 0,
            marks: Marks::default(),
            tracer: None,
        }
    }

    /// From now on, who watches is told of the end, which may have come already.
    #[cold]
    pub(crate) fn watched(&mut self, tracer: Arc<Tracer>, started: Instant, head_after: Duration) {
        if self.exchange.is_some() {
            self.tracer = Some(tracer);
        } else {
            tracer.tell(&Event::End { timings: &self.marks.timings(started, head_after) });
        }
    }

    pub(super) fn marks(&self) -> &Marks {
        self.exchange.as_ref().map_or(&self.marks, |exchange| exchange.marks())
    }

    /// The whole body, if it is here and needs nothing done.
    pub(super) fn take_whole(&mut self) -> Option<Bytes> {
        if self.exchange.is_some() || self.decoder.is_some() || self.refused.is_some() || self.failed {
            return None;
        }
        if self.max.is_some_and(|max| self.at_hand.len() as u64 + self.handed_on > max) {
            return None;
        }
        Some(Bytes::from(std::mem::take(&mut self.at_hand)))
    }

    /// Reads and drops what is left, up to so many bytes: then the connection can be used again. Errors do not
    /// matter: the connection is closed then.
    pub(crate) async fn drain(&mut self, most: u64) {
        if self.length.is_some_and(|length| length > most) {
            return;
        }
        let mut left = most;
        while let Some(exchange) = &mut self.exchange {
            match poll_fn(|cx| exchange.poll_data(cx)).await {
                Ok(Some(piece)) if (piece.len() as u64) < left => left -= piece.len() as u64,
                Ok(None) => {
                    if let Some(exchange) = self.exchange.take() {
                        exchange.finish();
                    }
                }
                _ => return,
            }
        }
    }

    /// Takes back what the caller has no room for; it comes first of what is still to be handed on.
    pub(super) fn take_back(&mut self, rest: Bytes) {
        self.returned = (!rest.is_empty()).then(|| Box::new(rest));
    }

    /// What was taken back, if anything was.
    pub(super) fn give_back(&mut self) -> Option<Bytes> {
        self.returned.take().map(|rest| *rest)
    }

    pub(super) fn poll_into(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Result<bool>> {
        if let Some(rest) = self.give_back() {
            out.extend_from_slice(&rest);
            return Poll::Ready(Ok(true));
        }
        let before = out.len();
        let result = ready!(self.poll_wire(cx, out));
        let result = result.and_then(|more| {
            self.handed_on += (out.len() - before) as u64;
            match self.max {
                Some(max) if self.handed_on > max => Err(too_large(max)),
                _ => Ok(more),
            }
        });
        if result.is_err() {
            self.failed = true;
            // Noted as of an exchange that never ended.
            if let Some(exchange) = self.exchange.take() {
                self.marks = exchange.marks().clone();
            }
            self.at_hand = Vec::new();
        }
        Poll::Ready(result)
    }

    /// How much of it is still to come; 0 where that is not known.
    pub(super) fn left(&self) -> u64 {
        self.length.map_or(0, |length| length.saturating_sub(self.came))
    }

    /// An error that came behind bytes which are handed on first.
    pub(super) fn fail_next(&mut self, error: Error) {
        (self.failed, self.refused) = (false, Some(error));
    }

    fn poll_wire(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Result<bool>> {
        if self.failed {
            let error = Error::new(ErrorKind::Body, Phase::Body, "the body failed before");
            return Poll::Ready(Err(error));
        }
        if let Some(error) = self.refused.take() {
            return Poll::Ready(Err(error));
        }
        let before = out.len();
        loop {
            let is_pending = self.decoder.as_ref().is_some_and(|decoder| decoder.has_pending());
            if is_pending || !self.at_hand.is_empty() {
                let mut wire = std::mem::take(&mut self.at_hand);
                let taken = push(&mut self.decoder, &wire, out)?;
                if taken < wire.len() {
                    wire.drain(..taken);
                    self.at_hand = wire;
                }
            } else if let Some(exchange) = &mut self.exchange {
                match ready!(exchange.poll_data(cx))? {
                    Some(piece) => {
                        self.came += piece.len() as u64;
                        let wire = exchange.data(piece);
                        let taken = push(&mut self.decoder, wire, out)?;
                        self.at_hand.extend_from_slice(&wire[taken..]);
                    }
                    None => {
                        if let Some(exchange) = self.exchange.take() {
                            self.end(*exchange);
                        }
                    }
                }
            } else {
                if let Some(mut decoder) = self.decoder.take() {
                    decoder.finish().map_err(decode_error)?;
                }
                return Poll::Ready(Ok(out.len() > before));
            }
            if out.len() > before {
                return Poll::Ready(Ok(true));
            }
        }
    }

    fn end(&mut self, exchange: Exchange) {
        self.trailers = exchange.trailers().cloned().map(Box::new);
        self.marks = exchange.finish();
    }
}

impl std::fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("length", &self.length).field("whole", &self.exchange.is_none()).finish()
    }
}

/// Says how many bytes of `wire` were taken: what they decode to is handed on a chunk at a time.
fn push(decoder: &mut Option<Box<ContentDecoder>>, wire: &[u8], out: &mut Vec<u8>) -> Result<usize> {
    match decoder {
        Some(decoder) => decoder.push(wire, out).map_err(decode_error),
        None => {
            out.extend_from_slice(wire);
            Ok(wire.len())
        }
    }
}

pub(crate) fn too_large(max: u64) -> Error {
    Error::new(ErrorKind::TooLarge, Phase::Body, format!("the body is larger than {max} bytes"))
}

pub(super) fn decode_error(error: DecodeError) -> Error {
    Error::new(error.kind, Phase::Decode, error.message)
}
