//! The rules for what is adapted to each host, below the fixed limits.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::timeout::seconds;

/// How a run fits itself to what its hosts take. `limits` stay the ceiling of all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolitenessOptions {
    /// Whether concurrency and rate of a host are found out from its answers: 8 at once and 100 a second at first,
    /// more as long as it serves them well, just under what it allows once it has refused. Off, the limits hold
    /// exactly as they are set. Default true.
    pub adaptive: bool,
    /// Whether retries are held to a share of a host's requests: a fifth of those under way and one for every five
    /// successes, but always 3 at once and 10 a second. Those beyond it wait behind the fresh rows. Default true.
    pub retry_budget: bool,
    /// Whether a host that has served and then fails is left alone for a while, its rows waiting, while one row at a
    /// time tries it. Rows are not failed by that. Default true.
    pub breaker: bool,
    /// For how long a host may fail before its rows no longer wait for it, but are tried as those of a host that
    /// never served. Default 600 s.
    #[serde(with = "seconds")]
    pub breaker_patience: Duration,
    /// Whether a RateLimit field is kept to as a ceiling. Default true.
    pub rate_limit_headers: bool,
    /// Whether a copy of a slow request may be sent, after the 95th percentile of its host's latencies and for one
    /// request in twenty at most. Default false.
    pub hedge: bool,
}

impl PolitenessOptions {
    /// Nothing adapted to, nothing guarded: the limits hold exactly as they are set.
    pub fn off() -> Self {
        PolitenessOptions {
            adaptive: false,
            retry_budget: false,
            breaker: false,
            rate_limit_headers: false,
            ..PolitenessOptions::default()
        }
    }
}

impl Default for PolitenessOptions {
    fn default() -> Self {
        PolitenessOptions {
            adaptive: true,
            retry_budget: true,
            breaker: true,
            breaker_patience: Duration::from_secs(600),
            rate_limit_headers: true,
            hedge: false,
        }
    }
}

#[cfg(test)]
mod tests;
