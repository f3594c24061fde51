//! Who is next: the pool's bookkeeping over any kind of connection and waiter, without I/O or waking.
//!
//! Two lines. A waiter whose origin is at its own cap stands in that origin's line; one that only lacks room in
//! all stands in the common line. For every origin, sockets open plus its waiters in the common line never exceed
//! its cap, so the head of the common line may always be served: that is what makes first come, first served
//! hold in all without a search.

use std::collections::{BTreeMap, HashMap};

use super::{HostStats, PoolStats};

pub(super) type OriginId = u32;

/// A place in a line: when it was taken, and for which origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    seq: u64,
    origin: OriginId,
}

pub(super) struct Queues<C, W> {
    max: usize,
    max_per_origin: usize,
    by_name: HashMap<Box<str>, OriginId>,
    origins: Vec<Origin<C, W>>,
    vacant: Vec<OriginId>,
    open: usize,
    idle: usize,
    /// Waiters that lack only room in all, by their place.
    common: BTreeMap<u64, (OriginId, W)>,
    waiting: usize,
    next_seq: u64,
    /// Connections given back that are promised to the next grant of their origin.
    returned: Vec<(OriginId, C)>,
}

struct Origin<C, W> {
    name: Box<str>,
    open: usize,
    /// The last one used is the first one reused: the others may then expire.
    idle: Vec<C>,
    /// Waiters for room at this origin, by their place.
    line: BTreeMap<u64, W>,
    /// How many of this origin's waiters stand in the common line.
    promoted: usize,
}

impl<C, W> Queues<C, W> {
    pub(super) fn new(max: usize, max_per_origin: usize) -> Self {
        Queues {
            max,
            max_per_origin,
            by_name: HashMap::new(),
            origins: Vec::new(),
            vacant: Vec::new(),
            open: 0,
            idle: 0,
            common: BTreeMap::new(),
            waiting: 0,
            next_seq: 0,
            returned: Vec::new(),
        }
    }

    /// The origin of this name, known from now on until nothing of it is open or waiting.
    pub(super) fn intern(&mut self, name: &str) -> OriginId {
        if let Some(&id) = self.by_name.get(name) {
            return id;
        }
        let origin = Origin { name: name.into(), open: 0, idle: Vec::new(), line: BTreeMap::new(), promoted: 0 };
        let id = match self.vacant.pop() {
            Some(id) => {
                self.origins[id as usize] = origin;
                id
            }
            None => {
                self.origins.push(origin);
                (self.origins.len() - 1) as OriginId
            }
        };
        self.by_name.insert(name.into(), id);
        id
    }

    pub(super) fn take_idle(&mut self, id: OriginId) -> Option<C> {
        let conn = self.origins[id as usize].idle.pop()?;
        self.idle -= 1;
        Some(conn)
    }

    /// Takes a slot if there is one, or can be made by closing an idle connection of another origin, which is then
    /// handed out to be closed. `None`: the caller has to wait.
    #[allow(clippy::option_option, reason = "the slot, and what must be closed for it, are two things")]
    pub(super) fn open(&mut self, id: OriginId) -> Option<Option<C>> {
        let origin = &self.origins[id as usize];
        if origin.open + origin.promoted >= self.max_per_origin {
            return None;
        }
        let mut evicted = None;
        if self.open >= self.max {
            evicted = Some(self.evict()?);
        }
        self.open += 1;
        self.origins[id as usize].open += 1;
        Some(evicted)
    }

    pub(super) fn wait(&mut self, id: OriginId, waiter: W) -> Ticket {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.waiting += 1;
        let origin = &mut self.origins[id as usize];
        if origin.open + origin.promoted < self.max_per_origin {
            origin.promoted += 1;
            self.common.insert(seq, (id, waiter));
        } else {
            origin.line.insert(seq, waiter);
        }
        Ticket { seq, origin: id }
    }

