//! What to do with a redirect (RFC 9110 §15.4, with the Fetch standard's rules on methods), and which headers
//! may go along. Pure: one response in, one decision out. Refused are targets that are not http or https, more
//! hops than allowed, and a body that cannot be sent again.
//!
//! Userinfo stays in the next URL only where it is that of the current one and the origin is the same. What a
//! server writes into Location itself is not sent: a server does not choose who we say we are.

#[cfg(test)]
mod tests;

use std::fmt;

use http::Method;
use percent_encoding::{AsciiSet, percent_encode};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::error::ErrorKind;
use crate::headers::{Headers, is_credential};

/// Whether and how far redirects are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedirectPolicy {
    /// The most hops followed for one request; the next one fails. Default 10.
    pub max: u32,
    /// Off, a redirect is delivered like any response. Default on.
    pub follow: bool,
    /// Whether a redirect may lead from https to http. Default on; off, such a redirect fails.
    pub downgrade: bool,
}

impl Default for RedirectPolicy {
    fn default() -> Self {
        RedirectPolicy { max: 10, follow: true, downgrade: true }
    }
}

/// A response and the request it answers.
#[derive(Clone, Copy, Debug)]
pub struct Hop<'a> {
    /// The request's method.
    pub method: &'a Method,
    /// The request's URL, against which Location is resolved.
    pub url: &'a Url,
    /// The response's status.
    pub status: u16,
    /// The first Location header, as it came: ASCII, raw UTF-8 or worse.
    pub location: Option<&'a [u8]>,
    /// How many redirects were followed before this one.
    pub hops_so_far: u32,
    /// Whether the request's body can be sent once more.
    pub body: BodyReplay,
}

/// Whether a request's body can be sent once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyReplay {
    /// There is no body.
    None,
    /// It can be sent again, byte for byte.
    Replayable,
    /// It came from a stream and is gone.
    Consumed,
}

/// What to do with a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Hand it to the caller: it is no redirect, has no Location, or redirects are not followed.
    Deliver,
    /// Send this request instead; the headers first go through [`strip_for`].
    Follow(Next),
    /// Give up.
    Fail(RedirectError),
}

/// The next request of a chain of redirects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// Its method.
    pub method: Method,
    /// Its URL, with the fragment of the one before unless Location brings its own (RFC 9110 §10.2.2).
    pub url: Url,
    /// Whether the body goes, with the headers that speak of it.
    pub drop_body: bool,
    /// Whether scheme, host or port differ from the hop before, so that credentials go.
    pub cross_origin: bool,
}

/// Decides what to do with a response.
///
/// 301 and 302 turn POST into GET, 303 turns everything but HEAD into GET and drops the body; otherwise
/// method and body stay. 300, 304, 305 and 306 are delivered, and so is an empty Location.
pub fn decide(policy: &RedirectPolicy, hop: &Hop<'_>) -> Decision {
    let location = hop.location.map(<[u8]>::trim_ascii).filter(|location| !location.is_empty());
    match location {
        Some(location) if policy.follow && matches!(hop.status, 301 | 302 | 303 | 307 | 308) => {
            follow(policy, hop, location).map_or_else(Decision::Fail, Decision::Follow)
        }
        _ => Decision::Deliver,
    }
}

fn follow(policy: &RedirectPolicy, hop: &Hop<'_>, location: &[u8]) -> Result<Next, RedirectError> {
    if hop.hops_so_far >= policy.max {
        return Err(RedirectError::TooMany { max: policy.max, last: redacted(hop.url) });
    }
    let mut url = resolve(hop.url, location)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(RedirectError::UnsupportedScheme { scheme: url.scheme().to_owned() });
    }
    if !policy.downgrade && hop.url.scheme() == "https" && url.scheme() == "http" {
        return Err(RedirectError::Downgrade { to: redacted(&url) });
    }
    let cross_origin = !same_origin(hop.url, &url);
    keep_own_userinfo(hop.url, &mut url, cross_origin)?;
    let method = match hop.status {
        301 | 302 if *hop.method == Method::POST => Method::GET,
        303 if *hop.method != Method::HEAD => Method::GET,
        _ => hop.method.clone(),
    };
    let drop_body = method != *hop.method || (hop.status == 303 && hop.body != BodyReplay::None);
    if !drop_body && hop.body == BodyReplay::Consumed {
        return Err(RedirectError::BodyConsumed { status: hop.status });
    }
    Ok(Next { method, url, drop_body, cross_origin })
}

