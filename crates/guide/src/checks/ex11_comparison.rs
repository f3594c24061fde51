//! Exercise 11: the same work twice, measured.

use std::time::Duration;

use gannet::Session;

use super::{origin, session};
use crate::report::{Answer, Report, wait};

/// How long each way took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// One request after the other.
    pub one_by_one: Duration,
    /// All of them at once.
    pub at_once: Duration,
}

/// Calls `compare` with 15 URLs that are answered after 100 ms.
pub fn check(compare: &impl AsyncFn(&Session, &[String]) -> Answer<Comparison>) -> Report {
    Report::of(|report| {
        let origin = origin()?;
        let session = session(&origin)?;
        let urls: Vec<String> = (0..15).map(|n| format!("/items/{n}?delay=0.1")).collect();
        let Comparison { one_by_one, at_once } = wait(compare(&session, &urls))?;
        let seen = origin.stats();

        let twice = seen.urls.len() == 15 && seen.urls.values().all(|times| *times == 2);
        report.check("every URL is fetched twice, once each way", twice, format!("{} requests in all", seen.requests));
        let honest = one_by_one >= Duration::from_millis(1500);
        report.check(
            "one by one takes 1.5 s at least",
            honest,
            format!("you say {one_by_one:.2?}: is each body read?"),
        );
        let whole = at_once >= Duration::from_millis(100);
        report.check("at once takes 0.1 s at least", whole, format!("you say {at_once:.2?}"));
        let hint = format!("{at_once:.2?} beside {one_by_one:.2?}");
        report.check("at once is three times as fast at least", at_once * 3 <= one_by_one, hint);
        let most = seen.max_in_flight;
        report.check("they did run at once", most >= 8, format!("at most {most} were under way together"));
        Ok(())
    })
}
