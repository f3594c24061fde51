//! The thread that writes the rows, so that a slow disk or pipe never blocks the runtime. Rows gather in a buffer
//! that the thread swaps for an empty one when it is large enough or 50 ms old; the first row after a pause goes out
//! at once. Under load that is a wake-up per 128 KiB or 50 ms, and none per row. Above a bound there is no room: whoever
//! pushes must wait. Only whole rows are in the output, also after an error, which every later call then returns.
//! What is done with a buffer is a [`BatchWriter`]'s: written to an output, or with the run's state committed behind.

#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::entry::Batch;
use super::output::{Output, Target};

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

/// How safe a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// In the output: no kill of the process loses it.
    Written,
    /// In the state too.
    Committed,
}

/// Ready when what it stands for is safe. Dropping it changes nothing.
#[derive(Debug)]
pub struct Mark {
    shared: Arc<Shared>,
    batch: u64,
    level: Level,
}

/// Tells what became of batches after they were written.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "state"), expect(dead_code, reason = "a state reports by it"))]
pub(crate) struct Report(Arc<Shared>);

#[cfg(feature = "state")]
impl Report {
    /// The batches up to this one are committed.
    pub(crate) fn committed(&self, batch: u64) {
        let mut state = self.0.lock();
        state.committed = state.committed.max(batch);
        let marks = state.take_marks();
        drop(state);
        marks.for_each(Waker::wake);
    }

    /// Tells nobody.
    #[cfg(test)]
    pub(crate) fn to_nobody() -> Report {
        Report(Arc::default())
    }

    /// Nothing more can be committed.
    pub(crate) fn failed(&self, error: &io::Error) {
        let mut state = self.0.lock();
        state.fail(error);
        let waker = state.waker.take();
        let marks = std::mem::take(&mut state.marks);
        drop(state);
        waker.into_iter().chain(marks.into_iter().map(|(.., waker)| waker)).for_each(Waker::wake);
    }
}

impl Future for Mark {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.shared.lock();
        if state.is_safe(self.level, self.batch) {
            return Poll::Ready(Ok(()));
        }
        if let Some(failure) = &state.failure {
            return Poll::Ready(Err(failure.to_error()));
        }
        if state.ended {
            return Poll::Ready(Err(io::Error::other("the output was closed before")));
        }
        state.marks.push((self.level, self.batch, cx.waker().clone()));
        Poll::Pending
    }
}

/// A buffer that one large row blew up to more than so many chunks is not kept.
const KEPT_CHUNKS: usize = 16;
/// So many chunks leave no room.
const ROOM_CHUNKS: usize = 4;
/// Entries beside rows (there are few bytes in a row that goes nowhere) leave no room from here on.
const ROOM_ENTRIES: usize = 1 << 16;
const DROP_WAIT: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// For the thread: there is something to do.
    work: Condvar,
    /// From the thread: it has ended.
    end: Condvar,
    pace: Pace,
}

#[derive(Debug, Default)]
struct State {
    /// Whole rows that wait to be written, and what is to be known beside them.
    pending: Batch,
    sleep: Sleep,
    /// How many batches the thread has taken, how many of them are written, and how many committed.
    taken: u64,
    written_batches: u64,
    committed: u64,
    /// Who waits for a batch, and for how much.
    marks: Vec<(Level, u64, Waker)>,
    /// Nothing more will be pushed.
    closing: bool,
    ended: bool,
    failure: Option<Failure>,
    /// Who waits for room or for the end.
    waker: Option<Waker>,
    written: u64,
}

/// What there is to do for the thread.
enum Work {
    /// To write the batch.
    Batch,
    /// What was due at a moment.
    Due,
    /// Nothing more.
    Over,
}

/// What the thread is doing, so that it is woken only where that is of use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sleep {
    #[default]
    Awake,
    /// Until the buffer is large or old enough.
    Gathering,
    /// Until there is anything at all.
    Idle,
}

impl State {
    fn fail(&mut self, error: &io::Error) {
        self.failure = Some(Failure::from(error));
        self.pending = Batch::default();
    }

    fn is_safe(&self, level: Level, batch: u64) -> bool {
        match level {
            Level::Written => self.written_batches >= batch,
            Level::Committed => self.committed >= batch,
        }
    }

