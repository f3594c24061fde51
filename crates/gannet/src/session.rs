//! The session: what requests share. Cheap to clone, safe to share between tasks and threads; its connections,
//! cookies and lookups live until the last clone is gone or [`Session::close`] is called.

mod limits;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use gannet_core::cookie::Jar;
use gannet_core::proxy::ProxyUrl;
use gannet_core::{ErrorKind, Headers, Phase};
use http::Method;
use url::Url;

use crate::auth::Keys;
use crate::connect::Connector;
use crate::error::{Error, Result};
use crate::middleware::{self, Chain, Middleware};
use crate::options::Options;
use crate::pool::{Counters, HostStats, Pool, PoolCounters, PoolStats};
use crate::proxy::{self, Proxies};
use crate::redirect_rule::{RedirectAction, RedirectRule, RedirectStep};
use crate::request::{IntoUrl, Request, RequestBuilder, append, check_url};
use crate::resolve::Resolve;
use crate::response::Response;
use crate::send::send_alone;
use crate::trace::Trace;

pub use self::limits::ConnectionLimits;

/// The content codings that are decoded.
pub(crate) const ACCEPT_ENCODING: &str = "gzip, deflate, br, zstd";

/// The methods by their names, the same for both doors.
macro_rules! verbs {
    ($builder:ty) => {
        verbs!($builder, get GET, head HEAD, post POST, put PUT, patch PATCH, delete DELETE, options OPTIONS);
    };
    ($builder:ty, $($name:ident $method:ident),*) => {
        $(
            #[doc = concat!("Starts a ", stringify!($method), ".")]
            pub fn $name(&self, url: impl $crate::IntoUrl) -> $builder {
                self.request(http::Method::$method, url)
            }
        )*

        /// As `request`, the method by its name; any token will do.
        pub fn request_named(&self, method: &str, url: impl $crate::IntoUrl) -> $builder {
            match $crate::request::parse_method(method) {
                Ok(method) => self.request(method, url),
                Err(error) => <$builder>::new(self.clone(), Err(error)),
            }
        }
    };
}
pub(crate) use verbs;

/// A reusable HTTP session: pooled connections, cookies, default headers, base URL, timeouts.
///
/// Clones share everything. Dropping the last one closes its idle connections at once; responses whose bodies are
/// still being read keep theirs until they are done. It belongs to the tokio runtime on which it is first used.
///
/// ```no_run
/// # async fn example() -> gannet::Result<()> {
/// let session = gannet::Session::new(gannet::Options::default())?;
/// let text = session.get("https://example.com/").send().await?.error_for_status()?.text().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Session {
    pub(crate) inner: Arc<Inner>,
}

/// What a session's clones share.
pub(crate) struct Inner {
    pub(crate) pool: Arc<Pool>,
    common: Arc<Common>,
    /// Sessions that share all of this one but its connections, while they live.
    shards: Mutex<Vec<Shard>>,
}

/// One of them; what it counted stays when it is gone.
struct Shard {
    inner: Weak<Inner>,
    counters: Arc<Counters>,
    /// Which part of the caps it has, from 0, and of how many.
    number: usize,
    count: usize,
}

/// What its shards share too.
pub(crate) struct Common {
    pub(crate) options: Options,
    pub(crate) connector: Connector,
    /// `None` where every request goes directly.
    pub(crate) proxies: Option<Proxies>,
    /// What is sent with every request that does not set it itself.
    pub(crate) defaults: Headers,
    /// The defaults as lines, written once.
    pub(crate) default_block: Vec<u8>,
    /// The defaults as HTTP/2 carries them, once they were needed.
    pub(crate) http2_defaults: OnceLock<http::HeaderMap>,
    /// Who watches its requests.
    pub(crate) traces: Vec<Arc<dyn Trace>>,
    /// What stands around them; none if there is none.
    pub(crate) middlewares: Option<Chain>,
    /// What is asked about redirects.
    pub(crate) redirect_rule: Option<RedirectRule>,
    base: Option<Url>,
    pub(crate) keys: Keys,
    /// Held for one look-up or store, never across an await.
    jar: Mutex<Jar>,
}

