//! One host of a run: what waits at it, what is in flight there, and when it may start again.
//! Most hosts of a large run have a row or two: what they need is in place, all else in [`Care`], made when it is needed.

use std::time::{Duration, Instant};

use super::guard::Guard;
use super::names::Name;
use super::polite::PolitenessOptions;
use super::receipt::Receipt;
use super::retries::Retries;
use super::rows::RowQueue;
use super::waiting::{Key, Timers, Try, Waiting};
use crate::hedge::Hedge;
use crate::limit::{Load, Pace, RateGate, RateRule};
use crate::retry::{Outcome, Rng};

/// Where a host stands with the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// Nothing to start, or at its cap: looked at again when a row comes or an attempt ends.
    Idle,
    /// In line for a start.
    Ready,
    /// Held or out of its rate; a timer wakes it then.
    Asleep(Instant),
}

/// The fixed limits, the same for all hosts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// The most in flight to one host.
    pub(super) per_host: u32,
    /// The smaller of that and the concurrency: the most that one host can get.
    pub(super) ceiling: u32,
    pub(super) rate: Option<RateRule>,
}

/// 128 bytes, and no heap while there is one row and a short name.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) name: Name,
    pub(super) queued: RowQueue,
    pub(super) stand: Stand,
    gate: RateGate,
    pub(super) in_flight: u32,
    /// Attempts started, up to where the pace takes over.
    starts: u8,
    /// Whether it has served: what never answered is not waited for.
    served: bool,
    care: Option<Box<Care>>,
    pub(super) receipt: Receipt,
}

/// What a host needs that is asked for more than a few rows, asks to be left alone, or gives trouble.
#[derive(Debug, Default)]
struct Care {
    hold: Option<Instant>,
    retries: Retries,
    pace: Option<Pace>,
    guard: Option<Box<Guard>>,
    hedge: Option<Box<Hedge>>,
}

impl Host {
    pub(super) fn new(name: Name, receipt: Receipt) -> Self {
        Host {
            name,
            queued: RowQueue::default(),
            stand: Stand::Idle,
            gate: RateGate::default(),
            in_flight: 0,
            starts: 0,
            served: false,
            care: None,
            receipt,
        }
    }

    /// Whether a row could start if limits allowed it. A host whose retries pile up starts no fresh rows: those are
    /// parked in a few bytes, retries are not.
    pub(super) fn has_work(&self) -> bool {
        self.due() > 0 || self.has_fresh()
    }

    fn has_fresh(&self) -> bool {
        !self.queued.is_empty() && self.retries().is_none_or(|retries| retries.backing_off < MOST_BACKING_OFF)
    }

    fn due(&self) -> u32 {
        self.retries().map_or(0, Retries::due)
    }

    /// Rows that could start if limits allowed it.
    pub(super) fn backlog(&self) -> usize {
        self.queued.len() + self.due() as usize
    }

    /// When the next start is allowed; not after `now` means now.
    pub(super) fn opens_at(&self, terms: &Terms, now: Instant) -> Instant {
        let opens = terms.rate.as_ref().map_or(now, |rule| self.gate.next(rule, now));
        let Some(care) = &self.care else { return opens };
        let opens = care.pace.as_ref().map_or(opens, |pace| opens.max(pace.opens_at(now)));
        let opens = care.guard.as_ref().map_or(opens, |guard| opens.max(guard.opens_at(now)));
        care.hold.map_or(opens, |hold| hold.max(opens))
    }

    /// The fixed limits are others from now on.
    pub(super) fn on_new_terms(&mut self, terms: &Terms, now: Instant) {
        if let Some(rule) = &terms.rate {
            self.gate.follow(rule, now);
        }
    }

    /// Whether the fixed rate allows no start now.
    pub(super) fn is_over_rate(&self, terms: &Terms, now: Instant) -> bool {
        terms.rate.as_ref().is_some_and(|rule| self.gate.next(rule, now) > now)
    }

    /// Whether one more may be in flight.
    pub(super) fn has_room(&self, terms: &Terms) -> bool {
        self.in_flight < terms.per_host
            && self.care.as_ref().is_none_or(|care| {
                care.pace.as_ref().is_none_or(|pace| pace.allows(self.in_flight))
                    && care.guard.as_ref().is_none_or(|guard| guard.has_room())
            })
    }

    /// When a row may start as far as the retry budget goes: `None` for not before an attempt has ended. Fresh rows
    /// need no budget.
    pub(super) fn budget_opens_at(&self, now: Instant) -> Option<Instant> {
        if self.has_fresh() {
            return Some(now);
        }
        let needed = self.retries().filter(|retries| retries.are_all_tried());
        if needed.is_none_or(|retries| self.may_retry(retries, now)) {
            return Some(now);
        }
        let opens = self.guard().map_or(now, |guard| guard.budget.opens_at(now));
        (opens > now).then_some(opens)
    }

