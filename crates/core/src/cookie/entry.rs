//! One cookie as the jar keeps it, what its name promises, and why one is not taken in.

use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::scope::Target;

/// One cookie as it is kept. Serialized it holds its value: whoever writes it down keeps the file to its owner.
#[derive(Clone, Serialize, Deserialize)]
pub struct Cookie {
    pub(super) name: Box<str>,
    pub(super) value: Box<str>,
    pub(super) domain: Box<str>,
    pub(super) path: Box<str>,
    pub(super) host_only: bool,
    pub(super) secure: bool,
    pub(super) http_only: bool,
    pub(super) same_site: Option<SameSite>,
    pub(super) expires: Option<SystemTime>,
    pub(super) created: u64,
    /// Unique among the cookies of a jar: the tick of its last use.
    pub(super) used: u64,
}

impl Cookie {
    /// Its name; empty for a nameless cookie, which is sent as its bare value.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value, quotes included if it came with quotes.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The host it came from, or the domain it is for: lower case, A-labels, no dot at either end.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The path below which it is sent.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether it is for the host [`Cookie::domain`] alone, and not for hosts below it.
    pub fn host_only(&self) -> bool {
        self.host_only
    }

    /// Whether it is sent over https only.
    pub fn secure(&self) -> bool {
        self.secure
    }

    /// Whether it came with HttpOnly; kept as data.
    pub fn http_only(&self) -> bool {
        self.http_only
    }

    /// What its SameSite attribute says, if it has one that is known; kept as data.
    pub fn same_site(&self) -> Option<SameSite> {
        self.same_site
    }

    /// When it ends; `None`: with the jar.
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires
    }

    pub(super) fn is_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }

    pub(super) fn is_for(&self, target: &Target<'_>) -> bool {
        (target.secure || !self.secure) && target.matches(&self.domain, self.host_only, &self.path)
    }

    pub(super) fn same_place(&self, other: &Cookie) -> bool {
        self.name == other.name
            && self.domain == other.domain
            && self.host_only == other.host_only
            && self.path == other.path
    }

    /// The promises a name makes by its first letters (RFC 6265bis §4.1.3), in any case. Without a name the
    /// value would be read as one, so it may not begin like that.
    pub(super) fn check_prefix(&self, names_path: bool) -> Result<(), Refused> {
        let begins = |text: &str, prefix: &str| {
            text.as_bytes().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
        };
        let (host, secure) = ("__Host-", "__Secure-");
        let kept = if self.name.is_empty() {
            !begins(&self.value, host) && !begins(&self.value, secure)
        } else if begins(&self.name, host) {
            self.secure && self.host_only && names_path && &*self.path == "/"
        } else {
            self.secure || !begins(&self.name, secure)
        };
        if kept { Ok(()) } else { Err(Refused::Prefix) }
    }

    pub(super) fn write_to(&self, header: &mut String) {
        if !header.is_empty() {
            header.push_str("; ");
        }
        if !self.name.is_empty() {
            header.push_str(&self.name);
            header.push('=');
        }
        header.push_str(&self.value);
    }
}

/// Shows everything but the value.
impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cookie")
            .field("name", &self.name)
            .field("value", &"***")
            .field("domain", &self.domain)
            .field("path", &self.path)
            .field("host_only", &self.host_only)
            .field("secure", &self.secure)
            .field("http_only", &self.http_only)
            .field("same_site", &self.same_site)
            .field("expires", &self.expires)
            .finish()
    }
}

/// The SameSite attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SameSite {
    /// Sent to the same site only.
    Strict,
    /// Sent to the same site, and where a link leads to it.
    Lax,
    /// Sent always.
    None,
}

impl SameSite {
    pub(super) fn read(text: &str) -> Option<Self> {
        let known = [("strict", SameSite::Strict), ("lax", SameSite::Lax), ("none", SameSite::None)];
        known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, value)| value)
    }
}

/// Why a cookie was not taken in. It never quotes the cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// The URL is neither http nor https, or has no host.
    Url,
    /// It holds a control character.
    ControlCharacter,
    /// It is not UTF-8.
    NotText,
    /// Neither name nor value.
    Empty,
    /// It would read as something else in a Cookie header.
    Syntax,
    /// Name and value together exceed 4096 bytes.
    TooLong,
    /// The Domain attribute is not the host or above it.
    Domain,
    /// The Domain attribute is a public suffix, which everyone shares.
    PublicSuffix,
    /// Secure, but set over plain http.
    SecureFromHttp,
    /// Over plain http, it would overwrite or hide a Secure cookie.
    SecureExists,
    /// The name begins with `__Host-` or `__Secure-` and the cookie does not keep that promise.
    Prefix,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::Url => "cookies are for http and https URLs with a host",
            Refused::ControlCharacter => "the cookie holds a control character",
            Refused::NotText => "the cookie is not UTF-8",
            Refused::Empty => "the cookie has neither name nor value",
            Refused::Syntax => "the cookie's name or value would read as something else in a Cookie header",
            Refused::TooLong => "the cookie's name and value exceed 4096 bytes",
            Refused::Domain => "the cookie is for a domain its host does not belong to",
            Refused::PublicSuffix => "the cookie is for a public suffix",
            Refused::SecureFromHttp => "the cookie is Secure but came over plain http",
            Refused::SecureExists => "over plain http the cookie would overwrite or hide a Secure one",
            Refused::Prefix => "the cookie does not keep what its __Host- or __Secure- name promises",
        })
    }
}

impl std::error::Error for Refused {}
