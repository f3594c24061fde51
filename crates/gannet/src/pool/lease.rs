//! What a request holds of the pool: a slot, the connection in it once there is one, or room on a shared connection.

use std::sync::Arc;

use tokio::time::Instant;

use super::queue::OriginId;
use super::shared::Key;
use super::{Conn, Cut, Place, Pool, Waiting, Why};
use crate::http2::Muxed;
use crate::timings::Opened;

/// A slot of the pool, and the connection in it once there is one; or room for one request on a shared connection.
/// Dropping it closes the connection and frees the slot, or makes the room free for others;
/// [`Lease::put_back`] keeps the connection for others.
pub(crate) struct Lease {
    pub(super) pool: Option<Arc<Pool>>,
    pub(super) origin: OriginId,
    pub(super) held: Held,
    /// Why the connection is closed, should it be closed with this lease.
    pub(super) why: Why,
}

pub(super) enum Held {
    /// The right to open a connection. Who leads, others may wait for. The place in line that it was given for.
    Slot {
        leads: bool,
        place: u64,
    },
    Conn(Conn),
    Stream {
        key: Key,
        muxed: Arc<Muxed>,
    },
    Nothing,
}

impl Lease {
    /// The connection that is all ours.
    pub(crate) fn conn(&mut self) -> Option<&mut Conn> {
        match &mut self.held {
            Held::Conn(conn) => Some(conn),
            _ => None,
        }
    }

    /// The connection that is shared with others.
    pub(crate) fn muxed(&self) -> Option<&Arc<Muxed>> {
        match &self.held {
            Held::Stream { muxed, .. } => Some(muxed),
            _ => None,
        }
    }

    /// Counts a request on the connection: how many it has carried before, and how it came to be.
    pub(crate) fn count_request(&mut self) -> Option<(u32, &Arc<Opened>)> {
        match &mut self.held {
            Held::Conn(conn) => {
                conn.served += 1;
                Some((conn.served - 1, &conn.opened))
            }
            Held::Stream { muxed, .. } => Some((muxed.count_request(), muxed.opened())),
            Held::Slot { .. } | Held::Nothing => None,
        }
    }

    pub(crate) fn fill(&mut self, conn: Conn) {
        if let Some(pool) = &self.pool {
            pool.counters.on_opened();
            pool.closing.watch(&conn.cut);
        }
        if let Held::Slot { leads: true, .. } = self.held
            && let Some(pool) = &self.pool
        {
            pool.opened(self.origin, None, true);
        }
        self.held = Held::Conn(conn);
    }

    /// The connection turned out to be a shared one: others may use it from now on, and this request does.
    pub(crate) fn share(&mut self, muxed: Arc<Muxed>) {
        let Some(pool) = &self.pool else { return };
        pool.counters.on_opened();
        let led = matches!(self.held, Held::Slot { leads: true, .. });
        if let Some(key) = pool.opened(self.origin, Some(&muxed), led) {
            muxed.drive(Arc::downgrade(pool), Place { origin: self.origin, key });
            self.held = Held::Stream { key, muxed };
        }
    }

    /// The slot got no connection, by the server's fault; those who wait for it learn of it. Where requests share
    /// another connection, a place in the line for room on it: the one that the slot was given for.
    pub(crate) fn connect_failed(mut self) -> Option<Waiting> {
        let pool = self.pool.clone()?;
        pool.counters.on_open_failed();
        let Held::Slot { leads: true, place } = self.held else { return None };
        self.pool = None;
        pool.unopened_by_fault(self.origin, place)
    }

    /// Gives up an idle connection that turned out unfit, and keeps the slot to open another.
    pub(crate) fn discard(&mut self) {
        if let Some(pool) = &self.pool {
            pool.counters.on_unused();
            pool.counters.on_closed(Why::Stale, 1);
        }
        self.held = Held::Slot { leads: false, place: 0 };
    }

    /// The shared connection turned out unfit for further requests, for this reason; ours may go on.
    pub(crate) fn retire(&self, why: Why) {
        if let (Some(pool), Held::Stream { key, muxed }) = (&self.pool, &self.held) {
            muxed.ends_because(why);
            pool.retire(self.origin, *key);
        }
    }

    /// The shared connection broke without a word, and so may the idle ones beside it have: what is sent again gets a new
    /// one.
    pub(crate) fn retire_idle(&self) {
        if let (Some(pool), Held::Stream { .. }) = (&self.pool, &self.held) {
            pool.retire_idle(self.origin);
        }
    }

    /// Should the connection be closed with this lease, then for this reason.
    pub(crate) fn because(&mut self, why: Why) {
        self.why = why;
    }

    /// By what one stream of a shared connection is cut off.
    pub(crate) fn watch(&self) -> Arc<Cut> {
        let cut = Arc::default();
        if let Some(pool) = &self.pool {
            pool.closing.watch(&cut);
        }
        cut
    }

    /// The request is over and the connection may carry the next.
    pub(crate) fn put_back(mut self) {
        match self.take() {
            Held::Conn(mut conn) => {
                if let Some(pool) = self.pool.take() {
                    conn.idle_since = Instant::now();
                    pool.put_back(self.origin, conn);
                }
            }
            other => self.held = other,
        }
    }

    pub(super) fn take(&mut self) -> Held {
        std::mem::replace(&mut self.held, Held::Nothing)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let held = self.take();
        let Some(pool) = self.pool.take() else { return };
        match held {
            Held::Stream { key, muxed } => pool.stream_ended(self.origin, key, &muxed),
            Held::Slot { leads: true, .. } => pool.unopened(self.origin),
            other => {
                // Closed first: the next in line may open a socket at once, and must not exceed the cap.
                pool.counters.on_closed(self.why, usize::from(matches!(other, Held::Conn(_))));
                drop(other);
                pool.slot_freed(self.origin);
            }
        }
    }
}
