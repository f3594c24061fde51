//! The tasks of a pool: one that closes connections that have been idle for too long, alive only while something is
//! idle, and one that lets connections be tried again that could not be opened a moment ago. Both hold the pool weakly.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::{Pool, State, Why, close_all};
use crate::alarm::later;

impl Pool {
    pub(super) fn ensure_reaper(self: &Arc<Self>, state: &mut State) {
        if is_over(state.reaper.as_ref()) {
            state.reaper = spawn(reap(Arc::downgrade(self), self.idle_for));
        }
    }

    pub(super) fn ensure_lifting(self: &Arc<Self>, state: &mut State) {
        if is_over(state.lifting.as_ref()) {
            state.lifting = spawn(lift_bars(Arc::downgrade(self)));
        }
    }
}

/// None was begun, or its runtime ended before it did.
fn is_over(task: Option<&AbortHandle>) -> bool {
    task.is_none_or(AbortHandle::is_finished)
}

/// Where there is a runtime. The pool aborts it when it is closed.
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
    let runtime = tokio::runtime::Handle::try_current().ok()?;
    Some(runtime.spawn(task).abort_handle())
}

async fn lift_bars(pool: Weak<Pool>) {
    tokio::time::sleep(TRY_AGAIN).await;
    let Some(pool) = pool.upgrade() else { return };
    let mut state = pool.lock();
    state.lifting = None;
    state.queues.lift_bars();
    pool.serve(state);
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

/// How long no further connection is tried where one beside others could not be opened.
const TRY_AGAIN: Duration = Duration::from_secs(1);
