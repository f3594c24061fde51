//! Whole runs in a simulated world on virtual time: hosts of all kinds, an input that stutters, an output that
//! stops now and then. After each step what must never happen is checked; at the end, that nothing was lost.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use proptest::prelude::*;

use super::tests::t0;
use super::*;
use crate::ErrorKind;
use crate::limit::Rate;
use crate::retry::Rng;

/// How a host behaves.
#[derive(Clone, Copy, Debug)]
enum Host {
    /// Answers in about this many milliseconds.
    Fine(u64),
    /// Answers, with a failure worth a retry in so many of a hundred attempts.
    Flaky(u64),
    /// Says 429 with Retry-After in seconds now and then.
    Limiting(u64),
    /// Never answers: the attempt times out after so many seconds.
    Hung(u64),
    /// Finds this machine short of resources when more than so many are in flight in all.
    Short(usize),
}

/// The world outside the schedule.
#[derive(Clone, Debug)]
struct Setting {
    hosts: Vec<Host>,
    /// The host of each row; `None` is a row that cannot be read.
    rows: Vec<Option<usize>>,
    options: ScheduleOptions,
    seed: u64,
    /// Of a hundred reads, so many find no row yet.
    stutter: u64,
    /// Output and memory pauses: when, for how long (ms), which.
    pauses: Vec<(u64, u64, bool)>,
    /// After how many finished rows the run is stopped.
    stop_after: Option<usize>,
}

struct World {
    setting: Setting,
    schedule: Schedule,
    base: Instant,
    now: Instant,
    rng: Rng,
    events: BinaryHeap<Reverse<(Instant, u64)>>,
    happening: HashMap<u64, Event>,
    read: usize,
    rows: Vec<Row>,
    hosts: Vec<Seen>,
    in_flight: usize,
    finished: usize,
    paused: [bool; 2],
    stopped: bool,
    batches: u64,
    in_batches: u64,
}

enum Event {
    Ends(Ticket, Outcome),
    InputReady,
    Pause(Pause, bool),
}

/// What the world saw of a row.
#[derive(Clone, Default)]
struct Row {
    attempts: u32,
    first_start: Option<Instant>,
    not_before: Option<Instant>,
    finished: Option<Instant>,
    under_way: bool,
}

/// What the world saw of a host.
#[derive(Clone, Default)]
struct Seen {
    in_flight: usize,
    held_until: Option<Instant>,
    starts: Vec<Instant>,
}

impl World {
    fn new(setting: Setting) -> Self {
        let base = t0();
        let mut world = World {
            schedule: Schedule::new(setting.options.clone(), setting.seed),
            base,
            now: base,
            rng: Rng::new(!setting.seed),
            events: BinaryHeap::new(),
            happening: HashMap::new(),
            read: 0,
            rows: vec![Row::default(); setting.rows.len()],
            hosts: vec![Seen::default(); setting.hosts.len()],
            in_flight: 0,
            finished: 0,
            paused: [false; 2],
            stopped: false,
            batches: 0,
            in_batches: 0,
            setting,
        };
        for (at, length, output) in world.setting.pauses.clone() {
            let why = if output { Pause::Output } else { Pause::Memory };
            world.later(Duration::from_millis(at), Event::Pause(why, true));
            world.later(Duration::from_millis(at + length), Event::Pause(why, false));
        }
        world
    }

    fn chance(&mut self, of_a_hundred: u64) -> bool {
        self.rng.next_u64() % 100 < of_a_hundred
    }

    fn later(&mut self, delay: Duration, event: Event) {
        let id = self.rng.next_u64();
        self.events.push(Reverse((self.now + delay, id)));
        self.happening.insert(id, event);
    }

    /// Plays the run to its end.
    fn run(mut self) -> Self {
        let mut steps = 0;
        loop {
            steps += 1;
            assert!(steps < 200_000, "the run goes round in circles");
            match self.schedule.poll(self.now) {
                Action::Start(start) => self.start(start),
                Action::Read => self.read_one(),
                Action::BatchDone { number, rows } => self.batch_done(number, rows),
                Action::Expired { row, attempts } => self.expired(row, attempts),
                Action::WaitUntil(at) => {
                    assert!(at > self.now, "waiting for the past is a spin");
                    self.wait(Some(at));
                }
                Action::WaitForEvent => self.wait(None),
                Action::Done => break,
            }
        }
        self.check_end();
        self
    }

