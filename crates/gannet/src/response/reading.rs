//! Reading a body: whole, as bytes, text or JSON, or a piece at a time. Refuses to pass off as the whole what a part
//! was taken of. Every error names URL and time; who watches is told of the end, once.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use gannet_core::field::MediaType;
use gannet_core::{ErrorKind, Phase};
use serde::de::DeserializeOwned;

use super::Response;
use super::body::decode_error;
use crate::buffer::READ_SIZE;
use crate::decode::charset;
use crate::error::{Error, Result};
use crate::trace::Event;

/// The most that is reserved at once on the word of a Content-Length.
const MAX_RESERVE: u64 = 1 << 20;
/// A chunk of this size is handed on without a look whether more is at hand.
const FULL_CHUNK: usize = 64 << 10;

impl Response {
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

    /// As [`Response::text`], with this charset in place of UTF-8 where Content-Type names none, or none that is known.
    ///
    /// # Errors
    /// As [`Response::bytes`]; kind `request` for a charset that is not known (WHATWG Encoding §4.2).
    pub async fn text_with_charset(mut self, otherwise: &str) -> Result<String> {
        let otherwise = self.charset_named(otherwise)?;
        let bytes = self.read_all().await?;
        Ok(charset::text_or(Vec::from(bytes), self.headers.get("content-type"), otherwise).text)
    }

    /// The whole body as text in this charset, whatever Content-Type or a byte order mark of another charset say. What
    /// does not decode becomes U+FFFD.
    ///
    /// # Errors
    /// As [`Response::text_with_charset`].
    pub async fn text_as(mut self, charset: &str) -> Result<String> {
        let charset = self.charset_named(charset)?;
        let bytes = self.read_all().await?;
        Ok(charset::text_as(&bytes, charset))
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

    /// As [`Response::json`], where Content-Type says that it is JSON: `application/json`, `text/json`, or a type that
    /// ends in `+json`. A page of HTML in its place is then told by its type, and not read.
    ///
    /// # Errors
    /// As [`Response::json`]; kind `decode` for another content type, or none.
    pub async fn json_strict<T: DeserializeOwned>(self) -> Result<T> {
        let media = self.content_type();
        if media.as_ref().is_some_and(MediaType::is_json) {
            return self.json().await;
        }
        let is = media.map_or_else(|| "missing".to_owned(), |media| media.essence);
        let message = format!("the body is not announced as JSON: its content type is {is}");
        Err(self.told(Error::new(ErrorKind::Decode, Phase::Decode, message)))
    }

    /// The next piece of the body, decoded: what is at hand, some 64 KiB of it at the most. `None` at its end. Dropping
    /// the future loses nothing.
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

    pub(super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        self.body.begun = true;
        if let Some(rest) = self.body.give_back() {
            return Poll::Ready(Ok(Some(rest)));
        }
        // Room at once, where it will be needed: growing would copy what is there.
        let is_large = self.body.decoder.is_none() && self.body.left() > FULL_CHUNK as u64;
        let mut out = Vec::with_capacity(if is_large { FULL_CHUNK + READ_SIZE } else { 0 });
        let more = ready!(self.poll_into(cx, &mut out))?;
        // What is at hand goes along: a frame of HTTP/2 or a record of TLS is little for a write to a file.
        while more && out.len() < FULL_CHUNK {
            let good = out.len();
            match self.poll_into(cx, &mut out) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Err(error)) => {
                    // Of what is too large nothing more is handed on.
                    out.truncate(good);
                    self.body.fail_next(error);
                    break;
                }
                Poll::Ready(Ok(false)) | Poll::Pending => break,
            }
        }
        if out.len() < out.capacity() / 2 {
            out.shrink_to_fit();
        }
        Poll::Ready(Ok(more.then(|| Bytes::from(out))))
    }

    /// The rest of the piece that was handed on last comes once more.
    pub(crate) fn take_back(&mut self, rest: Bytes) {
        self.body.take_back(rest);
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

    fn charset_named(&self, label: &str) -> Result<&'static encoding_rs::Encoding> {
        charset::named(label).ok_or_else(|| self.told(Error::request(format!("not a charset: {label:?}"))))
    }

    pub(crate) fn told(&self, error: Error) -> Error {
        error.with_url(&self.url).with_elapsed(self.started.elapsed())
    }
}

pub(crate) fn read_before() -> Error {
    let message = "the body was read already, at least in part: it can be read once";
    Error::new(ErrorKind::Body, Phase::Body, message)
}
