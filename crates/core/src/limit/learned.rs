//! The rate one host allows, learnt from its refusals (429, or 503 with Retry-After), and a gate just under it.
//!
//! A refusal says that the host's allowance is used up. Between two refusals it gained what it gave: the requests let
//! in between them, divided by the time, are its rate, exact to one request and never above it. What accrued while a
//! Retry-After was waited out is part of that, so waiting loses nothing if the host's burst can hold it.
//! So the first refusal starts a search that ends in a second one, and from then on the pace is kept just under the
//! estimate and raised so slowly that the next refusal, and with it a better estimate, takes several times as long.
//! [`super::Pace`] calls it; a Retry-After itself is waited out by the caller.

use std::time::{Duration, Instant};

/// What is known of one host's rate, and the gate on its starts.
#[derive(Clone, Debug)]
pub struct LearnedRate {
    aim: Aim,
    /// When the next start is due by the pace.
    next_at: Instant,
    last_start: Option<Instant>,
    /// Seconds since the pause, without those in which nobody wanted to start: the pace grows with it.
    clock: f64,
    pause_until: Option<Instant>,
    trial: Trial,
    /// The last refusal was noted then: attempts started before it belong to it.
    noted_at: Instant,
    /// The start of the last refused attempt, from where the window counts; `None` before the first.
    anchor: Option<Instant>,
    /// Let in since the anchor.
    let_in: u32,
    /// Whether something was let in since the last pause.
    open: bool,
    /// Pauses one after another that ended in a refusal.
    misses: u32,
    /// The first burst: how many were let in before the first refusal, and in how many seconds.
    first: Option<(f64, f64)>,
    /// Requests that may be asked for beyond the pace, a tenth faster than it: half of a burst known from before.
    bonus: f64,
}

/// The pace that is kept.
#[derive(Clone, Copy, Debug)]
enum Aim {
    /// Doubling each second from this rate.
    Search { from: f64 },
    /// At this rate, raised by `credit` requests over `span` seconds, and faster beyond.
    Hold { rate: f64, raise: f64, span: f64 },
}

/// One attempt goes first after a pause, and the others when it was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    Due,
    Out(Instant),
    Over,
}

impl LearnedRate {
    /// After the first refusal, of an attempt begun at `started`: `let_in` were let in since `since`.
    pub fn from_first_refusal(
        let_in: u32,
        since: Instant,
        started: Instant,
        asked: Option<Duration>,
        now: Instant,
    ) -> Self {
        let took = started.saturating_duration_since(since).as_secs_f64();
        let given = f64::from(let_in.max(1));
        let hold = asked.unwrap_or(FIRST_PAUSE).max(Duration::from_millis(100)).as_secs_f64();
        let mean = given / (took + hold);
        // A long wait is the rest of a window in which a number is allowed: then the mean is the rate already, unless
        // others, or an earlier run, had used most of it.
        let aim = match hold > LONG_HOLD {
            true if let_in >= ENOUGH => hold_at(mean * 0.98, 0.0, took + hold),
            true => Aim::Search { from: (2.0 * mean).max(1.0) },
            false => Aim::Search { from: 2.0 * mean },
        };
        let mut learned = LearnedRate::with(aim, now);
        learned.first = Some((given, took));
        learned.on_noted(started, now);
        learned.rest(asked, now);
        learned
    }

    /// With a rate known from before, a second, and the burst if it is known.
    pub fn from_knowledge(rate: f64, burst: Option<f64>, now: Instant) -> Self {
        let rate = rate.clamp(SLOWEST, FASTEST);
        let aim = Aim::Hold { rate, raise: 2.0 * rate / LONGEST_SPAN, span: LONGEST_SPAN };
        let mut learned = LearnedRate::with(aim, now);
        learned.first = burst.map(|burst| (burst, 0.0));
        learned.bonus = burst.map_or(0.0, |burst| (burst - 1.0) / 2.0);
        learned.trial = Trial::Over;
        learned
    }

