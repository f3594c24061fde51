//! How much may run at once and how fast it may start. The figures are here, the fixed rate of one host in
//! [`RateGate`], what adapts to it in [`Pace`]; [`crate::schedule`] enforces all. Caps on open sockets are another
//! matter and belong to the pool.

mod adaptive;
mod declared;
mod learned;
mod pace;
mod rate;
mod signal;

pub use adaptive::Adaptive;
pub use declared::{DeclaredLimit, declared_limit, parse_rate_limit};
pub use learned::LearnedRate;
pub use pace::{Learnt, Load, Pace};
pub use rate::{Rate, RateError, RateGate, RateRule};
use serde::{Deserialize, Serialize};
pub use signal::Signal;

/// Caps on requests in flight and on their starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests in flight over all hosts. Default 256; 0 counts as 1.
    pub concurrency: usize,
    /// Requests in flight to one host (name and port, 80 and 443 as one). Default 32; `None` is no cap, 0 counts as 1.
    pub per_host: Option<usize>,
    /// Starts per host. Default none.
    pub rate: Option<Rate>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { concurrency: 256, per_host: Some(32), rate: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_read_back_with_their_defaults() {
        let read: Limits = serde_json::from_str(r#"{"rate":"50/s","per_host":null}"#).unwrap();
        let wanted = Limits { per_host: None, rate: Some(Rate::per_second(50.0).unwrap()), ..Limits::default() };
        assert_eq!(read, wanted);
        assert_eq!(serde_json::to_string(&read).unwrap(), r#"{"concurrency":256,"per_host":null,"rate":"50/s"}"#);
        assert!(serde_json::from_str::<Limits>(r#"{"perhost":3}"#).is_err());
    }
}
