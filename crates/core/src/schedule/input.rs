//! What the driver tells of the input: rows as they are read, its pauses, its end; and whether the next row may be read.
//! None is while the output or the order holds it up, the batch is full, or as many rows wait as may.

use std::time::Instant;

use super::action::RowRef;
use super::waiting::{Try, Wake};
use super::{Schedule, later};

/// What is known of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Open,
    Pending,
    Ended,
}

impl Schedule {
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

    pub(super) fn may_read(&self) -> bool {
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
}
