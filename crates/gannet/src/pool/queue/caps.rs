//! Caps that change while connections are open and requests wait. Raised, they let waiters open at once; lowered, idle
//! connections close at once, and busy ones when their request is over.

use super::{Closed, Origin, OriginId, Queues};

impl<C, W, M: Clone> Queues<C, W, M> {
    /// The caps, in all and per origin.
    pub(in crate::pool) fn caps(&self) -> (usize, usize) {
        (self.max, self.max_per_origin)
    }

    /// Other caps from now on. Idle connections beyond them are handed out to be closed; shared ones beyond them take no
    /// new requests and are closed behind their last. Who waits keeps the place in line.
    pub(in crate::pool) fn set_caps(&mut self, max: usize, max_per_origin: usize) -> Vec<Closed<C, M>> {
        (self.max, self.max_per_origin) = (max, max_per_origin);
        let mut over = Vec::new();
        for id in 0..self.origins.len() as OriginId {
            self.demote(id);
            while self.origins[id as usize].open > max_per_origin
                && let Some(gone) = self.evict_from(id)
            {
                over.push(gone);
            }
            self.promote(id);
        }
        while self.open > max
            && let Some(gone) = self.evict()
        {
            over.push(gone);
        }
        self.retire_beyond_caps();
        over
    }

    /// Whether there are more sockets than there may be, so that one of this origin is not kept.
    pub(in crate::pool) fn is_over(&self, id: OriginId) -> bool {
        self.open > self.max || self.origins[id as usize].open > self.max_per_origin
    }

    /// The last of its waiters leave the common line for the origin's own, where there is no room at the origin for them.
    fn demote(&mut self, id: OriginId) {
        let is_over = |origin: &Origin<C, W, M>, cap: usize| origin.open + origin.promoted.len() > cap;
        while is_over(&self.origins[id as usize], self.max_per_origin) && self.demote_last(id) {}
    }

    /// The last of its waiters leaves the common line, if there is one.
    pub(super) fn demote_last(&mut self, id: OriginId) -> bool {
        let origin = &mut self.origins[id as usize];
        let Some(seq) = origin.promoted.pop_back() else { return false };
        let (_, waiter) = self.common.remove(&seq).expect("invariant: a promoted waiter is in the common line");
        origin.line.insert(seq, waiter);
        true
    }

    /// Of each origin one stays, so that its requests have somewhere to go.
    fn retire_beyond_caps(&mut self) {
        let mut over = self.open.saturating_sub(self.max);
        for id in 0..self.origins.len() as OriginId {
            let origin = &mut self.origins[id as usize];
            let own = origin.open.saturating_sub(self.max_per_origin);
            over = over.saturating_sub(origin.shared.retire_beyond(own.max(over)));
            // What was not known of one that goes is waited for no longer.
            self.promote(id);
        }
    }
}
