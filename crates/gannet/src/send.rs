//! One request from start to the response's head: connection, exchange, cookies, redirects. Repeats by itself
//! only what was surely not processed: a request that a stale pooled connection swallowed, or that the server says it
//! did not look at. Everything else is the caller's to repeat.

use std::borrow::Cow;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gannet_core::auth::basic;
use gannet_core::h1::{
    self, BodyFraming, HeadLimits, RequestBody, RequestHead, RequestKind, ResponseHead, ResponseReader, Version,
};
use gannet_core::redirect::{self, BodyReplay, Decision, Hop, Next, RedirectPolicy};
use gannet_core::timeout::Timeouts;
use gannet_core::{ErrorKind, Headers, Phase};
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use tokio::time::{Instant, timeout_at};
use url::{Position, Url};

use crate::alarm::later;
use crate::auth::Signing;
use crate::body::Body;
use crate::buffer;
use crate::connect::Wanted;
use crate::cookies;
use crate::error::{Error, Result};
use crate::exchange::{Asked, Clock, Exchange, Failed, Http1, Http2, Watch};
use crate::http2::{self, Muxed};
use crate::options::HttpVersion;
use crate::pool::{Between, Checkout, Conn, Lease, Waiting};
use crate::proxy::{self, OwnProxy, ProxyServer};
use crate::request::{Request, append};
use crate::response::{Redirected, Response, ResponseBody};
use crate::session::{ACCEPT_ENCODING, Inner};
use crate::timings::Marks;
use crate::trace::{self, Event, RetryReason, ShownHeaders, ShownUrl, Steps, Tracer};
use crate::upgrade;
use crate::upload::Upload;

/// A redirect's own body is read to its end up to this size, so that its connection can be used again.
const DRAIN: u64 = 64 << 10;
/// And for so long: a new connection is cheaper than a body that does not come.
const DRAIN_PATIENCE: Duration = Duration::from_millis(100);
/// How often a request is sent again that the server did not look at.
const MOST_REFUSALS: u32 = 3;
/// What a body may bring along with its head.
const MOST_AT_HAND: usize = 64 << 10;

/// `total` is the end of it all, where it has begun before.
pub(crate) async fn send_alone(
    session: &Arc<Inner>,
    request: Request,
    total: Option<(Instant, Duration)>,
) -> Result<Response> {
    let started = Instant::now();
    let pool = &session.pool;
    if pool.closing.is_closed() {
        return Err(Error::closed().with_url(&request.url).with_elapsed(Duration::ZERO));
    }
    let timeouts = request.own.timeouts.as_deref().unwrap_or(&session.options.timeouts).clone();
    let total = total.or_else(|| timeouts.total.map(|limit| (later(started, limit), limit)));
    let signing = Signing::of(&session.keys, &request, &session.defaults);
    let watched = !session.traces.is_empty() || request.own.hooks.is_some();
    let tracer = if watched { trace::begin(&session.traces, &request) } else { None };
    let mut sending = Sending {
        session,
        timeouts,
        total,
        defaults_merged: false,
        via: None,
        history: Vec::new(),
        signing,
        started,
        marks: Marks::default(),
        tracer,
        held: None,
        request,
    };
    match sending.follow().await {
        Ok((head, body)) => Ok(sending.into_response(head, body)),
        Err(error) => {
            let error = error.with_url(&sending.request.url).with_elapsed(started.elapsed());
            sending.tell(&Event::Error { error: &error });
            Err(error)
        }
    }
}

struct Sending<'a> {
    session: &'a Arc<Inner>,
    request: Request,
    timeouts: Timeouts,
    total: Option<(Instant, Duration)>,
    /// The session's defaults stand in the request's own fields already: from the first redirect on, so that what
    /// is dropped stays dropped.
    defaults_merged: bool,
    /// The proxy of this hop.
    via: Option<Arc<ProxyServer>>,
    history: Vec<Redirected>,
    /// Credentials beyond the fields that are there already; most requests have none.
    signing: Option<Box<Signing>>,
    started: Instant,
    /// Of the exchange that is prepared.
    marks: Marks,
    tracer: Option<Arc<Tracer>>,
    /// Between two connections: a session that is closed meanwhile lets it go on.
    held: Option<Between<'a>>,
}

