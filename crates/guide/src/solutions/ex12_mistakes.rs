//! A solution of exercise 12.

use std::time::Duration;

use gannet::bulk::{BulkOptions, Outcome};
use gannet::{Options, Session};

use crate::checks::ex12_mistakes::{Digest, Row};
use crate::{Answer, Problem};

/// One session, one bulk run with its limits, and the heavy work beside the runtime.
pub async fn stock(base: &str, paths: &[String], digest: Digest) -> Answer<Vec<Row>> {
    let session = Session::new(Options { base_url: Some(base.to_owned()), ..Options::default() })?;
    let mut options = BulkOptions { total: Some(Duration::from_secs(1)), ..BulkOptions::default() };
    options.limits.per_host = Some(4);
    options.retry.backoff.base = Duration::from_millis(100);

    let outcomes = session.fetch_all(paths).options(options).await;
    let work = move || outcomes.into_iter().map(|outcome| row(outcome, digest)).collect();
    tokio::task::spawn_blocking(work).await.map_err(|error| Problem::Other(error.to_string()))
}

fn row(outcome: Outcome, digest: Digest) -> Row {
    let fetched = outcome.into_result().map_err(|error| error.to_string())?;
    Ok(digest(&fetched.text()))
}
