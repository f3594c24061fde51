//! Closes connections that have been idle for too long: one task for a whole pool, alive only while something is idle.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::{Pool, State, Why, close_all};
use crate::alarm::later;

impl Pool {
    pub(super) fn ensure_reaper(self: &Arc<Self>, state: &mut State) {
        if state.reaper.is_none() {
            state.reaper = self.spawn_reaper();
        }
    }

    /// One task for the whole pool, alive only while something is idle; it holds the pool weakly.
    fn spawn_reaper(self: &Arc<Self>) -> Option<AbortHandle> {
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        let (pool, idle_for) = (Arc::downgrade(self), self.idle_for);
        Some(runtime.spawn(reap(pool, idle_for)).abort_handle())
    }
}

async fn reap(pool: Weak<Pool>, idle_for: Duration) {
    let mut until = later(Instant::now(), idle_for);
    loop {
        tokio::time::sleep_until(until).await;
        let Some(pool) = pool.upgrade() else { return };
        let Some(expires) = Instant::now().checked_sub(idle_for) else { return };
        let mut state = pool.lock();
        let (expired, next) = state.queues.expire(expires, |conn| conn.idle_since);
        match next {
            Some(since) => until = later(since, idle_for),
            None => state.reaper = None,
        }
        drop(state);
        pool.counters.on_closed(Why::Expired, expired.len());
        close_all(expired);
        if next.is_none() {
            return;
        }
    }
}
