//! A request, and the builder that makes one. What is wrong with it (a URL, a header, a body) is kept and told
//! when it is sent, so that a chain of calls needs one `?` only.

use std::any::Any;
use std::borrow::Borrow;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use gannet_core::Headers;
use gannet_core::auth::{Credentials, Scheme, basic};
use gannet_core::headers::is_token;
use gannet_core::proxy::{ProxyUrl, ProxyUrlError};
use gannet_core::redirect::RedirectPolicy;
use gannet_core::retry::is_idempotent;
use gannet_core::timeout::Timeouts;
use gannet_core::{ErrorKind, Phase};
use http::Method;
use serde::Serialize;
use url::Url;

use crate::body::{Body, Coding};
use crate::error::{Error, Result};
use crate::hooks::Hooks;
use crate::middleware::{self, Middleware};
use crate::multipart::Form;
use crate::progress::{Meter, Meters, OnProgress, Progress};
use crate::proxy::{OwnProxy, ProxyServer};
use crate::redirect_rule::{RedirectAction, RedirectRule, RedirectStep};
use crate::response::Response;
use crate::send::send_alone;
use crate::session::Session;
use crate::trace::RequestTrace;

/// One request, complete and checked. Made by [`Session::request`] or [`Request::new`], sent by
/// [`Session::execute`].
#[derive(Debug)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: Headers,
    pub(crate) body: Body,
    pub(crate) own: Own,
}

/// What one request decides differently from its session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Own {
    pub(crate) timeouts: Option<Box<Timeouts>>,
    pub(crate) redirects: Option<RedirectPolicy>,
    pub(crate) decode: Option<bool>,
    pub(crate) max_body: Option<u64>,
    pub(crate) proxy: Option<OwnProxy>,
    /// Boxed: rare.
    pub(crate) credentials: Option<Box<Credentials>>,
    pub(crate) hooks: Option<Box<Hooks>>,
    pub(crate) transfer: Option<Box<Transfer>>,
}

/// How the bodies of one request travel. One pointer in a request that has no wishes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transfer {
    /// Not done yet: done when the request is built.
    compress: Option<Coding>,
    pub(crate) expect: Option<Duration>,
    on_upload: Option<OnProgress>,
    on_download: Option<OnProgress>,
}

impl Transfer {
    /// What counts an exchange, for a body of this length.
    pub(crate) fn meters(&self, length: Option<u64>) -> Option<Box<Meters>> {
        if self.on_upload.is_none() && self.on_download.is_none() {
            return None;
        }
        let up = self.on_upload.clone().map(|on| Meter::new(on, length));
        Some(Box::new(Meters { up, down: None, on_download: self.on_download.clone() }))
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

/// Builds a request of a session; [`RequestBuilder::send`] sends it.
///
/// The same for both doors: `S` is [`Session`], or [`crate::blocking::Session`] with a `send` that waits.
#[must_use = "nothing is sent before `send`"]
#[derive(Debug)]
pub struct RequestBuilder<S = Session> {
    pub(crate) session: S,
    pub(crate) request: Result<Request>,
}

impl<S: AsRef<Session>> RequestBuilder<S> {
    pub(crate) fn new(session: S, request: Result<Request>) -> Self {
        RequestBuilder { session, request }
    }

    /// Appends query parameters, percent-encoded: `[("page", 2)]`.
    pub fn query<K: AsRef<str>, V: Display, P: Borrow<(K, V)>>(self, pairs: impl IntoIterator<Item = P>) -> Self {
        self.change(|request| {
            let mut query = request.url.query_pairs_mut();
            for pair in pairs {
                let (name, value) = pair.borrow();
                query.append_pair(name.as_ref(), &value.to_string());
            }
            drop(query);
            if request.url.query() == Some("") {
                request.url.set_query(None);
            }
            Ok(())
        })
    }

    /// Adds a header field. CR, LF and NUL are refused.
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.change(|request| append(&mut request.headers, name, value.as_ref(), false))
    }

    /// Adds a header field that is never shown and does not follow a redirect to another origin.
    pub fn secret_header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.change(|request| append(&mut request.headers, name, value.as_ref(), true))
    }

    /// Adds all these header fields.
    pub fn headers(self, headers: &Headers) -> Self {
        self.change(|request| {
            headers
                .iter_marked()
                .try_for_each(|(name, value, secret)| append(&mut request.headers, name, value, secret))
        })
    }

