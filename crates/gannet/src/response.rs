//! A response: its head, and its body, which can be read once: whole (`text`, `json`, `bytes`), in pieces
//! (`chunk`, a stream), in lines or in events. Reading it to the end gives the connection back; dropping it closes it.

mod fields;
mod streams;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use gannet_core::h1::{BodyFraming, Version};
use gannet_core::{ErrorKind, Headers, Phase};
use http::StatusCode;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use url::Url;

use crate::decode::DecodeError;
use crate::decode::charset;
use crate::decode::content::{ContentDecoder, DecodeLimits};
use crate::error::{Error, Result};
use crate::exchange::Exchange;
use crate::timings::{Marks, Timings};
use crate::trace::{Event, Tracer};
use crate::upgrade::Switched;

pub use self::fields::Link;
pub use self::streams::{Chunks, Events, ResponseLines};

/// The most that is reserved at once on the word of a Content-Length.
const MAX_RESERVE: u64 = 1 << 20;

/// A response whose head has come.
#[derive(Debug)]
pub struct Response {
    pub(crate) status: StatusCode,
    pub(crate) version: Version,
    pub(crate) reason: Option<Box<str>>,
    pub(crate) headers: Headers,
    pub(crate) url: Url,
    pub(crate) history: Vec<Redirected>,
    pub(crate) body: ResponseBody,
    pub(crate) started: Instant,
    pub(crate) head_after: Duration,
}

/// A response that redirected: one step of [`Response::history`].
#[derive(Clone, Debug)]
pub struct Redirected {
    /// What was asked.
    pub url: Url,
    /// The redirect's status.
    pub status: StatusCode,
    /// The redirect's fields, `Location` among them.
    pub headers: Headers,
}

impl Response {
    /// A response that no server sent: for a [`crate::Middleware`] that answers by itself, and for tests. Its body is
    /// handed out as it is, whatever the fields say.
    pub fn local(url: Url, status: StatusCode, headers: Headers, body: impl Into<Bytes>) -> Self {
        Response {
            status,
            version: Version::Http11,
            reason: None,
            headers,
            url,
            history: Vec::new(),
            body: ResponseBody::local(Vec::from(body.into())),
            started: Instant::now(),
            head_after: Duration::ZERO,
        }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The reason phrase: what the server sent, or the usual one.
    pub fn reason(&self) -> &str {
        self.reason.as_deref().or_else(|| self.status.canonical_reason()).unwrap_or_default()
    }

    /// The protocol version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The header fields, as they came.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The URL that answered: the last one, after redirects.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The redirects that led here, first to last.
    pub fn history(&self) -> &[Redirected] {
        &self.history
    }

    /// A status below 400.
    pub fn ok(&self) -> bool {
        self.status.as_u16() < 400
    }

    /// From the start of the request to this response's head.
    pub fn elapsed(&self) -> Duration {
        self.head_after
    }

    /// Where the time went so far; `total` is known once the body has been read.
    pub fn timings(&self) -> Timings {
        self.body.marks().timings(self.started, self.head_after)
    }

    /// The address at the other end of the connection that brought it: the server's, or a proxy's. None for a
    /// socket without, and for a response that came over none.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.body.marks().opened.as_ref()?.peer
    }

