//! A row on its way in, and what became of it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use gannet_core::{ErrorKind, Headers};
use http::StatusCode;
use url::Url;

use crate::error::{Error, Result};
use crate::redact::{RedactedUrl, ShownText};
use crate::request::Request;

/// One row of the input.
pub struct Row {
    /// Its place among all rows, from 0, without gaps.
    pub index: u64,
    /// Where the source finds it again: an offset, a number; only the source knows.
    pub place: u64,
    /// The line of the input it stands in, from 1, where there are lines.
    pub line: Option<u64>,
    /// The name the user gave it.
    pub id: Option<String>,
    /// The URL as given (resolved and with its parameters where there was something to resolve); empty where the
    /// row could not be read that far.
    pub url: String,
    /// The request, or why there is none: kinds `input`, `url` and `request`.
    pub request: Result<Request>,
}

/// What became of a row: exactly one for each.
pub struct Outcome {
    /// The row's place in the input, from 0.
    pub index: u64,
    /// The row's line, where there are lines.
    pub line: Option<u64>,
    /// The row's name.
    pub id: Option<String>,
    /// The URL as given.
    pub url: String,
    /// How many attempts were made; 0 for a row that could not be read.
    pub attempts: u32,
    /// How long the last attempt took.
    pub elapsed: Duration,
    /// The last attempt's response, if a head came: also beside an error (a status of 400 or above, with its
    /// body; a body that was not whole, then without it).
    pub response: Option<Fetched>,
    /// Why the row is not ok.
    pub error: Option<Error>,
}

/// A response that was read to its end.
#[derive(Clone)]
pub struct Fetched {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: Headers,
    /// The URL that answered, after redirects.
    pub final_url: Url,
    /// Whether there were redirects.
    pub redirected: bool,
    /// The body, decoded from its content codings.
    pub body: Bytes,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("index", &self.index)
            .field("place", &self.place)
            .field("line", &self.line)
            .field("id", &self.id)
            .field("url", &ShownText(&self.url))
            .field("request", &self.request)
            .finish()
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome")
            .field("index", &self.index)
            .field("line", &self.line)
            .field("id", &self.id)
            .field("url", &ShownText(&self.url))
            .field("attempts", &self.attempts)
            .field("elapsed", &self.elapsed)
            .field("response", &self.response)
            .field("error", &self.error)
            .finish()
    }
}

/// The body by its length alone.
impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("final_url", &RedactedUrl::new(&self.final_url))
            .field("redirected", &self.redirected)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish()
    }
}

impl Outcome {
    /// A status below 400 and a whole body.
    pub fn is_ok(&self) -> bool {
        self.error.is_none()
    }

    /// The status, if a response's head came.
    pub fn status(&self) -> Option<StatusCode> {
        self.response.as_ref().map(|response| response.status)
    }

    /// What kind of failure it was, if it was one.
    pub fn error_kind(&self) -> Option<ErrorKind> {
        self.error.as_ref().map(Error::kind)
    }

    /// The response of a row that is ok, or the error.
    ///
    /// # Errors
    /// The row's.
    pub fn into_result(self) -> Result<Fetched> {
        match (self.error, self.response) {
            (Some(error), _) => Err(error),
            (None, Some(response)) => Ok(response),
            (None, None) => Err(Error::closed()),
        }
    }
}

impl Fetched {
    /// The body as text, by the charset of its Content-Type; what does not decode becomes U+FFFD.
    pub fn text(&self) -> String {
        crate::decode::charset::text(&self.body[..], self.headers.get("content-type")).text
    }

    /// The body read as JSON.
    ///
    /// # Errors
    /// Kind `decode`.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let message = "the body is not the JSON expected";
            Error::new(ErrorKind::Decode, gannet_core::Phase::Decode, message).with_source(error)
        })
    }
}
