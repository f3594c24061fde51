//! The rate one host allows, learnt from its refusals (429, or 503 with Retry-After), and a gate just under it.
//!
//! A refusal says that the host's allowance is used up. Between two refusals it gained what it gave: the requests let
//! in between them, divided by the time, are its rate, exact to one request and never above it. What accrued while a
//! Retry-After was waited out is part of that, so waiting loses nothing if the host's burst can hold it.
//! So the first refusal starts a search that ends in a second one, and from then on the pace is kept just under the
//! estimate and raised so slowly that the next refusal, and with it a better estimate, takes several times as long.
//! A rate known from an earlier run is put to the test sooner. [`super::Pace`] calls it; a Retry-After itself is waited out by the caller.

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
    /// Requests that may be asked for beyond the pace, somewhat faster than it: what a burst holds that is known from
    /// before, and what accrued while starts came too late.
    bonus: f64,
    /// What was used of that in the last seconds.
    spent: f64,
    /// From when `let_in` counts: the anchor, or when the rate was taken from before.
    since: Instant,
}

/// The pace that is kept.
#[derive(Clone, Copy, Debug)]
enum Aim {
    /// Doubling in so many seconds from this rate.
    Search { from: f64, doubling: f64 },
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
            true => Aim::Search { from: (2.0 * mean).max(1.0), doubling: 1.0 },
            // Of a burst of one or two a few more on their way make no difference, and each second of search does.
            false if let_in <= TINY => Aim::Search { from: 2.0 * mean, doubling: QUICK },
            false => Aim::Search { from: 2.0 * mean, doubling: 1.0 },
        };
        let mut learned = LearnedRate::with(aim, now);
        learned.first = Some((given, took));
        learned.on_noted(started, now);
        learned.rest(asked, now);
        learned
    }

    /// With a rate known from before, a second, and the burst if it is known: its whole is asked for at once, and within
    /// two minutes it is found out whether the host allows more.
    pub fn from_knowledge(rate: f64, burst: Option<f64>, now: Instant) -> Self {
        let rate = rate.clamp(SLOWEST, FASTEST);
        let credit = burst.unwrap_or(rate).min(rate).max(0.05 * rate);
        let aim = Aim::Hold { rate, raise: 2.0 * credit / KNOWN_SPAN, span: KNOWN_SPAN };
        let mut learned = LearnedRate::with(aim, now);
        learned.first = burst.map(|burst| (burst, 0.0));
        learned.bonus = burst.map_or(0.0, |burst| BONUS * (burst - 1.0));
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
            spent: 0.0,
            since: now,
        }
    }

    /// The rate that was learnt, a second; `None` while it is searched for.
    pub fn rate(&self) -> Option<f64> {
        match self.aim {
            Aim::Search { .. } => None,
            Aim::Hold { rate, .. } => Some(rate),
        }
    }

    /// What is worth knowing of the rate next time: what was learnt, or what the host has given since without a refusal,
    /// if that is more.
    pub fn proven(&self) -> Option<f64> {
        let (given, seconds) = self.given();
        let proven = (f64::from(self.let_in) >= PRECISE).then_some(given / seconds.max(1.0));
        self.rate().map_or(proven, |rate| Some(proven.map_or(rate, |proven| rate.max(proven))))
    }

    /// What the host gave, apart from what it had saved, and in how many seconds.
    fn given(&self) -> (f64, f64) {
        let saved = match self.anchor {
            Some(_) => 0.0,
            None => self.first.map_or(self.pace(), |(burst, _)| burst),
        };
        let seconds = self.last_start.map_or(0.0, |last| last.saturating_duration_since(self.since).as_secs_f64());
        (f64::from(self.let_in) - saved, seconds)
    }

    /// What the host gives at once after a rest, at most; not known for sure before the rate is.
    pub fn burst(&self) -> Option<f64> {
        let (given, took) = self.first?;
        Some((given - self.rate().unwrap_or(0.0) * took).max(1.0))
    }

    /// Starts a second at this moment.
    pub fn pace(&self) -> f64 {
        let pace = match self.aim {
            Aim::Search { from, doubling } => from * (self.clock / doubling).min(40.0).exp2(),
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
            // A turn that was missed is not lost where the host has saved what it would have taken.
            let late = now.saturating_duration_since(self.next_at).as_secs_f64();
            let most = self.burst().map_or(0.0, |burst| CATCH_UP * (burst - 1.0));
            if late > 0.0 && self.bonus < most && self.rate().is_some() {
                self.bonus = (self.bonus + late * pace).min(most);
            }
        }
        self.last_start = Some(now);
        let mut faster = 1.0;
        self.spent -= self.spent / (SPENT_FOR * pace).max(1.0);
        if self.bonus > 0.0 {
            faster += (self.bonus / (CATCH_UP_IN * pace)).clamp(0.1, 0.5);
            self.bonus -= 1.0 - 1.0 / faster;
            self.spent += 1.0 - 1.0 / faster;
        }
        self.next_at = self.next_at.max(now) + Duration::from_secs_f64(1.0 / (pace * faster));
    }

    /// An attempt begun at `started` ended otherwise than refused; `let_in` if there was a response.
    pub fn on_other(&mut self, started: Instant, let_in: bool) {
        if let_in && self.anchor.is_none_or(|anchor| started > anchor) {
            self.let_in = self.let_in.saturating_add(1);
            self.open |= started > self.noted_at;
            self.look_up();
        }
        if self.trial == Trial::Out(started) {
            self.trial = Trial::Over;
        }
    }

    /// A host that has given more than it could at the rate that is known allows more by now.
    fn look_up(&mut self) {
        let Aim::Hold { rate, .. } = self.aim else { return };
        if self.anchor.is_some() {
            return;
        }
        let (given, seconds) = self.given();
        let more = given - (1.0 + 2.0 * MARGIN) * rate * seconds;
        if f64::from(self.let_in) >= PRECISE && more > 3.0 + 0.1 * rate {
            self.aim = Aim::Search { from: self.pace() * (-self.clock / CALM).exp2(), doubling: CALM };
        }
    }

    /// An attempt begun at `started` was refused.
    pub fn on_refusal(&mut self, started: Instant, asked: Option<Duration>, now: Instant) {
        if started <= self.noted_at && self.anchor.is_some() {
            if self.anchor.is_some_and(|anchor| started > anchor) {
                (self.anchor, self.since, self.let_in) = (Some(started), started, 0);
            }
            return;
        }
        if self.open || self.anchor.is_none() {
            self.misses = 0;
            // Soon after more than the pace was asked for: the host has not saved what it was believed to save.
            let saved_less = self.overspent() && self.clock < SURE;
            self.estimate(started, asked);
            if saved_less {
                self.first = self.burst().map(|burst| ((burst / 2.0).max(1.0), 0.0));
            }
        } else {
            self.misses += 1;
        }
        self.on_noted(started, now);
        self.rest(asked, now);
    }

    fn on_noted(&mut self, started: Instant, now: Instant) {
        (self.anchor, self.since, self.let_in, self.open) = (Some(started), started, 0, false);
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
        (self.bonus, self.spent) = (0.0, 0.0);
    }

    /// The window that ends with this refusal is complete: aims anew.
    fn estimate(&mut self, started: Instant, asked: Option<Duration>) {
        let pace = self.pace();
        let Some(anchor) = self.anchor else {
            // Known from before: where the host's allowance stood at first is not, so only the direction is. And not
            // even that where more than the pace was asked for, or for long no more than what was known.
            self.aim = match self.aim {
                Aim::Hold { rate, .. } if self.overspent() || self.clock >= SURE => {
                    hold_at(rate.min(pace), rate * self.credit(asked), self.clock.max(5.0))
                }
                _ => hold_at(pace * 0.97, pace, 5.0),
            };
            return;
        };
        let window = started.saturating_duration_since(anchor).as_secs_f64().max(1e-3);
        let given = f64::from(self.let_in);
        let mean = (given + 0.5) / window;
        let wanted = self.clock >= 0.5 * (window - asked.map_or(1.0, |asked| asked.as_secs_f64()));
        let quick = matches!(self.aim, Aim::Search { doubling, .. } if doubling < 1.0);
        if !wanted || (!quick && given > 1.0 && pace > 4.0 * given / self.clock.max(1e-3)) {
            // The pace was not what bounded the starts: it has to be found out what does.
            self.aim = Aim::Search { from: 2.0 * mean, doubling: 1.0 };
            return;
        }
        let rate = mean.max(self.by_the_end(pace, mean)).max(self.just_under(pace));
        let credit = rate * self.credit(asked);
        let burst = self.burst().unwrap_or(f64::MAX);
        // What saves nothing loses a whole pause with each refusal: they had better be rare.
        let (least, window) = if burst < 2.0 { (0.01, RARER * window) } else { (0.05, window) };
        let credit = credit.min(burst).max(least * rate);
        let precise = given > PRECISE && burst >= 2.0;
        self.aim = hold_at(if precise { rate * (1.0 - MARGIN) } else { rate }, credit, window);
    }

    /// Whether a refusal may be for what was asked for beyond the pace.
    fn overspent(&self) -> bool {
        self.spent > 0.1 * self.burst().unwrap_or(1.0)
    }

    /// The seconds of allowance that a pause of this length saves up, at most.
    fn credit(&self, asked: Option<Duration>) -> f64 {
        asked.unwrap_or(FIRST_PAUSE).as_secs_f64().min(2.0)
    }

    /// A host with a small burst loses what accrues beyond it, so the mean is too low. But it refuses soon after the
    /// pace has passed its rate: when the excess, at the slope the pace had, has used up the burst.
    fn by_the_end(&self, pace: f64, mean: f64) -> f64 {
        let Some((given, took)) = self.first else { return 0.0 };
        let burst = (given - mean * took).max(1.0);
        let slope = match self.aim {
            Aim::Search { doubling, .. } => pace * std::f64::consts::LN_2 / doubling,
            Aim::Hold { raise, span, .. } => {
                let reached = self.clock / span;
                raise / span * (3.0 * reached * reached).max(1.0)
            }
        };
        // The last one must still be there whole; and it takes a start or two until one comes too early.
        let drained_in = (2.0 * (burst - 1.0) / slope).sqrt().max(2.0 / pace);
        if drained_in > self.clock {
            return (f64::from(self.let_in) - burst) / self.clock.max(1e-3);
        }
        // What saves nothing refuses what comes a little early on its way.
        (pace - slope * drained_in) * if burst < 2.0 { UNEVEN } else { 1.0 }
    }

    /// One refusal after a long time at about this pace says little against a pace just under it; and one that took
    /// longer than the credit of the last estimate says that the estimate was too low.
    fn just_under(&self, pace: f64) -> f64 {
        let Aim::Hold { rate, span, .. } = self.aim else { return 0.0 };
        if self.let_in < 50 {
            // What saves nothing says so at the first start that is too early.
            let share = if self.burst().is_some_and(|burst| burst < 2.0) { 0.92 } else { 0.5 };
            return share * rate.min(pace);
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
/// Let in before the first refusal of a host that saves next to nothing.
const TINY: u32 = 2;
/// Seconds in which the search for its rate doubles.
const QUICK: f64 = 0.35;
/// The span in which a rate known from before is put to the test: the host may allow more by now.
const KNOWN_SPAN: f64 = 80.0;
/// Seconds at a known rate after which a refusal says little against it.
const SURE: f64 = 20.0;
/// As much again, once the host has given more than was known.
const CALM: f64 = 20.0;
const RARER: f64 = 3.0;
/// Of the pace at which a host refused that saves nothing.
const UNEVEN: f64 = 0.955;
/// Seconds for which what was asked for beyond the pace may be what a refusal is for.
const SPENT_FOR: f64 = 2.0;
/// Of a burst that is known from before, what is asked for at first, and of any burst, what is made up for.
const BONUS: f64 = 0.97;
const CATCH_UP: f64 = 0.5;
/// Seconds in which that is done, if the pace need not be half as high again for it.
const CATCH_UP_IN: f64 = 1.0;

#[cfg(test)]
mod tests;
