//! A request and its response as text: for `get -v` and `get -i`. What is secret is blanked in everything that
//! goes to stderr; `-i` shows the response's head as it came.

use std::fmt::Write;

use gannet::{
    Headers, HttpVersion, RedactedUrl, Redirected, Request, Response, Saved, TlsInfo, Url, Version, is_credential,
};

/// The request's head, a line each behind `> `. Which version it is sent in is shown where it is settled beforehand.
pub(crate) fn request(request: &Request, defaults: &Headers, version: HttpVersion) -> String {
    let shown = RedactedUrl::new(request.url());
    let version = match version {
        HttpVersion::Auto if request.url().scheme() == "https" => "",
        HttpVersion::Auto | HttpVersion::Http1 => " HTTP/1.1",
        HttpVersion::Http2PriorKnowledge => " HTTP/2",
    };
    let mut text = format!("* {shown}\n> {} {}{version}\n", request.method(), target(&shown));
    let own = request.headers();
    if !own.contains("host") {
        let _ = writeln!(text, "> host: {}", host(request.url()));
    }
    let mut all = own.clone();
    all.extend_missing(defaults);
    fields(&mut text, "> ", &all, request.url());
    if !request.url().username().is_empty() && !own.contains("authorization") {
        text += "> authorization: ***\n";
    }
    match request.body().length() {
        Some(0) | None => {}
        Some(length) => {
            let _ = writeln!(text, "> content-length: {length}");
        }
    }
    text.push('>');
    text
}

/// A response that redirected, its fields and the URL it led away from.
pub(crate) fn redirect(step: &Redirected) -> String {
    let mut text = format!("< {} from {}\n", step.status, RedactedUrl::new(&step.url));
    fields(&mut text, "< ", &step.headers, &step.url);
    text.push('<');
    text
}

/// The last response's head, a line each behind `< `.
pub(crate) fn response(response: &Response) -> String {
    let mut text = String::new();
    if !response.history().is_empty() {
        let _ = writeln!(text, "* {}", RedactedUrl::new(response.url()));
    }
    if let Some(tls) = response.tls() {
        let _ = writeln!(text, "* {}", secured(tls));
    }
    let _ = writeln!(text, "< {}", status_line(response));
    fields(&mut text, "< ", response.headers(), response.url());
    text.push('<');
    text
}

/// What a download came to: the last answer's status and fields, a line each behind `< `.
pub(crate) fn saved(saved: &Saved) -> String {
    let mut text = format!("* {}\n< {}\n", RedactedUrl::new(&saved.url), saved.status);
    fields(&mut text, "< ", &saved.headers, &saved.url);
    text.push_str("<\n");
    text
}

/// The last response's head as it came, byte for byte but for its line ends, with an empty line behind it.
pub(crate) fn head(response: &Response) -> Vec<u8> {
    let mut bytes = status_line(response).into_bytes();
    bytes.push(b'\n');
    for (name, value) in response.headers().iter() {
        bytes.extend_from_slice(&[name.as_bytes(), b": ", value, b"\n"].concat());
    }
    bytes.push(b'\n');
    bytes
}

/// The version, the cipher suite, and what was agreed on beside.
fn secured(tls: &TlsInfo) -> String {
    let alpn = tls.alpn().map(|name| format!(", ALPN {name}")).unwrap_or_default();
    let resumed = if tls.is_resumed() { ", resumed" } else { "" };
    format!("{}, {}{alpn}{resumed}", tls.version(), tls.cipher())
}

fn status_line(response: &Response) -> String {
    let version = match response.version() {
        Version::Http10 => "HTTP/1.0",
        Version::Http2 => return format!("HTTP/2 {}", response.status().as_u16()),
        _ => "HTTP/1.1",
    };
    format!("{version} {} {}", response.status().as_u16(), response.reason())
}

fn fields(text: &mut String, prefix: &str, headers: &Headers, base: &Url) {
    for (name, value, secret) in headers.iter_marked() {
        let hidden = secret || is_credential(name) || name.eq_ignore_ascii_case("set-cookie");
        let value = if hidden { "***".to_owned() } else { shown_value(name, value, base) };
        let _ = writeln!(text, "{prefix}{name}: {value}");
    }
}

/// For a terminal: text, without control characters; the URL of another place whole, without its secrets.
fn shown_value(name: &str, value: &[u8], base: &Url) -> String {
    let mut text = String::from_utf8_lossy(value);
    if ["location", "content-location"].iter().any(|known| known.eq_ignore_ascii_case(name)) {
        match base.join(&text) {
            Ok(url) => return RedactedUrl::new(&url).to_string(),
            // What is no URL may hold secrets all the same, in a query or before an @.
            Err(_) if text.contains(['?', '#', '@']) => text = "***".into(),
            Err(_) => {}
        }
    }
    text.replace(|c: char| c.is_control() && c != '\t', "\u{fffd}")
}

/// Path and query of the URL as it may be shown.
fn target(shown: &RedactedUrl) -> String {
    let text = shown.as_str();
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let target = rest.find(['/', '?']).map_or("/", |at| &rest[at..]);
    target.split('#').next().unwrap_or(target).to_owned()
}

fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}