fn resolve(base: &Url, location: &[u8]) -> Result<Url, RedirectError> {
    if location.iter().any(u8::is_ascii_control) {
        return Err(RedirectError::InvalidLocation { reason: "it holds a control character".to_owned() });
    }
    let text = match std::str::from_utf8(location) {
        Ok(text) => text.to_owned(),
        // Neither ASCII nor UTF-8: the bytes go back to the server as they came, percent-encoded.
        Err(_) => percent_encode(location, &AsciiSet::EMPTY).to_string(),
    };
    let mut url = base.join(&text).map_err(|reason| RedirectError::InvalidLocation { reason: reason.to_string() })?;
    if url.fragment().is_none() {
        url.set_fragment(base.fragment());
    }
    Ok(url)
}

fn keep_own_userinfo(from: &Url, to: &mut Url, cross_origin: bool) -> Result<(), RedirectError> {
    let own = !cross_origin && (from.username(), from.password()) == (to.username(), to.password());
    if own || (to.username().is_empty() && to.password().is_none()) {
        return Ok(());
    }
    let cleared = to.set_username("").and_then(|()| to.set_password(None));
    cleared.map_err(|()| RedirectError::InvalidLocation { reason: "its user name cannot be removed".to_owned() })
}

/// Whether two URLs share scheme, host and port. Hosts are compared as the URL parser left them: a trailing
/// dot makes another host, since credentials are better dropped than sent astray.
pub fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && a.host() == b.host() && a.port_or_known_default() == b.port_or_known_default()
}

/// Takes away what may not go to the next hop. Pass on what is left, hop by hop: what was dropped on the way
/// to another origin stays dropped on the way back.
///
/// Across origins: every credential by name ([`is_credential`]), WWW-Authenticate, every field marked secret,
/// and a Host set by the caller. With the body: the fields that describe it.
pub fn strip_for(headers: &mut Headers, cross_origin: bool, drop_body: bool) {
    if !cross_origin && !drop_body {
        return;
    }
    headers.retain(|name, secret| {
        let bound = secret || is_credential(name) || is_in(&ORIGIN_BOUND, name);
        let goes = (cross_origin && bound) || (drop_body && is_in(&OF_THE_BODY, name));
        !goes
    });
}

const ORIGIN_BOUND: [&str; 2] = ["host", "www-authenticate"];

const OF_THE_BODY: [&str; 14] = [
    "content-length",
    "content-type",
    "content-encoding",
    "content-language",
    "content-location",
    "content-range",
    "content-digest",
    "content-md5",
    "transfer-encoding",
    "trailer",
    "expect",
    "digest",
    "repr-digest",
    "last-modified",
];

fn is_in(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// A URL for messages: no userinfo, no fragment, and of a query only that there is one.
fn redacted(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let query = if url.query().is_some() { "?…" } else { "" };
    format!("{}://{}{port}{}{query}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// Why a redirect was not followed. URLs in it are without userinfo and query.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedirectError {
    /// The chain is longer than [`RedirectPolicy::max`].
    TooMany {
        /// How many redirects were followed.
        max: u32,
        /// The URL that redirected once more.
        last: String,
    },
    /// Location does not make a URL.
    InvalidLocation {
        /// What is wrong with it.
        reason: String,
    },
    /// Location is neither http nor https.
    UnsupportedScheme {
        /// What it is.
        scheme: String,
    },
    /// From https to http, and [`RedirectPolicy::downgrade`] is off.
    Downgrade {
        /// Where it leads.
        to: String,
    },
    /// Method and body must be sent again, and the body is gone.
    BodyConsumed {
        /// The status that asks for it.
        status: u16,
    },
}

impl RedirectError {
    /// [`ErrorKind::Redirect`], always.
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Redirect
    }
}

impl fmt::Display for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RedirectError::TooMany { max: 0, last } => {
                write!(f, "{last} redirects, and no redirect is allowed")
            }
            RedirectError::TooMany { max, last } => {
                write!(f, "too many redirects: {last} redirects again after {max}")
            }
            RedirectError::InvalidLocation { reason } => {
                write!(f, "the redirect's Location is no URL: {reason}")
            }
            RedirectError::UnsupportedScheme { scheme } => {
                write!(f, "the redirect leads to {scheme}:, and only http and https are followed")
            }
            RedirectError::Downgrade { to } => write!(f, "the redirect leads from https to {to}"),
            RedirectError::BodyConsumed { status } => {
                write!(f, "a {status} redirect wants the body again, and it was streamed and is gone")
            }
        }
    }
}

impl std::error::Error for RedirectError {}
