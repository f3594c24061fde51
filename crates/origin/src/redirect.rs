//! Redirects and cookies, as httpbin has them.

use http::header::{COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use serde_json::{Map, Value, json};

use crate::call::{Answer, Call, Refusal, Reply, final_status};
use crate::echo;

/// To the next lower number, and from 1 to `/get`.
pub(crate) fn count(call: &Call) -> Answer {
    let left: u32 = call.number(0)?;
    let status = redirect_status(call)?;
    let query = call.head.uri.query().map_or_else(String::new, |query| format!("?{query}"));
    let path = match left {
        0 => return Err(Refusal::bad("a chain of redirects has at least one")),
        1 => "/get".to_owned(),
        _ => format!("/redirect/{}{query}", left - 1),
    };
    let base = if call.flag("absolute") { call.base() } else { String::new() };
    Reply::status(status).with_text(LOCATION, &format!("{base}{path}"))
}

/// To the `url` of the query, sent as it is.
pub(crate) fn to(call: &Call) -> Answer {
    let status = redirect_status(call)?;
    let url = call.param("url").ok_or_else(|| Refusal::bad("which url? use ?url="))?;
    Reply::status(status).with_text(LOCATION, &url)
}

fn redirect_status(call: &Call) -> Result<StatusCode, Refusal> {
    let status = final_status(call.param_or("status_code", 302)?)?;
    if status.is_redirection() {
        Ok(status)
    } else {
        Err(Refusal::bad(format!("{} does not redirect", status.as_u16())))
    }
}

/// The request's cookies, by name.
pub(crate) fn cookies(call: &Call) -> Answer {
    let mut all = Map::new();
    for field in call.head.headers.get_all(COOKIE) {
        let field = String::from_utf8_lossy(field.as_bytes());
        for pair in field.split(';') {
            if let Some((name, value)) = pair.trim().split_once('=') {
                echo::add(&mut all, name, Value::from(value));
            }
        }
    }
    Ok(Reply::json(&json!({ "cookies": all })))
}

/// One Set-Cookie for each pair of the query, and on to `/cookies`.
pub(crate) fn set_cookies(call: &Call) -> Answer {
    let mut reply = to_cookies();
    for (name, value) in call.pairs() {
        reply = reply.with_text(SET_COOKIE, &format!("{name}={value}; Path=/"))?;
    }
    Ok(reply)
}

/// An expired cookie for each name of the query, and on to `/cookies`.
pub(crate) fn delete_cookies(call: &Call) -> Answer {
    let mut reply = to_cookies();
    for (name, _) in call.pairs() {
        let past = "Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/";
        reply = reply.with_text(SET_COOKIE, &format!("{name}=; {past}"))?;
    }
    Ok(reply)
}

fn to_cookies() -> Reply {
    Reply::status(StatusCode::FOUND).with(LOCATION, HeaderValue::from_static("/cookies"))
}
