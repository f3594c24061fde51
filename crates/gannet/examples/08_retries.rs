//! Retries: some failures pass. Wait longer each time, obey the server, and stop.
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;
use std::time::{Duration, Instant};

use gannet::bulk::{BulkOptions, Outcome};
use gannet::{Options, Session};
use gannet_origin::Origin;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let origin = Origin::start_blocking()?;
    let session = Session::new(Options { base_url: Some(origin.url("/")), ..Options::default() })?;

    // Half of all attempts fail. The backoff is short because this is an example; the default is 1 s.
    let mut options = BulkOptions::default();
    options.retry.attempts = 6;
    options.retry.backoff.base = Duration::from_millis(20);
    // A host that fails half the time is left alone for a while, and tried again by one request. Not this one.
    options.polite.breaker = false;
    let urls = (0..30).map(|n| format!("/flaky?p=0.5&n={n}"));
    let outcomes = session.fetch_all(urls).options(options.clone()).await;
    let ok = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let attempts: u32 = outcomes.iter().map(|outcome| outcome.attempts).sum();
    println!("{ok} of 30 ok after {attempts} attempts");
    assert!(ok >= 28 && attempts > 30);

    // Some failures do not pass, and are not asked about again.
    let outcomes = session.fetch_all(["/status/404", "/status/501", "not://a.url/"]).options(options.clone()).await;
    assert!(outcomes.iter().all(|outcome| outcome.attempts <= 1));

    // A POST may have done its work before it failed. Sent once, unless it says that twice is as good as once.
    let once = session.post("/flaky?p=1&once").body("x").build()?;
    let keyed = session.post("/flaky?p=1&keyed").header("idempotency-key", "order-17").body("x").build()?;
    let outcomes = session.fetch_all([once, keyed]).options(options.clone()).await;
    println!("POST: {} attempt, with a key {}", outcomes[0].attempts, outcomes[1].attempts);
    assert_eq!((outcomes[0].attempts, outcomes[1].attempts), (1, 6));

    // One request, by the same rules.
    let request = session.get("/flaky?p=0.5&single").build()?;
    let response = session.execute_retrying(request, &options.retry).await?;
    assert!(response.ok());

    // A server that says when to come back is obeyed, and by all rows of that host. This one takes ten requests
    // at once and then ten a second; whoever comes too early it counts.
    let started = Instant::now();
    let urls = (0..15).map(|_| "/limited?rate=10&burst=10");
    let outcomes = session.fetch_all(urls).options(options).await;
    let seen = origin.stats().limited;
    println!("15 requests in {:.1?}, {} of them refused at first", started.elapsed(), seen.refused);
    assert!(outcomes.iter().all(Outcome::is_ok));
    assert!(seen.refused > 0 && seen.early_after_grace == 0);
    Ok(())
}
