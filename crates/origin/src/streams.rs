//! Bodies that are made while they are sent: they cost the same memory at any length.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CONTENT_RANGE, ETAG};
use http::{HeaderValue, StatusCode};
use serde_json::Value;

use crate::body::Body;
use crate::call::{Answer, Call, Refusal, Reply, final_status};
use crate::chance::PIECE;
use crate::range::Asked;
use crate::{chance, echo, range};

/// `n` bytes that follow from the seed alone; see [`payload`](crate::payload). With a length, also a range of them.
pub(crate) fn bytes(call: &Call) -> Answer {
    let len: u64 = call.number(0)?;
    if len > MAX_BYTES {
        return Err(Refusal::bad(format!("at most {MAX_BYTES} bytes")));
    }
    let seed: u64 = call.param_or("seed", 0)?;
    let duration = call.seconds_or("duration", 0.0)?;
    let reply = |range: Range<u64>, is_known: bool| {
        let length = range.end - range.start;
        // Of a part of the bytes, its part of the time.
        let over = duration.mul_f64(length as f64 / len.max(1) as f64);
        let body = Body::pieces(chance::pieces(seed, range), is_known.then_some(length));
        Reply::of("application/octet-stream", body.spread(length.div_ceil(PIECE) as u32, over))
    };
    if call.flag("chunked") {
        return Ok(reply(0..len, false));
    }
    let tag = format!("\"{len}-{seed}\"");
    let answer = match range::asked(&call.head, &tag, len) {
        Asked::Whole => reply(0..len, true),
        Asked::Part(part) => {
            let place = format!("bytes {}-{}/{len}", part.start, part.end - 1);
            reply(part, true).with_status(StatusCode::PARTIAL_CONTENT).with_text(CONTENT_RANGE, &place)?
        }
        Asked::Nothing => {
            Reply::status(StatusCode::RANGE_NOT_SATISFIABLE).with_text(CONTENT_RANGE, &format!("bytes */{len}"))?
        }
    };
    answer.with(ACCEPT_RANGES, HeaderValue::from_static("bytes")).with_text(ETAG, &tag)
}

/// `n` lines, each a JSON object with its number from 0 as `id`.
pub(crate) fn lines(call: &Call) -> Answer {
    let count: u64 = call.number(0)?;
    let interval = call.seconds_or("interval", 0.0)?;
    let mut line = echo::summary(call);
    let lines = (0..count).map(move |id| {
        line.insert("id".to_owned(), id.into());
        let mut text = Value::from(line.clone()).to_string();
        text.push('\n');
        Bytes::from(text)
    });
    Ok(Reply::of("application/json", Body::pieces(lines, None).paced(interval)))
}

/// Asterisks, spread evenly over the duration: one by one, or more at once where a timer is not that exact.
pub(crate) fn drip(call: &Call) -> Answer {
    let duration = call.seconds_or("duration", 2.0)?;
    let wait = call.seconds_or("delay", 0.0)?;
    let status = final_status(call.param_or("code", 200)?)?;
    let len: u32 = call.param_or("numbytes", 10)?;
    if len == 0 || len > MAX_DRIP {
        return Err(Refusal::bad(format!("numbytes is between 1 and {MAX_DRIP}")));
    }
    let len = u64::from(len);
    let ticks = (duration.as_millis() / TICK.as_millis()) as u64;
    let count = ticks.max(len.div_ceil(PIECE)).min(len);
    let drops = (0..count).map(move |nth| {
        let size = (nth + 1) * len / count - nth * len / count;
        Bytes::from(vec![b'*'; size as usize])
    });
    let body = Body::pieces(drops, Some(len)).spread(count as u32, duration);
    Ok(Reply::of("application/octet-stream", body).with_status(status).after(wait))
}

const MAX_BYTES: u64 = 16 << 30;
const MAX_DRIP: u32 = 10 << 20;
const TICK: Duration = Duration::from_millis(10);
