//! How many requests one host takes at once, found out while it is asked: additive increase, multiplicative decrease
//! (Chiu and Jain, 1989) with a slow start, and a brake on latency for hosts that slow down instead of refusing.
//! Only what a host is asked for can teach its limit, so it grows only while at least half of it is in use.
//! A failure never teaches that more would fit, however fast it came. [`super::Pace`] calls it.

use std::time::{Duration, Instant};

/// The concurrency limit of one host: 8 at first, at least 1.
#[derive(Clone, Debug)]
pub struct Adaptive {
    limit: f32,
    /// Doubling per window, until the first signal.
    opening: bool,
    /// The last cut: attempts started before it tell nothing new.
    cut_at: Option<Instant>,
    brake: Brake,
    answers: u16,
    failures: u16,
}

impl Adaptive {
    /// A limit that starts at this many; `None` is 8 with the slow start.
    pub fn new(known: Option<u32>) -> Self {
        let limit = known.map_or(START, |known| known.max(1) as f32);
        Adaptive { limit, opening: known.is_none(), cut_at: None, brake: Brake::default(), answers: 0, failures: 0 }
    }

    /// How many may be in flight.
    pub fn limit(&self) -> u32 {
        let limit = if self.brake.is_draining() { self.limit / 2.0 } else { self.limit };
        (limit as u32).max(1)
    }

    /// A good response came, while `in_flight` were under way (itself among them) of at most `ceiling`.
    /// One more fits per response in the slow start, one more per window after it.
    pub fn on_answer(&mut self, latency: Option<Duration>, in_flight: u32, ceiling: u32) {
        let used = in_flight as f32 >= self.limit / 2.0;
        self.answers = self.answers.saturating_add(1);
        if let Some(latency) = latency {
            self.slow_down(latency, used);
        }
        if used && !self.brake.crowded {
            self.limit += if self.opening { 1.0 } else { 1.0 / self.limit };
            self.limit = self.limit.min((ceiling as f32).max(1.0));
        }
    }

    /// The host refused, or could not be connected to. At most one cut per round trip: attempts started before the
    /// last cut are of the same trouble.
    pub fn on_trouble(&mut self, started: Instant, now: Instant) {
        if self.cut_at.is_some_and(|cut| started <= cut) {
            return;
        }
        self.cut_at = Some(now);
        self.opening = false;
        self.limit = (self.limit * CUT).max(1.0);
    }

    /// A 500, 502 or 504. Some pages always fail; but when a third of all do, fewer at once may do better. Never below
    /// four for this alone.
    pub fn on_failure(&mut self, started: Instant, now: Instant) {
        self.failures += 1;
        let all = self.answers.saturating_add(self.failures);
        if all < FAILURE_WINDOW {
            return;
        }
        if self.failures >= all / 3 && self.limit * CUT >= START / 2.0 {
            self.on_trouble(started, now);
        }
        (self.answers, self.failures) = (0, 0);
    }

    fn slow_down(&mut self, latency: Duration, used: bool) {
        let Some(queue) = self.brake.on_sample(latency, self.limit) else { return };
        let step = self.limit.log10().max(0.5);
        self.brake.crowded = queue > CROWDED * step;
        if queue <= OVERFULL * step || !used {
            return;
        }
        self.opening = false;
        let cut = if queue > 2.0 * OVERFULL * step { self.limit * 0.2 } else { step };
        self.limit = (self.limit - cut).max(1.0);
    }
}

/// Watches the time to the response head. Means are geometric: one slow page among many moves them little.
#[derive(Clone, Debug, Default)]
struct Brake {
    /// log2 of microseconds when the host is not crowded; 0 is not known yet.
    base: f32,
    sum: f32,
    samples: u32,
    crowded: bool,
    /// Windows in which the host seemed crowded, since the base was measured with few in flight.
    doubts: u32,
}

impl Brake {
    /// When a window of samples is complete: how many of the requests in flight seem to wait in a queue there.
    fn on_sample(&mut self, latency: Duration, limit: f32) -> Option<f32> {
        self.sum += log2(latency);
        self.samples += 1;
        let wanted = if self.base == 0.0 { START } else { limit.max(WINDOW) };
        if (self.samples as f32) < wanted {
            return None;
        }
        let recent = self.sum / self.samples as f32;
        (self.sum, self.samples) = (0.0, 0);
        self.doubts += u32::from(self.crowded);
        if self.base == 0.0 || self.doubts >= DOUBTS + 2 {
            self.base = recent;
            self.doubts = 0;
        } else if recent < self.base {
            self.base += 0.3 * (recent - self.base);
        }
        if self.is_draining() {
            return None;
        }
        let slow = recent > log2(UNNOTICED);
        Some(if slow { limit * (1.0 - (self.base - recent).exp2()) } else { 0.0 })
    }

