//! A resolver that the session was given: each lookup is a task, at most so many at once. It ends with its last asker
//! or with the session.

use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;

use super::{Failure, HALF_ANSWER, Progress, Shared, unique};
use crate::resolve::Resolve;

pub(super) struct Custom {
    resolver: Arc<dyn Resolve>,
    permits: Arc<Semaphore>,
}

/// Ends its task when dropped.
pub(super) struct Task(AbortHandle);

impl Custom {
    pub(super) fn new(resolver: Arc<dyn Resolve>, max_lookups: usize) -> Self {
        let permits = Arc::new(Semaphore::new(max_lookups.clamp(1, Semaphore::MAX_PERMITS)));
        Custom { resolver, permits }
    }

    /// Starts a lookup. The task runs until the name has been told of, or is ended by dropping what is returned.
    pub(super) fn start(
        &self,
        shared: &Arc<Shared>,
        name: Arc<str>,
        progress: Arc<watch::Sender<Progress>>,
    ) -> std::io::Result<Task> {
        let runtime = tokio::runtime::Handle::try_current().map_err(std::io::Error::other)?;
        let asking = Asking { shared: Arc::downgrade(shared), name, progress };
        let (resolver, permits) = (self.resolver.clone(), self.permits.clone());
        let task = runtime.spawn(async move {
            tokio::select! {
                biased;
                () = asking.look_up(&*resolver, &permits) => {}
                () = asking.abandoned() => {}
            }
        });
        Ok(Task(task.abort_handle()))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One lookup, from start to end.
struct Asking {
    shared: Weak<Shared>,
    name: Arc<str>,
    progress: Arc<watch::Sender<Progress>>,
}

impl Asking {
    async fn look_up(&self, resolver: &dyn Resolve, permits: &Semaphore) {
        let Ok(_permit) = permits.acquire().await else { return };
        self.progress.send_modify(|progress| progress.started = true);
        let mut answers = resolver.resolve(&self.name);
        let mut failure = None;
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(answer) => self.progress.send_modify(|progress| progress.on_answer(answer)),
                Err(error) => failure = Some(Failure::of(&error)),
            }
        }
        let Some(shared) = self.shared.upgrade() else { return };
        let (found, ttl) = self.so_far(&shared);
        let found = match failure {
            Some(failure) if found.is_empty() => Err(failure),
            _ => Ok(found),
        };
        shared.on_end(&self.name, found, ttl);
    }

    /// What was found, and how long it is kept.
    fn so_far(&self, shared: &Shared) -> (Vec<IpAddr>, Duration) {
        let progress = self.progress.borrow();
        let longest = shared.options.ttl;
        (progress.addresses.clone(), progress.ttl.map_or(longest, |ttl| ttl.min(longest)))
    }

    /// Returns when nobody waits for it any more. What was found by then is kept for a moment: a connection that was made
    /// before the other IP version was answered would have each of those beside it ask again. No longer, since it may
    /// be the half of the answer that does not work.
    async fn abandoned(&self) {
        loop {
            self.progress.closed().await;
            // Under the lock nobody comes to wait in between.
            let Some(shared) = self.shared.upgrade() else { return };
            let mut state = shared.lock();
            if self.progress.receiver_count() == 0 {
                let (found, ttl) = self.so_far(&shared);
                let flight = match found.is_empty() {
                    true => state.cache.abandon(&self.name),
                    false => {
                        state.cache.land(&self.name, Ok(unique(&found).into()), ttl.min(HALF_ANSWER), Instant::now())
                    }
                };
                drop(state);
                drop(flight);
                return;
            }
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        // A resolver that panicked, a runtime that ended: those who wait must hear of it.
        let Some(shared) = self.shared.upgrade() else { return };
        let is_mine = |flight: &super::Flight| Arc::ptr_eq(&flight.progress, &self.progress);
        if shared.lock().cache.flight(&self.name).is_some_and(is_mine) {
            let failure = Failure { message: "the lookup ended without an answer".into(), exhausted: None };
            shared.on_end(&self.name, Err(failure), Duration::ZERO);
        }
    }
}
