//! How a request gets a connection for one hop: the proxy on the way, a place in the pool, the wait for one, a new
//! connection and what is spoken on it. Refuses kept connections that are not fit for what cannot be sent twice.

use std::borrow::Cow;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use gannet_core::timeout::Timeouts;
use gannet_core::{ErrorKind, Phase};
use tokio::time::Instant;
use url::{Position, Url};

use super::{Sending, within};
use crate::alarm::later;
use crate::connect::Wanted;
use crate::error::{Error, Result};
use crate::http2::Muxed;
use crate::options::HttpVersion;
use crate::pool::{Checkout, Conn, Lease, Waiting};
use crate::proxy::{OwnProxy, ProxyServer};
use crate::session::Inner;
use crate::trace::{Event, Steps, Tracer};

impl Sending<'_> {
    /// The proxy of the hop that is about to be made: a redirect chooses anew.
    pub(super) fn route(&self) -> Option<Arc<ProxyServer>> {
        match (&self.request.own.proxy, &self.session.proxies) {
            (None, None) | (Some(OwnProxy::Direct), _) => None,
            (Some(OwnProxy::Through(server)), _) => Some(server.clone()),
            (None, Some(rules)) => rules.choose(&self.request.url).cloned(),
        }
    }

    /// The proxy that this hop's request is sent to itself, in absolute form.
    pub(super) fn forwarder(&self) -> Option<&ProxyServer> {
        let (is_https, version) = (self.request.url.scheme() == "https", self.session.options.http.version);
        self.via.as_deref().filter(|proxy| proxy.is_forwarding(is_https, version))
    }

    /// A connection, reused or new. Waiting for one and opening one are boxed: they are large and rare, and every request
    /// in flight would carry their room.
    pub(super) async fn lease(&mut self, again: bool, fresh_only: bool) -> Result<Lease> {
        // Since when it waits for room, all its waits together.
        let mut since = None;
        let mut lease = match self.checkout()? {
            Ok(lease) => lease,
            Err(waiting) => {
                let since = *since.insert(Instant::now());
                Box::pin(self.turn(waiting, since, None)).await?
            }
        };
        loop {
            if is_fit(&mut lease, again, fresh_only).await {
                return Ok(lease);
            }
            let error = match Box::pin(self.connect()).await {
                Ok(Spoken::Http1(conn)) => {
                    lease.fill(conn);
                    return Ok(lease);
                }
                Ok(Spoken::Http2(muxed)) => {
                    lease.share(muxed);
                    return Ok(lease);
                }
                Err(error) => error,
            };
            // Others of its host may be on a connection that will have room.
            match lease.connect_failed() {
                Some(waiting) if may_wait_after(error.kind()) => {
                    let since = *since.get_or_insert_with(Instant::now);
                    lease = Box::pin(self.turn(waiting, since, Some(error))).await?;
                }
                _ => return Err(error),
            }
        }
    }

    fn checkout(&self) -> Result<Result<Lease, Waiting>> {
        let origin = &self.request.url[..Position::AfterPort];
        // Without userinfo the origin stands in the URL as it is.
        let mut name = match self.via.as_deref() {
            None => Cow::Borrowed(origin),
            Some(proxy) => Cow::Owned(proxy.pool_name(origin, self.forwarder().is_some())),
        };
        let mut shares = self.session.may_share(&self.request.url);
        if shares && self.is_upgrade() {
            // Those of the origin itself may be of HTTP/2.
            name.to_mut().push_str(" upgrade");
            shares = false;
        }
        match self.session.pool.checkout(&name, shares) {
            Checkout::Now(lease) => Ok(Ok(lease)),
            Checkout::Wait(waiting) => Ok(Err(waiting)),
            Checkout::Closed => Err(Error::closed()),
        }
    }

    /// Waits in line. Who waits in vain is told the error that came before.
    async fn turn(&mut self, waiting: Waiting, since: Instant, after: Option<Error>) -> Result<Lease> {
        let until = self.timeouts.pool.map(|limit| (later(since, limit), limit, ErrorKind::TimeoutPool));
        let lease = self.wait(waiting, until).await;
        lease.map_err(|error| match after {
            Some(after) => error.with_source(after),
            None => error,
        })
    }

    async fn wait(&mut self, mut waiting: Waiting, until: Option<(Instant, Duration, ErrorKind)>) -> Result<Lease> {
        let pool = &self.session.pool;
        loop {
            self.tell(&Event::QueueStart);
            let since = Instant::now();
            let turn = pin!(async { Ok(waiting.turn().await) });
            let lease = within(self.total, until, Phase::Pool, turn).await?;
            self.marks.queued += since.elapsed();
            self.tell(&Event::QueueEnd { waited: self.marks.queued });
            match lease {
                Some(mut lease) => {
                    // It comes from another request at once: what came on it in between is nobody's answer.
                    if lease.conn().is_some_and(|conn| !conn.stream.is_quiet()) {
                        lease.discard();
                    }
                    return Ok(lease);
                }
                // Turned away as all who wait are when the session is closed, but it began before.
                None if self.held.is_some() && pool.closing.is_held() => {}
                None => return Err(Error::closed()),
            }
            match self.checkout()? {
                Ok(lease) => return Ok(lease),
                Err(next) => waiting = next,
            }
        }
    }

    async fn connect(&mut self) -> Result<Spoken> {
        let (url, pool, via, http1) = (&self.request.url, &self.session.pool, self.via.as_deref(), self.is_upgrade());
        let connect = pin!(async {
            tokio::select! {
                biased;
                () = pool.closing.cut_off() => Err(Error::closed()),
                opened = async {
                    let wanted = Wanted { url, via, http1 };
                    let conn = self.session.open(wanted, &self.timeouts, self.tracer.clone()).await?;
                    if http1 { Ok(Spoken::Http1(conn)) } else { self.session.speak(conn, url).await }
                } => opened,
            }
        });
        within(self.total, None, Phase::Connect, connect).await
    }

    /// What is known of the connection; whether it was used before.
    pub(super) fn mark_lease(&mut self, lease: &mut Lease) -> bool {
        let Some((served, opened)) = lease.count_request() else { return false };
        self.marks.reused = served > 0;
        if let (Some(tracer), true) = (&self.tracer, served > 0) {
            tracer.tell(&Event::Reused { peer: opened.peer, served });
        }
        self.marks.opened = Some(opened.clone());
        self.marks.reused
    }
}