    fn with(aim: Aim, now: Instant) -> Self {
        LearnedRate {
            aim,
            next_at: now,
            last_start: None,
            clock: 0.0,
            pause_until: None,
            trial: Trial::Due,
            noted_at: now,
            anchor: None,
            let_in: 0,
            open: false,
            misses: 0,
            first: None,
            bonus: 0.0,
        }
    }

    /// The rate that was learnt, a second; `None` while it is searched for.
    pub fn rate(&self) -> Option<f64> {
        match self.aim {
            Aim::Search { .. } => None,
            Aim::Hold { rate, .. } => Some(rate),
        }
    }

    /// What the host gives at once after a rest, at most; not known for sure before the rate is.
    pub fn burst(&self) -> Option<f64> {
        let (given, took) = self.first?;
        Some((given - self.rate().unwrap_or(0.0) * took).max(1.0))
    }

    /// Starts a second at this moment.
    pub fn pace(&self) -> f64 {
        let pace = match self.aim {
            Aim::Search { from } => from * self.clock.min(40.0).exp2(),
            Aim::Hold { rate, raise, span } => {
                let reached = self.clock / span;
                rate + raise * reached * (reached * reached).max(1.0)
            }
        };
        pace.clamp(SLOWEST, FASTEST)
    }

    /// Whether an attempt may start beside those in flight: while one tries out a host that refused, no other.
    pub fn allows(&self) -> bool {
        !matches!(self.trial, Trial::Out(_))
    }

    /// When the next start is allowed; not after `now` means now.
    pub fn opens_at(&self, now: Instant) -> Instant {
        let slack = Duration::from_secs_f64(self.slack());
        let due = self.next_at.checked_sub(slack).unwrap_or(now);
        self.pause_until.map_or(due, |until| until.max(due))
    }

    /// Counts a start.
    pub fn on_start(&mut self, now: Instant) {
        let pace = self.pace();
        if self.trial == Trial::Due {
            self.trial = Trial::Out(now);
            self.next_at = now;
        } else if let Some(last) = self.last_start {
            // An idle host learns nothing: only time in which the pace was used counts.
            let passed = now.saturating_duration_since(last).as_secs_f64();
            self.clock += passed.min(3.0 / pace + 0.01);
        }
        self.last_start = Some(now);
        let faster = if self.bonus > 0.0 { 1.1 } else { 1.0 };
        self.bonus -= 1.0 - 1.0 / faster;
        self.next_at = self.next_at.max(now) + Duration::from_secs_f64(1.0 / (pace * faster));
    }

    /// An attempt begun at `started` ended otherwise than refused; `let_in` if there was a response.
    pub fn on_other(&mut self, started: Instant, let_in: bool) {
        if let_in && self.anchor.is_none_or(|anchor| started > anchor) {
            self.let_in = self.let_in.saturating_add(1);
            self.open |= started > self.noted_at;
        }
        if self.trial == Trial::Out(started) {
            self.trial = Trial::Over;
        }
    }

    /// An attempt begun at `started` was refused.
    pub fn on_refusal(&mut self, started: Instant, asked: Option<Duration>, now: Instant) {
        if started <= self.noted_at && self.anchor.is_some() {
            if self.anchor.is_some_and(|anchor| started > anchor) {
                (self.anchor, self.let_in) = (Some(started), 0);
            }
            return;
        }
        if self.open || self.anchor.is_none() {
            self.misses = 0;
            self.estimate(started, asked);
        } else {
            self.misses += 1;
        }
        self.on_noted(started, now);
        self.rest(asked, now);
    }

    fn on_noted(&mut self, started: Instant, now: Instant) {
        (self.anchor, self.let_in, self.open) = (Some(started), 0, false);
        self.noted_at = now;
    }

    /// Nothing starts for a while, and then one attempt first. A Retry-After is waited out by the caller.
    fn rest(&mut self, asked: Option<Duration>, now: Instant) {
        let asked = asked.filter(|asked| !asked.is_zero());
        if asked.is_none() || self.misses > 0 {
            let pause = FIRST_PAUSE.saturating_mul(1 << self.misses.min(6)).min(LONGEST_PAUSE);
            self.pause_until = Some(now + pause);
        }
        self.trial = Trial::Due;
        self.clock = 0.0;
        self.last_start = None;
        self.bonus = 0.0;
    }

