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
use crate::options::Connections;
use crate::session::ConnectionLimits;
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
    pub(crate) born: Instant,
    idle_since: Instant,
}

impl Conn {
    pub(crate) fn new(stream: Stream, opened: Arc<Opened>) -> Self {
        let (cut, born) = (Arc::default(), Instant::now());
        Conn { stream, alarm: Alarm::default(), served: 0, opened, cut, born, idle_since: born }
    }
}

pub(crate) struct Pool {
    /// Held for a few instructions at a time, never across an await, and no connection is closed under it.
    state: Mutex<State>,
    idle_for: Duration,
    /// How old a connection may be when a request begins on it.
    max_age: Option<Duration>,
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
    pub(crate) fn new(limits: ConnectionLimits, options: &Connections) -> Arc<Self> {
        let queues = Queues::new(limits.max.max(1), limits.max_per_host.unwrap_or(usize::MAX).max(1));
        let state = Mutex::new(State { queues, reaper: None, lifting: None, closed: false });
        let (counters, closing) = (Arc::default(), Closing::default());
        Arc::new(Pool { state, idle_for: options.idle, max_age: options.max_age, counters, closing })
    }

    /// The caps that hold now.
    pub(crate) fn limits(&self) -> ConnectionLimits {
        let (max, per_origin) = self.lock().queues.caps();
        ConnectionLimits { max, max_per_host: Some(per_origin).filter(|&most| most < usize::MAX) }
    }

    /// Other caps from now on, for who waits and what is idle at once.
    pub(crate) fn set_limits(self: &Arc<Self>, limits: ConnectionLimits) {
        let mut state = self.lock();
        let per_origin = limits.max_per_host.unwrap_or(usize::MAX).max(1);
        let over = state.queues.set_caps(limits.max.max(1), per_origin);
        self.counters.on_closed(Why::Evicted, over.len());
        // Under the lock, which is rare: before their slots are used.
        close_all(over);
        self.serve(state);
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
            let is_young =
                now.saturating_duration_since(conn.idle_since) < self.idle_for && !self.is_too_old(conn.born, now);
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
        if let Some((key, muxed)) = if shares { self.take_stream(&mut state, id, now) } else { None } {
            drop(state);
            drop(stale);
            self.counters.on_reused();
            return Checkout::Now(self.lease(id, Held::Stream { key, muxed }));
        }
        if self.max_age.is_some() {
            // One that was too old may have been the last that was known of the origin.
            id = state.queues.intern(origin, shares);
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

    /// Room on a shared connection that is not too old; one that is takes no new requests, unless no other may be opened
    /// beside it and it carries some still, which may take long.
    fn take_stream(&self, state: &mut State, id: OriginId, now: Instant) -> Option<(Key, Arc<Muxed>)> {
        loop {
            let (key, muxed) = state.queues.take_stream(id)?;
            if !self.is_too_old(muxed.born(), now) || (muxed.streams() > 0 && !state.queues.may_open_beside(id)) {
                return Some((key, muxed));
            }
            // The stream that was taken is none: the connection is closed behind the last of the others.
            muxed.ends_because(Why::Expired);
            let _ = state.queues.retire(id, key);
            if state.queues.on_stream_end(id, key, false, now).is_some() {
                // Under the lock, which is rare: before its slot is used.
                muxed.close();
                self.counters.on_closed(Why::Expired, 1);
            }
        }
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
        let is_over = self.idle_for.is_zero() || self.is_too_old(conn.born, conn.idle_since);
        if state.closed || is_over || state.queues.wants_room(origin) {
            let why = match state.closed {
                true => Why::SessionClosed,
                false if is_over => Why::Expired,
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

    fn stream_ended(self: &Arc<Self>, origin: OriginId, key: Key, muxed: &Muxed) {
        let now = Instant::now();
        let mut state = self.lock();
        if self.is_too_old(muxed.born(), now) && (muxed.streams() == 0 || state.queues.may_open_beside(origin)) {
            // None of those who wait gets it.
            muxed.ends_because(Why::Expired);
            let _ = state.queues.retire(origin, key);
        }
        let keep = !state.closed && !self.idle_for.is_zero();
        let over = state.queues.on_stream_end(origin, key, keep, now);
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

    /// The idle shared connections of this origin are no better than one that was found dead.
    fn retire_idle(self: &Arc<Self>, origin: OriginId) {
        let mut state = self.lock();
        let gone = state.queues.take_idle_shared(origin);
        self.counters.on_closed(Why::Stale, gone.len());
        // Under the lock, which is rare: before their slots are used.
        close_all(gone);
        self.serve(state);
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
                match evicted {
                    Closed::Shared(muxed) => {
                        muxed.disconnect();
                        unwanted.push(Closed::Shared(muxed));
                    }
                    Closed::Conn(conn) => {
                        self.counters.on_closed(Why::Evicted, 1);
                        drop(conn);
                    }
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

    fn is_too_old(&self, born: Instant, now: Instant) -> bool {
        self.max_age.is_some_and(|most| now.saturating_duration_since(born) >= most)
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
