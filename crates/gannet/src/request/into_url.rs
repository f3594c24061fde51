//! What may stand for the URL of a request. Refuses what is not absolute, http or https, or has no host; called
//! wherever a URL comes in: builders, sources of rows, downloads.

use gannet_core::{ErrorKind, Phase};
use url::Url;

use crate::error::{Error, Result};
use crate::redact::{RedactedUrl, ShownText as Shown};

/// What can be the URL of a request: `&str`, `String`, [`Url`]. A relative one needs a session with a base URL.
pub trait IntoUrl {
    /// The URL, resolved against the base if there is one.
    ///
    /// # Errors
    /// Kind `url`, saying what is wrong with it.
    fn into_url(self, base: Option<&Url>) -> Result<Url>;
}

impl IntoUrl for Url {
    fn into_url(self, _base: Option<&Url>) -> Result<Url> {
        Ok(self)
    }
}

impl IntoUrl for &Url {
    fn into_url(self, _base: Option<&Url>) -> Result<Url> {
        Ok(self.clone())
    }
}

impl IntoUrl for &str {
    fn into_url(self, base: Option<&Url>) -> Result<Url> {
        let parsed = match base {
            Some(base) => base.join(self),
            None => Url::parse(self),
        };
        parsed.map_err(|error| {
            let remedy = match error {
                url::ParseError::RelativeUrlWithoutBase if is_host_like(self) => {
                    format!("; write http://{}, or set a base URL", Shown(self))
                }
                url::ParseError::RelativeUrlWithoutBase => {
                    "; give it a scheme (https://…) or set a base URL".to_owned()
                }
                _ => format!(", in {:?}", Shown(self)),
            };
            Error::new(ErrorKind::Url, Phase::Prepare, format!("not a URL: {error}{remedy}"))
        })
    }
}

impl IntoUrl for String {
    fn into_url(self, base: Option<&Url>) -> Result<Url> {
        self.as_str().into_url(base)
    }
}

impl IntoUrl for &String {
    fn into_url(self, base: Option<&Url>) -> Result<Url> {
        self.as_str().into_url(base)
    }
}

/// Whether a text without a scheme may begin with a host.
fn is_host_like(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphanumeric() || first == '[') && !text.contains(char::is_whitespace)
}

/// That a request can be sent there.
pub(crate) fn check_url(url: &Url) -> Result<()> {
    let bad = |message: String| Err(Error::new(ErrorKind::Url, Phase::Prepare, message).with_url(url));
    match url.scheme() {
        "http" | "https" => {}
        // `localhost:8080/`: what was meant for a host has become the scheme.
        other if url.path().starts_with(|first: char| first.is_ascii_digit()) => {
            let meant = RedactedUrl::new(url);
            return bad(format!("the scheme {other:?} is not supported; for a host of that name write http://{meant}"));
        }
        other => return bad(format!("the scheme {other:?} is not supported; use http or https")),
    }
    if url.host_str().is_none_or(str::is_empty) {
        return bad("the URL has no host".to_owned());
    }
    Ok(())
}
