//! What a bulk run does next: which row starts, when the input is read, what is waited for.
//!
//! Called by the driver alone: it tells what happened (`on_*`) and asks [`Schedule::poll`] for the next [`Action`].
//! Limits, rates, retries, Retry-After, batches and deadlines are decided here, on time that is passed in.
//! Requests are never held: a row is its index and its place in the input, from where the driver reads it again.
//! A row whose host cannot take it now waits in a few bytes, so that no host stalls the others.
//! Every row that is started is finished exactly once, unless the run is stopped first.

mod batch;
mod change;
mod guard;
mod host;
mod hosts;
mod limited;
mod memory;
mod names;
mod polite;
mod receipt;
mod retries;
mod rows;
mod shortage;
mod waiting;

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use batch::Batch;
use host::{Ended, Stand, Terms};
use hosts::Hosts;
pub use limited::LimitedBy;
pub use polite::PolitenessOptions;
pub use receipt::{HostReceipt, Receipt, ReceiptSummary, Receipts};
use shortage::Shortage;
use waiting::{Timers, Try, Waiting, Wake};

use crate::ErrorKind;
use crate::limit::{Learnt, Limits};
pub use crate::retry::Outcome;
use crate::retry::{RetryPolicy, Rng};

/// How long a row is put back for lack of resources before it is finished with that: what does not pass in this time
/// is no shortage of ours but something about the row.
const SHORTAGE_GIVE_UP: Duration = Duration::from_secs(300);

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

/// A row of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RowRef {
    /// Its number in the input, from 0.
    pub index: u64,
    /// Where the source finds it again; only the source knows what it means.
    pub place: u64,
}

/// What the driver is to do now.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Action {
    /// Send the row's request, and tell [`Schedule::on_outcome`] how it went.
    Start(Start),
    /// Read one row and call [`Schedule::on_row`], [`Schedule::on_unreadable`], [`Schedule::on_end_of_input`] or
    /// [`Schedule::on_input_pending`]. Asked for again until one of them was called.
    Read,
    /// The row's deadline passed while it waited for another attempt: write it with `timeout.deadline`. It is finished.
    Expired {
        /// The row.
        row: RowRef,
        /// How many attempts it had.
        attempts: u32,
    },
    /// The last row of a batch is finished; said once per batch.
    BatchDone {
        /// The number of the batch, from 1.
        number: u64,
        /// How many rows it had: the last one may have fewer than the others.
        rows: u64,
    },
    /// Nothing to do before this instant, or before something happens.
    WaitUntil(Instant),
    /// Nothing to do before something happens.
    WaitForEvent,
    /// The run is over: all rows are finished, or it was stopped and nothing is in flight. From now on always this.
    Done,
}

/// An attempt to be made.
#[derive(Debug, PartialEq, Eq)]
pub struct Start {
    /// The row.
    pub row: RowRef,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// When the row must be finished; an attempt still under way then ends as `timeout.deadline`.
    pub deadline: Option<Instant>,
    /// How long after the start a copy may be sent, if [`Schedule::hedge`] allows it then. Only for a request whose
    /// method is safe; `None` is no copy.
    pub hedge_after: Option<Duration>,
    /// To be given back with the outcome. Dropping it leaves the attempt in flight for ever.
    pub ticket: Ticket,
}

/// Proof of an attempt in flight; spent by [`Schedule::on_outcome`].
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Ticket {
    under_way: Try,
    started: Instant,
    /// Whether it tries out a host whose breaker is open.
    probe: bool,
}

impl Ticket {
    /// The row that is under way.
    pub fn row(&self) -> RowRef {
        self.under_way.row
    }

    /// The number of the attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.under_way.attempt
    }
}

/// What becomes of a row after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The row is finished with this outcome: write it.
    Finished,
    /// Drop the outcome: the row will be started again, not before `at`. If the run is stopped, it stays undone.
    Retry {
        /// The earliest start of the next attempt.
        at: Instant,
    },
    /// Drop the outcome: this machine ran short, which counts as no attempt. The row will be started again.
    Requeued,
}

