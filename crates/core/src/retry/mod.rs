//! Which outcome of an attempt is worth another, and when. Pure: the schedule asks, and does the waiting.
//!
//! Retried are connection failures, timeouts and a set of statuses when the request may be repeated; 429, and 503
//! with Retry-After, whatever the method, since the server says itself that nothing was done.
//! A proxy's refusal to open a tunnel is retried by its own status, as the host's would be: a 502 may pass, a 407 not.
//! Never retried: what would fail again the same way (url, input, request, tls, protocol, decode, too_large,
//! redirect) and what was ended on purpose (deadline, closed). A shortage of this machine is no attempt at all
//! and is handled by [`crate::schedule`].

mod after;
mod backoff;
mod budget;
mod statuses;

use std::time::Duration;

pub use after::parse_retry_after;
pub use backoff::{Backoff, Rng};
pub use budget::RetryBudget;
use serde::{Deserialize, Serialize};
pub use statuses::{StatusSet, StatusSetError};

use crate::ErrorKind;
use crate::limit::DeclaredLimit;

/// When a row is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryPolicy {
    /// Attempts in all, the first included. Default 3; 0 counts as 1.
    pub attempts: u32,
    /// The statuses worth another attempt. Default 408, 429, 500, 502, 503, 504.
    pub statuses: StatusSet,
    /// Whether methods that are not idempotent (POST, PATCH) are retried like the others, at the risk of doing
    /// their work twice. Default false.
    pub unsafe_methods: bool,
    /// How long to wait between attempts.
    pub backoff: Backoff,
}

impl RetryPolicy {
    /// How long to wait before the next attempt, or `None` if this outcome is final.
    /// `attempt` is the number of the attempt that ended so, from 1. Retry-After is never undercut.
    pub fn decide(&self, outcome: &Outcome, attempt: u32, rng: &mut Rng) -> Option<Duration> {
        if attempt >= self.attempts || !self.is_worth_another(outcome) {
            return None;
        }
        let asked = outcome.retry_after.unwrap_or_default();
        Some(self.backoff.delay(attempt, rng).max(asked))
    }

    /// How long the whole host has asked to be left alone, if it has: Retry-After with 429, 503 or a status of the set.
    pub fn hold(&self, outcome: &Outcome) -> Option<Duration> {
        let status = outcome.status?;
        outcome.retry_after.filter(|_| matches!(status, 429 | 503) || self.statuses.contains(status))
    }

    fn is_worth_another(&self, outcome: &Outcome) -> bool {
        let may_repeat = outcome.repeatable || self.unsafe_methods;
        match (outcome.error, outcome.status) {
            (None | Some(ErrorKind::Status), Some(status)) => {
                let not_processed = status == 429 || (status == 503 && outcome.retry_after.is_some());
                self.statuses.contains(status) && (may_repeat || not_processed)
            }
            (Some(ErrorKind::Resources), _) | (None, None) => false,
            (Some(ErrorKind::Proxy), _) => {
                outcome.proxy_status.is_some_and(|status| self.statuses.contains(status)) && may_repeat
            }
            (Some(kind), _) => kind.is_transient() && may_repeat,
        }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy { attempts: 3, statuses: StatusSet::default(), unsafe_methods: false, backoff: Backoff::default() }
    }
}

/// How one attempt ended, as far as retries and limits are concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What went wrong; `None` if a whole response came with a status below 400.
    pub error: Option<ErrorKind>,
    /// The status, if a response head came.
    pub status: Option<u16>,
    /// The status that a proxy refused a tunnel with; the host has then said nothing.
    pub proxy_status: Option<u16>,
    /// What [`parse_retry_after`] made of the response's Retry-After.
    pub retry_after: Option<Duration>,
    /// Whether the request may be sent twice: [`is_idempotent`], or it carries an Idempotency-Key.
    pub repeatable: bool,
    /// Whether the server asked for less without a status: ENHANCE_YOUR_CALM of HTTP/2 (RFC 9113 §7).
    pub throttled: bool,
    /// From the start of the attempt to the response head; `None` if none came or it is not known.
    pub latency: Option<Duration>,
    /// What the response's head declares ([`crate::limit::declared_limit`]).
    pub rate_limit: Option<DeclaredLimit>,
}

impl Outcome {
    /// A whole response; a status of 400 or more is the error kind `status`. Repeatable.
    pub fn response(status: u16) -> Self {
        let error = (status >= 400).then_some(ErrorKind::Status);
        Outcome { error, status: Some(status), repeatable: true, ..Outcome::default() }
    }

    /// No whole response. Repeatable.
    pub fn failure(kind: ErrorKind) -> Self {
        Outcome { error: Some(kind), repeatable: true, ..Outcome::default() }
    }

    /// The same with this Retry-After.
    #[must_use]
    pub fn retry_after(self, delay: Option<Duration>) -> Self {
        Outcome { retry_after: delay, ..self }
    }

    /// The same, with this time to the response head.
    #[must_use]
    pub fn latency(self, latency: Option<Duration>) -> Self {
        Outcome { latency, ..self }
    }

    /// The same, with this declared limit.
    #[must_use]
    pub fn rate_limit(self, limit: Option<DeclaredLimit>) -> Self {
        Outcome { rate_limit: limit, ..self }
    }

    /// The same, of a request that may or may not be sent twice.
    #[must_use]
    pub fn repeatable(self, repeatable: bool) -> Self {
        Outcome { repeatable, ..self }
    }
}