    fn wait(&mut self, until: Option<Instant>) {
        let next = self.events.peek().map(|Reverse((at, _))| *at);
        let Some(at) = [next, until].into_iter().flatten().min() else {
            panic!("stalled: nothing will ever happen");
        };
        self.now = at;
        while self.events.peek().is_some_and(|Reverse((at, _))| *at <= self.now) {
            let Some(Reverse((_, id))) = self.events.pop() else { return };
            match self.happening.remove(&id).unwrap() {
                Event::Ends(ticket, outcome) => self.end(ticket, outcome),
                Event::InputReady => self.schedule.on_input_ready(),
                Event::Pause(why, on) => {
                    self.paused[usize::from(why == Pause::Output)] = on;
                    self.schedule.pause(why, on);
                }
            }
        }
    }

    fn read_one(&mut self) {
        assert!(!self.paused[1] && !self.stopped);
        if self.chance(self.setting.stutter) {
            self.schedule.on_input_pending();
            let delay = Duration::from_micros(self.rng.next_u64() % 50_000);
            self.later(delay, Event::InputReady);
            return;
        }
        let index = self.read;
        if let Some(batch) = self.setting.options.batch {
            assert!(index < self.setting.rows.len() || self.read as u64 <= self.in_batches + batch.get());
            assert!((self.read as u64) < self.in_batches + batch.get(), "read past the batch");
        }
        match self.setting.rows.get(index) {
            None => self.schedule.on_end_of_input(),
            Some(None) => {
                self.read += 1;
                self.rows[index].finished = Some(self.now);
                self.finished += 1;
                self.schedule.on_unreadable(index as u64);
            }
            Some(Some(host)) => {
                self.read += 1;
                let row = RowRef { index: index as u64, place: index as u64 * 37 };
                self.schedule.on_row(row, &format!("host-{host}"), self.now);
            }
        }
        if let Some(max) = self.setting.options.max_parked {
            assert!(self.schedule.parked() + self.schedule.waiting_retry() <= max.max(1) + self.short_allowance());
        }
    }

    /// Rows in flight may come back to wait beyond `max_parked`, which bounds reading.
    fn short_allowance(&self) -> usize {
        self.setting.options.limits.concurrency
    }

    fn start(&mut self, start: Start) {
        let limits = &self.setting.options.limits;
        let index = start.row.index as usize;
        assert_eq!(start.row.place, start.row.index * 37);
        assert!(!self.stopped && self.paused == [false; 2]);
        let host = self.setting.rows[index].unwrap();
        let (row, seen) = (&mut self.rows[index], &mut self.hosts[host]);
        assert!(row.finished.is_none() && !row.under_way, "a row is under way once");
        assert!(row.not_before.is_none_or(|at| at <= self.now), "started before its backoff was over");
        assert!(seen.held_until.is_none_or(|until| until <= self.now), "started on a held host");
        assert_eq!(start.attempt, row.attempts + 1);
        assert!(start.attempt <= self.setting.options.retry.attempts);
        let first = *row.first_start.get_or_insert(self.now);
        assert_eq!(start.deadline, self.setting.options.deadline.map(|allowed| first + allowed));
        assert!(start.deadline.is_none_or(|deadline| self.now < deadline));
        row.under_way = true;
        seen.in_flight += 1;
        seen.starts.push(self.now);
        self.in_flight += 1;
        assert!(self.in_flight <= limits.concurrency && self.in_flight == self.schedule.in_flight());
        assert!(limits.per_host.is_none_or(|most| seen.in_flight <= most));
        let (delay, outcome) = self.fate(host);
        self.later(delay, Event::Ends(start.ticket, outcome));
    }

    fn fate(&mut self, host: usize) -> (Duration, Outcome) {
        let quick = Duration::from_micros(1 + self.rng.next_u64() % 20_000);
        let host = self.setting.hosts[host];
        match host {
            Host::Fine(millis) => (Duration::from_millis(millis) + quick, Outcome::response(200)),
            Host::Flaky(share) if self.chance(share) => {
                let outcome = match self.rng.next_u64() % 4 {
                    0 => Outcome::response(503),
                    1 => Outcome::failure(ErrorKind::Connection),
                    2 => Outcome::response(500).repeatable(false),
                    _ => Outcome::response(404),
                };
                (quick, outcome)
            }
            Host::Limiting(seconds) if self.chance(20) => {
                let after = Duration::from_secs(self.rng.next_u64() % (seconds + 1));
                (quick, Outcome::response(429).retry_after(Some(after)).repeatable(false))
            }
            Host::Flaky(_) | Host::Limiting(_) => (quick, Outcome::response(200)),
            Host::Hung(seconds) => (Duration::from_secs(seconds), Outcome::failure(ErrorKind::TimeoutTotal)),
            Host::Short(fits) if self.in_flight > fits => {
                (Duration::from_micros(1), Outcome::failure(ErrorKind::Resources))
            }
            Host::Short(_) => (quick, Outcome::response(200)),
        }
    }

