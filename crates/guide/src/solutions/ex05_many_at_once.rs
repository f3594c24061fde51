//! A solution of exercise 5.

use gannet::bulk::Outcome;
use gannet::{ErrorKind, Session};
use serde_json::Value;

use crate::Answer;

/// One call; the rest is reading.
pub async fn names(session: &Session, urls: Vec<String>) -> Answer<Vec<Result<String, ErrorKind>>> {
    let outcomes = session.fetch_all(urls).await;
    Ok(outcomes.into_iter().map(|outcome| name(outcome).map_err(|error| error.kind())).collect())
}

fn name(outcome: Outcome) -> gannet::Result<String> {
    let item: Value = outcome.into_result()?.json()?;
    Ok(item["name"].as_str().unwrap_or_default().to_owned())
}