    /// `Authorization: Basic …` (RFC 7617).
    pub fn basic_auth(self, user: &str, password: Option<&str>) -> Self {
        let value = basic(user, password.unwrap_or_default());
        self.change(|request| append(&mut request.headers, "authorization", value.as_bytes(), true))
    }

    /// `Authorization: Bearer …` (RFC 6750).
    pub fn bearer_auth(self, token: &str) -> Self {
        let value = format!("Bearer {token}");
        self.change(|request| append(&mut request.headers, "authorization", value.as_bytes(), true))
    }

    /// Digest authentication (RFC 7616), for the origin of this URL alone: the first request goes without and is sent
    /// again when the server asks, its body byte for byte; later ones of the session are signed at once where the
    /// server said that they may be. A server that asks for Basic gets no password.
    ///
    /// MD5, SHA-256 and SHA-512-256, `-sess` or not; `auth`, and `auth-int` for a body in memory. Wrong credentials are
    /// a response with status 401; a streamed body that would be needed twice is an error of the kind `request`.
    pub fn digest_auth(self, user: &str, password: &str) -> Self {
        self.credentials(Credentials::new(user, password, Scheme::Digest))
    }

    /// Credentials of any scheme, in place of the session's `auth.credentials`; an Authorization field of the request
    /// goes before both.
    pub fn credentials(self, credentials: Credentials) -> Self {
        self.change(|request| {
            request.own.credentials = Some(Box::new(credentials));
            Ok(())
        })
    }

