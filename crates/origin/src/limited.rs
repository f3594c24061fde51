//! `/limited`: a token bucket per listening address and key. A bucket holds at most
//! `burst` tokens and gains `rate` a second; a request takes one or gets 429 and a
//! Retry-After. It also counts who comes back before that has passed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::body::OnSent;
use crate::call::{Answer, Call, Refusal, Reply};
use crate::stats::LimitedStats;

/// All buckets.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    buckets: HashMap<Key, Bucket>,
    stats: LimitedStats,
}

/// A listening address and the request's `key`.
type Key = (usize, String);

#[derive(Debug)]
struct Bucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    filled: Instant,
    holds: VecDeque<Hold>,
}

/// A Retry-After that has been sent.
#[derive(Debug, Clone, Copy)]
struct Hold {
    sent: Instant,
    until: Instant,
}

/// 200, or 429 with Retry-After.
pub(crate) fn limited(call: &Call) -> Answer {
    let rate: f64 = call.param_or("rate", 50.0)?;
    let burst: f64 = call.param_or("burst", rate.ceil().max(1.0))?;
    if !(rate.is_finite() && rate > 0.0 && burst.is_finite() && burst >= 1.0) {
        return Err(Refusal::bad("rate has to be above 0 and burst at least 1"));
    }
    let key = (call.host, call.param("key").unwrap_or_default().into_owned());
    let limiter = &call.shared.limiter;
    match limiter.take(&key, rate, burst, call.arrived) {
        Ok(()) => Ok(Reply::json(&json!({ "allowed": true }))),
        Err(seconds) => {
            let reply = Reply::json(&json!({ "allowed": false, "retry_after": seconds }))
                .with_status(StatusCode::TOO_MANY_REQUESTS)
                .with(RETRY_AFTER, HeaderValue::from(seconds));
            Ok(reply.on_sent(hold_when_sent(Arc::clone(limiter), key, seconds)))
        }
    }
}

/// The promise counts from when the client could have read it.
fn hold_when_sent(limiter: Arc<Limiter>, key: Key, seconds: u64) -> OnSent {
    Box::new(move || limiter.hold(&key, seconds, Instant::now()))
}

impl Limiter {
    pub(crate) fn stats(&self) -> LimitedStats {
        self.lock().stats.clone()
    }

    pub(crate) fn reset(&self) {
        *self.lock() = State::default();
    }

    /// Takes a token, or says after how many whole seconds there will be one.
    fn take(&self, key: &Key, rate: f64, burst: f64, now: Instant) -> Result<(), u64> {
        let mut state = self.lock();
        let State { buckets, stats } = &mut *state;
        if buckets.len() >= MAX_KEYS && !buckets.contains_key(key) {
            buckets.clear();
        }
        let bucket = buckets.entry(key.clone()).or_insert_with(|| Bucket::full(rate, burst, now));
        if bucket.rate != rate || bucket.burst != burst {
            *bucket = Bucket::full(rate, burst, now);
        }
        if bucket.is_held(now, Duration::ZERO) {
            stats.early += 1;
            stats.early_after_grace += u64::from(bucket.is_held(now, GRACE));
        }
        let taken = bucket.take(now);
        match taken {
            Ok(()) => stats.allowed += 1,
            Err(_) => stats.refused += 1,
        }
        taken
    }

    fn hold(&self, key: &Key, seconds: u64, now: Instant) {
        if let Some(bucket) = self.lock().buckets.get_mut(key) {
            bucket.holds.retain(|hold| hold.until > now);
            // The oldest are kept: whoever breaks a later promise breaks those too.
            if bucket.holds.len() < MAX_HOLDS {
                let until = now + Duration::from_secs(seconds);
                bucket.holds.push_back(Hold { sent: now, until });
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    fn full(rate: f64, burst: f64, now: Instant) -> Bucket {
        Bucket { rate, burst, tokens: burst, filled: now, holds: VecDeque::new() }
    }

    fn take(&mut self, now: Instant) -> Result<(), u64> {
        let gained = now.saturating_duration_since(self.filled).as_secs_f64() * self.rate;
        self.tokens = (self.tokens + gained).min(self.burst);
        self.filled = self.filled.max(now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        let wait = ((1.0 - self.tokens) / self.rate).ceil();
        Err((wait as u64).clamp(1, MAX_RETRY_AFTER))
    }

    /// Whether a request at `now` comes within a promise sent more than `grace` before.
    fn is_held(&self, now: Instant, grace: Duration) -> bool {
        self.holds.iter().any(|hold| now > hold.sent + grace && now < hold.until)
    }
}

/// A request may be on its way while the 429 is: within this span it is not blamed.
const GRACE: Duration = Duration::from_millis(50);
const MAX_KEYS: usize = 10_000;
const MAX_HOLDS: usize = 1_000;
/// A day; the arithmetic on instants stays within its range.
const MAX_RETRY_AFTER: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_at_once_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::full(2.0, 3.0, start);
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!([(); 4].map(|()| bucket.take(start)), [Ok(()), Ok(()), Ok(()), Err(1)]);
        assert_eq!(bucket.take(at(400)), Err(1));
        assert_eq!(bucket.take(at(500)), Ok(()));
        assert_eq!(bucket.take(at(600)), Err(1));
        // An hour fills it no further than the burst.
        let late = at(3_600_000);
        assert_eq!([(); 4].map(|()| bucket.take(late)), [Ok(()), Ok(()), Ok(()), Err(1)]);
    }

    #[test]
    fn retry_after_is_whole_seconds_rounded_up() {
        let start = Instant::now();
        let mut bucket = Bucket::full(0.4, 1.0, start);
        assert_eq!(bucket.take(start), Ok(()));
        assert_eq!(bucket.take(start), Err(3));
        assert_eq!(bucket.take(start + Duration::from_secs(1)), Err(2));
        assert_eq!(bucket.take(start + Duration::from_millis(2500)), Ok(()));
    }

    #[test]
    fn a_promise_is_broken_only_between_its_sending_and_its_end() {
        let limiter = Limiter::default();
        let key = (0, String::new());
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(limiter.take(&key, 1.0, 1.0, start), Ok(()));
        assert_eq!(limiter.take(&key, 1.0, 1.0, at(1)), Err(1));
        limiter.hold(&key, 1, at(2));
        let mut seen = Vec::new();
        for ms in [2, 30, 500, 1001, 1002] {
            let _ = limiter.take(&key, 1.0, 1.0, at(ms));
            let stats = limiter.stats();
            seen.push((stats.early, stats.early_after_grace));
        }
        assert_eq!(seen, [(0, 0), (1, 0), (2, 1), (3, 2), (3, 2)]);
    }
}
