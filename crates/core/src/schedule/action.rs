//! What schedule and driver say to each other: the row, the action, the attempt with its ticket, the verdict, the pause.
//! A ticket is made by a start alone and spent by its outcome, so that no attempt can end twice.

use std::time::{Duration, Instant};

use super::waiting::Try;

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
    /// Send the row's request, and tell [`Schedule::on_outcome`](super::Schedule::on_outcome) how it went.
    Start(Start),
    /// Read one row and call [`Schedule::on_row`](super::Schedule::on_row),
    /// [`Schedule::on_unreadable`](super::Schedule::on_unreadable),
    /// [`Schedule::on_end_of_input`](super::Schedule::on_end_of_input) or
    /// [`Schedule::on_input_pending`](super::Schedule::on_input_pending). Asked for again until one of them was called.
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
    /// How long after the start a copy may be sent, if [`Schedule::hedge`](super::Schedule::hedge) allows it then. Only
    /// for a request whose method is safe; `None` is no copy.
    pub hedge_after: Option<Duration>,
    /// To be given back with the outcome. Dropping it leaves the attempt in flight for ever.
    pub ticket: Ticket,
}

/// Proof of an attempt in flight; spent by [`Schedule::on_outcome`](super::Schedule::on_outcome).
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Ticket {
    pub(super) under_way: Try,
    pub(super) started: Instant,
    /// Whether it tries out a host whose breaker is open.
    pub(super) probe: bool,
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
