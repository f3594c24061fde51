//! Values of header fields that have a structure of their own: Content-Disposition, Link, Content-Type and
//! Content-Range, and the file name that may be taken from a server's word. Pure: bytes in, values out.
//! What servers get wrong is read as far as it is unambiguous and left out otherwise; nothing here fails a response.

mod cursor;
mod disposition;
mod filename;
mod link;
mod media_type;
mod range;

pub use disposition::ContentDisposition;
pub use filename::safe_filename;
pub use link::{Link, parse_links};
pub use media_type::MediaType;
pub use range::ContentRange;

use std::borrow::Cow;

/// A field's bytes as text: UTF-8 as most servers send it today, else ISO 8859-1 as HTTP once had it.
fn text_of(value: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(value) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(latin1(value)),
    }
}

fn latin1(value: &[u8]) -> String {
    value.iter().map(|&byte| char::from(byte)).collect()
}

/// What an extended parameter says: `UTF-8'en'%E2%82%AC` (RFC 8187 §3.2). `None` for other charsets, for broken
/// percent-encoding, and for bytes that are not of the charset: the plain parameter is then the better word.
fn extended(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_language, encoded) = rest.split_once('\'')?;
    let bytes = percent_decoded(encoded)?;
    if charset.eq_ignore_ascii_case("utf-8") {
        String::from_utf8(bytes).ok()
    } else if charset.eq_ignore_ascii_case("iso-8859-1") {
        Some(latin1(&bytes))
    } else {
        None
    }
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let (high, low) = (digit()?, digit()?);
        bytes.push((high * 16 + low) as u8);
    }
    Some(bytes)
}

/// The value of a parameter by its name, its extended form (`name*`) first. The first of a name counts.
fn parameter(params: &[(String, String)], name: &str) -> Option<String> {
    let find = |wanted: &str| params.iter().find(|(known, _)| known == wanted).map(|(_, value)| value.as_str());
    find(&format!("{name}*")).and_then(extended).or_else(|| find(name).map(str::to_owned))
}
