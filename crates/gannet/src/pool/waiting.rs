//! A place in the pool's line, as the one who waits holds it. Left when it is dropped; a lease that is granted in that very
//! moment goes to the next in line.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::lease::Held;
use super::{Lease, Pool, queue};

/// A place in the line. Dropping it leaves the line; a slot granted in that very moment goes to the next.
pub(crate) struct Waiting {
    pub(super) receiver: Option<oneshot::Receiver<Lease>>,
    pub(super) pool: Arc<Pool>,
    pub(super) ticket: queue::Ticket,
}

impl Waiting {
    /// The lease, when it is our turn; `None` if the pool was closed.
    pub(crate) async fn turn(mut self) -> Option<Lease> {
        let receiver = self.receiver.as_mut()?;
        let mut lease = receiver.await.ok();
        self.receiver = None;
        if let Some(Lease { held: Held::Slot { place, .. }, .. }) = &mut lease {
            *place = self.ticket.seq;
        }
        lease
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.receiver.is_some() {
            let mut state = self.pool.lock();
            let sender = state.queues.leave(self.ticket);
            self.pool.serve(state);
            drop(sender);
            // Dropped after the lock is free: a lease that was granted already gives its slot on.
            self.receiver = None;
        }
    }
}