    fn may_retry(&self, retries: &Retries, now: Instant) -> bool {
        retries.may_start(self.guard().map(|guard| &guard.budget), self.in_flight, now)
    }

    pub(super) fn pace(&self) -> Option<&Pace> {
        self.care.as_ref()?.pace.as_ref()
    }

    pub(super) fn set_pace(&mut self, pace: Pace) {
        self.care().pace = Some(pace);
    }

    fn guard(&self) -> Option<&Guard> {
        self.care.as_ref()?.guard.as_deref()
    }

    fn retries(&self) -> Option<&Retries> {
        Some(&self.care.as_ref()?.retries)
    }

    fn care(&mut self) -> &mut Care {
        self.care.get_or_insert_default()
    }

    /// What is adapted to begins with the fifth start, or the first word of trouble: most hosts of a large run have
    /// a row or two, and cost nothing.
    fn pace_anew(&mut self, now: Instant) -> &mut Pace {
        let answered = u32::from(self.starts).saturating_sub(self.in_flight);
        self.care().pace.get_or_insert_with(|| Pace::new(FREE_STARTS.into(), answered, now))
    }

    /// An attempt has ended; it is still counted as in flight.
    pub(super) fn on_outcome(&mut self, ended: &Ended<'_>, polite: &PolitenessOptions, now: Instant, rng: &mut Rng) {
        let outcome = ended.outcome;
        let answered = outcome.status.is_some();
        self.served |= outcome.status.is_some_and(|status| status < 500);
        // Of a host that never answered, a failed connection says nothing about how much it takes.
        if polite.adaptive && (answered || self.served) && (self.pace().is_some() || Pace::is_needed(outcome)) {
            let load = Load { in_flight: self.in_flight, ceiling: ended.ceiling };
            self.pace_anew(now).on_outcome(ended.started, outcome, load, now);
        } else if let Some(pace) = self.care.as_mut().and_then(|care| care.pace.as_mut()) {
            // A trial that brought no answer is over too: nothing else would ever start.
            pace.on_gone(ended.started);
        }
        if polite.hedge {
            self.teach_hedge(outcome, now);
        }
        if self.guard().is_none() && !Guard::is_needed(outcome, polite) {
            return;
        }
        let (others, backlog, served) = (self.in_flight - 1, self.backlog(), self.served);
        let guard = self.care().guard.get_or_insert_default();
        let still_served =
            !polite.breaker || !served || guard.on_outcome(outcome, ended.probe, polite.breaker_patience, now, rng);
        if outcome.error.is_none() {
            guard.budget.on_success(now);
        }
        if let Some(limit) = outcome.rate_limit.filter(|_| polite.rate_limit_headers) {
            guard.on_declared(limit, others, backlog, now);
        }
        self.served &= still_served;
    }

    /// The attempt, whose number this was, is no longer in flight.
    pub(super) fn on_gone(&mut self, attempt: u32) {
        self.in_flight -= 1;
        if attempt > 1 {
            self.care().retries.in_flight -= 1;
        }
    }

    /// When the next probe of a host with an open breaker may start.
    pub(super) fn breaker_opens_at(&self) -> Option<Instant> {
        self.guard()?.breaker_opens_at()
    }

    /// Whether what the host declared allows no start now.
    pub(super) fn is_over_declared(&self, now: Instant) -> bool {
        self.guard().is_some_and(|guard| guard.opens_at(now) > now)
    }

    pub(super) fn hold(&self) -> Option<Instant> {
        self.care.as_ref()?.hold
    }

    /// Extends the hold; never shortens it.
    pub(super) fn hold_until(&mut self, until: Instant) {
        let hold = &mut self.care().hold;
        *hold = (*hold).max(Some(until));
        self.receipt.on_hold(until);
    }

    /// Counts a start, in flight from now on; whether it is the probe of an open breaker.
    pub(super) fn on_start(&mut self, attempt: u32, polite: &PolitenessOptions, terms: &Terms, now: Instant) -> bool {
        self.in_flight += 1;
        if let Some(rule) = &terms.rate {
            self.gate.take(rule, now);
        }
        if let Some(pace) = self.care.as_mut().and_then(|care| care.pace.as_mut()) {
            pace.on_start(now);
        } else if polite.adaptive {
            self.starts += 1;
            if self.starts == FREE_STARTS {
                self.pace_anew(now);
            }
        }
        if attempt > 1 {
            let care = self.care();
            care.retries.in_flight += 1;
            if polite.retry_budget {
                care.guard.get_or_insert_default().budget.take(now);
            }
        }
        if polite.hedge {
            self.care().hedge.get_or_insert_default().on_start();
        }
        let guard = self.care.as_mut().and_then(|care| care.guard.as_mut());
        guard.is_some_and(|guard| guard.on_start(now))
    }