    fn end(&mut self, ticket: Ticket, outcome: Outcome) {
        let index = ticket.row().index as usize;
        let host = self.setting.rows[index].unwrap();
        self.in_flight -= 1;
        self.hosts[host].in_flight -= 1;
        self.rows[index].under_way = false;
        if let Some(after) = outcome.retry_after {
            let held = &mut self.hosts[host].held_until;
            *held = (*held).max(Some(self.now + after));
        }
        if outcome.error != Some(ErrorKind::Resources) {
            self.rows[index].attempts += 1;
        }
        match self.schedule.on_outcome(ticket, outcome, self.now) {
            Verdict::Finished => self.finish(index),
            Verdict::Retry { at } => self.rows[index].not_before = Some(at),
            Verdict::Requeued => assert_eq!(outcome.error, Some(ErrorKind::Resources)),
        }
    }

    fn finish(&mut self, index: usize) {
        let before = self.rows[index].finished.replace(self.now);
        assert_eq!(before, None, "row {index} finished twice");
        self.finished += 1;
        if self.setting.stop_after == Some(self.finished) {
            self.schedule.stop();
            self.stopped = true;
        }
    }

    fn expired(&mut self, row: RowRef, attempts: u32) {
        let index = row.index as usize;
        assert!(self.setting.options.deadline.is_some() && !self.rows[index].under_way);
        assert_eq!(attempts, self.rows[index].attempts);
        self.finish(index);
    }

    fn batch_done(&mut self, number: u64, rows: u64) {
        self.batches += 1;
        assert_eq!(number, self.batches);
        self.in_batches += rows;
        assert_eq!(self.in_batches, self.read as u64, "a batch ends where reading stands");
        assert_eq!(self.finished, self.read, "a batch is done when all its rows are");
    }

    fn check_end(&self) {
        assert_eq!(self.in_flight, 0);
        assert_eq!(self.schedule.finished(), self.finished as u64);
        assert_eq!(self.schedule.unfinished(), (self.read - self.finished) as u64);
        if !self.stopped {
            assert_eq!(self.finished, self.setting.rows.len(), "every row is finished");
            let batches = self.setting.options.batch.map_or(0, |size| (self.finished as u64).div_ceil(size.get()));
            assert_eq!(self.batches, batches);
        }
        if let Some(rate) = self.setting.options.limits.rate {
            let most = rate.as_f64().ceil() as usize + rate.burst() as usize;
            for seen in &self.hosts {
                let apart = seen.starts.iter().zip(seen.starts.iter().skip(most));
                for (first, last) in apart {
                    assert!(*last - *first >= Duration::from_secs(1), "more than {most} starts in a second");
                }
            }
        }
    }

    /// When the last row of these hosts was finished, from the start of the run.
    fn done_after(&self, wanted: impl Fn(usize) -> bool) -> Duration {
        let of_wanted = |(host, _): &(&Option<usize>, &Row)| host.is_some_and(&wanted);
        let rows = self.setting.rows.iter().zip(&self.rows).filter(of_wanted);
        rows.map(|(_, row)| row.finished.unwrap() - self.base).max().unwrap_or_default()
    }
}

fn setting(hosts: Vec<Host>, rows: Vec<Option<usize>>, limits: Limits) -> Setting {
    let options = ScheduleOptions { limits, ..ScheduleOptions::default() };
    Setting { hosts, rows, options, seed: 5, stutter: 0, pauses: Vec::new(), stop_after: None }
}

