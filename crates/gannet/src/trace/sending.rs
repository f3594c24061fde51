//! The head of a request as it goes out, for who watches: put together only then, from what it is written from.

use gannet_core::Headers;
use gannet_core::h1::RequestBody;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use url::Url;

use crate::error::Result;
use crate::request::append;

/// The fields of HTTP/1.1 in the order of the wire: `defaults` are the session's where they are written as a block.
pub(crate) fn http1_fields(
    url: &Url,
    own: &Headers,
    defaults: Option<&Headers>,
    framing: RequestBody,
) -> Result<Headers> {
    let mut all = Headers::new();
    let host = own.get_bytes("host").map(<[u8]>::to_vec).unwrap_or_else(|| host_of(url).into_bytes());
    append(&mut all, "host", &host, false)?;
    let written = |headers: &Headers, all: &mut Headers| {
        headers
            .iter_marked()
            .filter(|(name, ..)| !is_framing(name))
            .try_for_each(|(name, value, secret)| append(all, name, value, secret))
    };
    if let Some(defaults) = defaults {
        written(defaults, &mut all)?;
    }
    written(own, &mut all)?;
    match framing {
        RequestBody::None => {}
        RequestBody::Empty => append(&mut all, CONTENT_LENGTH.as_str(), b"0", false)?,
        RequestBody::Length(length) => append(&mut all, CONTENT_LENGTH.as_str(), length.to_string().as_bytes(), false)?,
        RequestBody::Chunked => append(&mut all, TRANSFER_ENCODING.as_str(), b"chunked", false)?,
    }
    Ok(all)
}

/// The fields of HTTP/2, with the authority in the place of Host.
pub(crate) fn http2_fields(head: &http::Request<()>) -> Result<Headers> {
    let mut all = Headers::new();
    if let Some(authority) = head.uri().authority() {
        append(&mut all, "host", authority.as_str().as_bytes(), false)?;
    }
    for (name, value) in head.headers() {
        append(&mut all, name.as_str(), value.as_bytes(), value.is_sensitive())?;
    }
    Ok(all)
}

fn host_of(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

/// What is written by the rules of the framing, and not from the fields.
fn is_framing(name: &str) -> bool {
    ["host", CONTENT_LENGTH.as_str(), TRANSFER_ENCODING.as_str()].iter().any(|known| name.eq_ignore_ascii_case(known))
}
