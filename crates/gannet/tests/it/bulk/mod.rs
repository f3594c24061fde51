//! The bulk engine over real sockets; what reached the server is what the origin counted.

mod doors;
mod faults;
mod hedge;
mod limits;
mod memory;
mod retries;
#[cfg(feature = "state")]
mod state;
mod threads;

use gannet::bulk::{BulkOptions, Outcome};
use gannet::{ErrorKind, Options, Session};

/// Default bulk options with a short backoff, so that retries take no time.
fn quick() -> BulkOptions {
    let mut options = BulkOptions::default();
    options.retry.backoff.base = std::time::Duration::from_millis(1);
    options
}

fn session() -> Session {
    let mut options = Options::default();
    options.connections.max = 2048;
    Session::new(options).unwrap()
}

/// Every index once, in order.
fn assert_in_order(outcomes: &[Outcome]) {
    let indices: Vec<u64> = outcomes.iter().map(|outcome| outcome.index).collect();
    assert_eq!(indices, (0..outcomes.len() as u64).collect::<Vec<_>>());
}

fn kinds(outcomes: &[Outcome]) -> Vec<Option<ErrorKind>> {
    outcomes.iter().map(Outcome::error_kind).collect()
}
