//! What one request decides differently from its session: timeouts, redirects, decoding, proxy, credentials, who
//! watches it and what stands around it. What is `None` here is the session's to say; `send` asks.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use gannet_core::auth::{Credentials, Scheme};
use gannet_core::redirect::RedirectPolicy;
use gannet_core::timeout::Timeouts;

use super::{RequestBuilder, Transfer};
use crate::hooks::Hooks;
use crate::middleware::Middleware;
use crate::proxy::OwnProxy;
use crate::redirect_rule::{RedirectAction, RedirectRule, RedirectStep};
use crate::session::Session;
use crate::trace::RequestTrace;

/// What one request decides differently from its session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Own {
    pub(crate) timeouts: Option<Box<Timeouts>>,
    pub(crate) redirects: Option<RedirectPolicy>,
    pub(crate) decode: Option<bool>,
    pub(crate) max_body: Option<u64>,
    /// Whether a bad status is an error by itself.
    pub(crate) raises: Option<bool>,
    pub(crate) proxy: Option<OwnProxy>,
    /// Boxed: rare.
    pub(crate) credentials: Option<Box<Credentials>>,
    pub(crate) hooks: Option<Box<Hooks>>,
    pub(crate) transfer: Option<Box<Transfer>>,
}

impl<S: AsRef<Session>> RequestBuilder<S> {
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

    /// Bounds this request from its start to the body's last byte, redirects included; in place of
    /// the session's `timeouts.total`.
    pub fn timeout(self, total: Duration) -> Self {
        self.change_timeouts(|timeouts| timeouts.total = Some(total))
    }

    /// All timeouts of this request, in place of the session's.
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
    pub fn redirect_policy(self, policy: impl Fn(&RedirectStep<'_>) -> RedirectAction + Send + Sync + 'static) -> Self {
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

    /// Whether a status of 400 or more is an error by itself, as [`crate::Response::error_for_status`] makes it, in
    /// place of the session's `response.error_for_status`. In a bulk run it has no meaning: there a bad status is told
    /// with the row.
    pub fn error_for_status(self, on: bool) -> Self {
        self.change(|request| {
            request.own.raises = Some(on);
            Ok(())
        })
    }

    /// Leaves out a field that the session would add by itself: one of its `headers`, or accept, accept-encoding,
    /// user-agent. A field of this name that the request sets itself is sent.
    pub fn without_header(self, name: &str) -> Self {
        self.change_hooks(|hooks| hooks.without.push(name.to_owned()))
    }

    /// The proxy of this request and of every redirect it is led by, in place of the session's `proxy` and its
    /// exceptions. Credentials stand in the URL; those of the session, and its fields for proxies, are not told to it.
    pub fn proxy(self, url: &str) -> Self {
        self.change(|request| {
            request.own.proxy = Some(OwnProxy::parse(url)?);
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
