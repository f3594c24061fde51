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

mod response;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use gannet_core::events::Event;
use gannet_core::{ErrorKind, Phase};
use http::Method;
use tokio::runtime::Runtime;

pub use self::response::Response;

use crate::bulk::{BulkOptions, Control, Fetch, Outcome, RetryPolicy, source::Target};
use crate::download::{Download, Saved};
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
