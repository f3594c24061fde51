//! Exercise 10: one batch after the other.

use std::num::NonZeroU64;

use gannet::Session;

use super::{origin, session};
use crate::report::{Answer, Problem, Report, wait};

/// What became of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Rows that are ok.
    pub ok: usize,
    /// Rows that are not.
    pub failed: usize,
}

/// Calls `in_batches` with 17 URLs, of which two fail, in batches of five.
pub fn check(in_batches: &impl AsyncFn(&Session, Vec<String>, NonZeroU64) -> Answer<Vec<Batch>>) -> Report {
    Report::of(|report| {
        let origin = origin()?;
        let session = session(&origin)?;
        let mut urls: Vec<String> = (0..17).map(|n| format!("/items/{n}?delay=0.15")).collect();
        urls[6] = "/status/404".to_owned();
        urls[16] = "/status/410".to_owned();
        let size = NonZeroU64::new(5).ok_or_else(|| Problem::Other("five is not zero".to_owned()))?;
        let got = wait(in_batches(&session, urls, size))?;

        let sizes: Vec<usize> = got.iter().map(|batch| batch.ok + batch.failed).collect();
        report.check("three batches of five, and the rest", sizes == [5, 5, 5, 2], format!("they are {sizes:?}"));
        let failed: Vec<usize> = got.iter().map(|batch| batch.failed).collect();
        report.check("the failures stand where they happened", failed == [0, 1, 0, 1], format!("they are {failed:?}"));
        let seen = origin.stats();
        report.check("every URL is asked for once", seen.requests == 17, format!("{} requests", seen.requests));
        let most = seen.max_in_flight;
        report.check("one batch at a time", most <= 5, format!("{most} were under way together"));
        report.check("a whole batch at once", most >= 4, format!("at most {most} were under way together"));
        Ok(())
    })
}
