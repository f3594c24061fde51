//! Who is next: the pool's bookkeeping over any kind of connection and waiter, without I/O or waking.
//!
//! Two lines. A waiter whose origin is at its own cap stands in that origin's line; one that only lacks room in
//! all stands in the common line. For every origin, sockets open plus its waiters in the common line never exceed
//! its cap, so the head of the common line may always be served: that is what makes first come, first served
//! hold in all without a search. Of an origin whose connections are shared ([`Shared`]) one waiter at a time stands
//! in the common line, while nothing is being opened for it: the others wait for what comes of that.

mod caps;
mod grant;
mod idle;
mod streams;

use std::collections::{BTreeMap, HashMap, VecDeque};

pub(super) use self::grant::Grant;
use super::shared::{Key, Shared};
use super::{HostStats, PoolStats};

pub(super) type OriginId = u32;

/// A place in a line: when it was taken, and for which origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) seq: u64,
    origin: OriginId,
}

/// A connection that is to be closed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Closed<C, M> {
    Conn(C),
    Shared(M),
}

pub(super) struct Queues<C, W, M> {
    max: usize,
    max_per_origin: usize,
    by_name: HashMap<Box<str>, OriginId>,
    origins: Vec<Origin<C, W, M>>,
    vacant: Vec<OriginId>,
    open: usize,
    idle: usize,
    /// Waiters that lack only room in all, by their place.
    common: BTreeMap<u64, (OriginId, W)>,
    waiting: usize,
    next_seq: u64,
    /// Connections given back that are promised to the next grant of their origin.
    returned: Vec<(OriginId, C)>,
    /// Origins whose shared connections may have got room.
    freed: Vec<OriginId>,
    /// Idle connections that make room for a grant.
    evicted: Vec<Closed<C, M>>,
    next_key: Key,
}

struct Origin<C, W, M> {
    name: Box<str>,
    open: usize,
    /// The last one used is the first one reused: the others may then expire.
    idle: Vec<C>,
    /// Waiters for room at this origin, by their place.
    line: BTreeMap<u64, W>,
    /// The places of this origin's waiters in the common line, in order; none is behind one in the origin's own.
    promoted: VecDeque<u64>,
    shared: Shared<M>,
}

