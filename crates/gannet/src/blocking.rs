//! The door for programs that are not async: the same session, each call waiting for its end.
//!
//! The futures run on the calling thread; one background thread moves the sockets and timers of a session and of
//! all its clones. Share one session between threads: connections, cookies and limits are then shared too.
//! Not to be called from async code: there it would block everything else, and panics.
//!
//! What is not here by name is reached by [`Session::block_on`], which waits for any future of the async door.
//!
//! ```no_run
//! let session = gannet::blocking::Session::new(gannet::Options::default())?;
//! let text = session.get("https://example.com/").send()?.error_for_status()?.text()?;
//! # Ok::<(), gannet::Error>(())
//! ```

use std::future::Future;
use std::io::{self, Read};
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gannet_core::events::Event;
use gannet_core::{ErrorKind, Phase};
use http::Method;
use serde::de::DeserializeOwned;
use tokio::runtime::Runtime;

use crate::bulk::{BulkOptions, Control, Fetch, Outcome, RetryPolicy, source::Target};
use crate::download::{Download, DownloadOptions, Saved};
use crate::error::{Error, Result};
use crate::event_source::EventSourceOptions;
use crate::options::Options;
use crate::request::{IntoUrl, Request, RequestBuilder, finished};
use crate::session::verbs;

/// As [`crate::Session`], without async. Clones share everything.
#[derive(Clone, Debug)]
pub struct Session {
    session: crate::Session,
    runtime: Arc<Background>,
}

/// As [`crate::Response`], without async; what does not wait is the same by `Deref`. Its body is a reader too: an error
/// of ours is what the [`io::Error`] holds, of the kind `TimedOut` where it is a timeout.
#[derive(Debug)]
pub struct Response {
    response: crate::Response,
    runtime: Arc<Background>,
}

/// As [`crate::bulk::Outcomes`], without async: an iterator of outcomes, each waited for. Dropping it aborts the run.
/// Made by [`Session::outcomes`].
pub struct Outcomes {
    outcomes: crate::bulk::Outcomes,
    runtime: Arc<Background>,
}

/// As [`crate::EventSource`], without async: an iterator of events, each waited for, over as many connections as it
/// takes. Dropping it closes the connection or, over HTTP/2, resets its stream. Made by `event_source` of a blocking
/// session's request.
#[derive(Debug)]
pub struct EventSource {
    source: crate::EventSource,
    runtime: Arc<Background>,
}

/// The runtime behind a session; let go without waiting when the last user is gone.
#[derive(Debug)]
struct Background(Option<Runtime>);

impl Session {
    /// As [`crate::Session::new`]; starts one thread.
    ///
    /// # Errors
    /// As there; kind `resources` if the thread cannot be started.
    pub fn new(options: Options) -> Result<Self> {
        Session::of(crate::Session::new(options)?)
    }

