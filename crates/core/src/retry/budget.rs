//! How much of a host's traffic may be retries, so that a host in trouble is not asked several times as much.
//!
//! Two rules, and a retry must pass both: how many are under way at once (Envoy's retry budget), and how many may
//! start over time, earned by successes (Finagle's `RetryBudget`). A failure earns nothing: where all fail, only the
//! reserve is left. Figures are in thousandths of a retry, as Finagle's. The schedule asks before each retry.

use std::time::{Duration, Instant};

/// The retries one host may be sent. At most 20% of the requests under way, but always 3; and a retry starts only
/// while those of the last 10 s are fewer than 100 (10 a second) and one for every 5 successes of that time.
/// Time moves in steps of a second: what was earned or spent counts for 9 to 10 s. 56 bytes.
#[derive(Clone, Debug, Default)]
pub struct RetryBudget {
    /// When the newest second began; `None` while nothing was earned or spent.
    newest_at: Option<Instant>,
    /// Earned less spent in each second, newest first, in thousandths of a retry.
    seconds: [i32; SECONDS],
}

impl RetryBudget {
    /// A budget with its whole reserve.
    pub fn new() -> Self {
        RetryBudget::default()
    }

    /// A request succeeded, a retry or not: earns a fifth of a retry.
    pub fn on_success(&mut self, now: Instant) {
        self.add(EARNED, now);
    }

    /// Whether a retry may start while `active` requests are under way at the host, `retrying` of them retries.
    /// Spends nothing: [`RetryBudget::take`] does.
    pub fn may_retry(&self, active: u32, retrying: u32, now: Instant) -> bool {
        let at_once = (u64::from(active) * EARNED as u64 / ONE as u64).max(LEAST_AT_ONCE);
        u64::from(retrying) < at_once && self.balance(now) >= i64::from(ONE)
    }

    /// A retry starts. One that did not ask first is counted all the same.
    pub fn take(&mut self, now: Instant) {
        self.add(-ONE, now);
    }

    /// When the budget over time allows the next retry, if nothing is earned until then; an instant not after `now`
    /// means now. How many are under way at once is another matter: that changes when one of them ends.
    pub fn opens_at(&self, now: Instant) -> Instant {
        let Some(newest_at) = self.newest_at else { return now };
        let gone = passed(newest_at, now);
        (gone..=SECONDS as u64)
            .map(|step| newest_at + Duration::from_secs(step))
            .find(|at| self.balance(*at) >= i64::from(ONE))
            .map_or(now, |at| at.max(now))
    }

    /// Whether nothing distinguishes this budget from a new one, so that it can be dropped and made again.
    pub fn is_whole(&self, now: Instant) -> bool {
        self.live(now).iter().all(|change| *change == 0)
    }

    fn balance(&self, now: Instant) -> i64 {
        RESERVE + self.live(now).iter().map(|change| i64::from(*change)).sum::<i64>()
    }

    /// The seconds that still count.
    fn live(&self, now: Instant) -> &[i32] {
        let gone = self.newest_at.map_or(0, |at| passed(at, now)).min(SECONDS as u64);
        &self.seconds[..SECONDS - gone as usize]
    }

    fn add(&mut self, change: i32, now: Instant) {
        let newest_at = *self.newest_at.get_or_insert(now);
        let steps = passed(newest_at, now);
        if steps >= SECONDS as u64 {
            self.seconds = [0; SECONDS];
            self.newest_at = Some(now);
        } else if steps > 0 {
            let steps = steps as usize;
            self.seconds.copy_within(..SECONDS - steps, steps);
            self.seconds[..steps].fill(0);
            self.newest_at = Some(newest_at + Duration::from_secs(steps as u64));
        }
        let [newest, ..] = &mut self.seconds;
        *newest = newest.saturating_add(change);
    }
}

fn passed(from: Instant, now: Instant) -> u64 {
    now.saturating_duration_since(from).as_secs()
}

