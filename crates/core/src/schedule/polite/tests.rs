//! What is adapted to and guarded, through the schedule's doors, on virtual time.

use std::time::Duration;

use super::super::tests::{Scenario, held, ms, ok, row, secs};
use super::super::*;
use super::*;
use crate::ErrorKind;
use crate::limit::DeclaredLimit;

fn only(set: impl FnOnce(&mut PolitenessOptions)) -> ScheduleOptions {
    let mut polite = PolitenessOptions::off();
    set(&mut polite);
    ScheduleOptions { polite, ..ScheduleOptions::default() }
}

fn refused() -> Outcome {
    Outcome::failure(ErrorKind::Connect)
}

/// Starts all that can start without time passing.
fn all_starts(s: &mut Scenario) -> Vec<Start> {
    std::iter::from_fn(|| match s.poll() {
        Action::Start(start) => Some(start),
        _ => None,
    })
    .collect()
}

#[test]
fn a_few_start_at_once_then_a_hundred_a_second_and_the_limits_stay_the_ceiling() {
    let mut s = Scenario::new(ScheduleOptions::default(), &"a".repeat(500));
    assert_eq!(all_starts(&mut s).len(), 5);
    assert_eq!(s.schedule.limited_by(s.now), LimitedBy::Adaptive("a".into()));
    let mut in_flight = 5;
    for _ in 0..2_000 {
        s.pass(ms(1));
        in_flight += all_starts(&mut s).len();
    }
    assert_eq!(in_flight, 8, "nothing was answered yet");
    let mut limited = ScheduleOptions::default();
    limited.limits.per_host = Some(3);
    assert_eq!(all_starts(&mut Scenario::new(limited, &"a".repeat(500))).len(), 3);
}

#[test]
fn the_adaptive_limit_is_told_and_lifted_by_answers() {
    let mut s = Scenario::new(ScheduleOptions::default(), &"a".repeat(500));
    let mut starts = all_starts(&mut s);
    while starts.len() < 8 {
        starts.extend(all_starts(s.pass(ms(10))));
    }
    s.pass(secs(1));
    assert!(all_starts(&mut s).is_empty());
    assert_eq!(s.schedule.limited_by(s.now), LimitedBy::Adaptive("a".into()));
    assert_eq!(s.end(starts.remove(0), ok()), Verdict::Finished);
    let mut more = all_starts(&mut s).len();
    more += all_starts(s.pass(ms(20))).len();
    assert_eq!(more, 2, "one for the one that ended, and one more");
}

#[test]
fn a_refusal_leads_to_a_pace_that_is_told_and_remembered() {
    let mut s = Scenario::new(ScheduleOptions::default(), &"a".repeat(5_000));
    let base = s.now;
    for start in all_starts(&mut s).into_iter().skip(1) {
        assert_eq!(s.end(start, ok()), Verdict::Finished);
    }
    s.pass(ms(100));
    let start = s.start();
    assert_eq!(s.end(start, held(429, 20)), Verdict::Retry { at: base + ms(100) + secs(20) });
    s.pass(secs(20));
    let first = all_starts(&mut s);
    assert_eq!(first.len(), 1, "one tries it");
    for start in first {
        assert_eq!(s.end(start, ok()), Verdict::Finished);
    }
    assert!(all_starts(&mut s).is_empty());
    assert_eq!(s.schedule.limited_by(s.now), LimitedBy::LearnedRate("a".into()));
    let learnt: Vec<_> = s.schedule.learnt().map(|(host, learnt)| (host.to_owned(), learnt)).collect();
    assert!(matches!(&learnt[..], [(host, Learnt { rate: Some(_), .. })] if host == "a"), "{learnt:?}");
}

#[test]
fn what_was_taught_holds_from_the_first_start_and_outlives_a_sweep() {
    let mut s = Scenario::new(ScheduleOptions::default(), "");
    let known = Learnt { rate: Some(10.0), burst: Some(1.0), concurrency: Some(5) };
    s.schedule.teach("a", known, s.now);
    for round in 0..2 {
        for index in 0..3 {
            s.schedule.on_row(row(index), "a", s.now);
        }
        let start = s.start();
        let Action::WaitUntil(at) = s.poll() else { panic!("the second start waits for the pace") };
        assert_eq!((at - s.now).as_millis(), 100, "round {round}");
        assert_eq!(s.end(start, ok()), Verdict::Finished);
        for _ in 0..2 {
            let start = s.pass(ms(101)).start();
            assert_eq!(s.end(start, ok()), Verdict::Finished);
        }
        s.pass(secs(10));
        for index in 0..40_000 {
            s.schedule.on_row(row(index), &format!("host-{index}"), s.now);
            let start = s.start();
            assert_eq!(s.end(start, ok()), Verdict::Finished);
        }
        let rate = s.schedule.learnt().find(|(host, _)| *host == "a").and_then(|(_, learnt)| learnt.rate);
        assert!(rate.is_some_and(|rate| (9.9..10.1).contains(&rate)), "{rate:?}");
    }
    let mut fixed = Scenario::new(only(|_| {}), "aaa");
    fixed.schedule.teach("a", known, fixed.now);
    assert_eq!(all_starts(&mut fixed).len(), 3, "with it off, limits hold as they are set");
}

