//! The pool: decides who gets which connection. It caps open sockets (idle ones included) in all and per origin,
//! serves waiters first come, first served, and never loses a slot: whoever holds one holds a [`Lease`], and a
//! lease that is dropped, at whatever moment, gives its slot to the next in line.
//!
//! An origin here is scheme, host and port. The pool opens nothing itself: a lease without a connection is the
//! right to open one.

mod queue;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::alarm::{Alarm, later};
use crate::connect::Stream;
use crate::timings::Opened;
use queue::{OriginId, Queues};

/// An open connection and what stays with it between requests.
pub(crate) struct Conn {
    pub(crate) stream: Stream,
    pub(crate) alarm: Alarm,
    /// Requests it has carried.
    pub(crate) served: u32,
    /// How it came to be.
    pub(crate) opened: Arc<Opened>,
    idle_since: Instant,
}

impl Conn {
    pub(crate) fn new(stream: Stream, opened: Arc<Opened>) -> Self {
        Conn { stream, alarm: Alarm::default(), served: 0, opened, idle_since: Instant::now() }
    }
}

pub(crate) struct Pool {
    /// Held for a few instructions at a time, never across an await, and no connection is closed under it.
    state: Mutex<State>,
    idle_for: Duration,
}

struct State {
    queues: Queues<Conn, oneshot::Sender<Lease>>,
    reaper: Option<AbortHandle>,
    closed: bool,
}

/// What a checkout gives.
pub(crate) enum Checkout {
    /// A slot, with an idle connection if there was one.
    Now(Lease),
    /// A place in the line.
    Wait(Waiting),
    Closed,
}

/// Counters of a pool at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PoolStats {
    /// Sockets open or being opened.
    pub open: usize,
    /// Those of them that carry no request.
    pub idle: usize,
    /// Requests that wait for a connection.
    pub waiting: usize,
}

impl std::ops::Add for PoolStats {
    type Output = PoolStats;

    fn add(self, other: PoolStats) -> PoolStats {
        PoolStats { open: self.open + other.open, idle: self.idle + other.idle, waiting: self.waiting + other.waiting }
    }
}

impl Pool {
    pub(crate) fn new(max: usize, max_per_origin: Option<usize>, idle_for: Duration) -> Arc<Self> {
        let queues = Queues::new(max.max(1), max_per_origin.unwrap_or(usize::MAX).max(1));
        Arc::new(Pool { state: Mutex::new(State { queues, reaper: None, closed: false }), idle_for })
    }

    /// A connection, the right to open one, or a place in the line.
    pub(crate) fn checkout(self: &Arc<Self>, origin: &str) -> Checkout {
        let now = Instant::now();
        let mut stale = Vec::new();
        let mut state = self.lock();
        if state.closed {
            return Checkout::Closed;
        }
        let mut id = state.queues.intern(origin);
        while let Some(mut conn) = state.queues.take_idle(id) {
            if now.saturating_duration_since(conn.idle_since) < self.idle_for && conn.stream.is_quiet() {
                drop(state);
                return Checkout::Now(Lease { pool: Some(self.clone()), origin: id, conn: Some(conn) });
            }
            // Found dead before use: its slot is free again for whoever is next, which may be us.
            stale.push(conn);
            state.queues.on_closed(id);
            id = state.queues.intern(origin);
        }
        if let Some(evicted) = state.queues.open(id) {
            drop(state);
            drop((evicted, stale));
            return Checkout::Now(Lease { pool: Some(self.clone()), origin: id, conn: None });
        }
        let (sender, receiver) = oneshot::channel();
        let ticket = state.queues.wait(id, sender);
        drop(state);
        drop(stale);
        Checkout::Wait(Waiting { receiver: Some(receiver), pool: self.clone(), ticket })
    }

