//! Exercise 8: trying again, but neither at once nor for ever.

use std::time::Instant;

use gannet::Session;
use gannet::bulk::Outcome;
use gannet_origin::Origin;

use super::{origin, session};
use crate::report::{Answer, Report, wait};

/// Calls `persistently` with pages that fail three times or more, one that is not there, and a server that says
/// when to come back.
pub fn check(persistently: &impl AsyncFn(&Session, Vec<String>) -> Answer<Vec<Outcome>>) -> Report {
    Report::of(|report| {
        let origin = origin()?;
        let session = session(&origin)?;

        let flaky = wait(stubborn(&session, &origin))?;
        let started = Instant::now();
        let outcomes = wait(persistently(&session, flaky.clone()))?;
        let took = started.elapsed();
        let ok = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let hint = format!("{ok} of {} are: five attempts, and 520 is one of 5xx", flaky.len());
        report.check("what fails for a while is ok in the end", ok == flaky.len(), hint);
        let hint = format!("it took {took:.1?}: the wait before the second attempt is options.retry.backoff.base");
        report.check("the waits are short", took.as_secs_f64() < 2.5, hint);

        wait(persistently(&session, vec!["/status/404".to_owned(), "/status/599".to_owned()]))?;
        let urls = origin.stats().urls;
        let asked = |path: &str| urls.get(path).copied().unwrap_or(0);
        let hint = format!("it was asked for {} times", asked("/status/404"));
        report.check("what is not there is asked for once", asked("/status/404") == 1, hint);
        let hint = format!("it was asked for {} times", asked("/status/599"));
        report.check("what never comes right is given up after five", asked("/status/599") == 5, hint);

        let urls = (0..8).map(|n| format!("/limited?rate=20&burst=5&key=a#{n}")).collect();
        let outcomes = wait(persistently(&session, urls))?;
        let ok = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        report.check("429 is tried again", ok == 8, format!("{ok} of 8 are ok"));
        let early = origin.stats().limited.early_after_grace;
        report.check("and not before its Retry-After", early == 0, format!("{early} requests came too early"));
        Ok(())
    })
}

/// URLs whose first three attempts fail, and one of the next two does not.
async fn stubborn(session: &Session, origin: &Origin) -> Answer<Vec<String>> {
    let mut urls = Vec::new();
    for n in 0..200 {
        let url = format!("/flaky?p=0.6&status=520&n={n}");
        let mut failed = 0;
        while failed < 5 && !session.get(&url).send().await?.ok() {
            failed += 1;
        }
        if failed == 3 || failed == 4 {
            urls.push(url);
        }
    }
    urls.truncate(8);
    // The origin forgets the attempts, too.
    origin.reset_stats();
    Ok(urls)
}