    /// After how long a copy of the attempt that starts now may be sent, if copies are known to help and to be borne.
    pub(super) fn hedge_after(&self, now: Instant) -> Option<Duration> {
        self.care.as_ref()?.hedge.as_ref()?.after(now).filter(|_| !self.is_throttled())
    }

    /// Counts a copy of an attempt in flight, if one may start.
    pub(super) fn start_hedge(&mut self, terms: &Terms, now: Instant) -> bool {
        let open = self.has_room(terms) && self.opens_at(terms, now) <= now && !self.is_throttled();
        let hedge = self.care.as_mut().and_then(|care| care.hedge.as_mut());
        let taken = open && hedge.is_some_and(|hedge| hedge.take(now));
        if taken {
            // A request like any other, for whatever counts them.
            self.in_flight += 1;
            if let Some(rule) = &terms.rate {
                self.gate.take(rule, now);
            }
            let care = self.care();
            if let Some(pace) = &mut care.pace {
                pace.on_start(now);
            }
            if let Some(guard) = &mut care.guard {
                guard.on_copy(now);
            }
        }
        taken
    }

    /// Whether the host has said, or shown, that it is asked for enough.
    fn is_throttled(&self) -> bool {
        self.pace().is_some_and(|pace| pace.rate().is_some()) || self.breaker_opens_at().is_some()
    }

    fn teach_hedge(&mut self, outcome: &Outcome, now: Instant) {
        let pushed_back = outcome.throttled || matches!(outcome.status, Some(429 | 503));
        let care = self.care();
        let until = care.hold.filter(|hold| *hold > now).unwrap_or(now + HEDGE_PAUSE);
        let hedge = care.hedge.get_or_insert_default();
        match outcome.latency {
            _ if pushed_back => hedge.on_pushback(until),
            Some(latency) if outcome.error.is_none() => hedge.on_latency(latency, now),
            _ => {}
        }
    }

    pub(super) fn on_backoff(&mut self) {
        self.care().retries.backing_off += 1;
    }

    pub(super) fn on_backoff_over(&mut self) {
        self.care().retries.backing_off -= 1;
    }

    pub(super) fn push_due(&mut self, key: Key, attempt: u32) {
        self.care().retries.push(key, attempt);
    }

    pub(super) fn push_due_front(&mut self, key: Key, attempt: u32) {
        self.care().retries.push_front(key, attempt);
    }

    /// A due row was given up.
    pub(super) fn on_due_gone(&mut self, attempt: u32) {
        self.care().retries.on_gone(attempt);
    }

    /// The next of the due rows, unless fresh rows go first because the retry budget is used up.
    pub(super) fn pop_due(
        &mut self,
        waiting: &mut Waiting,
        timers: &mut Timers,
        budgeted: bool,
        now: Instant,
    ) -> Option<Try> {
        let retries = self.retries().filter(|retries| retries.due() > 0)?;
        if budgeted && retries.are_all_tried() && !self.may_retry(retries, now) {
            return None;
        }
        self.care().retries.pop(waiting, timers)
    }

    /// Whether nothing would be lost by forgetting the host.
    pub(super) fn is_forgettable(&self, now: Instant) -> bool {
        self.stand == Stand::Idle
            && self.in_flight == 0
            && self.queued.is_empty()
            && self.gate.is_whole(now)
            && self.care.as_ref().is_none_or(|care| care.is_forgettable(now))
    }
}

impl Care {
    fn is_forgettable(&self, now: Instant) -> bool {
        self.retries.are_none()
            && self.hold.is_none_or(|hold| hold <= now)
            && self.pace.as_ref().is_none_or(|pace| pace.opens_at(now) <= now)
            && self.guard.as_ref().is_none_or(|guard| guard.is_forgettable(now))
    }
}

/// An attempt that has ended, as its host sees it.
pub(super) struct Ended<'a> {
    pub(super) started: Instant,
    pub(super) probe: bool,
    pub(super) outcome: &'a Outcome,
    /// The most that may be in flight to one host.
    pub(super) ceiling: u32,
}

/// Rows in backoff at one host above which its fresh rows wait. At 80 bytes each, 1.3 MB.
const MOST_BACKING_OFF: u32 = 16_384;

/// Attempts that a host gets without a pace being kept for it.
const FREE_STARTS: u8 = 4;

/// How long no copies are sent after a 429 or 503 that does not say how long itself.
const HEDGE_PAUSE: Duration = Duration::from_secs(10);
