//! A rate, and the gate that keeps one host to it: the generic cell rate algorithm (ITU-T I.371), one instant of
//! state. Allowance that is not used accrues up to the burst and no further, so a caller that comes late neither
//! loses its pace nor catches up in a rush.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Starts per second: finite and above zero. Its text form is `50/s`, `100/m`, `10/h` or just `50` (a second).
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// This many starts a second; a fraction is fine (0.5 is one in two seconds).
    pub fn per_second(starts: f64) -> Result<Rate, RateError> {
        if starts.is_finite() && starts > 0.0 { Ok(Rate(starts)) } else { Err(RateError(starts.to_string())) }
    }

    /// Starts per second.
    pub fn as_f64(self) -> f64 {
        self.0
    }

    /// How many starts may come at once: a tenth of a second's worth, at least one.
    pub fn burst(self) -> u32 {
        // `as` saturates, so that an absurd rate is an absurd burst and not a wrong one.
        ((self.0 / 10.0) as u32).max(1)
    }

    /// The time between two starts at this pace, rounded up to whole nanoseconds, thirty years at most.
    fn interval(self) -> Duration {
        Duration::from_nanos((1e9 / self.0).ceil().min(1e18) as u64)
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let refused = || RateError(text.to_owned());
        let (number, unit) = text.trim().split_once('/').unwrap_or((text.trim(), "s"));
        let (_, seconds) = UNITS.into_iter().find(|(name, _)| *name == unit.trim()).ok_or_else(refused)?;
        let number: f64 = number.trim().parse().map_err(|_| refused())?;
        Rate::per_second(number / seconds).map_err(|_| refused())
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The first unit that says it in a whole number: 100/m, not 1.6666666666666667/s.
        let whole = UNITS.into_iter().find_map(|(unit, seconds)| {
            let number = (self.0 * seconds).round();
            (number >= 1.0 && number / seconds == self.0).then_some((number, unit))
        });
        let (number, unit) = whole.unwrap_or((self.0, "s"));
        write!(f, "{number}/{unit}")
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A text or number that is no rate; holds it as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateError(String);

impl fmt::Display for RateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no rate: write 50/s, 100/m or 10/h, above zero", self.0)
    }
}

impl std::error::Error for RateError {}

/// What a [`Rate`] asks of each gate that keeps to it: the same for all hosts of a run.
#[derive(Clone, Copy, Debug)]
pub struct RateRule {
    interval: Duration,
    tolerance: Duration,
}

impl From<Rate> for RateRule {
    fn from(rate: Rate) -> Self {
        let interval = rate.interval();
        RateRule { interval, tolerance: interval.saturating_mul(rate.burst() - 1) }
    }
}

/// Keeps the starts of one host to a [`Rate`], whose [`RateRule`] it is told each time. Any second holds at most the
/// rate and one [`Rate::burst`]; over a long time the pace is within 1% of the rate, up to ten million a second.
/// The default has its whole burst to spend.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateGate {
    /// When the allowance will be whole again; `None` for a gate never used.
    whole_at: Option<Instant>,
}

impl RateGate {
    /// When the next start is allowed; an instant not after `now` means now.
    pub fn next(&self, rule: &RateRule, now: Instant) -> Instant {
        self.whole_at.and_then(|at| at.checked_sub(rule.tolerance)).unwrap_or(now)
    }

    /// Counts a start. The caller has asked [`RateGate::next`] first: a start before its time is counted all the same.
    pub fn take(&mut self, rule: &RateRule, now: Instant) {
        let from = self.whole_at.map_or(now, |at| at.max(now));
        self.whole_at = Some(from.checked_add(rule.interval).unwrap_or(from));
    }

    /// The rule is another from now on: what was taken under the one before holds the next start back no longer than one
    /// interval of this one.
    pub fn follow(&mut self, rule: &RateRule, now: Instant) {
        let latest = now.checked_add(rule.tolerance.saturating_add(rule.interval));
        self.whole_at = self.whole_at.map(|at| latest.map_or(at, |latest| at.min(latest)));
    }

    /// Whether nothing distinguishes this gate from a new one, so that it can be dropped and made again.
    pub fn is_whole(&self, now: Instant) -> bool {
        self.whole_at.is_none_or(|at| at <= now)
    }
}

