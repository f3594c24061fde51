//! A client with endless work for one host, and a modelled server, on virtual time. Timers are as late as real ones:
//! up to a millisecond.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use gannet_core::retry::Outcome;

use super::servers::Server;

/// Decides when requests start.
pub trait Client {
    /// Starts a request under this number, or says when to ask again (`None`: when something has ended).
    fn poll(&mut self, id: u64, now: Instant) -> Next;
    fn on_outcome(&mut self, id: u64, outcome: Outcome, now: Instant);
}

pub enum Next {
    Started,
    Wait(Option<Instant>),
}

/// What the server saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// Arrivals, with whether it was served.
    pub requests: Vec<(f64, bool)>,
}

impl Seen {
    pub fn served(&self, from: f64, until: f64) -> f64 {
        self.between(from, until).filter(|served| *served).count() as f64
    }

    /// The share of what arrived that was not served.
    pub fn refused(&self, from: f64, until: f64) -> f64 {
        let all = self.between(from, until).count() as f64;
        if all == 0.0 { 0.0 } else { 1.0 - self.served(from, until) / all }
    }

    /// Most arrivals within a second, from a moment on.
    pub fn busiest_second(&self, from: f64) -> f64 {
        let times: Vec<f64> = self.requests.iter().map(|(at, _)| *at).filter(|at| *at >= from).collect();
        let mut first = 0;
        let mut most = 0;
        for (last, at) in times.iter().enumerate() {
            while at - times[first] >= 1.0 {
                first += 1;
            }
            most = most.max(last - first + 1);
        }
        most as f64
    }

    fn between(&self, from: f64, until: f64) -> impl Iterator<Item = bool> {
        self.requests.iter().filter(move |(at, _)| (from..until).contains(at)).map(|(_, served)| *served)
    }
}

enum Event {
    Arrives(u64),
    Ends(u64, Outcome),
}

/// Plays so many seconds.
pub fn play(client: &mut dyn Client, server: &mut Server, seconds: f64, base: Instant) -> Seen {
    let mut world = World { events: BinaryHeap::new(), what: HashMap::new(), serial: 0, sent: HashMap::new() };
    let mut seen = Seen::default();
    let (mut now, mut next) = (0.0, 0);
    while now < seconds {
        match client.poll(next, at(base, now)) {
            Next::Started => {
                world.sent.insert(next, now);
                world.later(now + server.half_trip(), Event::Arrives(next));
                next += 1;
                continue;
            }
            Next::Wait(until) => {
                let timer = until.map(|until| ((until - base).as_secs_f64() * 1000.0).ceil() / 1000.0);
                let event = world.events.peek().map(|Reverse((nanos, _))| *nanos as f64 / 1e9);
                let first = [timer, event].into_iter().flatten().fold(f64::MAX, f64::min);
                now = first.max(now + 1e-9);
            }
        }
        while let Some(event) = world.due(now) {
            match event {
                Event::Arrives(id) => {
                    let (takes, outcome) = server.on_request(now);
                    seen.requests.push((now, outcome.error.is_none()));
                    world.later(now + takes + server.half_trip(), Event::Ends(id, outcome));
                }
                Event::Ends(id, outcome) => {
                    let latency = world.sent.remove(&id).map(|sent| Duration::from_secs_f64(now - sent));
                    client.on_outcome(id, outcome.latency(latency), at(base, now));
                }
            }
        }
    }
    seen
}

struct World {
    /// In nanoseconds, and the serial number of the event.
    events: BinaryHeap<Reverse<(u64, u64)>>,
    what: HashMap<u64, Event>,
    serial: u64,
    sent: HashMap<u64, f64>,
}

impl World {
    fn later(&mut self, at: f64, event: Event) {
        self.serial += 1;
        self.events.push(Reverse(((at * 1e9).ceil() as u64, self.serial)));
        self.what.insert(self.serial, event);
    }

    fn due(&mut self, now: f64) -> Option<Event> {
        let Reverse((nanos, _)) = self.events.peek()?;
        if *nanos as f64 / 1e9 > now {
            return None;
        }
        let Reverse((_, serial)) = self.events.pop()?;
        self.what.remove(&serial)
    }
}

fn at(base: Instant, seconds: f64) -> Instant {
    base + Duration::from_nanos((seconds * 1e9).round() as u64)
}