    /// Whether the base is being measured anew, for two windows at half the limit, of which the second counts: the
    /// pages may have changed, or the network, and a host that is slow by itself must not be taken for a crowded one.
    fn is_draining(&self) -> bool {
        self.doubts >= DOUBTS
    }
}

/// log2 of the microseconds, with a straight line between powers of two: exact to 6%, and cheap.
fn log2(latency: Duration) -> f32 {
    let micros = (latency.as_micros() as u64).max(1);
    let power = micros.ilog2();
    power as f32 + (micros as f32 / (1u64 << power) as f32 - 1.0)
}

const START: f32 = 8.0;
const CUT: f32 = 0.7;
const WINDOW: f32 = 50.0;
const FAILURE_WINDOW: u16 = 20;
const DOUBTS: u32 = 100;

/// In units of log10(limit), as failsafe-go's adaptive limiter has it: above the first nothing is added, above the
/// second something is taken away.
const CROWDED: f32 = 2.0;
const OVERFULL: f32 = 4.0;

/// Below this nobody minds that a host got slower, and what is measured is as likely this machine as the host.
const UNNOTICED: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
    fn t0() -> Instant {
        Instant::now()
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn answers(adaptive: &mut Adaptive, count: u32, latency: Duration) {
        for _ in 0..count {
            let in_flight = adaptive.limit();
            adaptive.on_answer(Some(latency), in_flight, 1000);
        }
    }

    #[test]
    fn the_limit_doubles_per_window_until_the_first_signal_and_then_adds_one() {
        let mut adaptive = Adaptive::new(None);
        assert_eq!(adaptive.limit(), 8);
        answers(&mut adaptive, 8, ms(1));
        assert_eq!(adaptive.limit(), 16);
        answers(&mut adaptive, 16, ms(1));
        assert_eq!(adaptive.limit(), 32);
        let now = t0();
        adaptive.on_trouble(now, now + ms(1));
        assert_eq!(adaptive.limit(), 22);
        answers(&mut adaptive, 23, ms(1));
        assert_eq!(adaptive.limit(), 23);
    }

    #[test]
    fn what_is_not_used_does_not_grow_and_the_ceiling_holds() {
        let mut adaptive = Adaptive::new(None);
        for _ in 0..100 {
            adaptive.on_answer(Some(ms(1)), 3, 1000);
        }
        assert_eq!(adaptive.limit(), 8);
        for _ in 0..100 {
            adaptive.on_answer(Some(ms(1)), 8, 12);
        }
        assert_eq!(adaptive.limit(), 12);
    }

    #[test]
    fn one_cut_per_round_trip_and_never_below_one() {
        let base = t0();
        let mut adaptive = Adaptive::new(None);
        for at in 0..8 {
            adaptive.on_trouble(base, base + ms(10 + at));
        }
        assert_eq!(adaptive.limit(), 5);
        for round in 1..20 {
            adaptive.on_trouble(base + ms(100 * round), base + ms(100 * round + 10));
        }
        assert_eq!(adaptive.limit(), 1);
    }

    #[test]
    fn a_host_that_gets_slower_with_each_request_is_not_filled_to_the_ceiling() {
        let mut adaptive = Adaptive::new(None);
        for _ in 0..20_000 {
            // Ten at once are served in 50 ms; more of them queue.
            let in_flight = adaptive.limit();
            adaptive.on_answer(Some(ms(50) * in_flight.max(10) / 10), in_flight, 256);
        }
        assert!((10..40).contains(&adaptive.limit()), "{}", adaptive.limit());
    }

    #[test]
    fn latency_below_ten_milliseconds_or_ups_and_downs_brake_nothing() {
        let mut adaptive = Adaptive::new(None);
        for _ in 0..5_000 {
            let in_flight = adaptive.limit();
            adaptive.on_answer(Some(Duration::from_micros(100) * in_flight / 8), in_flight, 64);
        }
        assert_eq!(adaptive.limit(), 64);
        let mut adaptive = Adaptive::new(None);
        for sample in 0..20_000 {
            // One in ten takes ten times as long.
            let latency = if sample % 10 == 0 { ms(500) } else { ms(40 + sample % 20) };
            let in_flight = adaptive.limit();
            adaptive.on_answer(Some(latency), in_flight, 64);
        }
        assert_eq!(adaptive.limit(), 64);
    }
}
