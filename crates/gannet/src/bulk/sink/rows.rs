//! The sink of the command: each outcome counted, rendered as one line, put in order if asked for, and handed to the
//! thread that writes. In order, what is finished before its turn waits in memory up to a bound, and beyond it on
//! disk; what becomes ready at once is handed on only as fast as the output takes it.

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use gannet_core::reorder::{Ready, Reorder};

use super::entry::{Batch, Entry};
use super::output::Output;
use super::render::{RowFormat, RowMaker};
use super::spill::Spill;
use super::stats::Stats;
use super::writer::{Level, Mark, RowWriter};
use super::{Outcome, Share, Sink};
use crate::buffer;

/// How rows are brought into the order of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderedOptions {
    /// How many bytes of rendered rows wait in memory for their turn; 64 MiB. The overflow goes to an unlinked file
    /// in the directory of the output, or in the system's for temporary files.
    pub memory: u64,
}

impl Default for OrderedOptions {
    fn default() -> Self {
        OrderedOptions { memory: 64 << 20 }
    }
}

/// Writes a line of JSON for each outcome, as they come or in the order of the input, from index 0.
///
/// In the order of the input, a run that was stopped leaves gaps: rows that never finished. What waited behind them
/// is written too by [`Sink::poll_finish`], in order, the gaps skipped: no finished row is lost. Dropping the sink
/// before that loses what waits for its turn.
#[derive(Debug)]
pub struct RowSink {
    format: RowFormat,
    stats: Stats,
    /// None where rows go nowhere.
    writer: Option<RowWriter>,
    ordered: Option<Ordered>,
    /// Of the outcome that is pushed next.
    share: Option<Share>,
    /// Whether the writer keeps a state, and is told what happens beside the rows.
    records: Option<Records>,
}

/// How a state is told.
#[derive(Clone, Copy, Debug)]
struct Records {
    manner: Manner,
    /// The batch that was pushed to last.
    last: u64,
}

/// When a row can no longer be lost by a kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "state"), expect(dead_code, reason = "made by the state only"))]
pub(crate) enum Manner {
    /// When it is written: into the output, or into what guards it until it is packed.
    Written,
    /// When it is committed: it may have to wait for its turn.
    Committed,
}

impl RowSink {
    /// Starts writing to `output`: in the order of the input where `ordered` is given, else as outcomes come.
    ///
    /// # Errors
    /// The writing thread cannot be started.
    pub fn new(output: Output, format: RowFormat, ordered: Option<OrderedOptions>) -> io::Result<Self> {
        if output.is_discard() {
            return Ok(RowSink {
                format,
                stats: Stats::default(),
                writer: None,
                ordered: None,
                share: None,
                records: None,
            });
        }
        let dir = output.dir().map_or_else(std::env::temp_dir, PathBuf::from);
        let ordered = ordered.map(|options| Ordered {
            reorder: Reorder::new(0, usize::try_from(options.memory).unwrap_or(usize::MAX)),
            spill: Spill::new(dir, SPILL_FILE),
            scratch: Vec::new(),
        });
        let writer = Some(RowWriter::new(output)?);
        Ok(RowSink { format, stats: Stats::default(), writer, ordered, share: None, records: None })
    }

    /// Writes to the output of a run state, and the state with it; what earlier runs came to is counted already. The
    /// order of the rows is the state's.
    ///
    /// A run that was stopped leaves what waits for its turn in the state, for the next run to write.
    ///
    /// # Errors
    /// The writing thread cannot be started.
    #[cfg(feature = "state")]
    pub fn with_state(state: crate::bulk::state::RunState, format: RowFormat) -> io::Result<Self> {
        let (manner, stats) = (state.manner(), state.stats());
        let records = Some(Records { manner, last: 0 });
        // Slots of the concurrency wait for the rows to be written.
        let pace = super::writer::Pace { gather: PROMPT, chunk: 1 << 20 };
        let writer = Some(RowWriter::start(state.into_writer(), pace)?);
        Ok(RowSink { format, stats, writer, ordered: None, share: None, records })
    }

    fn record(&self, urgent: bool, entry: Entry) -> Option<Mark> {
        let writer = self.writer.as_ref().filter(|_| self.records.is_some())?;
        // What failed is told by the mark, and by the next push.
        let batch = writer.push_batch(urgent, |batch| batch.entries.push(entry)).unwrap_or(u64::MAX);
        Some(writer.mark(batch, Level::Committed))
    }

    /// What came so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Bytes that are in the output, in whole rows.
    pub fn written(&self) -> u64 {
        self.writer.as_ref().map_or(0, RowWriter::written)
    }
}

impl Sink for RowSink {
    fn row_maker(&self) -> Option<RowMaker> {
        Some(RowMaker::new(self.format, self.writer.is_some()))
    }

    fn on_start(&mut self, index: u64) -> Option<Mark> {
        self.record(true, Entry::Started(index))
    }

    fn on_pushed(&mut self) -> Option<Mark> {
        let (writer, records) = (self.writer.as_ref()?, self.records?);
        let level = match records.manner {
            Manner::Written => Level::Written,
            Manner::Committed => Level::Committed,
        };
        Some(writer.mark(records.last, level))
    }

    fn on_retry(&mut self, index: u64, attempts: u32) {
        self.record(false, Entry::Waiting(index, attempts));
    }

