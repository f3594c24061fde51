//! All that adapts to one host: how many at once ([`Adaptive`]), how fast at first ([`Ramp`]), and how fast once it has
//! refused ([`LearnedRate`]). [`crate::schedule`] keeps one for each host that is asked for more than a few requests.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Adaptive, LearnedRate, Signal};
use crate::retry::Outcome;

/// What was learnt of a host, to start the next run with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Learnt {
    /// Requests a second, if it has refused: what was learnt, or what it has given since without a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Requests it takes at once after a rest, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<f64>,
    /// Requests at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
}

/// The pace kept with one host. The caller counts what is in flight, waits out Retry-After, and asks
/// [`Pace::allows`] and [`Pace::opens_at`] before each start.
#[derive(Clone, Debug)]
pub struct Pace {
    adaptive: Adaptive,
    rate: Rate,
    troubled: bool,
}

#[derive(Clone, Debug)]
enum Rate {
    Ramp(Ramp),
    /// Nothing was ever refused, however fast it went.
    Free(Since),
    Learned(LearnedRate),
}

/// What was let in, and since when, before the first refusal.
#[derive(Clone, Copy, Debug)]
struct Since {
    at: Instant,
    let_in: u32,
}

impl Pace {
    /// For a host to which `started` attempts have gone out a moment before, of which `answered` have ended.
    pub fn new(started: u32, answered: u32, now: Instant) -> Self {
        let since = Since { at: now, let_in: answered };
        let ramp = Ramp { since, starts: started, next_at: now, trips: 0.0, counted: 0 };
        Pace { adaptive: Adaptive::new(None), rate: Rate::Ramp(ramp), troubled: false }
    }

    /// For a host that is known from before.
    pub fn taught(learnt: &Learnt, now: Instant) -> Self {
        let known = learnt.rate.filter(|rate| rate.is_finite() && *rate > 0.0);
        let burst = learnt.burst.filter(|burst| burst.is_finite() && *burst >= 1.0);
        match known {
            Some(rate) => Pace {
                adaptive: Adaptive::new(learnt.concurrency),
                rate: Rate::Learned(LearnedRate::from_knowledge(rate, burst, now)),
                troubled: true,
            },
            None => Pace { adaptive: Adaptive::new(learnt.concurrency), troubled: true, ..Pace::new(0, 0, now) },
        }
    }

    /// Whether this outcome is a reason to keep a pace with a host that had none.
    pub fn is_needed(outcome: &Outcome) -> bool {
        matches!(Signal::of(outcome), Signal::Refused { .. } | Signal::Troubled)
    }

    /// How many may be in flight.
    pub fn concurrency(&self) -> u32 {
        self.adaptive.limit()
    }

    /// Whether one more may start beside `in_flight`.
    pub fn allows(&self, in_flight: u32) -> bool {
        let tried = !matches!(&self.rate, Rate::Learned(learned) if !learned.allows());
        tried && in_flight < self.adaptive.limit()
    }

    /// When the next start is allowed; not after `now` means now.
    pub fn opens_at(&self, now: Instant) -> Instant {
        match &self.rate {
            Rate::Ramp(ramp) => ramp.next_at.checked_sub(RAMP_SLACK).unwrap_or(now),
            Rate::Free(_) => now,
            Rate::Learned(learned) => learned.opens_at(now),
        }
    }

    /// Counts a start.
    pub fn on_start(&mut self, now: Instant) {
        match &mut self.rate {
            Rate::Free(_) => {}
            Rate::Learned(learned) => learned.on_start(now),
            Rate::Ramp(ramp) => {
                ramp.on_start(now);
                if ramp.is_over() {
                    self.rate = Rate::Free(ramp.since);
                }
            }
        }
    }

    /// An attempt begun at `started` has ended, under this load (itself still counted).
    pub fn on_outcome(&mut self, started: Instant, outcome: &Outcome, load: Load, now: Instant) {
        let signal = Signal::of(outcome);
        match signal {
            Signal::Served { latency } => self.adaptive.on_answer(latency, load.in_flight, load.ceiling),
            // Once the rate is what refusals are answered with, they say nothing about how many at once.
            Signal::Refused { .. } if matches!(self.rate, Rate::Learned(_)) => self.troubled = true,
            Signal::Refused { .. } | Signal::Troubled => {
                self.troubled = true;
                self.adaptive.on_trouble(started, now);
            }
            Signal::Failed => self.adaptive.on_failure(started, now),
            Signal::LetIn | Signal::Silent => {}
        }
        if let Signal::Refused { retry_after } = signal {
            self.refused(started, retry_after, now);
        } else {
            let let_in = matches!(signal, Signal::Served { .. } | Signal::LetIn | Signal::Failed);
            match &mut self.rate {
                Rate::Ramp(ramp) if let_in => ramp.on_let_in(now.saturating_duration_since(started)),
                Rate::Free(since) => since.let_in += u32::from(let_in),
                Rate::Ramp(_) => {}
                Rate::Learned(learned) => learned.on_other(started, let_in),
            }
        }
    }

    /// An attempt begun at `started` has ended without a word on what the host takes.
    pub fn on_gone(&mut self, started: Instant) {
        if let Rate::Learned(learned) = &mut self.rate {
            learned.on_other(started, false);
        }
    }

    /// What is worth knowing next time: `None` for a host that never gave trouble.
    pub fn learnt(&self) -> Option<Learnt> {
        if !self.troubled {
            return None;
        }
        let concurrency = Some(self.adaptive.limit());
        let Rate::Learned(learned) = &self.rate else { return Some(Learnt { concurrency, ..Learnt::default() }) };
        let rate = learned.proven();
        Some(Learnt { rate, burst: rate.and(learned.burst()), concurrency })
    }

