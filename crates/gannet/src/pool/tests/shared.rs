//! Connections that many requests share, beside others that turn out not to be: over random histories no cap is
//! exceeded, no connection carries more than it may, nobody waits beside room, and everybody is served in the end.

use std::collections::BTreeMap;

use super::*;
use crate::pool::shared::Key;

#[derive(Clone, Debug)]
enum Op {
    Checkout(usize),
    /// One of the connections on its way is there: whether it can be shared, and by how many.
    Opened(Index, bool, usize),
    /// One could not be opened; or who opened it left.
    Unopened(Index, bool),
    /// What could not be opened may be tried again.
    Lift,
    /// One of the requests is over.
    End(Index),
    /// A server says what it allows, or that it is going away.
    Change(Index, usize, bool),
    /// A shared connection ends.
    Lost(Index),
    Leave(Index),
    /// The next grant reaches nobody.
    ToNobody,
    Expire(u64),
    /// Other caps from now on.
    Caps(usize, usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        8 => (0..ORIGINS).prop_map(Op::Checkout),
        4 => (any::<Index>(), prop::bool::weighted(0.8), 1..5usize).prop_map(|(at, shared, n)| Op::Opened(at, shared, n)),
        1 => (any::<Index>(), any::<bool>()).prop_map(|(at, failed)| Op::Unopened(at, failed)),
        1 => Just(Op::Lift),
        5 => any::<Index>().prop_map(Op::End),
        2 => (any::<Index>(), 1..5usize, prop::bool::weighted(0.2)).prop_map(|(at, n, away)| Op::Change(at, n, away)),
        1 => any::<Index>().prop_map(Op::Lost),
        1 => any::<Index>().prop_map(Op::Leave),
        1 => Just(Op::ToNobody),
        1 => (0..20u64).prop_map(Op::Expire),
        1 => (1..6usize, 1..6usize).prop_map(|(max, per)| Op::Caps(max, per)),
    ];
    prop::collection::vec(op, 1..200)
}

/// What a request holds.
#[derive(Clone, Copy, Debug)]
enum Holds {
    /// With the place in line that it was opened for.
    Opening(u64),
    Conn(u64),
    Stream(Key),
}

struct Carrier {
    origin: usize,
    id: OriginId,
    limit: usize,
    going: bool,
}

struct World {
    queues: Queues<u64, u64, usize>,
    max: usize,
    per: usize,
    held: Vec<(usize, OriginId, Holds)>,
    idle: BTreeMap<u64, usize>,
    carriers: BTreeMap<Key, Carrier>,
    waiting: Vec<(u64, usize, Ticket)>,
    /// Sockets after the last step, in all and per origin: beyond a cap that was lowered they only become fewer.
    open: (usize, [usize; ORIGINS]),
    now: u64,
    next: u64,
    to_nobody: bool,
}

impl World {
    fn new(max: usize, per: usize) -> Self {
        World {
            queues: Queues::new(max, per),
            max,
            per,
            held: Vec::new(),
            idle: BTreeMap::new(),
            carriers: BTreeMap::new(),
            waiting: Vec::new(),
            open: (0, [0; ORIGINS]),
            now: 0,
            next: 0,
            to_nobody: false,
        }
    }

