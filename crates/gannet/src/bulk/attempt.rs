//! One attempt at one row: sent, its body gathered under the caps, and what came of it in the two forms that are
//! needed: the facts for the schedule, the outcome for the sink.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use gannet_core::ErrorKind;
use gannet_core::limit::declared_limit;
use gannet_core::retry::parse_retry_after;
use gannet_core::schedule::{self, Start, Ticket};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::copies::{Copies, copy_of};
use super::memory::{Memory, Share};
use super::sink::Mark;
use super::sink::RowMaker;
use super::{BulkOptions, Fetched, Outcome, Row};
use crate::error::{Error, Result};
use crate::request::Request;
use crate::response::Response;
use crate::retrying::outcome_of_error;
use crate::session::Session;

/// A row that the schedule has started.
pub(super) struct Attempt {
    pub(super) row: Row,
    pub(super) start: Start,
    /// To be waited for before anything is sent.
    pub(super) mark: Option<Mark>,
}

/// An attempt that is over.
pub(super) struct Ended {
    pub(super) ticket: Ticket,
    pub(super) facts: schedule::Outcome,
    pub(super) outcome: Outcome,
    /// The sink's with the outcome.
    pub(super) share: Share,
}

/// What attempts need: for each lane of a run its session, and what is the same for all.
pub(super) struct Sender {
    pub(super) session: Session,
    pub(super) options: Arc<BulkOptions>,
    pub(super) memory: Arc<Memory>,
    /// How the sink wants its rows.
    pub(super) maker: Option<RowMaker>,
    /// The runtime of the run's caller, where this is another.
    pub(super) home: Option<Handle>,
}

/// What an attempt has brought so far.
#[derive(Default)]
pub(super) struct Came {
    pub(super) response: Option<Fetched>,
    /// Until the head, redirects included.
    pub(super) latency: Option<Duration>,
}

/// A response of which the head is there.
pub(super) struct Answered {
    response: Response,
    /// Whether the row's deadline is what bounds it.
    by_deadline: bool,
}

impl Sender {
    pub(super) async fn perform(&self, attempt: Attempt, copies: &dyn Copies) -> Ended {
        let Attempt { row, start, mark } = attempt;
        let started = Instant::now();
        let mut share = self.memory.share();
        let mut came = Came::default();
        let (mut repeatable, mut replayable) = (true, true);
        let error = match row.request {
            Ok(request) => {
                repeatable = request.is_repeatable();
                replayable = request.body().is_replayable();
                let deadline = start.deadline.map(Instant::from_std);
                match wait_for(mark).await {
                    Err(error) => Some(error),
                    Ok(()) => match copy_of(&request, &start) {
                        None => self.exchange(request, deadline, &mut came, &mut share).await.err(),
                        // Boxed: few runs hedge, and all would carry its size.
                        Some(copy) => {
                            Box::pin(self.race((request, copy), &start, (&mut came, &mut share), copies)).await.err()
                        }
                    },
                }
            }
            Err(error) => Some(error),
        };
        let mut facts = self.facts(&came, error.as_ref(), repeatable);
        if error.is_some() && !replayable {
            // A body that was sent and is gone: this failure is the row's last, and stays the one that is told.
            facts.error = Some(ErrorKind::Request);
        }
        let (response, attempts) = (came.response, start.attempt);
        let elapsed = started.elapsed();
        let error = error.map(|error| error.with_attempts(attempts).with_elapsed(elapsed));
        let outcome =
            Outcome { index: row.index, line: row.line, id: row.id, url: row.url, attempts, elapsed, response, error };
        Ended { ticket: start.ticket, facts, outcome, share }
    }

    /// What the schedule is to know of a request that ended so.
    pub(super) fn facts(&self, came: &Came, error: Option<&Error>, repeatable: bool) -> schedule::Outcome {
        let failed = error.map(|error| outcome_of_error(error, repeatable));
        let whole = schedule::Outcome { repeatable, ..schedule::Outcome::default() };
        let mut facts = failed.unwrap_or(whole).latency(came.latency);
        if let Some(fetched) = &came.response {
            facts.status = Some(fetched.status.as_u16());
            if self.options.polite.rate_limit_headers && !fetched.redirected {
                facts.rate_limit = declared_limit(&fetched.headers, false);
            }
            if fetched.status.as_u16() >= 400 {
                let after = fetched.headers.get_bytes("retry-after");
                facts.retry_after = after.and_then(|value| parse_retry_after(value, SystemTime::now()));
            }
        }
        facts
    }