/// Whether sending a request of this method twice does no more than once (RFC 9110 §9.2.2). Methods are
/// case-sensitive; an unknown one is not idempotent.
pub fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "TRACE")
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY_AFTER: Option<Duration> = Some(Duration::from_secs(7));

    fn retried(policy: &RetryPolicy, outcome: Outcome) -> bool {
        policy.decide(&outcome, 1, &mut Rng::new(1)).is_some()
    }

    #[test]
    fn every_error_kind_is_on_its_side() {
        let transient = [
            ErrorKind::Dns,
            ErrorKind::Connect,
            ErrorKind::Connection,
            ErrorKind::Body,
            ErrorKind::TimeoutPool,
            ErrorKind::TimeoutConnect,
            ErrorKind::TimeoutRead,
            ErrorKind::TimeoutTotal,
        ];
        let policy = RetryPolicy::default();
        for kind in ErrorKind::ALL {
            let outcome = Outcome::failure(kind);
            assert_eq!(retried(&policy, outcome), transient.contains(&kind), "{kind}");
            assert!(!retried(&policy, outcome.repeatable(false)), "{kind}");
        }
    }

    #[test]
    fn statuses_follow_the_set_and_the_method() {
        let policy = RetryPolicy::default();
        let only_5xx = RetryPolicy { statuses: "5xx".parse().unwrap(), ..RetryPolicy::default() };
        let not_safe = RetryPolicy { unsafe_methods: true, ..RetryPolicy::default() };
        for (policy, status, after, repeatable, wanted) in [
            (&policy, 200, None, true, false),
            (&policy, 404, None, true, false),
            (&policy, 501, None, true, false),
            (&policy, 503, None, true, true),
            (&policy, 500, None, false, false),
            (&policy, 500, RETRY_AFTER, false, false),
            (&policy, 503, None, false, false),
            (&policy, 503, RETRY_AFTER, false, true),
            (&policy, 429, None, false, true),
            (&only_5xx, 429, None, true, false),
            (&only_5xx, 501, None, true, true),
            (&not_safe, 500, None, false, true),
            (&not_safe, 404, None, false, false),
        ] {
            let outcome = Outcome::response(status).retry_after(after).repeatable(repeatable);
            assert_eq!(retried(policy, outcome), wanted, "{status} {after:?} {repeatable}");
        }
    }

    #[test]
    fn a_proxys_refusal_follows_the_set_by_its_own_status() {
        let policy = RetryPolicy::default();
        let refused = |status| Outcome { proxy_status: status, ..Outcome::failure(ErrorKind::Proxy) };
        for (status, wanted) in [(None, false), (Some(403), false), (Some(407), false), (Some(502), true)] {
            assert_eq!(retried(&policy, refused(status)), wanted, "{status:?}");
            assert!(!retried(&policy, refused(status).repeatable(false)), "{status:?}");
        }
    }

    #[test]
    fn a_status_below_400_in_the_set_is_retried_too() {
        let policy = RetryPolicy { statuses: "202".parse().unwrap(), ..RetryPolicy::default() };
        assert!(retried(&policy, Outcome::response(202)));
        assert!(!retried(&policy, Outcome::response(200)));
    }

    #[test]
    fn the_last_attempt_is_final() {
        let policy = RetryPolicy::default();
        let outcome = Outcome::response(500);
        assert!(policy.decide(&outcome, 2, &mut Rng::new(1)).is_some());
        assert!(policy.decide(&outcome, 3, &mut Rng::new(1)).is_none());
        let never = RetryPolicy { attempts: 0, ..policy };
        assert!(never.decide(&outcome, 1, &mut Rng::new(1)).is_none());
    }

    #[test]
    fn retry_after_is_never_undercut_and_neither_is_the_backoff() {
        let policy = RetryPolicy::default();
        let rng = &mut Rng::new(1);
        let long = Outcome::response(429).retry_after(RETRY_AFTER);
        assert_eq!(policy.decide(&long, 1, rng), RETRY_AFTER);
        let short = Outcome::response(429).retry_after(Some(Duration::ZERO));
        assert!(policy.decide(&short, 1, rng) >= Some(Duration::from_millis(500)));
    }

    #[test]
    fn a_host_is_held_by_retry_after_with_the_right_status_only() {
        let policy = RetryPolicy { statuses: "500".parse().unwrap(), ..RetryPolicy::default() };
        for (status, held) in [(429, true), (503, true), (500, true), (200, false), (301, false), (502, false)] {
            let outcome = Outcome::response(status).retry_after(RETRY_AFTER);
            assert_eq!(policy.hold(&outcome).is_some(), held, "{status}");
            assert_eq!(policy.hold(&outcome.retry_after(None)), None);
        }
    }

    #[test]
    fn the_policy_reads_back_with_its_defaults() {
        let policy = RetryPolicy::default();
        let text = serde_json::to_string(&policy).unwrap();
        let wanted = r#"{"attempts":3,"statuses":"408,429,500,502,503,504","unsafe_methods":false,"backoff":{"base":1,"max":60}}"#;
        assert_eq!(text, wanted);
        assert_eq!(serde_json::from_str::<RetryPolicy>(&text).unwrap(), policy);
        let read: RetryPolicy = serde_json::from_str(r#"{"attempts":5,"backoff":{"base":0.25}}"#).unwrap();
        assert_eq!((read.attempts, read.backoff.base), (5, Duration::from_millis(250)));
        assert_eq!(read.backoff.max, Duration::from_secs(60));
        assert!(serde_json::from_str::<RetryPolicy>(r#"{"retries":5}"#).is_err());
    }

    #[test]
    fn idempotent_methods_are_those_of_rfc_9110() {
        for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"] {
            assert!(is_idempotent(method));
        }
        for method in ["POST", "PATCH", "CONNECT", "get", "PURGE", ""] {
            assert!(!is_idempotent(method));
        }
    }
}
