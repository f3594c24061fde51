//! Where outcomes go. Every row's outcome comes exactly once, in the order of completion.
//!
//! [`RowSink`] writes lines of JSON to an [`Output`] and counts; [`CollectSink`], `BatchSink` and [`ChannelSink`] hand
//! the outcomes to a Rust program.

mod batch;
mod codec;
mod collect;
mod entry;
mod histogram;
mod hosts;
mod json;
mod output;
mod render;
mod rows;
mod spill;
mod stats;
mod writer;

pub(crate) use batch::BatchSink;
pub use codec::{Codec, Ending, RowReader};
pub use collect::{ChannelSink, CollectSink, OutcomeReceiver};
#[cfg(feature = "state")]
pub(crate) use entry::{Batch, Done, Entry};
pub use histogram::Histogram;
#[cfg(feature = "state")]
pub(crate) use hosts::host;
pub use output::Output;
pub use render::{BodyFormat, RowFormat, RowMaker};
#[cfg(feature = "state")]
pub(crate) use rows::Manner;
pub use rows::{OrderedOptions, RowSink};
pub use stats::{LatencyMs, SlowHost, Stats, Summary};
#[cfg(feature = "state")]
pub(crate) use writer::{BatchWriter, Report};
#[cfg(all(test, feature = "state"))]
pub(crate) use writer::{Level, Pace};
pub use writer::{Mark, RowWriter};

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Outcome, Share};

/// Takes outcomes.
pub trait Sink: Send {
    /// How outcomes are made rows before they are pushed, by whoever has them and outside the run's lock: they come by
    /// [`Sink::push_row`] then. `None`, the default, where they are taken as they are. Asked once, before the run.
    fn row_maker(&self) -> Option<RowMaker> {
        None
    }

    /// A request that must not be sent twice is about to be: it waits for what this gives, and is not sent where that
    /// is an error. Called before each of its attempts.
    fn on_start(&mut self, _index: u64) -> Option<Mark> {
        None
    }

    /// Ready when what was pushed last can no longer be lost by a kill: its slot of the concurrency is given back only
    /// then. `None` where there is nothing to wait for.
    fn on_pushed(&mut self) -> Option<Mark> {
        None
    }

    /// The row waits for another attempt after so many.
    fn on_retry(&mut self, _index: u64, _attempts: u32) {}

    /// The host has asked to be left alone for so long.
    fn on_hold(&mut self, _host: &str, _delay: Duration) {}

    /// The input has ended; it has so many rows.
    fn on_end_of_input(&mut self, _rows: u64) {}

    /// What the body of the outcome that is pushed next takes of the run's memory
    /// ([`BulkOptions::memory`](super::BulkOptions::memory)). It counts until this is dropped: by a sink whose outcomes
    /// are taken bit by bit when that one is, by default at once.
    fn hold(&mut self, _memory: Share) {}

    /// Takes one outcome. Called also when [`Sink::poll_room`] said there is none: what was in flight must go
    /// somewhere; it is bounded by the concurrency.
    ///
    /// # Errors
    /// The output cannot be written any further: the run stops.
    fn push(&mut self, outcome: Outcome) -> io::Result<()>;

    /// As [`Sink::push`], with the row that [`Sink::row_maker`]'s made of it.
    ///
    /// # Errors
    /// As [`Sink::push`].
    fn push_row(&mut self, outcome: Outcome, _row: &[u8]) -> io::Result<()> {
        self.push(outcome)
    }

    /// Whether more rows may be started. Pending wakes the task when there is room again.
    ///
    /// # Errors
    /// As [`Sink::push`].
    fn poll_room(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Whether a lack of room may end only by rows that were read already: those that wait for an earlier one's
    /// turn. Then they are started all the same, and only new ones are not read.
    fn awaits_turns(&self) -> bool {
        false
    }

    /// How many rows that were read may wait for their start at once, for a sink that has to hold what comes out of
    /// turn; no bound by default.
    fn max_parked(&self) -> Option<usize> {
        None
    }

    /// A batch is done: its number from 1, and how many rows it had. All its outcomes were pushed before.
    ///
    /// # Errors
    /// As [`Sink::push`].
    fn on_batch(&mut self, _number: u64, _rows: u64) -> io::Result<()> {
        Ok(())
    }

    /// The run is over, or was stopped: everything pushed must reach the output.
    ///
    /// # Errors
    /// As [`Sink::push`].
    fn poll_finish(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
