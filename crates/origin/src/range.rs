//! Which part of a body is asked for: Range and If-Range (RFC 9110 §14.2 and §13.1.5), one range of bytes. Several at
//! once, and what cannot be read, are answered with the whole. Called by the streams.

use std::ops::Range;

use http::header::{IF_RANGE, RANGE};
use http::{HeaderName, Method, request};

/// What to answer with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Whole,
    Part(Range<u64>),
    /// A range that begins behind the end.
    Nothing,
}

/// What this request wants of a body with this tag and length.
pub(crate) fn asked(head: &request::Parts, tag: &str, len: u64) -> Asked {
    let field = |name: HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
    let is_other = field(IF_RANGE).is_some_and(|known| known != tag);
    let range = field(RANGE).filter(|_| head.method == Method::GET && !is_other);
    range.and_then(|range| read(range, len)).unwrap_or(Asked::Whole)
}

fn read(range: &str, len: u64) -> Option<Asked> {
    let (first, last) = range.strip_prefix("bytes=")?.trim().split_once('-')?;
    let (start, end) = match (first, last) {
        ("", suffix) => (len.saturating_sub(suffix.parse().ok()?), len),
        (first, "") => (first.parse().ok()?, len),
        (first, last) => {
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            if last < first {
                return None;
            }
            (first, len.min(last.saturating_add(1)))
        }
    };
    Some(if start < end { Asked::Part(start..end) } else { Asked::Nothing })
}
