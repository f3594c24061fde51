//! The pool: decides who gets which connection. It caps open sockets (idle ones included) in all and per origin,
//! serves waiters first come, first served, and never loses a slot: whoever holds one holds a [`Lease`], and a
//! lease that is dropped, at whatever moment, gives its slot to the next in line.
//!
//! An origin here is scheme, host and port. The pool opens nothing itself: a lease without a connection is the
//! right to open one. A lease on a connection of HTTP/2 is room for one request on it; others share it.

mod closing;
mod counters;
mod lease;
mod queue;
mod reaper;
mod shared;
mod stats;
#[cfg(test)]
mod tests;
mod waiting;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::alarm::Alarm;
use crate::connect::Stream;
use crate::http2::Muxed;
use crate::timings::Opened;
pub(crate) use closing::{Between, Closing, Cut};
pub(crate) use counters::{Counters, Why};
pub use counters::{PoolClosed, PoolCounters};
use lease::Held;
pub(crate) use lease::Lease;
use queue::{Closed, Grant, OriginId, Queues};
use shared::Key;
pub use stats::{HostStats, PoolStats};
pub(crate) use waiting::Waiting;

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
    queues: Queues<Conn, oneshot::Sender<Lease>, Arc<Muxed>>,
    reaper: Option<AbortHandle>,
    /// Lets connections be tried again that could not be opened.
    lifting: Option<AbortHandle>,
    closed: bool,
}

/// What a checkout gives.
pub(crate) enum Checkout {
    /// A slot, with an idle connection if there was one; or room on a shared connection.
    Now(Lease),
    /// A place in the line.
    Wait(Waiting),
    Closed,
}

impl Pool {
    pub(crate) fn new(max: usize, max_per_origin: Option<usize>, idle_for: Duration) -> Arc<Self> {
        let queues = Queues::new(max.max(1), max_per_origin.unwrap_or(usize::MAX).max(1));
        let state = Mutex::new(State { queues, reaper: None, lifting: None, closed: false });
        let (counters, closing) = (Arc::default(), Closing::default());
        Arc::new(Pool { state, idle_for, counters, closing })
    }

    /// A connection, room on a shared one, the right to open one, or a place in the line. `shares`: whether
    /// connections of this origin may be shared, the same each time.
    pub(crate) fn checkout(self: &Arc<Self>, origin: &str, shares: bool) -> Checkout {
        let now = Instant::now();
        let mut stale = Vec::new();
        let mut state = self.lock();
        if state.closed && !self.closing.is_held() {
            return Checkout::Closed;
        }
        let mut id = state.queues.intern(origin, shares);
        while let Some(mut conn) = state.queues.take_idle(id) {
            let is_young = now.saturating_duration_since(conn.idle_since) < self.idle_for;
            if is_young && conn.stream.is_quiet() {
                drop(state);
                self.counters.on_reused();
                return Checkout::Now(self.lease(id, Held::Conn(conn)));
            }
            self.counters.on_closed(if is_young { Why::Stale } else { Why::Expired }, 1);
            // Found dead before use: its slot is free again for whoever is next, which may be us.
            stale.push(conn);
            state.queues.on_closed(id);
            id = state.queues.intern(origin, shares);
        }
        if let Some((key, muxed)) = if shares { state.queues.take_stream(id) } else { None } {
            drop(state);
            drop(stale);
            self.counters.on_reused();
            return Checkout::Now(self.lease(id, Held::Stream { key, muxed }));
        }
        if let Some(evicted) = state.queues.open(id) {
            let place = state.queues.take_place();
            drop(state);
            drop(stale);
            self.counters.on_closed(Why::Evicted, evicted.iter().len());
            close_all(evicted);
            return Checkout::Now(self.lease(id, Held::Slot { leads: shares, place }));
        }
        let (sender, receiver) = oneshot::channel();
        let ticket = state.queues.wait(id, sender);
        drop(state);
        drop(stale);
        Checkout::Wait(Waiting { receiver: Some(receiver), pool: self.clone(), ticket })
    }

    fn lease(self: &Arc<Self>, origin: OriginId, held: Held) -> Lease {
        Lease { pool: Some(self.clone()), origin, held, why: Why::Dropped }
    }

    pub(crate) fn stats(&self) -> PoolStats {
        self.lock().queues.stats()
    }

    pub(crate) fn hosts(&self) -> Vec<HostStats> {
        self.lock().queues.hosts()
    }

    /// Closes idle connections to make descriptors free; how many.
    pub(crate) fn evict_idle(&self) -> usize {
        let idle = self.lock().queues.take_all_idle();
        let count = idle.len();
        self.counters.on_closed(Why::Evicted, count);
        close_all(idle);
        count
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
        self.ensure_reaper(&mut state);
        self.serve(state);
        self.counters.on_closed(Why::Evicted, refused.iter().len());
        drop(refused);
    }

