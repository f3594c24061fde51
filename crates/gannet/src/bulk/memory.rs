//! The memory that bodies share from when they begin to come until whoever is behind the sink has taken them. Beyond the
//! limit no new row starts and bodies wait to grow; one of them always may, so that what is under way gets done and
//! gives its share back.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;

use tokio::sync::Notify;

pub(super) struct Memory {
    limit: u64,
    state: Mutex<State>,
    freed: Notify,
    /// Who starts rows: woken when something is freed after it was told that there is no room.
    starter: Waker,
}

#[derive(Default)]
struct State {
    used: u64,
    /// The body that may grow beyond the limit.
    privileged: Option<u64>,
    next_id: u64,
    /// Somebody was told that there is no room.
    is_awaited: bool,
}

/// One body's share of [`BulkOptions::memory`](super::BulkOptions::memory). It counts until this is dropped; a sink gets
/// it by [`Sink::hold`](super::Sink::hold).
pub struct Share {
    memory: Arc<Memory>,
    id: u64,
    held: u64,
}

impl Memory {
    pub(super) fn new(limit: u64, starter: Waker) -> Arc<Self> {
        // With nothing at all no row would ever start.
        let limit = limit.max(1);
        Arc::new(Memory { limit, state: Mutex::default(), freed: Notify::new(), starter })
    }

    pub(super) fn share(self: &Arc<Self>) -> Share {
        let mut state = self.lock();
        state.next_id += 1;
        Share { memory: self.clone(), id: state.next_id, held: 0 }
    }

    /// Whether no new row may start; who asks for rows is then woken when that may have changed.
    pub(super) fn is_full(&self) -> bool {
        let mut state = self.lock();
        let is_full = state.used >= self.limit;
        state.is_awaited |= is_full;
        is_full
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("invariant: nothing panics under the memory's lock")
    }

    /// Tells everybody who waits, once the lock is given back.
    fn on_freed(&self, mut state: MutexGuard<'_, State>) {
        let is_awaited = std::mem::take(&mut state.is_awaited);
        drop(state);
        self.freed.notify_waiters();
        if is_awaited {
            self.starter.wake_by_ref();
        }
    }
}

impl Share {
    /// Counts a body that is here already, whatever the limit says: at most a read buffer's worth.
    pub(super) fn count(&mut self, bytes: u64) {
        self.memory.lock().used += bytes;
        self.held += bytes;
    }

    /// What the body became takes so much, whatever the limit says.
    pub(super) fn resize(&mut self, bytes: u64) {
        let mut state = self.memory.lock();
        state.used = state.used - self.held + bytes;
        self.held = bytes;
        if state.privileged == Some(self.id) && state.used <= self.memory.limit {
            state.privileged = None;
        }
        self.memory.on_freed(state);
    }

    /// The body is whole but has to wait for others before it is taken: one of those may grow in its place.
    pub(super) fn give_way(&mut self) {
        let mut state = self.memory.lock();
        if state.privileged == Some(self.id) {
            state.privileged = None;
            self.memory.on_freed(state);
        }
    }

    /// Grows the share to `bytes`; whether that had to wait for others.
    pub(super) async fn grow_to(&mut self, bytes: u64) -> bool {
        let memory = self.memory.clone();
        let mut waited = false;
        loop {
            let freed = memory.freed.notified();
            tokio::pin!(freed);
            // Registered before looking, so that what is freed in between is not missed.
            freed.as_mut().enable();
            if self.try_grow_to(bytes) {
                return waited;
            }
            waited = true;
            freed.await;
        }
    }

    fn try_grow_to(&mut self, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.held);
        let mut state = self.memory.lock();
        let fits = state.used + more <= self.memory.limit;
        if !fits && *state.privileged.get_or_insert(self.id) != self.id {
            return false;
        }
        state.used += more;
        self.held += more;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.memory.lock();
        state.used -= self.held;
        if state.privileged == Some(self.id) {
            state.privileged = None;
        }
        self.memory.on_freed(state);
    }
}

/// By its size.
impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").field("held", &self.held).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn beyond_the_limit_one_grows_and_the_others_wait_for_it() {
        let memory = Memory::new(100, Waker::noop().clone());
        let (mut first, mut second) = (memory.share(), memory.share());
        assert!(!first.grow_to(60).await);
        assert!(!second.grow_to(40).await);
        assert!(memory.is_full());
        assert!(first.grow_to(500).now_or_never().is_some(), "the privileged one");
        assert!(second.grow_to(41).now_or_never().is_none());
        drop(first);
        assert!(!memory.is_full());
        assert!(second.grow_to(41).now_or_never().is_some());
        drop(second);
        assert_eq!(memory.lock().used, 0);
    }

    #[test]
    fn without_any_memory_one_body_at_a_time_has_what_it_takes() {
        let memory = Memory::new(0, Waker::noop().clone());
        assert!(!memory.is_full());
        let (mut first, mut second) = (memory.share(), memory.share());
        assert!(first.grow_to(7).now_or_never().is_some());
        assert!(second.grow_to(7).now_or_never().is_none());
        assert!(memory.is_full());
    }

    #[tokio::test]
    async fn a_waiter_wakes_when_memory_is_given_back() {
        let memory = Memory::new(10, Waker::noop().clone());
        let (mut first, mut second) = (memory.share(), memory.share());
        first.grow_to(11).await;
        let waiting = tokio::spawn(async move { second.grow_to(10).await });
        tokio::task::yield_now().await;
        drop(first);
        assert!(waiting.await.unwrap());
    }

    #[test]
    fn who_gives_way_lets_another_grow_and_goes_on_counting() {
        let memory = Memory::new(10, Waker::noop().clone());
        let (mut first, mut second) = (memory.share(), memory.share());
        assert!(first.grow_to(11).now_or_never().is_some());
        first.give_way();
        assert!(memory.is_full());
        assert!(second.grow_to(1).now_or_never().is_some());
        assert!(first.grow_to(12).now_or_never().is_none());
        drop(second);
        first.resize(9);
        assert!(!memory.is_full());
    }
}