#[test]
fn an_open_breaker_parks_the_rows_and_one_at_a_time_tries_the_host() {
    let mut s = Scenario::new(only(|polite| polite.breaker = true), &"a".repeat(40));
    let mut starts = s.starts(32);
    assert_eq!(s.end(starts.remove(0), ok()), Verdict::Finished);
    let last_attempt = |s: &mut Scenario, start| matches!(s.end(start, refused()), Verdict::Retry { .. });
    for start in starts {
        assert!(last_attempt(&mut s, start), "no row fails by the breaker");
    }
    let Action::WaitUntil(mut at) = s.poll() else { panic!("the breaker is open") };
    assert_eq!(s.schedule.limited_by(s.now), LimitedBy::Breaker("a".into()));
    let mut waits = Vec::new();
    for _ in 0..3 {
        while at > s.now {
            s.now = at;
            match s.poll() {
                Action::WaitUntil(next) => at = next,
                Action::Start(start) => {
                    assert!(!matches!(s.poll(), Action::Start(_)), "one at a time");
                    waits.push(s.now);
                    let _ = s.end(start, refused());
                }
                other => panic!("{other:?}"),
            }
        }
        let Action::WaitUntil(next) = s.poll() else { panic!("it stays open") };
        at = next;
    }
    assert!(waits.windows(2).all(|pair| pair[1] - pair[0] >= secs(5)), "{waits:?}");
}

