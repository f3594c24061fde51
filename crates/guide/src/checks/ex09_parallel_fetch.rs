//! Exercise 9: url → data, or why there is none.

use std::collections::HashMap;

use gannet::Session;

use super::{origin, session};
use crate::report::{Answer, Report, wait};

/// Calls `prices` with items, a URL that stands there twice, one that is not there and one that is no JSON.
pub fn check(prices: &impl AsyncFn(&Session, Vec<String>) -> Answer<HashMap<String, Result<f64, String>>>) -> Report {
    Report::of(|report| {
        let origin = origin()?;
        let session = session(&origin)?;
        let mut urls: Vec<String> = (0..12).map(|n| format!("/items/{n}?delay=0.2")).collect();
        urls.extend(["/items/0?delay=0.2", "/status/404", "/html"].map(str::to_owned));
        let got = wait(prices(&session, urls.clone()))?;

        report.check("a row for each URL", got.len() == 14, format!("{} for 14 different ones", got.len()));
        let priced =
            urls.iter().take(12).filter(|url| matches!(got.get(*url), Some(Ok(price)) if *price > 0.0)).count();
        report.check("the items have prices", priced == 12, format!("{priced} of 12 have"));
        let missing = got.get("/status/404").is_some_and(|row| row.as_ref().is_err_and(|why| why.contains("404")));
        report.check("a 404 says so", missing, format!("{:?}", got.get("/status/404")));
        let page = got.get("/html").is_some_and(Result::is_err);
        report.check("a page without a price has a reason", page, format!("{:?}", got.get("/html")));
        let seen = origin.stats();
        let once = seen.urls.values().all(|times| *times == 1);
        report.check("each URL is fetched once", once, "fetch_map sees to it");
        let most = seen.max_in_flight;
        report.check("they run at once", most >= 6, format!("at most {most} were under way together"));
        Ok(())
    })
}
