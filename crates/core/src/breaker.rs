//! When a host is left alone because it fails: the circuit breaker of one host, as a bulk run needs it.
//!
//! It opens when nothing gets through to the host, or when half of what it was asked goes wrong. While it is open
//! the host's rows wait, none is failed; then one attempt at a time tries whether the host has recovered.
//! A 4xx never counts against a host, 429 included: it answers, and how fast it may be asked is for limits to decide.
//! Figures: Finagle's failure accrual and Polly's sampling window. Called by the schedule; small enough for every host.

use std::time::{Duration, Instant};

use crate::ErrorKind;
use crate::retry::{Outcome, Rng};

/// The breaker of one host, closed at first. It opens
/// - on 5 connect failures in a row (`dns`, `connect`, `tls`, `timeout.connect`);
/// - when at least half of at least 20 outcomes within 30 s are failures: those, a 5xx, a broken connection or body,
///   a timeout. The window moves in steps of 5 s, so that it holds the last 25 to 30 s;
/// - on 20 failures in a row however slowly they come, as they do from a host that answers nothing at all: a few
///   requests that all hang end a minute apart.
///
/// It then stays open between half and all of 5 s, twice that after each probe that fails, and 300 s at most.
/// What says nothing about the host (`resources`, `timeout.pool`, `closed`, a request that cannot be sent) is ignored.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    /// When the next probe may start; `None` while closed.
    open_until: Option<Instant>,
    /// When the newest of the buckets began; `None` while nothing was counted.
    newest_at: Option<Instant>,
    /// Newest first.
    buckets: [Bucket; BUCKETS],
    /// How often it opened since it was closed last.
    openings: u8,
    unreached_in_a_row: u8,
    failed_in_a_row: u8,
}

impl Breaker {
    /// A closed breaker that has seen nothing. 64 bytes, and no heap ever.
    pub fn new() -> Self {
        Breaker::default()
    }

    /// When the next start is allowed, and that start is a probe: [`Breaker::take_probe`]. `None` while closed, when
    /// nothing is asked of a start. While a probe is under way: when that probe will be given up for lost.
    pub fn opens_at(&self) -> Option<Instant> {
        self.open_until
    }

    /// Whether this start may be the probe: at most one until its outcome is told to [`Breaker::on_probe`], or for
    /// 300 s. Always `false` while closed.
    pub fn take_probe(&mut self, now: Instant) -> bool {
        let due = self.open_until.is_some_and(|until| until <= now);
        if due {
            // Should its outcome never come, the host is not lost with it.
            self.open_until = Some(now + LONGEST_OPEN);
        }
        due
    }

    /// An attempt ended that was not a probe. While the breaker is open, such attempts began before it opened and
    /// change nothing. Whether this one opened it.
    pub fn on_outcome(&mut self, outcome: &Outcome, now: Instant, rng: &mut Rng) -> bool {
        let Some(sign) = Sign::of(outcome) else { return false };
        if self.open_until.is_some() {
            return false;
        }
        self.count(sign, now);
        let opens = self.is_tripped(now);
        if opens {
            self.open(now, rng);
        }
        opens
    }

    /// The probe ended. A good answer closes the breaker, a failure opens it for twice as long as before, and what
    /// says nothing about the host allows another probe at once. Whether it is closed now.
    pub fn on_probe(&mut self, outcome: &Outcome, now: Instant, rng: &mut Rng) -> bool {
        match Sign::of(outcome) {
            _ if self.open_until.is_none() => {}
            Some(Sign::Answered) => *self = Breaker::new(),
            Some(Sign::Failed | Sign::Unreached) => self.open(now, rng),
            None => self.open_until = Some(now),
        }
        self.open_until.is_none()
    }

    /// Whether dropping this breaker and making a new one would change no decision for the worse: it is closed and
    /// has seen no failure within the window, and none since the last good answer.
    pub fn is_forgettable(&self, now: Instant) -> bool {
        self.open_until.is_none() && self.failed_in_a_row == 0 && self.within_window(now).all(|b| b.failed == 0)
    }

