//! The rules for what is adapted to each host, below the fixed limits.

use serde::{Deserialize, Serialize};

/// How a run fits itself to what its hosts take. `limits` stay the ceiling of all of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolitenessOptions {
    /// Whether concurrency and rate of a host are found out from its answers: 8 at once and 100 a second at first,
    /// more as long as it serves them well, just under what it allows once it has refused. Off, the limits hold
    /// exactly as they are set. Default true.
    pub adaptive: bool,
}

impl Default for PolitenessOptions {
    fn default() -> Self {
        PolitenessOptions { adaptive: true }
    }
}
