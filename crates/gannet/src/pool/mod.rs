//! The pool: decides who gets which connection. It caps open sockets (idle ones included) in all and per origin,
//! serves waiters first come, first served, and never loses a slot: whoever holds one holds a [`Lease`], and a
//! lease that is dropped, at whatever moment, gives its slot to the next in line.
//!
//! An origin here is scheme, host and port. The pool opens nothing itself: a lease without a connection is the
//! right to open one.

mod closing;
mod counters;
mod queue;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use crate::alarm::{Alarm, later};
use crate::connect::Stream;
use crate::timings::Opened;
pub(crate) use closing::{Closing, Cut, Held};
pub(crate) use counters::{Counters, Why};
pub use counters::{PoolClosed, PoolCounters};
use queue::{OriginId, Queues};

/// How often a pool that is being closed looks whether all is over.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long those who were cut off get to let go of their connections.
const LET_GO: Duration = Duration::from_millis(100);

/// An open connection and what stays with it between requests.
pub(crate) struct Conn {
    pub(crate) stream: Stream,
    pub(crate) alarm: Alarm,
    /// Requests it has carried.
    pub(crate) served: u32,
    /// How it came to be.
    pub(crate) opened: Arc<Opened>,
    pub(crate) cut: Arc<Cut>,
    idle_since: Instant,
}

impl Conn {
    pub(crate) fn new(stream: Stream, opened: Arc<Opened>) -> Self {
        let cut = Arc::default();
        Conn { stream, alarm: Alarm::default(), served: 0, opened, cut, idle_since: Instant::now() }
    }
}

pub(crate) struct Pool {
    /// Held for a few instructions at a time, never across an await, and no connection is closed under it.
    state: Mutex<State>,
    idle_for: Duration,
    /// Kept by the session longer than the pool.
    pub(crate) counters: Arc<Counters>,
    pub(crate) closing: Closing,
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

/// A pool at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PoolStats {
    /// Sockets open or being opened.
    pub open: usize,
    /// Those of them that carry no request.
    pub idle: usize,
    /// Requests that wait for a connection.
    pub waiting: usize,
}

impl PoolStats {
    /// Sockets that carry a request, or are being opened for one.
    pub fn in_use(&self) -> usize {
        self.open - self.idle
    }
}

/// What a pool holds of one host at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HostStats {
    /// Scheme, host and port, as in `https://example.com:443`; with the proxy, if there is one on the way, or the
    /// proxy alone where it forwards requests to any host.
    pub host: String,
    /// Sockets open or being opened to it.
    pub open: usize,
    /// Those of them that carry no request.
    pub idle: usize,
    /// Requests that wait for a connection to it.
    pub waiting: usize,
}

impl std::ops::Add for PoolStats {
    type Output = PoolStats;

    fn add(self, other: PoolStats) -> PoolStats {
        PoolStats { open: self.open + other.open, idle: self.idle + other.idle, waiting: self.waiting + other.waiting }
    }
}

impl HostStats {
    pub(crate) fn add(&mut self, other: &HostStats) {
        self.open += other.open;
        self.idle += other.idle;
        self.waiting += other.waiting;
    }
}

impl Pool {
    pub(crate) fn new(max: usize, max_per_origin: Option<usize>, idle_for: Duration) -> Arc<Self> {
        let queues = Queues::new(max.max(1), max_per_origin.unwrap_or(usize::MAX).max(1));
        let state = Mutex::new(State { queues, reaper: None, closed: false });
        let (counters, closing) = (Arc::default(), Closing::default());
        Arc::new(Pool { state, idle_for, counters, closing })
    }

