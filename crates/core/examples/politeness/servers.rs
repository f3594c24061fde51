//! Models of servers: what each does with a request that arrives at some moment, and how many it could have served.

use std::collections::VecDeque;
use std::time::Duration;

use gannet_core::retry::{Outcome, Rng};

/// A server on virtual time, in seconds from the start.
#[derive(Clone, Debug)]
pub struct Server {
    pub kind: Kind,
    /// There and back, without the server's own work; each request has between 0.8 and 1.2 of it.
    pub round_trip: f64,
    rng: Rng,
    tokens: f64,
    filled: f64,
    log: VecDeque<f64>,
    free_at: Vec<f64>,
    ends: Vec<f64>,
}

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// So many tokens a second, at most `burst` kept; without one 429, with Retry-After in whole seconds or without.
    Bucket { rate: f64, burst: f64, asks: bool },
    /// So many in any `window` seconds; then 429 with the whole seconds until the next is let in.
    Sliding { count: usize, window: f64 },
    /// So many workers, each taking `work` seconds for a request; the others queue.
    Queue { workers: usize, work: f64 },
    /// Up to `knee` at once take `work` seconds; beyond, all take longer, by the square.
    Knee { knee: usize, work: f64 },
    /// As `Queue`, but dead from `from` until `until`: bare 503 in a millisecond.
    Outage { workers: usize, work: f64, from: f64, until: f64 },
    /// As `Queue`, but what finds no worker gets a 500 in a millisecond instead of a place in the line.
    FastErrors { workers: usize, work: f64 },
}

impl Server {
    pub fn new(kind: Kind, round_trip: f64, seed: u64) -> Self {
        let (tokens, workers) = match kind {
            Kind::Bucket { burst, .. } => (burst, 0),
            Kind::Queue { workers, .. } | Kind::Outage { workers, .. } | Kind::FastErrors { workers, .. } => {
                (0.0, workers)
            }
            Kind::Sliding { .. } | Kind::Knee { .. } => (0.0, 0),
        };
        Server {
            kind,
            round_trip,
            rng: Rng::new(seed),
            tokens,
            filled: 0.0,
            log: VecDeque::new(),
            free_at: vec![0.0; workers],
            ends: Vec::new(),
        }
    }

    /// How many it could serve between two moments, if never left idle.
    pub fn could(&self, from: f64, until: f64) -> f64 {
        let length = until - from;
        match self.kind {
            Kind::Bucket { rate, burst, .. } => rate * length + if from == 0.0 { burst } else { 0.0 },
            Kind::Sliding { count, window } => count as f64 * (length / window).ceil(),
            Kind::Queue { workers, work } | Kind::FastErrors { workers, work } => workers as f64 / work * length,
            Kind::Knee { knee, work } => knee as f64 / work * length,
            Kind::Outage { workers, work, from: dead, until: alive } => {
                let lost = (alive.min(until) - dead.max(from)).max(0.0);
                workers as f64 / work * (length - lost)
            }
        }
    }

    /// What it gives a second in the long run.
    pub fn rate(&self) -> f64 {
        match self.kind {
            Kind::Bucket { rate, .. } => rate,
            Kind::Sliding { count, window } => count as f64 / window,
            _ => self.could(0.0, 1.0),
        }
    }

    /// A random share of the round trip: the way there, or back.
    pub fn half_trip(&mut self) -> f64 {
        let share = (self.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        self.round_trip / 2.0 * (0.8 + 0.4 * share)
    }

    /// A request arrives: after how many seconds it answers, and what.
    pub fn on_request(&mut self, now: f64) -> (f64, Outcome) {
        const QUICK: f64 = 0.001;
        match self.kind {
            Kind::Bucket { rate, burst, asks } => {
                self.tokens = (self.tokens + (now - self.filled) * rate).min(burst);
                self.filled = now;
                if self.tokens >= 1.0 {
                    self.tokens -= 1.0;
                    return (0.0, Outcome::response(200));
                }
                (0.0, refused(asks.then(|| (1.0 - self.tokens) / rate)))
            }
            Kind::Sliding { count, window } => {
                while self.log.front().is_some_and(|at| at + window <= now) {
                    self.log.pop_front();
                }
                if self.log.len() < count {
                    self.log.push_back(now);
                    return (0.0, Outcome::response(200));
                }
                (0.0, refused(self.log.front().map(|at| at + window - now)))
            }
            Kind::Outage { from, until, .. } if (from..until).contains(&now) => (QUICK, Outcome::response(503)),
            Kind::Queue { work, .. } | Kind::Outage { work, .. } => (self.work(work, now), Outcome::response(200)),
            Kind::FastErrors { work, .. } => {
                if self.free_at.iter().any(|at| *at <= now) {
                    return (self.work(work, now), Outcome::response(200));
                }
                (QUICK, Outcome::response(500))
            }
            Kind::Knee { knee, work } => {
                self.ends.retain(|end| *end > now);
                let load = (self.ends.len() + 1) as f64 / knee as f64;
                let takes = work * (load * load).max(1.0);
                self.ends.push(now + takes);
                (takes, Outcome::response(200))
            }
        }
    }

    /// The first free worker takes it.
    fn work(&mut self, work: f64, now: f64) -> f64 {
        let first = self.free_at.iter_mut().min_by(|a, b| a.total_cmp(b)).expect("there are workers");
        *first = first.max(now) + work;
        *first - now
    }
}

fn refused(wait: Option<f64>) -> Outcome {
    let asked = wait.map(|wait| Duration::from_secs(wait.ceil().max(1.0) as u64));
    Outcome::response(429).retry_after(asked)
}
