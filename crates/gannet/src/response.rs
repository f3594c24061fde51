//! A response: its head here, and its body, which can be read once: whole (`text`, `json`, `bytes`), in pieces
//! (`chunk`, a stream), in lines or in events. Reading it to the end gives the connection back; dropping it before closes
//! the connection or, over HTTP/2, resets its stream.
//!
//! Made by `send`, or by a middleware. A status of 400 and more is a response like any other; who wants an error of it
//! asks for one.

mod body;
mod fields;
mod parts;
mod reading;
mod streams;

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use gannet_core::Headers;
use gannet_core::h1::Version;
use http::{Method, StatusCode};
use tokio::time::Instant;
use url::Url;

use crate::connect::TlsInfo;
use crate::error::{Error, Result};
use crate::redact::RedactedUrl;
use crate::timings::Timings;

pub(crate) use self::body::{ResponseBody, too_large};
pub use self::fields::Link;
pub use self::parts::{Multipart, ReceivedPart};
pub(crate) use self::reading::read_before;
pub use self::streams::{Chunks, Events, ResponseLines};

/// A response whose head has come.
pub struct Response {
    pub(crate) method: Method,
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
#[derive(Clone)]
pub struct Redirected {
    /// What was asked.
    pub url: Url,
    /// The redirect's status.
    pub status: StatusCode,
    /// The redirect's fields, `Location` among them.
    pub headers: Headers,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("version", &self.version)
            .field("method", &self.method)
            .field("url", &RedactedUrl::new(&self.url))
            .field("headers", &self.headers)
            .field("history", &self.history)
            .field("body", &self.body)
            .field("head_after", &self.head_after)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Redirected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redirected")
            .field("url", &RedactedUrl::new(&self.url))
            .field("status", &self.status)
            .field("headers", &self.headers)
            .finish()
    }
}

impl Response {
    /// A response that no server sent: for a [`crate::Middleware`] that answers by itself, and for tests. Its body is
    /// handed out as it is, whatever the fields say.
    pub fn local(url: Url, status: StatusCode, headers: Headers, body: impl Into<Bytes>) -> Self {
        Response {
            method: Method::GET,
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

    /// The method that was sent last: after a redirect it may be another than was asked for. GET for a response that no
    /// server sent.
    pub fn method(&self) -> &Method {
        &self.method
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

    /// How that connection is secured: version, cipher, certificates. None without TLS to the origin.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.body.marks().opened.as_ref()?.secured.as_ref()
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
    /// Kind `status`; if the body was not here yet, the connection is closed or, over HTTP/2, the stream reset.
    pub fn error_for_status(self) -> Result<Self> {
        match self.error_for_status_ref() {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }

    /// As [`Response::error_for_status`], but the error keeps the beginning of the body, decoded, up to so many bytes:
    /// [`Error::body`]. A body that is longer is cut there and its connection closed or, over HTTP/2, its stream reset;
    /// one that breaks off is kept as far as it came. Takes as long as that much of the body takes.
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
        if self.ok() { None } else { Some(self.status_error()) }
    }

    /// The status as an error.
    pub(crate) fn status_error(&self) -> Error {
        let error = Error::of_status(self.status).with_headers(self.headers.clone());
        error.with_url(&self.url).with_elapsed(self.head_after)
    }
}
