//! Hooks that change requests: a [`Middleware`] stands around a request, and may change it, send it, look at what
//! came, send it again, or answer by itself.
//!
//! It stands around the whole call, outside redirects and outside the repeats that a session does by itself: it sees
//! what the caller asked and what the caller will get. So a credential that it adds falls under the same rule as one
//! that the caller adds, and is dropped on a redirect to another origin; run per hop, it would be added again there.
//! Whoever needs each hop turns redirects off and follows them in a middleware. A request's own middlewares stand in
//! the place of the session's, not beside them, so that no order between the two has to be known.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use gannet_core::Phase;
use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::request::Request;
use crate::response::Response;
use crate::send::{send_alone, within};
use crate::session::Inner;

/// What a middleware returns.
pub type Handling<'a> = Pin<Box<dyn Future<Output = Result<Response>> + Send + 'a>>;

/// Stands around requests: those of a session by [`crate::SessionBuilder::middleware`], or one request by
/// [`crate::RequestBuilder::middleware`]. Async closures of a request and what comes next are middlewares too.
///
/// `timeouts.total` of the request bounds all of it together, every sending and what the middleware itself waits
/// for. Dropping the caller's future drops the middleware's. A request that is sent again is another one to those
/// who watch ([`crate::trace`]), and [`Response::timings`] count from its start.
///
/// A token that is asked for anew when the server no longer takes it:
///
/// ```
/// use gannet::{Next, Options, Request, Session, StatusCode};
/// use std::sync::{Arc, Mutex};
///
/// # fn main() -> gannet::Result<()> {
/// let token = Arc::new(Mutex::new(String::from("from the last time")));
/// let login = Session::default();
/// let session = Session::builder(Options::default())
///     .middleware(move |mut request: Request, next: Next| {
///         let (token, login) = (token.clone(), login.clone());
///         async move {
///             // None for a body that can be sent only once: then there is one try.
///             let again = request.try_clone();
///             let held = token.lock().unwrap().clone();
///             request.headers_mut().append_secret("authorization", format!("Bearer {held}"))?;
///             let response = next.run(request).await?;
///             let Some(mut again) = again.filter(|_| response.status() == StatusCode::UNAUTHORIZED) else {
///                 return Ok(response);
///             };
///             // Gives its connection back, or closes it.
///             drop(response);
///             let fresh = login.post("https://api.example.com/token").send().await?.error_for_status()?.text().await?;
///             again.headers_mut().append_secret("authorization", format!("Bearer {fresh}"))?;
///             *token.lock().unwrap() = fresh;
///             next.run(again).await
///         }
///     })
///     .build()?;
/// # let _ = session; Ok(()) }
/// ```
pub trait Middleware: Send + Sync + 'static {
    /// Handles one request. `next.run(request)` sends it, through the middlewares behind this one; as often as wanted,
    /// or never, where the answer is made here ([`Response::local`]).
    fn handle<'a>(&'a self, request: Request, next: Next) -> Handling<'a>;
}

impl<F, A> Middleware for F
where
    F: Fn(Request, Next) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Response>> + Send + 'static,
{
    fn handle<'a>(&'a self, request: Request, next: Next) -> Handling<'a> {
        Box::pin(self(request, next))
    }
}

/// What stands behind a middleware: others, and at last the sending itself. Cheap to clone.
#[derive(Clone)]
pub struct Next {
    session: Arc<Inner>,
    chain: Chain,
    /// Which of the chain is next.
    at: usize,
    total: Option<(Instant, Duration)>,
}

pub(crate) type Chain = Arc<[Arc<dyn Middleware>]>;

impl Next {
    /// Sends the request.
    ///
    /// # Errors
    /// As [`crate::RequestBuilder::send`], and what the middlewares behind return.
    pub async fn run(&self, request: Request) -> Result<Response> {
        match self.chain.get(self.at) {
            Some(middleware) => middleware.handle(request, Next { at: self.at + 1, ..self.clone() }).await,
            None => Box::pin(send_alone(&self.session, request, self.total)).await,
        }
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Next({} of {})", self.at, self.chain.len())
    }
}

/// The middlewares that stand around this request, if there are any.
pub(crate) fn chain_of(session: &Inner, request: &Request) -> Option<Chain> {
    let own = request.own.hooks.as_deref().and_then(|hooks| hooks.middlewares.clone());
    own.or_else(|| session.middlewares.clone()).filter(|chain| !chain.is_empty())
}

/// Sends a request through its middlewares.
pub(crate) fn send_through<'a>(session: &'a Arc<Inner>, chain: Chain, request: Request) -> Handling<'a> {
    let started = Instant::now();
    let url = request.url.clone();
    let total = request.own.timeouts.as_deref().unwrap_or(&session.options.timeouts).total;
    let total = total.map(|limit| (crate::alarm::later(started, limit), limit));
    let next = Next { session: session.clone(), chain, at: 0, total };
    Box::pin(async move {
        let handled = within(total, None, Phase::Prepare, pin!(next.run(request))).await;
        handled.map_err(|error: Error| error.with_url(&url).with_elapsed(started.elapsed()))
    })
}
