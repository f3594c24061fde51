//! What comes after a hop's head: cookies are kept, a challenge is answered, a redirect followed or not, by the rules of
//! [`redirect`] and what the caller has to say of them. What is left of a response on the way is drained or dropped.

use std::time::{Duration, SystemTime};

use gannet_core::h1::ResponseHead;
use gannet_core::redirect::{self, BodyReplay, Decision, Hop, Next, RedirectPolicy};
use gannet_core::{Headers, Phase};
use http::StatusCode;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::Sending;
use crate::alarm::later;
use crate::body::Body;
use crate::error::{Error, Result};
use crate::response::{Redirected, ResponseBody};
use crate::session::Inner;
use crate::trace::{Event, RetryReason, ShownUrl};

/// A redirect's own body is read to its end up to this size, so that its connection can be used again.
const DRAIN: u64 = 64 << 10;
/// And for so long: a new connection is cheaper than a body that does not come.
const DRAIN_PATIENCE: Duration = Duration::from_millis(100);

impl Sending<'_> {
    pub(super) async fn follow(&mut self) -> Result<(ResponseHead, ResponseBody)> {
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
            if request.url.scheme() == "https" && next.url.scheme() == "http" {
                // RFC 9110 §10.1.3: what is told in confidence is not told in the clear.
                request.headers.remove("referer");
            }
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
}

impl Inner {
    fn store_cookies(&self, url: &Url, headers: &Headers) {
        if self.options.cookies.enabled && headers.contains("set-cookie") {
            let now = SystemTime::now();
            self.jar().store_all(url, headers.get_all("set-cookie"), now);
        }
    }
}
