//! What is noted of an exchange, and told to who watches, whichever version of HTTP it speaks. The moments are those
//! at which the exchange looks at the clock for its deadlines anyway.

use std::sync::Arc;

use tokio::time::Instant;

use crate::timings::Marks;
use crate::trace::{Event, Tracer};

#[derive(Default)]
pub(crate) struct Watch {
    pub(crate) marks: Marks,
    tracer: Option<Arc<Tracer>>,
}

impl Watch {
    /// With the marks made before the exchange began.
    pub(crate) fn new(marks: Marks, tracer: Option<Arc<Tracer>>) -> Self {
        Watch { marks, tracer }
    }

    /// So many bytes of the head left.
    pub(crate) fn on_head_sent(&self, bytes: u64) {
        self.tell(&Event::HeadSent { bytes });
    }

    /// So many bytes of the body left.
    pub(crate) fn on_body_sent(&self, bytes: u64) {
        self.tell(&Event::BodySent { bytes });
    }

    /// The whole request has left.
    pub(crate) fn on_sent(&mut self, now: Instant) {
        self.marks.sent = Some(now);
    }

    /// The first bytes of the response have come.
    pub(crate) fn on_first_byte(&mut self, now: Instant) {
        self.marks.first_byte = Some(now);
    }

    /// So many bytes of the response's body have come.
    pub(crate) fn on_received(&self, bytes: usize) {
        self.tell(&Event::BodyReceived { bytes: bytes as u64 });
    }

    /// The response is whole: its last byte came then.
    pub(crate) fn finish(&mut self, now: Instant) -> Marks {
        self.marks.ended = Some(now);
        std::mem::take(&mut self.marks)
    }

    fn tell(&self, event: &Event<'_>) {
        if let Some(tracer) = &self.tracer {
            tracer.tell(event);
        }
    }
}