    fn step(&mut self, op: &Op) {
        self.now += 1;
        match *op {
            Op::Checkout(origin) => self.checkout(origin),
            Op::Opened(at, shared, limit) => {
                if let Some(at) = self.pick(at, |holds| matches!(holds, Holds::Opening(_))) {
                    self.opened(at, shared, limit);
                }
            }
            Op::Unopened(at, failed) => {
                if let Some(at) = self.pick(at, |holds| matches!(holds, Holds::Opening(_))) {
                    self.unopened(at, failed);
                }
            }
            Op::End(at) => {
                if let Some(at) = self.pick(at, |holds| !matches!(holds, Holds::Opening(_))) {
                    self.end(at);
                }
            }
            Op::Change(at, limit, going) => {
                if let Some(key) = self.some_carrier(at) {
                    let carrier = self.carriers.get_mut(&key).unwrap();
                    carrier.limit = limit;
                    carrier.going |= going;
                    let gone = self.queues.on_shared_change(carrier.id, key, limit, going);
                    assert_eq!(gone.is_some(), self.carriers[&key].going && self.streams(key) == 0);
                    self.closed(gone);
                }
            }
            Op::Lost(at) => {
                if let Some(key) = self.some_carrier(at) {
                    let gone = self.queues.on_shared_lost(self.carriers[&key].id, key);
                    assert!(gone.is_some());
                    self.closed(gone);
                }
            }
            Op::Lift => self.queues.lift_bars(),
            Op::Leave(at) => {
                if !self.waiting.is_empty() {
                    let (waiter, _, ticket) = self.waiting.remove(at.index(self.waiting.len()));
                    assert_eq!(self.queues.leave(ticket), Some(waiter));
                }
            }
            Op::ToNobody => self.to_nobody = true,
            Op::Expire(age) => {
                let until = moment(self.now.saturating_sub(age));
                let (gone, _) = self.queues.expire(until, |_| until);
                self.closed(gone);
            }
            Op::Caps(max, per) => self.set_caps(max, per),
        }
        self.serve();
        self.check();
    }

    /// What carries requests goes on, and each origin keeps one connection for new ones.
    fn set_caps(&mut self, max: usize, per: usize) {
        let usable = |world: &World, origin: usize| {
            let mut own = world.carriers.iter().filter(|(_, carrier)| carrier.origin == origin && !carrier.going);
            own.any(|(key, _)| world.streams(*key) > 0)
        };
        let before: Vec<usize> = (0..ORIGINS).filter(|&origin| usable(self, origin)).collect();
        let gone = self.queues.set_caps(max, per);
        (self.max, self.per) = (max, per);
        self.closed(gone);
        for (key, carrier) in &mut self.carriers {
            carrier.going |= !self.queues.takes_new(carrier.id, *key);
        }
        assert!(before.iter().all(|&origin| usable(self, origin)), "an origin has no connection any more");
    }

    /// One of the requests that hold such a thing.
    fn pick(&self, at: Index, fits: impl Fn(Holds) -> bool) -> Option<usize> {
        let all: Vec<usize> = (0..self.held.len()).filter(|&n| fits(self.held[n].2)).collect();
        (!all.is_empty()).then(|| *at.get(&all))
    }

    fn some_carrier(&self, at: Index) -> Option<Key> {
        let all: Vec<Key> = self.carriers.keys().copied().collect();
        (!all.is_empty()).then(|| *at.get(&all))
    }

    fn streams(&self, key: Key) -> usize {
        self.held.iter().filter(|(_, _, holds)| matches!(holds, Holds::Stream(of) if *of == key)).count()
    }

    fn checkout(&mut self, origin: usize) {
        let id = self.queues.intern(&format!("https://{origin}"), true);
        if let Some(conn) = self.queues.take_idle(id) {
            assert_eq!(self.idle.remove(&conn), Some(origin));
            self.held.push((origin, id, Holds::Conn(conn)));
        } else if let Some((key, of)) = self.queues.take_stream(id) {
            assert_eq!(of, origin);
            self.held.push((origin, id, Holds::Stream(key)));
        } else if let Some(evicted) = self.queues.open(id) {
            self.closed(evicted);
            let place = self.queues.take_place();
            self.held.push((origin, id, Holds::Opening(place)));
        } else {
            self.next += 1;
            let ticket = self.queues.wait(id, self.next);
            self.waiting.push((self.next, origin, ticket));
        }
    }

    fn opened(&mut self, at: usize, shared: bool, limit: usize) {
        let (origin, id, _) = self.held[at];
        self.held[at].2 = if shared {
            let key = self.queues.on_shared(id, origin, limit, true);
            self.carriers.insert(key, Carrier { origin, id, limit, going: false });
            Holds::Stream(key)
        } else {
            self.queues.on_single(id);
            self.next += 1;
            Holds::Conn(self.next)
        };
    }

