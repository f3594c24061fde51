//! A solution of exercise 6.

use gannet::Session;
use gannet::bulk::{BulkOptions, Outcome};

use crate::{Answer, Problem};

/// Both limits stand in the options of the run.
pub async fn politely(session: &Session, urls: Vec<String>) -> Answer<Vec<Outcome>> {
    let mut options = BulkOptions::default();
    options.limits.per_host = Some(4);
    options.limits.rate = Some("10/s".parse().map_err(|_| Problem::Other("no rate".to_owned()))?);
    Ok(session.fetch_all(urls).options(options).await)
}
