//! The door for another resolver than the system's, and with the feature `hickory` one that may go through it.

#[cfg(feature = "hickory")]
mod hickory;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use futures_util::stream;

#[cfg(feature = "hickory")]
pub use hickory::{Hickory, HickoryOptions};

/// Finds the addresses of names, in place of the system's resolver: given to
/// [`SessionBuilder::resolver`](crate::SessionBuilder::resolver).
///
/// The session keeps its answers as it keeps the system's: `dns.ttl` long, at most `dns.cache_max` of them, one
/// lookup per name at a time however many ask, and at most `dns.max_lookups` at once. `dns.overrides` come before it,
/// `guard` judges what it says, and IP addresses in URLs never reach it.
///
/// ```
/// # use std::net::IpAddr;
/// use gannet::{Options, Resolve, Resolving, Session};
///
/// struct Fixed(IpAddr);
///
/// impl Resolve for Fixed {
///     fn resolve(&self, _name: &str) -> Resolving {
///         let address = self.0;
///         Resolving::new(async move { Ok(vec![address]) })
///     }
/// }
///
/// let resolver = Fixed(IpAddr::from([127, 0, 0, 1]));
/// let session = Session::builder(Options::default()).resolver(resolver).build()?;
/// # Ok::<(), gannet::Error>(())
/// ```
pub trait Resolve: Send + Sync + 'static {
    /// Starts to look this name up: a URL's host as the URL parser made it, in lower case and ASCII, with a dot at
    /// its end if the URL has one. Must not block.
    ///
    /// The lookup runs in a task of its own on the session's runtime. It goes on while anybody waits for it, whoever
    /// asked first, and is dropped at its next await once nobody does, or when the session is gone.
    fn resolve(&self, name: &str) -> Resolving;
}

/// A lookup under way: one answer or several.
///
/// Where IPv4 and IPv6 addresses are asked for apart, they are best given apart, as they come: the connection is begun
/// as RFC 8305 §3 has it. An error beside an answer with addresses is passed over; without any address the last
/// error is that of the lookup.
pub struct Resolving {
    answers: Pin<Box<dyn Stream<Item = io::Result<Answer>> + Send>>,
}

/// Addresses of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) ttl: Option<Duration>,
}

impl Answer {
    /// It is kept no longer than this, nor than `dns.ttl`, which alone counts by default.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }
}

impl From<Vec<IpAddr>> for Answer {
    /// The addresses in the order they are to be tried; none says that the name has none (of this family).
    fn from(addresses: Vec<IpAddr>) -> Self {
        Answer { addresses, ttl: None }
    }
}

impl Resolving {
    /// A lookup with one answer.
    pub fn new<A: Into<Answer>>(lookup: impl Future<Output = io::Result<A>> + Send + 'static) -> Self {
        Resolving::apart(stream::once(async move { lookup.await.map(Into::into) }))
    }

    /// A lookup whose answers come apart; it is over when the stream ends.
    pub fn apart(answers: impl Stream<Item = io::Result<Answer>> + Send + 'static) -> Self {
        Resolving { answers: Box::pin(answers) }
    }
}

impl Stream for Resolving {
    type Item = io::Result<Answer>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.answers.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Resolving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolving").finish_non_exhaustive()
    }
}
