//! Limits that change while a run is under way: what waits for room, or for the rate, is looked at anew.

use std::time::Instant;

use super::Schedule;
use super::host::{Stand, Terms};
use crate::limit::Limits;

impl Terms {
    /// What the limits ask of each host.
    pub(super) fn of(limits: &Limits) -> Self {
        let per_host = limits.per_host.unwrap_or(usize::MAX).max(1);
        let short = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let ceiling = short(per_host.min(limits.concurrency.max(1)));
        Terms { per_host: short(per_host), ceiling, rate: limits.rate.map(Into::into) }
    }
}

impl Schedule {
    /// The limits that hold now.
    pub fn limits(&self) -> &Limits {
        &self.options.limits
    }

    /// Other limits from now on. Raised, they allow starts at the next [`Schedule::poll`]; lowered, what is in flight goes
    /// on, and nothing starts before enough of it has ended. A new rate counts what was started under the old one, but
    /// holds no start back longer than its own interval. O(hosts).
    pub fn set_limits(&mut self, limits: Limits, now: Instant) {
        self.concurrency = limits.concurrency.max(1);
        self.terms = Terms::of(&limits);
        self.options.limits = limits;
        for id in self.hosts.ids() {
            let host = &mut self.hosts[id];
            host.on_new_terms(&self.terms, now);
            if matches!(host.stand, Stand::Asleep(_)) {
                host.stand = Stand::Idle;
            }
            self.settle(id, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Scenario, ms, options, secs};
    use super::super::{Action, Outcome, Start};
    use super::*;
    use crate::limit::Rate;
    use proptest::prelude::*;

    fn limits(concurrency: usize, per_host: usize, rate: Option<f64>) -> Limits {
        let rate = rate.map(|starts| Rate::per_second(starts).unwrap());
        Limits { concurrency, per_host: Some(per_host), rate }
    }

    impl Scenario {
        fn limit(&mut self, concurrency: usize, per_host: usize, rate: Option<f64>) {
            self.schedule.set_limits(limits(concurrency, per_host, rate), self.now);
        }
    }

    #[test]
    fn raised_caps_allow_starts_at_once() {
        let mut run = Scenario::new(options(1, 1), "aaaabbbb");
        let _held = run.starts(1);
        assert_eq!(run.poll(), Action::WaitForEvent);
        run.limit(3, 1, None);
        assert_eq!(run.indices(1), [4], "of the other host");
        assert_eq!(run.poll(), Action::WaitForEvent);
        run.limit(4, 2, None);
        assert_eq!(run.indices(2).len(), 2);
        assert_eq!((run.schedule.in_flight(), run.poll()), (4, Action::WaitForEvent));
        assert_eq!(run.schedule.limits(), &limits(4, 2, None));
    }

    #[test]
    fn lowered_caps_start_nothing_before_enough_has_ended() {
        let mut run = Scenario::new(options(4, 4), "aaaaaaaa");
        let mut held = run.starts(4);
        run.limit(4, 2, None);
        for left in [3, 2] {
            let _ = run.end(held.pop().unwrap(), Outcome::response(200));
            assert_eq!((run.schedule.in_flight(), run.poll()), (left, Action::WaitForEvent));
        }
        let _ = run.end(held.pop().unwrap(), Outcome::response(200));
        held.extend(run.starts(1));
        run.limit(1, 2, None);
        let _ = run.end(held.pop().unwrap(), Outcome::response(200));
        assert_eq!(run.poll(), Action::WaitForEvent);
        let _ = run.end(held.pop().unwrap(), Outcome::response(200));
        assert_eq!(run.indices(1).len(), 1);
    }

    #[test]
    fn a_rate_is_followed_from_the_moment_it_is_set() {
        let mut run = Scenario::new(options(100, 100), &"a".repeat(50));
        let _ = run.starts(3);
        run.limit(100, 100, Some(1.0));
        let _ = run.starts(1);
        assert_eq!(run.poll(), Action::WaitUntil(run.now + secs(1)));
        // From one a minute on, the next would be due in a minute.
        run.limit(100, 100, Some(1.0 / 60.0));
        run.pass(secs(1));
        let _ = run.starts(1);
        assert_eq!(run.poll(), Action::WaitUntil(run.now + secs(60)));
        run.limit(100, 100, Some(5.0));
        assert_eq!(run.poll(), Action::WaitUntil(run.now + ms(200)));
        run.pass(ms(200));
        let _ = run.starts(1);
        run.limit(100, 100, None);
        assert_eq!(run.starts(40).len(), 40);
    }

    proptest! {
        /// Whatever the limits were: no start beyond those that hold, none held back below them, every row done.
        #[test]
        fn no_change_breaks_a_cap_or_loses_a_row(
            rows in "[abc]{1,60}",
            steps in prop::collection::vec((0u8..4, 1usize..8, 1usize..5), 1..120),
        ) {
            let mut run = Scenario::new(options(2, 2), &rows);
            let (mut caps, mut flying, mut done) = ((2, 2), Vec::<(char, Start)>::new(), 0);
            let host = |start: &Start| rows.as_bytes()[start.row.index as usize] as char;
            for (kind, first, second) in steps.into_iter().chain(std::iter::repeat_n((0, 0, 0), 200)) {
                match kind {
                    0 if !flying.is_empty() => {
                        let (_, start) = flying.swap_remove(first % flying.len());
                        let _ = run.end(start, Outcome::response(200));
                        done += 1;
                    }
                    1 => {
                        caps = (first, second);
                        run.limit(first, second, None);
                    }
                    _ => {}
                }
                loop {
                    match run.poll() {
                        Action::Start(start) => {
                            flying.push((host(&start), start));
                            let (last, _) = flying[flying.len() - 1];
                            prop_assert!(flying.len() <= caps.0, "more than the concurrency");
                            prop_assert!(flying.iter().filter(|(of, _)| *of == last).count() <= caps.1);
                        }
                        Action::WaitForEvent => {
                            let room = |of: char| flying.iter().filter(|(host, _)| *host == of).count() < caps.1;
                            let waits = run.schedule.parked() > 0 && flying.is_empty();
                            prop_assert!(!waits, "nothing runs and rows wait");
                            prop_assert!(flying.len() >= caps.0 || !('a'..='c').all(room) || run.schedule.parked() == 0);
                            break;
                        }
                        Action::Done => break,
                        other => prop_assert!(false, "{other:?}"),
                    }
                }
            }
            prop_assert_eq!(done, rows.len());
        }
    }
}