impl Sending<'_> {
    async fn follow(&mut self) -> Result<(ResponseHead, ResponseBody)> {
        loop {
            let (head, mut body) = self.hop().await?;
            self.session.store_cookies(&self.request.url, &head.headers);
            let is_challenged = self.is_to_be_signed(&head)?;
            // Most responses are neither, and cost no decision.
            if !is_challenged && !head.status.is_redirection() {
                return Ok((head, body));
            }
            let next = match self.decide(&head) {
                _ if is_challenged => None,
                Decision::Deliver => return Ok((head, body)),
                Decision::Follow(next) if self.is_allowed(&next, head.status)? => Some(next),
                Decision::Follow(_) => return Ok((head, body)),
                Decision::Fail(error) => {
                    return Err(Error::new(error.kind(), Phase::Redirect, error.to_string()));
                }
            };
            self.held = Some(self.session.pool.closing.hold());
            if head.persists {
                // An error or the end of the patience closes the connection; what follows is sent all the same.
                let _ = timeout_at(later(Instant::now(), DRAIN_PATIENCE), body.drain(DRAIN)).await;
            }
            drop(body);
            let Some(next) = next else {
                self.marks.before = self.started.elapsed();
                self.tell(&Event::Retry { reason: RetryReason::Challenge });
                continue;
            };
            if !self.defaults_merged {
                let mut headers = std::mem::take(&mut self.request.headers);
                let is_signed = !headers.contains("authorization") && self.replaces_default();
                self.add_defaults(&mut headers)?;
                if is_signed {
                    headers.remove("authorization");
                }
                self.request.headers = headers;
                self.defaults_merged = true;
            }
            let request = &mut self.request;
            redirect::strip_for(&mut request.headers, next.cross_origin, next.drop_body);
            if next.drop_body {
                request.body = Body::empty();
            }
            if let Some(signing) = &mut self.signing {
                signing.on_redirect(next.cross_origin);
            }
            request.method = next.method;
            let url = std::mem::replace(&mut request.url, next.url);
            self.marks.before = self.started.elapsed();
            let (from, to) = (ShownUrl(&url), ShownUrl(&self.request.url));
            self.tell(&Event::Redirect { status: head.status, from, to, method: &self.request.method });
            self.history.push(Redirected { url, status: head.status, headers: head.headers });
        }
    }

    fn decide(&self, head: &ResponseHead) -> Decision {
        let request = &self.request;
        let policy: &RedirectPolicy = request.own.redirects.as_ref().unwrap_or(&self.session.options.redirects);
        let body = match &request.body {
            body if body.is_empty() => BodyReplay::None,
            body if body.is_replayable() || body.is_unspent() => BodyReplay::Replayable,
            _ => BodyReplay::Consumed,
        };
        let hop = Hop {
            method: &request.method,
            url: &request.url,
            status: head.status.as_u16(),
            location: head.headers.get_bytes("location"),
            hops_so_far: self.history.len() as u32,
            body,
        };
        redirect::decide(policy, &hop)
    }

    /// What the caller's own policy says of a redirect that the options let through.
    fn is_allowed(&self, next: &Next, status: StatusCode) -> Result<bool> {
        let own = self.request.own.hooks.as_ref().and_then(|hooks| hooks.redirect.as_ref());
        match own.or(self.session.redirect_rule.as_ref()) {
            None => Ok(true),
            Some(rule) => rule.follows(next, status, &self.request.url, &self.history),
        }
    }

    /// One request on the wire and its answer's head.
    async fn hop(&mut self) -> Result<(ResponseHead, ResponseBody)> {
        self.take_userinfo()?;
        self.via = self.route();
        if let Some(signing) = &mut self.signing {
            signing.before_hop(&self.session.keys, &self.request, &self.session.defaults)?;
        }
        if self.session.options.http.version == HttpVersion::Http2PriorKnowledge && self.is_upgrade() {
            return Err(Error::request("an upgrade is for HTTP/1.1, and http.version allows HTTP/2 only"));
        }
        if !self.request.body.is_available() {
            return Err(Error::request("the request's streamed body was sent already and cannot be sent again"));
        }
        let again = self.request.body.is_replayable() && self.request.is_repeatable();
        let mut fresh_only = false;
        let mut refusals = 0;
        loop {
            let mut lease = self.lease(again, fresh_only).await?;
            self.held = None;
            let reused = self.mark_lease(&mut lease);
            let failed = match self.start(lease) {
                Ok(mut exchange) => match poll_fn(|cx| exchange.poll_head(cx)).await {
                    Ok(head) => match self.on_head(&head, exchange, reused && !fresh_only)? {
                        Ok(body) => return Ok((head, body)),
                        Err(Again::WithoutExpect) => continue,
                        Err(Again::Elsewhere) => None,
                    },
                    Err(failed) => Some(failed),
                },
                Err(failed) => Some(failed),
            };
            let reason = match failed {
                None => {
                    fresh_only = true;
                    RetryReason::Misdirected
                }
                // RFC 9112 §9.3.1: the server closed a kept connection while our request was on its way.
                // Once is bad luck; the second try goes on a connection that nobody has used.
                Some(Failed { unanswered: true, .. }) if reused && again && !fresh_only => {
                    fresh_only = true;
                    RetryReason::StaleConnection
                }
                // RFC 9113 §8.7. No attempt: the server has not looked at it, whatever the method.
                Some(Failed { error, .. }) if self.may_resend(&error, refusals) => {
                    refusals += 1;
                    RetryReason::Unprocessed
                }
                Some(failed) => return Err(failed.error),
            };
            self.marks.before = self.started.elapsed();
            self.held = Some(self.session.pool.closing.hold());
            self.tell(&Event::Retry { reason });
        }
    }

    /// The body behind a head, or why the request is sent again. `may_go_elsewhere`: the connection is a kept one, and
    /// another was not tried.
    fn on_head(
        &mut self,
        head: &ResponseHead,
        mut exchange: Exchange,
        may_go_elsewhere: bool,
    ) -> Result<Result<ResponseBody, Again>> {
        let (status, version, reason) = (head.status, head.version, head.reason.as_deref());
        self.tell(&Event::HeadReceived { status, reason, version, headers: ShownHeaders(&head.headers) });
        if status == StatusCode::SWITCHING_PROTOCOLS {
            upgrade::check(&self.request.headers, head)?;
            return Ok(Ok(ResponseBody::switched(exchange)));
        }
        let unspent = exchange.reclaim(&mut self.request.body.kind);
        if self.repeats_without_expect(status, unspent) {
            return Ok(Err(Again::WithoutExpect));
        }
        let has_body = unspent || self.request.body.is_replayable();
        if status == StatusCode::MISDIRECTED_REQUEST && may_go_elsewhere && has_body {
            exchange.abandon();
            return Ok(Err(Again::Elsewhere));
        }
        Ok(Ok(self.body(head, exchange)))
    }

    /// Whether it asks for another protocol: on HTTP/1.1 alone, and a 101 is its answer.
    fn is_upgrade(&self) -> bool {
        self.request.headers.contains("upgrade")
    }

    fn may_resend(&self, error: &Error, refusals: u32) -> bool {
        error.is_unprocessed() && self.request.body.is_available() && refusals < MOST_REFUSALS
    }

    /// The proxy of the hop that is about to be made: a redirect chooses anew.
    fn route(&self) -> Option<Arc<ProxyServer>> {
        match (&self.request.own.proxy, &self.session.proxies) {
            (None, None) | (Some(OwnProxy::Direct), _) => None,
            (Some(OwnProxy::Through(server)), _) => Some(server.clone()),
            (None, Some(rules)) => rules.choose(&self.request.url).cloned(),
        }
    }

    /// The proxy that this hop's request is sent to itself, in absolute form.
    fn forwarder(&self) -> Option<&ProxyServer> {
        let (is_https, version) = (self.request.url.scheme() == "https", self.session.options.http.version);
        self.via.as_deref().filter(|proxy| proxy.is_forwarding(is_https, version))
    }

    /// A connection, reused or new.
    async fn lease(&mut self, again: bool, fresh_only: bool) -> Result<Lease> {
        let mut lease = match self.checkout()? {
            Ok(lease) => lease,
            Err(waiting) => self.turn(waiting, None).await?,
        };
        loop {
            if is_fit(&mut lease, again, fresh_only).await {
                return Ok(lease);
            }
            let error = match self.connect().await {
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
                Some(waiting) if may_wait_after(error.kind()) => lease = self.turn(waiting, Some(error)).await?,
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
    async fn turn(&mut self, mut waiting: Waiting, mut after: Option<Error>) -> Result<Lease> {
        let pool = &self.session.pool;
        loop {
            self.tell(&Event::QueueStart);
            let since = Instant::now();
            let turn = Box::pin(async { Ok(waiting.turn().await) });
            let lease = within(self.total, self.timeouts.pool, ErrorKind::TimeoutPool, Phase::Pool, turn).await;
            let lease = match (lease, after.take()) {
                (Ok(lease), _) => lease,
                (Err(timeout), Some(after)) => return Err(timeout.with_source(after)),
                (Err(timeout), None) => return Err(timeout),
            };
            self.marks.queued += since.elapsed();
            self.tell(&Event::QueueEnd { waited: self.marks.queued });
            match lease {
                Some(lease) => return Ok(lease),
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
        // Boxed: it is large and rare, and every request in flight would carry its room.
        let connect = Box::pin(async {
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
        within(self.total, None, ErrorKind::TimeoutConnect, Phase::Connect, connect).await
    }

    /// What is known of the connection; whether it was used before.
    fn mark_lease(&mut self, lease: &mut Lease) -> bool {
        let Some((served, opened)) = lease.count_request() else { return false };
        self.marks.reused = served > 0;
        if let (Some(tracer), true) = (&self.tracer, served > 0) {
            tracer.tell(&Event::Reused { peer: opened.peer, served });
        }
        self.marks.opened = Some(opened.clone());
        self.marks.reused
    }

    fn start(&mut self, lease: Lease) -> Result<Exchange, Failed> {
        let limits = HeadLimits { max_bytes: self.session.options.response.max_head, ..HeadLimits::default() };
        let clock = Clock { read: self.timeouts.read, total: self.total, moved: Instant::now() };
        if let Some(muxed) = lease.muxed() {
            let head = self.http2_head(muxed)?;
            let held = self.held(self.framing(), clock.moved);
            let meters = self.request.own.transfer.as_deref().and_then(|own| own.meters(self.request.body.length()));
            let watch = Watch::new(self.take_marks(), self.tracer.clone(), meters);
            let asked = Asked { head, body: &mut self.request.body, held };
            return Http2::start(lease, asked, limits, clock, watch)
                .map(|exchange| Exchange::Http2(Box::new(exchange)));
        }
        let kind = RequestKind { head: self.request.method == Method::HEAD, upgrade: self.is_upgrade() };
        let mut out = buffer::take_write();
        let framing = self.framing();
        self.write_head(&mut out, framing)?;
        let held = self.held(framing, clock.moved);
        let meters = self.request.own.transfer.as_deref().and_then(|own| own.meters(self.request.body.length()));
        let upload = Upload::new(out, &mut self.request.body.kind, framing == RequestBody::Chunked, held);
        let watch = Watch::new(self.take_marks(), self.tracer.clone(), meters);
        let reader = ResponseReader::new(kind, limits);
        Ok(Exchange::Http1(Http1::new(lease, upload, reader, clock, watch)))
    }

    /// How long the body waits for the server to ask for it, where that was wanted.
    fn held(&self, framing: RequestBody, now: Instant) -> Option<Instant> {
        let wait = self.request.own.transfer.as_ref()?.expect?;
        let has_body = matches!(framing, RequestBody::Length(1..) | RequestBody::Chunked);
        (has_body && self.request.headers.contains("expect")).then(|| later(now, wait))
    }

    /// Whether to send the request again without Expect: the server cannot do that (RFC 9110 §15.5.18), and what was
    /// held back or can be sent again is still there.
    fn repeats_without_expect(&mut self, status: StatusCode, unspent: bool) -> bool {
        let request = &mut self.request;
        status == StatusCode::EXPECTATION_FAILED
            && request.own.transfer.as_ref().is_some_and(|own| own.expect.is_some())
            && (unspent || request.body.is_replayable())
            && request.headers.remove("expect")
    }

    fn take_marks(&mut self) -> Marks {
        let before = self.marks.before;
        std::mem::replace(&mut self.marks, Marks { before, ..Marks::default() })
    }

    fn tell(&self, event: &Event<'_>) {
        if let Some(tracer) = &self.tracer {
            tracer.tell(event);
        }
    }

    fn framing(&self) -> RequestBody {
        let request = &self.request;
        match request.body.length() {
            Some(0) if request.body.is_empty() => match request.method {
                Method::POST | Method::PUT | Method::PATCH => RequestBody::Empty,
                _ => RequestBody::None,
            },
            Some(length) => RequestBody::Length(length),
            None => RequestBody::Chunked,
        }
    }

    fn write_head(&self, out: &mut Vec<u8>, body: RequestBody) -> Result<()> {
        let url = &self.request.url;
        let (headers, block) = self.fields()?;
        let path = if self.forwarder().is_some() { &url[..Position::AfterPath] } else { url.path() };
        h1::write_head(
            out,
            &RequestHead {
                method: self.request.method.as_str(),
                target: (path, url.query()),
                host: (url.host_str().unwrap_or_default(), url.port()),
                headers: &headers,
                block,
                body,
            },
        );
        if self.tracer.is_some() {
            let defaults = (!block.is_empty()).then_some(&self.session.defaults);
            self.tell_head(Version::Http11, &trace::http1_fields(url, &headers, defaults, body)?);
        }
        Ok(())
    }

    #[cold]
    fn tell_head(&self, version: Version, headers: &Headers) {
        let (method, url, headers) = (&self.request.method, ShownUrl(&self.request.url), ShownHeaders(headers));
        self.tell(&Event::Sending { version, method, url, whole: self.forwarder().is_some(), headers });
    }

    fn http2_head(&self, muxed: &Muxed) -> Result<http::Request<()>> {
        let (headers, block) = self.fields()?;
        let mut all = if block.is_empty() { http::HeaderMap::new() } else { self.session.http2_defaults()?.clone() };
        http2::request_fields(&mut all, &headers)?;
        match self.framing() {
            RequestBody::None | RequestBody::Chunked => {}
            RequestBody::Empty => drop(all.insert(CONTENT_LENGTH, HeaderValue::from_static("0"))),
            RequestBody::Length(length) => drop(all.insert(CONTENT_LENGTH, HeaderValue::from(length))),
        }
        let mut head = http::Request::new(());
        *head.method_mut() = self.request.method.clone();
        *head.uri_mut() =
            http2::uri(&self.request.url, muxed.is_https(), muxed.authority(), headers.get_bytes("host"))?;
        *head.version_mut() = http::Version::HTTP_2;
        *head.headers_mut() = all;
        if self.tracer.is_some() {
            self.tell_head(Version::Http2, &trace::http2_fields(&head)?);
        }
        Ok(head)
    }

    /// The fields to send. In the usual case nothing is copied: the request's own fields, and the session's
    /// defaults as a block that was written once.
    fn fields(&self) -> Result<(Cow<'_, Headers>, &[u8])> {
        let own = &self.request.headers;
        let decode = self.request.own.decode.unwrap_or(self.session.options.decode.enabled);
        let defaults = &self.session.defaults;
        // A Cookie field written by the caller, for the request or the session, is sent in place of the jar's.
        let written = own.contains("cookie") || (!self.defaults_merged && defaults.contains("cookie"));
        let join = self.session.options.cookies.join;
        let cookie = if written && !join { None } else { self.session.cookies_for(&self.request.url) };
        let overrides = !own.is_empty() && defaults.iter().any(|(name, _)| own.contains(name));
        let overrides = overrides || !self.left_out().is_empty() || self.concerns_proxies();
        let signed = self.signing.as_ref().and_then(|signing| signing.field());
        if cookie.is_none()
            && signed.is_none()
            && !overrides
            && !self.defaults_merged
            && decode == self.session.options.decode.enabled
        {
            return Ok((Cow::Borrowed(own), &self.session.default_block));
        }
        let mut all = own.clone();
        if let Some(cookie) = cookie {
            let written = if own.contains("cookie") || self.defaults_merged { own } else { defaults };
            let cookie = if join { cookies::joined(written, &cookie) } else { cookie };
            all.remove("cookie");
            append(&mut all, "cookie", cookie.as_bytes(), true)?;
        }
        if let Some(signed) = signed {
            append(&mut all, "authorization", signed.as_bytes(), true)?;
        }
        if !self.defaults_merged {
            self.add_defaults(&mut all)?;
        }
        self.settle_proxy_fields(&mut all)?;
        Ok((Cow::Owned(all), &[]))
    }

    /// Whether proxies have a say in the fields: one is sent the request itself, or credentials for one stand among
    /// them.
    fn concerns_proxies(&self) -> bool {
        let named = |headers: &Headers| headers.contains(proxy::AUTHORIZATION);
        self.has_proxies()
            && (self.forwarder().is_some() || named(&self.request.headers) || named(&self.session.defaults))
    }

    fn has_proxies(&self) -> bool {
        self.session.proxies.is_some() || self.request.own.proxy.is_some()
    }

    /// What is meant for a proxy goes to that proxy alone: with proxies in play, a Proxy-Authorization that stands in
    /// the request goes nowhere.
    fn settle_proxy_fields(&self, all: &mut Headers) -> Result<()> {
        if self.has_proxies() {
            all.remove(proxy::AUTHORIZATION);
        }
        let Some(proxy) = self.forwarder() else { return Ok(()) };
        for (name, _) in proxy.fields().iter() {
            all.remove(name);
        }
        proxy.fields().iter_marked().try_for_each(|(name, value, secret)| append(all, name, value, secret))
    }

    /// The names of fields that the session does not add to this request.
    fn left_out(&self) -> &[String] {
        self.request.own.hooks.as_ref().map_or(&[], |hooks| &hooks.without)
    }

    /// Puts the session's defaults beneath the request's own fields. Codings are offered if they will be decoded.
    fn add_defaults(&self, headers: &mut Headers) -> Result<()> {
        let own_codings = headers.contains("accept-encoding");
        let without = self.left_out();
        let is_in = |names: &[String], name: &str| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        if without.is_empty() {
            headers.extend_missing(&self.session.defaults);
        } else {
            let mut defaults = self.session.defaults.clone();
            defaults.retain(|name, _| !is_in(without, name));
            headers.extend_missing(&defaults);
        }
        if !own_codings
            && (is_in(without, "accept-encoding") || is_in(&self.session.options.without_headers, "accept-encoding"))
        {
            return Ok(());
        }
        let decode = self.request.own.decode.unwrap_or(self.session.options.decode.enabled);
        match (own_codings, decode) {
            (false, true) if !headers.contains("accept-encoding") => {
                append(headers, "accept-encoding", ACCEPT_ENCODING.as_bytes(), false)
            }
            (false, false) => {
                headers.remove("accept-encoding");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn body(&self, head: &ResponseHead, mut exchange: Exchange) -> ResponseBody {
        let decode = self.request.own.decode.unwrap_or(self.session.options.decode.enabled);
        let options = &self.session.options;
        let limits = options.decode.limits(self.request.own.max_body.or(options.response.max_body));
        let codings = if decode { Some(&head.headers) } else { None };
        if !head.status.is_redirection() {
            exchange.expect_body(head.framing.length());
        }
        let mut prefetched = Vec::new();
        let may_be_whole = match head.framing {
            BodyFraming::Length(length) => length <= exchange.at_hand() as u64,
            BodyFraming::None | BodyFraming::Chunked => true,
            BodyFraming::UntilClose => false,
        };
        if may_be_whole {
            while prefetched.len() < MOST_AT_HAND
                && let Some(piece) = exchange.data_at_hand()
            {
                prefetched.extend_from_slice(exchange.data(piece));
            }
        }
        ResponseBody::new(prefetched, exchange, head.framing, codings, limits)
    }

    /// Credentials in the URL become a header, and are asked for by nobody who reads the URL later.
    fn take_userinfo(&mut self) -> Result<()> {
        let url = &mut self.request.url;
        if url.username().is_empty() && url.password().is_none() {
            return Ok(());
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (user, password) = (decoded(url.username()), url.password().map(decoded));
        let _ = url.set_username("");
        let _ = url.set_password(None);
        if self.request.headers.contains("authorization") {
            return Ok(());
        }
        if let Some(signing) = &mut self.signing {
            signing.on_userinfo(&self.session.keys, &self.request, user, password);
            return Ok(());
        }
        let value = basic(&user, &password.unwrap_or_default());
        append(&mut self.request.headers, "authorization", value.as_bytes(), true)
    }

    /// Whether the server asks who sends this, and is to be told.
    fn is_to_be_signed(&mut self, head: &ResponseHead) -> Result<bool> {
        match &mut self.signing {
            Some(signing) => {
                signing.on_response(&self.session.keys, &self.request, head.status.as_u16(), &head.headers)
            }
            None => Ok(false),
        }
    }

    fn replaces_default(&self) -> bool {
        self.signing.as_ref().is_some_and(|signing| signing.replaces_default())
    }

    fn into_response(self, head: ResponseHead, mut body: ResponseBody) -> Response {
        let head_after = self.started.elapsed();
        if let Some(tracer) = self.tracer {
            body.watched(tracer, self.started, head_after);
        }
        Response {
            method: self.request.method,
            status: head.status,
            version: head.version,
            reason: head.reason,
            headers: head.headers,
            url: self.request.url,
            history: self.history,
            body,
            started: self.started,
            head_after,
        }
    }
}

/// How a request is sent again though it was answered.
enum Again {
    WithoutExpect,
    /// On another connection (RFC 9110 §15.5.20).
    Elsewhere,
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

/// Bounds a wait by a timeout of its own and by `total`.
pub(crate) async fn within<T>(
    total: Option<(Instant, Duration)>,
    own: Option<Duration>,
    kind: ErrorKind,
    phase: Phase,
    wait: impl Future<Output = Result<T>>,
) -> Result<T> {
    let own = own.map(|limit| (later(Instant::now(), limit), limit));
    let (at, limit, kind) = match (own, total) {
        (Some((at, limit)), Some((total, _))) if at <= total => (at, limit, kind),
        (_, Some((at, limit))) => (at, limit, ErrorKind::TimeoutTotal),
        (Some((at, limit)), None) => (at, limit, kind),
        (None, None) => return wait.await,
    };
    match timeout_at(at, wait).await {
        Ok(result) => result,
        Err(_) => Err(Error::timeout(kind, phase, limit)),
    }
}

/// A connection, by what is spoken on it.
enum Spoken {
    Http1(Conn),
    Http2(Arc<Muxed>),
}

impl From<Error> for Failed {
    /// Of a request that never came so far as to be sent.
    fn from(error: Error) -> Self {
        Failed { error, unanswered: false }
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
        let is_http2 = match self.options.http.version {
            HttpVersion::Auto => url.scheme() == "https" && conn.stream.speaks_http2(),
            HttpVersion::Http1 => false,
            HttpVersion::Http2PriorKnowledge => true,
        };
        match is_http2 {
            true => Ok(Spoken::Http2(Muxed::open(conn, url, &self.options).await?)),
            false => Ok(Spoken::Http1(conn)),
        }
    }

    /// The defaults as HTTP/2 carries them, made at the first request that needs them.
    fn http2_defaults(&self) -> Result<&http::HeaderMap> {
        if self.http2_defaults.get().is_none() {
            let mut all = http::HeaderMap::new();
            http2::request_fields(&mut all, &self.defaults)?;
            let _ = self.http2_defaults.set(all);
        }
        self.http2_defaults.get().ok_or_else(Error::closed)
    }

    fn store_cookies(&self, url: &Url, headers: &Headers) {
        if self.options.cookies.enabled && headers.contains("set-cookie") {
            let now = SystemTime::now();
            self.jar().store_all(url, headers.get_all("set-cookie"), now);
        }
    }

    fn cookies_for(&self, url: &Url) -> Option<String> {
        if !self.options.cookies.enabled {
            return None;
        }
        let mut jar = self.jar();
        if jar.is_empty() { None } else { jar.header_for(url, SystemTime::now()) }
    }
}