impl Inner {
    /// A new connection. `limits` are the times for it.
    async fn open(&self, wanted: Wanted<'_>, limits: &Timeouts, tracer: Option<Arc<Tracer>>) -> Result<Conn> {
        let mut steps = Steps::new(tracer);
        match self.connector.connect(wanted, limits, &mut steps).await {
            // Descriptors may be held by idle connections of our own.
            Err(error) if error.kind() == ErrorKind::Resources && self.pool.evict_idle() > 0 => {
                self.connector.connect(wanted, limits, &mut steps).await
            }
            result => result,
        }
    }

    /// Whether a connection to this URL's origin may turn out to be one that many requests share.
    fn may_share(&self, url: &Url) -> bool {
        match self.options.http.version {
            HttpVersion::Auto => url.scheme() == "https",
            HttpVersion::Http1 => false,
            HttpVersion::Http2PriorKnowledge => true,
        }
    }

    async fn speak(&self, conn: Conn, url: &Url) -> Result<Spoken> {
        let unasked = self.options.http.version == HttpVersion::Http2PriorKnowledge;
        match self.may_share(url) && (unasked || conn.stream.speaks_http2()) {
            true => Ok(Spoken::Http2(Muxed::open(conn, url, &self.options).await?)),
            false => Ok(Spoken::Http1(conn)),
        }
    }
}

/// Whether the request can be sent on what the lease holds; if not, it is the right to open a connection.
async fn is_fit(lease: &mut Lease, again: bool, fresh_only: bool) -> bool {
    if let Some(muxed) = lease.muxed() {
        if !again && muxed.streams() == 0 {
            // As below: what the server said meanwhile is heard first. The first turn wakes the connection's task,
            // in the second it has run.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        }
        return true;
    }
    let Some(conn) = lease.conn() else { return false };
    // What cannot be sent twice must not meet a connection that the server has closed already.
    if !fresh_only && (again || conn.stream.is_quiet_now()) {
        return true;
    }
    lease.discard();
    false
}

/// Whether room on another connection helps where one could not be opened.
fn may_wait_after(error: ErrorKind) -> bool {
    use ErrorKind::{Connect, Dns, Proxy, Resources, TimeoutConnect, Tls};
    matches!(error, Dns | Connect | Tls | Proxy | Resources | TimeoutConnect)
}

/// A connection, by what is spoken on it.
enum Spoken {
    Http1(Conn),
    Http2(Arc<Muxed>),
}
