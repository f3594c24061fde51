//! The hosts of a run: what waits at each, what is in flight there, and when it may start again.
//! A host costs a slot while it has something to remember; slots of others are swept and used again, so that a
//! million hosts one after another stay few.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher};
use std::ops::{Index, IndexMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::guard::Guard;
use super::memory::Memory;
use super::polite::PolitenessOptions;
use super::receipt::{Receipt, Receipts};
use super::rows::RowQueue;
use super::waiting::{Key, Timers, Try, Waiting};
use crate::hedge::Hedge;
use crate::limit::{Learnt, Load, Pace, Rate, RateGate};
use crate::retry::{Outcome, RetryBudget, Rng};

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

#[derive(Debug)]
pub(super) struct Host {
    pub(super) name: Arc<str>,
    pub(super) stand: Stand,
    pub(super) in_flight: u32,
    /// Rows whose backoff is not over yet.
    pub(super) backing_off: u32,
    pub(super) queued: RowQueue,
    /// Rows whose backoff is over, in that order; `due_live` of them still wait.
    due: VecDeque<Key>,
    due_live: u32,
    /// Those of them that had an attempt.
    due_retries: u32,
    /// Retries in flight.
    retrying: u32,
    hold: Option<Instant>,
    gate: Option<RateGate>,
    /// Attempts started, up to where the pace takes over.
    starts: u8,
    /// Whether it has served: what never answered is not waited for.
    served: bool,
    pace: Option<Box<Pace>>,
    guard: Option<Box<Guard>>,
    hedge: Option<Box<Hedge>>,
    pub(super) receipt: Receipt,
}

impl Host {
    fn new(name: Arc<str>, rate: Option<Rate>) -> Self {
        Host {
            name,
            stand: Stand::Idle,
            in_flight: 0,
            backing_off: 0,
            queued: RowQueue::default(),
            due: VecDeque::new(),
            due_live: 0,
            due_retries: 0,
            retrying: 0,
            hold: None,
            gate: rate.map(RateGate::new),
            starts: 0,
            served: false,
            pace: None,
            guard: None,
            hedge: None,
            receipt: Receipt::default(),
        }
    }

    /// Whether a row could start if limits allowed it. A host whose retries pile up starts no fresh rows: those are
    /// parked in a few bytes, retries are not.
    pub(super) fn has_work(&self) -> bool {
        self.due_live > 0 || self.has_fresh()
    }

    fn has_fresh(&self) -> bool {
        !self.queued.is_empty() && self.backing_off < MOST_BACKING_OFF
    }

    /// Rows that could start if limits allowed it.
    pub(super) fn backlog(&self) -> usize {
        self.queued.len() + self.due_live as usize
    }

    /// When the next start is allowed; not after `now` means now.
    pub(super) fn opens_at(&self, now: Instant) -> Instant {
        let gate = self.gate.as_ref().map_or(now, |gate| gate.next(now));
        let gate = self.pace.as_ref().map_or(gate, |pace| gate.max(pace.opens_at(now)));
        let gate = self.guard.as_ref().map_or(gate, |guard| gate.max(guard.opens_at(now)));
        self.hold.map_or(gate, |hold| hold.max(gate))
    }

    /// Whether the fixed rate allows no start now.
    pub(super) fn is_over_rate(&self, now: Instant) -> bool {
        self.gate.as_ref().is_some_and(|gate| gate.next(now) > now)
    }

    /// Whether one more may be in flight.
    pub(super) fn has_room(&self, per_host: u32) -> bool {
        self.in_flight < per_host
            && self.pace.as_ref().is_none_or(|pace| pace.allows(self.in_flight))
            && self.guard.as_ref().is_none_or(|guard| guard.has_room())
    }

    /// When a row may start as far as the retry budget goes: `None` for not before an attempt has ended. Fresh rows
    /// need no budget.
    pub(super) fn budget_opens_at(&self, now: Instant) -> Option<Instant> {
        if self.has_fresh() || self.due_live > self.due_retries || self.may_retry(now) {
            return Some(now);
        }
        let opens = self.guard.as_ref().map_or(now, |guard| guard.budget.opens_at(now));
        (opens > now).then_some(opens)
    }

    fn may_retry(&self, now: Instant) -> bool {
        let fresh = RetryBudget::new();
        let budget = self.guard.as_ref().map_or(&fresh, |guard| &guard.budget);
        budget.may_retry(self.in_flight, self.retrying, now)
    }

    pub(super) fn pace(&self) -> Option<&Pace> {
        self.pace.as_deref()
    }

    pub(super) fn set_pace(&mut self, pace: Pace) {
        self.pace = Some(Box::new(pace));
    }

    /// What is adapted to begins with the fifth start, or the first word of trouble: most hosts of a large run have
    /// a row or two, and cost nothing.
    fn pace_anew(&mut self, now: Instant) -> &mut Pace {
        let answered = u32::from(self.starts).saturating_sub(self.in_flight);
        self.pace.get_or_insert_with(|| Box::new(Pace::new(FREE_STARTS.into(), answered, now)))
    }

    /// An attempt has ended; it is still counted as in flight.
    pub(super) fn on_outcome(&mut self, ended: &Ended<'_>, polite: &PolitenessOptions, now: Instant, rng: &mut Rng) {
        let outcome = ended.outcome;
        let answered = outcome.status.is_some();
        self.served |= outcome.status.is_some_and(|status| status < 500);
        // Of a host that never answered, a failed connection says nothing about how much it takes.
        if polite.adaptive && (answered || self.served) && (self.pace.is_some() || Pace::is_needed(outcome)) {
            let load = Load { in_flight: self.in_flight, ceiling: ended.ceiling };
            self.pace_anew(now).on_outcome(ended.started, outcome, load, now);
        } else if let Some(pace) = &mut self.pace {
            // A trial that brought no answer is over too: nothing else would ever start.
            pace.on_gone(ended.started);
        }
        if polite.hedge {
            self.teach_hedge(outcome, now);
        }
        if self.guard.is_none() && !Guard::is_needed(outcome, polite) {
            return;
        }
        let (others, backlog) = (self.in_flight - 1, self.backlog());
        let guard = self.guard.get_or_insert_default();
        if polite.breaker && self.served {
            self.served = guard.on_outcome(outcome, ended.probe, polite.breaker_patience, now, rng);
        }
        if outcome.error.is_none() {
            guard.budget.on_success(now);
        }
        if let Some(limit) = outcome.rate_limit.filter(|_| polite.rate_limit_headers) {
            guard.on_declared(limit, others, backlog, now);
        }
    }

    /// The attempt, whose number this was, is no longer in flight.
    pub(super) fn on_gone(&mut self, attempt: u32) {
        self.in_flight -= 1;
        self.retrying -= u32::from(attempt > 1);
    }

    /// When the next probe of a host with an open breaker may start.
    pub(super) fn breaker_opens_at(&self) -> Option<Instant> {
        self.guard.as_ref()?.breaker_opens_at()
    }

    /// Whether what the host declared allows no start now.
    pub(super) fn is_over_declared(&self, now: Instant) -> bool {
        self.guard.as_ref().is_some_and(|guard| guard.opens_at(now) > now)
    }

    pub(super) fn hold(&self) -> Option<Instant> {
        self.hold
    }

    /// Extends the hold; never shortens it.
    pub(super) fn hold_until(&mut self, until: Instant) {
        self.hold = self.hold.max(Some(until));
        self.receipt.on_hold(until);
    }

    /// Counts a start, in flight from now on; whether it is the probe of an open breaker.
    pub(super) fn on_start(&mut self, attempt: u32, polite: &PolitenessOptions, now: Instant) -> bool {
        self.in_flight += 1;
        if let Some(gate) = &mut self.gate {
            gate.take(now);
        }
        if let Some(pace) = &mut self.pace {
            pace.on_start(now);
        } else if polite.adaptive {
            self.starts += 1;
            if self.starts == FREE_STARTS {
                self.pace_anew(now);
            }
        }
        if attempt > 1 {
            self.retrying += 1;
            if polite.retry_budget {
                self.guard.get_or_insert_default().budget.take(now);
            }
        }
        if polite.hedge {
            self.hedge.get_or_insert_default().on_start();
        }
        self.guard.as_mut().is_some_and(|guard| guard.on_start(now))
    }

    /// After how long a copy of the attempt that starts now may be sent, if copies are known to help and to be borne.
    pub(super) fn hedge_after(&self, now: Instant) -> Option<Duration> {
        self.hedge.as_ref()?.after(now).filter(|_| !self.is_throttled())
    }

    /// Counts a copy of an attempt in flight, if one may start.
    pub(super) fn start_hedge(&mut self, per_host: u32, now: Instant) -> bool {
        let open = self.has_room(per_host) && self.opens_at(now) <= now && !self.is_throttled();
        let taken = open && self.hedge.as_mut().is_some_and(|hedge| hedge.take(now));
        if taken {
            // A request like any other, for whatever counts them.
            self.in_flight += 1;
            if let Some(gate) = &mut self.gate {
                gate.take(now);
            }
            if let Some(pace) = &mut self.pace {
                pace.on_start(now);
            }
            if let Some(guard) = &mut self.guard {
                guard.on_copy(now);
            }
        }
        taken
    }

    /// Whether the host has said, or shown, that it is asked for enough.
    fn is_throttled(&self) -> bool {
        self.pace.as_ref().is_some_and(|pace| pace.rate().is_some()) || self.breaker_opens_at().is_some()
    }

    fn teach_hedge(&mut self, outcome: &Outcome, now: Instant) {
        let pushed_back = matches!(outcome.status, Some(429 | 503));
        let until = self.hold.filter(|hold| *hold > now).unwrap_or(now + HEDGE_PAUSE);
        let hedge = self.hedge.get_or_insert_default();
        match outcome.latency {
            _ if pushed_back => hedge.on_pushback(until),
            Some(latency) if outcome.error.is_none() => hedge.on_latency(latency, now),
            _ => {}
        }
    }

    pub(super) fn push_due(&mut self, key: Key, attempt: u32) {
        self.due.push_back(key);
        self.count_due(attempt);
    }

    pub(super) fn push_due_front(&mut self, key: Key, attempt: u32) {
        self.due.push_front(key);
        self.count_due(attempt);
    }

    fn count_due(&mut self, attempt: u32) {
        self.due_live += 1;
        self.due_retries += u32::from(attempt > 1);
    }

    /// A due row was given up; its key stays in line until it is passed.
    pub(super) fn on_due_gone(&mut self, attempt: u32) {
        self.due_live -= 1;
        self.due_retries -= u32::from(attempt > 1);
        if self.due_live == 0 {
            self.due.clear();
        }
    }

    /// The next of the due rows, unless fresh rows go first because the retry budget is used up.
    pub(super) fn pop_due(
        &mut self,
        waiting: &mut Waiting,
        timers: &mut Timers,
        budgeted: bool,
        now: Instant,
    ) -> Option<Try> {
        if budgeted && self.due_retries > 0 && self.due_live == self.due_retries && !self.may_retry(now) {
            return None;
        }
        while let Some(key) = self.due.pop_front() {
            if let Some(due) = waiting.take(key) {
                self.on_due_gone(due.attempt);
                if due.deadline.is_some() {
                    timers.on_stale(waiting);
                }
                return Some(due);
            }
        }
        None
    }

    /// Whether nothing would be lost by forgetting the host.
    fn is_forgettable(&self, now: Instant) -> bool {
        self.stand == Stand::Idle
            && self.in_flight == 0
            && self.backing_off == 0
            && self.backlog() == 0
            && self.hold.is_none_or(|hold| hold <= now)
            && self.gate.as_ref().is_none_or(|gate| gate.is_whole(now))
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

/// The hosts by number and by name.
#[derive(Debug)]
pub(super) struct Hosts {
    slots: Vec<Option<Host>>,
    free: Vec<u32>,
    names: HashMap<Arc<str>, u32, Seed>,
    rate: Option<Rate>,
    sweep_at: usize,
    /// What was learnt of hosts that have no slot.
    memory: Memory,
    pub(super) receipts: Receipts,
}

impl Hosts {
    pub(super) fn new(rate: Option<Rate>, seed: u64) -> Self {
        Hosts {
            slots: Vec::new(),
            free: Vec::new(),
            names: HashMap::with_hasher(Seed(seed)),
            rate,
            sweep_at: FIRST_SWEEP,
            memory: Memory::new(seed),
            receipts: Receipts::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// The number of the host with this name.
    pub(super) fn intern(&mut self, name: &str, now: Instant) -> u32 {
        if let Some(id) = self.names.get(name) {
            return *id;
        }
        if self.names.len() >= self.sweep_at {
            self.sweep(now);
        }
        let name: Arc<str> = name.into();
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("invariant: fewer than 2^32 hosts at once")
        });
        let mut host = Host::new(name.clone(), self.rate);
        host.receipt = self.receipts.resume(&name);
        if let Some(learnt) = self.memory.take(&name) {
            host.set_pace(Pace::taught(&learnt, now));
        }
        self.slots[id as usize] = Some(host);
        self.names.insert(name, id);
        id
    }

    /// What is known of a host from before.
    pub(super) fn teach(&mut self, name: &str, learnt: Learnt, now: Instant) {
        match self.names.get(name).copied() {
            Some(id) => self[id].set_pace(Pace::taught(&learnt, now)),
            None => self.memory.keep(name.into(), learnt),
        }
    }

    /// What was learnt, host by host.
    pub(super) fn learnt(&self) -> impl Iterator<Item = (&str, Learnt)> {
        let live = self.iter().filter_map(|host| Some((&*host.name, host.pace()?.learnt()?)));
        live.chain(self.memory.iter())
    }

    /// Counts a start in the account of what was done to the hosts.
    pub(super) fn book_start(&mut self, id: u32, now: Instant) {
        let Hosts { slots, receipts, .. } = self;
        if let Some(host) = &mut slots[id as usize] {
            receipts.on_start(&mut host.receipt, now);
        }
    }

    /// Counts an end there.
    pub(super) fn book_end(&mut self, id: u32) {
        let Hosts { slots, receipts, .. } = self;
        if let Some(host) = &mut slots[id as usize] {
            receipts.on_end(&mut host.receipt);
        }
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Host> {
        self.slots.get_mut(id as usize)?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Host> {
        self.slots.iter().flatten()
    }

    /// Forgets hosts without anything to remember. The next sweep comes when there are twice as many as stayed,
    /// so that sweeping costs O(1) per new host.
    fn sweep(&mut self, now: Instant) {
        for (id, slot) in (0u32..).zip(&mut self.slots) {
            if slot.as_ref().is_some_and(|host| host.is_forgettable(now))
                && let Some(host) = slot.take()
            {
                self.names.remove(&host.name);
                self.free.push(id);
                if let Some(learnt) = host.pace().and_then(Pace::learnt) {
                    self.memory.keep(host.name.clone(), learnt);
                }
                self.receipts.retire(host.name, host.receipt, now);
            }
        }
        self.sweep_at = (self.names.len() * 2).max(FIRST_SWEEP);
    }
}

impl Index<u32> for Hosts {
    type Output = Host;

    fn index(&self, id: u32) -> &Host {
        self.slots[id as usize].as_ref().expect("invariant: a host with rows is not forgotten")
    }
}

impl IndexMut<u32> for Hosts {
    fn index_mut(&mut self, id: u32) -> &mut Host {
        self.slots[id as usize].as_mut().expect("invariant: a host with rows is not forgotten")
    }
}

/// Hashes names by folded multiplication, eight bytes at a time: each row is looked up once, so it had better be cheap.
/// Seeded, so that no input collides in every run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seed(pub(super) u64);

impl BuildHasher for Seed {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        Folded(self.0 ^ FOLD)
    }
}

pub(super) struct Folded(u64);

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
        self.write_u64(bytes.len() as u64);
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * u128::from(FOLD);
        self.0 = (product as u64) ^ (product >> 64) as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

const FOLD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Rows in backoff at one host above which its fresh rows wait. At 80 bytes each, 1.3 MB.
const MOST_BACKING_OFF: u32 = 16_384;

/// Attempts that a host gets without a pace being kept for it.
const FREE_STARTS: u8 = 4;

/// How long no copies are sent after a 429 or 503 that does not say how long itself.
const HEDGE_PAUSE: Duration = Duration::from_secs(10);

/// Hosts below this many are kept even if idle: most come again.
const FIRST_SWEEP: usize = 16_384;
