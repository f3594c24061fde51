//! The memory that bodies share while rows are under way. Beyond the limit no new row starts and bodies wait to
//! grow; one of them always may, so that what is under way gets done and gives its share back.

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

pub(super) struct Memory {
    limit: u64,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Default)]
struct State {
    used: u64,
    /// The body that may grow beyond the limit.
    privileged: Option<u64>,
    next_id: u64,
}

/// One body's share; dropping it gives it back.
pub(super) struct Share {
    memory: Arc<Memory>,
    id: u64,
    held: u64,
}

impl Memory {
    pub(super) fn new(limit: u64) -> Arc<Self> {
        // With nothing at all no row would ever start.
        Arc::new(Memory { limit: limit.max(1), state: Mutex::default(), freed: Notify::new() })
    }

    pub(super) fn share(self: &Arc<Self>) -> Share {
        let mut state = self.lock();
        state.next_id += 1;
        Share { memory: self.clone(), id: state.next_id, held: 0 }
    }

    pub(super) fn is_full(&self) -> bool {
        self.lock().used >= self.limit
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("invariant: nothing panics under the memory's lock")
    }
}

impl Share {
    /// Counts a body that is here already, whatever the limit says: at most a read buffer's worth.
    pub(super) fn count(&mut self, bytes: u64) {
        self.memory.lock().used += bytes;
        self.held += bytes;
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
        drop(state);
        self.memory.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn beyond_the_limit_one_grows_and_the_others_wait_for_it() {
        let memory = Memory::new(100);
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
        let memory = Memory::new(0);
        assert!(!memory.is_full());
        let (mut first, mut second) = (memory.share(), memory.share());
        assert!(first.grow_to(7).now_or_never().is_some());
        assert!(second.grow_to(7).now_or_never().is_none());
        assert!(memory.is_full());
    }

    #[tokio::test]
    async fn a_waiter_wakes_when_memory_is_given_back() {
        let memory = Memory::new(10);
        let (mut first, mut second) = (memory.share(), memory.share());
        first.grow_to(11).await;
        let waiting = tokio::spawn(async move { second.grow_to(10).await });
        tokio::task::yield_now().await;
        drop(first);
        assert!(waiting.await.unwrap());
    }
}
