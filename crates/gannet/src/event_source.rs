//! Server-sent events over as many connections as it takes (WHATWG HTML §9.2): when one is lost, the next says which
//! event was the last (Last-Event-ID), after the delay that the server asked for. Opt-in: a plain response's
//! [`Response::events`] never connects again.

use std::time::{Duration, SystemTime};

use gannet_core::events::{Event, EventLimits, EventParser};
use gannet_core::retry::{StatusSet, parse_retry_after};
use gannet_core::timeout::seconds;
use gannet_core::{ErrorKind, Phase};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::request::{Request, RequestBuilder, finished, set_missing};
use crate::response::{Events, Response};
use crate::session::Session;

/// How an [`EventSource`] connects again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventSourceOptions {
    /// The wait before connecting again until the server names one, in seconds; 3.
    #[serde(with = "seconds")]
    pub retry: Duration,
    /// The wait doubles with each connection in a row that brought no event, up to this; 60. What the server itself
    /// asks for is never undercut.
    #[serde(with = "seconds")]
    pub retry_max: Duration,
    /// Connections in a row that bring no event before it gives up; 10. None never gives up.
    pub max_failures: Option<u32>,
    /// The statuses after which it connects again; 408, 429, 500, 502, 503, 504. Browsers give up at each of them;
    /// a server that is being restarted answers so.
    pub statuses: StatusSet,
    /// How large lines and events may grow.
    pub limits: EventLimits,
}

impl Default for EventSourceOptions {
    fn default() -> Self {
        EventSourceOptions {
            retry: Duration::from_secs(3),
            retry_max: Duration::from_secs(60),
            max_failures: Some(10),
            statuses: StatusSet::default(),
            limits: EventLimits::default(),
        }
    }
}

/// A stream of events that connects again when its connection is lost. Made by [`RequestBuilder::event_source`].
///
/// A silent server is a lost connection after `timeouts.read` (60 s): servers send a comment now and then to tell that
/// they are there. Dropping it closes the connection or, over HTTP/2, resets its stream.
#[derive(Debug)]
pub struct EventSource {
    session: Session,
    request: Request,
    options: EventSourceOptions,
    events: Option<Events>,
    last_id: String,
    retry: Duration,
    /// Connections in a row that brought no event.
    failures: u32,
    /// A connection was lost, and the server wants to be left alone for so long at least.
    lost: Option<Duration>,
    ended: bool,
}

impl RequestBuilder {
    /// The events of this URL, over as many connections as it takes. Nothing is sent before the first
    /// [`EventSource::next_event`]. Sends `Accept: text/event-stream` and `Cache-Control: no-store` unless the request
    /// says otherwise.
    ///
    /// # Errors
    /// What is wrong with the request; kind `request` if its body can be sent once only.
    pub fn event_source(self, options: EventSourceOptions) -> Result<EventSource> {
        let RequestBuilder { session, request } = self;
        let mut request = finished(request)?;
        if !request.body().is_replayable() {
            return Err(Error::request("events need a request that can be sent again").with_url(request.url()));
        }
        set_missing(&mut request.headers, "accept", "text/event-stream")?;
        set_missing(&mut request.headers, "cache-control", "no-store")?;
        let retry = options.retry;
        let last_id = String::new();
        Ok(EventSource {
            session,
            request,
            options,
            events: None,
            last_id,
            retry,
            failures: 0,
            lost: None,
            ended: false,
        })
    }
}

impl EventSource {
    /// The next event, after a wait and a new connection if need be; `None` once the server says that there are no
    /// more (204). Dropping the future loses no event; a connection being made is begun again.
    ///
    /// # Errors
    /// What cannot become better by trying again: another status, a body that is no event stream (kind `decode`), an
    /// event over its bound; or the last failure when there were too many. Then nothing more comes.
    pub async fn next_event(&mut self) -> Option<Result<Event>> {
        while !self.ended {
            let failed = match &mut self.events {
                Some(events) => match events.next_event().await {
                    Some(Ok(event)) => {
                        self.failures = 0;
                        return Some(Ok(event));
                    }
                    Some(Err(error)) if !error.kind().is_transient() => Some(error),
                    other => self.on_lost(other.and_then(Result::err), Duration::ZERO),
                },
                None => self.connect().await,
            };
            if let Some(error) = failed {
                self.ended = true;
                return Some(Err(error));
            }
        }
        None
    }

    /// The ID of the last event that had one, to go on from elsewhere; empty for none.
    pub fn last_id(&self) -> &str {
        self.events.as_ref().map_or(&self.last_id, Events::last_id)
    }

    /// Goes on behind this event: its ID is sent with the next connection.
    #[must_use]
    pub fn with_last_id(self, id: impl Into<String>) -> Self {
        EventSource { last_id: id.into(), ..self }
    }

    /// Keeps what the lost connection has said; the error where one was lost too often.
    fn on_lost(&mut self, error: Option<Error>, asked: Duration) -> Option<Error> {
        if let Some(events) = self.events.take() {
            events.last_id().clone_into(&mut self.last_id);
            self.retry = events.retry().unwrap_or(self.retry);
        }
        self.failures = self.failures.saturating_add(1);
        if self.options.max_failures.is_some_and(|max| self.failures > max) {
            let ended = || Error::new(ErrorKind::Connection, Phase::Body, "the event stream ends again and again");
            return Some(error.unwrap_or_else(ended).with_url(self.request.url()));
        }
        self.lost = Some(asked);
        None
    }

    /// The wait before the next connection.
    fn delay(&self, asked: Duration) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(31);
        let longest = self.options.retry_max.max(self.retry);
        self.retry.saturating_mul(1 << doublings).min(longest).max(asked)
    }

    /// Connects after the wait that is due; the error that ends it all, if there is one.
    async fn connect(&mut self) -> Option<Error> {
        if let Some(asked) = self.lost {
            tokio::time::sleep(self.delay(asked)).await;
            self.lost = None;
        }
        let mut request = self.request.try_clone()?;
        if !self.last_id.is_empty()
            && let Err(error) = request.headers.set("last-event-id", &self.last_id)
        {
            return Some(Error::request(format!("the last event ID cannot be sent: {error}")).with_url(&request.url));
        }
        match Box::pin(self.session.answer(request)).await {
            Ok(response) => self.on_response(response),
            Err(error) if error.kind().is_transient() => self.on_lost(Some(error), Duration::ZERO),
            Err(error) => Some(error),
        }
    }

    fn on_response(&mut self, response: Response) -> Option<Error> {
        let status = response.status().as_u16();
        if status == 204 {
            self.ended = true;
            return None;
        }
        if status != 200 {
            let error = response.status_error();
            if !self.options.statuses.contains(status) {
                return Some(error);
            }
            let after = response.headers().get_bytes("retry-after");
            let asked = after.and_then(|value| parse_retry_after(value, SystemTime::now())).unwrap_or_default();
            return self.on_lost(Some(error), asked);
        }
        let is_stream = response.content_type().is_some_and(|media| media.essence == "text/event-stream");
        if !is_stream {
            let message = "the response is no event stream: its content type is not text/event-stream";
            return Some(Error::new(ErrorKind::Decode, Phase::Head, message).with_url(response.url()));
        }
        let parser = EventParser::new(self.options.limits).with_last_id(std::mem::take(&mut self.last_id));
        self.events = Some(response.events_with(parser));
        None
    }
}
