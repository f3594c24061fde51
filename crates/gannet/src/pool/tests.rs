//! The pool's invariants over random histories: never above a cap, first come first served, no slot ever lost.

use std::collections::{HashMap, VecDeque};
use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use tokio::time::Instant;

use super::queue::{Closed, Grant, OriginId, Queues, Ticket};

mod shared;

const ORIGINS: usize = 4;

/// A moment of the test's own time.
fn moment(number: u64) -> Instant {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    *START + Duration::from_secs(number)
}

#[derive(Clone, Debug)]
enum Op {
    /// A request for this origin arrives.
    Checkout(usize),
    /// One of the leases comes back fit for use.
    PutBack(Index),
    /// One of the leases is dropped.
    Close(Index),
    /// A waiter gives up.
    Leave(Index),
    /// A grant reaches nobody: the waiter left in that very moment.
    PutBackToNobody(Index),
    CloseToNobody(Index),
    /// Everything idle that was put back before this many steps ago expires.
    Expire(u64),
    EvictAll,
    /// Other caps from now on.
    Caps(usize, usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (0..ORIGINS).prop_map(Op::Checkout),
        3 => any::<Index>().prop_map(Op::PutBack),
        2 => any::<Index>().prop_map(Op::Close),
        2 => any::<Index>().prop_map(Op::Leave),
        1 => any::<Index>().prop_map(Op::PutBackToNobody),
        1 => any::<Index>().prop_map(Op::CloseToNobody),
        1 => (0..20u64).prop_map(Op::Expire),
        1 => Just(Op::EvictAll),
        1 => (1..6usize, 1..6usize).prop_map(|(max, per)| Op::Caps(max, per)),
    ];
    prop::collection::vec(op, 1..200)
}

/// A connection: its number, and when it was last put back.
type Conn = (u64, u64);
/// A waiter: its number, in the order of arrival, and its origin.
type Waiter = (u64, usize);

struct Lease {
    origin: usize,
    id: OriginId,
    conn: Conn,
}

/// The pool as a caller sees it, beside what must be true of it.
struct World {
    queues: Queues<Conn, Waiter, ()>,
    max: usize,
    max_per_origin: usize,
    leases: Vec<Lease>,
    idle: HashMap<u64, usize>,
    waiting: Vec<(Waiter, Ticket)>,
    /// Sockets after the last step, in all and per origin: beyond a cap that was lowered they only become fewer.
    open: (usize, [usize; ORIGINS]),
    now: u64,
    next: u64,
}

impl World {
    fn new(max: usize, max_per_origin: usize) -> Self {
        World {
            queues: Queues::new(max, max_per_origin),
            max,
            max_per_origin,
            leases: Vec::new(),
            idle: HashMap::new(),
            waiting: Vec::new(),
            open: (0, [0; ORIGINS]),
            now: 0,
            next: 0,
        }
    }

    fn step(&mut self, op: &Op) {
        self.now += 1;
        match op {
            Op::Checkout(origin) => self.checkout(*origin),
            Op::PutBack(which) => self.give(which, true, false),
            Op::Close(which) => self.give(which, false, false),
            Op::PutBackToNobody(which) => self.give(which, true, true),
            Op::CloseToNobody(which) => self.give(which, false, true),
            Op::Leave(which) => {
                if !self.waiting.is_empty() {
                    let (waiter, ticket) = self.waiting.remove(which.index(self.waiting.len()));
                    assert_eq!(self.queues.leave(ticket), Some(waiter), "a waiter was lost");
                    assert_eq!(self.queues.leave(ticket), None);
                    self.serve(false);
                }
            }
            Op::Expire(age) => {
                let before = self.now.saturating_sub(*age);
                let (gone, oldest) = self.queues.expire(moment(before), |conn| moment(conn.1));
                self.closed(gone);
                assert!(oldest.is_none_or(|oldest| oldest > moment(before)));
                assert_eq!(oldest.is_none(), self.idle.is_empty());
            }
            Op::EvictAll => {
                let gone = self.queues.take_all_idle();
                self.closed(gone);
                assert!(self.idle.is_empty(), "an idle connection was lost");
            }
            Op::Caps(max, per) => {
                let gone = self.queues.set_caps(*max, *per);
                (self.max, self.max_per_origin) = (*max, *per);
                self.closed(gone);
                self.serve(false);
            }
        }
        self.check();
    }

