//! A solution of exercise 7.

use std::time::Duration;

use gannet::{ErrorKind, Session, Timeouts};

use crate::Answer;

/// `read` bounds the silence, and nothing bounds the whole.
pub async fn patiently(session: &Session, path: &str) -> Answer<Result<String, ErrorKind>> {
    let own = Timeouts { read: Some(Duration::from_millis(600)), ..Timeouts::default() };
    Ok(text(session, path, own).await.map_err(|error| error.kind()))
}

async fn text(session: &Session, path: &str, own: Timeouts) -> gannet::Result<String> {
    session.get(path).timeouts(own).send().await?.error_for_status()?.text().await
}
