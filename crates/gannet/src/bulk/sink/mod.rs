//! Where outcomes go. Every row's outcome comes exactly once, in the order of completion.
//!
//! [`RowSink`] writes lines of JSON to an [`Output`] and counts; [`CollectSink`], `BatchSink` and [`ChannelSink`] hand
//! the outcomes to a Rust program.

mod batch;
mod codec;
mod collect;
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
pub use codec::{Batch, Codec, RowReader};
pub use collect::{ChannelSink, CollectSink, OutcomeReceiver};
pub use histogram::Histogram;
pub use output::Output;
pub use render::{BodyFormat, RowFormat};
pub use rows::{OrderedOptions, RowSink};
pub use stats::{LatencyMs, SlowHost, Stats, Summary};
pub use writer::RowWriter;

use std::io;
use std::task::{Context, Poll};

use super::Outcome;

/// Takes outcomes.
pub trait Sink: Send {
    /// Looks at an outcome before it is counted and pushed: an ok row that the output cannot show as asked for fails
    /// here.
    fn check(&self, _outcome: &mut Outcome) {}

    /// Takes one outcome. Called also when [`Sink::poll_room`] said there is none: what was in flight must go
    /// somewhere; it is bounded by the concurrency.
    ///
    /// # Errors
    /// The output cannot be written any further: the run stops.
    fn push(&mut self, outcome: Outcome) -> io::Result<()>;

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