    /// Sends the request and gathers the body. What came is in `came`, also where an error follows.
    pub(super) async fn exchange(
        &self,
        request: Request,
        deadline: Option<Instant>,
        came: &mut Came,
        share: &mut Share,
    ) -> Result<()> {
        let answered = self.head(request, deadline, came).await?;
        self.body(answered, came, share).await
    }

    /// Sends the request; returns with the head, redirects followed.
    pub(super) async fn head(
        &self,
        mut request: Request,
        deadline: Option<Instant>,
        came: &mut Came,
    ) -> Result<Answered> {
        let by_deadline = self.bound(&mut request, deadline);
        let sent = Instant::now();
        let response = self.session.answer(request).await.map_err(|error| late(error, by_deadline))?;
        came.latency = Some(sent.elapsed());
        Ok(Answered { response, by_deadline })
    }

    /// Gathers the body.
    pub(super) async fn body(&self, answered: Answered, came: &mut Came, share: &mut Share) -> Result<()> {
        let Answered { mut response, by_deadline } = answered;
        let body = self.gather(&mut response, share, by_deadline).await;
        let Response { status, headers, url, history, .. } = response;
        let redirected = !history.is_empty();
        let kept = body.as_ref().map_or_else(|_| Bytes::new(), Bytes::clone);
        came.response = Some(Fetched { status, headers, final_url: url, redirected, body: kept });
        body.map_err(|error| late(error, by_deadline))?;
        match &came.response {
            Some(fetched) if status.as_u16() >= 400 => Err(Error::of_status(status).with_url(&fetched.final_url)),
            _ => Ok(()),
        }
    }

    /// Sets the attempt's `total` and largest body; whether it is the row's deadline that bounds it.
    fn bound(&self, request: &mut Request, deadline: Option<Instant>) -> bool {
        let settings = self.session.settings();
        let cap = settings.response.max_body.map_or(self.options.max_body, |own| own.min(self.options.max_body));
        request.own.max_body.get_or_insert(cap);
        let session = &settings.timeouts;
        let total = request.own.timeouts.as_ref().map_or(session.total, |own| own.total).or(self.options.total);
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let by_deadline = match (left, total) {
            (Some(left), Some(total)) => left < total,
            (left, _) => left.is_some(),
        };
        let total = if by_deadline { left } else { total };
        set_total(request, session, total);
        by_deadline
    }

    /// The whole body. Waiting for memory counts towards no timeout but the row's deadline.
    async fn gather(&self, response: &mut Response, share: &mut Share, by_deadline: bool) -> Result<Bytes> {
        if let Some(whole) = response.take_whole() {
            share.count(whole.len() as u64);
            return Ok(whole);
        }
        let mut body = Vec::new();
        while poll_fn(|cx| response.poll_into(cx, &mut body)).await? {
            tokio::task::coop::consume_budget().await;
            let before = Instant::now();
            if share.grow_to(body.capacity() as u64).await {
                response.excuse(before.elapsed(), !by_deadline);
            }
        }
        Ok(Bytes::from(body))
    }
}

/// The mark of a request that must not be sent twice: without it, nothing is sent.
async fn wait_for(mark: Option<Mark>) -> Result<()> {
    let Some(mark) = mark else { return Ok(()) };
    mark.await.map_err(|error| {
        let message = "the run's state could not be written before the request was sent";
        Error::new(ErrorKind::Closed, gannet_core::Phase::Prepare, message).with_source(error)
    })
}

fn late(error: Error, by_deadline: bool) -> Error {
    match error.kind() {
        ErrorKind::TimeoutTotal if by_deadline => error.with_kind(ErrorKind::TimeoutDeadline),
        _ => error,
    }
}

fn set_total(request: &mut Request, session: &gannet_core::timeout::Timeouts, total: Option<Duration>) {
    if request.own.timeouts.is_none() && session.total == total {
        return;
    }
    request.own.timeouts.get_or_insert_with(|| Box::new(session.clone())).total = total;
}
