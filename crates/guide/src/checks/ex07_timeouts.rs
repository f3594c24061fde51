//! Exercise 7: patience with the slow, none with the silent.

use std::time::Instant;

use gannet::{ErrorKind, Session};

use super::{origin, session};
use crate::report::{Answer, Report, wait};

/// Calls `patiently` for a slow page, a silent server, one that falls silent, and a page that is not there.
pub fn check(patiently: &impl AsyncFn(&Session, &str) -> Answer<Result<String, ErrorKind>>) -> Report {
    Report::of(|report| {
        let origin = origin()?;
        let session = session(&origin)?;
        let ask = |path: &str| wait(patiently(&session, path));

        let slow = ask("/drip?duration=1.5&numbytes=15")?;
        let hint = format!("{slow:?}: it is never silent for more than 0.1 s, so only `read` may bound it");
        report.check("a slow page is read to its end", slow == Ok("*".repeat(15)), hint);

        for (what, path) in [("a silent server", "/hang"), ("one that falls silent", "/hang?after=head")] {
            let started = Instant::now();
            let got = ask(path)?;
            report.check(what, got == Err(ErrorKind::TimeoutRead), format!("{got:?}"));
            let took = started.elapsed();
            report.check("and not waited for", took.as_secs() < 3, format!("it took {took:.1?}"));
        }
        let missing = ask("/status/404")?;
        report.check("another error keeps its kind", missing == Err(ErrorKind::Status), format!("{missing:?}"));
        let default = session.settings().timeouts.read.is_some_and(|read| read.as_secs() == 60);
        report.check("the session is left as it was", default, "the timeouts of one request are enough");
        Ok(())
    })
}