    /// The address at our end of that connection.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.body.marks().opened.as_ref()?.local
    }

    /// Bytes of the body that have come so far and been looked at, their content codings not undone.
    pub fn received(&self) -> u64 {
        self.body.came
    }

    /// The length of the body, where it is known: not for chunked ones, nor for those that will be decoded.
    pub fn content_length(&self) -> Option<u64> {
        if self.body.decoder.is_some() { None } else { self.body.length }
    }

    /// The fields that came behind a chunked body, once it is read.
    pub fn trailers(&self) -> Option<&Headers> {
        self.body.trailers.as_deref()
    }

    /// The response, if its status is below 400.
    ///
    /// # Errors
    /// Kind `status`; the connection is closed if the body was not here yet.
    pub fn error_for_status(self) -> Result<Self> {
        match self.error_for_status_ref() {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }

    /// As [`Response::error_for_status`], but the error keeps the beginning of the body, decoded, up to so many bytes:
    /// [`Error::body`]. A body that is longer is cut there and its connection closed; one that breaks off is kept as
    /// far as it came. Takes as long as that much of the body takes.
    ///
    /// # Errors
    /// Kind `status`.
    pub async fn error_for_status_with_body(mut self, max: usize) -> Result<Self> {
        let Some(error) = self.error_for_status_ref() else { return Ok(self) };
        let mut body = Vec::new();
        while body.len() < max && matches!(poll_fn(|cx| self.poll_into(cx, &mut body)).await, Ok(true)) {}
        // One more look, where all of it is here: the connection can be used again.
        if body.len() <= max {
            let _ = poll_fn(|cx| Poll::Ready(self.poll_into(cx, &mut body).is_ready())).await;
        }
        body.truncate(max);
        Err(error.with_body(body.into()))
    }

    /// The error that [`Response::error_for_status`] would give, the response kept: its body may say more.
    pub fn error_for_status_ref(&self) -> Option<Error> {
        if self.ok() {
            return None;
        }
        Some(Error::of_status(self.status).with_url(&self.url).with_elapsed(self.head_after))
    }

    /// The whole body, decoded from its content codings.
    ///
    /// # Errors
    /// `body` if it ends early, or if pieces of it were taken by [`Response::chunk`] already: a body can be read
    /// once, and what is left is never passed off as the whole. `decode`, `too_large`, the timeouts.
    pub async fn bytes(mut self) -> Result<Bytes> {
        self.read_all().await
    }

    /// The whole body as text, by the charset of its Content-Type (UTF-8 without one; a byte order mark wins).
    /// What does not decode becomes U+FFFD; see [`Response::text_strict`].
    ///
    /// # Errors
    /// As [`Response::bytes`].
    pub async fn text(mut self) -> Result<String> {
        let bytes = self.read_all().await?;
        Ok(charset::text(Vec::from(bytes), self.headers.get("content-type")).text)
    }

    /// As [`Response::text`], but what does not decode is an error.
    ///
    /// # Errors
    /// As [`Response::bytes`]; kind `decode` naming charset and place.
    pub async fn text_strict(mut self) -> Result<String> {
        let bytes = self.read_all().await?;
        let text = charset::text_strict(Vec::from(bytes), self.headers.get("content-type"));
        text.map(|text| text.text).map_err(|error| self.told(decode_error(error)))
    }

    /// The whole body read as JSON into a type.
    ///
    /// # Errors
    /// As [`Response::bytes`]; kind `decode` naming line and column.
    pub async fn json<T: DeserializeOwned>(mut self) -> Result<T> {
        let bytes = self.read_all().await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            self.told(
                Error::new(ErrorKind::Decode, Phase::Decode, "the body is not the JSON expected").with_source(error),
            )
        })
    }

    /// The next piece of the body, decoded; `None` at its end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// As [`Response::bytes`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// Appends the next bytes of the body to `out`; false at its end. For callers that gather under a budget.
    pub(crate) fn poll_into(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Result<bool>> {
        let had = self.body.exchange.is_some();
        let result = ready!(self.body.poll_into(cx, out)).map_err(|error| self.told(error));
        if self.body.tracer.is_some() && (had || result.is_err()) {
            self.tell_end(result.as_ref().err());
        }
        Poll::Ready(result)
    }

    /// Tells who watches, once, if the body is at its end or has failed.
    pub(crate) fn tell_end(&mut self, error: Option<&Error>) {
        if error.is_none() && self.body.exchange.is_some() {
            return;
        }
        let Some(tracer) = self.body.tracer.take() else { return };
        match error {
            Some(error) => tracer.tell(&Event::Error { error }),
            None => tracer.tell(&Event::End { timings: &self.timings() }),
        }
    }

    /// We were the ones who waited, so long: `read` starts anew, and `total` if it is to be moved on ends later.
    pub(crate) fn excuse(&mut self, waited: Duration, move_total: bool) {
        if let Some(exchange) = &mut self.body.exchange {
            exchange.excuse(waited, move_total);
        }
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        self.body.begun = true;
        let mut out = Vec::new();
        let more = ready!(self.poll_into(cx, &mut out))?;
        Poll::Ready(Ok(more.then(|| Bytes::from(out))))
    }

    /// The whole body, if it is here already and needs nothing done.
    pub(crate) fn take_whole(&mut self) -> Option<Bytes> {
        self.body.take_whole()
    }

    async fn read_all(&mut self) -> Result<Bytes> {
        if self.body.begun {
            return Err(self.told(read_before()));
        }
        if let Some(whole) = self.take_whole() {
            return Ok(whole);
        }
        let mut out = Vec::with_capacity(self.body.length.unwrap_or(0).min(MAX_RESERVE) as usize);
        while poll_fn(|cx| self.poll_into(cx, &mut out)).await? {
            // A body that is at hand decodes without a wait; other tasks get their turn all the same.
            tokio::task::coop::consume_budget().await;
        }
        Ok(Bytes::from(out))
    }

    pub(crate) fn told(&self, error: Error) -> Error {
        error.with_url(&self.url).with_elapsed(self.started.elapsed())
    }
}

/// A body on its way in.
pub(crate) struct ResponseBody {
    /// Bytes that have come and were not handed on, as the wire had them.
    at_hand: Vec<u8>,
    /// Until the last byte has come; then its connection is back in the pool.
    exchange: Option<Box<Exchange>>,
    decoder: Option<Box<ContentDecoder>>,
    /// The most that is handed on in all.
    max: Option<u64>,
    handed_on: u64,
    length: Option<u64>,
    trailers: Option<Box<Headers>>,
    /// Why the body cannot be handed on, known from the head; told to who reads it, not to who looks at the status.
    refused: Option<Error>,
    failed: bool,
    /// The caller has begun to take it in pieces.
    begun: bool,
    /// Bytes that have come, as the wire had them.
    came: u64,
    /// Of the exchange that is over; while it runs it has its own.
    marks: Marks,
    /// Who watches, until the end is told.
    tracer: Option<Arc<Tracer>>,
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
    fn local(bytes: Vec<u8>) -> Self {
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

    fn marks(&self) -> &Marks {
        self.exchange.as_ref().map_or(&self.marks, |exchange| exchange.marks())
    }

    /// The whole body, if it is here and needs nothing done.
    fn take_whole(&mut self) -> Option<Bytes> {
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

    fn poll_into(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Result<bool>> {
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

fn read_before() -> Error {
    let message = "the body was read already, at least in part: it can be read once";
    Error::new(ErrorKind::Body, Phase::Body, message)
}

fn too_large(max: u64) -> Error {
    Error::new(ErrorKind::TooLarge, Phase::Body, format!("the body is larger than {max} bytes"))
}

fn decode_error(error: DecodeError) -> Error {
    Error::new(error.kind, Phase::Decode, error.message)
}
