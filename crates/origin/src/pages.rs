//! The plain endpoints: JSON objects made from an id, fixed documents, statuses,
//! headers, credentials, the figures and the index.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, LOCATION, PROXY_AUTHENTICATE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use crate::body::Body;
use crate::call::{Answer, Call, Refusal, Reply, final_status};
use crate::chance;
use crate::route::endpoints;

/// An item, the same for the same id. A number stays a number.
pub(crate) fn item(call: &Call) -> Answer {
    let (id, name, hash) = identity(call);
    let text = format!(
        "{{\"id\":{id},\"name\":\"item {name}\",\"price\":{}.{:02},\"stock\":{},\
         \"category\":\"{}\",\"tags\":[\"{}\",\"{}\"],\
         \"description\":\"Item {name} of the simulated origin: the same answer whenever it is asked for.\"}}\n",
        hash % 500,
        (hash >> 16) % 100,
        (hash >> 24) % 1000,
        pick(CATEGORIES, hash >> 32),
        pick(TAGS, hash >> 40),
        pick(TAGS, hash >> 48),
    );
    Ok(Reply::of(JSON, Body::whole(text)).after(call.seconds_or("delay", 0.0)?))
}

/// A user, the same for the same id.
pub(crate) fn user(call: &Call) -> Answer {
    let (id, name, hash) = identity(call);
    let text = format!(
        "{{\"id\":{id},\"name\":\"User {name}\",\"username\":\"user{:x}\",\
         \"email\":\"user{:x}@example.com\",\"city\":\"{}\",\"active\":{},\"joined\":\"20{:02}-{:02}-{:02}\"}}\n",
        hash & 0xff_ffff,
        hash & 0xff_ffff,
        pick(CITIES, hash >> 32),
        hash >> 63 == 0,
        10 + (hash >> 24) % 15,
        1 + (hash >> 28) % 12,
        1 + (hash >> 36) % 28,
    );
    Ok(Reply::of(JSON, Body::whole(text)).after(call.seconds_or("delay", 0.0)?))
}

/// The id as JSON, the id as the inside of a JSON string, and a hash of it.
fn identity(call: &Call) -> (String, String, u64) {
    let id = call.arg(0);
    let hash = chance::hash(&[id.as_bytes()]);
    let quoted = Value::from(id).to_string();
    let inside = quoted[1..quoted.len() - 1].to_owned();
    // "007" and "+7" are not JSON numbers: they stay text.
    match id.parse::<u64>() {
        Ok(number) if number.to_string() == id => (id.to_owned(), inside, hash),
        _ => (quoted, inside, hash),
    }
}

fn pick(words: &'static [&'static str], hash: u64) -> &'static str {
    words[(hash % words.len() as u64) as usize]
}

/// An empty response of this status, with the fields that go with it.
pub(crate) fn status(call: &Call) -> Answer {
    let status = final_status(call.number(0)?)?;
    let mut reply = Reply::status(status);
    if matches!(status.as_u16(), 301 | 302 | 303 | 305 | 307 | 308) {
        reply = reply.with(LOCATION, HeaderValue::from_static("/redirect/1"));
    }
    if status == StatusCode::UNAUTHORIZED {
        reply = reply.with(WWW_AUTHENTICATE, HeaderValue::from_static(BASIC));
    }
    if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        reply = reply.with(PROXY_AUTHENTICATE, HeaderValue::from_static(BASIC));
    }
    match call.param("retry_after") {
        Some(value) => reply.with_text(RETRY_AFTER, &value),
        None => Ok(reply),
    }
}

/// The query's pairs as headers of the response, and as its JSON body.
pub(crate) fn response_headers(call: &Call) -> Answer {
    let mut all = serde_json::Map::new();
    for (name, value) in call.pairs() {
        crate::echo::add(&mut all, &name, Value::from(&*value));
    }
    let mut reply = Reply::json(&all.into());
    for (name, value) in call.pairs() {
        let header: HeaderName =
            name.parse().map_err(|_| Refusal::bad(format!("{name:?} cannot be a header's name")))?;
        if OWN_HEADERS.contains(&header.as_str()) {
            return Err(Refusal::bad(format!("{name} is for the server to say")));
        }
        reply = reply.with_text(header, &value)?;
    }
    Ok(reply)
}

/// 200 when the Authorization header has the path's user and password.
pub(crate) fn basic_auth(call: &Call) -> Answer {
    let (user, password) = (call.arg(0), call.arg(1));
    let wanted = STANDARD.encode(format!("{user}:{password}"));
    if credentials(call, "basic").is_some_and(|given| given == wanted) {
        return Ok(Reply::json(&json!({ "authenticated": true, "user": user })));
    }
    Ok(Reply::status(StatusCode::UNAUTHORIZED).with(WWW_AUTHENTICATE, HeaderValue::from_static(BASIC)))
}

