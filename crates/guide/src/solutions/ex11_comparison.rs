//! A solution of exercise 11.

use std::time::Instant;

use gannet::Session;

use crate::Answer;
use crate::checks::ex11_comparison::Comparison;

/// The clock around each way.
pub async fn compare(session: &Session, urls: &[String]) -> Answer<Comparison> {
    let started = Instant::now();
    for url in urls {
        session.get(url).send().await?.error_for_status()?.bytes().await?;
    }
    let one_by_one = started.elapsed();

    let started = Instant::now();
    for outcome in session.fetch_all(urls).await {
        outcome.into_result()?;
    }
    Ok(Comparison { one_by_one, at_once: started.elapsed() })
}
