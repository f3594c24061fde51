//! A slow request may be sent a second time (a hedge: Dean and Barroso, "The Tail at Scale", 2013): the first answer
//! that is whole counts, and the other request is dropped, which closes its connection. When and how often is the
//! schedule's to say.

use std::pin::pin;
use std::time::Duration;

use gannet_core::schedule::{Start, Ticket};
use http::Method;
use tokio::time::{Instant, sleep};

use super::attempt::{Came, Sender};
use super::memory::Share;
use crate::error::Result;
use crate::request::Request;

/// Who says whether a copy may be sent.
pub(super) trait Copies: Sync {
    /// Whether one may be sent now; it then counts as in flight.
    fn may_copy(&self, ticket: &Ticket) -> bool;
    /// The copy is over.
    fn on_copied(&self, ticket: &Ticket);
}

/// How long a request goes on at least before its copy is asked for, and before it is asked for again.
const SHORTEST: Duration = Duration::from_millis(5);

/// A copy of a request that may be sent twice at no harm; none of others.
pub(super) fn copy_of(request: &Request, start: &Start) -> Option<Request> {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
    if start.hedge_after.is_some() && is_safe { request.try_clone() } else { None }
}

enum Winner {
    First(Result<()>),
    Copy(Result<()>),
}

impl Sender {
    /// Sends the request, and its copy when it is slow and one may be sent. What came is that of the winner.
    pub(super) async fn race(
        &self,
        (request, copy): (Request, Request),
        start: &Start,
        (came, share): (&mut Came, &mut Share),
        copies: &dyn Copies,
    ) -> Result<()> {
        let deadline = start.deadline.map(Instant::from_std);
        let (mut other, mut other_share) = (Came::default(), self.memory.share());
        let winner = {
            let mut first = pin!(self.exchange(request, deadline, came, share));
            let wait = start.hedge_after.unwrap_or_default().max(SHORTEST);
            loop {
                tokio::select! {
                    biased;
                    done = &mut first => return done,
                    () = sleep(wait) => {}
                }
                // Asked again while it goes on: a copy needs a slot too, and all may be taken now.
                if copies.may_copy(&start.ticket) {
                    break;
                }
            }
            let mut second = pin!(self.exchange(copy, deadline, &mut other, &mut other_share));
            // One that failed waits for the other, which may still make it.
            let winner = tokio::select! {
                done = &mut first => match done {
                    Ok(()) => Winner::First(Ok(())),
                    Err(error) => match second.await {
                        Ok(()) => Winner::Copy(Ok(())),
                        Err(_) => Winner::First(Err(error)),
                    },
                },
                done = &mut second => match done {
                    Ok(()) => Winner::Copy(Ok(())),
                    Err(_) => Winner::First(first.await),
                },
            };
            copies.on_copied(&start.ticket);
            winner
        };
        match winner {
            Winner::First(result) => result,
            Winner::Copy(result) => {
                (*came, *share) = (other, other_share);
                result
            }
        }
    }
}
