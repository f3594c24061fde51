//! What becomes of a row when an attempt has ended: finished, tried again after a wait, or put back because this machine
//! ran short, which counts as no attempt and is given up after 300 s. Copies of attempts are allowed and ended here too.
//! The host hears of every outcome, and of every hold that it asked for.

use std::time::{Duration, Instant};

use super::action::{Ticket, Verdict};
use super::host::Ended;
use super::waiting::{Try, Wake};
use super::{Schedule, later};
use crate::ErrorKind;
use crate::retry::Outcome;

/// How long a row is put back for lack of resources before it is finished with that: what does not pass in this time
/// is no shortage of ours but something about the row.
const SHORTAGE_GIVE_UP: Duration = Duration::from_secs(300);

impl Schedule {
    /// An attempt has ended. What becomes of the row is the answer.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is spent")]
    pub fn on_outcome(&mut self, ticket: Ticket, outcome: Outcome, now: Instant) -> Verdict {
        let Ticket { under_way: done, started, probe } = ticket;
        self.in_flight -= 1;
        self.hosts.book_end(done.host);
        let host = &mut self.hosts[done.host];
        let ended = Ended { started, probe, outcome: &outcome, ceiling: self.terms.ceiling };
        host.on_outcome(&ended, &self.options.polite, now, &mut self.rng);
        host.on_gone(done.attempt);
        if let Some(hold) = self.options.retry.hold(&outcome) {
            host.hold_until(later(now, hold));
        }
        let verdict = if outcome.error == Some(ErrorKind::Resources) {
            self.shortage.on_shortage(self.in_flight, now);
            self.requeue(done, now)
        } else {
            if outcome.status.is_some() {
                self.shortage.on_answer();
            }
            self.judge(done, &outcome, now)
        };
        if verdict == Verdict::Finished {
            self.count_finished();
        }
        self.settle(done.host, now);
        verdict
    }

    /// Whether a copy of this attempt may be sent now; if so it counts as one more in flight until
    /// [`Schedule::on_hedge_done`]. At most one copy per attempt is the caller's to see to.
    pub fn hedge(&mut self, ticket: &Ticket, now: Instant) -> bool {
        let room = self.shortage.allows(self.in_flight + self.held_slots, self.concurrency, now);
        let id = ticket.under_way.host;
        if !room || self.stopped || self.is_paused() || !self.hosts[id].start_hedge(&self.terms, now) {
            return false;
        }
        self.in_flight += 1;
        self.hosts.book_start(id, now);
        true
    }

    /// Of an attempt and the copy that [`Schedule::hedge`] allowed, one is over, and the other goes on as the attempt.
    /// `lost` is what it came to if that was a failure, and none if it was dropped because the other won. To be told
    /// before the attempt's own outcome. A hold that it brought holds from now on.
    pub fn on_hedge_done(&mut self, ticket: &Ticket, lost: Option<&Outcome>, now: Instant) {
        let id = ticket.under_way.host;
        self.in_flight -= 1;
        self.hosts.book_end(id);
        let host = &mut self.hosts[id];
        if let Some(outcome) = lost {
            let ended = Ended { started: ticket.started, probe: false, outcome, ceiling: self.terms.ceiling };
            host.on_outcome(&ended, &self.options.polite, now, &mut self.rng);
            if let Some(hold) = self.options.retry.hold(outcome) {
                host.hold_until(later(now, hold));
            }
            if outcome.error == Some(ErrorKind::Resources) {
                self.shortage.on_shortage(self.in_flight, now);
            }
        }
        self.hosts[id].in_flight -= 1;
        self.settle(id, now);
    }

    fn judge(&mut self, done: Try, outcome: &Outcome, now: Instant) -> Verdict {
        let Some(delay) = self.options.retry.decide(outcome, done.attempt, &mut self.rng) else {
            return Verdict::Finished;
        };
        let host = &mut self.hosts[done.host];
        let at = later(now, delay).max(host.hold().unwrap_or(now));
        if done.is_late(at) {
            return Verdict::Finished;
        }
        host.on_backoff();
        let key = self.waiting.insert(Try { attempt: done.attempt + 1, short_since: None, ..done });
        self.timers.push(at, Wake::Due(key));
        Verdict::Retry { at }
    }

    fn requeue(&mut self, mut done: Try, now: Instant) -> Verdict {
        let since = *done.short_since.get_or_insert(now);
        if done.is_late(now) || now.saturating_duration_since(since) >= SHORTAGE_GIVE_UP {
            return Verdict::Finished;
        }
        let key = self.waiting.insert(done);
        self.hosts[done.host].push_due_front(key, done.attempt);
        if let Some(deadline) = done.deadline {
            self.timers.push(deadline, Wake::Deadline(key));
        }
        Verdict::Requeued
    }
}
