//! The whole schedule against the modelled servers of the `politeness` example, on virtual time: what it gets and how
//! often it is refused.

#[expect(dead_code, reason = "the example's table needs more of it")]
#[path = "../../examples/politeness/servers.rs"]
mod servers;
#[expect(dead_code, reason = "the example's table needs more of it")]
#[path = "../../examples/politeness/world.rs"]
mod world;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use gannet_core::limit::Learnt;
use gannet_core::retry::Outcome;
use gannet_core::schedule::{Action, RowRef, Schedule, ScheduleOptions, Ticket};
use servers::{Kind, Server};
use world::{Client, Next, Seen, play};

/// Endless rows for one host.
struct Run {
    schedule: Schedule,
    tickets: HashMap<u64, Ticket>,
    read: u64,
}

impl Run {
    fn new() -> Self {
        Run { schedule: Schedule::new(ScheduleOptions::default(), 3), tickets: HashMap::new(), read: 0 }
    }

    #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
    fn taught(learnt: Learnt) -> Self {
        let mut run = Run::new();
        run.schedule.teach(HOST, learnt, Instant::now());
        run
    }

    fn learnt(&self) -> Option<Learnt> {
        self.schedule.learnt().next().map(|(_, learnt)| learnt)
    }
}

impl Client for Run {
    fn poll(&mut self, id: u64, now: Instant) -> Next {
        loop {
            match self.schedule.poll(now) {
                Action::Start(start) => {
                    self.tickets.insert(id, start.ticket);
                    return Next::Started;
                }
                // Some rows in reserve are endless enough, and the schedule would read for ever.
                Action::Read if self.schedule.parked() < 100 => {
                    self.schedule.on_row(RowRef { index: self.read, place: self.read }, HOST, now);
                    self.read += 1;
                }
                Action::Read => self.schedule.on_input_pending(),
                Action::WaitUntil(at) => return Next::Wait(Some(at)),
                Action::WaitForEvent => return Next::Wait(None),
                other => panic!("{other:?}"),
            }
        }
    }

    fn on_outcome(&mut self, id: u64, outcome: Outcome, now: Instant) {
        let ticket = self.tickets.remove(&id).expect("it was started");
        let _ = self.schedule.on_outcome(ticket, outcome, now);
        self.schedule.on_input_ready();
    }
}

#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
fn six_minutes(run: &mut Run, server: &mut Server) -> Seen {
    play(run, server, 360.0, Instant::now())
}

fn bucket(rate: f64, round_trip: f64, seed: u64) -> Server {
    Server::new(Kind::Bucket { rate, burst: rate, asks: true }, round_trip, seed)
}

const HOST: &str = "a.example:443";

#[test]
fn a_token_bucket_is_used_to_nine_tenths_in_the_first_minute_and_to_97_hundredths_from_then_on() {
    for rate in [10.0, 50.0, 200.0] {
        for seed in 1..4 {
            let mut server = bucket(rate, 0.001, seed);
            let seen = six_minutes(&mut Run::new(), &mut server);
            let case = format!("{rate}/s, seed {seed}");
            let used = |from, until| seen.served(from, until) / server.could(from, until);
            assert!(used(0.0, 60.0) >= 0.95, "{case}: {}", used(0.0, 60.0));
            assert!(used(60.0, 360.0) >= 0.98, "{case}: {}", used(60.0, 360.0));
            assert!(seen.refused(0.0, 60.0) < 0.008, "{case}: {}", seen.refused(0.0, 60.0));
            assert!(seen.refused(60.0, 360.0) < 0.001, "{case}: {}", seen.refused(60.0, 360.0));
        }
    }
}

#[test]
fn a_second_run_uses_what_the_first_has_learnt_from_its_start() {
    for rate in [10.0, 50.0, 200.0] {
        let mut first = Run::new();
        six_minutes(&mut first, &mut bucket(rate, 0.001, 1));
        let learnt = first.learnt().unwrap();
        let kept = learnt.rate.unwrap();
        assert!((0.98..=1.0).contains(&(kept / rate)), "{kept} of {rate}");
        let mut second = Run::new();
        #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
        second.schedule.teach(HOST, learnt, Instant::now());
        let mut server = bucket(rate, 0.001, 2);
        let seen = six_minutes(&mut second, &mut server);
        let used = seen.served(0.0, 60.0) / server.could(0.0, 60.0);
        assert!(used >= 0.97 && seen.refused(0.0, 360.0) < 0.001, "{rate}/s: {used}");
    }
}

