//! Who is told of one request, and of what since when.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Begin, Event, RequestTrace, ShownUrl, Trace};
use crate::request::Request;

/// Those who watch one request. Shared by what works on it: the exchange, the body.
pub(crate) struct Tracer {
    watchers: Vec<Arc<dyn RequestTrace>>,
}

/// What one request brings along for those who watch.
#[derive(Clone, Default)]
pub(crate) struct OwnTrace {
    pub(crate) watchers: Vec<Arc<dyn RequestTrace>>,
    pub(crate) context: Option<Arc<dyn Any + Send + Sync>>,
}

impl OwnTrace {
    /// Tells those who watch this request alone.
    pub(crate) fn tell_of(request: &Request, event: &Event<'_>) {
        for watcher in request.own.hooks.iter().flat_map(|hooks| &hooks.trace.watchers) {
            watcher.on_event(event);
        }
    }
}

impl Tracer {
    pub(crate) fn tell(&self, event: &Event<'_>) {
        for watcher in &self.watchers {
            watcher.on_event(event);
        }
    }
}

/// Asks the session's traces whether they want to watch this request; `None` if nobody does.
#[cold]
pub(crate) fn begin(traces: &[Arc<dyn Trace>], request: &Request) -> Option<Arc<Tracer>> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let own = request.own.hooks.as_deref().map(|hooks| &hooks.trace);
    let mut watchers = Vec::new();
    if !traces.is_empty() {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let context = own.and_then(|own| own.context.as_deref());
        let request = Begin { id, method: &request.method, url: ShownUrl(&request.url), context };
        watchers.extend(traces.iter().filter_map(|trace| trace.begin(&request)));
    }
    watchers.extend(own.into_iter().flat_map(|own| own.watchers.iter().cloned()));
    if watchers.is_empty() { None } else { Some(Arc::new(Tracer { watchers })) }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tracer({})", self.watchers.len())
    }
}

impl fmt::Debug for OwnTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnTrace({})", self.watchers.len())
    }
}