    /// The connection in a slot turned out to be a shared one, or one for a single request at a time.
    fn opened(self: &Arc<Self>, origin: OriginId, muxed: Option<&Arc<Muxed>>, led: bool) -> Option<Key> {
        let mut state = self.lock();
        let key = match muxed {
            None => {
                state.queues.on_single(origin);
                None
            }
            Some(muxed) => {
                let key = state.queues.on_shared(origin, muxed.clone(), muxed.limit(), led);
                if state.closed {
                    // Nobody else comes: closed behind this request.
                    state.queues.retire_all();
                }
                Some(key)
            }
        };
        self.serve(state);
        key
    }

    /// A slot was given up before there was a connection in it.
    fn unopened(self: &Arc<Self>, origin: OriginId) {
        let mut state = self.lock();
        state.queues.on_unopened(origin, false);
        self.serve(state);
    }

    /// As [`Pool::unopened`], by the server's fault: a place in the line where there is a connection to wait for.
    fn unopened_by_fault(self: &Arc<Self>, origin: OriginId, place: u64) -> Option<Waiting> {
        let mut state = self.lock();
        let waits = state.queues.on_unopened(origin, true) && (!state.closed || self.closing.is_held());
        let waiting = waits.then(|| {
            let (sender, receiver) = oneshot::channel();
            let ticket = state.queues.wait_at(origin, place, sender);
            Waiting { receiver: Some(receiver), pool: self.clone(), ticket }
        });
        if waits {
            self.ensure_lifting(&mut state);
        }
        self.serve(state);
        waiting
    }

    fn stream_ended(self: &Arc<Self>, origin: OriginId, key: Key) {
        let mut state = self.lock();
        let keep = !state.closed && !self.idle_for.is_zero();
        let over = state.queues.on_stream_end(origin, key, keep, Instant::now());
        if state.queues.stats().idle > 0 {
            self.ensure_reaper(&mut state);
        }
        // Closed before the next in line may open another.
        self.serve_closing(state, over);
    }

    /// What the server says of a shared connection now.
    pub(crate) fn shared_changed(self: &Arc<Self>, place: Place, limit: usize, draining: bool) {
        let mut state = self.lock();
        let gone = state.queues.on_shared_change(place.origin, place.key, limit, draining);
        self.serve_closing(state, gone);
    }

    /// A shared connection ended.
    pub(crate) fn shared_lost(self: &Arc<Self>, place: Place) {
        let mut state = self.lock();
        let gone = state.queues.on_shared_lost(place.origin, place.key);
        self.serve_closing(state, gone);
    }

    fn retire(self: &Arc<Self>, origin: OriginId, key: Key) {
        let mut state = self.lock();
        let gone = state.queues.retire(origin, key);
        self.serve_closing(state, gone);
    }

    fn slot_freed(self: &Arc<Self>, origin: OriginId) {
        let mut state = self.lock();
        state.queues.on_closed(origin);
        self.serve(state);
    }

    /// As [`Pool::serve`], where a shared connection has to be closed before: its socket makes room.
    fn serve_closing(self: &Arc<Self>, state: MutexGuard<'_, State>, gone: Option<Closed<Conn, Arc<Muxed>>>) {
        if let Some(Closed::Shared(muxed)) = &gone {
            muxed.disconnect();
            let why = if state.closed { Why::SessionClosed } else { muxed.why() };
            self.counters.on_closed(why, 1);
        }
        self.serve(state);
        close_all(gone);
    }

    /// Hands out what became free. A waiter that is gone costs a look, and the next one is served.
    fn serve(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let mut unwanted = Vec::new();
        while let Some((origin, grant, sender)) = state.queues.next_grant() {
            for evicted in state.queues.take_evicted() {
                // Under the lock, which is rare: the socket has to be closed before its slot is used.
                if let Closed::Shared(muxed) = &evicted {
                    muxed.disconnect();
                    unwanted.push(evicted);
                }
            }
            let held = match grant {
                // Whoever gets it knows the place.
                Grant::Open => Held::Slot { leads: state.queues.shares(origin), place: 0 },
                Grant::Conn(conn) => Held::Conn(conn),
                Grant::Stream(key, muxed) => Held::Stream { key, muxed },
            };
            if matches!(held, Held::Conn(_) | Held::Stream { .. }) {
                self.counters.on_reused();
            }
            let lease = self.lease(origin, held);
            if let Err(mut refused) = sender.send(lease) {
                // Defused: dropping it under the lock would come back here.
                refused.pool = None;
                if !matches!(refused.held, Held::Slot { .. }) {
                    self.counters.on_unused();
                }
                let grant = match refused.take() {
                    Held::Conn(conn) => Grant::Conn(conn),
                    Held::Stream { key, muxed } => Grant::Stream(key, muxed),
                    Held::Slot { .. } | Held::Nothing => Grant::Open,
                };
                unwanted.extend(state.queues.take_back(origin, grant, Instant::now()));
            }
        }
        drop(state);
        self.counters.on_closed(Why::Evicted, unwanted.len());
        close_all(unwanted);
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

/// Which shared connection is meant.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    origin: OriginId,
    key: Key,
}

fn close_all(closed: impl IntoIterator<Item = Closed<Conn, Arc<Muxed>>>) {
    for closed in closed {
        match closed {
            Closed::Conn(conn) => drop(conn),
            Closed::Shared(muxed) => muxed.close(),
        }
    }
}