/// One retry.
const ONE: i32 = 1000;
/// What a success earns, and the share of the requests under way that may be retries.
const EARNED: i32 = 200;
const LEAST_AT_ONCE: u64 = 3;
const SECONDS: usize = 10;
/// Ten a second.
const RESERVE: i64 = 10 * SECONDS as i64 * ONE as i64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
    fn t0() -> Instant {
        Instant::now()
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Takes as many retries as the budget allows at this instant, one under way at a time.
    fn spend(budget: &mut RetryBudget, now: Instant) -> u32 {
        let mut taken = 0;
        while budget.may_retry(1000, 0, now) {
            budget.take(now);
            taken += 1;
        }
        taken
    }

    #[test]
    fn a_fifth_of_what_is_under_way_may_be_retries_and_three_always() {
        let budget = RetryBudget::new();
        let now = t0();
        for (active, most) in [(0, 3), (1, 3), (15, 3), (19, 3), (20, 4), (100, 20), (u32::MAX, u32::MAX / 5)] {
            assert!(budget.may_retry(active, most - 1, now), "{active}");
            assert!(!budget.may_retry(active, most, now), "{active}");
        }
    }

    #[test]
    fn without_a_success_the_reserve_is_all_and_it_comes_back_after_ten_seconds() {
        let now = t0();
        let mut budget = RetryBudget::new();
        assert_eq!(spend(&mut budget, now), 100);
        assert_eq!(spend(&mut budget, now + secs(9)), 0);
        assert_eq!(budget.opens_at(now + secs(4)), now + secs(10));
        assert_eq!(spend(&mut budget, now + secs(10)), 100);
    }

    #[test]
    fn five_successes_earn_a_retry_for_ten_seconds() {
        let now = t0();
        let mut budget = RetryBudget::new();
        spend(&mut budget, now);
        (0..4).for_each(|_| budget.on_success(now + secs(5)));
        assert_eq!(spend(&mut budget, now + secs(5)), 0);
        budget.on_success(now + secs(5));
        assert_eq!(budget.opens_at(now + secs(5)), now + secs(5));
        assert_eq!(spend(&mut budget, now + secs(5)), 1);
        let mut saved = RetryBudget::new();
        (0..5000).for_each(|_| saved.on_success(now));
        assert_eq!(spend(&mut saved.clone(), now + secs(9)), 1100);
        assert_eq!(spend(&mut saved, now + secs(10)), 100);
    }

    #[test]
    fn it_is_whole_again_when_all_is_past() {
        let now = t0();
        let mut budget = RetryBudget::new();
        assert!(budget.is_whole(now));
        budget.take(now);
        assert!(!budget.is_whole(now + secs(9)));
        assert!(budget.is_whole(now + secs(10)));
    }

    #[test]
    fn absurd_counts_do_not_overflow() {
        let now = t0();
        let mut budget = RetryBudget { newest_at: Some(now), seconds: [i32::MAX; SECONDS] };
        budget.on_success(now);
        assert!(budget.may_retry(1, 0, now));
        let mut spent = RetryBudget { newest_at: Some(now), seconds: [i32::MIN; SECONDS] };
        spent.take(now);
        assert!(!spent.may_retry(1, 0, now));
        assert!(spent.opens_at(now) <= now + secs(10));
    }

    proptest! {
        /// However successes and retries fall, the 9 s before a retry hold no more retries than the reserve and a fifth
        /// of the successes of 10 s, and what `opens_at` says is true to the nanosecond.
        #[test]
        fn retries_stay_within_reserve_and_earnings(
            script in prop::collection::vec((0u64..1_500, 0u32..60), 1..80),
        ) {
            let mut now = t0();
            let mut budget = RetryBudget::new();
            let (mut successes, mut retries) = (Vec::new(), Vec::new());
            for (gap, count) in script {
                now += Duration::from_millis(gap);
                for _ in 0..count {
                    budget.on_success(now);
                    successes.push(now);
                }
                let taken = spend(&mut budget, now);
                retries.extend((0..taken).map(|_| now));
                let within = |log: &[Instant], length| log.iter().filter(|at| now - **at < secs(length)).count();
                // What was spent out of earnings that are past by now counts on; it only keeps others from starting.
                prop_assert!(taken == 0 || within(&retries, 9) <= 100 + within(&successes, 10) / 5);

                let opens = budget.opens_at(now);
                prop_assert!(opens > now && opens <= now + secs(10));
                prop_assert!(budget.may_retry(0, 0, opens));
                prop_assert!(!budget.may_retry(0, 0, opens - Duration::from_nanos(1)));
            }
        }
    }
}