    /// Closes every idle connection, turns away every waiter and all who come later.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let reaper = state.reaper.take();
        let idle = state.queues.take_all_idle();
        let waiters = state.queues.take_all_waiters();
        drop(state);
        drop((idle, waiters));
        if let Some(reaper) = reaper {
            reaper.abort();
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(crate) fn stats(&self) -> PoolStats {
        self.lock().queues.stats()
    }

    /// Closes idle connections to make descriptors free; how many.
    pub(crate) fn evict_idle(&self) -> usize {
        let idle = self.lock().queues.take_all_idle();
        idle.len()
    }

    fn put_back(self: &Arc<Self>, origin: OriginId, conn: Conn) {
        let mut state = self.lock();
        if state.closed || self.idle_for.is_zero() || state.queues.wants_room(origin) {
            drop(state);
            // Closed first, as where a lease is dropped.
            drop(conn);
            return self.slot_freed(origin);
        }
        let refused = state.queues.on_returned(origin, conn);
        if state.reaper.is_none() {
            state.reaper = self.spawn_reaper();
        }
        self.serve(state);
        drop(refused);
    }

    fn slot_freed(self: &Arc<Self>, origin: OriginId) {
        let mut state = self.lock();
        state.queues.on_closed(origin);
        self.serve(state);
    }

    /// Hands out what became free. A waiter that is gone costs a look, and the next one is served.
    fn serve(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let mut unwanted = Vec::new();
        while let Some((origin, conn, sender)) = state.queues.next_grant() {
            let lease = Lease { pool: Some(self.clone()), origin, conn };
            if let Err(mut refused) = sender.send(lease) {
                // Defused: dropping it under the lock would come back here.
                refused.pool = None;
                unwanted.extend(state.queues.take_back(origin, refused.conn.take()));
            }
        }
        drop(state);
        drop(unwanted);
    }

    /// One task for the whole pool, alive only while something is idle; it holds the pool weakly.
    fn spawn_reaper(self: &Arc<Self>) -> Option<AbortHandle> {
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        let (pool, idle_for) = (Arc::downgrade(self), self.idle_for);
        Some(runtime.spawn(reap(pool, idle_for)).abort_handle())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("invariant: nothing panics under the pool's lock")
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}

async fn reap(pool: Weak<Pool>, idle_for: Duration) {
    let mut until = later(Instant::now(), idle_for);
    loop {
        tokio::time::sleep_until(until).await;
        let Some(pool) = pool.upgrade() else { return };
        let now = Instant::now();
        let mut state = pool.lock();
        let (expired, next) =
            state.queues.expire(|conn| later(conn.idle_since, idle_for) <= now, |conn| conn.idle_since);
        match next {
            Some(since) => until = later(since, idle_for),
            None => state.reaper = None,
        }
        drop(state);
        drop(expired);
        if next.is_none() {
            return;
        }
    }
}

/// A slot of the pool, and the connection in it once there is one.
/// Dropping it closes the connection and frees the slot; [`Lease::put_back`] keeps the connection for others.
pub(crate) struct Lease {
    pool: Option<Arc<Pool>>,
    origin: OriginId,
    conn: Option<Conn>,
}

impl Lease {
    pub(crate) fn conn(&mut self) -> Option<&mut Conn> {
        self.conn.as_mut()
    }

    pub(crate) fn fill(&mut self, conn: Conn) {
        self.conn = Some(conn);
    }

    /// Gives up an idle connection that turned out unfit, and keeps the slot to open another.
    pub(crate) fn discard(&mut self) {
        self.conn = None;
    }

    /// The request is over and the connection may carry the next.
    pub(crate) fn put_back(mut self) {
        if let (Some(pool), Some(mut conn)) = (self.pool.take(), self.conn.take()) {
            conn.idle_since = Instant::now();
            pool.put_back(self.origin, conn);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Closed first: the next in line may open a socket at once, and must not exceed the cap.
        self.conn = None;
        if let Some(pool) = self.pool.take() {
            pool.slot_freed(self.origin);
        }
    }
}

/// A place in the line. Dropping it leaves the line; a slot granted in that very moment goes to the next.
pub(crate) struct Waiting {
    receiver: Option<oneshot::Receiver<Lease>>,
    pool: Arc<Pool>,
    ticket: queue::Ticket,
}

impl Waiting {
    /// The lease, when it is our turn; `None` if the pool was closed.
    pub(crate) async fn turn(mut self) -> Option<Lease> {
        let receiver = self.receiver.as_mut()?;
        let lease = receiver.await.ok();
        self.receiver = None;
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
