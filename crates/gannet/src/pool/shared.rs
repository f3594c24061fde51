//! The connections of one origin that carry many requests at once (HTTP/2): which of them takes the next request, and
//! whether one more is wanted. Bookkeeping without I/O, called by the queue, which counts sockets.
//!
//! Where a connection may turn out to be a shared one, they are opened one at a time, and those who wait share what
//! comes of it; the first that turns out to carry one request only, or fails, ends that.

use tokio::time::Instant;

/// A connection's number, never given twice.
pub(super) type Key = u64;

pub(super) struct Shared<M> {
    /// Whether connections of this origin may be shared ones.
    pub(super) possible: bool,
    /// Whether the next one is taken to be one.
    expected: bool,
    /// Connections on their way.
    opening: usize,
    /// One more than those that are there could not be opened, a moment ago.
    barred: bool,
    carriers: Vec<Carrier<M>>,
}

struct Carrier<M> {
    key: Key,
    conn: M,
    streams: usize,
    limit: usize,
    /// The server has said what its limit is.
    settled: bool,
    /// It takes no new requests, and is closed behind its last one.
    draining: bool,
    idle_since: Option<Instant>,
}

/// What the end of a request leaves of its connection.
pub(super) enum Left<M> {
    /// It was closed before.
    Nothing,
    Busy,
    Idle,
    /// It is to be closed.
    Over(M),
}

impl<M: Clone> Shared<M> {
    pub(super) fn new(possible: bool) -> Self {
        Shared { possible, expected: possible, opening: 0, barred: false, carriers: Vec::new() }
    }

    /// Whether one more connection makes sense beside those on their way and `promised` ones.
    pub(super) fn wants_another(&self, promised: usize) -> bool {
        let unknown = || self.carriers.iter().any(|carrier| !carrier.settled && !carrier.draining);
        let barred = || self.barred && self.is_usable();
        !self.expected || (self.opening == 0 && promised == 0 && !unknown() && !barred())
    }

    /// Whether a connection is there that takes requests, now or when others are over.
    fn is_usable(&self) -> bool {
        self.carriers.iter().any(|carrier| !carrier.draining)
    }

    pub(super) fn on_open(&mut self) {
        self.opening += usize::from(self.possible);
    }

    /// A connection did not come to be. After a failure the others do not wait for one another any longer, unless
    /// they have a connection to share: then no other is tried for a while, and whoever failed may wait for room too.
    pub(super) fn on_unopened(&mut self, failed: bool) -> bool {
        self.opening = self.opening.saturating_sub(1);
        self.expected &= !failed || !self.carriers.is_empty();
        let waits = failed && self.expected && self.is_usable();
        self.barred |= waits;
        waits
    }

    /// Whether another connection may be tried again that could not be before.
    pub(super) fn lift_bar(&mut self) -> bool {
        std::mem::take(&mut self.barred)
    }

    /// The connection carries one request at a time.
    pub(super) fn on_single(&mut self) {
        self.opening = self.opening.saturating_sub(1);
        self.expected = false;
    }

    /// The connection is a shared one, and carries its first request.
    pub(super) fn add(&mut self, key: Key, conn: M, limit: usize, led: bool) {
        self.opening = self.opening.saturating_sub(usize::from(led));
        (self.expected, self.barred) = (true, false);
        let carrier = Carrier { key, conn, streams: 1, limit, settled: false, draining: false, idle_since: None };
        self.carriers.push(carrier);
    }

    /// Room on the least loaded connection, if one has room; and whether it was idle.
    pub(super) fn take(&mut self) -> Option<(Key, M, bool)> {
        let open = self.carriers.iter_mut().filter(|carrier| carrier.has_room());
        let carrier = open.min_by_key(|carrier| carrier.streams)?;
        carrier.streams += 1;
        let was_idle = carrier.idle_since.take().is_some();
        Some((carrier.key, carrier.conn.clone(), was_idle))
    }

    pub(super) fn has_room(&self) -> bool {
        self.carriers.iter().any(Carrier::has_room)
    }

