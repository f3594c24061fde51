//! Requests that share a connection (HTTP/2): room on it, its beginning, change and end, and who is given room. Which
//! connection of an origin takes the next request is [`Shared`](crate::pool::shared::Shared)'s to decide; here sockets are counted
//! and lines moved on. Called by the pool under its lock.

use tokio::time::Instant;

use super::{Closed, Grant, OriginId, Queues};
use crate::pool::shared::{Key, Left};

impl<C, W, M: Clone> Queues<C, W, M> {
    pub(in crate::pool) fn shares(&self, id: OriginId) -> bool {
        self.origins[id as usize].shared.possible
    }

    /// Room on a shared connection.
    pub(in crate::pool) fn take_stream(&mut self, id: OriginId) -> Option<(Key, M)> {
        let (key, conn, was_idle) = self.origins[id as usize].shared.take()?;
        self.idle -= usize::from(was_idle);
        Some((key, conn))
    }

    /// A slot was given up before there was a connection in it; `failed` by the server, not by who asked for it.
    /// Whether that one may wait for room on another connection.
    pub(in crate::pool) fn on_unopened(&mut self, id: OriginId, failed: bool) -> bool {
        let waits = self.origins[id as usize].shared.on_unopened(failed);
        self.on_closed(id);
        if waits {
            // Room may have come meanwhile, which nobody was there for.
            self.freed.push(id);
        }
        waits
    }

    /// Connections that could not be opened a while ago may be tried again.
    pub(in crate::pool) fn lift_bars(&mut self) {
        for id in 0..self.origins.len() {
            if self.origins[id].shared.lift_bar() {
                self.promote(id as OriginId);
            }
        }
    }

    /// The connection in a slot carries one request at a time.
    pub(in crate::pool) fn on_single(&mut self, id: OriginId) {
        self.origins[id as usize].shared.on_single();
        self.promote(id);
    }

    /// The connection in a slot is a shared one. It carries its first request already.
    pub(in crate::pool) fn on_shared(&mut self, id: OriginId, conn: M, limit: usize, led: bool) -> Key {
        let key = self.next_key;
        self.next_key += 1;
        self.origins[id as usize].shared.add(key, conn, limit, led);
        self.promote(id);
        self.freed.push(id);
        key
    }

    /// A request on a shared connection is over. What is given back is to be closed.
    pub(in crate::pool) fn on_stream_end(
        &mut self,
        id: OriginId,
        key: Key,
        keep: bool,
        now: Instant,
    ) -> Option<Closed<C, M>> {
        let shared = &mut self.origins.get_mut(id as usize)?.shared;
        let over = match shared.end(key, now) {
            Left::Nothing => return None,
            Left::Over(conn) => conn,
            Left::Idle if !keep || self.wants_room(id) => self.origins[id as usize].shared.remove(key)?.0,
            left => {
                self.idle += usize::from(matches!(left, Left::Idle));
                self.freed.push(id);
                return None;
            }
        };
        self.on_closed(id);
        Some(Closed::Shared(over))
    }

    /// What the server says of a shared connection now: how many requests it carries at once, and whether it takes
    /// new ones at all.
    pub(in crate::pool) fn on_shared_change(
        &mut self,
        id: OriginId,
        key: Key,
        limit: usize,
        draining: bool,
    ) -> Option<Closed<C, M>> {
        let gone = self.origins.get_mut(id as usize)?.shared.change(key, limit, draining);
        self.after_change(id, gone)
    }

    /// A shared connection takes no new requests.
    pub(in crate::pool) fn retire(&mut self, id: OriginId, key: Key) -> Option<Closed<C, M>> {
        let gone = self.origins.get_mut(id as usize)?.shared.retire(key);
        self.after_change(id, gone)
    }

    /// A shared connection ended.
    pub(in crate::pool) fn on_shared_lost(&mut self, id: OriginId, key: Key) -> Option<Closed<C, M>> {
        let gone = self.origins.get_mut(id as usize)?.shared.remove(key)?;
        self.after_change(id, Some(gone))
    }

    /// Shared connections take no new requests, and are closed behind their last ones.
    pub(in crate::pool) fn retire_all(&mut self) {
        for origin in &mut self.origins {
            origin.shared.retire_all();
        }
    }

    /// Room on a shared connection for the first who waits for one.
    pub(super) fn grant_stream(&mut self, id: OriginId) -> Option<(OriginId, Grant<C, M>, W)> {
        let origin = self.origins.get(id as usize)?;
        let own = origin.line.first_key_value().map(|(&seq, _)| seq);
        let promoted = origin.promoted.front().copied();
        if !origin.shared.has_room() || (own.is_none() && promoted.is_none()) {
            return None;
        }
        let (key, conn) = self.take_stream(id)?;
        self.waiting -= 1;
        let waiter = match promoted {
            Some(seq) if own.is_none_or(|own| seq < own) => {
                let (_, waiter) = self.common.remove(&seq).expect("invariant: a promoted waiter is in the common line");
                self.origins[id as usize].promoted.pop_front();
                self.promote(id);
                waiter
            }
            _ => self.origins[id as usize].line.pop_first().expect("invariant: found above").1,
        };
        Some((id, Grant::Stream(key, conn), waiter))
    }

    fn after_change(&mut self, id: OriginId, gone: Option<(M, bool)>) -> Option<Closed<C, M>> {
        match gone {
            Some((conn, was_idle)) => {
                self.idle -= usize::from(was_idle);
                self.on_closed(id);
                Some(Closed::Shared(conn))
            }
            None => {
                self.promote(id);
                self.freed.push(id);
                None
            }
        }
    }

    #[cfg(test)]
    pub(in crate::pool) fn takes_new(&self, id: OriginId, key: Key) -> bool {
        self.origins[id as usize].shared.takes_new(key)
    }

    #[cfg(test)]
    pub(in crate::pool) fn knows(&self, id: OriginId, key: Key) -> bool {
        self.origins[id as usize].shared.knows(key)
    }
}