    /// Who failed and may wait for room stands where it stood before.
    fn unopened(&mut self, at: usize, failed: bool) {
        let (origin, id, holds) = self.held.remove(at);
        let Holds::Opening(place) = holds else { unreachable!("picked") };
        if self.queues.on_unopened(id, failed) {
            assert!(failed && self.carriers.values().any(|carrier| carrier.origin == origin && !carrier.going));
            self.next += 1;
            let ticket = self.queues.wait_at(id, place, self.next);
            let before = self.waiting.iter().take_while(|(_, _, other)| other.seq < place).count();
            self.waiting.insert(before, (self.next, origin, ticket));
        }
    }

    fn end(&mut self, at: usize) {
        let (origin, id, holds) = self.held.remove(at);
        match holds {
            Holds::Stream(key) => {
                let gone = self.queues.on_stream_end(id, key, true, moment(self.now));
                self.closed(gone);
            }
            Holds::Conn(conn) if self.queues.wants_room(id) => {
                let _ = conn;
                self.queues.on_closed(id);
            }
            Holds::Conn(conn) => {
                self.idle.insert(conn, origin);
                assert_eq!(self.queues.on_returned(id, conn), None);
            }
            Holds::Opening(_) => unreachable!("picked"),
        }
    }

    fn serve(&mut self) {
        while let Some((id, grant, waiter)) = self.queues.next_grant() {
            let evicted = self.queues.take_evicted();
            self.closed(evicted);
            let place = self.waiting.iter().position(|(known, ..)| *known == waiter).expect("granted to a stranger");
            let (_, origin, ticket) = self.waiting.remove(place);
            let earlier = self.waiting[..place].iter().any(|(_, of, _)| *of == origin);
            assert!(!earlier, "{waiter} was served before another of its origin");
            if let Grant::Conn(conn) = grant {
                self.idle.remove(&conn);
            }
            if std::mem::take(&mut self.to_nobody) {
                if let Grant::Conn(conn) = grant {
                    self.idle.insert(conn, origin);
                }
                let gone = self.queues.take_back(id, grant, moment(self.now));
                self.closed(gone);
                continue;
            }
            let holds = match grant {
                Grant::Open => Holds::Opening(ticket.seq),
                Grant::Conn(conn) => Holds::Conn(conn),
                Grant::Stream(key, _) => {
                    assert!(self.streams(key) < self.carriers[&key].limit, "more than the server allows");
                    assert!(!self.carriers[&key].going, "on a connection that goes away");
                    Holds::Stream(key)
                }
            };
            self.held.push((origin, id, holds));
        }
    }

    fn closed(&mut self, gone: impl IntoIterator<Item = Closed<u64, usize>>) {
        for closed in gone {
            match closed {
                Closed::Conn(conn) => assert!(self.idle.remove(&conn).is_some(), "closed twice, or never idle"),
                Closed::Shared(_) => self.forget_carriers(),
            }
        }
    }

    /// A shared connection is gone: the one that the queues do not know any more.
    fn forget_carriers(&mut self) {
        self.carriers.retain(|key, carrier| self.queues.knows(carrier.id, *key));
    }

    fn open_at(&self, origin: usize) -> usize {
        let own = |(of, _, holds): &&(usize, OriginId, Holds)| *of == origin && !matches!(holds, Holds::Stream(_));
        let carriers = self.carriers.values().filter(|carrier| carrier.origin == origin).count();
        self.held.iter().filter(own).count() + self.idle.values().filter(|&&of| of == origin).count() + carriers
    }

