//! A solution of exercise 4.

use gannet::{ErrorKind, Session};

use crate::Answer;
use crate::checks::ex04_errors::Diagnosis;

/// Every error on its side.
pub async fn diagnose(session: &Session, url: &str) -> Answer<Diagnosis> {
    let Err(error) = read(session, url).await else {
        return Ok(Diagnosis::Fine);
    };
    Ok(match error.kind() {
        ErrorKind::Status if error.status().is_some_and(|status| status.is_server_error()) => Diagnosis::TheirTrouble,
        ErrorKind::Status => Diagnosis::OurMistake,
        ErrorKind::Url => Diagnosis::BadUrl,
        // Before `is_connect`: a connection that took too long was too slow.
        _ if error.is_timeout() => Diagnosis::TooSlow,
        _ if error.is_connect() => Diagnosis::Unreachable,
        _ => Diagnosis::Broken,
    })
}

async fn read(session: &Session, url: &str) -> gannet::Result<()> {
    session.get(url).send().await?.error_for_status()?.bytes().await.map(drop)
}