/// Why nothing may start for the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// The output takes no more rows: no starts, no reads.
    Output,
    /// The bodies in flight fill their memory: no starts.
    Memory,
    /// The output waits for the turn of rows that were read already: no reads.
    Input,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Open,
    Pending,
    Ended,
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

    /// A row was read, that goes to this host: a name and its port, in the one form that stands for the host.
    pub fn on_row(&mut self, row: RowRef, host: &str, now: Instant) {
        self.count_read();
        self.unfinished += 1;
        self.parked += 1;
        let id = self.hosts.intern(host, now);
        self.hosts[id].queued.push(row);
        self.settle(id, now);
    }

    /// A row was read that had so many attempts in an earlier run: it goes on with the next one. If it had none, as
    /// [`Schedule::on_row`].
    pub fn on_row_again(&mut self, row: RowRef, host: &str, attempts: u32, now: Instant) {
        if attempts == 0 {
            return self.on_row(row, host, now);
        }
        self.count_read();
        self.unfinished += 1;
        let id = self.hosts.intern(host, now);
        let deadline = self.options.deadline.map(|allowed| later(now, allowed));
        let attempt = attempts.saturating_add(1);
        let key = self.waiting.insert(Try { row, host: id, attempt, deadline, short_since: None });
        self.hosts[id].push_due(key, attempt);
        if let Some(deadline) = deadline {
            self.timers.push(deadline, Wake::Deadline(key));
        }
        self.settle(id, now);
    }

    /// A row was read that is finished without a start: it is malformed, or was done in an earlier run.
    /// It counts for its batch.
    pub fn on_unreadable(&mut self, _index: u64) {
        self.count_read();
        self.finished += 1;
    }

    /// The input has no more rows.
    pub fn on_end_of_input(&mut self) {
        self.input = Input::Ended;
    }

    /// The input has no row at this moment: nothing is read until [`Schedule::on_input_ready`].
    pub fn on_input_pending(&mut self) {
        if self.input == Input::Open {
            self.input = Input::Pending;
        }
    }

    /// The input may have a row again.
    pub fn on_input_ready(&mut self) {
        if self.input == Input::Pending {
            self.input = Input::Open;
        }
    }

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

    fn may_read(&self) -> bool {
        let parked = self.parked + self.waiting_retry();
        self.input == Input::Open
            && !self.output_paused
            && !self.input_paused
            && self.batch.as_ref().is_none_or(|batch| !batch.is_full())
            && self.options.max_parked.is_none_or(|max| parked < max.max(1))
    }

    fn count_read(&mut self) {
        if let Some(batch) = &mut self.batch {
            batch.on_read();
        }
    }

    fn count_finished(&mut self) {
        self.unfinished -= 1;
        self.finished += 1;
    }

    /// Puts a host that has something to start in line, or to sleep until it may start it.
    fn settle(&mut self, id: u32, now: Instant) {
        // In line already: whether it may start is asked again when its turn comes.
        if self.hosts[id].stand == Stand::Ready {
            return;
        }
        let Some(opens) = self.opens_at(id, now) else { return };
        let host = &mut self.hosts[id];
        match host.stand {
            Stand::Ready => {}
            Stand::Asleep(until) if until <= opens => {}
            Stand::Idle | Stand::Asleep(_) if opens <= now => {
                host.stand = Stand::Ready;
                self.ready.push_back(id);
            }
            Stand::Idle | Stand::Asleep(_) => {
                host.stand = Stand::Asleep(opens);
                self.timers.push(opens, Wake::Host(id));
            }
        }
    }

    /// When the host may start a row it has; `None` if it has none, or not before something happens.
    fn opens_at(&self, id: u32, now: Instant) -> Option<Instant> {
        let host = &self.hosts[id];
        if !host.has_work() || !host.has_room(&self.terms) {
            return None;
        }
        let opens = host.opens_at(&self.terms, now);
        if self.options.polite.retry_budget { Some(opens.max(host.budget_opens_at(now)?)) } else { Some(opens) }
    }

    fn start_next(&mut self, now: Instant) -> Option<Start> {
        while let Some(id) = self.ready.pop_front() {
            self.hosts[id].stand = Stand::Idle;
            // A hold may have come while the host stood in line.
            if self.opens_at(id, now).is_none_or(|opens| opens > now) {
                self.settle(id, now);
                continue;
            }
            let host = &mut self.hosts[id];
            let polite = &self.options.polite;
            let next = match host.pop_due(&mut self.waiting, &mut self.timers, polite.retry_budget, now) {
                Some(due) => due,
                None => {
                    let row = host.queued.pop().expect("invariant: a host with work has a row due or queued");
                    self.parked -= 1;
                    let deadline = self.options.deadline.map(|allowed| later(now, allowed));
                    Try { row, host: id, attempt: 1, deadline, short_since: None }
                }
            };
            let probe = host.on_start(next.attempt, polite, &self.terms, now);
            let hedge_after = host.hedge_after(now);
            self.in_flight += 1;
            self.hosts.book_start(id, now);
            self.settle(id, now);
            let Try { row, attempt, deadline, .. } = next;
            let ticket = Ticket { under_way: next, started: now, probe };
            return Some(Start { row, attempt, deadline, hedge_after, ticket });
        }
        None
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

    fn fire_timers(&mut self, now: Instant) {
        while let Some(wake) = self.timers.pop_due(now) {
            match wake {
                Wake::Host(id) => {
                    // It may have been woken before, and even have been forgotten since.
                    let Some(host) = self.hosts.get_mut(id) else { continue };
                    if matches!(host.stand, Stand::Asleep(until) if until <= now) {
                        host.stand = Stand::Idle;
                        self.settle(id, now);
                    }
                }
                Wake::Due(key) => {
                    let due = self.waiting.get(key).expect("invariant: a row in backoff stays until it is due");
                    let host = &mut self.hosts[due.host];
                    host.on_backoff_over();
                    if due.is_late(host.hold().map_or(now, |hold| hold.max(now))) {
                        self.expired.extend(self.waiting.take(key));
                    } else {
                        host.push_due(key, due.attempt);
                        if let Some(deadline) = due.deadline {
                            self.timers.push(deadline, Wake::Deadline(key));
                        }
                    }
                    self.settle(due.host, now);
                }
                Wake::Deadline(key) => {
                    if let Some(late) = self.waiting.take(key) {
                        self.hosts[late.host].on_due_gone(late.attempt);
                        self.expired.push_back(late);
                    }
                }
            }
        }
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
