//! The session: what requests share. Cheap to clone, safe to share between tasks and threads; its connections,
//! cookies and lookups live until the last clone is gone or [`Session::close`] is called.

mod builder;
mod limits;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use gannet_core::Headers;
use gannet_core::cookie::Jar;
use gannet_core::proxy::ProxyUrl;
use http::Method;
use url::Url;

use crate::auth::Keys;
use crate::connect::Connector;
use crate::error::Result;
use crate::middleware::{self, Chain};
use crate::options::Options;
use crate::pool::{Counters, HostStats, Pool, PoolCounters, PoolStats};
use crate::proxy::Proxies;
use crate::redirect_rule::RedirectRule;
use crate::request::{IntoUrl, Request, RequestBuilder};
use crate::response::Response;
use crate::send::send_alone;
use crate::trace::Trace;

pub(crate) use self::builder::ACCEPT_ENCODING;
pub use self::builder::SessionBuilder;
pub use self::limits::ConnectionLimits;

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
    /// The defaults ask for the end of each connection.
    pub(crate) defaults_close: bool,
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
        SessionBuilder::new(options)
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
        // Callers hold it too: one that panics leaves a jar that is whole, cookie by cookie.
        self.jar.lock().unwrap_or_else(PoisonError::into_inner)
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
