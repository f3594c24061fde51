//! Exercise 5: many at once, in order, failures as values.

use gannet::{ErrorKind, Session};

use super::{origin, session};
use crate::report::{Answer, Report, wait};

/// Calls `names` with URLs of which the first is the slowest, one is not there and one is no URL.
pub fn check(names: &impl AsyncFn(&Session, Vec<String>) -> Answer<Vec<Result<String, ErrorKind>>>) -> Report {
    Report::of(|report| {
        let origin = origin()?;
        let session = session(&origin)?;
        let mut urls: Vec<String> =
            (0..20).map(|n| format!("/items/{n}?delay={}", 0.4 - 0.01 * f64::from(n))).collect();
        urls[4] = "/status/404".to_owned();
        urls[9] = "http://".to_owned();
        let got = wait(names(&session, urls))?;

        report.check("an answer for each URL", got.len() == 20, format!("{} for 20 URLs", got.len()));
        let right = |(n, name): (usize, &Result<String, ErrorKind>)| {
            name.as_ref().is_ok_and(|name| *name == format!("item {n}"))
        };
        let ok = got.iter().enumerate().filter(|(n, _)| ![4, 9].contains(n)).all(right);
        report.check("the names are in the order of the URLs", ok, format!("they are {got:?}"));
        let at = |n: usize| got.get(n).and_then(|name| name.as_ref().err());
        report.check(
            "a 404 is a value of its own",
            at(4) == Some(&ErrorKind::Status),
            format!("it is {:?}", got.get(4)),
        );
        report.check("what is no URL is one, too", at(9) == Some(&ErrorKind::Url), format!("it is {:?}", got.get(9)));
        let most = origin.stats().max_in_flight;
        report.check("they run at once", most >= 8, format!("at most {most} were under way together"));
        Ok(())
    })
}