/// 200 when the Authorization header has a bearer token, which is sent back.
pub(crate) fn bearer(call: &Call) -> Answer {
    match credentials(call, "bearer") {
        Some(token) => Ok(Reply::json(&json!({ "authenticated": true, "token": token }))),
        None => Ok(Reply::status(StatusCode::UNAUTHORIZED).with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
    }
}

/// What follows the scheme in the Authorization header, if it has this scheme.
fn credentials<'a>(call: &'a Call, scheme: &str) -> Option<&'a str> {
    let value = call.head.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (given, rest) = value.split_once(' ')?;
    let rest = rest.trim();
    (given.eq_ignore_ascii_case(scheme) && !rest.is_empty()).then_some(rest)
}

/// httpbin's document about slides.
pub(crate) fn json(_: &Call) -> Answer {
    Ok(Reply::json(&json!({
        "slideshow": {
            "author": "Yours Truly",
            "date": "date of publication",
            "slides": [
                { "title": "Wake up to WonderWidgets!", "type": "all" },
                {
                    "items": ["Why <em>WonderWidgets</em> are great", "Who <em>buys</em> WonderWidgets"],
                    "title": "Overview",
                    "type": "all",
                },
            ],
            "title": "Sample Slide Show",
        }
    })))
}

/// A page with a heading, a paragraph and two links.
pub(crate) fn html(_: &Call) -> Answer {
    Ok(Reply::of(HTML, Body::whole(PAGE)))
}

/// A text file.
pub(crate) fn robots(_: &Call) -> Answer {
    Ok(Reply::of("text/plain", Body::whole("User-agent: *\nDisallow: /deny\n")))
}

/// Text in several scripts.
pub(crate) fn utf8(_: &Call) -> Answer {
    Ok(Reply::of("text/plain; charset=utf-8", Body::whole(SCRIPTS)))
}

/// Text whose bytes are not UTF-8.
pub(crate) fn latin1(_: &Call) -> Answer {
    let bytes: Vec<u8> = WESTERN.chars().map(|letter| letter as u8).collect();
    Ok(Reply::of("text/plain; charset=iso-8859-1", Body::whole(bytes)))
}

/// The figures; DELETE starts them again and gives the empty ones.
pub(crate) fn stats(call: &Call) -> Answer {
    if call.head.method == Method::DELETE {
        call.shared.reset();
    }
    let stats = serde_json::to_value(call.shared.stats())
        .map_err(|error| Refusal::bad(format!("cannot write the figures: {error}")))?;
    Ok(Reply::json(&stats))
}

/// The table of endpoints, as HTML for a browser and as text for others.
pub(crate) fn index(call: &Call) -> Answer {
    let accept = call.head.headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let mut text = String::new();
    if accept.is_some_and(|accept| accept.contains("text/html")) {
        text.push_str("<!DOCTYPE html>\n<title>gannet origin</title>\n<h1>gannet origin</h1>\n<table>\n");
        for (path, about) in endpoints() {
            let about = about.replace('&', "&amp;");
            let _ = writeln!(text, "<tr><td><code>{path}</code><td>{about}");
        }
        text.push_str("</table>\n");
        return Ok(Reply::of(HTML, Body::whole(text)));
    }
    for (path, about) in endpoints() {
        let _ = writeln!(text, "{path:<30} {about}");
    }
    Ok(Reply::of("text/plain; charset=utf-8", Body::whole(text)))
}

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
const BASIC: &str = "Basic realm=\"Fake Realm\"";
/// Framing is hyper's: a second opinion about it would be a fault, which `script` is for.
const OWN_HEADERS: &[&str] = &["content-length", "transfer-encoding", "connection"];
const CATEGORIES: &[&str] = &["books", "garden", "kitchen", "music", "sports", "tools", "toys"];
const TAGS: &[&str] = &["new", "sale", "popular", "large", "small", "blue", "green", "red"];
const CITIES: &[&str] = &["Bergen", "Dakar", "Kyoto", "Lima", "Lyon", "Oslo", "Perth", "Quito"];
const SCRIPTS: &str = "Latin: déjà vu, naïve\nGreek: Καλημέρα κόσμε\nCyrillic: Привет, мир\n\
                       Hebrew: שלום עולם\nJapanese: こんにちは世界\nSymbols: € ∞ ♞ 🐦\n";
const WESTERN: &str = "Français, Español, Über, Ångström, ½ £\n";
const PAGE: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Gannets</title></head>\n\
    <body>\n<h1>Gannets</h1>\n<p>A gannet dives from forty metres &amp; seldom misses.</p>\n\
    <p><a href=\"/json\">JSON</a> <a href=\"/anything?from=page\">echo</a></p>\n</body>\n</html>\n";
