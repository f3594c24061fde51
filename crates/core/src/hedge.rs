//! When a second copy of a slow request may be sent to a host, and how many such copies (Dean and Barroso, "The tail
//! at scale", 2013; Finagle's `BackupRequestFilter`).
//!
//! Decides the delay and the budget of one host. Which requests may be sent twice, that there is one copy at most, and
//! what becomes of the loser is the caller's. Refuses while latencies are not known well and while the host pushes
//! back, when more load is the last thing it needs.

use std::time::{Duration, Instant};

/// The hedging of one host: a copy after the 95th percentile of its latencies, and at most one for every 20 requests,
/// with no allowance to begin with. What is not used is saved up to 10 copies, so that a host that slows down
/// after a good hour is not asked twice for everything.
#[derive(Clone, Debug)]
pub struct Hedge {
    latencies: Histogram,
    /// When the percentile was last reckoned, or could first have been.
    refreshed_at: Option<Instant>,
    after: Option<Duration>,
    off_until: Option<Instant>,
    /// In hundredths of a copy.
    balance: u32,
}

impl Hedge {
    /// Nothing known, nothing saved: no copies yet. About 370 bytes.
    pub fn new() -> Self {
        Hedge { latencies: Histogram::new(), refreshed_at: None, after: None, off_until: None, balance: 0 }
    }

    /// A request starts that is no copy: earns a twentieth of a copy.
    pub fn on_start(&mut self) {
        self.balance = (self.balance + EARNED).min(MOST_SAVED);
    }

    /// A request succeeded this long after it started; of a request with a copy, the first answer, from the start
    /// of the original. What fails fast is no latency and must not be told.
    ///
    /// The delay is reckoned anew every 3 s, from what came since, once that is at least 100 latencies.
    pub fn on_latency(&mut self, latency: Duration, now: Instant) {
        self.latencies.add(latency);
        let since = *self.refreshed_at.get_or_insert(now);
        if self.latencies.count >= LEAST_SAMPLES && now.saturating_duration_since(since) >= REFRESH {
            self.after = Some(self.latencies.percentile(95));
            self.latencies = Histogram::new();
            self.refreshed_at = Some(now);
        }
    }

    /// The host is throttled, held or its breaker open: no copies before `until`. Never shortens.
    pub fn on_pushback(&mut self, until: Instant) {
        self.off_until = self.off_until.max(Some(until));
    }

    /// How long after its start a request may be given a copy, or `None` if copies are off: fewer than 100 latencies
    /// known, or the host pushes back. Between the 95th percentile and 12.5% more; 1 ms at least.
    pub fn after(&self, now: Instant) -> Option<Duration> {
        self.after.filter(|_| self.off_until.is_none_or(|until| until <= now))
    }

    /// Whether a copy may start now; counts it if so. Once the delay is over, asked for each copy.
    pub fn take(&mut self, now: Instant) -> bool {
        let may = self.balance >= COPY && self.after(now).is_some();
        if may {
            self.balance -= COPY;
        }
        may
    }
}

impl Default for Hedge {
    fn default() -> Self {
        Hedge::new()
    }
}

/// Counts of latencies: up to 1 ms in one bucket, from there on eight buckets to a doubling, up to 4.4 minutes.
#[derive(Clone, Debug)]
struct Histogram {
    buckets: [u16; BUCKETS],
    /// Up to 65,535, from where on latencies are passed over: so many tell enough.
    count: u16,
}

impl Histogram {
    fn new() -> Self {
        Histogram { buckets: [0; BUCKETS], count: 0 }
    }

    fn add(&mut self, latency: Duration) {
        if self.count < u16::MAX {
            self.count += 1;
            self.buckets[bucket(latency)] += 1;
        }
    }

    /// A latency that at least this share of all did not exceed. The histogram must not be empty.
    fn percentile(&self, percent: u32) -> Duration {
        let wanted = (u32::from(self.count) * percent).div_ceil(100);
        let mut seen = 0;
        let at = self.buckets.iter().position(|count| {
            seen += u32::from(*count);
            seen >= wanted
        });
        upper_edge(at.unwrap_or(BUCKETS - 1))
    }
}

/// The bucket whose edges are around this latency: above the one before, not above its own.
fn bucket(latency: Duration) -> usize {
    // Less one, so that an edge belongs below.
    let nanos = latency.as_nanos().saturating_sub(1);
    let Some(doubling) = (nanos / u128::from(UNIT_NANOS)).checked_ilog2() else { return 0 };
    // Eight to fifteen eighths of the doubling's lower edge.
    let eighths = (nanos * 8 / u128::from(UNIT_NANOS)) >> doubling;
    (1 + doubling as usize * 8 + eighths as usize - 8).min(BUCKETS - 1)
}

fn upper_edge(bucket: usize) -> Duration {
    let Some(above) = bucket.checked_sub(1) else { return Duration::from_nanos(UNIT_NANOS) };
    let (doubling, eighth) = (above / 8, above % 8);
    Duration::from_nanos(((UNIT_NANOS / 8) << doubling) * (9 + eighth as u64))
}

const UNIT_NANOS: u64 = 1_000_000;
const BUCKETS: usize = 1 + 18 * 8;
const LEAST_SAMPLES: u16 = 100;
const REFRESH: Duration = Duration::from_secs(3);