    /// Takes a waiter out of its line; `None` if it was served already.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<W> {
        if let Some((id, waiter)) = self.common.remove(&ticket.seq) {
            self.waiting -= 1;
            self.origins[id as usize].promoted -= 1;
            self.promote(id);
            self.forget_if_unused(id);
            return Some(waiter);
        }
        // The id may by now name another origin, but a place in the line is never given twice.
        let waiter = self.origins.get_mut(ticket.origin as usize)?.line.remove(&ticket.seq)?;
        self.waiting -= 1;
        self.forget_if_unused(ticket.origin);
        Some(waiter)
    }

    /// A socket of this origin was closed (or never came to be).
    pub(super) fn on_closed(&mut self, id: OriginId) {
        self.open -= 1;
        self.origins[id as usize].open -= 1;
        self.promote(id);
        self.forget_if_unused(id);
    }

    /// A connection came back fit for use. It is kept idle, or promised to a waiter of its origin, or handed back
    /// to be closed because an earlier waiter of another origin needs its slot.
    pub(super) fn on_returned(&mut self, id: OriginId, conn: C) -> Option<C> {
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

    /// Whether the next in line needs the slot of a connection of this origin for another origin.
    pub(super) fn wants_room(&self, id: OriginId) -> bool {
        let own = self.origins[id as usize].line.first_key_value().map(|(&seq, _)| seq);
        let Some((&seq, &(origin, _))) = self.common.first_key_value() else { return false };
        origin != id && own.is_none_or(|own| seq < own)
    }

    /// The next waiter that can be served, and what it gets: the connection that came back, or the slot to open one.
    pub(super) fn next_grant(&mut self) -> Option<(OriginId, Option<C>, W)> {
        if let Some((id, conn)) = self.returned.pop() {
            return self.grant_returned(id, conn);
        }
        if self.open >= self.max {
            return None;
        }
        let (_, (id, waiter)) = self.common.pop_first()?;
        self.waiting -= 1;
        self.open += 1;
        let origin = &mut self.origins[id as usize];
        origin.promoted -= 1;
        origin.open += 1;
        Some((id, None, waiter))
    }

    /// A grant reached nobody: its slot, and the connection if there was one, are free again. What is given back
    /// is to be closed.
    pub(super) fn take_back(&mut self, id: OriginId, conn: Option<C>) -> Option<C> {
        match conn {
            Some(conn) => self.on_returned(id, conn),
            None => {
                self.on_closed(id);
                None
            }
        }
    }

    pub(super) fn take_all_idle(&mut self) -> Vec<C> {
        let mut all = Vec::with_capacity(self.idle);
        for id in 0..self.origins.len() {
            let idle = std::mem::take(&mut self.origins[id].idle);
            self.open -= idle.len();
            self.idle -= idle.len();
            self.origins[id].open -= idle.len();
            let had = !idle.is_empty();
            all.extend(idle);
            if had {
                self.forget_if_unused(id as OriginId);
            }
        }
        all
    }

    pub(super) fn take_all_waiters(&mut self) -> Vec<W> {
        let mut all: Vec<W> = std::mem::take(&mut self.common).into_values().map(|(_, waiter)| waiter).collect();
        for origin in &mut self.origins {
            origin.promoted = 0;
            all.extend(std::mem::take(&mut origin.line).into_values());
        }
        self.waiting = 0;
        all
    }

    /// Takes out idle connections that are too old, and says when the oldest of the others was put back.
    pub(super) fn expire<T: Ord>(
        &mut self,
        too_old: impl Fn(&C) -> bool,
        since: impl Fn(&C) -> T,
    ) -> (Vec<C>, Option<T>) {
        let mut expired = Vec::new();
        let mut oldest = None;
        for id in 0..self.origins.len() {
            let origin = &mut self.origins[id];
            // Put back in order, so the old ones are in front.
            let count = origin.idle.iter().take_while(|conn| too_old(conn)).count();
            expired.extend(origin.idle.drain(..count));
            origin.open -= count;
            self.open -= count;
            self.idle -= count;
            if let Some(first) = origin.idle.first().map(&since) {
                oldest = Some(match oldest {
                    Some(known) if known < first => known,
                    _ => first,
                });
            }
            if count > 0 {
                self.forget_if_unused(id as OriginId);
            }
        }
        (expired, oldest)
    }

    pub(super) fn stats(&self) -> PoolStats {
        PoolStats { open: self.open, idle: self.idle, waiting: self.waiting }
    }

    pub(super) fn hosts(&self) -> Vec<HostStats> {
        let known = self.origins.iter().filter(|origin| !origin.name.is_empty());
        let stats = known.map(|origin| HostStats {
            host: (*origin.name).to_owned(),
            open: origin.open,
            idle: origin.idle.len(),
            waiting: origin.line.len() + origin.promoted,
        });
        stats.collect()
    }

    #[cfg(test)]
    pub(super) fn known_origins(&self) -> usize {
        assert_eq!(self.by_name.len() + self.vacant.len(), self.origins.len());
        self.by_name.len()
    }

    fn grant_returned(&mut self, id: OriginId, conn: C) -> Option<(OriginId, Option<C>, W)> {
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
            self.origins[id as usize].promoted -= 1;
            self.promote(id);
            waiter
        } else {
            let (_, waiter) = self.origins[id as usize].line.pop_first().expect("invariant: found above");
            waiter
        };
        Some((id, Some(conn), waiter))
    }

    /// Room at the origin: its next waiters move to the common line.
    fn promote(&mut self, id: OriginId) {
        let origin = &mut self.origins[id as usize];
        while origin.open + origin.promoted < self.max_per_origin {
            let Some((seq, waiter)) = origin.line.pop_first() else { return };
            origin.promoted += 1;
            self.common.insert(seq, (id, waiter));
        }
    }

    /// The oldest idle connection of the origin that has most of them. A scan over at most `max` origins, next to
    /// the connect that it makes room for.
    fn evict(&mut self) -> Option<C> {
        if self.idle == 0 {
            return None;
        }
        let id = self.origins.iter().enumerate().filter(|(_, o)| !o.idle.is_empty()).max_by_key(|(_, o)| o.idle.len());
        let id = id.map(|(id, _)| id)?;
        let conn = self.origins[id].idle.remove(0);
        self.idle -= 1;
        self.on_closed(id as OriginId);
        Some(conn)
    }

    fn forget_if_unused(&mut self, id: OriginId) {
        let origin = &mut self.origins[id as usize];
        if origin.open == 0
            && origin.promoted == 0
            && origin.line.is_empty()
            && self.by_name.remove(&*origin.name).is_some()
        {
            origin.name = Box::default();
            self.vacant.push(id);
        }
    }
}
