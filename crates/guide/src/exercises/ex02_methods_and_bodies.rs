//! Exercise 2: methods and bodies. See docs/guide/02-methods-and-bodies.md.

use gannet::Session;

use crate::{Answer, not_done};

/// Sends four requests and returns the four bodies of the answers as text, in this order:
///
/// 1. GET `/get` with the query parameters q = `sea birds & co` and page = 2,
/// 2. POST `/post` with the JSON body `{"name": "Ada", "age": 36}`,
/// 3. PUT `/put` with the form fields name = `Ada` and town = `St Kilda`,
/// 4. POST `/post` with a multipart form: the text field `title` = `Gannet`, and under `photo` the bytes `splash` as
///    the file `dive.txt` of the type `text/plain`.
///
/// The session has a base URL, so that `/get` is enough of a URL. A status of 400 or above is an error.
pub async fn send_all(session: &Session) -> Answer<[String; 4]> {
    let _ = session; // this line goes
    Err(not_done())
}