#[test]
fn a_host_far_away_without_retry_after_or_with_a_small_burst_is_used_well_too() {
    for (kind, round_trip, least, refused) in [
        (Kind::Bucket { rate: 50.0, burst: 50.0, asks: false }, 0.005, 0.97, 0.001),
        (Kind::Bucket { rate: 200.0, burst: 200.0, asks: true }, 0.100, 0.97, 0.001),
        (Kind::Bucket { rate: 50.0, burst: 10.0, asks: true }, 0.005, 0.95, 0.001),
        (Kind::Bucket { rate: 50.0, burst: 1.0, asks: true }, 0.005, 0.93, 0.001),
        (Kind::Sliding { count: 50, window: 1.0 }, 0.005, 0.85, 0.002),
        (Kind::Sliding { count: 600, window: 60.0 }, 0.005, 0.90, 0.002),
    ] {
        let mut server = Server::new(kind, round_trip, 5);
        let seen = six_minutes(&mut Run::new(), &mut server);
        let used = seen.served(60.0, 360.0) / server.could(60.0, 360.0);
        assert!(used >= least, "{kind:?}: {used}");
        assert!(seen.refused(60.0, 360.0) <= refused, "{kind:?}: {}", seen.refused(60.0, 360.0));
    }
}

#[test]
fn a_rate_that_changes_is_followed_down_at_once_and_up_in_time() {
    let mut server = bucket(50.0, 0.005, 1);
    let mut run = Run::new();
    six_minutes(&mut run, &mut server);
    let known = run.learnt().unwrap();
    for (rate, least) in [(20.0, 0.95), (60.0, 0.80)] {
        let mut run = Run::new();
        #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
        run.schedule.teach(HOST, known, Instant::now());
        let mut server = bucket(rate, 0.005, 2);
        let seen = six_minutes(&mut run, &mut server);
        let used = seen.served(60.0, 360.0) / server.could(60.0, 360.0);
        assert!(used >= least && seen.refused(60.0, 360.0) < 0.002, "{rate}/s: {used}");
    }
}

#[test]
fn a_second_run_finds_out_that_its_host_allows_more_and_the_third_begins_there() {
    let mut run = Run::new();
    six_minutes(&mut run, &mut bucket(50.0, 0.005, 1));
    let mut known = run.learnt().unwrap();
    for (number, least) in [(2, 0.55), (3, 0.95)] {
        let mut run = Run::taught(known);
        let mut server = bucket(100.0, 0.005, number);
        let seen = six_minutes(&mut run, &mut server);
        let used = seen.served(60.0, 360.0) / server.could(60.0, 360.0);
        assert!(
            used >= least && seen.refused(0.0, 360.0) < 0.003,
            "run {number}: {used}, {}",
            seen.refused(0.0, 360.0)
        );
        known = run.learnt().unwrap();
        assert!((97.0..=100.5).contains(&known.rate.unwrap()), "run {number}: {known:?}");
    }
}

/// The same on a loaded machine: one timer in eight is up to 200 ms late.
struct Late(Run, gannet_core::retry::Rng);

impl Client for Late {
    fn poll(&mut self, id: u64, now: Instant) -> Next {
        match self.0.poll(id, now) {
            Next::Wait(Some(at)) if self.1.next_u64().is_multiple_of(8) => {
                Next::Wait(Some(at + Duration::from_micros(self.1.next_u64() % 200_000)))
            }
            other => other,
        }
    }

    fn on_outcome(&mut self, id: u64, outcome: Outcome, now: Instant) {
        self.0.on_outcome(id, outcome, now);
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
fn starts_that_the_machine_delays_cost_little_and_overshoot_no_small_burst() {
    for (burst, least) in [(50.0, 0.92), (10.0, 0.7), (1.0, 0.5)] {
        let known = Learnt { rate: Some(49.5), burst: Some(burst), concurrency: Some(16) };
        let mut late = Late(Run::taught(known), gannet_core::retry::Rng::new(7));
        let mut server = Server::new(Kind::Bucket { rate: 50.0, burst, asks: true }, 0.005, 3);
        let seen = play(&mut late, &mut server, 360.0, Instant::now());
        let used = seen.served(60.0, 360.0) / server.could(60.0, 360.0);
        let refused = seen.refused(0.0, 360.0);
        assert!(used >= least && refused < 0.005, "burst {burst}: {used}, {refused}");
    }
}

#[test]
fn a_host_that_slows_down_instead_of_refusing_is_not_pushed_over_its_knee() {
    let mut server = Server::new(Kind::Knee { knee: 10, work: 0.050 }, 0.005, 1);
    let seen = six_minutes(&mut Run::new(), &mut server);
    let used = seen.served(60.0, 360.0) / server.could(60.0, 360.0);
    assert!(used >= 0.7, "32 at once would get 0.32 of it: {used}");
}

#[test]
fn fast_errors_do_not_look_like_a_fast_host() {
    let mut server = Server::new(Kind::FastErrors { workers: 8, work: 0.020 }, 0.005, 1);
    let seen = six_minutes(&mut Run::new(), &mut server);
    assert!(seen.refused(60.0, 360.0) < 0.5, "32 at once would be 0.90: {}", seen.refused(60.0, 360.0));
}