    fn count(&mut self, sign: Sign, now: Instant) {
        self.advance(now);
        let [bucket, ..] = &mut self.buckets;
        match sign {
            Sign::Answered => {
                bucket.answered += 1;
                (self.unreached_in_a_row, self.failed_in_a_row) = (0, 0);
            }
            Sign::Failed => {
                bucket.failed += 1;
                self.unreached_in_a_row = 0;
                self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
            }
            Sign::Unreached => {
                bucket.failed += 1;
                self.unreached_in_a_row = self.unreached_in_a_row.saturating_add(1);
                self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
            }
        }
        if bucket.answered.max(bucket.failed) == u16::MAX {
            // What matters is the share, and it is the same of halves.
            for bucket in &mut self.buckets {
                *bucket = Bucket { answered: bucket.answered / 2, failed: bucket.failed / 2 };
            }
        }
    }

    fn is_tripped(&self, now: Instant) -> bool {
        let (mut failed, mut all) = (0u32, 0u32);
        for bucket in self.within_window(now) {
            failed += u32::from(bucket.failed);
            all += u32::from(bucket.failed) + u32::from(bucket.answered);
        }
        self.unreached_in_a_row >= UNREACHED_IN_A_ROW
            || u32::from(self.failed_in_a_row) >= LEAST_OUTCOMES
            || (all >= LEAST_OUTCOMES && failed * 2 >= all)
    }

    fn open(&mut self, now: Instant, rng: &mut Rng) {
        let longest = FIRST_OPEN.saturating_mul(1 << self.openings.min(16)).min(LONGEST_OPEN);
        let openings = self.openings.saturating_add(1);
        // Half of it for certain, half by chance ("equal jitter").
        let open_until = Some(now + rng.between(longest / 2, longest));
        *self = Breaker { open_until, openings, ..Breaker::new() };
    }

    /// Makes the newest bucket the one that `now` is in.
    fn advance(&mut self, now: Instant) {
        let newest_at = *self.newest_at.get_or_insert(now);
        let steps = steps(newest_at, now);
        if steps >= BUCKETS as u64 {
            self.buckets = Default::default();
            self.newest_at = Some(now);
        } else if steps > 0 {
            let kept = BUCKETS - steps as usize;
            self.buckets.copy_within(..kept, steps as usize);
            self.buckets[..steps as usize].fill(Bucket::default());
            self.newest_at = Some(newest_at + BUCKET * steps as u32);
        }
    }

    fn within_window(&self, now: Instant) -> impl Iterator<Item = &Bucket> {
        let gone = self.newest_at.map_or(0, |at| steps(at, now));
        self.buckets.iter().take(BUCKETS - gone.min(BUCKETS as u64) as usize)
    }
}

/// What an outcome says about its host.
#[derive(Clone, Copy)]
enum Sign {
    /// It answers, and not with a failure of its own.
    Answered,
    /// It was reached, and failed.
    Failed,
    /// It was not reached.
    Unreached,
}

impl Sign {
    fn of(outcome: &Outcome) -> Option<Sign> {
        match (outcome.error, outcome.status) {
            (None | Some(ErrorKind::Status), Some(500..)) => Some(Sign::Failed),
            (None | Some(ErrorKind::Status), Some(_)) => Some(Sign::Answered),
            (Some(ErrorKind::Dns | ErrorKind::Connect | ErrorKind::Tls | ErrorKind::TimeoutConnect), _) => {
                Some(Sign::Unreached)
            }
            (
                Some(
                    ErrorKind::Connection
                    | ErrorKind::Body
                    | ErrorKind::TimeoutRead
                    | ErrorKind::TimeoutTotal
                    | ErrorKind::TimeoutDeadline,
                ),
                _,
            ) => Some(Sign::Failed),
            // Such a response is no use, but it came; a redirect may have led to any host, so that says nothing.
            (Some(ErrorKind::Protocol | ErrorKind::TooLarge | ErrorKind::Decode), _) => Some(Sign::Answered),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    answered: u16,
    failed: u16,
}

fn steps(from: Instant, now: Instant) -> u64 {
    now.saturating_duration_since(from).as_secs() / BUCKET.as_secs()
}

const UNREACHED_IN_A_ROW: u8 = 5;
const LEAST_OUTCOMES: u32 = 20;
const BUCKETS: usize = 6;
const BUCKET: Duration = Duration::from_secs(5);
const FIRST_OPEN: Duration = Duration::from_secs(5);
const LONGEST_OPEN: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests;
