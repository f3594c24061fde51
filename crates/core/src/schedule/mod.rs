//! What a bulk run does next: which row starts, when the input is read, what is waited for.
//!
//! Called by the driver alone: it tells what happened (`on_*`) and asks [`Schedule::poll`] for the next [`Action`].
//! Limits, rates, retries, Retry-After, batches and deadlines are decided here, on time that is passed in.
//! Requests are never held: a row is its index and its place in the input, from where the driver reads it again.
//! A row whose host cannot take it now waits in a few bytes, so that no host stalls the others.
//! Every row that is started is finished exactly once, unless the run is stopped first.
//! Rows come in by `input`, whose turn it is `turn` says, and what becomes of an attempt that has ended, `ended`.

mod action;
mod batch;
mod change;
mod ended;
mod guard;
mod host;
mod hosts;
mod input;
mod limited;
mod memory;
mod names;
mod polite;
mod receipt;
mod retries;
mod rows;
mod shortage;
mod turn;
mod waiting;

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

pub use action::{Action, Pause, RowRef, Start, Ticket, Verdict};
use batch::Batch;
use host::Terms;
use hosts::Hosts;
use input::Input;
pub use limited::LimitedBy;
pub use polite::PolitenessOptions;
pub use receipt::{HostReceipt, Receipt, ReceiptSummary, Receipts};
use shortage::Shortage;
use waiting::{Timers, Try, Waiting};

use crate::limit::{Learnt, Limits};
pub use crate::retry::Outcome;
use crate::retry::{RetryPolicy, Rng};

/// The rules of one bulk run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScheduleOptions {
    /// Caps on requests in flight and on the rate of their starts.
    pub limits: Limits,
    /// Which outcomes are tried again, and when.
    pub retry: RetryPolicy,
    /// What is adapted to each host below the limits.
    pub polite: PolitenessOptions,
    /// Rows per batch: the next batch is read when the last row of the one before is finished. Default none.
    pub batch: Option<NonZeroU64>,
    /// The time for one row from the start of its first attempt, with all retries and waits. Default none.
    pub deadline: Option<Duration>,
    /// How many rows may wait before or between their attempts, for a source that cannot be read again, where
    /// the driver holds them. While as many wait, no row is read; 0 counts as 1. Default none.
    pub max_parked: Option<usize>,
}

/// The scheduler of one bulk run. Each call is O(log n) at most and allocates nothing per row in the steady state.
#[derive(Debug)]
pub struct Schedule {
    options: ScheduleOptions,
    concurrency: usize,
    terms: Terms,
    rng: Rng,
    hosts: Hosts,
    /// Hosts that can take a row, each in line once.
    ready: VecDeque<u32>,
    waiting: Waiting,
    timers: Timers,
    expired: VecDeque<Try>,
    shortage: Shortage,
    batch: Option<Batch>,
    input: Input,
    output_paused: bool,
    memory_paused: bool,
    input_paused: bool,
    stopped: bool,
    in_flight: usize,
    /// Slots of the concurrency that are taken by rows whose outcome is not safe yet.
    held_slots: usize,
    parked: usize,
    unfinished: u64,
    finished: u64,
}

impl Schedule {
    /// A run that has read nothing yet. The seed spreads the backoff.
    pub fn new(options: ScheduleOptions, seed: u64) -> Self {
        let concurrency = options.limits.concurrency.max(1);
        Schedule {
            concurrency,
            terms: Terms::of(&options.limits),
            rng: Rng::new(seed),
            hosts: Hosts::new(seed),
            ready: VecDeque::new(),
            waiting: Waiting::default(),
            timers: Timers::default(),
            expired: VecDeque::new(),
            shortage: Shortage::default(),
            batch: options.batch.map(Batch::new),
            input: Input::Open,
            output_paused: false,
            memory_paused: false,
            input_paused: false,
            stopped: false,
            in_flight: 0,
            held_slots: 0,
            parked: 0,
            unfinished: 0,
            finished: 0,
            options,
        }
    }