    fn check(&mut self) {
        let open: usize = (0..ORIGINS).map(|origin| self.open_at(origin)).sum();
        let idle = self.idle.len() + self.carriers.keys().filter(|key| self.streams(**key) == 0).count();
        let stats = self.queues.stats();
        assert_eq!((stats.open, stats.idle, stats.waiting), (open, idle, self.waiting.len()));
        assert!(open <= self.max || (idle == 0 && open <= self.open.0), "beyond the cap, {open} open and {idle} idle");
        self.open.0 = open;
        for origin in 0..ORIGINS {
            let at = self.open_at(origin);
            assert!(at <= self.per || at <= self.open.1[origin], "beyond its own cap");
            self.open.1[origin] = at;
            if !self.waiting.iter().any(|(_, of, _)| *of == origin) {
                continue;
            }
            let has_room = |(key, carrier): (&Key, &Carrier)| {
                carrier.origin == origin && !carrier.going && self.streams(*key) < carrier.limit
            };
            assert!(!self.carriers.iter().any(has_room), "someone waits beside room on a shared connection");
            assert!(self.idle.values().all(|of| *of != origin), "someone waits beside an idle connection");
            let opening = self.held.iter().any(|(of, _, holds)| *of == origin && matches!(holds, Holds::Opening(_)));
            let full = self.open_at(origin) >= self.per || (open >= self.max && idle == 0);
            let unsettled = self.carriers.values().any(|carrier| carrier.origin == origin);
            assert!(opening || full || unsettled, "someone waits for nothing");
        }
    }

