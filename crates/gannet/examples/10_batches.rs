//! Batches: the next starts when the last row of the one before is done, with a word after each.
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gannet::bulk::{BulkOptions, Outcome};
use gannet::{Options, Session};
use gannet_origin::Origin;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let origin = Origin::start_blocking()?;
    let session = Session::new(Options { base_url: Some(origin.url("/")), ..Options::default() })?;

    let mut urls: Vec<String> = (0..25).map(|n| format!("/items/{n}?delay=0.05")).collect();
    urls[13] = "/status/410".to_owned();

    // The callback outlives this function's borrows, so what it writes to is shared.
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let noted = sizes.clone();
    let size = NonZeroU64::new(10).ok_or("a batch has at least one row")?;
    let after_each = move |batch: Vec<Outcome>| {
        let ok = batch.iter().filter(|outcome| outcome.is_ok()).count();
        println!("rows {} to {}: {ok} of {} ok", batch[0].index, batch[0].index + batch.len() as u64 - 1, batch.len());
        noted.lock().expect("invariant: nothing panics under this lock").push((batch.len(), ok));
    };
    session.fetch_batches(&urls, size, BulkOptions::default(), after_each).await;

    let noted = sizes.lock().map_err(|error| error.to_string())?.clone();
    assert_eq!(noted, [(10, 10), (10, 9), (5, 5)]);
    // Never more than one batch at once.
    assert!(origin.stats().max_in_flight <= 10);
    assert!(origin.stats().max_in_flight >= 5);

    // The same by hand, for what has to be awaited between two batches.
    for batch in urls.chunks(10) {
        let outcomes = session.fetch_all(batch).await;
        save(&outcomes).await?;
    }
    Ok(())
}

/// Stands for a transaction of a database.
async fn save(outcomes: &[Outcome]) -> std::io::Result<()> {
    tokio::time::sleep(Duration::from_millis(10)).await;
    println!("saved {}", outcomes.len());
    Ok(())
}
