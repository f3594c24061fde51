//! How a session comes to be: its options read once (base URL, fields sent with every request, proxies, keys, roots), and
//! what options cannot hold. Refuses options that cannot be; opens nothing.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use gannet_core::cookie::Jar;
use gannet_core::{ErrorKind, Headers, Phase};
use url::Url;

use super::{Common, Inner, Session};
use crate::auth::Keys;
use crate::connect::Connector;
use crate::error::{Error, Result};
use crate::middleware::Middleware;
use crate::options::Options;
use crate::pool::Pool;
use crate::proxy;
use crate::request::{append, check_url};
use crate::resolve::Resolve;
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
}

impl SessionBuilder {
    pub(super) fn new(options: Options) -> Self {
        SessionBuilder { options, traces: Vec::new(), middlewares: Vec::new(), resolver: None }
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

    /// The session. Opens nothing yet.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn build(self) -> Result<Session> {
        let SessionBuilder { options, traces, middlewares, resolver } = self;
        let middlewares = (!middlewares.is_empty()).then(|| middlewares.into());
        let base = options.base_url.as_deref().map(parse_base).transpose()?;
        let defaults = with_usual_fields(&options)?;
        let mut default_block = Vec::new();
        for (name, value) in defaults.iter() {
            default_block.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        let connections = &options.connections;
        let pool = Pool::new(connections.max, connections.max_per_host, connections.idle);
        let connector = Connector::new(&options, resolver)?;
        let keys = Keys::new(&options.auth, base.as_ref())?;
        let mut jar = Jar::new();
        jar.trust_loopback(options.cookies.secure_loopback);
        let jar = Mutex::new(jar);
        let proxies = proxy::rules(&options.proxy)?;
        let http2_defaults = OnceLock::new();
        let common = Common {
            options,
            connector,
            proxies,
            defaults,
            default_block,
            http2_defaults,
            traces,
            middlewares,
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
        if !headers.contains(name) {
            append(&mut headers, name, value.as_bytes(), false)?;
        }
    }
    // Framing and target belong to the single request.
    for name in ["content-length", "transfer-encoding", "host"] {
        headers.remove(name);
    }
    Ok(headers)
}
