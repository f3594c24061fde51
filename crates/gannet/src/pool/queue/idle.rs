//! Connections that carry nothing: taken for use, expired, closed to make room for another origin. Called by the pool
//! under its lock, which closes what is handed out.

use tokio::time::Instant;

use super::{Closed, Origin, OriginId, Queues};

impl<C, W, M: Clone> Queues<C, W, M> {
    pub(in crate::pool) fn take_idle(&mut self, id: OriginId) -> Option<C> {
        let conn = self.origins[id as usize].idle.pop()?;
        self.idle -= 1;
        Some(conn)
    }

    pub(in crate::pool) fn take_all_idle(&mut self) -> Vec<Closed<C, M>> {
        let mut all = Vec::with_capacity(self.idle);
        for id in 0..self.origins.len() {
            let origin = &mut self.origins[id];
            let idle = std::mem::take(&mut origin.idle).into_iter().map(Closed::Conn);
            let before = all.len();
            all.extend(idle.chain(origin.shared.take_idle(None).into_iter().map(Closed::Shared)));
            self.on_idle_gone(id, all.len() - before);
        }
        all
    }

    /// Takes out this origin's shared connections that carry nothing.
    pub(in crate::pool) fn take_idle_shared(&mut self, id: OriginId) -> Vec<Closed<C, M>> {
        let idle = self.origins[id as usize].shared.take_idle(None);
        for _ in &idle {
            self.idle -= 1;
            self.on_closed(id);
        }
        idle.into_iter().map(Closed::Shared).collect()
    }

    /// Takes out connections that have been idle since `until` or longer, and says since when the oldest of the others is.
    pub(in crate::pool) fn expire(
        &mut self,
        until: Instant,
        since: impl Fn(&C) -> Instant,
    ) -> (Vec<Closed<C, M>>, Option<Instant>) {
        let mut expired = Vec::new();
        let mut oldest: Option<Instant> = None;
        for id in 0..self.origins.len() {
            let origin = &mut self.origins[id];
            let before = expired.len();
            // Put back in order, so the old ones are in front.
            let count = origin.idle.iter().take_while(|conn| since(conn) <= until).count();
            expired.extend(origin.idle.drain(..count).map(Closed::Conn));
            expired.extend(origin.shared.take_idle(Some(until)).into_iter().map(Closed::Shared));
            let left = origin.idle.first().map(&since).into_iter().chain(origin.shared.oldest_idle());
            oldest = oldest.into_iter().chain(left).min();
            self.on_idle_gone(id, expired.len() - before);
        }
        (expired, oldest)
    }

    /// The oldest idle connection of the origin that has most of them. A scan over at most `max` origins, next to
    /// the connect that it makes room for.
    pub(super) fn evict(&mut self) -> Option<Closed<C, M>> {
        if self.idle == 0 {
            return None;
        }
        let idle = |origin: &Origin<C, W, M>| origin.idle.len() + origin.shared.idle();
        let (id, _) = self.origins.iter().enumerate().max_by_key(|(_, origin)| idle(origin))?;
        self.evict_from(id as OriginId)
    }

    /// The oldest idle connection of this origin.
    pub(super) fn evict_from(&mut self, id: OriginId) -> Option<Closed<C, M>> {
        let origin = &mut self.origins[id as usize];
        let gone = match origin.idle.is_empty() {
            false => Closed::Conn(origin.idle.remove(0)),
            true => Closed::Shared(origin.shared.evict()?),
        };
        self.idle -= 1;
        self.on_closed(id);
        Some(gone)
    }

    fn on_idle_gone(&mut self, id: usize, count: usize) {
        self.open -= count;
        self.idle -= count;
        self.origins[id].open -= count;
        if count > 0 {
            self.forget_if_unused(id as OriginId);
        }
    }
}
