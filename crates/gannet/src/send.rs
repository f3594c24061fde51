//! One request from start to the response's head: connection, exchange, cookies, redirects. Repeats by itself
//! only what was surely not processed: a request that a stale pooled connection swallowed, or that the server says it
//! did not look at. Everything else is the caller's to repeat.

mod follow;
mod head;
mod reach;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use gannet_core::h1::{BodyFraming, HeadLimits, RequestBody, RequestKind, ResponseHead, ResponseReader};
use gannet_core::timeout::Timeouts;
use gannet_core::{ErrorKind, Phase};
use http::{Method, StatusCode};
use tokio::time::{Instant, timeout_at};

pub(crate) use self::head::says_close;
use crate::alarm::later;
use crate::auth::Signing;
use crate::buffer;
use crate::error::{Error, Result};
use crate::exchange::{Asked, Clock, Exchange, Failed, Http1, Http2, Watch};
use crate::options::HttpVersion;
use crate::pool::{Between, Lease};
use crate::proxy::ProxyServer;
use crate::request::Request;
use crate::response::{Redirected, Response, ResponseBody};
use crate::session::Inner;
use crate::timings::Marks;
use crate::trace::{self, Event, RetryReason, ShownHeaders, Tracer};
use crate::upgrade;
use crate::upload::Upload;

/// How often a request is sent again that the server did not look at.
const MOST_REFUSALS: u32 = 3;
/// What a body may bring along with its head.
const MOST_AT_HAND: usize = 64 << 10;

/// `total` is the end of it all, where it has begun before. No async function: that would keep room for the request
/// twice, as what it was given and as what is sent.
pub(crate) fn send_alone(
    session: &Arc<Inner>,
    request: Request,
    total: Option<(Instant, Duration)>,
) -> impl Future<Output = Result<Response>> + Send + '_ {
    let started = Instant::now();
    let timeouts = request.own.timeouts.as_deref().unwrap_or(&session.options.timeouts).clone();
    let total = total.or_else(|| timeouts.total.map(|limit| (later(started, limit), limit)));
    let is_closed = session.pool.closing.is_closed();
    let watched = !is_closed && (!session.traces.is_empty() || request.own.hooks.is_some());
    let mut sending = Sending {
        session,
        timeouts,
        total,
        defaults_merged: false,
        via: None,
        history: Vec::new(),
        signing: Signing::of(&session.keys, &request, &session.defaults),
        started,
        marks: Marks::default(),
        tracer: if watched { trace::begin(&session.traces, &request) } else { None },
        held: None,
        request,
    };
    async move {
        let sent = if is_closed { Err(Error::closed()) } else { sending.follow().await };
        match sent {
            Ok((head, body)) => Ok(sending.into_response(head, body)),
            Err(error) => {
                let error = error.with_url(&sending.request.url).with_elapsed(started.elapsed());
                sending.tell(&Event::Error { error: &error });
                Err(error)
            }
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
            let again_for = match self.start(lease) {
                Ok(mut exchange) => match poll_fn(|cx| exchange.poll_head(cx)).await {
                    Ok(head) => match self.on_head(&head, exchange, reused && !fresh_only)? {
                        Ok(body) => return Ok((head, body)),
                        Err(reason) => Ok(reason),
                    },
                    Err(failed) => Err(failed),
                },
                Err(failed) => Err(failed),
            };
            let reason = match again_for {
                Ok(reason) => {
                    fresh_only |= matches!(reason, RetryReason::Misdirected);
                    reason
                }
                // RFC 9112 §9.3.1: the server closed a kept connection while our request was on its way.
                // Once is bad luck; the second try goes on a connection that nobody has used.
                Err(Failed { unanswered: true, .. }) if reused && again && !fresh_only => {
                    fresh_only = true;
                    RetryReason::StaleConnection
                }
                // RFC 9113 §8.7. No attempt: the server has not looked at it, whatever the method.
                Err(Failed { error, .. }) if self.may_resend(&error, refusals) => {
                    refusals += 1;
                    RetryReason::Unprocessed
                }
                Err(failed) => return Err(failed.error),
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
    ) -> Result<Result<ResponseBody, RetryReason>> {
        let (status, version, reason) = (head.status, head.version, head.reason.as_deref());
        self.tell(&Event::HeadReceived { status, reason, version, headers: ShownHeaders(&head.headers) });
        if status == StatusCode::SWITCHING_PROTOCOLS {
            upgrade::check(&self.request.headers, head)?;
            return Ok(Ok(ResponseBody::switched(exchange)));
        }
        let unspent = exchange.reclaim(&mut self.request.body.kind);
        if self.repeats_without_expect(status, unspent) {
            return Ok(Err(RetryReason::Unexpected));
        }
        let has_body = unspent || self.request.body.is_replayable();
        if status == StatusCode::MISDIRECTED_REQUEST && may_go_elsewhere && has_body {
            exchange.abandon();
            return Ok(Err(RetryReason::Misdirected));
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

    fn start(&mut self, lease: Lease) -> Result<Exchange, Failed> {
        let limits = HeadLimits { max_bytes: self.session.options.response.max_head, ..HeadLimits::default() };
        let clock = Clock { read: self.timeouts.read, total: self.total, moved: Instant::now() };
        let framing = self.framing();
        let held = self.held(framing, clock.moved);
        let meters = self.request.own.transfer.as_deref().and_then(|own| own.meters(self.request.body.length()));
        if let Some(muxed) = lease.muxed() {
            let head = self.http2_head(muxed)?;
            let watch = Watch::new(self.take_marks(), self.tracer.clone(), meters);
            let asked = Asked { head, body: &mut self.request.body, held };
            return Http2::start(lease, asked, limits, clock, watch)
                .map(|exchange| Exchange::Http2(Box::new(exchange)));
        }
        let kind = RequestKind { head: self.request.method == Method::HEAD, upgrade: self.is_upgrade() };
        let mut out = buffer::take_write();
        self.write_head(&mut out, framing)?;
        let upload = Upload::new(out, &mut self.request.body.kind, framing == RequestBody::Chunked, held);
        let watch = Watch::new(self.take_marks(), self.tracer.clone(), meters);
        let reader = ResponseReader::new(kind, limits);
        let mut exchange = Http1::new(lease, upload, reader, clock, watch);
        exchange.closes = self.asks_to_close();
        Ok(Exchange::Http1(exchange))
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

/// Bounds a wait by `total` and by a timeout of its own. The wait is pinned by the caller: taken by value it would have its
/// room in this future twice.
pub(crate) async fn within<T>(
    total: Option<(Instant, Duration)>,
    own: Option<(Instant, Duration, ErrorKind)>,
    phase: Phase,
    wait: Pin<&mut impl Future<Output = Result<T>>>,
) -> Result<T> {
    let (at, limit, kind) = match (own, total) {
        (Some(own), Some((total, _))) if own.0 <= total => own,
        (_, Some((at, limit))) => (at, limit, ErrorKind::TimeoutTotal),
        (Some(own), None) => own,
        (None, None) => return wait.await,
    };
    match timeout_at(at, wait).await {
        Ok(result) => result,
        Err(_) => Err(Error::timeout(kind, phase, limit)),
    }
}

impl From<Error> for Failed {
    /// Of a request that never came so far as to be sent.
    fn from(error: Error) -> Self {
        Failed { error, unanswered: false }
    }
}