    /// The next thing to do. To be called again after each action until it says to wait, and after each event then.
    pub fn poll(&mut self, now: Instant) -> Action {
        if self.stopped {
            return if self.in_flight == 0 { Action::Done } else { Action::WaitForEvent };
        }
        self.fire_timers(now);
        if !self.output_paused
            && let Some(late) = self.expired.pop_front()
        {
            self.count_finished();
            return Action::Expired { row: late.row, attempts: late.attempt - 1 };
        }
        if self.unfinished == 0 {
            let ended = self.input == Input::Ended;
            if let Some((number, rows)) = self.batch.as_mut().and_then(|batch| batch.close(ended)) {
                return Action::BatchDone { number, rows };
            }
            if ended {
                return Action::Done;
            }
        }
        self.shortage.lift(self.concurrency, now);
        let room = self.shortage.allows(self.in_flight + self.held_slots, self.concurrency, now);
        if room
            && !self.is_paused()
            && let Some(start) = self.start_next(now)
        {
            return Action::Start(start);
        }
        if room && self.ready.is_empty() && self.may_read() {
            return Action::Read;
        }
        self.wait(room)
    }

    /// What was done to each host so far. O(hosts).
    pub fn receipt(&self) -> ReceiptSummary {
        self.hosts.receipts.summary(self.hosts.iter().map(|host| (host.name.as_str(), &host.receipt)))
    }

    /// A host that is not the row's own asked to be left alone for so long: one that answered behind a redirect.
    /// Nothing is started on it before that has passed; an earlier hold is extended, never shortened.
    pub fn on_hold(&mut self, host: &str, delay: Duration, now: Instant) {
        let id = self.hosts.intern(host, now);
        self.hosts[id].hold_until(later(now, delay));
    }

    /// What was learnt of the hosts that gave trouble: to be given to [`Schedule::teach`] of the next run.
    pub fn learnt(&self) -> impl Iterator<Item = (&str, Learnt)> {
        self.hosts.learnt()
    }

    /// What a run before this one has learnt of a host. Of at most 65,536 hosts it is remembered.
    pub fn teach(&mut self, host: &str, learnt: Learnt, now: Instant) {
        if self.options.polite.adaptive {
            self.hosts.teach(host, learnt, now);
        }
    }

    /// Ends the run early: nothing is started or read any more, what is in flight goes on, and rows that wait for
    /// a first or another attempt stay undone ([`Schedule::unfinished`]).
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// Suspends starts (and reads, see [`Pause`]), or allows them again. What is in flight goes on.
    pub fn pause(&mut self, why: Pause, on: bool) {
        match why {
            Pause::Output => self.output_paused = on,
            Pause::Memory => self.memory_paused = on,
            Pause::Input => self.input_paused = on,
        }
    }

    /// A row that has ended keeps its slot of the concurrency until [`Schedule::release_slot`]: its outcome is not
    /// where a kill cannot lose it.
    pub fn hold_slot(&mut self) {
        self.held_slots += 1;
    }

    /// Gives a slot back that [`Schedule::hold_slot`] kept.
    pub fn release_slot(&mut self) {
        self.held_slots = self.held_slots.saturating_sub(1);
    }

    /// Whether the concurrency leaves room for another start.
    pub fn has_free_slot(&self) -> bool {
        self.in_flight + self.held_slots < self.concurrency
    }

    /// Attempts under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Rows that were read and wait for their first attempt.
    pub fn parked(&self) -> usize {
        self.parked
    }

    /// Rows that wait for another attempt.
    pub fn waiting_retry(&self) -> usize {
        self.waiting.len() + self.expired.len()
    }

    /// Rows that were read and are not finished.
    pub fn unfinished(&self) -> u64 {
        self.unfinished
    }

    /// Rows that are finished, those that could not be read among them.
    pub fn finished(&self) -> u64 {
        self.finished
    }

    /// Hosts that are remembered, some of them idle.
    pub fn hosts(&self) -> usize {
        self.hosts.len()
    }

    fn is_paused(&self) -> bool {
        self.output_paused || self.memory_paused
    }

    fn count_finished(&mut self) {
        self.unfinished -= 1;
        self.finished += 1;
    }

    fn wait(&self, room: bool) -> Action {
        let may_start = room && !self.is_paused();
        // At the cap only an event can make room: a driver need not be woken for hosts that open meanwhile.
        let timer = if may_start || self.options.deadline.is_some() { self.timers.next() } else { None };
        let lifted = if !room && !self.is_paused() { self.shortage.next_change() } else { None };
        match [timer, lifted].into_iter().flatten().min() {
            Some(at) => Action::WaitUntil(at),
            None => Action::WaitForEvent,
        }
    }
}

/// `now + delay`, saturating: no clock overflows over a delay that was asked for.
fn later(now: Instant, delay: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    now.checked_add(delay).unwrap_or_else(|| now + FAR)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;
