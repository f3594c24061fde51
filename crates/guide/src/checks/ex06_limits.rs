//! Exercise 6: not too many at once, and not too fast.

use gannet::Session;
use gannet::bulk::Outcome;

use super::{origin, session};
use crate::report::{Answer, Report, wait};

/// Calls `politely` with 40 URLs and counts what the origin saw.
pub fn check(politely: &impl AsyncFn(&Session, Vec<String>) -> Answer<Vec<Outcome>>) -> Report {
    Report::of(|report| {
        let origin = origin()?;
        let session = session(&origin)?;
        let urls = (0..40).map(|n| format!("/items/{n}?delay=0.2")).collect();
        let outcomes = wait(politely(&session, urls))?;
        let seen = origin.stats();
        let ok = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        report.check("all 40 are fetched", ok == 40, format!("{ok} are"));
        let most = seen.max_in_flight;
        report.check("never more than 4 at once", most <= 4, format!("there were {most}"));
        report.check("but more than one", most > 1, "one by one is not what was asked for");
        let fastest = seen.per_second.max;
        let hint = format!("{fastest} started within one second: see options.limits.rate");
        // Ten, the burst of one, and one for a second that is measured at its edges.
        report.check("ten a second", fastest <= 12, hint);
        Ok(())
    })
}
