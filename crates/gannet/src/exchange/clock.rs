//! The two deadlines that run during an exchange: `read`, moved on by every byte, and `total`.

use std::task::{Context, Poll};
use std::time::Duration;

use gannet_core::{ErrorKind, Phase};
use tokio::time::Instant;

use crate::alarm::{Alarm, later};
use crate::error::Error;

#[derive(Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) read: Option<Duration>,
    pub(crate) total: Option<(Instant, Duration)>,
    /// When bytes last moved.
    pub(crate) moved: Instant,
}

impl Clock {
    /// The error of the deadline that has passed; until then the task is woken in time.
    pub(crate) fn poll(&self, alarm: &mut Alarm, cx: &mut Context<'_>, phase: Phase) -> Poll<Error> {
        let read_at = self.read.map(|read| later(self.moved, read));
        let total_at = self.total.map(|(at, _)| at);
        let first = match (read_at, total_at) {
            (Some(read), Some(total)) => Some(read.min(total)),
            (read, total) => read.or(total),
        };
        if alarm.poll(cx, first).is_pending() {
            return Poll::Pending;
        }
        match (self.total, self.read) {
            (Some((at, limit)), _) if Some(at) == first => {
                Poll::Ready(Error::timeout(ErrorKind::TimeoutTotal, phase, limit))
            }
            (_, Some(limit)) => Poll::Ready(Error::timeout(ErrorKind::TimeoutRead, phase, limit)),
            (_, None) => Poll::Pending,
        }
    }

    /// Bytes have come. Who always finds some at hand never waits, and is held to `total` all the same.
    ///
    /// # Errors
    /// `total` has passed.
    pub(crate) fn on_received(&mut self, phase: Phase) -> Result<(), Error> {
        self.moved = Instant::now();
        match self.total {
            Some((at, limit)) if self.moved >= at => Err(Error::timeout(ErrorKind::TimeoutTotal, phase, limit)),
            _ => Ok(()),
        }
    }

    /// The caller itself did not want to read for so long: restarts `read`, and moves `total` on if asked to.
    pub(crate) fn excuse(&mut self, waited: Duration, move_total: bool) {
        self.moved = Instant::now();
        if let (Some((at, _)), true) = (&mut self.total, move_total) {
            *at += waited;
        }
    }
}