    /// Those whose wait is over.
    fn take_marks(&mut self) -> impl Iterator<Item = Waker> + use<> {
        let all = std::mem::take(&mut self.marks);
        let (over, left) = all.into_iter().partition(|(level, batch, _)| self.is_safe(*level, *batch));
        self.marks = left;
        let over: Vec<_> = over;
        over.into_iter().map(|(.., waker)| waker)
    }

    fn wait(&mut self, cx: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => self.waker = Some(cx.waker().clone()),
        }
    }
}

impl Shared {
    // Nothing is left half done under this lock, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, mut state: MutexGuard<'_, State>) {
        state.closing = true;
        state.sleep = Sleep::Awake;
        drop(state);
        self.work.notify_one();
    }

    fn has_room(&self, state: &State) -> bool {
        state.pending.rows.len() < ROOM_CHUNKS * self.pace.chunk && state.pending.entries.len() < ROOM_ENTRIES
    }

    fn run(&self, target: &mut dyn BatchWriter) {
        let mut batch = Batch::default();
        let mut last_write = None;
        loop {
            let work = self.next_work(&mut batch, last_write, target.due());
            let number = {
                let state = self.lock();
                if state.failure.is_some() {
                    // Told meanwhile by whoever commits. What the target has not handed on yet stays where it is safe.
                    return;
                }
                state.taken
            };
            let (whole, result) = match work {
                Work::Batch => target.write(&mut batch, number),
                Work::Due => target.on_due(number),
                Work::Over => break,
            };
            let mut state = self.lock();
            state.written += whole;
            if let Err(error) = result {
                state.fail(&error);
                return;
            }
            if state.failure.is_some() {
                return;
            }
            state.written_batches = number;
            if !target.commits() {
                state.committed = number;
            }
            let marks = state.take_marks();
            drop(state);
            marks.for_each(Waker::wake);
            last_write = Some(Instant::now());
            batch.clear(KEPT_CHUNKS * self.pace.chunk);
        }
        if let Err(error) = target.finish() {
            self.lock().fail(&error);
        }
    }

    /// Waits for the next rows to write and swaps them into the empty batch, but not beyond the moment at which
    /// something else is due.
    fn next_work(&self, batch: &mut Batch, last_write: Option<Instant>, due: Option<Instant>) -> Work {
        let mut state = self.lock();
        loop {
            let due = due.map(|at| at.saturating_duration_since(Instant::now()));
            if due.is_some_and(|left| left.is_zero()) && !state.closing {
                state.sleep = Sleep::Awake;
                return Work::Due;
            }
            if state.pending.rows.len() >= self.pace.chunk || state.closing || state.pending.is_urgent {
                break;
            }
            let rest = last_write.map_or(Duration::ZERO, |at| self.pace.gather.saturating_sub(at.elapsed()));
            if !rest.is_zero() {
                state.sleep = Sleep::Gathering;
                let wait = self.work.wait_timeout(state, due.map_or(rest, |left| left.min(rest)));
                state = wait.unwrap_or_else(PoisonError::into_inner).0;
            } else if state.pending.is_empty() {
                state.sleep = Sleep::Idle;
                state = match due {
                    Some(left) => self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                    None => self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
                };
            } else {
                break;
            }
        }
        state.sleep = Sleep::Awake;
        let had_room = self.has_room(&state);
        std::mem::swap(&mut state.pending, batch);
        state.taken += u64::from(!batch.is_empty());
        let waker = if had_room { None } else { state.waker.take() };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        if batch.is_empty() { Work::Over } else { Work::Batch }
    }
}

/// Says on drop that the thread has ended, however it did; the output is closed before.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.ended = true;
        if std::thread::panicking() {
            let error = io::Error::other("the thread that writes the output panicked");
            state.failure.get_or_insert(Failure::from(&error));
        }
        let waker = state.waker.take();
        let marks = std::mem::take(&mut state.marks);
        drop(state);
        self.0.end.notify_all();
        waker.into_iter().chain(marks.into_iter().map(|(.., waker)| waker)).for_each(Waker::wake);
    }
}

/// An I/O error that can be told more than once.
#[derive(Debug)]
struct Failure {
    code: Option<i32>,
    kind: io::ErrorKind,
    text: String,
}

impl From<&io::Error> for Failure {
    fn from(error: &io::Error) -> Self {
        Failure { code: error.raw_os_error(), kind: error.kind(), text: error.to_string() }
    }
}

impl Failure {
    fn to_error(&self) -> io::Error {
        match self.code {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(self.kind, self.text.clone()),
        }
    }
}
