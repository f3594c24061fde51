//! The policies that were compared, and a client that follows one. All obey Retry-After.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use gannet_core::limit::{Adaptive, Load, Pace, Signal};
use gannet_core::retry::Outcome;

use super::world::{Client, Next};

/// When one host may be asked.
pub trait Policy {
    fn allows(&self, in_flight: u32) -> bool;
    fn opens_at(&self, now: Instant) -> Instant;
    fn on_start(&mut self, now: Instant);
    fn on_outcome(&mut self, started: Instant, outcome: &Outcome, load: Load, now: Instant);
}

/// Most in flight to a host, as `limits.per_host` has it.
const CEILING: u32 = 32;

/// Endless work, under a policy.
pub struct Worker<P> {
    policy: P,
    started: HashMap<u64, Instant>,
    hold: Option<Instant>,
}

impl<P: Policy> Worker<P> {
    pub fn new(policy: P) -> Self {
        Worker { policy, started: HashMap::new(), hold: None }
    }

    pub fn policy(&self) -> &P {
        &self.policy
    }
}

impl<P: Policy> Client for Worker<P> {
    fn poll(&mut self, id: u64, now: Instant) -> Next {
        let in_flight = self.started.len() as u32;
        if in_flight >= CEILING || !self.policy.allows(in_flight) {
            return Next::Wait(None);
        }
        let opens = self.hold.map_or(now, |hold| hold.max(now)).max(self.policy.opens_at(now));
        if opens > now {
            return Next::Wait(Some(opens));
        }
        self.policy.on_start(now);
        self.started.insert(id, now);
        Next::Started
    }

    fn on_outcome(&mut self, id: u64, outcome: Outcome, now: Instant) {
        let in_flight = self.started.len() as u32;
        let started = self.started.remove(&id).expect("it was started");
        if let Some(asked) = outcome.retry_after {
            self.hold = self.hold.max(Some(now + asked));
        }
        self.policy.on_outcome(started, &outcome, Load { in_flight, ceiling: CEILING }, now);
    }
}

/// As many at once as allowed.
pub struct Fixed;

impl Policy for Fixed {
    fn allows(&self, _in_flight: u32) -> bool {
        true
    }

    fn opens_at(&self, now: Instant) -> Instant {
        now
    }

    fn on_start(&mut self, _now: Instant) {}

    fn on_outcome(&mut self, _started: Instant, _outcome: &Outcome, _load: Load, _now: Instant) {}
}

/// What is shipped.
impl Policy for Pace {
    fn allows(&self, in_flight: u32) -> bool {
        Pace::allows(self, in_flight)
    }

    fn opens_at(&self, now: Instant) -> Instant {
        Pace::opens_at(self, now)
    }

    fn on_start(&mut self, now: Instant) {
        Pace::on_start(self, now);
    }

    fn on_outcome(&mut self, started: Instant, outcome: &Outcome, load: Load, now: Instant) {
        Pace::on_outcome(self, started, outcome, load, now);
    }
}

/// Adaptive concurrency, and above it a gate on the rate or none.
pub struct Aimd<G> {
    adaptive: Adaptive,
    gate: G,
}

impl<G: Gate> Aimd<G> {
    pub fn new(gate: G) -> Self {
        Aimd { adaptive: Adaptive::new(None), gate }
    }
}

/// The rate after a refusal; `None` before the first.
pub trait Gate {
    fn opens_at(&self, now: Instant) -> Instant;
    fn on_start(&mut self, now: Instant);
    fn on_outcome(&mut self, started: Instant, refused: bool, now: Instant);
}

impl<G: Gate> Policy for Aimd<G> {
    fn allows(&self, in_flight: u32) -> bool {
        in_flight < self.adaptive.limit()
    }

    fn opens_at(&self, now: Instant) -> Instant {
        self.gate.opens_at(now)
    }

    fn on_start(&mut self, now: Instant) {
        self.gate.on_start(now);
    }

    fn on_outcome(&mut self, started: Instant, outcome: &Outcome, load: Load, now: Instant) {
        let signal = Signal::of(outcome);
        match signal {
            Signal::Served { latency } => self.adaptive.on_answer(latency, load.in_flight, load.ceiling),
            Signal::Refused { .. } | Signal::Troubled => self.adaptive.on_trouble(started, now),
            Signal::Failed => self.adaptive.on_failure(started, now),
            Signal::LetIn | Signal::Silent => {}
        }
        self.gate.on_outcome(started, matches!(signal, Signal::Refused { .. }), now);
    }
}