    fn checkout(&mut self, origin: usize) {
        let id = self.queues.intern(&format!("http://{origin}"), false);
        if let Some(conn) = self.queues.take_idle(id) {
            assert_eq!(self.idle.remove(&conn.0), Some(origin), "a connection of another origin, or one given twice");
            self.leases.push(Lease { origin, id, conn });
        } else if let Some(evicted) = self.queues.open(id) {
            assert_eq!(evicted.is_some(), self.leases.len() + self.idle.len() == self.max, "closed without need");
            self.closed(evicted);
            let conn = self.fresh();
            self.leases.push(Lease { origin, id, conn });
        } else {
            assert!(self.is_full(origin), "made to wait while there is room");
            let waiter = (self.next, origin);
            self.next += 1;
            let ticket = self.queues.wait(id, waiter);
            self.waiting.push((waiter, ticket));
        }
    }

    fn give(&mut self, which: &Index, fit: bool, to_nobody: bool) {
        if self.leases.is_empty() {
            return;
        }
        let lease = self.leases.swap_remove(which.index(self.leases.len()));
        let conn = (lease.conn.0, self.now);
        let over = self.leases.len() + self.idle.len() >= self.max || self.open_at(lease.origin) >= self.max_per_origin;
        assert_eq!(self.queues.is_over(lease.id), over, "kept beyond a cap, or closed below it");
        if !fit || self.queues.wants_room(lease.id) {
            self.queues.on_closed(lease.id);
        } else {
            assert_eq!(self.queues.on_returned(lease.id, conn), None, "refused though no other origin waits");
            self.idle.insert(conn.0, lease.origin);
        }
        self.serve(to_nobody);
    }

    /// Hands out grants, each to the first in line who can be served by it.
    fn serve(&mut self, mut to_nobody: bool) {
        while let Some((id, grant, waiter)) = self.queues.next_grant() {
            let evicted = self.queues.take_evicted();
            self.closed(evicted);
            let conn = match grant {
                Grant::Conn(conn) => Some(conn),
                Grant::Open => None,
                Grant::Stream(..) => panic!("nothing is shared here"),
            };
            let place = self.waiting.iter().position(|(known, _)| *known == waiter).expect("granted to a stranger");
            let passed_over = self.waiting[..place]
                .iter()
                .find(|((_, origin), _)| *origin == waiter.1 || (conn.is_none() && !self.is_full(*origin)));
            assert!(passed_over.is_none(), "{waiter:?} was served before {passed_over:?}");
            self.waiting.remove(place);
            if let Some(conn) = conn {
                assert_eq!(self.idle.remove(&conn.0), Some(waiter.1));
            }
            if std::mem::take(&mut to_nobody) {
                let grant = conn.map_or(Grant::Open, Grant::Conn);
                let refused = self.queues.take_back(id, grant, moment(self.now));
                match (conn, refused) {
                    (Some(conn), None) => {
                        self.idle.insert(conn.0, waiter.1);
                    }
                    (None, Some(_)) => panic!("a connection from nowhere"),
                    _ => {}
                }
                continue;
            }
            let conn = conn.unwrap_or_else(|| self.fresh());
            self.leases.push(Lease { origin: waiter.1, id, conn });
        }
    }

    fn fresh(&mut self) -> Conn {
        self.next += 1;
        (self.next, self.now)
    }

    fn closed(&mut self, gone: impl IntoIterator<Item = Closed<Conn, ()>>) {
        for closed in gone {
            let Closed::Conn(conn) = closed else { panic!("nothing is shared here") };
            assert!(self.idle.remove(&conn.0).is_some(), "closed twice, or never idle");
        }
    }

