//! The thread that writes the rows, so that a slow disk or pipe never blocks the runtime. Rows gather in a buffer
//! that the thread swaps for an empty one when it is large enough or 50 ms old; the first row after a pause goes out
//! at once. Under load that is a wake-up per 128 KiB or 50 ms, and none per row. Above a bound there is no room: whoever
//! pushes must wait. Only whole rows are in the output, also after an error, which every later call then returns.
//! What is done with a buffer is a [`BatchWriter`]'s: written to an output, or with the run's state committed behind.

mod mark;
#[cfg(test)]
mod tests;
mod thread;

use std::io;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::entry::Batch;
use super::output::{Output, Target};

pub use self::mark::Mark;
pub(crate) use self::mark::{Level, Report};
use self::thread::{Ending, Shared, Sleep};

/// Writes rows to an [`Output`] from a thread of its own.
///
/// Dropping it has the thread write what was pushed and waits for that, but for at most half a second: a thread
/// that is stuck in a write is left behind.
#[derive(Debug)]
pub struct RowWriter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl RowWriter {
    /// Starts the thread. A discarding output needs none: everything pushed is dropped.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn new(output: Output) -> io::Result<Self> {
        match output.into_target() {
            Some(target) => RowWriter::start(Box::new(target), Pace::default()),
            None => {
                let shared = Arc::new(Shared::default());
                shared.lock().ended = true;
                Ok(RowWriter { shared, thread: None })
            }
        }
    }

    /// Starts the thread, which hands each batch to `target`.
    pub(crate) fn start(target: Box<dyn BatchWriter>, pace: Pace) -> io::Result<Self> {
        let shared = Arc::new(Shared { pace, ..Shared::default() });
        let ours = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("gannet-output".into()).spawn(move || {
            let ending = Ending(ours);
            // Closed before the end is told.
            let mut target = target;
            if let Err(error) = target.begin(Report(ending.0.clone())) {
                return ending.0.lock().fail(&error);
            }
            ending.0.run(&mut *target);
        })?;
        Ok(RowWriter { shared, thread: Some(thread) })
    }

    /// Has `render` append whole rows to the buffer. Takes them also when there is no room.
    ///
    /// # Errors
    /// The output failed, now or before.
    pub fn push(&self, render: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        self.push_batch(false, |batch| render(&mut batch.rows)).map(|_| ())
    }

    /// Has `fill` add to the batch that is being gathered; what it gives is that batch's number, for
    /// [`RowWriter::mark`]. `urgent`: it is written as soon as the thread is free.
    pub(crate) fn push_batch(&self, urgent: bool, fill: impl FnOnce(&mut Batch)) -> io::Result<u64> {
        if self.thread.is_none() {
            return Ok(0);
        }
        // The lock is held while rendering: the thread needs it only for moments, to swap buffers.
        let mut state = self.shared.lock();
        if let Some(failure) = &state.failure {
            return Err(failure.to_error());
        }
        fill(&mut state.pending);
        state.pending.is_urgent |= urgent;
        let number = state.taken + 1;
        let is_due = match state.sleep {
            Sleep::Awake => false,
            Sleep::Gathering => state.pending.is_urgent || state.pending.rows.len() >= self.shared.pace.chunk,
            Sleep::Idle => !state.pending.is_empty(),
        };
        if is_due {
            state.sleep = Sleep::Awake;
            drop(state);
            self.shared.work.notify_one();
        }
        Ok(number)
    }

    /// Ready when the batch of this number is as safe as that.
    pub(crate) fn mark(&self, batch: u64, level: Level) -> Mark {
        Mark { shared: self.shared.clone(), batch, level }
    }

    /// Whether less than half a mebibyte waits to be written.
    pub fn has_room(&self) -> bool {
        self.shared.has_room(&self.shared.lock())
    }

    /// So many bytes of rows leave no room.
    pub(crate) fn bound(&self) -> usize {
        self.shared.bound()
    }

    /// Ready when there is room; pending wakes the task then. The task is woken too when the output fails after that.
    /// One task at a time.
    ///
    /// # Errors
    /// The output failed.
    pub fn poll_room(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.shared.lock();
        if let Some(failure) = &state.failure {
            return Poll::Ready(Err(failure.to_error()));
        }
        // Also where there is room: of a failure the task hears, whatever else it waits for.
        state.wait(cx);
        if self.shared.has_room(&state) { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Ready when everything pushed is written and flushed, and the output closed. Nothing may be pushed after.
    ///
    /// # Errors
    /// The output failed.
    pub fn poll_finish(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.shared.lock();
        if !state.ended {
            state.wait(cx);
            self.shared.close(state);
            return Poll::Pending;
        }
        Poll::Ready(state.failure.as_ref().map_or(Ok(()), |failure| Err(failure.to_error())))
    }

    /// Bytes that are in the output, in whole rows.
    pub fn written(&self) -> u64 {
        self.shared.lock().written
    }
}

impl Drop for RowWriter {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        self.shared.close(self.shared.lock());
        let wait = self.shared.end.wait_timeout_while(self.shared.lock(), DROP_WAIT, |state| !state.ended);
        let (state, _) = wait.unwrap_or_else(PoisonError::into_inner);
        let ended = state.ended;
        drop(state);
        if ended {
            // A panic of the output was told as a failure already.
            let _ = thread.join();
        }
    }
}

/// What the thread does with what was gathered.
pub(crate) trait BatchWriter: Send {
    /// On the thread, before the first batch.
    ///
    /// # Errors
    /// It cannot write.
    fn begin(&mut self, _report: Report) -> io::Result<()> {
        Ok(())
    }

    /// Writes the batch of this number. Gives how many bytes of whole rows came to be in the output, also beside an
    /// error, after which nothing more is written.
    fn write(&mut self, batch: &mut Batch, number: u64) -> (u64, io::Result<()>);

    /// When it is to be called even if nothing more comes; never by default.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// That moment has come; the number is that of the last batch it was given. As [`BatchWriter::write`].
    fn on_due(&mut self, _number: u64) -> (u64, io::Result<()>) {
        (0, Ok(()))
    }

    /// Whether it reports by itself what is committed; else that is what is written.
    fn commits(&self) -> bool {
        false
    }

    /// Waits until what is written is committed.
    #[cfg(test)]
    fn settle(&mut self) {}

    /// Everything is written.
    ///
    /// # Errors
    /// The output is not as it should be.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl BatchWriter for Target {
    fn write(&mut self, batch: &mut Batch, _number: u64) -> (u64, io::Result<()>) {
        let (written, result) = self.write_rows(&batch.rows);
        (written as u64, result)
    }
}

/// How rows gather.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// The thread wakes early for this many bytes; four times as many leave no room.
    pub(crate) chunk: usize,
    /// How long rows gather before they are written.
    pub(crate) gather: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { chunk: 128 << 10, gather: Duration::from_millis(50) }
    }
}

const DROP_WAIT: Duration = Duration::from_millis(500);