    /// The body as it is; no content type is added.
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.change(|request| {
            request.body = body.into();
            Ok(())
        })
    }

    /// The value as JSON, with its content type unless one is set.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Self {
        self.change(|request| {
            let bytes = serde_json::to_vec(value)
                .map_err(|error| Error::request("the JSON body cannot be written").with_source(error))?;
            set_missing(&mut request.headers, "content-type", "application/json")?;
            request.body = bytes.into();
            Ok(())
        })
    }

    /// The pairs as `application/x-www-form-urlencoded`.
    pub fn form<K: AsRef<str>, V: Display, P: Borrow<(K, V)>>(self, pairs: impl IntoIterator<Item = P>) -> Self {
        self.change(|request| {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            for pair in pairs {
                let (name, value) = pair.borrow();
                form.append_pair(name.as_ref(), &value.to_string());
            }
            set_missing(&mut request.headers, "content-type", "application/x-www-form-urlencoded")?;
            request.body = form.finish().into_bytes().into();
            Ok(())
        })
    }

    /// A `multipart/form-data` body; its files are read while they are sent.
    pub fn multipart(self, form: Form) -> Self {
        self.change(|request| {
            let form = form.encode().map_err(|error| Error::request("multipart form").with_source(error))?;
            set_missing(&mut request.headers, "content-type", &form.content_type)?;
            request.body = Body::multipart(form);
            Ok(())
        })
    }

    /// Bounds this request from its start to the body's last byte, redirects included; in place of
    /// the session's `timeouts.total`.
    pub fn timeout(self, total: Duration) -> Self {
        self.change_timeouts(|timeouts| timeouts.total = Some(total))
    }

    /// All four timeouts of this request, in place of the session's.
    pub fn timeouts(self, own: Timeouts) -> Self {
        self.change_timeouts(|timeouts| *timeouts = own)
    }

    /// How redirects of this request are followed, in place of the session's `redirects`.
    pub fn redirects(self, policy: RedirectPolicy) -> Self {
        self.change(|request| {
            request.own.redirects = Some(policy);
            Ok(())
        })
    }

    /// Asks this function before a redirect of this request is followed, in place of the session's
    /// ([`crate::SessionBuilder::redirect_policy`]).
    pub fn redirect_policy(
        self,
        policy: impl Fn(&RedirectStep<'_>) -> RedirectAction + Send + Sync + 'static,
    ) -> Self {
        self.change_hooks(|hooks| hooks.redirect = Some(RedirectRule::new(policy)))
    }

    /// Whether content codings are offered and decoded, in place of the session's `decode.enabled`.
    pub fn decode(self, enabled: bool) -> Self {
        self.change(|request| {
            request.own.decode = Some(enabled);
            Ok(())
        })
    }

    /// The most bytes of body that are accepted after decoding, in place of the session's `response.max_body`.
    pub fn max_body(self, bytes: u64) -> Self {
        self.change(|request| {
            request.own.max_body = Some(bytes);
            Ok(())
        })
    }

    /// The proxy of this request and of every redirect it is led by, in place of the session's `proxy` and its
    /// exceptions. Credentials stand in the URL; those of the session, and its fields for proxies, are not told to it.
    pub fn proxy(self, url: &str) -> Self {
        self.change(|request| {
            let url: ProxyUrl = url.parse().map_err(|error: ProxyUrlError| Error::request(error.to_string()))?;
            let server = ProxyServer::new(url, None, &Headers::new())?;
            request.own.proxy = Some(OwnProxy::Through(Arc::new(server)));
            Ok(())
        })
    }

    /// Sends this request directly, without the session's proxy.
    pub fn no_proxy(self) -> Self {
        self.change(|request| {
            request.own.proxy = Some(OwnProxy::Direct);
            Ok(())
        })
    }

    /// Watches this request, beside what watches the session. May be called more than once.
    pub fn trace(self, watcher: impl RequestTrace) -> Self {
        self.change_hooks(|hooks| hooks.trace.watchers.push(Arc::new(watcher)))
    }

    /// Stands around this request; the session's middlewares do not. May be called more than once: each stands inside
    /// those before it.
    pub fn middleware(self, middleware: impl Middleware) -> Self {
        self.change_hooks(|hooks| hooks.add(Arc::new(middleware)))
    }

    /// Nothing stands around this request, not even the session's middlewares.
    pub fn without_middlewares(self) -> Self {
        self.change_hooks(|hooks| hooks.middlewares = Some(Arc::new([])))
    }

    /// A value for the session's traces, to tell this request from others: [`crate::trace::Begin::context`].
    pub fn trace_context(self, context: impl Any + Send + Sync) -> Self {
        self.change_hooks(|hooks| hooks.trace.context = Some(Arc::new(context)))
    }

    /// Compresses the body on its way and says so in Content-Encoding. A body in memory of up to 256 KiB is compressed
    /// at once and has a length; every other one while it is sent, in chunks. What can be sent again still can.
    /// An empty body stays as it is. The server has to understand the coding, and cannot be asked.
    pub fn compress(self, coding: Coding) -> Self {
        self.change_transfer(|transfer| transfer.compress = Some(coding))
    }

    /// Sends the head with `Expect: 100-continue` and the body once the server asks for it (RFC 9110 §10.1.1), or
    /// after this wait: many servers never ask; 1 s is usual. A server that refuses is so spared the body, and the
    /// body can be sent elsewhere; the connection is then closed, since the server may still wait for it. A 417 is
    /// repeated without. Without effect on a request that has no body, and over HTTP/2, where a server that does not
    /// want a body stops it by itself.
    pub fn expect_continue(self, wait: Duration) -> Self {
        self.change_transfer(|transfer| transfer.expect = Some(wait))
    }

    /// Asks the server to switch to another protocol on this connection: `websocket`, or several by commas. The
    /// response then has the status 101 and [`Response::upgrade`] hands the connection out; any other status is the
    /// server's way to decline (RFC 9110 §7.8). Over https it is asked on a connection that offers HTTP/1.1 alone,
    /// which `connections.max_per_host` counts apart. A proxy that is sent http requests itself has to know of it.
    pub fn upgrade(self, protocol: &str) -> Self {
        self.change(|request| {
            append(&mut request.headers, "connection", b"upgrade", false)?;
            append(&mut request.headers, "upgrade", protocol.as_bytes(), false)
        })
    }

    /// Tells this function how far the body is on its way out, each time that some of it has gone: bytes handed to
    /// the system, those of chunks' heads included where the length is not known; with [`RequestBuilder::compress`]
    /// bytes compressed so far. It begins anew when the body is sent again. It is called while the request is driven,
    /// and should return at once.
    pub fn on_upload(self, tell: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.change_transfer(|transfer| transfer.on_upload = Some(OnProgress::new(tell)))
    }

    /// As [`RequestBuilder::on_upload`], of the response's body as it comes: bytes before decoding, redirects' bodies
    /// not counted.
    pub fn on_download(self, tell: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.change_transfer(|transfer| transfer.on_download = Some(OnProgress::new(tell)))
    }

    /// The finished request, unsent.
    ///
    /// # Errors
    /// What was wrong with any of the parts.
    pub fn build(self) -> Result<Request> {
        finished(self.request)
    }

    fn change_transfer(self, change: impl FnOnce(&mut Transfer)) -> Self {
        self.change(|request| {
            change(request.own.transfer.get_or_insert_default());
            Ok(())
        })
    }

    fn change(mut self, change: impl FnOnce(&mut Request) -> Result<()>) -> Self {
        if let Ok(request) = &mut self.request
            && let Err(error) = change(request)
        {
            let error = error.with_url(&request.url);
            self.request = Err(error);
        }
        self
    }

    fn change_hooks(self, change: impl FnOnce(&mut Hooks)) -> Self {
        self.change(|request| {
            change(request.own.hooks.get_or_insert_default());
            Ok(())
        })
    }

    fn change_timeouts(self, change: impl FnOnce(&mut Timeouts)) -> Self {
        let session = self.session.as_ref().inner.options.timeouts.clone();
        self.change(|request| {
            change(request.own.timeouts.get_or_insert_with(|| Box::new(session)));
            Ok(())
        })
    }
}

