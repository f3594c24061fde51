//! Exercise 7: timeouts. See docs/guide/07-timeouts.md.

use gannet::{ErrorKind, Session};

use crate::{Answer, not_done};

/// Fetches `path` as text, or returns the kind of what went wrong, a status of 400 or above among it.
///
/// However long it takes altogether, that is fine; but when nothing at all comes for 600 ms, it gives up. That is
/// for this request alone: the session's own timeouts stay as they are.
pub async fn patiently(session: &Session, path: &str) -> Answer<Result<String, ErrorKind>> {
    let _ = (session, path); // this line goes
    Err(not_done())
}
