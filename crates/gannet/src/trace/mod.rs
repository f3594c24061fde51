//! Hooks that watch requests: a [`Trace`] of a session, or a [`RequestTrace`] of one request, is told of each
//! [`Event`] as it happens. They watch and change nothing; what changes requests is a [`crate::Middleware`].
//!
//! Costs one branch per event while nobody watches. Called inside the request's own future: keep it short, never
//! block. A panic in it is the request's. With the feature `tracing`, `Spans` makes a span of each request.
//!
//! ```
//! use gannet::trace::{Begin, Event, RequestTrace, Trace};
//! use std::sync::Arc;
//!
//! /// Tells what is slow, by the name that the request was given.
//! struct Slow;
//!
//! impl Trace for Slow {
//!     fn begin(&self, request: &Begin<'_>) -> Option<Arc<dyn RequestTrace>> {
//!         let name = *request.context::<&str>()?;
//!         Some(Arc::new(move |event: &Event<'_>| {
//!             if let Event::End { timings } = event
//!                 && timings.total.is_some_and(|total| total.as_secs() >= 1)
//!             {
//!                 eprintln!("{name}: {timings:?}");
//!             }
//!         }))
//!     }
//! }
//!
//! # fn main() -> gannet::Result<()> {
//! let session = gannet::Session::builder(gannet::Options::default()).trace(Slow).build()?;
//! let request = session.get("https://example.com/").trace_context("the front page");
//! # let _ = request; Ok(()) }
//! ```

mod event;
mod sending;
#[cfg(feature = "tracing")]
mod spans;
mod steps;
mod tell;

pub use event::{Event, RetryReason, ShownHeaders, ShownUrl};
pub(crate) use sending::{http1_fields, http2_fields};
#[cfg(feature = "tracing")]
pub use spans::Spans;
pub(crate) use steps::Steps;
pub(crate) use tell::{OwnTrace, Tracer, begin};

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use http::Method;

/// Watches the requests of a session; given to it by [`crate::SessionBuilder::trace`].
pub trait Trace: Send + Sync + 'static {
    /// A request begins. What is returned is told of everything that happens to it, and dropped after
    /// [`Event::End`] or [`Event::Error`], or without either where the request or its response was dropped.
    /// `None`: this one is not watched.
    fn begin(&self, request: &Begin<'_>) -> Option<Arc<dyn RequestTrace>>;
}

/// Watches one request. Closures that take an event are such watchers.
pub trait RequestTrace: Send + Sync + 'static {
    /// Something happened. Never called from two threads at once for one request.
    fn on_event(&self, event: &Event<'_>);
}

impl<F: Fn(&Event<'_>) + Send + Sync + 'static> RequestTrace for F {
    fn on_event(&self, event: &Event<'_>) {
        self(event);
    }
}

/// The request that begins.
pub struct Begin<'a> {
    /// A number that no other traced request of this process has.
    pub id: u64,
    /// The method.
    pub method: &'a Method,
    /// The URL; redirects may lead to others.
    pub url: ShownUrl<'a>,
    pub(crate) context: Option<&'a (dyn Any + Send + Sync)>,
}

impl Begin<'_> {
    /// What [`crate::RequestBuilder::trace_context`] gave with the request, if it is of this type.
    pub fn context<T: Any>(&self) -> Option<&T> {
        self.context?.downcast_ref()
    }
}

impl fmt::Debug for Begin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Begin").field("id", &self.id).field("method", self.method).field("url", &self.url).finish()
    }
}
