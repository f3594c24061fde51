//! What to do when this machine runs out of file descriptors, ports or memory: start no more than what just fitted,
//! and find out slowly whether more fits again. Never a spin: with nothing in flight it waits, longer each time.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Shortage {
    cap: Option<Cap>,
    closed_until: Option<Instant>,
    next_pause: Duration,
}

#[derive(Debug)]
struct Cap {
    starts: usize,
    since: Instant,
    answers: u32,
}

impl Default for Shortage {
    fn default() -> Self {
        Shortage { cap: None, closed_until: None, next_pause: FIRST_PAUSE }
    }
}

impl Shortage {
    /// An attempt failed for lack of resources, with this many others still in flight.
    pub(super) fn on_shortage(&mut self, in_flight: usize, now: Instant) {
        let mut since = now;
        if in_flight == 0 {
            since = now + self.next_pause;
            self.closed_until = Some(since);
            self.next_pause = (self.next_pause * 2).min(LONGEST_PAUSE);
        }
        self.cap = Some(Cap { starts: in_flight.max(1), since, answers: 0 });
    }

    /// A response came: what is in flight does fit.
    pub(super) fn on_answer(&mut self) {
        let Some(cap) = &mut self.cap else { return };
        self.next_pause = FIRST_PAUSE;
        cap.answers += 1;
        if cap.answers == ANSWERS_PER_STEP {
            cap.answers = 0;
            cap.starts += 1;
        }
    }

    /// Lifts the cap by the time that has passed since it was set or the pause ended; at the limit it is gone.
    pub(super) fn lift(&mut self, limit: usize, now: Instant) {
        if self.closed_until.is_some_and(|until| until > now) {
            return;
        }
        self.closed_until = None;
        let Some(cap) = &mut self.cap else { return };
        let steps = now.saturating_duration_since(cap.since).as_millis() / STEP.as_millis();
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        cap.starts = cap.starts.saturating_add(steps as usize);
        cap.since += STEP * steps;
        if cap.starts >= limit {
            self.cap = None;
        }
    }

    /// Whether one more may start.
    pub(super) fn allows(&self, in_flight: usize, limit: usize, now: Instant) -> bool {
        let cap = self.cap.as_ref().map_or(limit, |cap| cap.starts.min(limit));
        in_flight < cap && self.closed_until.is_none_or(|until| until <= now)
    }

    /// Whether the cap is what holds back a start that the limit would allow.
    pub(super) fn binds(&self, in_flight: usize, limit: usize, now: Instant) -> bool {
        in_flight < limit && !self.allows(in_flight, limit, now)
    }

    /// When the answer of [`Shortage::allows`] may change by time alone. Only meaningful while it is no.
    pub(super) fn next_change(&self) -> Option<Instant> {
        self.closed_until.or_else(|| self.cap.as_ref().map(|cap| cap.since + STEP))
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(100);
const ANSWERS_PER_STEP: u32 = 16;
