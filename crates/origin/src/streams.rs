//! Bodies that are made while they are sent: they cost the same memory at any length.

use bytes::Bytes;
use serde_json::Value;

use crate::body::Body;
use crate::call::{Answer, Call, Refusal, Reply, final_status};
use crate::{chance, echo};

/// `n` bytes that follow from the seed alone; see [`payload`](crate::payload).
pub(crate) fn bytes(call: &Call) -> Answer {
    let len: u64 = call.number(0)?;
    if len > MAX_BYTES {
        return Err(Refusal::bad(format!("at most {MAX_BYTES} bytes")));
    }
    let pieces = chance::pieces(call.param_or("seed", 0)?, len);
    let known = (!call.flag("chunked")).then_some(len);
    Ok(Reply::of("application/octet-stream", Body::pieces(pieces, known)))
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

/// Asterisks one by one, spread evenly over the duration.
pub(crate) fn drip(call: &Call) -> Answer {
    let duration = call.seconds_or("duration", 2.0)?;
    let wait = call.seconds_or("delay", 0.0)?;
    let status = final_status(call.param_or("code", 200)?)?;
    let len: u32 = call.param_or("numbytes", 10)?;
    if len == 0 || len > MAX_DRIP {
        return Err(Refusal::bad(format!("numbytes is between 1 and {MAX_DRIP}")));
    }
    let drops = std::iter::repeat_n(Bytes::from_static(b"*"), len as usize);
    let body = Body::pieces(drops, Some(u64::from(len))).paced(duration / len);
    Ok(Reply::of("application/octet-stream", body).with_status(status).after(wait))
}

const MAX_BYTES: u64 = 16 << 30;
const MAX_DRIP: u32 = 10 << 20;
