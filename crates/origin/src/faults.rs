//! Injected faults: attempts that fail by plan, answers that never come or stop
//! half-way, resets. `/flaky` decides by seed, URL and attempt alone, so a run can
//! be repeated: the nth attempt at a URL has the same fate in every run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::body::Body;
use crate::call::{Answer, Call, Refusal, Reply, final_status};
use crate::chance;
use crate::wire::{Cut, Ending};

/// How often each URL has been asked for, by listening address.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    seen: Mutex<HashMap<(usize, String), u64>>,
}

impl Attempts {
    /// The number of this attempt, from 1. After 200,000 URLs all begin again at 1.
    fn next(&self, host: usize, url: &str) -> u64 {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (host, url.to_owned());
        if seen.len() >= MAX_URLS && !seen.contains_key(&key) {
            seen.clear();
        }
        let count = seen.entry(key).or_insert(0);
        *count += 1;
        *count
    }

    pub(crate) fn reset(&self) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// What a failed attempt meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Status(StatusCode),
    Reset,
    Hang,
    Truncate,
}

/// Fails a share `p` of attempts.
pub(crate) fn flaky(call: &Call) -> Answer {
    let p: f64 = call.param_or("p", 0.05)?;
    if !(0.0..=1.0).contains(&p) {
        return Err(Refusal::bad(format!("p={p} is not a share between 0 and 1")));
    }
    let seed: u64 = call.param_or("seed", 1)?;
    let status = final_status(call.param_or("status", 503)?)?;
    let mode = call.param("mode").unwrap_or("status".into());
    let attempt = call.shared.attempts.next(call.host, call.target());
    let hash = chance::hash(&[&seed.to_le_bytes(), call.target().as_bytes(), &attempt.to_le_bytes()]);
    let fault = fault(&mode, status, hash)?;
    if chance::unit(hash) >= p {
        return Ok(Reply::json(&json!({ "attempt": attempt, "url": call.target() })));
    }
    match fault {
        Fault::Reset => Ok(Reply::Reset),
        Fault::Hang => Ok(Reply::Never),
        Fault::Truncate => Ok(half(Some((Arc::clone(&call.cut), Ending::Close)))),
        Fault::Status(status) => {
            let reply = Reply::json(&json!({ "attempt": attempt, "error": "planned" }));
            let reply = reply.with_status(status);
            match call.param("retry_after") {
                Some(value) => reply.with_text(RETRY_AFTER, &value),
                None => Ok(reply),
            }
        }
    }
}

fn fault(mode: &str, status: StatusCode, hash: u64) -> Result<Fault, Refusal> {
    match mode {
        "status" => Ok(Fault::Status(status)),
        "reset" => Ok(Fault::Reset),
        "hang" => Ok(Fault::Hang),
        "truncate" => Ok(Fault::Truncate),
        // Mixed again: the bits of `hash` have already said whether it fails.
        "mixed" => Ok(match chance::mix(hash) % 4 {
            0 => Fault::Status(status),
            1 => Fault::Reset,
            2 => Fault::Hang,
            _ => Fault::Truncate,
        }),
        other => Err(Refusal::bad(format!("mode={other} is none of status, reset, hang, truncate, mixed"))),
    }
}

/// Never answers, or stops within the body.
pub(crate) fn hang(call: &Call) -> Answer {
    Ok(if after_head(call)? { half(None) } else { Reply::Never })
}

/// Resets the connection, before the answer or within the body.
pub(crate) fn reset(call: &Call) -> Answer {
    if after_head(call)? {
        return Ok(half(Some((Arc::clone(&call.cut), Ending::Reset))));
    }
    Ok(Reply::Reset)
}

/// Closes the connection within the body.
pub(crate) fn truncate(call: &Call) -> Answer {
    let then = Some((Arc::clone(&call.cut), Ending::Close));
    if call.flag("chunked") {
        let body = Body::cut(Bytes::from_static(&[b'x'; HALF]), then);
        return Ok(Reply::of("application/octet-stream", body));
    }
    Ok(half(then))
}

fn after_head(call: &Call) -> Result<bool, Refusal> {
    match call.param("after").as_deref() {
        None => Ok(false),
        Some("head") => Ok(true),
        Some(other) => Err(Refusal::bad(format!("after={other}: only head is known"))),
    }
}

/// A head that promises 1,000 bytes, and 500 of them.
fn half(then: Option<(Arc<Cut>, Ending)>) -> Reply {
    let body = Body::cut(Bytes::from_static(&[b'x'; HALF]), then);
    Reply::of("application/octet-stream", body).with(CONTENT_LENGTH, HeaderValue::from_static("1000"))
}

const HALF: usize = 500;
/// About 20 MB of URLs of ordinary length.
const MAX_URLS: usize = 200_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixed_faults_are_of_every_kind_in_like_numbers() {
        let kinds = [Fault::Status(StatusCode::BAD_GATEWAY), Fault::Reset, Fault::Hang, Fault::Truncate];
        let mut counts = [0; 4];
        for n in 0..1000_u64 {
            let hash = chance::hash(&[&n.to_le_bytes()]);
            let met = fault("mixed", StatusCode::BAD_GATEWAY, hash).unwrap();
            counts[kinds.iter().position(|kind| *kind == met).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (200..=300).contains(count)), "{counts:?}");
    }
}
