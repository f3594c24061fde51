//! Many requests at once. One driver for every source of rows and every sink of outcomes: it feeds
//! [`gannet_core::schedule::Schedule`], which decides what starts when, sends what it says, and hands each row's
//! outcome to the sink exactly once. One failure never stops the rest.
//!
//! From Rust most use [`crate::Session::fetch_all`], [`crate::Session::fetch`] and their kin; the command uses
//! [`Run`] with its own source and sink.

mod attempt;
mod copies;
mod engine;
mod fetch;
mod lanes;
mod memory;
mod prior;
mod row;
mod run;
pub mod sink;
pub mod source;
#[cfg(feature = "state")]
pub mod state;

pub use fetch::{Fetch, FetchAll, Outcomes};
pub use memory::Share;
pub use prior::Prior;
pub use row::{Fetched, Outcome, Row};
pub use run::{Control, End, Finished, Run, Snapshot};
pub use sink::Sink;
pub use source::Source;

pub use gannet_core::limit::{Learnt, Limits, Rate, RateError};
pub use gannet_core::retry::{Backoff, RetryPolicy, StatusSet, StatusSetError};
pub use gannet_core::schedule::{HostReceipt, PolitenessOptions, ReceiptSummary};

use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use gannet_core::timeout::Timeouts;
use serde::{Deserialize, Serialize};

/// How a bulk run is done. The defaults are those of the command, but for `threads`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BulkOptions {
    /// How many requests run at once (256, 32 per host), and how many start per second and host (no limit).
    pub limits: Limits,
    /// Attempts (3), what is retried, backoff.
    pub retry: RetryPolicy,
    /// What is found out about each host and adapted to, below the limits; on.
    pub polite: PolitenessOptions,
    /// `total` of one attempt where neither the row nor the session sets one; 300 s.
    #[serde(with = "gannet_core::timeout::seconds::optional")]
    pub total: Option<Duration>,
    /// Bounds a row with all its attempts, backoff and parked time between them, from its first start; none.
    #[serde(with = "gannet_core::timeout::seconds::optional")]
    pub deadline: Option<Duration>,
    /// Rows per batch: the next begins when the last row of the one before is done; none.
    pub batch: Option<NonZeroU64>,
    /// Stop at the first row that fails; off.
    pub fail_fast: bool,
    /// The largest body of a row, in bytes, after decoding; 32 MiB, or `response.max_body` of the session where that is
    /// less. A request's own [`max_body`](crate::RequestBuilder::max_body) goes before both.
    pub max_body: u64,
    /// Bodies held at once, in bytes, over all rows: those that come, and finished ones that nobody has taken yet from a
    /// stream of outcomes, or that an output has no room for; 256 MiB. Beyond it nothing new starts and bodies wait to
    /// grow, all but one. In input order rows behind one that is not done go beyond it one by one rather than stop. Lists
    /// of outcomes that are given out together are not counted.
    pub memory: u64,
    /// Threads that the requests are on; one, which is the runtime that drives the run (the command: one for each
    /// processor, eight at the most). Each further one is a runtime of its own for as long as the run lasts, with its part
    /// of `connections.max` and `connections.max_per_host` (eight of each at least, else there are fewer threads); the
    /// session's idle connections are closed when such a run begins, and what it does beside the run has the caps to
    /// itself. Limits and order are kept over all threads. Source and sink are called on any of them, in the runtime that
    /// drives the run; bodies of requests and traces in that of the thread. Of use where requests cost more than a core:
    /// see `docs/design/007-cores.md`.
    pub threads: Option<NonZeroUsize>,
    /// How long a stopped run waits for what is in flight; 30 s.
    #[serde(with = "gannet_core::timeout::seconds")]
    pub drain: Duration,
}

impl Default for BulkOptions {
    fn default() -> Self {
        BulkOptions {
            limits: Limits::default(),
            retry: RetryPolicy::default(),
            polite: PolitenessOptions::default(),
            total: Timeouts::bulk().total,
            deadline: None,
            batch: None,
            fail_fast: false,
            max_body: 32 << 20,
            memory: 256 << 20,
            threads: None,
            drain: Duration::from_secs(30),
        }
    }
}
