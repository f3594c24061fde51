//! Pings while requests are under way and nothing comes: who does not answer is gone, though no segment says so.

use std::task::{Context, Poll};
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::Instant;

use crate::alarm::{Alarm, later};

pub(super) struct Pings {
    pingpong: PingPong,
    interval: Duration,
    timeout: Duration,
    alarm: Alarm,
    /// When the last sign of life came, or the ping that waits for one was sent.
    since: Instant,
    heard: u64,
    is_waiting: bool,
    is_busy: bool,
}

impl Pings {
    pub(super) fn new(pingpong: PingPong, interval: Duration, timeout: Duration) -> Self {
        let (alarm, since) = (Alarm::default(), Instant::now());
        Pings { pingpong, interval, timeout, alarm, since, heard: 0, is_waiting: false, is_busy: false }
    }

    /// Ready when a ping was not answered in time. `heard` changes with everything that comes; `busy`: requests are
    /// under way.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, heard: u64, busy: bool) -> Poll<()> {
        if self.pingpong.poll_pong(cx).is_ready() {
            self.is_waiting = false;
        }
        if heard != self.heard || !std::mem::replace(&mut self.is_busy, busy) {
            self.heard = heard;
            self.since = Instant::now();
        }
        loop {
            if !busy && !self.is_waiting {
                return Poll::Pending;
            }
            let wait = if self.is_waiting { self.timeout } else { self.interval };
            if self.alarm.poll(cx, Some(later(self.since, wait))).is_pending() {
                return Poll::Pending;
            }
            if self.is_waiting {
                return Poll::Ready(());
            }
            // An error means that the connection is over, which it tells itself.
            if self.pingpong.send_ping(Ping::opaque()).is_err() {
                return Poll::Pending;
            }
            (self.is_waiting, self.since) = (true, Instant::now());
        }
    }
}