    /// Starts a second that are kept to at this moment, after a refusal.
    pub fn rate(&self) -> Option<f64> {
        match &self.rate {
            Rate::Learned(learned) => Some(learned.pace()),
            Rate::Ramp(_) | Rate::Free(_) => None,
        }
    }

    fn refused(&mut self, started: Instant, asked: Option<Duration>, now: Instant) {
        match &mut self.rate {
            Rate::Learned(learned) => learned.on_refusal(started, asked, now),
            Rate::Ramp(Ramp { since, .. }) | Rate::Free(since) => {
                let first = LearnedRate::from_first_refusal(since.let_in, since.at, started, asked, now);
                self.rate = Rate::Learned(first);
            }
        }
    }
}

/// How busy a host is.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Requests under way.
    pub in_flight: u32,
    /// The most there may be.
    pub ceiling: u32,
}

/// How fast a host is asked at first: a hundred a second, and up to seven times as many a second as were started before
/// while no more than eight of those are on their way, then so that there is one for every fifty. So few are refused when
/// a host with a small allowance says no, near or far. Ten thousand a second are reached in 0.8 s where an answer takes a
/// millisecond, and 640 a second in 0.9 s where it takes fifty.
#[derive(Clone, Debug)]
struct Ramp {
    since: Since,
    starts: u32,
    next_at: Instant,
    /// Seconds from start to end, summed over those that were counted.
    trips: f32,
    counted: u32,
}

impl Ramp {
    fn on_start(&mut self, now: Instant) {
        self.starts += 1;
        let trip = if self.counted > 0 { f64::from(self.trips) / f64::from(self.counted) } else { 1.0 };
        let starts = f64::from(self.starts);
        let growth = (RAMP_SHARE / trip.max(1e-6)).clamp(RAMP_SLOWEST, RAMP_FASTEST);
        let few = (RAMP_FASTEST * starts).min(RAMP_FEW / trip.max(1e-6));
        let pace = (growth * starts).max(few).max(RAMP_START);
        self.next_at = self.next_at.max(now) + Duration::from_secs_f64(1.0 / pace);
    }

    fn on_let_in(&mut self, trip: Duration) {
        self.since.let_in += 1;
        self.trips += trip.as_secs_f32();
        self.counted += 1;
    }

    /// From here on the number in flight bounds what a first refusal can hit.
    fn is_over(&self) -> bool {
        self.starts >= RAMP_END
    }
}

const RAMP_START: f64 = 100.0;
/// On their way, of those that were started before.
const RAMP_SHARE: f64 = 0.02;
const RAMP_FEW: f64 = 8.0;
const RAMP_SLOWEST: f64 = 3.0;
const RAMP_FASTEST: f64 = 7.0;
const RAMP_END: u32 = 2_000;
/// Timers are about this exact.
const RAMP_SLACK: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    const LOAD: Load = Load { in_flight: 8, ceiling: 64 };

    #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
    fn t0() -> Instant {
        Instant::now()
    }

    /// Starts as early as allowed, each answered at once, until this many have started; how long that took.
    fn ramp(pace: &mut Pace, base: Instant, count: u32) -> Duration {
        let mut now = base;
        for _ in 0..count {
            now = now.max(pace.opens_at(now));
            pace.on_start(now);
            pace.on_outcome(now, &Outcome::response(200), LOAD, now);
        }
        now - base
    }

    #[test]
    fn a_host_that_never_refuses_is_asked_as_fast_as_it_answers_within_a_second() {
        let base = t0();
        let mut pace = Pace::new(0, 0, base);
        let first = ramp(&mut pace, base, 10);
        assert!(first > Duration::from_millis(60), "{first:?}");
        let rest = ramp(&mut pace, base + first, 2_000);
        assert!(rest < Duration::from_millis(900), "{rest:?}");
        assert_eq!(ramp(&mut pace, base + first + rest, 10_000), Duration::ZERO);
        assert_eq!((pace.learnt(), pace.rate()), (None, None));
    }

    #[test]
    fn what_was_learnt_is_carried_over() {
        let base = t0();
        let mut pace = Pace::new(4, 4, base);
        let took = ramp(&mut pace, base, 40);
        let refused = Outcome::response(429).retry_after(Some(Duration::from_secs(60)));
        pace.on_outcome(base + took, &refused, LOAD, base + took);
        let learnt = pace.learnt().unwrap();
        assert!(learnt.rate.is_some() && learnt.burst.is_some() && learnt.concurrency.is_some());
        let text = serde_json::to_string(&learnt).unwrap();
        let read: Learnt = serde_json::from_str(&text).unwrap();
        let again = Pace::taught(&read, base);
        assert_eq!((again.learnt().unwrap().rate, again.concurrency()), (learnt.rate, learnt.concurrency.unwrap()));
        assert_eq!(serde_json::to_string(&Learnt::default()).unwrap(), "{}");
    }

    #[test]
    fn nonsense_is_not_taught() {
        let base = t0();
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let pace = Pace::taught(&Learnt { rate: Some(rate), burst: Some(rate), concurrency: Some(0) }, base);
            assert_eq!((pace.rate(), pace.concurrency()), (None, 1));
        }
    }

    #[test]
    fn trouble_lowers_what_runs_at_once_and_no_rate_is_learnt_from_it() {
        let base = t0();
        let mut pace = Pace::new(4, 0, base);
        let refused = Outcome::failure(ErrorKind::Connect);
        assert!(Pace::is_needed(&refused) && !Pace::is_needed(&Outcome::response(500)));
        pace.on_outcome(base, &refused, LOAD, base);
        assert_eq!((pace.concurrency(), pace.rate()), (5, None));
        assert!(!pace.allows(5) && pace.allows(4));
    }
}
