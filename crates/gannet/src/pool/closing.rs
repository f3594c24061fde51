//! The end of a pool in three steps: closed (nothing new is let in), drained (what is under way has ended), cut off
//! (what has not ended by then fails). No task stands behind a connection, so each one has a [`Cut`] that wakes
//! whoever waits for its bytes.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::Context;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::{Pool, Why, close_all};
use crate::alarm::later;

/// How often a pool that is being closed looks whether all is over.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long those who were cut off get to let go of their connections.
const LET_GO: Duration = Duration::from_millis(100);

/// By what an exchange on one connection learns that it is cut off.
#[derive(Default)]
pub(crate) struct Cut {
    cut: AtomicBool,
    waker: AtomicWaker,
}

impl Cut {
    /// Whether it is cut off; until then the task is woken when it is.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> bool {
        self.waker.register(cx.waker());
        self.is_cut()
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// Nobody waits any more: the task that did is let go of.
    pub(crate) fn forget(&self) {
        drop(self.waker.take());
    }

    fn now(&self) {
        self.cut.store(true, Ordering::Release);
        self.waker.wake();
    }
}

/// A request between two connections: while there is one the pool is not drained.
pub(crate) struct Between<'a>(&'a Closing);

impl Drop for Between<'_> {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::AcqRel);
    }
}

#[derive(Default)]
pub(crate) struct Closing {
    closed: AtomicBool,
    /// Requests that are between two connections.
    held: AtomicUsize,
    cut: AtomicBool,
    /// Woken once, when everything is cut off.
    cutting: Notify,
    cuts: Mutex<Vec<Weak<Cut>>>,
}

impl Closing {
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether a request that began before it was closed still needs a connection.
    pub(crate) fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire) > 0 && !self.is_cut()
    }

    /// A request under way gives one connection back and will ask for another.
    pub(crate) fn hold(&self) -> Between<'_> {
        self.held.fetch_add(1, Ordering::AcqRel);
        Between(self)
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// Takes up a connection among those to be cut off.
    pub(crate) fn watch(&self, cut: &Arc<Cut>) {
        let mut cuts = self.cuts.lock().expect("invariant: nothing panics under the list's lock");
        if cuts.len() == cuts.capacity() {
            // Before it would grow: so the list is as long as twice what was ever open at once.
            cuts.retain(|known| known.strong_count() > 0);
        }
        cuts.push(Arc::downgrade(cut));
        drop(cuts);
        if self.is_cut() {
            cut.now();
        }
    }

    /// Everything that waits for bytes, or for a connection to be opened, fails with kind `closed`.
    pub(crate) fn cut_all(&self) {
        self.cut.store(true, Ordering::Release);
        let cuts = std::mem::take(&mut *self.cuts.lock().expect("invariant: nothing panics under the list's lock"));
        for cut in cuts.iter().filter_map(Weak::upgrade) {
            cut.now();
        }
        self.cutting.notify_waiters();
    }

    /// Returns when everything is cut off.
    pub(crate) async fn cut_off(&self) {
        let cutting = self.cutting.notified();
        tokio::pin!(cutting);
        // Before the look, so that none is missed.
        cutting.as_mut().enable();
        if !self.is_cut() {
            cutting.await;
        }
    }
}

impl Pool {
    /// Closes every idle connection, turns away every waiter and all who come later.
    pub(crate) fn close(&self) {
        self.closing.close();
        let mut state = self.lock();
        state.closed = true;
        let tasks = [state.reaper.take(), state.lifting.take()];
        let idle = state.queues.take_all_idle();
        let waiters = state.queues.take_all_waiters();
        state.queues.retire_all();
        drop(state);
        self.counters.on_closed(Why::SessionClosed, idle.len());
        close_all(idle);
        drop(waiters);
        for task in tasks.into_iter().flatten() {
            task.abort();
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Closes it and waits so long for what is under way; what has not ended then is cut off. How many those were.
    pub(crate) async fn close_within(&self, limit: Duration) -> usize {
        self.close();
        if timeout_at(later(Instant::now(), limit), self.drained()).await.is_ok() {
            return 0;
        }
        let cut = self.lock().queues.stats().open;
        self.closing.cut_all();
        // A response that nobody reads keeps its connection until it is dropped.
        let _ = timeout_at(Instant::now() + LET_GO, self.drained()).await;
        cut
    }

    /// Looks now and then: being told would cost something at the end of every request.
    async fn drained(&self) {
        while self.closing.is_held() || self.lock().queues.stats().open > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
