//! The rows of one host that had an attempt, or are put back for want of resources: in backoff, due, and in flight.

use std::collections::VecDeque;
use std::time::Instant;

use super::waiting::{Key, Timers, Try, Waiting};
use crate::retry::RetryBudget;

#[derive(Debug, Default)]
pub(super) struct Retries {
    /// Rows whose backoff is over, in that order; `live` of them still wait.
    due: VecDeque<Key>,
    live: u32,
    /// Those of them that had an attempt.
    tried: u32,
    /// Rows whose backoff is not over yet.
    pub(super) backing_off: u32,
    /// Retries in flight.
    pub(super) in_flight: u32,
}

impl Retries {
    /// Rows that are due.
    pub(super) fn due(&self) -> u32 {
        self.live
    }

    /// Whether all that are due need the retry budget.
    pub(super) fn are_all_tried(&self) -> bool {
        self.live == self.tried
    }

    pub(super) fn push(&mut self, key: Key, attempt: u32) {
        self.due.push_back(key);
        self.count(attempt);
    }

    pub(super) fn push_front(&mut self, key: Key, attempt: u32) {
        self.due.push_front(key);
        self.count(attempt);
    }

    fn count(&mut self, attempt: u32) {
        self.live += 1;
        self.tried += u32::from(attempt > 1);
    }

    /// A due row was given up; its key stays in line until it is passed.
    pub(super) fn on_gone(&mut self, attempt: u32) {
        self.live -= 1;
        self.tried -= u32::from(attempt > 1);
        if self.live == 0 {
            self.due.clear();
        }
    }

    /// The next of the due rows.
    pub(super) fn pop(&mut self, waiting: &mut Waiting, timers: &mut Timers) -> Option<Try> {
        while let Some(key) = self.due.pop_front() {
            if let Some(due) = waiting.take(key) {
                self.on_gone(due.attempt);
                if due.deadline.is_some() {
                    timers.on_stale(waiting);
                }
                return Some(due);
            }
        }
        None
    }

    /// Whether another retry may start beside `in_flight` attempts, as far as their budget goes.
    pub(super) fn may_start(&self, budget: Option<&RetryBudget>, in_flight: u32, now: Instant) -> bool {
        let fresh = RetryBudget::new();
        budget.unwrap_or(&fresh).may_retry(in_flight, self.in_flight, now)
    }

    /// Whether none waits and none is in flight.
    pub(super) fn are_none(&self) -> bool {
        self.live == 0 && self.backing_off == 0 && self.in_flight == 0
    }
}
