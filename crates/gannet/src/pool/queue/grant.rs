//! What becomes of room: who is next in line, and what it gets, a connection that came back, room on a shared one, or
//! the right to open one. First come, first served over all origins; a connection that an earlier waiter of another
//! origin needs the slot of is not kept. Called by the pool under its lock, which tells the waiters.

use tokio::time::Instant;

use super::{Closed, OriginId, Queues};
use crate::pool::shared::Key;

/// What a waiter is given.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::pool) enum Grant<C, M> {
    /// The right to open a connection.
    Open,
    Conn(C),
    /// Room for one request on a shared connection.
    Stream(Key, M),
}

impl<C, W, M: Clone> Queues<C, W, M> {
    /// A connection came back fit for use. It is kept idle, or promised to a waiter of its origin, or handed back
    /// to be closed because an earlier waiter of another origin needs its slot.
    pub(in crate::pool) fn on_returned(&mut self, id: OriginId, conn: C) -> Option<C> {
        if self.wants_room(id) {
            self.on_closed(id);
            return Some(conn);
        }
        if self.common.is_empty() && self.origins[id as usize].line.is_empty() {
            self.origins[id as usize].idle.push(conn);
            self.idle += 1;
        } else {
            self.returned.push((id, conn));
        }
        None
    }

    /// Whether a connection of this origin must not be kept: the next in line needs its slot for another origin, or there
    /// are more than there may be.
    pub(in crate::pool) fn wants_room(&self, id: OriginId) -> bool {
        if self.is_over(id) {
            return true;
        }
        let own = self.origins[id as usize].line.first_key_value().map(|(&seq, _)| seq);
        let Some((&seq, &(origin, _))) = self.common.first_key_value() else { return false };
        origin != id && own.is_none_or(|own| seq < own)
    }

    /// The next waiter that can be served, and what it gets. What has to be closed for it is told by
    /// [`Queues::take_evicted`].
    pub(in crate::pool) fn next_grant(&mut self) -> Option<(OriginId, Grant<C, M>, W)> {
        if let Some((id, conn)) = self.returned.pop() {
            return self.grant_returned(id, conn);
        }
        while let Some(&id) = self.freed.last() {
            match self.grant_stream(id) {
                Some(grant) => return Some(grant),
                None => self.freed.pop(),
            };
        }
        if self.open >= self.max {
            // Idle ones beside a waiter: it waited for a connection that then could not be shared, or its origin's cap
            // was raised.
            let head = self.common.first_key_value();
            let evicted = head.is_some().then(|| self.evict()).flatten()?;
            self.evicted.push(evicted);
        }
        let (_, (id, waiter)) = self.common.pop_first()?;
        self.waiting -= 1;
        self.open += 1;
        let origin = &mut self.origins[id as usize];
        origin.promoted.pop_front();
        origin.open += 1;
        origin.shared.on_open();
        Some((id, Grant::Open, waiter))
    }

    pub(in crate::pool) fn take_evicted(&mut self) -> Vec<Closed<C, M>> {
        std::mem::take(&mut self.evicted)
    }

    /// A grant reached nobody: its slot, and the connection if there was one, are free again. What is given back
    /// is to be closed.
    pub(in crate::pool) fn take_back(
        &mut self,
        id: OriginId,
        grant: Grant<C, M>,
        now: Instant,
    ) -> Option<Closed<C, M>> {
        match grant {
            Grant::Conn(conn) => self.on_returned(id, conn).map(Closed::Conn),
            Grant::Stream(key, _) => self.on_stream_end(id, key, true, now),
            Grant::Open => {
                self.on_unopened(id, false);
                None
            }
        }
    }

    fn grant_returned(&mut self, id: OriginId, conn: C) -> Option<(OriginId, Grant<C, M>, W)> {
        let own = self.origins[id as usize].line.first_key_value().map(|(&seq, _)| seq);
        let head = self.common.first_key_value();
        let common = head.filter(|(_, (origin, _))| *origin == id).map(|(&seq, _)| seq);
        let from_common = match (own, common) {
            (Some(own), Some(common)) => common < own,
            (None, Some(_)) => true,
            (Some(_), None) => false,
            (None, None) => {
                self.origins[id as usize].idle.push(conn);
                self.idle += 1;
                return None;
            }
        };
        self.waiting -= 1;
        let waiter = if from_common {
            let (_, waiter) = common.and_then(|seq| self.common.remove(&seq)).expect("invariant: found above");
            self.origins[id as usize].promoted.pop_front();
            self.promote(id);
            waiter
        } else {
            let (_, waiter) = self.origins[id as usize].line.pop_first().expect("invariant: found above");
            waiter
        };
        Some((id, Grant::Conn(conn), waiter))
    }
}