/// No gate: adaptive concurrency alone.
pub struct NoGate;

impl Gate for NoGate {
    fn opens_at(&self, now: Instant) -> Instant {
        now
    }

    fn on_start(&mut self, _now: Instant) {}

    fn on_outcome(&mut self, _started: Instant, _refused: bool, _now: Instant) {}
}

/// How the rate comes back after a refusal.
#[derive(Clone, Copy)]
pub enum Recovery {
    /// As AWS SDKs: down to 0.7 of what was measured, back to it along a cubic, and on beyond.
    Cubic,
    /// To 0.97 of what was measured, and up by a hundredth every ten seconds.
    JustUnder,
}

/// A rate measured in buckets of half a second, smoothed by 0.8 (AWS), or let in over ten seconds (`JustUnder`).
pub struct Measured {
    recovery: Recovery,
    rate: Option<f64>,
    top: f64,
    refused_at: Option<Instant>,
    next_at: Option<Instant>,
    bucket_at: Option<Instant>,
    in_bucket: f64,
    measured: f64,
    recent: std::collections::VecDeque<Instant>,
}

impl Measured {
    pub fn new(recovery: Recovery) -> Self {
        Measured {
            recovery,
            rate: None,
            top: 0.0,
            refused_at: None,
            next_at: None,
            bucket_at: None,
            in_bucket: 0.0,
            measured: 0.0,
            recent: std::collections::VecDeque::new(),
        }
    }

    fn measure(&mut self, now: Instant) {
        let since = *self.bucket_at.get_or_insert(now);
        self.in_bucket += 1.0;
        let passed = (now - since).as_secs_f64();
        if passed >= 0.5 {
            self.measured = 0.8 * self.in_bucket / passed + 0.2 * self.measured;
            (self.in_bucket, self.bucket_at) = (0.0, Some(now));
        }
    }

    fn in_ten_seconds(&mut self, now: Instant) -> f64 {
        while self.recent.front().is_some_and(|at| now - *at > Duration::from_secs(10)) {
            self.recent.pop_front();
        }
        let since = self.recent.front().map_or(1.0, |at| (now - *at).as_secs_f64() + 1.0);
        self.recent.len() as f64 / since
    }

    fn on_refused(&mut self, now: Instant) {
        self.refused_at = Some(now);
        match self.recovery {
            Recovery::Cubic => {
                self.top = self.rate.map_or(self.measured, |rate| rate.min(self.measured)).max(0.5);
                self.rate = Some((self.top * BETA).max(0.5));
            }
            Recovery::JustUnder => {
                self.top = 0.97 * self.in_ten_seconds(now);
                self.rate = Some(self.top.max(0.5));
            }
        }
    }

    fn raise(&mut self, now: Instant) {
        let Some(refused) = self.refused_at else { return };
        let passed = (now - refused).as_secs_f64();
        let raised = match self.recovery {
            Recovery::Cubic => {
                let window = (self.top * (1.0 - BETA) / SCALE).cbrt();
                (SCALE * (passed - window).powi(3) + self.top).min(2.0 * self.measured)
            }
            Recovery::JustUnder => self.top * (1.0 + 0.01 * (passed / 10.0).floor()),
        };
        self.rate = Some(raised.max(0.5));
    }
}

impl Gate for Measured {
    fn opens_at(&self, now: Instant) -> Instant {
        self.next_at.filter(|_| self.rate.is_some()).unwrap_or(now)
    }

    fn on_start(&mut self, now: Instant) {
        if let Some(rate) = self.rate {
            self.next_at = Some(self.next_at.map_or(now, |at| at.max(now)) + Duration::from_secs_f64(1.0 / rate));
        }
    }

    fn on_outcome(&mut self, started: Instant, refused: bool, now: Instant) {
        self.measure(now);
        if !refused {
            self.recent.push_back(now);
            self.raise(now);
        } else if self.refused_at.is_none_or(|at| started > at) {
            self.on_refused(now);
        }
    }
}

const BETA: f64 = 0.7;
const SCALE: f64 = 0.4;