const UNITS: [(&str, f64); 3] = [("s", 1.0), ("m", 60.0), ("h", 3600.0)];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
    fn t0() -> Instant {
        Instant::now()
    }

    fn rate(starts: f64) -> Rate {
        Rate::per_second(starts).unwrap()
    }

    fn gate(starts: f64) -> (RateRule, RateGate) {
        (rate(starts).into(), RateGate::default())
    }

    /// Starts as early as the gate allows, from `from` until `until`.
    fn starts(rule: &RateRule, gate: &mut RateGate, from: Instant, until: Instant) -> Vec<Instant> {
        let mut now = from;
        let mut starts = Vec::new();
        loop {
            now = now.max(gate.next(rule, now));
            if now >= until {
                return starts;
            }
            gate.take(rule, now);
            starts.push(now);
        }
    }

    fn busiest_second(starts: &[Instant]) -> usize {
        let mut first = 0;
        let mut most = 0;
        for (last, at) in starts.iter().enumerate() {
            while *at - starts[first] >= Duration::from_secs(1) {
                first += 1;
            }
            most = most.max(last - first + 1);
        }
        most
    }

    #[test]
    fn rates_read_and_print() {
        for (text, starts, printed) in [
            ("50/s", 50.0, "50/s"),
            ("50", 50.0, "50/s"),
            ("0.5/s", 0.5, "30/m"),
            ("100/m", 100.0 / 60.0, "100/m"),
            (" 10 / h ", 10.0 / 3600.0, "10/h"),
            ("2.5", 2.5, "150/m"),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.as_f64(), starts, "{text}");
            assert_eq!(rate.to_string(), printed);
            assert_eq!(printed.parse::<Rate>().unwrap(), rate);
        }
    }

    #[test]
    fn what_is_no_rate_is_refused_by_name() {
        for text in ["", "0", "-1/s", "inf", "nan/s", "5/d", "5/", "/s", "five"] {
            let error = text.parse::<Rate>().unwrap_err();
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn one_start_an_interval_when_a_tenth_of_a_second_is_less_than_one() {
        let base = t0();
        let (rule, mut gate) = gate(2.0);
        assert!(gate.next(&rule, base) <= base);
        gate.take(&rule, base);
        assert_eq!(gate.next(&rule, base), base + Duration::from_millis(500));
    }

    #[test]
    fn allowance_not_used_accrues_up_to_the_burst_only() {
        let base = t0();
        let (rule, mut gate) = gate(50.0);
        let later = base + Duration::from_secs(3600);
        assert_eq!(starts(&rule, &mut gate, later, later + Duration::from_millis(1)).len(), 5);
        assert!(!gate.is_whole(later + Duration::from_millis(99)));
        assert!(gate.is_whole(later + Duration::from_millis(100)));
    }

    #[test]
    fn absurd_rates_do_not_overflow() {
        let base = t0();
        let year = Duration::from_secs(365 * 24 * 3600);
        for (starts, waits) in [(f64::MIN_POSITIVE, true), (1e-9, true), (1e12, false), (f64::MAX, false)] {
            let (rule, mut gate) = gate(starts);
            for _ in 0..3 {
                gate.take(&rule, base);
            }
            assert_eq!(gate.next(&rule, base) > base + year, waits, "{starts}");
        }
    }

    proptest! {
        #[test]
        fn no_second_holds_more_than_rate_and_burst_and_the_pace_is_kept(
            per_second in 0.5f64..2000.0,
            lateness in prop::collection::vec(0u64..3_000, 0..30),
        ) {
            let rate = rate(per_second);
            let (rule, mut gate) = gate(per_second);
            let mut now = t0();
            let mut all = Vec::new();
            for late in lateness {
                now += Duration::from_millis(late);
                all.extend(starts(&rule, &mut gate, now, now + Duration::from_millis(late / 3)));
                now += Duration::from_millis(late / 3);
            }
            let bound = per_second.ceil() as usize + rate.burst() as usize;
            prop_assert!(busiest_second(&all) <= bound);

            let from = now.max(gate.next(&rule, now));
            let long = starts(&rule, &mut gate, from, from + Duration::from_secs(20)).len() as f64;
            let wanted = per_second * 20.0;
            prop_assert!((long - wanted).abs() <= wanted * 0.01 + f64::from(rate.burst()) + 1.0, "{} {}", long, wanted);
        }
    }
}
