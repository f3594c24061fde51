//! Exercise 3: reading a response. See docs/guide/03-response.md.

use gannet::Session;

pub use crate::checks::ex03_response::Page;
use crate::{Answer, not_done};

/// Fetches `path` and describes what came: the status as a number, the URL that answered, how many redirects led
/// there, the content type if there is one, and the body as text.
///
/// Any status is fine: a 404 is described like any other page.
pub async fn describe(session: &Session, path: &str) -> Answer<Page> {
    let _ = (session, path); // this line goes
    Err(not_done())
}
