//! The endpoints that answer with the request itself, shaped as httpbin's:
//! a name that occurs once has a string, one that occurs again a list.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, USER_AGENT};
use serde_json::{Map, Value, json};

use crate::call::{Answer, Call, Refusal, Reply, seconds};
use crate::form::{self, Fields};

/// The request as JSON.
pub(crate) fn echo(call: &Call) -> Answer {
    Ok(Reply::json(&echo_value(call)?))
}

/// The same after a wait.
pub(crate) fn delay(call: &Call) -> Answer {
    let wait = seconds(call.number(0)?)?;
    Ok(echo(call)?.after(wait))
}

/// The request's headers.
pub(crate) fn headers(call: &Call) -> Answer {
    Ok(Reply::json(&json!({ "headers": headers_value(&call.head.headers) })))
}

/// The client's address.
pub(crate) fn ip(call: &Call) -> Answer {
    Ok(Reply::json(&json!({ "origin": call.peer.ip().to_string() })))
}

/// The User-Agent header, or null.
pub(crate) fn user_agent(call: &Call) -> Answer {
    let agent = call.head.headers.get(USER_AGENT).map(|value| text_of(value.as_bytes()));
    Ok(Reply::json(&json!({ "user-agent": agent })))
}

/// What `/stream/{n}` and the compressed endpoints say of the request.
pub(crate) fn summary(call: &Call) -> Map<String, Value> {
    let mut all = Map::new();
    all.insert("args".to_owned(), args_value(call));
    all.insert("headers".to_owned(), headers_value(&call.head.headers));
    all.insert("method".to_owned(), call.head.method.as_str().into());
    all.insert("origin".to_owned(), call.peer.ip().to_string().into());
    all.insert("url".to_owned(), format!("{}{}", call.base(), call.target()).into());
    all
}

/// Adds a value under a name; a second one makes it a list.
pub(crate) fn add(map: &mut Map<String, Value>, name: &str, value: Value) {
    match map.get_mut(name) {
        None => {
            map.insert(name.to_owned(), value);
        }
        Some(Value::Array(values)) => values.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
}

/// Text as it is, other bytes as a base64 `data:` URL (RFC 2397).
pub(crate) fn data_value(data: &[u8], media_type: &str) -> Value {
    match std::str::from_utf8(data) {
        Ok(text) => text.into(),
        Err(_) => format!("data:{media_type};base64,{}", STANDARD.encode(data)).into(),
    }
}

fn echo_value(call: &Call) -> Result<Value, Refusal> {
    let mut all = summary(call);
    let media_type = call.head.headers.get(CONTENT_TYPE).map(|value| text_of(value.as_bytes()));
    let fields = form::read(media_type.as_deref().unwrap_or(""), &call.body)?;
    let is_form = fields.is_some();
    let Fields { form, files } = fields.unwrap_or_default();
    let (data, json) = if is_form {
        (Value::from(""), Value::Null)
    } else {
        let parsed = serde_json::from_slice(&call.body).unwrap_or(Value::Null);
        (data_value(&call.body, "application/octet-stream"), parsed)
    };
    all.insert("data".to_owned(), data);
    all.insert("files".to_owned(), files.into());
    all.insert("form".to_owned(), form.into());
    all.insert("json".to_owned(), json);
    Ok(all.into())
}

fn args_value(call: &Call) -> Value {
    let mut args = Map::new();
    for (name, value) in call.pairs() {
        add(&mut args, &name, Value::from(&*value));
    }
    args.into()
}

/// Names in title case, and the values of one name joined by a comma.
fn headers_value(headers: &HeaderMap) -> Value {
    let mut all = Map::new();
    for name in headers.keys() {
        let values: Vec<String> = headers.get_all(name).iter().map(|value| text_of(value.as_bytes())).collect();
        all.insert(title_case(name.as_str()), values.join(",").into());
    }
    all.into()
}

fn title_case(name: &str) -> String {
    let mut start = true;
    let mut title = String::with_capacity(name.len());
    for letter in name.chars() {
        title.push(if start { letter.to_ascii_uppercase() } else { letter });
        start = letter == '-';
    }
    title
}

/// UTF-8 if it is, else each byte as the character of its number.
fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}
