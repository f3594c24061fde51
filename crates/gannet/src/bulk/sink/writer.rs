//! The thread that writes the rows, so that a slow disk or pipe never blocks the runtime. Rows gather in a buffer
//! that the thread swaps for an empty one when it is large enough or 50 ms old; the first row after a pause goes out
//! at once. Under load that is a wake-up per 128 KiB or 50 ms, and none per row. Above a bound there is no room: whoever
//! pushes must wait. Only whole rows are in the output, also after an error, which every later call then returns.

#[cfg(test)]
mod tests;

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

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
        let shared = Arc::new(Shared::default());
        let Some(target) = output.into_target() else {
            shared.lock().ended = true;
            return Ok(RowWriter { shared, thread: None });
        };
        let ours = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("gannet-output".into()).spawn(move || {
            let ending = Ending(ours);
            ending.0.run(target);
        })?;
        Ok(RowWriter { shared, thread: Some(thread) })
    }

    /// Has `render` append whole rows to the buffer. Takes them also when there is no room.
    ///
    /// # Errors
    /// The output failed, now or before.
    pub fn push(&self, render: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        if self.thread.is_none() {
            return Ok(());
        }
        // The lock is held while rendering: the thread needs it only for moments, to swap buffers.
        let mut state = self.shared.lock();
        if let Some(failure) = &state.failure {
            return Err(failure.to_error());
        }
        render(&mut state.pending);
        let is_due = match state.sleep {
            Sleep::Awake => false,
            Sleep::Gathering => state.pending.len() >= CHUNK,
            Sleep::Idle => !state.pending.is_empty(),
        };
        if is_due {
            state.sleep = Sleep::Awake;
            drop(state);
            self.shared.work.notify_one();
        }
        Ok(())
    }

    /// Whether less than half a mebibyte waits to be written.
    pub fn has_room(&self) -> bool {
        self.shared.lock().pending.len() < ROOM
    }

    /// Ready when there is room; pending wakes the task then. One task at a time.
    ///
    /// # Errors
    /// The output failed.
    pub fn poll_room(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.shared.lock();
        if let Some(failure) = &state.failure {
            return Poll::Ready(Err(failure.to_error()));
        }
        if state.pending.len() < ROOM {
            return Poll::Ready(Ok(()));
        }
        state.wait(cx);
        Poll::Pending
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

/// The thread wakes early for this much.
const CHUNK: usize = 128 << 10;
/// From this on there is no room.
const ROOM: usize = 4 * CHUNK;
/// A buffer that one large row blew up to more than this is not kept.
const KEPT: usize = 4 * ROOM;
/// How long rows gather before they are written.
const GATHER: Duration = Duration::from_millis(50);
const DROP_WAIT: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// For the thread: there is something to do.
    work: Condvar,
    /// From the thread: it has ended.
    end: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Whole rows that wait to be written.
    pending: Vec<u8>,
    sleep: Sleep,
    /// Nothing more will be pushed.
    closing: bool,
    ended: bool,
    failure: Option<Failure>,
    /// Who waits for room or for the end.
    waker: Option<Waker>,
    written: u64,
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

    fn run(&self, mut target: Target) {
        let mut rows = Vec::new();
        let mut last_write = None;
        while self.next_rows(&mut rows, last_write) {
            let (whole, result) = target.write_rows(&rows);
            let mut state = self.lock();
            state.written += whole as u64;
            if let Err(error) = result {
                state.failure = Some(Failure::from(&error));
                state.pending = Vec::new();
                return;
            }
            drop(state);
            last_write = Some(Instant::now());
            rows.clear();
            rows.shrink_to(KEPT);
        }
    }

    /// Waits for the next rows to write and swaps them into the empty buffer; false when all is done.
    fn next_rows(&self, rows: &mut Vec<u8>, last_write: Option<Instant>) -> bool {
        let mut state = self.lock();
        loop {
            if state.pending.len() >= CHUNK || state.closing {
                break;
            }
            let rest = last_write.map_or(Duration::ZERO, |at| GATHER.saturating_sub(at.elapsed()));
            if !rest.is_zero() {
                state.sleep = Sleep::Gathering;
                let wait = self.work.wait_timeout(state, rest);
                state = wait.unwrap_or_else(PoisonError::into_inner).0;
            } else if state.pending.is_empty() {
                state.sleep = Sleep::Idle;
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else {
                break;
            }
        }
        state.sleep = Sleep::Awake;
        std::mem::swap(&mut state.pending, rows);
        let waker = if rows.len() >= ROOM { state.waker.take() } else { None };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        !rows.is_empty()
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
        drop(state);
        self.0.end.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
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
