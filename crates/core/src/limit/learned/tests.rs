//! The learned rate, step by step. How it fares against servers is in `tests/it/politeness.rs`.

use super::*;

#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
fn t0() -> Instant {
    Instant::now()
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Starts as early as the gate allows and is let in at once, from `now` for so many seconds; when and how many.
fn run(learned: &mut LearnedRate, mut now: Instant, seconds: f64) -> (Instant, u32) {
    let until = now + secs(seconds);
    let mut starts = 0;
    loop {
        now = now.max(learned.opens_at(now));
        if now >= until {
            return (until, starts);
        }
        learned.on_start(now);
        learned.on_other(now, true);
        starts += 1;
    }
}

/// Fifty were let in during the first 300 ms, then came a 429 with Retry-After: 1.
fn refused_once(base: Instant) -> LearnedRate {
    LearnedRate::from_first_refusal(50, base, base + ms(300), Some(secs(1.0)), base + ms(301))
}

#[test]
fn what_was_let_in_between_two_refusals_bounds_the_rate() {
    let base = t0();
    let mut learned = refused_once(base);
    assert_eq!(learned.rate(), None);
    let (now, starts) = run(&mut learned, base + ms(1300), 0.7);
    learned.on_start(now);
    learned.on_refusal(now, Some(secs(1.0)), now + ms(1));
    // At least what was let in over the whole time, at most what was let in over the time after the pause.
    let rate = learned.rate().unwrap();
    let (least, most) = (f64::from(starts) / 1.7, f64::from(starts) / 0.7);
    assert!((least..most).contains(&rate), "{rate} is not between {least} and {most}");
}

#[test]
fn after_a_refusal_one_attempt_goes_first_and_the_others_when_it_was_let_in() {
    let base = t0();
    let mut learned = refused_once(base);
    let now = base + ms(1300);
    assert!(learned.allows());
    learned.on_start(now);
    assert!(!learned.allows());
    learned.on_other(base, true);
    assert!(!learned.allows(), "an older attempt says nothing about now");
    learned.on_other(now, false);
    assert!(learned.allows());
}

#[test]
fn refusals_of_attempts_that_were_under_way_are_one_refusal() {
    let base = t0();
    let mut learned = refused_once(base);
    let (now, _) = run(&mut learned, base + ms(1300), 1.0);
    learned.on_start(now);
    learned.on_refusal(now, None, now + ms(10));
    let rate = learned.rate();
    for late in 1..20 {
        learned.on_refusal(now + ms(late) / 4, None, now + ms(10 + late));
    }
    assert_eq!(learned.rate(), rate);
}

#[test]
fn without_retry_after_it_rests_for_a_second_and_twice_as_long_while_nothing_is_let_in() {
    let base = t0();
    let mut learned = LearnedRate::from_first_refusal(50, base, base, None, base);
    let mut now = base;
    let mut rests = Vec::new();
    for _ in 0..8 {
        let opens = learned.opens_at(now);
        rests.push((opens - now).as_secs());
        now = opens;
        learned.on_start(now);
        now += ms(1);
        learned.on_refusal(now - ms(1), None, now);
    }
    assert_eq!(rests, [1, 2, 4, 8, 16, 32, 60, 60]);
}

#[test]
fn an_outage_is_no_word_on_the_rate() {
    let base = t0();
    let mut learned = LearnedRate::from_knowledge(50.0, Some(50.0), base);
    let (mut now, _) = run(&mut learned, base, 10.0);
    for _ in 0..6 {
        now = now.max(learned.opens_at(now));
        learned.on_start(now);
        learned.on_refusal(now, None, now + ms(1));
        now += ms(1);
    }
    let rate = learned.rate().unwrap();
    assert!(rate > 45.0, "{rate}");
}

#[test]
fn a_known_rate_is_kept_to_for_a_minute_and_left_behind_by_a_host_that_gives_more() {
    let base = t0();
    let mut learned = LearnedRate::from_knowledge(50.0, None, base);
    let (now, starts) = run(&mut learned, base, 60.0);
    assert!((2_990..=3_040).contains(&starts), "{starts}");
    run(&mut learned, now, 240.0);
    assert!(learned.pace() > 100.0, "{}", learned.pace());
}

#[test]
fn what_was_given_without_a_refusal_is_worth_knowing_next_time() {
    let base = t0();
    let mut learned = LearnedRate::from_knowledge(50.0, Some(20.0), base);
    assert_eq!(learned.proven(), Some(50.0), "nothing new yet");
    let (_, starts) = run(&mut learned, base, 170.0);
    let proven = learned.proven().unwrap();
    assert!(proven > 50.5 && proven <= f64::from(starts) / 170.0, "{proven} of {starts}");
}

/// As `run`, but a fifth of the time nothing can start: 200 ms in each second.
fn run_with_gaps(learned: &mut LearnedRate, base: Instant, seconds: u64) -> Vec<Duration> {
    let mut starts = Vec::new();
    let mut now = base;
    while now < base + Duration::from_secs(seconds) {
        now = now.max(learned.opens_at(now));
        let into = (now - base).subsec_millis();
        if into < 200 {
            now += ms(u64::from(200 - into));
        }
        learned.on_start(now);
        learned.on_other(now, true);
        starts.push(now - base);
    }
    starts
}

#[test]
fn turns_that_came_late_are_made_up_for_where_the_host_saves_them_and_nowhere_else() {
    let base = t0();
    let mut saving = LearnedRate::from_knowledge(50.0, Some(50.0), base);
    let starts = run_with_gaps(&mut saving, base, 40).len();
    assert!((1_960..=2_060).contains(&starts), "{starts} of 2,000 and what was saved at first");
    let mut none = LearnedRate::from_knowledge(50.0, Some(1.0), base);
    let starts = run_with_gaps(&mut none, base, 40);
    let closest = starts.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
    assert!(closest >= Duration::from_micros(19_900), "{closest:?}");
}

#[test]
fn an_idle_host_is_not_raised() {
    let base = t0();
    let mut learned = LearnedRate::from_knowledge(50.0, None, base);
    for minute in 0..1_000 {
        let now = base + Duration::from_secs(60 * minute);
        assert!(learned.opens_at(now) <= now);
        learned.on_start(now);
        learned.on_other(now, true);
    }
    assert!(learned.pace() < 51.2, "{}", learned.pace());
}

#[test]
fn a_long_retry_after_is_the_rest_of_a_window_and_gives_the_rate_at_once() {
    let base = t0();
    let learned = LearnedRate::from_first_refusal(600, base, base + secs(1.0), Some(secs(59.0)), base + secs(1.0));
    let rate = learned.rate().unwrap();
    assert!((9.5..=10.0).contains(&rate), "{rate}");
}

#[test]
fn a_refusal_of_what_was_not_limited_by_the_pace_starts_a_new_search() {
    let base = t0();
    let mut learned = LearnedRate::from_first_refusal(50, base, base + ms(300), None, base + ms(301));
    let (mut now, _) = run(&mut learned, base + ms(1301), 1.0);
    learned.on_start(now);
    learned.on_refusal(now, None, now);
    assert!(learned.rate().is_some());
    for second in 2..100 {
        now = base + Duration::from_secs(2 + second);
        learned.on_start(now);
        learned.on_other(now, true);
    }
    learned.on_start(now + ms(500));
    learned.on_refusal(now + ms(500), None, now + ms(500));
    assert_eq!(learned.rate(), None);
    assert!(learned.pace() >= 1.5, "{}", learned.pace());
}

#[test]
fn absurd_knowledge_is_bounded() {
    let base = t0();
    for rate in [f64::MIN_POSITIVE, 1e-9, 1e12, f64::MAX] {
        let mut learned = LearnedRate::from_knowledge(rate, Some(f64::MAX), base);
        learned.on_start(base);
        learned.on_refusal(base, Some(Duration::from_secs(u64::from(u32::MAX))), base + ms(1));
        let pace = learned.pace();
        assert!((1e-4..=1e6).contains(&pace), "{pace}");
        let _ = learned.opens_at(base);
    }
}