#[test]
fn a_hung_host_with_half_the_rows_sorted_first_costs_the_others_nothing() {
    let hosts: Vec<_> = [Host::Hung(60)].into_iter().chain((0..40).map(|_| Host::Fine(30))).collect();
    let others = |count: usize| (0..count).map(move |row| Some(1 + row * 40 / count));
    let limits = Limits { concurrency: 400, per_host: Some(8), rate: None };
    let alone = setting(hosts.clone(), others(2_000).collect(), limits.clone());
    let mut both = setting(hosts, (0..2_000).map(|_| Some(0)).chain(others(2_000)).collect(), limits);
    // So that the hung rows end within the steps of a test: what the others see of them is the same.
    both.options.retry.attempts = 1;
    let without = World::new(alone).run().done_after(|host| host > 0);
    let with = World::new(both).run().done_after(|host| host > 0);
    assert!(with <= without.mul_f64(1.02), "{with:?} with the hung host, {without:?} without");
}

#[test]
fn an_input_sorted_by_host_keeps_all_hosts_busy() {
    let limits = Limits { concurrency: 64, per_host: Some(8), rate: None };
    let hosts = vec![Host::Fine(30); 8];
    let sorted = (0..4_000).map(|row| Some(row / 500)).collect();
    let mixed = (0..4_000).map(|row| Some(row % 8)).collect();
    let sorted = World::new(setting(hosts.clone(), sorted, limits.clone())).run().done_after(|_| true);
    let mixed = World::new(setting(hosts, mixed, limits)).run().done_after(|_| true);
    assert!(sorted <= mixed.mul_f64(1.05), "{sorted:?} sorted, {mixed:?} mixed");
}

fn any_host() -> impl Strategy<Value = Host> {
    prop_oneof![
        3 => (0u64..200).prop_map(Host::Fine),
        3 => (0u64..=100).prop_map(Host::Flaky),
        2 => (0u64..30).prop_map(Host::Limiting),
        1 => (1u64..60).prop_map(Host::Hung),
        1 => (0usize..20).prop_map(Host::Short),
    ]
}

fn any_options() -> impl Strategy<Value = ScheduleOptions> {
    let limits = (1usize..40, prop::option::of(1usize..10), prop::option::of(0.5f64..200.0)).prop_map(
        |(concurrency, per_host, rate)| {
            let rate = rate.and_then(|starts| Rate::per_second(starts).ok());
            Limits { concurrency, per_host, rate }
        },
    );
    let deadline = prop::option::of((1u64..90_000).prop_map(Duration::from_millis));
    let bounds = (1u32..5, prop::option::of(1u64..80), prop::option::of(0usize..30));
    let polite = prop_oneof![Just(PolitenessOptions::default()), Just(PolitenessOptions::off())];
    (limits, bounds, deadline, polite).prop_map(|(limits, (attempts, batch, max_parked), deadline, polite)| {
        ScheduleOptions {
            limits,
            retry: RetryPolicy { attempts, ..RetryPolicy::default() },
            polite,
            batch: batch.and_then(NonZeroU64::new),
            deadline,
            max_parked,
        }
    })
}

fn any_setting() -> impl Strategy<Value = Setting> {
    let rows = |hosts: usize| {
        let row = prop_oneof![9 => (0..hosts).prop_map(Some), 1 => Just(None)];
        (prop::collection::vec(row, 0..200), any::<bool>()).prop_map(|(mut rows, sorted)| {
            if sorted {
                rows.sort_unstable();
            }
            rows
        })
    };
    let hosts = prop::collection::vec(any_host(), 1..8);
    let hosts_and_rows = hosts.prop_flat_map(move |hosts| {
        let count = hosts.len();
        (Just(hosts), rows(count))
    });
    let pauses = prop::collection::vec((0u64..5_000, 1u64..3_000, any::<bool>()), 0..3);
    let stop_after = prop_oneof![4 => Just(None), 1 => (1usize..100).prop_map(Some)];
    (hosts_and_rows, any_options(), any::<u64>(), 0u64..60, pauses, stop_after).prop_map(
        |((hosts, rows), options, seed, stutter, pauses, stop_after)| Setting {
            hosts,
            rows,
            options,
            seed,
            stutter,
            pauses,
            stop_after,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2_000, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn every_run_keeps_its_limits_and_finishes_every_row_once(setting in any_setting()) {
        // Resources that never suffice would keep a run waiting for ever, as they should.
        let mut setting = setting;
        for host in &mut setting.hosts {
            if let Host::Short(fits) = host {
                *fits = (*fits).max(1);
            }
        }
        World::new(setting).run();
    }
}
