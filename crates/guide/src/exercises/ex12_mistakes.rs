//! Exercise 12: the mistakes. See docs/guide/12-mistakes.md.

use crate::Answer;
pub use crate::checks::ex12_mistakes::{Digest, Row};
use gannet::{Options, Session};

/// Fetches each of `paths` from `base` and returns the digest of its body, or the reason why there is none: a row
/// for each path, in their order.
///
/// This works on a good day. Mend it, so that
///
/// - one session serves all requests, and never more than 4 run at once;
/// - a status of 400 or above is a row with its reason, and so is every other failure: none costs the others;
/// - a body that is not whole after a second is given up, and no path gets more than three attempts;
/// - the backoff is short (`base` 100 ms), because you are waiting for this check;
/// - `digest`, which takes its time, does not block the runtime.
pub async fn stock(base: &str, paths: &[String], digest: Digest) -> Answer<Vec<Row>> {
    let mut rows = Vec::new();
    for path in paths {
        let session = Session::new(Options { base_url: Some(base.to_owned()), ..Options::default() })?;
        let text = session.get(path).send().await?.text().await?;
        rows.push(Ok(digest(&text)));
    }
    Ok(rows)
}
