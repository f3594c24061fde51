//! Requests as spans of the `tracing` crate, for whoever collects those already: a span `request` for each, at level
//! INFO and with the target `gannet`, and an event at level DEBUG within it for each step. URLs and fields are shown
//! without their secrets.

use std::sync::Arc;

use tracing::field::{Empty, display};
use tracing::{Span, debug, info_span};

use super::{Begin, Event, RequestTrace, Trace};

/// Makes a span of each request; costs a look at the subscriber's interest where nobody collects them.
///
/// The span has the fields `id`, `method`, `url`, and once they are known `status`, `total_ms` and `error` (the
/// kind). It lies under the span that is current where the request is first polled, and is closed with the last byte,
/// the failure, or the drop of the request or its response.
///
/// ```
/// # fn main() -> gannet::Result<()> {
/// let session = gannet::Session::builder(gannet::Options::default()).trace(gannet::trace::Spans).build()?;
/// # let _ = session; Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Spans;

impl Trace for Spans {
    fn begin(&self, request: &Begin<'_>) -> Option<Arc<dyn RequestTrace>> {
        let span = info_span!(
            target: "gannet",
            "request",
            id = request.id,
            method = %request.method,
            url = %request.url,
            status = Empty,
            total_ms = Empty,
            error = Empty,
        );
        if span.is_disabled() { None } else { Some(Arc::new(RequestSpan(span))) }
    }
}

struct RequestSpan(Span);

impl RequestTrace for RequestSpan {
    fn on_event(&self, event: &Event<'_>) {
        match event {
            Event::HeadReceived { status, .. } => drop(self.0.record("status", status.as_u16())),
            Event::End { timings } => {
                if let Some(total) = timings.total {
                    self.0.record("total_ms", total.as_secs_f64() * 1000.0);
                }
            }
            Event::Error { error } => drop(self.0.record("error", display(error.kind()))),
            _ => {}
        }
        debug!(target: "gannet", parent: &self.0, step = ?event);
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Metadata, Subscriber};

    use super::*;
    use crate::{Options, Session};

    /// Writes down what it is told.
    #[derive(Clone, Default)]
    struct Collector {
        lines: Arc<Mutex<Vec<String>>>,
        next: Arc<AtomicU64>,
    }

    struct Line<'a>(&'a mut String);

    impl Visit for Line<'_> {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            self.0.push_str(&format!(" {}={value:?}", field.name()));
        }
    }

    impl Collector {
        fn say(&self, mut line: String, fields: impl FnOnce(&mut Line<'_>)) {
            fields(&mut Line(&mut line));
            self.lines.lock().unwrap().push(line);
        }
    }

    impl Subscriber for Collector {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == "gannet"
        }

        fn new_span(&self, span: &Attributes<'_>) -> Id {
            self.say(format!("span {}", span.metadata().name()), |line| span.record(line));
            Id::from_u64(1 + self.next.fetch_add(1, Relaxed))
        }

        fn record(&self, _: &Id, values: &Record<'_>) {
            self.say("record".to_owned(), |line| values.record(line));
        }

        fn event(&self, event: &tracing::Event<'_>) {
            self.say("event".to_owned(), |line| event.record(line));
        }

        fn try_close(&self, _: Id) -> bool {
            self.say("closed".to_owned(), |_| {});
            true
        }

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[tokio::test]
    async fn a_request_is_a_span_that_shows_no_secret_and_is_closed_with_it() {
        let origin = gannet_origin::Origin::start().await.unwrap();
        let session = Session::builder(Options::default()).trace(Spans).build().unwrap();
        let url = origin.url("/items/1?token=s3cret");
        session.get(&url).send().await.unwrap().bytes().await.unwrap();
        let collector = Collector::default();
        let collecting = tracing::subscriber::set_default(collector.clone());
        session.get(&url).bearer_auth("s3cret").send().await.unwrap().bytes().await.unwrap();
        drop(collecting);
        let lines = collector.lines.lock().unwrap().clone();
        let (first, last) = (&lines[0], &lines[lines.len() - 1]);
        assert!(first.starts_with("span request") && first.contains("method=GET"), "{lines:?}");
        assert!(first.contains("token=***") && !lines.concat().contains("s3cret"), "{lines:?}");
        assert_eq!(last, "closed", "{lines:?}");
        assert!(lines.iter().any(|line| line == "record status=200"), "{lines:?}");
        assert!(lines.iter().any(|line| line.starts_with("record total_ms=")), "{lines:?}");
        assert!(lines.iter().any(|line| line.starts_with("event step=Reused")), "{lines:?}");
    }
}
