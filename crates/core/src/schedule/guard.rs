//! What protects a host in trouble: its breaker, its retry budget, and the limit it declares. Made when there is
//! trouble, a retry or a declaration; most hosts never have one.

use std::time::{Duration, Instant};

use super::polite::PolitenessOptions;
use crate::ErrorKind;
use crate::breaker::Breaker;
use crate::limit::DeclaredLimit;
use crate::retry::{Outcome, RetryBudget, Rng};

#[derive(Debug, Default)]
pub(super) struct Guard {
    breaker: Breaker,
    /// Since when the host has failed, from the first opening of its breaker.
    failing_since: Option<Instant>,
    /// Whether an attempt is under way that tries whether the host is well again.
    probing: bool,
    pub(super) budget: RetryBudget,
    declared: Option<Declared>,
}

/// A declared limit, kept to as a pace until it is renewed.
#[derive(Debug)]
struct Declared {
    until: Instant,
    /// Between two starts; `None` is no start before `until`.
    interval: Option<Duration>,
    next_at: Instant,
}

impl Guard {
    /// Whether this outcome is a reason to have a guard.
    pub(super) fn is_needed(outcome: &Outcome, polite: &PolitenessOptions) -> bool {
        (polite.breaker && is_trouble(outcome)) || (polite.rate_limit_headers && outcome.rate_limit.is_some())
    }

    /// When the breaker or the declared limit allow a start; not after `now` means now.
    pub(super) fn opens_at(&self, now: Instant) -> Instant {
        let breaker = self.breaker.opens_at().unwrap_or(now);
        match &self.declared {
            Some(declared) if declared.until > now => breaker.max(match declared.interval {
                Some(_) => declared.next_at.min(declared.until),
                None => declared.until,
            }),
            _ => breaker,
        }
    }

    /// When the breaker allows the next probe, if it is open.
    pub(super) fn breaker_opens_at(&self) -> Option<Instant> {
        self.breaker.opens_at()
    }

    /// Whether a start may be made beside those under way: none beside a probe.
    pub(super) fn has_room(&self) -> bool {
        !self.probing
    }

    /// Counts a start; whether it is a probe.
    pub(super) fn on_start(&mut self, now: Instant) -> bool {
        self.on_copy(now);
        let probe = self.breaker.take_probe(now);
        self.probing |= probe;
        probe
    }

    /// Counts the start of a copy, which is no probe: an open breaker allows none.
    pub(super) fn on_copy(&mut self, now: Instant) {
        if let Some(Declared { interval: Some(interval), next_at, .. }) = &mut self.declared {
            *next_at = (*next_at).max(now) + *interval;
        }
    }

    /// An attempt ended. `false` if the host has failed for longer than the patience with it: its breaker is
    /// closed, and its rows are to find out each for itself.
    pub(super) fn on_outcome(
        &mut self,
        outcome: &Outcome,
        probe: bool,
        patience: Duration,
        now: Instant,
        rng: &mut Rng,
    ) -> bool {
        if probe {
            self.probing = false;
            self.breaker.on_probe(outcome, now, rng);
        } else {
            self.breaker.on_outcome(outcome, now, rng);
        }
        if self.breaker.opens_at().is_none() {
            if !is_trouble(outcome) {
                self.failing_since = None;
            }
            return true;
        }
        let since = *self.failing_since.get_or_insert(now);
        let bears = now.saturating_duration_since(since) < patience;
        if !bears {
            (self.breaker, self.failing_since, self.probing) = (Breaker::new(), None, false);
        }
        bears
    }

    /// The host declared a limit while `others` attempts were under way, which it may not have counted yet, and
    /// `backlog` rows wait. What all of them fit into needs no pace.
    pub(super) fn on_declared(&mut self, limit: DeclaredLimit, others: u32, backlog: usize, now: Instant) {
        // Further ahead no limit is worth believing without another look.
        let limit = DeclaredLimit { reset: limit.reset.min(LONGEST_DECLARED), ..limit };
        let left = limit.remaining.saturating_sub(others.into());
        if left > backlog as u64 {
            self.declared = None;
            return;
        }
        let interval = (left > 0).then(|| limit.reset.div_f64(left as f64));
        let next_at = self.declared.as_ref().map_or(now, |before| before.next_at.min(now + limit.reset));
        self.declared = Some(Declared { until: now + limit.reset, interval, next_at });
    }

    /// Whether nothing would be lost by forgetting it.
    pub(super) fn is_forgettable(&self, now: Instant) -> bool {
        !self.probing
            && self.breaker.is_forgettable(now)
            && self.budget.is_whole(now)
            && self.declared.as_ref().is_none_or(|declared| declared.until <= now)
    }
}

/// How long a host may be held by what it declared.
const LONGEST_DECLARED: Duration = Duration::from_secs(3600);

/// No whole answer, or one that says that the server failed.
fn is_trouble(outcome: &Outcome) -> bool {
    outcome.status.is_some_and(|status| status >= 500)
        || outcome
            .error
            .is_some_and(|kind| !matches!(kind, ErrorKind::Status | ErrorKind::Resources | ErrorKind::Denied))
}