impl<C, W, M: Clone> Queues<C, W, M> {
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
            freed: Vec::new(),
            evicted: Vec::new(),
            next_key: 0,
        }
    }

    /// The origin of this name, known from now on until nothing of it is open or waiting. `shares`: its connections
    /// may turn out to be shared ones.
    pub(super) fn intern(&mut self, name: &str, shares: bool) -> OriginId {
        if let Some(&id) = self.by_name.get(name) {
            return id;
        }
        let origin = Origin {
            name: name.into(),
            open: 0,
            idle: Vec::new(),
            line: BTreeMap::new(),
            promoted: VecDeque::new(),
            shared: Shared::new(shares),
        };
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

    /// Takes a slot if there is one, or can be made by closing an idle connection of another origin, which is then
    /// handed out to be closed. `None`: the caller has to wait.
    #[allow(clippy::option_option, reason = "the slot, and what must be closed for it, are two things")]
    pub(super) fn open(&mut self, id: OriginId) -> Option<Option<Closed<C, M>>> {
        if !self.may_open(id) {
            return None;
        }
        let mut evicted = None;
        if self.open >= self.max {
            evicted = Some(self.evict()?);
        }
        self.open += 1;
        let origin = &mut self.origins[id as usize];
        origin.open += 1;
        origin.shared.on_open();
        Some(evicted)
    }

    /// Whether this origin's own rules allow one more socket.
    fn may_open(&self, id: OriginId) -> bool {
        let origin = &self.origins[id as usize];
        let promoted = origin.promoted.len();
        origin.open + promoted < self.max_per_origin && origin.shared.wants_another(promoted)
    }

    /// Whether there is room for one more socket of this origin beside those that carry something.
    pub(super) fn may_open_beside(&self, id: OriginId) -> bool {
        let origin = &self.origins[id as usize];
        origin.open < self.max_per_origin && (self.open < self.max || self.idle > 0)
    }

    /// A place in line, behind all that were taken before.
    pub(super) fn take_place(&mut self) -> u64 {
        self.next_seq += 1;
        self.next_seq - 1
    }

    pub(super) fn wait(&mut self, id: OriginId, waiter: W) -> Ticket {
        let place = self.take_place();
        self.wait_at(id, place, waiter)
    }

    /// As [`Queues::wait`], at a place that was taken before and is free again. What became idle meanwhile is promised to
    /// the first of the origin's line.
    pub(super) fn wait_at(&mut self, id: OriginId, seq: u64, waiter: W) -> Ticket {
        self.waiting += 1;
        let may_open = self.may_open(id);
        let origin = &mut self.origins[id as usize];
        let place = origin.promoted.partition_point(|other| *other < seq);
        if may_open {
            origin.promoted.insert(place, seq);
            self.common.insert(seq, (id, waiter));
        } else if place < origin.promoted.len() {
            // Whoever stands in the common line came later, and makes way.
            self.demote_last(id);
            self.origins[id as usize].promoted.insert(place, seq);
            self.common.insert(seq, (id, waiter));
        } else {
            origin.line.insert(seq, waiter);
        }
        if let Some(conn) = self.take_idle(id) {
            self.returned.push((id, conn));
        }
        Ticket { seq, origin: id }
    }

    /// Takes a waiter out of its line; `None` if it was served already.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<W> {
        if let Some((id, waiter)) = self.common.remove(&ticket.seq) {
            self.waiting -= 1;
            self.origins[id as usize].promoted.retain(|seq| *seq != ticket.seq);
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

    pub(super) fn take_all_waiters(&mut self) -> Vec<W> {
        let mut all: Vec<W> = std::mem::take(&mut self.common).into_values().map(|(_, waiter)| waiter).collect();
        for origin in &mut self.origins {
            origin.promoted.clear();
            all.extend(std::mem::take(&mut origin.line).into_values());
        }
        self.waiting = 0;
        all
    }

    pub(super) fn stats(&self) -> PoolStats {
        PoolStats { open: self.open, idle: self.idle, waiting: self.waiting }
    }

    pub(super) fn hosts(&self) -> Vec<HostStats> {
        let known = self.origins.iter().filter(|origin| !origin.name.is_empty());
        let stats = known.map(|origin| HostStats {
            host: (*origin.name).to_owned(),
            open: origin.open,
            idle: origin.idle.len() + origin.shared.idle(),
            waiting: origin.line.len() + origin.promoted.len(),
        });
        stats.collect()
    }

    #[cfg(test)]
    pub(super) fn known_origins(&self) -> usize {
        assert_eq!(self.by_name.len() + self.vacant.len(), self.origins.len());
        self.by_name.len()
    }

    /// Room at the origin: its next waiters move to the common line.
    fn promote(&mut self, id: OriginId) {
        while self.may_open(id) {
            let origin = &mut self.origins[id as usize];
            let Some((seq, waiter)) = origin.line.pop_first() else { return };
            // Behind those that stand there: none of them came later.
            debug_assert!(origin.promoted.back().is_none_or(|last| *last < seq), "out of order");
            origin.promoted.push_back(seq);
            self.common.insert(seq, (id, waiter));
        }
    }

    fn forget_if_unused(&mut self, id: OriginId) {
        let origin = &mut self.origins[id as usize];
        if origin.open == 0
            && origin.promoted.is_empty()
            && origin.line.is_empty()
            && self.by_name.remove(&*origin.name).is_some()
        {
            origin.name = Box::default();
            origin.shared = Shared::new(false);
            self.vacant.push(id);
        }
    }
}
