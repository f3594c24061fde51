//! The wait between attempts: exponential, capped, and spread by chance over its upper half, so that rows that
//! failed together do not come back together. The chance comes from a seed, so that a run can be played again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::timeout::seconds;

/// Before attempt n + 1: between half and all of the smaller of `max` and `base` · 2^(n − 1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backoff {
    /// The longest wait before the second attempt. Default 1 s.
    #[serde(with = "seconds")]
    pub base: Duration,
    /// The longest wait before any attempt. Default 60 s.
    #[serde(with = "seconds")]
    pub max: Duration,
}

impl Backoff {
    /// The wait after attempt number `attempt` (from 1) has failed.
    pub fn delay(&self, attempt: u32, rng: &mut Rng) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let longest = self.base.saturating_mul(1 << doublings).min(self.max);
        rng.between(longest / 2, longest)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { base: Duration::from_secs(1), max: Duration::from_secs(60) }
    }
}

/// Chance from a seed: splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
/// Good for spreading waits; never for secrets.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The sequence that belongs to this seed.
    pub fn new(seed: u64) -> Self {
        Rng(seed)
    }

    /// Sixty-four bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A length of time between the two, both included; `least` if they are the wrong way round.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from(most.saturating_sub(least).as_nanos()).unwrap_or(u64::MAX);
        let share = (u128::from(self.next_u64()) * (u128::from(span) + 1)) >> 64;
        least.saturating_add(Duration::from_nanos(share as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_cap_and_stay_in_the_upper_half() {
        let backoff = Backoff::default();
        let mut rng = Rng::new(7);
        for (attempt, longest) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (40, 60), (u32::MAX, 60)] {
            let longest = Duration::from_secs(longest);
            let delays: Vec<_> = (0..1000).map(|_| backoff.delay(attempt, &mut rng)).collect();
            let (least, most) = (*delays.iter().min().unwrap(), *delays.iter().max().unwrap());
            assert!(least >= longest / 2 && most <= longest, "{attempt}: {least:?} {most:?}");
            assert!(least < longest.mul_f64(0.52) && most > longest.mul_f64(0.98), "{attempt}: {least:?} {most:?}");
        }
    }

    #[test]
    fn extreme_settings_saturate() {
        let mut rng = Rng::new(7);
        let endless = Backoff { base: Duration::MAX, max: Duration::MAX };
        assert!(endless.delay(9, &mut rng) >= Duration::MAX / 2);
        let none = Backoff { base: Duration::ZERO, max: Duration::ZERO };
        assert_eq!(none.delay(9, &mut rng), Duration::ZERO);
    }

    #[test]
    fn a_seed_gives_the_sequence_of_the_paper() {
        let mut rng = Rng::new(1_234_567);
        let first: Vec<_> = (0..3).map(|_| rng.next_u64()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }
}
