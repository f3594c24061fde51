//! A slow request may be sent a second time (a hedge: Dean and Barroso, "The Tail at Scale", 2013): the first answer
//! that another attempt would not better counts, and the other request is dropped, which closes its connection or, over
//! HTTP/2, resets its stream. What fails while the other goes on is told at once: a host that asks to be left alone is.
//! When and how often is the schedule's to say; never once the head has come, since what is slow is told by the time
//! that heads take, and a body may be long or wait for memory.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gannet_core::ErrorKind;
use gannet_core::schedule::{Outcome, Start, Ticket};
use http::Method;
use tokio::time::{Instant, sleep};

use super::Fetched;
use super::attempt::{Came, Sender};
use super::memory::Share;
use crate::error::Result;
use crate::request::Request;

/// Who says whether a copy may be sent.
pub(super) trait Copies: Sync {
    /// Whether one may be sent now; it then counts as in flight.
    fn may_copy(&self, ticket: &Ticket) -> bool;
    /// One of the two is over, so that there is one again: what it came to if it failed, or none if it was dropped.
    fn on_copied(&self, ticket: &Ticket, lost: Option<Lost>);
}

/// What came of a request whose copy, or original, goes on.
pub(super) struct Lost {
    pub(super) facts: Outcome,
    pub(super) answered: Option<Fetched>,
}

/// How long a request goes on at least before its copy is asked for, and before it is asked for again.
const SHORTEST: Duration = Duration::from_millis(5);

/// A copy of a request that may be sent twice at no harm; none of others.
pub(super) fn copy_of(request: &Request, start: &Start) -> Option<Request> {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
    if start.hedge_after.is_some() && is_safe { request.try_clone() } else { None }
}

/// A request that is over, and what came of it.
struct Ran {
    result: Result<()>,
    came: Came,
    share: Share,
}

impl Sender {
    /// Sends the request, and its copy when it is slow and one may be sent. What came is that of the winner; where both
    /// fail, of the one that ended last.
    pub(super) async fn race(
        &self,
        (request, copy): (Request, Request),
        start: &Start,
        (came, share): (&mut Came, &mut Share),
        copies: &dyn Copies,
    ) -> Result<()> {
        let ran = self.first_of(request, copy, start, copies).await;
        (*came, *share) = (ran.came, ran.share);
        ran.result
    }

    async fn first_of(&self, request: Request, copy: Request, start: &Start, copies: &dyn Copies) -> Ran {
        let (began, deadline) = (Instant::now(), start.deadline.map(Instant::from_std));
        let (is_answered, unheeded) = (AtomicBool::new(false), AtomicBool::new(false));
        let mut first = pin!(self.ask(request, deadline, began, &is_answered));
        let wait = start.hedge_after.unwrap_or_default().max(SHORTEST);
        loop {
            tokio::select! {
                biased;
                ran = &mut first => return ran,
                () = sleep(wait) => {}
            }
            if is_answered.load(Ordering::Relaxed) {
                return first.await;
            }
            // Asked again while it goes on: a copy needs a slot too, and all may be taken now.
            if copies.may_copy(&start.ticket) {
                break;
            }
        }
        let mut second = pin!(self.ask(copy, deadline, began, &unheeded));
        let (ran, is_first) = tokio::select! {
            ran = &mut first => (ran, true),
            ran = &mut second => (ran, false),
        };
        if self.is_settled(&ran) {
            copies.on_copied(&start.ticket, None);
            return ran;
        }
        // The other may still make it; what this one was told holds meanwhile.
        let facts = self.facts(&ran.came, ran.result.as_ref().err(), true);
        drop(ran.share);
        copies.on_copied(&start.ticket, Some(Lost { facts, answered: ran.came.response }));
        if is_first { second.await } else { first.await }
    }

    /// The latency is that since the attempt began, also of a copy: so long the host took.
    async fn ask(&self, request: Request, deadline: Option<Instant>, began: Instant, is_answered: &AtomicBool) -> Ran {
        let (mut came, mut share) = (Came::default(), self.memory.share());
        let sent = Instant::now();
        let result = match self.head(request, deadline, &mut came).await {
            Ok(answered) => {
                is_answered.store(true, Ordering::Relaxed);
                self.body(answered, &mut came, &mut share).await
            }
            Err(error) => Err(error),
        };
        came.latency = came.latency.map(|latency| latency + sent.saturating_duration_since(began));
        Ran { result, came, share }
    }

    /// Whether waiting for the other is of no use: a whole answer, and none that another attempt may better.
    fn is_settled(&self, ran: &Ran) -> bool {
        let Err(error) = &ran.result else { return true };
        let status = ran.came.response.as_ref().map(|answered| answered.status.as_u16());
        error.kind() == ErrorKind::Status && status.is_some_and(|status| !self.options.retry.statuses.contains(status))
    }
}

#[cfg(test)]
mod tests;
