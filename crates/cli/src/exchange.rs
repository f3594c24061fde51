//! A request and its response as text: for `get -v` and `get -i`. What is secret is blanked in everything that
//! goes to stderr; `-i` shows the response's head as it came.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use gannet::trace::{Event, RequestTrace, RetryReason};
use gannet::{Headers, RedactedUrl, Response, StatusCode, TlsInfo, Url, Version, is_credential};

use crate::tell;

/// Shows a request's heads on stderr as they go out and come in, a line each behind `> ` and `< `, with whatever the
/// session adds to them by itself.
#[derive(Default)]
pub(crate) struct Shown(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// What was asked last: a relative Location is shown whole.
    url: Option<Url>,
    /// Of the last lookup.
    addresses: Vec<IpAddr>,
    /// Host and port that no connection is made to yet.
    dialed: Option<(String, u16)>,
}

impl Known {
    /// What was tried for a connection that was not made.
    fn tried(&mut self) -> Option<String> {
        let (host, port) = self.dialed.take()?;
        let addresses = self.addresses.drain(..).map(|ip| SocketAddr::new(ip, port).to_string()).collect::<Vec<_>>();
        Some(if addresses.is_empty() { format!("{host}:{port}") } else { addresses.join(", ") })
    }
}

impl RequestTrace for Shown {
    fn on_event(&self, event: &Event<'_>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { url: last, addresses, dialed } = &mut *known;
        let text = match event {
            Event::DnsStart { .. } | Event::DnsCacheHit { .. } => return addresses.clear(),
            Event::DnsEnd { addresses: found, .. } => {
                *addresses = found.to_vec();
                return;
            }
            Event::ConnectStart { host, port } => {
                *dialed = Some(((*host).to_owned(), *port));
                return;
            }
            Event::ConnectEnd { peer, .. } => {
                (*addresses, *dialed) = (Vec::new(), None);
                let Some(peer) = peer else { return };
                format!("* connected to {peer}")
            }
            Event::Reused { peer: Some(peer), .. } => format!("* connected to {peer}, as before"),
            Event::Error { .. } => match known.tried() {
                Some(tried) => format!("* not connected; tried {tried}"),
                None => return,
            },
            Event::Sending { version, method, url, whole, headers } => {
                let shown = RedactedUrl::new(url.get());
                let target = if *whole { shown.to_string() } else { target(&shown) };
                let mut text = format!("* {shown}\n> {method} {target} {}\n", protocol(*version));
                *last = Some(url.get().clone());
                fields(&mut text, "> ", headers.get(), last.as_ref());
                text + ">"
            }
            Event::HeadReceived { status, reason, version, headers } => {
                let reason = reason.or_else(|| status.canonical_reason()).unwrap_or_default();
                let mut text = format!("< {}\n", status_line(*version, *status, reason));
                fields(&mut text, "< ", headers.get(), last.as_ref());
                text + "<"
            }
            Event::TlsEnd { tls: Some(tls), .. } => format!("* {}", secured(tls)),
            Event::Retry { reason } => format!("* once more: {}", why(*reason)),
            _ => return,
        };
        tell(&text);
    }
}

fn why(reason: RetryReason) -> &'static str {
    match reason {
        RetryReason::StaleConnection => "the server closed the kept connection",
        RetryReason::Unprocessed => "the server did not look at it",
        RetryReason::Unexpected => "the server cannot be asked before the body goes (Expect)",
        RetryReason::Misdirected => "the server does not answer for this host on that connection",
        RetryReason::Challenge => "the server asks who sends this",
        _ => "the server wants it otherwise",
    }
}

/// Keeps the head of the last response that came, in the form of [`head`]. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct LastHead(Arc<Mutex<Option<Vec<u8>>>>);

impl LastHead {
    pub(crate) fn take(&self) -> Option<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl RequestTrace for LastHead {
    fn on_event(&self, event: &Event<'_>) {
        let Event::HeadReceived { status, reason, version, headers } = event else { return };
        let reason = reason.or_else(|| status.canonical_reason()).unwrap_or_default();
        let head = written(&status_line(*version, *status, reason), headers.get());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(head);
    }
}

/// The last response's head as it came, byte for byte but for its line ends, with an empty line behind it.
pub(crate) fn head(response: &Response) -> Vec<u8> {
    written(&status_line(response.version(), response.status(), response.reason()), response.headers())
}

fn written(status_line: &str, headers: &Headers) -> Vec<u8> {
    let mut bytes = status_line.as_bytes().to_vec();
    bytes.push(b'\n');
    for (name, value) in headers.iter() {
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

fn status_line(version: Version, status: StatusCode, reason: &str) -> String {
    match version {
        // It has no reason phrase.
        Version::Http2 => format!("HTTP/2 {}", status.as_u16()),
        version => format!("{} {} {reason}", protocol(version), status.as_u16()),
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::Http10 => "HTTP/1.0",
        Version::Http2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}

fn fields(text: &mut String, prefix: &str, headers: &Headers, base: Option<&Url>) {
    for (name, value, secret) in headers.iter_marked() {
        let hidden = secret || is_credential(name) || name.eq_ignore_ascii_case("set-cookie");
        let value = if hidden { "***".to_owned() } else { shown_value(name, value, base) };
        let _ = writeln!(text, "{prefix}{name}: {value}");
    }
}

/// For a terminal: text, without control characters; the URL of another place whole, without its secrets.
fn shown_value(name: &str, value: &[u8], base: Option<&Url>) -> String {
    let mut text = String::from_utf8_lossy(value);
    if ["location", "content-location"].iter().any(|known| known.eq_ignore_ascii_case(name)) {
        let whole = base.map_or_else(|| Url::parse(&text), |base| base.join(&text));
        match whole {
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