    fn finish(mut self) {
        for _ in 0..10_000 {
            let Some((_, id, holds)) = self.held.pop() else { break };
            match holds {
                Holds::Opening(_) => drop(self.queues.on_unopened(id, true)),
                Holds::Conn(_) => self.queues.on_closed(id),
                Holds::Stream(key) => {
                    let gone = self.queues.on_stream_end(id, key, false, moment(self.now));
                    self.closed(gone);
                }
            }
            self.serve();
            self.check();
        }
        assert!(self.waiting.is_empty() && self.held.is_empty(), "waiters were left behind");
        let gone = self.queues.take_all_idle();
        self.closed(gone);
        self.carriers.clear();
        self.check();
        assert_eq!(self.queues.known_origins(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn no_history_with_shared_connections_breaks_a_cap_or_forgets_a_waiter(
        max in 1..6usize, per in 1..6usize, ops in ops()
    ) {
        let mut world = World::new(max, per);
        for op in &ops {
            world.step(op);
        }
        world.finish();
    }
}

#[test]
fn one_connect_serves_all_who_ask_meanwhile_and_the_next_is_opened_only_when_it_is_full() {
    let mut queues: Queues<u64, u64, char> = Queues::new(10, 10);
    let id = queues.intern("https://a", true);
    assert_eq!(queues.open(id), Some(None));
    for waiter in 1..=5 {
        assert_eq!(queues.open(id), None, "one at a time");
        queues.wait(id, waiter);
    }
    let key = queues.on_shared(id, 'm', 3, true);
    assert_eq!(queues.next_grant(), Some((id, Grant::Stream(key, 'm'), 1)));
    assert_eq!(queues.next_grant(), Some((id, Grant::Stream(key, 'm'), 2)));
    // What the server allows is not known yet.
    assert_eq!(queues.next_grant(), None);
    assert_eq!(queues.on_shared_change(id, key, 3, false), None);
    assert_eq!(queues.next_grant(), Some((id, Grant::Open, 3)));
    assert_eq!(queues.next_grant(), None);
    let second = queues.on_shared(id, 'n', 3, true);
    assert_eq!(queues.next_grant(), Some((id, Grant::Stream(second, 'n'), 4)));
    assert_eq!(queues.next_grant(), Some((id, Grant::Stream(second, 'n'), 5)));
    // The least loaded one takes the next.
    assert_eq!(queues.on_stream_end(id, key, true, moment(1)), None);
    assert_eq!(queues.on_stream_end(id, key, true, moment(1)), None);
    assert_eq!(queues.take_stream(id), Some((key, 'm')));
}

#[test]
fn those_who_wait_open_their_own_once_the_first_cannot_be_shared_or_failed() {
    for failed in [false, true] {
        let mut queues: Queues<u64, u64, char> = Queues::new(10, 10);
        let id = queues.intern("https://a", true);
        assert_eq!(queues.open(id), Some(None));
        queues.wait(id, 1);
        queues.wait(id, 2);
        match failed {
            true => assert!(!queues.on_unopened(id, true), "nothing to wait for"),
            false => queues.on_single(id),
        }
        assert_eq!(queues.next_grant(), Some((id, Grant::Open, 1)));
        assert_eq!(queues.next_grant(), Some((id, Grant::Open, 2)));
    }
}

#[test]
fn who_leads_and_leaves_is_followed_by_the_next_alone() {
    let mut queues: Queues<u64, u64, char> = Queues::new(10, 10);
    let id = queues.intern("https://a", true);
    assert_eq!(queues.open(id), Some(None));
    queues.wait(id, 1);
    queues.wait(id, 2);
    assert!(!queues.on_unopened(id, false));
    assert_eq!(queues.next_grant(), Some((id, Grant::Open, 1)));
    assert_eq!(queues.next_grant(), None);
}

#[test]
fn who_could_not_open_one_more_waits_at_its_place_for_room_and_no_other_is_tried_for_a_while() {
    let mut queues: Queues<u64, u64, char> = Queues::new(10, 10);
    let id = queues.intern("https://a", true);
    assert_eq!(queues.open(id), Some(None));
    let key = queues.on_shared(id, 'm', 1, true);
    assert_eq!(queues.on_shared_change(id, key, 1, false), None);
    assert_eq!(queues.open(id), Some(None), "one more");
    let place = queues.take_place();
    queues.wait(id, 2);
    assert!(queues.on_unopened(id, true));
    queues.wait_at(id, place, 1);
    queues.wait(id, 3);
    assert_eq!(queues.next_grant(), None, "no other is tried");
    assert_eq!(queues.on_stream_end(id, key, true, moment(1)), None);
    assert_eq!(queues.next_grant(), Some((id, Grant::Stream(key, 'm'), 1)));
    assert_eq!(queues.next_grant(), None);
    queues.lift_bars();
    assert_eq!(queues.next_grant(), Some((id, Grant::Open, 2)));
    assert!(queues.on_unopened(id, true));
    // The last connection that could be waited for is gone: who is next opens one, whatever was tried before.
    assert_eq!(queues.on_shared_lost(id, key), Some(Closed::Shared('m')));
    assert_eq!(queues.next_grant(), Some((id, Grant::Open, 3)));
    assert!(!queues.on_unopened(id, true));
}

/// An origin whose first connection carries one request at a time, and whose second can be shared: with another on its
/// way and one that carries a request, and the place of whoever opens the other.
fn both_kinds(queues: &mut Queues<u64, u64, char>) -> (OriginId, u64) {
    let id = queues.intern("https://a", true);
    assert_eq!(queues.open(id), Some(None));
    queues.on_single(id);
    assert_eq!(queues.open(id), Some(None));
    let place = queues.take_place();
    assert_eq!(queues.open(id), Some(None));
    (id, place)
}

#[test]
fn who_waits_at_its_place_again_is_before_those_who_came_later_wherever_they_stand() {
    let mut queues: Queues<u64, u64, char> = Queues::new(3, 10);
    let (id, place) = both_kinds(&mut queues);
    // For room in all, since connections of this origin are not expected to be shared now.
    queues.wait(id, 2);
    queues.on_shared(id, 'm', 1, true);
    assert!(queues.on_unopened(id, true));
    queues.wait_at(id, place, 1);
    assert_eq!(queues.next_grant(), Some((id, Grant::Open, 1)));
}

#[test]
fn who_waits_at_its_place_again_gets_the_connection_that_is_idle_by_then() {
    let mut queues: Queues<u64, u64, char> = Queues::new(3, 10);
    let (id, place) = both_kinds(&mut queues);
    queues.on_shared(id, 'm', 1, true);
    assert_eq!(queues.on_returned(id, 7), None);
    assert!(queues.on_unopened(id, true));
    queues.wait_at(id, place, 1);
    assert_eq!(queues.next_grant(), Some((id, Grant::Conn(7), 1)));
}
