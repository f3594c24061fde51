//! Authentication without I/O: challenges read ([`challenges`]), Digest answered ([`digest`]), what is known of a
//! server's protection spaces kept ([`Spaces`]), netrc files read ([`Netrc`]). The client's nonces come in.
//!
//! Nothing here knows which origin may see a credential but for one rule: a space belongs to the origin that
//! declared it. Whoever sends decides the rest, and asks for nothing at an origin the credentials are not for.

mod challenge;
pub mod digest;
mod netrc;
mod spaces;

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

pub use self::challenge::{Challenge, challenges};
pub use self::netrc::{Login, Netrc, NetrcError};
pub use self::spaces::{Answer, Realm, Signed, Space, Spaces};

/// How credentials are shown to a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Basic (RFC 7617), at once and without being asked: readable by whoever reads the request.
    #[default]
    Basic,
    /// Digest (RFC 7616), when the server asks for it; a server that asks for Basic gets nothing.
    Digest,
    /// What the server asks for: Digest if it offers that, else Basic. The first request goes without.
    Any,
}

/// A user's name and password, and how they are shown.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The password; empty by default.
    #[serde(default)]
    pub password: String,
    /// How they are shown; Basic by default.
    #[serde(default)]
    pub scheme: Scheme,
}

impl Credentials {
    /// Credentials for this scheme.
    pub fn new(user: impl Into<String>, password: impl Into<String>, scheme: Scheme) -> Self {
        Credentials { user: user.into(), password: password.into(), scheme }
    }

    /// The value of an Authorization field of the scheme Basic (RFC 7617), in UTF-8: a secret.
    pub fn basic(&self) -> String {
        basic(&self.user, &self.password)
    }
}

/// Shows neither name nor password.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &"***")
            .field("password", &"***")
            .field("scheme", &self.scheme)
            .finish()
    }
}

/// The request that an answer is for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its URL; path and query are what stands in the request line.
    pub url: &'a Url,
    /// Its body, where that is in memory; `None` for one that is not, which `qop=auth-int` cannot cover.
    pub body: Option<&'a [u8]>,
}

/// The value of an Authorization field by user and password (RFC 7617), in UTF-8. It is a secret: append it as one.
pub fn basic(user: &str, password: &str) -> String {
    use base64::Engine;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}
