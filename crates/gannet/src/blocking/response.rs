//! A response behind the blocking door: each call waits for its end, and the body can be read as any reader.

use std::io::{self, Read};
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use gannet_core::events::Event;
use serde::de::DeserializeOwned;

use super::Background;
use crate::download::DownloadOptions;
use crate::error::{Error, Result};

/// As [`crate::Response`], without async; what does not wait is the same by `Deref`. Its body is a reader too: an error
/// of ours is what the [`io::Error`] holds, of the kind `TimedOut` where it is a timeout.
#[derive(Debug)]
pub struct Response {
    response: crate::Response,
    runtime: Arc<Background>,
}

impl Response {
    pub(super) fn of(response: crate::Response, runtime: Arc<Background>) -> Self {
        Response { response, runtime }
    }

    /// The response of the async door, for what has no method here; its futures are for
    /// [`Session::block_on`](super::Session::block_on).
    pub fn into_async(self) -> crate::Response {
        self.response
    }

    /// As [`crate::Response::error_for_status`].
    ///
    /// # Errors
    /// Kind `status`.
    pub fn error_for_status(self) -> Result<Self> {
        let response = self.response.error_for_status()?;
        Ok(Response { response, ..self })
    }

    /// As [`crate::Response::error_for_status_with_body`].
    ///
    /// # Errors
    /// Kind `status`.
    pub fn error_for_status_with_body(self, max: usize) -> Result<Self> {
        let response = self.runtime.wait(self.response.error_for_status_with_body(max))?;
        Ok(Response { response, ..self })
    }

    /// As [`crate::Response::bytes`].
    ///
    /// # Errors
    /// As there.
    pub fn bytes(self) -> Result<Bytes> {
        self.runtime.wait(self.response.bytes())
    }

    /// As [`crate::Response::text`].
    ///
    /// # Errors
    /// As there.
    pub fn text(self) -> Result<String> {
        self.runtime.wait(self.response.text())
    }

    /// As [`crate::Response::text_with_charset`].
    ///
    /// # Errors
    /// As there.
    pub fn text_with_charset(self, otherwise: &str) -> Result<String> {
        self.runtime.wait(self.response.text_with_charset(otherwise))
    }

    /// As [`crate::Response::text_as`].
    ///
    /// # Errors
    /// As there.
    pub fn text_as(self, charset: &str) -> Result<String> {
        self.runtime.wait(self.response.text_as(charset))
    }

    /// As [`crate::Response::text_strict`].
    ///
    /// # Errors
    /// As there.
    pub fn text_strict(self) -> Result<String> {
        self.runtime.wait(self.response.text_strict())
    }

    /// As [`crate::Response::json_strict`].
    ///
    /// # Errors
    /// As there.
    pub fn json_strict<T: DeserializeOwned>(self) -> Result<T> {
        self.runtime.wait(self.response.json_strict())
    }

    /// As [`crate::Response::json`].
    ///
    /// # Errors
    /// As there.
    pub fn json<T: DeserializeOwned>(self) -> Result<T> {
        self.runtime.wait(self.response.json())
    }

    /// As [`crate::Response::save_to`].
    ///
    /// # Errors
    /// As there.
    pub fn save_to(&mut self, path: impl AsRef<Path>, options: &DownloadOptions) -> Result<u64> {
        self.runtime.wait(self.response.save_to(path, options))
    }

    /// As [`crate::Response::events`], each waited for.
    pub fn events(self) -> impl Iterator<Item = Result<Event>> {
        let Response { response, runtime } = self;
        let mut events = response.events();
        std::iter::from_fn(move || runtime.wait(events.next_event()))
    }

    /// As [`crate::Response::lines`], each waited for.
    pub fn lines(self) -> impl Iterator<Item = Result<String>> {
        let Response { response, runtime } = self;
        let mut lines = response.lines();
        std::iter::from_fn(move || runtime.wait(lines.next_line()))
    }

    /// As [`crate::Response::chunk`].
    ///
    /// # Errors
    /// As there.
    pub fn chunk(&mut self) -> Result<Option<Bytes>> {
        self.runtime.wait(self.response.chunk())
    }
}

impl Read for Response {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let kind = |error: &Error| if error.is_timeout() { io::ErrorKind::TimedOut } else { io::ErrorKind::Other };
        let Some(mut rest) = self.chunk().map_err(|error| io::Error::new(kind(&error), error))? else { return Ok(0) };
        let piece = rest.split_to(buffer.len().min(rest.len()));
        buffer[..piece.len()].copy_from_slice(&piece);
        self.response.take_back(rest);
        Ok(piece.len())
    }
}

impl Deref for Response {
    type Target = crate::Response;

    fn deref(&self) -> &crate::Response {
        &self.response
    }
}
