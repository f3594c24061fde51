//! A request: method, URL, header fields, body, and what it decides differently from its session. What is wrong with
//! any of them is kept by the builder and told when it is sent, so that a chain of calls needs one `?` only.
//!
//! Here is the finished thing, which `send` takes. How it is put together is [`RequestBuilder`]'s; what of the session it
//! overrules is `own`'s, how its bodies travel `transfer`'s, what may stand for a URL `into_url`'s.

mod builder;
mod into_url;
mod own;
mod transfer;

use std::fmt;
use std::sync::Arc;

use gannet_core::Headers;
use gannet_core::headers::is_token;
use gannet_core::retry::is_idempotent;
use http::Method;
use url::Url;

use crate::body::Body;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::redact::RedactedUrl;
use crate::trace::RequestTrace;

pub use self::builder::RequestBuilder;
pub use self::into_url::IntoUrl;
pub(crate) use self::into_url::check_url;
pub(crate) use self::own::Own;
pub(crate) use self::transfer::Transfer;

/// One request, complete and checked. Made by [`Session::request`](crate::Session::request) or [`Request::new`], sent by
/// [`Session::execute`](crate::Session::execute).
pub struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: Headers,
    pub(crate) body: Body,
    pub(crate) own: Own,
}

/// Without the secrets of its URL and fields, as with everything else of this library.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &RedactedUrl::new(&self.url))
            .field("headers", &self.headers)
            .field("body", &self.body)
            .field("own", &self.own)
            .finish()
    }
}

impl Request {
    /// A request without header fields of its own or body. The URL must be absolute, http or https.
    ///
    /// # Errors
    /// Kind `url` where it is neither.
    pub fn new(method: Method, url: Url) -> Result<Self> {
        check_url(&url)?;
        Ok(Request { method, url, headers: Headers::new(), body: Body::empty(), own: Own::default() })
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The URL.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The header fields of this request; the session's own are added when it is sent.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// To change the header fields.
    pub fn headers_mut(&mut self) -> &mut Headers {
        &mut self.headers
    }

    /// The body.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Watches this request, as [`RequestBuilder::trace`].
    pub fn watch(&mut self, watcher: impl RequestTrace) {
        self.own.hooks.get_or_insert_default().trace.watchers.push(Arc::new(watcher));
    }

    /// Whether a status of 400 or more is to be an error by itself.
    pub(crate) fn raises(&self, options: &Options) -> bool {
        self.own.raises.unwrap_or(options.response.error_for_status)
    }

    /// The same request again, where its body can be sent more than once.
    pub fn try_clone(&self) -> Option<Request> {
        let (method, url, headers, own) =
            (self.method.clone(), self.url.clone(), self.headers.clone(), self.own.clone());
        Some(Request { method, url, headers, body: self.body.try_clone()?, own })
    }

    /// Whether sending it twice is the same as sending it once: by its method (RFC 9110 §9.2.2), or because it
    /// carries an Idempotency-Key.
    pub fn is_repeatable(&self) -> bool {
        is_idempotent(self.method.as_str()) || self.headers.contains("idempotency-key")
    }
}

/// A request that nothing more is added to.
pub(crate) fn finished(request: Result<Request>) -> Result<Request> {
    let mut request = request?;
    if request.own.transfer.is_some() {
        transfer::prepare(&mut request).map_err(|error| error.with_url(&request.url))?;
    }
    Ok(request)
}

/// A method by its name; any token will do (RFC 9110 §9).
pub(crate) fn parse_method(name: &str) -> Result<Method> {
    if !is_token(name.as_bytes()) {
        return Err(Error::request(format!("not a method: {name:?}")));
    }
    Method::from_bytes(name.as_bytes()).map_err(|_| Error::request(format!("not a method: {name:?}")))
}

pub(crate) fn append(headers: &mut Headers, name: &str, value: &[u8], secret: bool) -> Result<()> {
    let added = if secret { headers.append_secret(name, value) } else { headers.append(name, value) };
    added.map_err(|error| Error::request(format!("header {name:?}: {error}")))
}

pub(crate) fn set_missing(headers: &mut Headers, name: &str, value: &str) -> Result<()> {
    if headers.contains(name) { Ok(()) } else { append(headers, name, value.as_bytes(), false) }
}
