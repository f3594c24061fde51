//! Whether and how a download that broke off can be gone on with: which validator ties the missing part to the one
//! that is there, and what an answer to the request for it means. Pure: a head in, a decision out.
//! A part is only ever appended to where the server vouches that it is of the same version (RFC 9110 §13.1.5, §14.2);
//! everything else starts over.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::field::ContentRange;
use crate::headers::Headers;

/// What names one version of a resource: fit for If-Range, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validator {
    /// A strong entity tag, quotes included.
    Etag(String),
    /// A Last-Modified date as it came.
    LastModified(String),
}

impl Validator {
    /// The validator of a response, if it has one that is strong: an entity tag that is not weak; or, where there is
    /// no tag at all, a Last-Modified at least one second older than Date, so that no second version can have the
    /// same one (RFC 9110 §8.8.2.2).
    pub fn of(headers: &Headers) -> Option<Self> {
        if let Some(tag) = headers.get_bytes("etag") {
            return strong_tag(tag).map(Validator::Etag);
        }
        let modified = headers.get("last-modified")?;
        let at = httpdate::parse_http_date(modified).ok()?;
        let date = httpdate::parse_http_date(headers.get("date")?).ok()?;
        let is_strong = date.duration_since(at).is_ok_and(|age| age >= Duration::from_secs(1));
        is_strong.then(|| Validator::LastModified(modified.to_owned()))
    }

    /// The value to send as If-Range.
    pub fn if_range(&self) -> &str {
        match self {
            Validator::Etag(tag) | Validator::LastModified(tag) => tag,
        }
    }

    /// Whether a response says itself that it is of another version; one that says nothing does not.
    fn is_contradicted_by(&self, headers: &Headers) -> bool {
        let (name, known) = match self {
            Validator::Etag(tag) => ("etag", tag),
            Validator::LastModified(date) => ("last-modified", date),
        };
        headers.get_bytes(name).is_some_and(|value| value != known.as_bytes())
    }
}

/// `"..."` with the characters that RFC 9110 §8.8.3 allows, and ASCII alone: it has to go back as it came.
fn strong_tag(tag: &[u8]) -> Option<String> {
    let inner = tag.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let is_sound = inner.iter().all(|byte| matches!(byte, 0x21 | 0x23..=0x7e));
    is_sound.then(|| String::from_utf8_lossy(tag).into_owned())
}

/// What is there of an earlier download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// How many bytes, at least one.
    pub length: u64,
    /// Of which version.
    pub validator: Validator,
    /// How long the whole is, where that is known.
    pub total: Option<u64>,
}

/// What an answer means for the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The body is the rest, or a part of it: append it. A rest of a whole whose length nobody tells is asked for anew,
    /// since nothing would tell that it has come.
    Append {
        /// How long the whole will be.
        total: u64,
        /// Where the body ends in it, exclusive: more than that is none of it.
        end: u64,
    },
    /// The body is the whole: begin anew with it.
    StartOver,
    /// Nothing is missing: the part is the whole.
    Whole,
    /// The body is of no use: ask once more, for the whole.
    AskAgain,
    /// The answer is an error.
    Fail,
}

/// Decides what to do with an answer; `partial` is what was asked to be completed, `None` for a plain request.
pub fn decide(partial: Option<&Partial>, status: u16, headers: &Headers) -> Step {
    match (partial, status) {
        (None, 206) => Step::Fail,
        (_, 200..=299) if status != 206 => Step::StartOver,
        (Some(partial), 206) => {
            let range = headers.get_bytes("content-range").and_then(ContentRange::parse);
            let rest = range.and_then(|range| {
                let (first, last) = range.part?;
                let total = range.total.or(partial.total)?;
                // One that does not tell the length must still lie within the one that is known.
                let is_rest = first == partial.length && last < total && agree(partial.total, range.total);
                (is_rest && !partial.validator.is_contradicted_by(headers)).then_some((total, last + 1))
            });
            rest.map_or(Step::AskAgain, |(total, end)| Step::Append { total, end })
        }
        (Some(partial), 416) => {
            let range = headers.get_bytes("content-range").and_then(ContentRange::parse);
            let total = range.and_then(|range| range.total);
            let is_whole = total == Some(partial.length) && agree(partial.total, total);
            if is_whole && !partial.validator.is_contradicted_by(headers) { Step::Whole } else { Step::AskAgain }
        }
        _ => Step::Fail,
    }
}

fn agree(one: Option<u64>, other: Option<u64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}
