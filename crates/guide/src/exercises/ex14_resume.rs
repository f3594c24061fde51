//! Exercise 14: a run that survives. See docs/guide/14-resume.md.

use std::path::Path;
use std::time::Duration;

use gannet::Session;

use crate::{Answer, not_done};

/// Fetches what is left of the file `urls` into `out`, a line for each URL, and stops after `patience`. Called again
/// it goes on, with nothing asked twice; returns whether every row is done. Where the file is not what it was when the
/// run began, that is an error, and `out` stays as it is.
pub async fn in_portions(session: &Session, urls: &Path, out: &Path, patience: Duration) -> Answer<bool> {
    let _ = (session, urls, out, patience); // this line goes
    Err(not_done())
}
