//! Latencies in fixed memory: a log-linear histogram, as HdrHistogram's (Gil Tene), of 64 steps per power of two.
//! A quantile is within 0.8% of the true one; 16 KB whatever is counted.

use std::time::Duration;

/// Counts durations by their microseconds, up to 19 hours; longer ones count as that.
#[derive(Clone)]
pub struct Histogram {
    counts: Box<[u64]>,
    total: u64,
    max: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { counts: vec![0; BUCKETS].into_boxed_slice(), total: 0, max: Duration::ZERO }
    }
}

impl Histogram {
    /// Counts one.
    pub fn count(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).min(LARGEST);
        self.counts[bucket(micros)] += 1;
        self.total += 1;
        self.max = self.max.max(duration);
    }

    /// How many were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The longest, exactly.
    pub fn max(&self) -> Duration {
        self.max
    }

    /// The duration that a share of `quantile` (0 to 1) of all is not above; `None` where there is none.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        if self.total == 0 {
            return None;
        }
        let rank = ((quantile * self.total as f64).ceil() as u64).clamp(1, self.total);
        let mut seen = 0;
        let at = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        let (low, width) = range(at);
        let middle = Duration::from_micros(low) + Duration::from_micros(width) / 2;
        // The middle of the topmost bucket may lie above everything that was counted.
        Some(if width == 1 { Duration::from_micros(low) } else { middle.min(self.max) })
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Histogram").field("total", &self.total).field("max", &self.max).finish_non_exhaustive()
    }
}

/// Steps per power of two: each is at most 1/64 of its value wide, and its middle at most 1/128 off.
const STEPS: u64 = 64;
const LARGEST: u64 = (1 << 36) - 1;
const BUCKETS: usize = bucket(LARGEST) + 1;

/// Below 128 each microsecond has its own bucket; above, each power of two has 64.
const fn bucket(micros: u64) -> usize {
    if micros < 2 * STEPS {
        return micros as usize;
    }
    let shift = micros.ilog2() - STEPS.ilog2();
    ((shift as u64) * STEPS + (micros >> shift)) as usize
}

/// The smallest value of a bucket and how many it covers.
fn range(bucket: usize) -> (u64, u64) {
    let bucket = bucket as u64;
    if bucket < 2 * STEPS {
        return (bucket, 1);
    }
    let shift = bucket / STEPS - 1;
    ((bucket - shift * STEPS) << shift, 1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_follow_each_other_without_gap_or_overlap_in_16_kb() {
        let mut next = 0;
        for at in 0..BUCKETS {
            let (low, width) = range(at);
            assert_eq!(low, next);
            assert_eq!((bucket(low), bucket(low + width - 1)), (at, at));
            next = low + width;
        }
        assert_eq!(next, LARGEST + 1);
        assert!(BUCKETS * size_of::<u64>() <= 16 << 10);
    }

    #[test]
    fn nothing_counted_has_no_quantile_and_the_longest_is_exact() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        histogram.count(Duration::from_secs(86_400));
        histogram.count(Duration::from_nanos(1));
        assert_eq!(histogram.max(), Duration::from_secs(86_400));
        assert_eq!(histogram.quantile(0.5), Some(Duration::ZERO));
        assert_eq!(histogram.total(), 2);
    }

    proptest! {
        #[test]
        fn a_quantile_is_within_one_percent_of_the_true_one(
            mut micros in prop::collection::vec((0u32..34).prop_flat_map(|bits| 0..(2u64 << bits)), 1..300),
            quantile in 0.0..=1.0f64,
        ) {
            let mut histogram = Histogram::default();
            for &one in &micros {
                histogram.count(Duration::from_micros(one));
            }
            micros.sort_unstable();
            let rank = ((quantile * micros.len() as f64).ceil() as usize).max(1);
            let truth = micros[rank - 1] as f64;
            let found = histogram.quantile(quantile).unwrap().as_secs_f64() * 1e6;
            prop_assert!((found - truth).abs() <= 0.01 * truth + 1e-6, "{found} for {truth}");
        }
    }
}