    /// A connection, the right to open one, or a place in the line.
    pub(crate) fn checkout(self: &Arc<Self>, origin: &str) -> Checkout {
        let now = Instant::now();
        let mut stale = Vec::new();
        let mut state = self.lock();
        if state.closed && !self.closing.is_held() {
            return Checkout::Closed;
        }
        let mut id = state.queues.intern(origin);
        while let Some(mut conn) = state.queues.take_idle(id) {
            let is_young = now.saturating_duration_since(conn.idle_since) < self.idle_for;
            if is_young && conn.stream.is_quiet() {
                drop(state);
                self.counters.on_reused();
                return Checkout::Now(Lease::new(self.clone(), id, Some(conn)));
            }
            self.counters.on_closed(if is_young { Why::Stale } else { Why::Expired }, 1);
            // Found dead before use: its slot is free again for whoever is next, which may be us.
            stale.push(conn);
            state.queues.on_closed(id);
            id = state.queues.intern(origin);
        }
        if let Some(evicted) = state.queues.open(id) {
            drop(state);
            self.counters.on_closed(Why::Evicted, evicted.iter().len());
            drop((evicted, stale));
            return Checkout::Now(Lease::new(self.clone(), id, None));
        }
        let (sender, receiver) = oneshot::channel();
        let ticket = state.queues.wait(id, sender);
        drop(state);
        drop(stale);
        Checkout::Wait(Waiting { receiver: Some(receiver), pool: self.clone(), ticket })
    }

    /// Closes every idle connection, turns away every waiter and all who come later.
    pub(crate) fn close(&self) {
        self.closing.close();
        let mut state = self.lock();
        state.closed = true;
        let reaper = state.reaper.take();
        let idle = state.queues.take_all_idle();
        let waiters = state.queues.take_all_waiters();
        drop(state);
        self.counters.on_closed(Why::SessionClosed, idle.len());
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

    pub(crate) fn hosts(&self) -> Vec<HostStats> {
        self.lock().queues.hosts()
    }

    pub(crate) fn on_open_failed(&self) {
        self.counters.on_open_failed();
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

    /// Closes idle connections to make descriptors free; how many.
    pub(crate) fn evict_idle(&self) -> usize {
        let idle = self.lock().queues.take_all_idle();
        self.counters.on_closed(Why::Evicted, idle.len());
        idle.len()
    }

    fn put_back(self: &Arc<Self>, origin: OriginId, conn: Conn) {
        let mut state = self.lock();
        if state.closed || self.idle_for.is_zero() || state.queues.wants_room(origin) {
            let why = match state.closed {
                true => Why::SessionClosed,
                false if self.idle_for.is_zero() => Why::Expired,
                false => Why::Evicted,
            };
            drop(state);
            self.counters.on_closed(why, 1);
            // Closed first, as where a lease is dropped.
            drop(conn);
            return self.slot_freed(origin);
        }
        let refused = state.queues.on_returned(origin, conn);
        if state.reaper.is_none() {
            state.reaper = self.spawn_reaper();
        }
        self.serve(state);
        self.counters.on_closed(Why::Evicted, refused.iter().len());
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
            if conn.is_some() {
                self.counters.on_reused();
            }
            let lease = Lease::new(self.clone(), origin, conn);
            if let Err(mut refused) = sender.send(lease) {
                // Defused: dropping it under the lock would come back here.
                refused.pool = None;
                if refused.conn.is_some() {
                    self.counters.on_unused();
                }
                unwanted.extend(state.queues.take_back(origin, refused.conn.take()));
            }
        }
        drop(state);
        self.counters.on_closed(Why::Evicted, unwanted.len());
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
        pool.counters.on_closed(Why::Expired, expired.len());
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
    /// Why the connection is closed, if it is.
    why: Why,
}

impl Lease {
    fn new(pool: Arc<Pool>, origin: OriginId, conn: Option<Conn>) -> Self {
        Lease { pool: Some(pool), origin, conn, why: Why::Dropped }
    }

    pub(crate) fn conn(&mut self) -> Option<&mut Conn> {
        self.conn.as_mut()
    }

    pub(crate) fn fill(&mut self, conn: Conn) {
        if let Some(pool) = &self.pool {
            pool.counters.on_opened();
            pool.closing.watch(&conn.cut);
        }
        self.conn = Some(conn);
    }

    /// Gives up an idle connection that turned out unfit, and keeps the slot to open another.
    pub(crate) fn discard(&mut self) {
        if let (Some(_), Some(pool)) = (self.conn.take(), &self.pool) {
            pool.counters.on_unused();
            pool.counters.on_closed(Why::Stale, 1);
        }
    }

    /// Should the connection be closed with this lease, then for this reason.
    pub(crate) fn because(&mut self, why: Why) {
        self.why = why;
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
        let closed = self.conn.take().is_some();
        if let Some(pool) = self.pool.take() {
            pool.counters.on_closed(self.why, usize::from(closed));
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
