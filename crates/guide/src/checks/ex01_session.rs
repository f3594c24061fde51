//! Exercise 1: one session, its cookies and defaults, closed in the end.

use gannet::Session;

use super::origin;
use crate::report::{Answer, Report, wait};

/// What the visit brought home.
#[derive(Debug)]
pub struct Visit {
    /// The body of `/headers`.
    pub headers: String,
    /// The body of `/cookies`.
    pub cookies: String,
    /// The bodies of `/items/1` to `/items/10`.
    pub items: Vec<String>,
    /// The session, closed.
    pub session: Session,
}

/// Calls `visit` with the base of an origin.
pub fn check(visit: &impl AsyncFn(&str) -> Answer<Visit>) -> Report {
    Report::of(|report| {
        let origin = origin()?;
        let base = origin.url("/");
        let got = wait(visit(&base))?;
        let seen = origin.stats();
        report.check("x-team goes with the request", got.headers.contains("gulls"), "is it in options.headers?");
        report.check("the cookie comes back", got.cookies.contains("abc"), "ask for /cookies/set?token=abc first");
        let items = (1..=10).map(|id| format!("item {id}")).zip(&got.items);
        let all = got.items.len() == 10 && items.into_iter().all(|(name, body)| body.contains(&name));
        report.check("the ten items are there, in order", all, format!("there are {} bodies", got.items.len()));
        let asked = seen.paths.get("/items/{id}") == Some(&10);
        report.check("each item was asked for once", asked, format!("the origin saw {:?}", seen.paths));
        let one = seen.connections_total == 1;
        let hint =
            format!("there were {}: is there one session, and is each body read to its end?", seen.connections_total);
        report.check("one connection carried everything", one, hint);
        report.check("the session is closed", got.session.is_closed(), "call session.close()");
        Ok(())
    })
}
