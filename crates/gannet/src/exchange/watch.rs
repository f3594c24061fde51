//! What is noted of an exchange, and told to who watches, whichever version of HTTP it speaks. The moments are those
//! at which the exchange looks at the clock for its deadlines anyway.

use std::sync::Arc;

use tokio::time::Instant;

use crate::progress::Meters;
use crate::timings::Marks;
use crate::trace::{Event, Tracer};

#[derive(Default)]
pub(crate) struct Watch {
    pub(crate) marks: Marks,
    tracer: Option<Arc<Tracer>>,
    meters: Option<Box<Meters>>,
}

impl Watch {
    /// With the marks made before the exchange began.
    pub(crate) fn new(marks: Marks, tracer: Option<Arc<Tracer>>, meters: Option<Box<Meters>>) -> Self {
        Watch { marks, tracer, meters }
    }

    /// The body that comes is the one that was asked for, of this length where it is known.
    pub(crate) fn expect_body(&mut self, length: Option<u64>) {
        if let Some(meters) = &mut self.meters {
            meters.expect(length);
        }
    }

    /// Whether anybody is told.
    pub(crate) fn is_traced(&self) -> bool {
        self.tracer.is_some()
    }

    /// So many bytes of the head left.
    pub(crate) fn on_head_sent(&self, bytes: u64) {
        self.tell(&Event::HeadSent { bytes });
    }

    /// So many bytes of the body left.
    pub(crate) fn on_body_sent(&mut self, bytes: u64) {
        if let Some(up) = self.meters.as_mut().and_then(|meters| meters.up.as_mut()) {
            up.add(bytes);
        }
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
    pub(crate) fn on_received(&mut self, bytes: usize) {
        if let Some(down) = self.meters.as_mut().and_then(|meters| meters.down.as_mut()) {
            down.add(bytes as u64);
        }
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
