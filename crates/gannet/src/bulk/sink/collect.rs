//! Sinks for Rust callers: [`CollectSink`] keeps every outcome, in the order of the input; [`ChannelSink`] hands them
//! to a stream as they come or in order, and has the run wait while its reader is behind.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use super::{Outcome, Share, Sink};

/// Keeps every outcome at the place of its index. Memory grows with the rows.
#[derive(Debug, Default)]
pub struct CollectSink {
    outcomes: Vec<Option<Outcome>>,
}

impl CollectSink {
    /// Nothing collected.
    pub fn new() -> Self {
        CollectSink::default()
    }

    /// Nothing collected, with room for so many rows.
    pub fn with_capacity(rows: usize) -> Self {
        CollectSink { outcomes: Vec::with_capacity(rows) }
    }

    /// The outcomes by index; `None` for rows that did not finish before the run was stopped.
    pub fn into_slots(self) -> Vec<Option<Outcome>> {
        self.outcomes
    }

    /// The outcomes in the order of the input; what did not finish is left out.
    pub fn into_outcomes(self) -> Vec<Outcome> {
        self.outcomes.into_iter().flatten().collect()
    }
}

impl Sink for CollectSink {
    fn push(&mut self, outcome: Outcome) -> io::Result<()> {
        let at = usize::try_from(outcome.index).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        if at >= self.outcomes.len() {
            self.outcomes.resize_with(at + 1, || None);
        }
        self.outcomes[at] = Some(outcome);
        Ok(())
    }
}

/// Hands outcomes to an [`OutcomeReceiver`]. Dropping it, or finishing, ends the stream once it is read to its end.
#[derive(Debug)]
pub struct ChannelSink {
    channel: Arc<Channel>,
    /// Of the outcome that is pushed next.
    share: Option<Share>,
}

impl ChannelSink {
    /// A sink and the stream of what is pushed into it. There is no room for new rows while `bound` (at least one)
    /// outcomes wait to be read. With `ordered` they come in the order of the input, from index 0; those that
    /// wait for their turn count too.
    pub fn new(bound: usize, ordered: bool) -> (ChannelSink, OutcomeReceiver) {
        let state = State { waiting: ordered.then(BTreeMap::new), ..State::default() };
        let channel = Arc::new(Channel { bound: bound.max(1), state: Mutex::new(state) });
        (ChannelSink { channel: Arc::clone(&channel), share: None }, OutcomeReceiver { channel })
    }
}

impl Sink for ChannelSink {
    fn hold(&mut self, memory: Share) {
        self.share = Some(memory);
    }

    /// Fails with [`io::ErrorKind::BrokenPipe`] once the receiver is dropped.
    fn push(&mut self, outcome: Outcome) -> io::Result<()> {
        let share = self.share.take();
        let mut state = self.channel.lock();
        if state.is_unread {
            return Err(broken_pipe());
        }
        let (index, next, mut queued) = (outcome.index, state.next, Queued { outcome, share });
        match &mut state.waiting {
            Some(waiting) => {
                if let Some(share) = queued.share.as_mut().filter(|_| index != next) {
                    // The row whose turn it is must get done, or nothing here is ever taken.
                    share.give_way();
                }
                waiting.insert(index, queued);
                state.release();
            }
            None => state.ready.push_back(queued),
        }
        let reader = if state.ready.is_empty() { None } else { state.reader.take() };
        drop(state);
        wake(reader);
        Ok(())
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.channel.lock();
        if state.is_unread {
            return Poll::Ready(Err(broken_pipe()));
        }
        let has_room = state.len() < self.channel.bound;
        if has_room && state.waiting.is_none() {
            return Poll::Ready(Ok(()));
        }
        // In order, that the reader has taken all it can is news too: see `awaits_turns`.
        state.writer = Some(cx.waker().clone());
        if has_room { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// In order: each parked row may become an outcome that waits for its turn here.
    fn max_parked(&self) -> Option<usize> {
        self.channel.lock().waiting.is_some().then_some(self.channel.bound)
    }

    /// In order, where nothing can be read before an earlier row is done.
    fn awaits_turns(&self) -> bool {
        let state = self.channel.lock();
        state.waiting.as_ref().is_some_and(|waiting| !waiting.is_empty()) && state.ready.is_empty()
    }

    /// Ends the stream, and is ready at once: what was pushed is the receiver's. In order, a run that was stopped
    /// leaves gaps; what waited behind them comes too, in order.
    fn poll_finish(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.channel.close();
        Poll::Ready(Ok(()))
    }
}

impl Drop for ChannelSink {
    fn drop(&mut self) {
        self.channel.close();
    }
}

/// The stream of a [`ChannelSink`]'s outcomes. Dropping it fails the sink, which stops the run.
#[derive(Debug)]
pub struct OutcomeReceiver {
    channel: Arc<Channel>,
}

impl OutcomeReceiver {
    /// The next outcome; `None` when the run is over.
    pub async fn recv(&mut self) -> Option<Outcome> {
        std::future::poll_fn(|cx| self.poll_recv(cx)).await
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Outcome>> {
        let mut state = self.channel.lock();
        if let Some(Queued { outcome, share }) = state.ready.pop_front() {
            // Also when what is left waits for its turn: then rows that were read already may go on.
            let is_news = state.len() < self.channel.bound || state.ready.is_empty();
            let writer = if is_news { state.writer.take() } else { None };
            drop(state);
            wake(writer);
            drop(share);
            return Poll::Ready(Some(outcome));
        }
        if state.is_ended {
            return Poll::Ready(None);
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Stream for OutcomeReceiver {
    type Item = Outcome;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Outcome>> {
        self.poll_recv(cx)
    }
}

impl Drop for OutcomeReceiver {
    fn drop(&mut self) {
        let mut state = self.channel.lock();
        state.is_unread = true;
        let unread = (std::mem::take(&mut state.ready), state.waiting.take());
        let writer = state.writer.take();
        drop(state);
        drop(unread);
        wake(writer);
    }
}

struct Channel {
    bound: usize,
    state: Mutex<State>,
}

/// An outcome that nobody has taken yet, and what it takes of the run's memory until then.
struct Queued {
    outcome: Outcome,
    share: Option<Share>,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Queued>,
    /// In order only: what is finished before its turn.
    waiting: Option<BTreeMap<u64, Queued>>,
    /// The index whose turn it is.
    next: u64,
    is_ended: bool,
    is_unread: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl State {
    fn len(&self) -> usize {
        self.ready.len() + self.waiting.as_ref().map_or(0, BTreeMap::len)
    }

    /// Moves what has its turn.
    fn release(&mut self) {
        let Some(waiting) = &mut self.waiting else {
            return;
        };
        while let Some(first) = waiting.first_entry().filter(|first| *first.key() == self.next) {
            self.ready.push_back(first.remove());
            self.next += 1;
        }
    }
}

impl Channel {
    // Nothing is left half done under this lock, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let mut state = self.lock();
        state.is_ended = true;
        if let Some(waiting) = state.waiting.take() {
            state.ready.extend(waiting.into_values());
        }
        let reader = state.reader.take();
        drop(state);
        wake(reader);
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Channel").field("bound", &self.bound).field("len", &state.len()).finish_non_exhaustive()
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn broken_pipe() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "nobody reads the outcomes any more")
}