impl RequestBuilder {
    /// Sends the request and returns when the response's head is there. Dropping the future closes the connection
    /// it was using and leaks nothing.
    ///
    /// # Errors
    /// Everything but a status: a 404 is a response; see [`Response::error_for_status`].
    pub async fn send(self) -> Result<Response> {
        let RequestBuilder { session, request } = self;
        let (session, request) = (&session.inner, finished(request)?);
        // Boxed where middlewares stand around it: all others would carry their room.
        match middleware::chain_of(session, &request) {
            None => send_alone(session, request, None).await,
            Some(chain) => middleware::send_through(session, chain, request).await,
        }
    }
}

/// A request that nothing more is added to.
pub(crate) fn finished(request: Result<Request>) -> Result<Request> {
    let mut request = request?;
    if request.own.transfer.is_some() {
        prepare_transfer(&mut request).map_err(|error| error.with_url(&request.url))?;
    }
    Ok(request)
}

/// What has to wait until the body is known: its coding, and whether there is one to ask for.
fn prepare_transfer(request: &mut Request) -> Result<()> {
    let Some(transfer) = request.own.transfer.as_mut().filter(|_| !request.body.is_empty()) else { return Ok(()) };
    if let Some(coding) = transfer.compress.take() {
        let body = std::mem::take(&mut request.body);
        // What is compressed on the way is counted where it goes in; what is compressed already, where it goes out.
        let meter = transfer.on_upload.clone().map(|on| Meter::new(on, body.length()));
        request.body = body.compressed(coding, meter)?;
        if request.body.length().is_none() {
            transfer.on_upload = None;
        }
        append(&mut request.headers, "content-encoding", coding.as_str().as_bytes(), false)?;
    }
    if transfer.expect.is_some() && request.body.length() != Some(0) {
        set_missing(&mut request.headers, "expect", "100-continue")?;
    }
    Ok(())
}

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
                url::ParseError::RelativeUrlWithoutBase => "; give it a scheme (https://…) or set a base URL",
                _ => "",
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

/// A method by its name; any token will do (RFC 9110 §9).
pub(crate) fn parse_method(name: &str) -> Result<Method> {
    if !is_token(name.as_bytes()) {
        return Err(Error::request(format!("not a method: {name:?}")));
    }
    Method::from_bytes(name.as_bytes()).map_err(|_| Error::request(format!("not a method: {name:?}")))
}

pub(crate) fn check_url(url: &Url) -> Result<()> {
    let bad = |message: String| Err(Error::new(ErrorKind::Url, Phase::Prepare, message).with_url(url));
    match url.scheme() {
        "http" | "https" => {}
        other => return bad(format!("the scheme {other:?} is not supported; use http or https")),
    }
    if url.host_str().is_none_or(str::is_empty) {
        return bad("the URL has no host".to_owned());
    }
    Ok(())
}

pub(crate) fn append(headers: &mut Headers, name: &str, value: &[u8], secret: bool) -> Result<()> {
    let added = if secret { headers.append_secret(name, value) } else { headers.append(name, value) };
    added.map_err(|error| Error::request(format!("header {name:?}: {error}")))
}

pub(crate) fn set_missing(headers: &mut Headers, name: &str, value: &str) -> Result<()> {
    if headers.contains(name) { Ok(()) } else { append(headers, name, value.as_bytes(), false) }
}
