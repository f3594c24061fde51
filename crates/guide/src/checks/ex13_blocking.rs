//! Exercise 13: the same without async.

use super::origin;
use crate::report::{Answer, Report};

/// Calls `names` from a thread that has no runtime.
pub fn check(names: &impl Fn(&str, &[u32]) -> Answer<Vec<String>>) -> Report {
    Report::of(|report| {
        let origin = origin()?;
        let base = origin.url("/");
        let ids: Vec<u32> = (1..=24).rev().collect();
        let got = names(&base, &ids)?;
        let seen = origin.stats();
        let wanted: Vec<String> = ids.iter().map(|id| format!("User {id}")).collect();
        report.check("the names, in the order of the ids", got == wanted, format!("{got:?}"));
        let most = seen.max_in_flight;
        report.check("they are fetched at once", most >= 6, format!("at most {most} were under way together"));
        report.check("each is asked for once", seen.requests == 24, format!("{} requests", seen.requests));
        Ok(())
    })
}
