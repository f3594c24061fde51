//! A redirect policy of the caller's own: a function that is asked before a redirect is followed. It can stop or refuse,
//! and not lead elsewhere: what the options forbid is not asked about, and what goes along stays the session's to decide.

use std::fmt;
use std::sync::Arc;

use gannet_core::redirect::Next;
use gannet_core::{ErrorKind, Phase};
use http::{Method, StatusCode};
use url::Url;

use crate::error::{Error, Result};
use crate::redact::RedactedUrl;
use crate::response::Redirected;

/// A redirect that would be followed: what [`crate::SessionBuilder::redirect_policy`] and
/// [`crate::RequestBuilder::redirect_policy`] are shown.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct RedirectStep<'a> {
    /// The redirect's status: 301, 302, 303, 307 or 308.
    pub status: StatusCode,
    /// What was asked.
    pub from: &'a Url,
    /// Where it leads: http or https, its fragment and its user name settled as they would be sent.
    pub to: &'a Url,
    /// The method that would be sent there.
    pub method: &'a Method,
    /// Whether scheme, host or port change, so that credentials stay behind.
    pub cross_origin: bool,
    /// The redirects that were followed before, first to last.
    pub history: &'a [Redirected],
}

impl fmt::Debug for RedirectStep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedirectStep")
            .field("status", &self.status)
            .field("from", &RedactedUrl::new(self.from))
            .field("to", &RedactedUrl::new(self.to))
            .field("method", &self.method)
            .field("cross_origin", &self.cross_origin)
            .field("history", &self.history)
            .finish()
    }
}

/// What to do with a redirect.
#[derive(Debug)]
pub enum RedirectAction {
    /// Follow it.
    Follow,
    /// Hand the redirect out as the response.
    Stop,
    /// Fail with kind `redirect`, for this reason.
    Refuse(Box<dyn std::error::Error + Send + Sync>),
}

impl RedirectAction {
    /// [`RedirectAction::Refuse`], the reason in words.
    pub fn refuse(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        RedirectAction::Refuse(why.into())
    }
}

/// The function, shared by a session's requests.
#[derive(Clone)]
pub(crate) struct RedirectRule(Arc<dyn Fn(&RedirectStep<'_>) -> RedirectAction + Send + Sync>);

impl RedirectRule {
    pub(crate) fn new(rule: impl Fn(&RedirectStep<'_>) -> RedirectAction + Send + Sync + 'static) -> Self {
        RedirectRule(Arc::new(rule))
    }

    /// Whether to follow, or to hand the redirect out.
    ///
    /// # Errors
    /// Kind `redirect`, if the rule refuses.
    pub(crate) fn follows(&self, next: &Next, status: StatusCode, from: &Url, history: &[Redirected]) -> Result<bool> {
        let Next { method, url: to, cross_origin, .. } = next;
        match (self.0)(&RedirectStep { status, from, to, method, cross_origin: *cross_origin, history }) {
            RedirectAction::Follow => Ok(true),
            RedirectAction::Stop => Ok(false),
            RedirectAction::Refuse(why) => {
                let message = format!("the redirect to {} was refused", RedactedUrl::new(to).as_str());
                Err(Error::new(ErrorKind::Redirect, Phase::Redirect, message).with_source(why))
            }
        }
    }
}

impl fmt::Debug for RedirectRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedirectRule")
    }
}
