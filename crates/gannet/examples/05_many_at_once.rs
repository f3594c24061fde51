//! Many requests at once: results in the order of the input, failures beside successes.
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;
use std::time::Instant;

use gannet::{ErrorKind, Options, Session};
use gannet_origin::Origin;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let origin = Origin::start_blocking()?;
    let session = Session::new(Options { base_url: Some(origin.url("/")), ..Options::default() })?;

    // The first is the slowest, and one of them is not there.
    let delay = |n: u32| 0.2 - f64::from(n) * 0.01;
    let mut urls: Vec<String> = (0..20).map(|n| format!("/items/{n}?delay={:.2}", delay(n))).collect();
    urls[7] = "/status/404".to_owned();

    let started = Instant::now();
    let outcomes = session.fetch_all(&urls).await;
    println!("{} outcomes after {:.1?}, one by one it takes 2 s", outcomes.len(), started.elapsed());

    // One outcome for each URL, in the order they were given.
    assert_eq!(outcomes.len(), urls.len());
    assert!(outcomes.iter().enumerate().all(|(n, outcome)| outcome.index == n as u64));
    // The one that failed is a value among the others.
    assert_eq!(outcomes[7].error_kind(), Some(ErrorKind::Status));
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 19);
    assert!(origin.stats().max_in_flight >= 10);

    for outcome in outcomes.into_iter().skip(6).take(3) {
        let url = outcome.url.clone();
        match outcome.into_result() {
            Ok(fetched) => println!("{url}: {} bytes", fetched.body.len()),
            Err(error) => println!("{url}: {error}"),
        }
    }

    // As they finish instead, and in bounded memory: the input may be endless.
    let mut outcomes = session.fetch_iter(urls.clone()).outcomes();
    let mut order = Vec::new();
    while let Some(outcome) = outcomes.next().await {
        order.push(outcome.index);
    }
    println!("they finished in this order: {order:?}");
    assert_ne!(order.first(), Some(&0));

    // All or nothing, when that is what you want: the first failure ends it.
    let error = session.fetch_all(&urls).fail_fast().await.expect_err("one is not there");
    println!("fail_fast: {error}");
    assert!(error.is_status());
    Ok(())
}