    fn on_hold(&mut self, host: &str, delay: Duration) {
        if self.records.is_some() {
            // At once: it is not to be forgotten, and the host gets nothing more to do meanwhile.
            self.record(true, Entry::Hold(host.into(), delay, SystemTime::now()));
        }
    }

    fn on_end_of_input(&mut self, rows: u64) {
        self.record(false, Entry::End(rows));
    }

    fn hold(&mut self, memory: Share) {
        self.share = Some(memory);
    }

    fn push(&mut self, mut outcome: Outcome) -> io::Result<()> {
        let mut row = buffer::take_write();
        RowMaker::new(self.format, self.writer.is_some()).make(&mut outcome, &mut row);
        let pushed = self.push_row(outcome, &row);
        buffer::give_write(row);
        pushed
    }

    fn push_row(&mut self, outcome: Outcome, row: &[u8]) -> io::Result<()> {
        self.stats.count(&outcome);
        let share = self.share.take();
        let Some(writer) = &self.writer else {
            return Ok(());
        };
        // The writer's own buffer is bounded: what does not fit into it any more counts as the body did.
        let bound = writer.bound();
        let hold = |batch: &mut Batch| match share {
            Some(share) if batch.rows.len() >= bound => batch.hold(share, row.len()),
            _ => {}
        };
        if let Some(records) = &mut self.records {
            records.last = writer.push_batch(false, |batch| {
                batch.push_row(&outcome, row);
                hold(batch);
            })?;
            return Ok(());
        }
        match &mut self.ordered {
            None => {
                let pushed = writer.push_batch(false, |batch| {
                    batch.rows.extend_from_slice(row);
                    hold(batch);
                });
                pushed.map(|_| ())
            }
            // Those that wait for their turn have a bound of their own, and go to disk beyond it.
            Some(ordered) => {
                ordered.push(outcome.index, row);
                ordered.hand_on(writer)?;
                ordered.spill_over()
            }
        }
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(writer) = &self.writer else {
            return Poll::Ready(Ok(()));
        };
        loop {
            ready!(writer.poll_room(cx))?;
            let count = self.ordered.as_mut().map_or(Ok(0), |ordered| ordered.hand_on(writer))?;
            if count == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(writer) = &self.writer else {
            return Poll::Ready(Ok(()));
        };
        while let Some(ordered) = self.ordered.as_mut().filter(|ordered| !ordered.is_empty()) {
            ready!(writer.poll_room(cx))?;
            if ordered.hand_on(writer)? == 0 {
                ordered.skip_gap();
            }
        }
        writer.poll_finish(cx)
    }
}

/// Rendered rows that wait for their turn. Spilling is done in place, by whoever pushes: it is seldom, and goes to
/// the page cache.
#[derive(Debug)]
struct Ordered {
    reorder: Reorder<Vec<u8>>,
    spill: Spill,
    /// A row whose turn has come lies here, so that a run already in order allocates nothing per row.
    scratch: Vec<u8>,
}

impl Ordered {
    fn push(&mut self, index: u64, row: &[u8]) {
        let held = if index == self.reorder.next_index() {
            let mut scratch = std::mem::take(&mut self.scratch);
            scratch.clear();
            scratch.shrink_to(KEPT);
            scratch.extend_from_slice(row);
            scratch
        } else {
            // Of its own size: the scratch buffer's room would be held, and counted as nothing.
            row.to_vec()
        };
        let bytes = held.len() + ENTRY;
        self.reorder.push(index, held, bytes);
    }

    /// Hands the rows whose turn has come to the writer while it has room; how many.
    fn hand_on(&mut self, writer: &RowWriter) -> io::Result<usize> {
        let mut count = 0;
        while writer.has_room() {
            match self.reorder.pop_ready() {
                None => break,
                Some((_, Ready::Held(row))) => {
                    writer.push(|out| out.extend_from_slice(&row))?;
                    self.scratch = row;
                }
                Some((_, Ready::Spilled(at))) => {
                    self.scratch.clear();
                    self.spill.read(at, &mut self.scratch)?;
                    writer.push(|out| out.extend_from_slice(&self.scratch))?;
                }
            }
            count += 1;
        }
        Ok(count)
    }

    fn spill_over(&mut self) -> io::Result<()> {
        while let Some((index, row)) = self.reorder.over_budget() {
            let at = self.spill.write(&row)?;
            self.reorder.on_spilled(index, at);
        }
        Ok(())
    }

    /// Nothing is ready and nothing more will come: an empty row takes the place of the one whose turn it is.
    fn skip_gap(&mut self) {
        let next = self.reorder.next_index();
        self.reorder.push(next, Vec::new(), 0);
    }

    fn is_empty(&self) -> bool {
        self.reorder.held() == 0 && self.reorder.spilled() == 0
    }
}

/// How long rows gather where slots wait for them: little beside a request, much beside a system call.
#[cfg(feature = "state")]
const PROMPT: Duration = Duration::from_millis(1);
/// What a waiting row takes beside its bytes: its place in a map.
const ENTRY: usize = 64;
/// Spilled rows are kept in files of about this size.
const SPILL_FILE: u64 = 128 << 20;
/// A scratch buffer that one large row blew up to more than this is not kept.
const KEPT: usize = 1 << 20;