const COPY: u32 = 100;
const EARNED: u32 = 5;
const MOST_SAVED: u32 = 10 * COPY;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
    fn t0() -> Instant {
        Instant::now()
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Tells latencies of 1 to 100 ms, the last of them at `now`.
    fn hundred(hedge: &mut Hedge, now: Instant) {
        hedge.on_latency(ms(1), now - REFRESH);
        (2..=100).for_each(|millis| hedge.on_latency(ms(millis), now));
    }

    fn ready(now: Instant) -> Hedge {
        let mut hedge = Hedge::new();
        hundred(&mut hedge, now);
        hedge
    }

    #[test]
    fn no_copies_before_a_hundred_latencies_and_three_seconds() {
        let now = t0();
        let mut hedge = Hedge::new();
        (0..100).for_each(|_| hedge.on_start());
        (0..99).for_each(|_| hedge.on_latency(ms(10), now));
        assert_eq!(hedge.after(now), None);
        hedge.on_latency(ms(10), now + ms(2_999));
        assert_eq!(hedge.after(now + ms(2_999)), None);
        assert!(!hedge.take(now + ms(2_999)));
        hedge.on_latency(ms(10), now + ms(3_000));
        assert!(hedge.after(now + ms(3_000)).is_some());
    }

    #[test]
    fn the_delay_is_the_95th_percentile_to_an_eighth_and_never_below() {
        let now = t0();
        let after = ready(now).after(now).unwrap();
        assert!(after >= ms(95) && after <= ms(95).mul_f64(1.125), "{after:?}");
    }

    #[test]
    fn the_delay_follows_the_latest_latencies() {
        let now = t0();
        let mut hedge = ready(now);
        let before = hedge.after(now);
        (0..200).for_each(|_| hedge.on_latency(ms(2), now + ms(2_999)));
        assert_eq!(hedge.after(now), before);
        hedge.on_latency(ms(2), now + ms(3_000));
        assert!(hedge.after(now).unwrap() <= ms(2).mul_f64(1.125));
    }

    #[test]
    fn extreme_latencies_stay_within_the_scale() {
        let now = t0();
        for (latency, wanted) in
            [(Duration::ZERO, ms(1)), (Duration::from_nanos(1), ms(1)), (Duration::MAX, ms(1 << 18))]
        {
            let mut hedge = Hedge::new();
            hedge.on_latency(latency, now - REFRESH);
            (0..99).for_each(|_| hedge.on_latency(latency, now));
            assert_eq!(hedge.after(now), Some(wanted), "{latency:?}");
        }
    }

    #[test]
    fn one_copy_for_twenty_requests_and_none_beforehand() {
        let now = t0();
        let mut hedge = ready(now);
        assert!(!hedge.take(now));
        (0..19).for_each(|_| hedge.on_start());
        assert!(!hedge.take(now));
        hedge.on_start();
        assert!(hedge.take(now));
        assert!(!hedge.take(now));
    }

    #[test]
    fn no_more_than_ten_copies_are_saved() {
        let now = t0();
        let mut hedge = ready(now);
        (0..100_000).for_each(|_| hedge.on_start());
        assert_eq!((0..100).filter(|_| hedge.take(now)).count(), 10);
    }

    #[test]
    fn no_copies_while_the_host_pushes_back() {
        let now = t0();
        let mut hedge = ready(now);
        (0..20).for_each(|_| hedge.on_start());
        hedge.on_pushback(now + ms(500));
        hedge.on_pushback(now + ms(100));
        assert_eq!(hedge.after(now + ms(499)), None);
        assert!(!hedge.take(now + ms(499)));
        assert!(hedge.take(now + ms(500)), "what was refused was not spent");
    }

    #[test]
    fn a_flood_of_latencies_does_not_overflow() {
        let now = t0();
        let mut hedge = Hedge::new();
        (0..200_000).for_each(|_| hedge.on_latency(ms(5), now));
        hedge.on_latency(ms(5), now + REFRESH);
        assert!(hedge.after(now).is_some_and(|after| after >= ms(5) && after <= ms(6)));
        assert!(size_of::<Hedge>() <= 376, "{}", size_of::<Hedge>());
    }

    proptest! {
        #[test]
        fn every_latency_is_between_the_edges_of_its_bucket(nanos in 0u64..(1_000_000 << 18)) {
            let latency = Duration::from_nanos(nanos);
            let at = bucket(latency);
            prop_assert!(latency <= upper_edge(at), "{} {:?}", at, upper_edge(at));
            prop_assert!(at == 0 || latency > upper_edge(at - 1), "{} {:?}", at, upper_edge(at - 1));
        }

        #[test]
        fn the_delay_is_within_an_eighth_of_the_true_percentile(
            latencies in prop::collection::vec(1_000u64..200_000_000, 100..400),
        ) {
            let now = t0();
            let mut hedge = Hedge::new();
            let (last, first) = latencies.split_last().unwrap();
            first.iter().for_each(|micros| hedge.on_latency(Duration::from_micros(*micros), now - REFRESH));
            hedge.on_latency(Duration::from_micros(*last), now);
            let mut sorted = latencies.clone();
            sorted.sort_unstable();
            let truth = Duration::from_micros(sorted[(sorted.len() * 95).div_ceil(100) - 1]);
            let after = hedge.after(now).unwrap();
            prop_assert!(after >= truth && after <= truth.mul_f64(1.1251), "{:?} {:?}", after, truth);
        }

        /// However starts and copies fall, copies never exceed a twentieth of the starts before them.
        #[test]
        fn copies_stay_within_five_percent(script in prop::collection::vec((0u32..100, 0u32..20), 1..100)) {
            let now = t0();
            let mut hedge = ready(now);
            let (mut starts, mut copies) = (0, 0);
            for (started, wanted) in script {
                (0..started).for_each(|_| hedge.on_start());
                starts += started;
                copies += (0..wanted).filter(|_| hedge.take(now)).count() as u32;
                prop_assert!(copies * 20 <= starts);
            }
        }
    }
}