    /// The blocking door of a session that was built with more than options ([`crate::Session::builder`]). It must not
    /// have been used yet: connections belong to the runtime that opened them.
    ///
    /// # Errors
    /// Kind `resources` if the thread cannot be started.
    pub fn of(session: crate::Session) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("gannet-blocking")
            .enable_all()
            .build()
            .map_err(|error| Error::io(ErrorKind::Resources, Phase::Prepare, "cannot start a thread", error))?;
        Ok(Session { session, runtime: Arc::new(Background(Some(runtime))) })
    }

    /// Starts a request of any method.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder<Session> {
        RequestBuilder::new(self.clone(), self.session.prepare(method, url))
    }

    verbs!(RequestBuilder<Session>);

    /// Sends a finished request.
    ///
    /// # Errors
    /// As [`crate::RequestBuilder::send`].
    pub fn execute(&self, request: Request) -> Result<Response> {
        let response = self.runtime.wait(self.session.execute(request))?;
        Ok(Response::of(response, self.runtime.clone()))
    }

    /// As [`crate::Session::execute_retrying`].
    ///
    /// # Errors
    /// As there.
    pub fn execute_retrying(&self, request: Request, policy: &RetryPolicy) -> Result<Response> {
        let response = self.runtime.wait(self.session.execute_retrying(request, policy))?;
        Ok(Response::of(response, self.runtime.clone()))
    }

    /// Waits for a future of the async door, on this session's runtime: whatever has no method here.
    ///
    /// ```no_run
    /// # fn example(session: gannet::blocking::Session) -> gannet::Result<()> {
    /// let response = session.get("https://example.com/parts").send()?.into_async();
    /// let mut parts = response.multipart()?;
    /// while let Some(part) = session.block_on(parts.next_part())? {
    ///     println!("{} bytes", session.block_on(part.bytes())?.len());
    /// }
    /// # Ok(()) }
    /// ```
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.wait(future)
    }

    /// As [`crate::Session::fetch_all`]: all of them concurrently, the outcomes in input order.
    pub fn fetch_all<T: Into<Target>>(
        &self,
        targets: impl IntoIterator<Item = T>,
        options: BulkOptions,
    ) -> Vec<Outcome> {
        let fetch = self.session.fetch_all(targets).options(options);
        self.runtime.wait(fetch.outcomes())
    }

    /// Starts a run over a source, an iterator or a stream, and waits for each outcome:
    ///
    /// ```no_run
    /// # fn example(session: gannet::blocking::Session) {
    /// let urls = (1..=1000).map(|id| format!("https://example.com/items/{id}"));
    /// for outcome in session.outcomes(session.as_ref().fetch_iter(urls).ordered()) {
    ///     println!("{} {}", outcome.url, outcome.is_ok());
    /// }
    /// # }
    /// ```
    pub fn outcomes(&self, fetch: Fetch) -> Outcomes {
        let outcomes = self.runtime.wait(async { fetch.outcomes() });
        Outcomes { outcomes, runtime: self.runtime.clone() }
    }

    /// As [`crate::Download::send`]: sends a download that [`RequestBuilder::download`] made, and waits until the file
    /// is in its place.
    ///
    /// # Errors
    /// As there.
    pub fn save(&self, download: Download) -> Result<Saved> {
        self.runtime.wait(download.send())
    }

    /// As [`crate::Session::close`].
    pub fn close(&self) {
        self.session.close();
    }

    /// As [`crate::Session::close_within`].
    pub fn close_within(&self, limit: Duration) -> usize {
        self.runtime.wait(self.session.close_within(limit))
    }
}

/// As [`crate::get`], without async.
///
/// # Errors
/// As [`RequestBuilder::send`].
pub fn get(url: impl IntoUrl) -> Result<Response> {
    Session::new(Options::default())?.get(url).send()
}

impl AsRef<crate::Session> for Session {
    fn as_ref(&self) -> &crate::Session {
        &self.session
    }
}

impl RequestBuilder<Session> {
    /// Sends the request and waits for the response's head.
    ///
    /// # Errors
    /// As [`RequestBuilder::send`] of the async door.
    pub fn send(self) -> Result<Response> {
        let RequestBuilder { session, request } = self;
        session.execute(finished(request)?)
    }

    /// As [`RequestBuilder::event_source`] of the async door.
    ///
    /// # Errors
    /// As there.
    pub fn event_source(self, options: EventSourceOptions) -> Result<EventSource> {
        let RequestBuilder { session, request } = self;
        let source = RequestBuilder::new(session.session, request).event_source(options)?;
        Ok(EventSource { source, runtime: session.runtime })
    }
}

impl EventSource {
    /// As [`crate::EventSource::last_id`].
    pub fn last_id(&self) -> &str {
        self.source.last_id()
    }

    /// As [`crate::EventSource::with_last_id`].
    #[must_use]
    pub fn with_last_id(self, id: impl Into<String>) -> Self {
        EventSource { source: self.source.with_last_id(id), ..self }
    }
}

impl Iterator for EventSource {
    type Item = Result<Event>;

    /// Waits for the next event. Errors as of [`crate::EventSource::next_event`].
    fn next(&mut self) -> Option<Self::Item> {
        self.runtime.wait(self.source.next_event())
    }
}

impl Outcomes {
    /// As [`crate::bulk::Outcomes::control`].
    pub fn control(&self) -> &Control {
        self.outcomes.control()
    }

    /// As [`crate::bulk::Outcomes::result`].
    ///
    /// # Errors
    /// As there.
    pub fn result(&self) -> Result<()> {
        self.outcomes.result()
    }
}

impl Iterator for Outcomes {
    type Item = Outcome;

    fn next(&mut self) -> Option<Outcome> {
        self.runtime.wait(self.outcomes.next())
    }
}

impl Response {
    fn of(response: crate::Response, runtime: Arc<Background>) -> Self {
        Response { response, runtime }
    }

    /// The response of the async door, for what has no method here; its futures are for [`Session::block_on`].
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

impl Background {
    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.0.as_ref().expect("invariant: taken on drop only").block_on(future)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Not joined: the last clone may be dropped in async code, where waiting is forbidden.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