    fn open_at(&self, origin: usize) -> usize {
        let leased = self.leases.iter().filter(|lease| lease.origin == origin).count();
        leased + self.idle.values().filter(|&&of| of == origin).count()
    }

    fn is_full(&self, origin: usize) -> bool {
        let leased_out = self.leases.len() + self.idle.len() >= self.max && self.idle.is_empty();
        leased_out || self.open_at(origin) >= self.max_per_origin
    }

    fn check(&mut self) {
        let (open, idle) = (self.leases.len() + self.idle.len(), self.idle.len());
        let stats = self.queues.stats();
        assert_eq!((stats.open, stats.idle, stats.waiting), (open, idle, self.waiting.len()));
        assert!(open <= self.max || (idle == 0 && open <= self.open.0), "beyond the cap, {open} open and {idle} idle");
        self.open.0 = open;
        for origin in 0..ORIGINS {
            let (open, idle) = (self.open_at(origin), self.idle.values().filter(|&&of| of == origin).count());
            assert!(open <= self.max_per_origin || (idle == 0 && open <= self.open.1[origin]), "beyond its own cap");
            self.open.1[origin] = open;
        }
        for ((_, origin), _) in &self.waiting {
            assert!(self.is_full(*origin), "someone waits while there is room");
            assert!(self.idle.values().all(|of| of != origin), "someone waits beside an idle connection");
        }
        let in_use = (0..ORIGINS)
            .filter(|&origin| self.open_at(origin) > 0 || self.waiting.iter().any(|((_, of), _)| *of == origin));
        assert_eq!(
            self.queues.known_origins(),
            in_use.count(),
            "an unused origin is remembered, or a used one forgotten"
        );
    }

    /// Everyone is served in the end, and nothing is left.
    fn finish(mut self) {
        let mut steps = 0;
        while let Some(lease) = self.leases.pop() {
            self.queues.on_closed(lease.id);
            self.serve(false);
            self.check();
            steps += 1;
            assert!(steps < 10_000);
        }
        assert!(self.waiting.is_empty(), "waiters were left behind");
        let gone = self.queues.take_all_idle();
        self.closed(gone);
        self.check();
        assert_eq!(self.queues.known_origins(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn no_history_breaks_a_cap_the_order_or_the_count(max in 1..6usize, per in 1..6usize, ops in ops()) {
        let mut world = World::new(max, per);
        for op in &ops {
            world.step(op);
        }
        world.finish();
    }
}

#[test]
fn places_of_forgotten_origins_are_used_again() {
    let mut queues: Queues<(), (), ()> = Queues::new(10, 10);
    let mut ids = VecDeque::new();
    for number in 0..10_000 {
        let id = queues.intern(&format!("http://{number}"), false);
        assert!(id < 10, "the table grows with every origin ever seen");
        assert_eq!(queues.open(id), Some(None));
        ids.push_back(id);
        if ids.len() == 10 {
            queues.on_closed(ids.pop_front().unwrap());
        }
    }
    assert_eq!(queues.known_origins(), 9);
}

#[test]
fn a_place_in_line_of_a_forgotten_origin_disturbs_nobody() {
    let mut queues: Queues<u8, char, ()> = Queues::new(1, 1);
    let a = queues.intern("a", false);
    assert_eq!(queues.open(a), Some(None));
    let ticket = queues.wait(a, 'a');
    queues.on_closed(a);
    assert_eq!(queues.next_grant(), Some((a, Grant::Open, 'a')));
    queues.on_closed(a);
    let b = queues.intern("b", false);
    assert_eq!(b, a, "the place is used again");
    assert_eq!(queues.open(b), Some(None));
    queues.wait(b, 'b');
    assert_eq!(queues.leave(ticket), None);
    assert_eq!(queues.stats().waiting, 1);
}