/// Plays one host until the end of its rows; `up` says when it answers. How long it took, and how many rows failed.
fn play(options: ScheduleOptions, rows: usize, up: impl Fn(Duration) -> bool) -> (Duration, usize) {
    let mut s = Scenario::new(options, &"a".repeat(rows));
    let (base, mut failed) = (s.now, 0);
    let mut under_way: VecDeque<Start> = VecDeque::new();
    loop {
        match s.poll() {
            Action::Start(start) => under_way.push_back(start),
            Action::Done => return (s.now - base, failed),
            Action::WaitForEvent | Action::WaitUntil(_) if !under_way.is_empty() => {
                s.pass(ms(5));
                let start = under_way.pop_front().unwrap();
                let outcome = if up(s.now - base) { ok() } else { refused() };
                let finished = s.end(start, outcome) == Verdict::Finished;
                failed += usize::from(finished && outcome.error.is_some());
            }
            Action::WaitUntil(at) => s.now = at,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_outage_of_a_minute_fails_no_rows_but_those_that_tried_it() {
    let up = |at: Duration| at < secs(2) || at > secs(62);
    let (took, failed) = play(ScheduleOptions::default(), 1_000, up);
    assert!(failed <= 3 && took < secs(200), "{failed} failed, {took:?}");
    let (_, without) = play(only(|_| {}), 1_000, up);
    assert!(without > 100, "{without}");
}

#[test]
fn a_host_that_never_answers_or_not_for_long_does_not_hold_up_the_run() {
    let (took, failed) = play(ScheduleOptions::default(), 500, |_| false);
    assert_eq!(failed, 500);
    assert!(took < secs(300), "{took:?}");
    let (took, failed) = play(ScheduleOptions::default(), 500, |at| at < ms(500));
    assert!(failed > 300 && took > secs(300) && took < secs(1_500), "{failed} failed, {took:?}");
}

#[test]
fn retries_beyond_their_budget_wait_behind_fresh_rows_and_are_done_in_the_end() {
    let mut s = Scenario::new(only(|polite| polite.retry_budget = true), &"a".repeat(400));
    for start in s.starts(32) {
        let _ = s.end(start, Outcome::response(500));
    }
    s.pass(secs(2));
    let attempts: Vec<_> = s.starts(32).iter().map(|start| start.attempt).collect();
    let retries = attempts.iter().filter(|attempt| **attempt == 2).count();
    assert!(retries == 6 && attempts[3..15].iter().all(|attempt| *attempt == 1), "a fifth: {attempts:?}");
    let (took, failed) = play(only(|polite| polite.retry_budget = true), 400, |at| at > secs(1));
    assert_eq!(failed, 0);
    assert!(took < secs(120), "{took:?}");
}

#[test]
fn a_declared_limit_is_kept_to_until_it_is_renewed() {
    let declares = |remaining| Some(DeclaredLimit { remaining, reset: secs(10) });
    for (remaining, waits) in [(5u64, 2_000), (0, 10_000)] {
        let mut s = Scenario::new(only(|polite| polite.rate_limit_headers = true), "");
        for index in 0..50 {
            s.schedule.on_row(row(index), "a", s.now);
        }
        let start = s.start();
        assert_eq!(s.end(start, ok().rate_limit(declares(remaining))), Verdict::Finished);
        if remaining > 0 {
            s.start();
        }
        let Action::WaitUntil(at) = s.poll() else { panic!("{remaining} left are not 49") };
        assert_eq!((at - s.now).as_millis(), waits);
        assert_eq!(s.schedule.limited_by(s.now), LimitedBy::DeclaredLimit("a".into()));
    }
}

#[test]
fn a_declared_limit_that_all_rows_fit_into_slows_nothing() {
    let mut s = Scenario::new(only(|polite| polite.rate_limit_headers = true), &"a".repeat(20));
    let start = s.start();
    let limit = Some(DeclaredLimit { remaining: 5_000, reset: secs(3_600) });
    assert_eq!(s.end(start, ok().rate_limit(limit)), Verdict::Finished);
    assert_eq!(all_starts(&mut s).len(), 19);
}

/// A host whose 200 answers came after 20 ms each, and which may be sent ten copies.
fn known_latencies(rules: impl FnOnce(&mut PolitenessOptions)) -> Scenario {
    let mut s = Scenario::new(only(rules), "");
    for index in 0..200 {
        s.schedule.on_row(row(index), "a", s.now);
        let start = s.start();
        assert!(start.hedge_after.is_none() || index >= 100, "not enough is known");
        s.pass(ms(20));
        assert_eq!(s.end(start, ok().latency(Some(ms(20)))), Verdict::Finished);
    }
    s
}

#[test]
fn a_retry_after_that_one_of_two_copies_brings_holds_while_the_other_goes_on() {
    let mut s = known_latencies(|polite| polite.hedge = true);
    for index in 0..3 {
        s.schedule.on_row(row(index), "a", s.now);
    }
    let starts = s.starts(2);
    s.pass(starts[0].hedge_after.unwrap());
    assert!(s.schedule.hedge(&starts[0].ticket, s.now));
    s.schedule.on_hedge_done(&starts[0].ticket, Some(&held(429, 7)), s.now);
    assert_eq!((s.schedule.in_flight(), s.poll()), (2, Action::WaitUntil(s.now + secs(7))));
    assert!(!s.schedule.hedge(&starts[1].ticket, s.now), "no copies while the host pushes back");
    let [first, second] = <[Start; 2]>::try_from(starts).unwrap();
    assert_eq!(s.end(first, ok().latency(Some(ms(50)))), Verdict::Finished);
    assert_eq!(s.poll(), Action::WaitUntil(s.now + secs(7)), "the winner does not lift it");
    assert_eq!(s.end(second, ok()), Verdict::Finished);
    s.pass(secs(7));
    assert_eq!(s.start().row, row(2));
    assert_eq!(s.schedule.receipt().retry_after_violations, 0);
}

#[test]
fn failures_of_copies_open_the_breaker_too() {
    let mut s = known_latencies(|polite| {
        polite.hedge = true;
        polite.breaker = true;
    });
    for index in 0..32 {
        s.schedule.on_row(row(index), "a", s.now);
    }
    let starts = s.starts(31);
    s.pass(starts[0].hedge_after.unwrap());
    let mut failed = 0;
    for start in &starts {
        if s.schedule.hedge(&start.ticket, s.now) {
            s.schedule.on_hedge_done(&start.ticket, Some(&refused()), s.now);
            failed += 1;
        }
    }
    assert!((3..=10).contains(&failed), "{failed}");
    assert!(matches!(s.poll(), Action::WaitUntil(at) if at > s.now));
    assert_eq!(s.schedule.limited_by(s.now), LimitedBy::Breaker("a".into()));
}

#[test]
fn copies_count_against_a_declared_limit() {
    let mut s = known_latencies(|polite| {
        polite.hedge = true;
        polite.rate_limit_headers = true;
    });
    for index in 0..31 {
        s.schedule.on_row(row(index), "a", s.now);
    }
    let start = s.start();
    let limit = DeclaredLimit { remaining: 10, reset: secs(10) };
    assert_eq!(s.end(start, ok().latency(Some(ms(20))).rate_limit(Some(limit))), Verdict::Finished);
    let start = s.start();
    s.pass(secs(1));
    assert!(s.schedule.hedge(&start.ticket, s.now));
    assert_eq!(s.poll(), Action::WaitUntil(s.now + secs(1)), "the copy was the one of this second");
    s.schedule.on_hedge_done(&start.ticket, None, s.now);
    assert!(!s.schedule.hedge(&start.ticket, s.now));
    s.pass(secs(1));
    assert_eq!(s.start().row, row(2));
}

#[test]
fn a_copy_of_a_slow_request_counts_in_flight_and_one_in_twenty_gets_one() {
    let mut s = known_latencies(|polite| polite.hedge = true);
    for index in 0..100 {
        s.schedule.on_row(row(index), "a", s.now);
    }
    let starts = s.starts(31);
    let after = starts[0].hedge_after.unwrap();
    assert!(after >= ms(20) && after < ms(25), "{after:?}");
    s.pass(after);
    assert!(s.schedule.hedge(&starts[0].ticket, s.now));
    assert_eq!(s.schedule.in_flight(), 32);
    assert!(!s.schedule.hedge(&starts[1].ticket, s.now), "the limit of the host holds for copies too");
    s.schedule.on_hedge_done(&starts[0].ticket, None, s.now);
    assert_eq!(s.schedule.in_flight(), 31);
    let copies = starts.iter().filter(|start| {
        let may = s.schedule.hedge(&start.ticket, s.now);
        if may {
            s.schedule.on_hedge_done(&start.ticket, None, s.now);
        }
        may
    });
    assert_eq!(copies.count(), 9, "ten saved, one used");
}

#[test]
fn the_receipt_counts_what_was_done_to_each_host_also_when_it_was_forgotten() {
    let mut s = Scenario::new(only(|_| {}), "aaaab");
    let starts = s.starts(5);
    for start in starts {
        assert_eq!(s.end(start, ok()), Verdict::Finished);
    }
    s.pass(secs(5));
    for index in 0..40_000 {
        s.schedule.on_row(row(index), &format!("host-{index}"), s.now);
        let start = s.start();
        assert_eq!(s.end(start, ok()), Verdict::Finished);
    }
    let receipt = s.schedule.receipt();
    assert_eq!((receipt.most_at_once, receipt.most_per_second, receipt.retry_after_violations), (5, 4, 0));
    assert_eq!(receipt.hosts_total, 40_002);
    assert_eq!((receipt.hosts[0].host.as_str(), receipt.hosts[0].starts), ("a", 4));
}

#[test]
fn the_options_read_back_with_their_defaults() {
    let text = serde_json::to_string(&PolitenessOptions::default()).unwrap();
    let wanted = r#"{"adaptive":true,"retry_budget":true,"breaker":true,"breaker_patience":600,"rate_limit_headers":true,"hedge":false}"#;
    assert_eq!(text, wanted);
    assert_eq!(serde_json::from_str::<PolitenessOptions>(r#"{"hedge":false}"#).unwrap(), PolitenessOptions::default());
    assert!(serde_json::from_str::<PolitenessOptions>(r#"{"adapt":true}"#).is_err());
}

#[test]
fn what_a_host_costs_is_little_until_there_is_something_to_remember() {
    assert!(size_of::<host::Host>() <= 128, "{}", size_of::<host::Host>());
    assert!(size_of::<crate::limit::Pace>() <= 264, "{}", size_of::<crate::limit::Pace>());
}

#[test]
fn a_trial_that_brings_no_answer_is_followed_by_another() {
    let mut s = Scenario::new(ScheduleOptions::default(), &"a".repeat(40));
    for start in all_starts(&mut s) {
        let _ = s.end(start, held(503, 2));
    }
    for _ in 0..3 {
        s.pass(secs(5));
        let trials = all_starts(&mut s);
        assert!(!trials.is_empty(), "nothing would ever start again");
        for trial in trials {
            let _ = s.end(trial, Outcome::failure(ErrorKind::Connection));
        }
    }
}
