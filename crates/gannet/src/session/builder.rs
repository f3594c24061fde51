//! How a session comes to be: its options read once (base URL, fields sent with every request, proxies, keys, roots), and
//! what options cannot hold. Refuses options that cannot be; opens nothing.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use gannet_core::cookie::Jar;
use gannet_core::{ErrorKind, Headers, Phase};
use url::Url;

use super::{Common, ConnectionLimits, Inner, Session};
use crate::auth::Keys;
use crate::connect::Connector;
use crate::error::{Error, Result};
use crate::middleware::Middleware;
use crate::options::Options;
use crate::pool::Pool;
use crate::proxy;
use crate::redirect_rule::{RedirectAction, RedirectRule, RedirectStep};
use crate::request::{append, check_url};
use crate::resolve::Resolve;
use crate::send::says_close;
use crate::trace::Trace;

/// The content codings that are decoded.
pub(crate) const ACCEPT_ENCODING: &str = "gzip, deflate, br, zstd";

/// A session in the making: its options, and what they cannot hold. Made by [`Session::builder`].
#[must_use = "there is no session before `build`"]
pub struct SessionBuilder {
    options: Options,
    traces: Vec<Arc<dyn Trace>>,
    middlewares: Vec<Arc<dyn Middleware>>,
    resolver: Option<Arc<dyn Resolve>>,
    redirect_rule: Option<RedirectRule>,
}

impl SessionBuilder {
    pub(super) fn new(options: Options) -> Self {
        SessionBuilder { options, traces: Vec::new(), middlewares: Vec::new(), resolver: None, redirect_rule: None }
    }

    /// Looks names up by this, in place of the system's resolver. Called again, it replaces the one before.
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.resolver = Some(Arc::new(resolver));
        self
    }

    /// Watches all its requests. May be called more than once; all are told, in this order.
    pub fn trace(mut self, trace: impl Trace) -> Self {
        self.traces.push(Arc::new(trace));
        self
    }

    /// Stands around all its requests that bring no middleware of their own. May be called more than once: each
    /// stands inside those before it.
    pub fn middleware(mut self, middleware: impl Middleware) -> Self {
        self.middlewares.push(Arc::new(middleware));
        self
    }

    /// Asks this function before a redirect is followed: it can follow, stop (the redirect is the response), or refuse
    /// with an error. `redirects` of the options comes first: what that does not follow is not asked about, and its
    /// `max` holds. Credentials stay behind at another origin whatever the function says. Called within the request,
    /// so it should return at once. Called again, it replaces the one before.
    ///
    /// ```
    /// use gannet::{Options, RedirectAction, Session};
    ///
    /// # fn main() -> gannet::Result<()> {
    /// let at_home = |host: Option<&str>| host.is_some_and(|host| host.ends_with(".example.com"));
    /// let session = Session::builder(Options::default())
    ///     .redirect_policy(move |step| match at_home(step.to.host_str()) {
    ///         true => RedirectAction::Follow,
    ///         false => RedirectAction::refuse("it leads out of our house"),
    ///     })
    ///     .build()?;
    /// # let _ = session; Ok(()) }
    /// ```
    pub fn redirect_policy(
        mut self,
        policy: impl Fn(&RedirectStep<'_>) -> RedirectAction + Send + Sync + 'static,
    ) -> Self {
        self.redirect_rule = Some(RedirectRule::new(policy));
        self
    }

    /// The session. Opens nothing yet.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn build(self) -> Result<Session> {
        let SessionBuilder { options, traces, middlewares, resolver, redirect_rule } = self;
        let middlewares = (!middlewares.is_empty()).then(|| middlewares.into());
        let base = options.base_url.as_deref().map(parse_base).transpose()?;
        let defaults = with_usual_fields(&options)?;
        let mut default_block = Vec::new();
        for (name, value) in defaults.iter() {
            default_block.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        let pool = Pool::new(ConnectionLimits::of(&options.connections), &options.connections);
        let connector = Connector::new(&options, resolver)?;
        let keys = Keys::new(&options.auth, base.as_ref())?;
        let mut jar = Jar::new();
        jar.trust_loopback(options.cookies.secure_loopback);
        let trusted = jar.trust_hosts(options.cookies.secure_hosts.iter().map(String::as_str));
        trusted.map_err(|host| Error::request(format!("cookies.secure_hosts: {host:?} is no host")))?;
        let jar = Mutex::new(jar);
        let proxies = proxy::rules(&options.proxy)?;
        let (defaults_close, http2_defaults) = (says_close(&defaults), OnceLock::new());
        let common = Common {
            options,
            connector,
            proxies,
            defaults,
            default_block,
            defaults_close,
            http2_defaults,
            traces,
            middlewares,
            redirect_rule,
            base,
            keys,
            jar,
        };
        Ok(Session { inner: Arc::new(Inner { pool, common: Arc::new(common), shards: Mutex::default() }) })
    }
}

impl fmt::Debug for SessionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionBuilder")
            .field("traces", &self.traces.len())
            .field("middlewares", &self.middlewares.len())
            .finish_non_exhaustive()
    }
}

fn parse_base(text: &str) -> Result<Url> {
    let base =
        Url::parse(text).map_err(|error| Error::new(ErrorKind::Url, Phase::Prepare, format!("base_url: {error}")))?;
    check_url(&base)?;
    Ok(base)
}

fn with_usual_fields(options: &Options) -> Result<Headers> {
    let mut headers = options.headers.clone();
    let mut usual = vec![("accept", "*/*"), ("user-agent", concat!("gannet/", env!("CARGO_PKG_VERSION")))];
    if options.decode.enabled {
        usual.push(("accept-encoding", ACCEPT_ENCODING));
    }
    for (name, value) in usual {
        let is_left_out = options.without_headers.iter().any(|known| known.eq_ignore_ascii_case(name));
        if !is_left_out && !headers.contains(name) {
            append(&mut headers, name, value.as_bytes(), false)?;
        }
    }
    // Framing and target belong to the single request.
    for name in ["content-length", "transfer-encoding", "host"] {
        headers.remove(name);
    }
    Ok(headers)
}