    /// The window that ends with this refusal is complete: aims anew.
    fn estimate(&mut self, started: Instant, asked: Option<Duration>) {
        let pace = self.pace();
        let Some(anchor) = self.anchor else {
            // Known from before: where the host's allowance stood at first is not, so only the direction is.
            self.aim = hold_at(pace * 0.97, pace, 5.0);
            return;
        };
        let window = started.saturating_duration_since(anchor).as_secs_f64().max(1e-3);
        let given = f64::from(self.let_in);
        let mean = (given + 0.5) / window;
        let wanted = self.clock >= 0.5 * (window - asked.map_or(1.0, |asked| asked.as_secs_f64()));
        if !wanted || (given > 1.0 && pace > 4.0 * given / self.clock.max(1e-3)) {
            // The pace was not what bounded the starts: it has to be found out what does.
            self.aim = Aim::Search { from: 2.0 * mean };
            return;
        }
        let rate = mean.max(self.by_the_end(pace, mean)).max(self.just_under(pace));
        let credit = rate * asked.unwrap_or(FIRST_PAUSE).as_secs_f64().min(2.0);
        let credit = self.burst().map_or(credit, |burst| credit.min(burst));
        self.aim = hold_at(if given > PRECISE { rate * (1.0 - MARGIN) } else { rate }, credit, window);
    }

    /// A host with a small burst loses what accrues beyond it, so the mean is too low. But it refuses soon after the
    /// pace has passed its rate: when the excess, at the slope the pace had, has used up the burst.
    fn by_the_end(&self, pace: f64, mean: f64) -> f64 {
        let Some((given, took)) = self.first else { return 0.0 };
        let burst = (given - mean * took).max(1.0);
        let slope = match self.aim {
            Aim::Search { .. } => pace * std::f64::consts::LN_2,
            Aim::Hold { raise, span, .. } => {
                let reached = self.clock / span;
                raise / span * (3.0 * reached * reached).max(1.0)
            }
        };
        let drained_in = (2.0 * burst / slope).sqrt();
        if drained_in > self.clock {
            return (f64::from(self.let_in) - burst) / self.clock.max(1e-3);
        }
        pace - slope * drained_in
    }

    /// One refusal after a long time at about this pace says little against a pace just under it; and one that took
    /// longer than the credit of the last estimate says that the estimate was too low.
    fn just_under(&self, pace: f64) -> f64 {
        let Aim::Hold { rate, span, .. } = self.aim else { return 0.0 };
        if self.let_in < 50 {
            return 0.5 * rate.min(pace);
        }
        let share = if self.clock >= 10.0 { 0.95 } else { 0.5 };
        let late = if self.clock > 1.25 * span { 0.9 * pace } else { 0.0 };
        (share * rate.min(pace)).max(late)
    }

    /// How late a start may be without losing its turn, in seconds: more for hosts that take a burst.
    fn slack(&self) -> f64 {
        let burst = self.burst().unwrap_or(1.0);
        ((burst - 1.0) / (8.0 * self.pace())).clamp(0.0, 0.03)
    }
}

/// Raised from `rate` so that `credit` requests more than the host gains are asked for in several times this window.
fn hold_at(rate: f64, credit: f64, window: f64) -> Aim {
    let span = (SPAN_GROWTH * window).min(LONGEST_SPAN);
    let rate = rate.clamp(SLOWEST, FASTEST);
    Aim::Hold { rate, raise: 2.0 * credit.max(0.05 * rate) / span, span }
}

/// So many let in before the first refusal say what a window allows.
const ENOUGH: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const LONG_HOLD: f64 = 5.0;
const SPAN_GROWTH: f64 = 6.0;
const LONGEST_SPAN: f64 = 600.0;
/// Let in within a window from which on its estimate is exact enough to stay under it.
const PRECISE: f64 = 300.0;
const MARGIN: f64 = 0.01;
const SLOWEST: f64 = 1.0 / 3600.0;
const FASTEST: f64 = 1e6;

#[cfg(test)]
mod tests;
