//! A solution of exercise 8.

use std::time::Duration;

use gannet::Session;
use gannet::bulk::{BulkOptions, Outcome};

use crate::{Answer, Problem};

/// All of it stands in the retry policy.
pub async fn persistently(session: &Session, urls: Vec<String>) -> Answer<Vec<Outcome>> {
    let mut options = BulkOptions::default();
    options.retry.attempts = 5;
    options.retry.statuses = "429,5xx".parse().map_err(|_| Problem::Other("no statuses".to_owned()))?;
    options.retry.backoff.base = Duration::from_millis(20);
    Ok(session.fetch_all(urls).options(options).await)
}