    /// A request on this connection is over.
    pub(super) fn end(&mut self, key: Key, now: Instant) -> Left<M> {
        let Some(at) = self.carriers.iter().position(|carrier| carrier.key == key) else { return Left::Nothing };
        let carrier = &mut self.carriers[at];
        carrier.streams -= 1;
        match (carrier.streams, carrier.draining) {
            (0, true) => Left::Over(self.carriers.remove(at).conn),
            (0, false) => {
                carrier.idle_since = Some(now);
                Left::Idle
            }
            _ => Left::Busy,
        }
    }

    /// What the server says of this connection now. Given back if it takes no more requests and carries none; and
    /// whether it was idle.
    pub(super) fn change(&mut self, key: Key, limit: usize, draining: bool) -> Option<(M, bool)> {
        let carrier = self.carriers.iter_mut().find(|carrier| carrier.key == key)?;
        (carrier.limit, carrier.settled) = (limit, true);
        carrier.draining |= draining;
        if carrier.draining && carrier.streams == 0 { self.remove(key) } else { None }
    }

    /// This connection takes no new requests.
    pub(super) fn retire(&mut self, key: Key) -> Option<(M, bool)> {
        let carrier = self.carriers.iter_mut().find(|carrier| carrier.key == key)?;
        carrier.draining = true;
        if carrier.streams == 0 { self.remove(key) } else { None }
    }

    pub(super) fn retire_all(&mut self) {
        for carrier in &mut self.carriers {
            carrier.draining = true;
        }
    }

    /// So many connections too many: those that carry least take no new requests, but one that does is left. How many
    /// are on their way out now.
    pub(super) fn retire_beyond(&mut self, count: usize) -> usize {
        let mut going = self.carriers.iter().filter(|carrier| carrier.draining).count();
        while going < count && self.carriers.len() - going > 1 {
            let live = self.carriers.iter_mut().filter(|carrier| !carrier.draining);
            let Some(carrier) = live.min_by_key(|carrier| carrier.streams) else { break };
            carrier.draining = true;
            going += 1;
        }
        going
    }

    /// Takes it out whatever it carries; and whether it was idle.
    pub(super) fn remove(&mut self, key: Key) -> Option<(M, bool)> {
        let at = self.carriers.iter().position(|carrier| carrier.key == key)?;
        let carrier = self.carriers.remove(at);
        Some((carrier.conn, carrier.idle_since.is_some()))
    }

    /// Takes out those that have been idle since before `until`; without, all idle ones.
    pub(super) fn take_idle(&mut self, until: Option<Instant>) -> Vec<M> {
        let is_old =
            |carrier: &Carrier<M>| carrier.idle_since.is_some_and(|since| until.is_none_or(|until| since <= until));
        self.carriers.extract_if(.., |carrier| is_old(carrier)).map(|carrier| carrier.conn).collect()
    }

    /// Takes out the one that has been idle longest.
    pub(super) fn evict(&mut self) -> Option<M> {
        let idle = self.carriers.iter().filter(|carrier| carrier.idle_since.is_some());
        let key = idle.min_by_key(|carrier| carrier.idle_since)?.key;
        self.remove(key).map(|(conn, _)| conn)
    }

    pub(super) fn idle(&self) -> usize {
        self.carriers.iter().filter(|carrier| carrier.idle_since.is_some()).count()
    }

    #[cfg(test)]
    pub(super) fn takes_new(&self, key: Key) -> bool {
        self.carriers.iter().any(|carrier| carrier.key == key && !carrier.draining)
    }

    #[cfg(test)]
    pub(super) fn knows(&self, key: Key) -> bool {
        self.carriers.iter().any(|carrier| carrier.key == key)
    }

    pub(super) fn oldest_idle(&self) -> Option<Instant> {
        self.carriers.iter().filter_map(|carrier| carrier.idle_since).min()
    }
}

impl<M> Carrier<M> {
    fn has_room(&self) -> bool {
        !self.draining && self.streams < self.limit
    }
}
