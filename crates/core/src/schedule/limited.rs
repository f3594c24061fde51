//! What limits the throughput at this moment, for the progress line. Asked a few times a second, so it may look
//! at every host.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::batch::Batch;
use super::host::Host;
use super::{Input, Schedule};

/// The limit that holds back the next start. Its text form names the option to turn, where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitedBy {
    /// As many requests are in flight as `limits.concurrency` allows.
    Concurrency,
    /// As many are in flight to the host with most rows waiting as `limits.per_host` allows.
    PerHost(Arc<str>),
    /// The host with most rows waiting is at its `limits.rate`.
    Rate(Arc<str>),
    /// As many are in flight to the host with most rows waiting, or as many started a second, as it was found to take.
    Adaptive(Arc<str>),
    /// The host with most rows waiting is at the rate that was learnt from its refusals.
    LearnedRate(Arc<str>),
    /// The breaker of the host with most rows waiting is open: it failed too often.
    Breaker(Arc<str>),
    /// The host with most rows waiting is at the limit that it declares.
    DeclaredLimit(Arc<str>),
    /// The retries of the host with most rows waiting have used up their share of its requests.
    RetryBudget(Arc<str>),
    /// The host with most rows waiting has asked to be left alone.
    RetryAfter(Arc<str>),
    /// All that is left waits for another attempt.
    Backoff,
    /// The batch must be finished before the next one is read.
    Batch,
    /// The input has no row at this moment.
    Input,
    /// The output takes no more.
    Output,
    /// The memory for bodies is full.
    Memory,
    /// This machine ran out of file descriptors, ports or memory.
    Resources,
    /// Nothing: all rows are under way or finished, or the run is stopped.
    Nothing,
}

impl fmt::Display for LimitedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LimitedBy::Concurrency => f.write_str("--concurrency"),
            LimitedBy::PerHost(host) => write!(f, "--per-host: {host}"),
            LimitedBy::Rate(host) => write!(f, "--rate: {host}"),
            LimitedBy::Adaptive(host) => write!(f, "adaptive limit: {host}"),
            LimitedBy::LearnedRate(host) => write!(f, "learned rate: {host}"),
            LimitedBy::Breaker(host) => write!(f, "breaker: {host}"),
            LimitedBy::DeclaredLimit(host) => write!(f, "RateLimit: {host}"),
            LimitedBy::RetryBudget(host) => write!(f, "retry budget: {host}"),
            LimitedBy::RetryAfter(host) => write!(f, "Retry-After: {host}"),
            LimitedBy::Backoff => f.write_str("backoff"),
            LimitedBy::Batch => f.write_str("--batch"),
            LimitedBy::Input => f.write_str("the input"),
            LimitedBy::Output => f.write_str("the output"),
            LimitedBy::Memory => f.write_str("--memory"),
            LimitedBy::Resources => f.write_str("this machine's file descriptors, ports or memory"),
            LimitedBy::Nothing => f.write_str("nothing"),
        }
    }
}

impl Schedule {
    /// What limits the throughput now. To be asked after [`Schedule::poll`] said to wait. O(hosts).
    pub fn limited_by(&self, now: Instant) -> LimitedBy {
        if self.stopped {
            LimitedBy::Nothing
        } else if self.output_paused || self.input_paused {
            LimitedBy::Output
        } else if self.memory_paused {
            LimitedBy::Memory
        } else if self.shortage.binds(self.in_flight, self.concurrency, now) {
            LimitedBy::Resources
        } else if self.in_flight + self.held_slots >= self.concurrency {
            LimitedBy::Concurrency
        } else {
            self.limited_by_host(now).unwrap_or_else(|| self.limited_by_rows())
        }
    }

    fn limited_by_host(&self, now: Instant) -> Option<LimitedBy> {
        let longest = self.hosts.iter().filter(|host| host.has_work()).max_by_key(|host| host.backlog())?;
        self.limit_of(longest, now)
    }

    fn limit_of(&self, host: &Host, now: Instant) -> Option<LimitedBy> {
        let name = || Arc::from(host.name.as_str());
        if host.hold().is_some_and(|hold| hold > now) {
            Some(LimitedBy::RetryAfter(name()))
        } else if host.breaker_opens_at().is_some_and(|opens| opens > now) {
            Some(LimitedBy::Breaker(name()))
        } else if host.in_flight >= self.terms.per_host {
            Some(LimitedBy::PerHost(name()))
        } else if host.is_over_rate(&self.terms, now) {
            Some(LimitedBy::Rate(name()))
        } else if !host.has_room(&self.terms) {
            Some(LimitedBy::Adaptive(name()))
        } else if host.is_over_declared(now) {
            Some(LimitedBy::DeclaredLimit(name()))
        } else if host.opens_at(&self.terms, now) > now {
            let learned = host.pace().is_some_and(|pace| pace.rate().is_some());
            Some(if learned { LimitedBy::LearnedRate(name()) } else { LimitedBy::Adaptive(name()) })
        } else if self.options.polite.retry_budget && host.budget_opens_at(now).is_none_or(|opens| opens > now) {
            Some(LimitedBy::RetryBudget(name()))
        } else {
            None
        }
    }

    fn limited_by_rows(&self) -> LimitedBy {
        let barred = self.batch.as_ref().is_some_and(Batch::is_full);
        match self.input {
            Input::Pending if !barred => LimitedBy::Input,
            _ if self.in_flight == 0 && self.waiting_retry() > 0 => LimitedBy::Backoff,
            Input::Open | Input::Pending if barred => LimitedBy::Batch,
            _ if self.waiting_retry() > 0 => LimitedBy::Backoff,
            _ => LimitedBy::Nothing,
        }
    }
}
