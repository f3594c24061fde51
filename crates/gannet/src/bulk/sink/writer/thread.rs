//! The thread's side of the writer, and what both sides share under one lock: it sleeps until rows are many or old
//! enough, swaps the buffer for an empty one, has it written, and tells who waits. It ends at the first failure, whoever
//! met it, and says that it has ended however it does.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use super::mark::Level;
use super::{BatchWriter, Pace};
use crate::bulk::sink::entry::Batch;

/// A buffer that one large row blew up to more than so many chunks is not kept.
const KEPT_CHUNKS: usize = 16;
/// So many chunks leave no room.
const ROOM_CHUNKS: usize = 4;
/// Entries beside rows (there are few bytes in a row that goes nowhere) leave no room from here on.
const ROOM_ENTRIES: usize = 1 << 16;

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    /// For the thread: there is something to do.
    pub(super) work: Condvar,
    /// From the thread: it has ended.
    pub(super) end: Condvar,
    pub(super) pace: Pace,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Whole rows that wait to be written, and what is to be known beside them.
    pub(super) pending: Batch,
    pub(super) sleep: Sleep,
    /// How many batches the thread has taken, how many of them are written, and how many committed.
    pub(super) taken: u64,
    pub(super) written_batches: u64,
    pub(super) committed: u64,
    /// Who waits for a batch, and for how much.
    pub(super) marks: Vec<(Level, u64, Waker)>,
    /// Nothing more will be pushed.
    pub(super) closing: bool,
    pub(super) ended: bool,
    pub(super) failure: Option<Failure>,
    /// Who waits for room or for the end.
    pub(super) waker: Option<Waker>,
    pub(super) written: u64,
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
pub(super) enum Sleep {
    #[default]
    Awake,
    /// Until the buffer is large or old enough.
    Gathering,
    /// Until there is anything at all.
    Idle,
}

impl State {
    pub(super) fn fail(&mut self, error: &io::Error) {
        self.failure = Some(Failure::from(error));
        self.pending = Batch::default();
    }

    pub(super) fn is_safe(&self, level: Level, batch: u64) -> bool {
        match level {
            Level::Written => self.written_batches >= batch,
            Level::Committed => self.committed >= batch,
        }
    }

    /// Those whose wait is over.
    pub(super) fn take_marks(&mut self) -> impl Iterator<Item = Waker> + use<> {
        let all = std::mem::take(&mut self.marks);
        let (over, left) = all.into_iter().partition(|(level, batch, _)| self.is_safe(*level, *batch));
        self.marks = left;
        let over: Vec<_> = over;
        over.into_iter().map(|(.., waker)| waker)
    }

    pub(super) fn wait(&mut self, cx: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => self.waker = Some(cx.waker().clone()),
        }
    }
}

impl Shared {
    // Nothing is left half done under this lock, so a panic elsewhere does not spoil it.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn close(&self, mut state: MutexGuard<'_, State>) {
        state.closing = true;
        state.sleep = Sleep::Awake;
        drop(state);
        self.work.notify_one();
    }

    pub(super) fn bound(&self) -> usize {
        ROOM_CHUNKS * self.pace.chunk
    }

    pub(super) fn has_room(&self, state: &State) -> bool {
        state.pending.rows.len() < self.bound() && state.pending.entries.len() < ROOM_ENTRIES
    }

    pub(super) fn run(&self, target: &mut dyn BatchWriter) {
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
pub(super) struct Ending(pub(super) Arc<Shared>);

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
pub(super) struct Failure {
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
    pub(super) fn to_error(&self) -> io::Error {
        match self.code {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(self.kind, self.text.clone()),
        }
    }
}
