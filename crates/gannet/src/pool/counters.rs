//! What the pool has done since it was made: connections opened, used again, and closed, each for a reason that is
//! chosen where it is closed. Counted without a lock, so that they can be read at any time.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

/// What a session did with its connections since it was made. Read one after another while requests go on, so the
/// figures need not fit together exactly. Otherwise `opened` = `closed.total()` + those that are open now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct PoolCounters {
    /// Connections opened.
    pub opened: u64,
    /// Connections that could not be opened: lookup, TCP, TLS, or the time for them was over.
    pub open_failed: u64,
    /// How often a kept connection was handed to a request.
    pub reused: u64,
    /// Connections closed, by reason.
    pub closed: PoolClosed,
}

/// Why connections were closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct PoolClosed {
    /// Unused for longer than `connections.idle`, or older than `connections.max_age`.
    pub expired: u64,
    /// The server had hung up on it while it was idle, or it could not be trusted to be whole.
    pub stale: u64,
    /// Its socket or its descriptor was needed more for another host, or a cap was lowered.
    pub evicted: u64,
    /// Its last response allowed no further request: `Connection: close`, HTTP/1.0, a body that ends with it.
    pub ended: u64,
    /// Its request failed: broken, timed out, a response against the rules.
    pub failed: u64,
    /// The caller let go of the request or of its response before the last byte.
    pub dropped: u64,
    /// The session was closed.
    pub session_closed: u64,
}

impl PoolClosed {
    /// All of them.
    pub fn total(&self) -> u64 {
        let PoolClosed { expired, stale, evicted, ended, failed, dropped, session_closed } = self;
        expired + stale + evicted + ended + failed + dropped + session_closed
    }
}

/// Why one connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Expired,
    Stale,
    Evicted,
    Ended,
    Failed,
    Dropped,
    SessionClosed,
}

#[derive(Default)]
pub(crate) struct Counters {
    opened: AtomicU64,
    open_failed: AtomicU64,
    reused: AtomicU64,
    closed: [AtomicU64; 7],
}

impl Counters {
    pub(crate) fn on_opened(&self) {
        self.opened.fetch_add(1, Relaxed);
    }

    pub(crate) fn on_open_failed(&self) {
        self.open_failed.fetch_add(1, Relaxed);
    }

    pub(crate) fn on_reused(&self) {
        self.reused.fetch_add(1, Relaxed);
    }

    /// It was handed out, and not used after all.
    pub(crate) fn on_unused(&self) {
        self.reused.fetch_sub(1, Relaxed);
    }

    pub(crate) fn on_closed(&self, why: Why, count: usize) {
        self.closed[why as usize].fetch_add(count as u64, Relaxed);
    }

    /// Takes up what another pool did that is gone.
    pub(crate) fn add(&self, other: &Counters) {
        self.opened.fetch_add(other.opened.load(Relaxed), Relaxed);
        self.open_failed.fetch_add(other.open_failed.load(Relaxed), Relaxed);
        self.reused.fetch_add(other.reused.load(Relaxed), Relaxed);
        for (own, other) in self.closed.iter().zip(&other.closed) {
            own.fetch_add(other.load(Relaxed), Relaxed);
        }
    }

    pub(crate) fn read(&self) -> PoolCounters {
        let closed = |why: Why| self.closed[why as usize].load(Relaxed);
        PoolCounters {
            opened: self.opened.load(Relaxed),
            open_failed: self.open_failed.load(Relaxed),
            reused: self.reused.load(Relaxed),
            closed: PoolClosed {
                expired: closed(Why::Expired),
                stale: closed(Why::Stale),
                evicted: closed(Why::Evicted),
                ended: closed(Why::Ended),
                failed: closed(Why::Failed),
                dropped: closed(Why::Dropped),
                session_closed: closed(Why::SessionClosed),
            },
        }
    }
}
