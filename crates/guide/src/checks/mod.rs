//! What each exercise is held to. A check starts an origin of its own, calls the function it was given, and looks at
//! the answer and at what reached the origin.

pub mod ex01_session;
pub mod ex02_methods_and_bodies;
pub mod ex03_response;
pub mod ex04_errors;
pub mod ex05_many_at_once;
pub mod ex06_limits;
pub mod ex07_timeouts;
pub mod ex08_retries;
pub mod ex09_parallel_fetch;
pub mod ex10_batches;
pub mod ex11_comparison;
pub mod ex12_mistakes;
pub mod ex13_blocking;
pub mod ex14_resume;

use gannet::{Options, Session};
use gannet_origin::Origin;

use crate::report::Problem;

/// An origin that runs on a thread of its own, so that nothing the learner does can hold it up.
fn origin() -> Result<Origin, Problem> {
    Origin::start_blocking().map_err(|error| Problem::Other(format!("the origin does not start: {error}")))
}

/// A session whose base is that origin.
fn session(origin: &Origin) -> Result<Session, Problem> {
    Ok(Session::new(Options { base_url: Some(origin.url("/")), ..Options::default() })?)
}
