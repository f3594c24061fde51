//! Who is next: the pool's bookkeeping over any kind of connection and waiter, without I/O or waking.
//!
//! Two lines. A waiter whose origin is at its own cap stands in that origin's line; one that only lacks room in
//! all stands in the common line. For every origin, sockets open plus its waiters in the common line never exceed
//! its cap, so the head of the common line may always be served: that is what makes first come, first served
//! hold in all without a search. Of an origin whose connections are shared ([`Shared`]) one waiter at a time stands
//! in the common line, while nothing is being opened for it: the others wait for what comes of that.

use std::collections::{BTreeMap, HashMap, VecDeque};

use tokio::time::Instant;

use super::shared::{Key, Left, Shared};
use super::{HostStats, PoolStats};

pub(super) type OriginId = u32;

/// A place in a line: when it was taken, and for which origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) seq: u64,
    origin: OriginId,
}

/// What a waiter is given.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Grant<C, M> {
    /// The right to open a connection.
    Open,
    Conn(C),
    /// Room for one request on a shared connection.
    Stream(Key, M),
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
    /// The places of this origin's waiters in the common line.
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

    pub(super) fn take_idle(&mut self, id: OriginId) -> Option<C> {
        let conn = self.origins[id as usize].idle.pop()?;
        self.idle -= 1;
        Some(conn)
    }

    pub(super) fn shares(&self, id: OriginId) -> bool {
        self.origins[id as usize].shared.possible
    }

    /// Room on a shared connection.
    pub(super) fn take_stream(&mut self, id: OriginId) -> Option<(Key, M)> {
        let (key, conn, was_idle) = self.origins[id as usize].shared.take()?;
        self.idle -= usize::from(was_idle);
        Some((key, conn))
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

    /// A place in line, behind all that were taken before.
    pub(super) fn take_place(&mut self) -> u64 {
        self.next_seq += 1;
        self.next_seq - 1
    }

    pub(super) fn wait(&mut self, id: OriginId, waiter: W) -> Ticket {
        let place = self.take_place();
        self.wait_at(id, place, waiter)
    }

    /// As [`Queues::wait`], at a place that was taken before and is free again.
    pub(super) fn wait_at(&mut self, id: OriginId, seq: u64, waiter: W) -> Ticket {
        self.waiting += 1;
        let may_open = self.may_open(id);
        let origin = &mut self.origins[id as usize];
        if may_open {
            origin.promoted.push_back(seq);
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

    /// A slot was given up before there was a connection in it; `failed` by the server, not by who asked for it.
    /// Whether that one may wait for room on another connection.
    pub(super) fn on_unopened(&mut self, id: OriginId, failed: bool) -> bool {
        let waits = self.origins[id as usize].shared.on_unopened(failed);
        self.on_closed(id);
        if waits {
            // Room may have come meanwhile, which nobody was there for.
            self.freed.push(id);
        }
        waits
    }

    /// Connections that could not be opened a while ago may be tried again.
    pub(super) fn lift_bars(&mut self) {
        for id in 0..self.origins.len() {
            if self.origins[id].shared.lift_bar() {
                self.promote(id as OriginId);
            }
        }
    }

    /// The connection in a slot carries one request at a time.
    pub(super) fn on_single(&mut self, id: OriginId) {
        self.origins[id as usize].shared.on_single();
        self.promote(id);
    }

    /// The connection in a slot is a shared one. It carries its first request already.
    pub(super) fn on_shared(&mut self, id: OriginId, conn: M, limit: usize, led: bool) -> Key {
        let key = self.next_key;
        self.next_key += 1;
        self.origins[id as usize].shared.add(key, conn, limit, led);
        self.promote(id);
        self.freed.push(id);
        key
    }

    /// A request on a shared connection is over. What is given back is to be closed.
    pub(super) fn on_stream_end(&mut self, id: OriginId, key: Key, keep: bool, now: Instant) -> Option<Closed<C, M>> {
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
    pub(super) fn on_shared_change(
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
    pub(super) fn retire(&mut self, id: OriginId, key: Key) -> Option<Closed<C, M>> {
        let gone = self.origins.get_mut(id as usize)?.shared.retire(key);
        self.after_change(id, gone)
    }

    /// A shared connection ended.
    pub(super) fn on_shared_lost(&mut self, id: OriginId, key: Key) -> Option<Closed<C, M>> {
        let gone = self.origins.get_mut(id as usize)?.shared.remove(key)?;
        self.after_change(id, Some(gone))
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

    /// The next waiter that can be served, and what it gets. What has to be closed for it is told by
    /// [`Queues::take_evicted`].
    pub(super) fn next_grant(&mut self) -> Option<(OriginId, Grant<C, M>, W)> {
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
            // Idle ones beside a waiter: it waited for a connection that then could not be shared.
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

    pub(super) fn take_evicted(&mut self) -> Vec<Closed<C, M>> {
        std::mem::take(&mut self.evicted)
    }

    /// A grant reached nobody: its slot, and the connection if there was one, are free again. What is given back
    /// is to be closed.
    pub(super) fn take_back(&mut self, id: OriginId, grant: Grant<C, M>, now: Instant) -> Option<Closed<C, M>> {
        match grant {
            Grant::Conn(conn) => self.on_returned(id, conn).map(Closed::Conn),
            Grant::Stream(key, _) => self.on_stream_end(id, key, true, now),
            Grant::Open => {
                self.on_unopened(id, false);
                None
            }
        }
    }

    pub(super) fn take_all_idle(&mut self) -> Vec<Closed<C, M>> {
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

    /// Shared connections take no new requests, and are closed behind their last ones.
    pub(super) fn retire_all(&mut self) {
        for origin in &mut self.origins {
            origin.shared.retire_all();
        }
    }

    fn on_idle_gone(&mut self, id: usize, count: usize) {
        self.open -= count;
        self.idle -= count;
        self.origins[id].open -= count;
        if count > 0 {
            self.forget_if_unused(id as OriginId);
        }
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

    /// Takes out connections that have been idle since `until` or longer, and says since when the oldest of the others is.
    pub(super) fn expire(
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

    /// Room on a shared connection for the first who waits for one.
    fn grant_stream(&mut self, id: OriginId) -> Option<(OriginId, Grant<C, M>, W)> {
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

    #[cfg(test)]
    pub(super) fn knows(&self, id: OriginId, key: Key) -> bool {
        self.origins[id as usize].shared.knows(key)
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

    /// Room at the origin: its next waiters move to the common line.
    fn promote(&mut self, id: OriginId) {
        while self.may_open(id) {
            let origin = &mut self.origins[id as usize];
            let Some((seq, waiter)) = origin.line.pop_first() else { return };
            origin.promoted.push_back(seq);
            self.common.insert(seq, (id, waiter));
        }
    }

    /// The oldest idle connection of the origin that has most of them. A scan over at most `max` origins, next to
    /// the connect that it makes room for.
    fn evict(&mut self) -> Option<Closed<C, M>> {
        if self.idle == 0 {
            return None;
        }
        let idle = |origin: &Origin<C, W, M>| origin.idle.len() + origin.shared.idle();
        let (id, _) = self.origins.iter().enumerate().max_by_key(|(_, origin)| idle(origin))?;
        let origin = &mut self.origins[id];
        let gone = match origin.idle.is_empty() {
            false => Closed::Conn(origin.idle.remove(0)),
            true => Closed::Shared(origin.shared.evict()?),
        };
        self.idle -= 1;
        self.on_closed(id as OriginId);
        Some(gone)
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