impl Session {
    /// A session with these options. Opens nothing yet.
    ///
    /// # Errors
    /// Kind `url` for a bad `base_url`, `request` for an unreadable root certificate or netrc file, a bad proxy of the
    /// environment, and other options that cannot be.
    pub fn new(options: Options) -> Result<Self> {
        Session::builder(options).build()
    }

    /// To give it what options cannot hold: code that watches or changes its requests, another resolver.
    pub fn builder(options: Options) -> SessionBuilder {
        SessionBuilder { options, traces: Vec::new(), middlewares: Vec::new(), resolver: None, redirect_rule: None }
    }

    fn build(builder: SessionBuilder) -> Result<Self> {
        let SessionBuilder { options, traces, middlewares, resolver, redirect_rule } = builder;
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
            redirect_rule,
            base,
            keys,
            jar,
        };
        Ok(Session { inner: Arc::new(Inner { pool, common: Arc::new(common), shards: Mutex::default() }) })
    }

    /// A session that shares everything but connections, for another thread: it has part `number` of `count` of
    /// the caps, and is closed with this one.
    pub(crate) fn shard(&self, number: usize, count: usize) -> Session {
        let mut shards = self.inner.shards();
        let pool = self.inner.part_of_pool(number, count);
        let inner = Arc::new(Inner { pool, common: self.inner.common.clone(), shards: Mutex::default() });
        shards.retain(|shard| {
            // Only its counters are left: nobody counts any more.
            let is_over = Arc::strong_count(&shard.counters) == 1;
            if is_over {
                self.inner.pool.counters.add(&shard.counters);
            }
            !is_over
        });
        shards.push(Shard { inner: Arc::downgrade(&inner), counters: inner.pool.counters.clone(), number, count });
        drop(shards);
        // After it is known: a session that was closed meanwhile closes it too.
        if self.is_closed() {
            inner.pool.close();
        }
        Session { inner }
    }

    /// Starts a request of any method.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        RequestBuilder::new(self.clone(), self.prepare(method, url))
    }

    verbs!(RequestBuilder);

    /// Sends a finished request.
    ///
    /// # Errors
    /// As [`RequestBuilder::send`].
    pub async fn execute(&self, request: Request) -> Result<Response> {
        let raises = request.raises(&self.inner.options);
        let response = self.answer(request).await?;
        if raises { response.error_for_status() } else { Ok(response) }
    }

    /// As [`Session::execute`], whatever the status.
    pub(crate) async fn answer(&self, request: Request) -> Result<Response> {
        match middleware::chain_of(&self.inner, &request) {
            None => send_alone(&self.inner, request, None).await,
            Some(chain) => middleware::send_through(&self.inner, chain, request).await,
        }
    }

    /// Closes every idle connection at once and refuses new requests, and those that wait for a connection, with kind
    /// `closed`; requests under way finish, redirects and all, and their connections are closed after them. Also for
    /// all clones. See [`Session::close_within`] for an end to what is under way.
    pub fn close(&self) {
        self.inner.pool.close();
        for pool in self.inner.shard_pools() {
            pool.close();
        }
    }

    /// As [`Session::close`], and waits for what is under way, but no longer than this; then it is cut off, and fails
    /// with kind `closed`: connecting, waiting for a head, reading a body. Returns how many those were, after another
    /// tenth of a second at most, in which they let go of their connections. A response that nobody reads or drops
    /// keeps its connection; reading it fails.
    ///
    /// Dropping the future leaves the session closed, with nothing cut off.
    pub async fn close_within(&self, limit: Duration) -> usize {
        self.close();
        let pools = self.inner.shard_pools();
        let shards = pools.iter().map(|pool| pool.close_within(limit));
        let (own, shards) = tokio::join!(self.inner.pool.close_within(limit), join_all(shards));
        own + shards.into_iter().sum::<usize>()
    }

    /// Whether [`Session::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.inner.pool.is_closed()
    }

    /// The connection pool at this moment, those of a bulk run's further threads with it.
    pub fn pool_stats(&self) -> PoolStats {
        self.inner.shard_pools().iter().fold(self.inner.pool.stats(), |all, pool| all + pool.stats())
    }

    /// The same host by host: those that have a connection, or a request waiting for one.
    pub fn pool_hosts(&self) -> Vec<HostStats> {
        let mut hosts: BTreeMap<String, HostStats> = BTreeMap::new();
        let shards = self.inner.shard_pools();
        for host in shards.iter().chain([&self.inner.pool]).flat_map(|pool| pool.hosts()) {
            hosts.entry(host.host.clone()).and_modify(|known| known.add(&host)).or_insert(host);
        }
        hosts.into_values().collect()
    }

    /// What the connection pool did since the session was made, those of bulk runs' further threads with it.
    pub fn pool_counters(&self) -> PoolCounters {
        let all = Counters::default();
        all.add(&self.inner.pool.counters);
        for shard in self.inner.shards().iter() {
            all.add(&shard.counters);
        }
        all.read()
    }

    /// Forgets the addresses of names that were looked up: the next connection to each looks it up anew. Open connections
    /// and lookups under way go on.
    pub fn clear_dns_cache(&self) {
        self.inner.connector.forget_names();
    }

    /// The cookie jar, locked: to look, to set, to remove, to clear. Do not hold it across an await, nor ask the
    /// session for it again meanwhile: every request takes it for a moment. To keep it in a file, see
    /// [`Session::save_cookies`] and [`Session::load_cookies`].
    pub fn cookies(&self) -> MutexGuard<'_, Jar> {
        self.inner.jar()
    }

    /// The proxy that a request for this URL goes through, unless it decides otherwise itself.
    pub fn proxy_for(&self, url: &Url) -> Option<&ProxyUrl> {
        self.inner.proxies.as_ref()?.choose(url).map(|server| server.url())
    }

    /// The options it was made with.
    pub fn settings(&self) -> &Options {
        &self.inner.options
    }

    /// What is sent with every request that does not set it itself: the options' headers and the usual accept,
    /// accept-encoding and user-agent.
    pub fn default_headers(&self) -> &Headers {
        &self.inner.defaults
    }

    pub(crate) fn prepare(&self, method: Method, url: impl IntoUrl) -> Result<Request> {
        Request::new(method, url.into_url(self.base())?)
    }

    pub(crate) fn base(&self) -> Option<&Url> {
        self.inner.base.as_ref()
    }
}

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
        Session::build(self)
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

impl AsRef<Session> for Session {
    fn as_ref(&self) -> &Session {
        self
    }
}

impl Default for Session {
    /// A session with the default options.
    fn default() -> Self {
        Session::new(Options::default()).expect("invariant: the default options are valid")
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("pool", &self.pool_stats()).finish_non_exhaustive()
    }
}

impl Deref for Inner {
    type Target = Common;

    fn deref(&self) -> &Common {
        &self.common
    }
}

impl Inner {
    pub(crate) fn jar(&self) -> MutexGuard<'_, Jar> {
        self.jar.lock().expect("invariant: nothing panics under the jar's lock")
    }

    // Nothing is left half done under this lock.
    fn shards(&self) -> MutexGuard<'_, Vec<Shard>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pools of the shards that live.
    fn shard_pools(&self) -> Vec<Arc<Pool>> {
        self.shards().iter().filter_map(|shard| Some(shard.inner.upgrade()?.pool.clone())).collect()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Bodies still being read hold the pool; what they give back later must not be kept.
        self.pool.close();
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
