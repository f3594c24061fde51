use super::*;
use crate::retry::Rng;
use proptest::prelude::*;

#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
fn t0() -> Instant {
    Instant::now()
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn good() -> Outcome {
    Outcome::response(200)
}

fn refused() -> Outcome {
    Outcome::failure(ErrorKind::Connect)
}

/// Tells an outcome `times` times at one instant; whether it opened at the last and not before.
fn opens_at_the_last(breaker: &mut Breaker, outcome: Outcome, times: u32, now: Instant) -> bool {
    let opened: Vec<_> = (0..times).map(|_| breaker.on_outcome(&outcome, now, &mut Rng::new(1))).collect();
    let (last, before) = opened.split_last().unwrap();
    *last && !before.contains(&true)
}

fn opened(now: Instant) -> Breaker {
    let mut breaker = Breaker::new();
    assert!(opens_at_the_last(&mut breaker, refused(), 5, now));
    breaker
}

#[test]
fn five_connect_failures_in_a_row_open_it_and_an_answer_between_does_not() {
    let now = t0();
    for kind in [ErrorKind::Dns, ErrorKind::Connect, ErrorKind::Tls, ErrorKind::TimeoutConnect] {
        assert!(opens_at_the_last(&mut Breaker::new(), Outcome::failure(kind), 5, now), "{kind}");
    }
    let mut breaker = Breaker::new();
    for outcome in [refused(), refused(), refused(), refused(), good(), refused(), refused()] {
        assert!(!breaker.on_outcome(&outcome, now, &mut Rng::new(1)));
    }
    assert_eq!(breaker.opens_at(), None);
}

#[test]
fn a_host_that_is_reached_in_between_is_not_out_of_reach() {
    let mut breaker = Breaker::new();
    for outcome in [[refused(); 4], [Outcome::response(500); 4], [refused(); 4]].concat() {
        assert!(!breaker.on_outcome(&outcome, t0(), &mut Rng::new(1)));
    }
}

#[test]
fn every_failure_of_a_host_counts_to_twenty_and_nothing_else_does() {
    let now = t0();
    let kinds = [ErrorKind::Connection, ErrorKind::Body, ErrorKind::TimeoutRead, ErrorKind::TimeoutTotal];
    let failures = kinds.into_iter().chain([ErrorKind::TimeoutDeadline]).map(Outcome::failure);
    for outcome in failures.chain([500, 503, 599].map(Outcome::response)) {
        assert!(opens_at_the_last(&mut Breaker::new(), outcome, 20, now), "{outcome:?}");
    }
    let own = [ErrorKind::Resources, ErrorKind::TimeoutPool, ErrorKind::Closed, ErrorKind::Request, ErrorKind::Denied];
    let harmless = own.into_iter().chain([ErrorKind::Protocol, ErrorKind::Decode]).map(Outcome::failure);
    for outcome in harmless.chain([200, 304, 404, 408, 429].map(Outcome::response)) {
        let mut breaker = Breaker::new();
        for _ in 0..100 {
            assert!(!breaker.on_outcome(&outcome, now, &mut Rng::new(1)), "{outcome:?}");
        }
    }
}

#[test]
fn half_of_the_outcomes_open_it_and_less_than_half_do_not() {
    let now = t0();
    let run = |failures_of_ten: u32| {
        let mut breaker = Breaker::new();
        (0..100u32).any(|n| {
            let outcome = Outcome::response(if n % 10 >= 10 - failures_of_ten { 500 } else { 200 });
            breaker.on_outcome(&outcome, now + secs(1) * (n / 10), &mut Rng::new(1))
        })
    };
    assert!(run(5));
    assert!(!run(4));
}

#[test]
fn a_body_that_broke_counts_although_its_status_is_200() {
    let broken = Outcome { status: Some(200), ..Outcome::failure(ErrorKind::Body) };
    assert!(opens_at_the_last(&mut Breaker::new(), broken, 20, t0()));
}

#[test]
fn failures_older_than_the_window_are_forgotten() {
    let now = t0();
    let mut breaker = Breaker::new();
    for n in 0..19 {
        assert!(!breaker.on_outcome(&Outcome::response(500), now, &mut Rng::new(n)));
    }
    assert!(!breaker.on_outcome(&good(), now + secs(30), &mut Rng::new(1)));
    for n in 0..18 {
        assert!(!breaker.on_outcome(&Outcome::response(500), now + secs(30), &mut Rng::new(n)));
    }
    assert!(breaker.on_outcome(&Outcome::response(500), now + secs(30), &mut Rng::new(1)), "19 of 20 by now");
}

#[test]
fn a_host_that_lets_a_few_requests_hang_opens_it_too() {
    // Four at a time, each ending after the default read timeout: never twenty within 30 s.
    let mut now = t0();
    let mut breaker = Breaker::new();
    let hung = Outcome::failure(ErrorKind::TimeoutRead);
    for _ in 0..4 {
        now += secs(60);
        (0..4).for_each(|_| assert!(!breaker.on_outcome(&hung, now, &mut Rng::new(1))));
    }
    assert!(opens_at_the_last(&mut breaker, hung, 4, now + secs(60)));
}

#[test]
fn open_times_double_up_to_the_longest_in_their_upper_half() {
    let mut now = t0();
    let mut breaker = opened(now);
    let mut rng = Rng::new(3);
    for longest in [5, 10, 20, 40, 80, 160, 300, 300, 300] {
        let until = breaker.opens_at().unwrap();
        assert!(until >= now + secs(longest) / 2 && until <= now + secs(longest), "{longest}: {:?}", until - now);
        assert!(!breaker.take_probe(until - Duration::from_nanos(1)));
        now = until;
        assert!(breaker.take_probe(now));
        assert!(!breaker.on_probe(&refused(), now, &mut rng));
    }
}

#[test]
fn one_probe_at_a_time_and_a_good_one_closes_and_starts_over() {
    let mut breaker = opened(t0());
    let now = breaker.opens_at().unwrap();
    assert!(breaker.take_probe(now));
    assert!(!breaker.take_probe(now + secs(299)));
    assert!(breaker.on_probe(&Outcome::response(404), now, &mut Rng::new(1)));
    assert_eq!(breaker.opens_at(), None);
    assert!(!breaker.take_probe(now), "a closed breaker asks for no probe");
    assert!(opens_at_the_last(&mut breaker, refused(), 5, now));
    assert!(breaker.opens_at().unwrap() <= now + secs(5));
}

#[test]
fn a_probe_that_says_nothing_or_never_ends_makes_way_for_another() {
    let mut breaker = opened(t0());
    let now = breaker.opens_at().unwrap();
    assert!(breaker.take_probe(now));
    assert!(!breaker.on_probe(&Outcome::failure(ErrorKind::Resources), now, &mut Rng::new(1)));
    assert!(breaker.take_probe(now));
    assert_eq!(breaker.opens_at(), Some(now + secs(300)));
    assert!(breaker.take_probe(now + secs(300)));
}

#[test]
fn attempts_from_before_it_opened_change_nothing() {
    let now = t0();
    let mut breaker = opened(now);
    let until = breaker.opens_at();
    for outcome in [good(), refused(), Outcome::response(500)] {
        assert!(!breaker.on_outcome(&outcome, now, &mut Rng::new(9)));
        assert_eq!(breaker.opens_at(), until);
    }
}

#[test]
fn it_is_small_and_forgotten_once_its_failures_are() {
    assert!(size_of::<Breaker>() <= 64, "{}", size_of::<Breaker>());
    let now = t0();
    let mut breaker = Breaker::new();
    assert!(breaker.is_forgettable(now));
    breaker.on_outcome(&Outcome::response(500), now, &mut Rng::new(1));
    breaker.on_outcome(&good(), now, &mut Rng::new(1));
    assert!(!breaker.is_forgettable(now + secs(29)));
    assert!(breaker.is_forgettable(now + secs(30)));
    assert!(!opened(now).is_forgettable(now + secs(3600)));
}

#[test]
fn a_flood_keeps_its_share_of_failures() {
    let now = t0();
    let mut breaker = Breaker::new();
    let mut rng = Rng::new(1);
    for n in 0..400_000u32 {
        let status = if n % 5 >= 3 { 500 } else { 200 };
        assert!(!breaker.on_outcome(&Outcome::response(status), now, &mut rng), "{n}");
    }
    let opened = (0..120_000).any(|_| breaker.on_outcome(&Outcome::response(500), now, &mut rng));
    assert!(opened);
}

proptest! {
    /// Against a log of all outcomes: it opens by share only if the true 30 s hold enough failures, and whenever
    /// the last 25 s do.
    #[test]
    fn it_opens_when_the_log_says_so(
        script in prop::collection::vec((0u64..4_000, prop::bool::weighted(0.45)), 1..300),
    ) {
        let mut now = t0();
        let mut breaker = Breaker::new();
        let mut log: Vec<(Instant, bool)> = Vec::new();
        for (gap, failed) in script {
            now += Duration::from_millis(gap);
            log.push((now, failed));
            let outcome = Outcome::response(if failed { 500 } else { 200 });
            let opened = breaker.on_outcome(&outcome, now, &mut Rng::new(gap));
            let share = |window: Duration| {
                let within: Vec<_> = log.iter().filter(|(at, _)| now - *at < window).collect();
                (within.iter().filter(|(_, failed)| *failed).count(), within.len())
            };
            let in_a_row = log.iter().rev().take_while(|(_, failed)| *failed).count();
            // The window's true length is somewhere between the two; each whole bucket between is one candidate.
            let trips = |(failed, all): (usize, usize)| all >= 20 && failed * 2 >= all;
            let lengths = || (25_000..=30_000).step_by(1).map(Duration::from_millis);
            if opened {
                prop_assert!(in_a_row >= 20 || lengths().any(|length| trips(share(length))));
                break;
            }
            prop_assert!(in_a_row < 20 && !lengths().all(|length| trips(share(length))));
        }
    }

    /// Whatever happens, an open breaker lets one probe through per opening, never before its time.
    #[test]
    fn no_probe_starts_early_or_twice(
        script in prop::collection::vec((0u64..20_000, 0u8..4), 1..200),
    ) {
        let mut now = t0();
        let mut breaker = opened(now);
        let mut rng = Rng::new(5);
        let mut probing_since: Option<Instant> = None;
        for (gap, event) in script {
            now += Duration::from_millis(gap);
            let open_until = breaker.opens_at();
            match event {
                0 => {
                    let taken = breaker.take_probe(now);
                    prop_assert_eq!(taken, open_until.is_some_and(|until| until <= now));
                    if taken {
                        prop_assert!(probing_since.is_none_or(|since| now - since >= secs(300)));
                        probing_since = Some(now);
                    }
                }
                1 => {
                    breaker.on_outcome(&refused(), now, &mut rng);
                }
                2 if probing_since.take().is_some() => {
                    prop_assert!(!breaker.on_probe(&refused(), now, &mut rng));
                    let until = breaker.opens_at().unwrap();
                    prop_assert!(until > now && until <= now + secs(300));
                }
                3 if probing_since.take().is_some() => {
                    prop_assert!(breaker.on_probe(&good(), now, &mut rng));
                }
                _ => {}
            }
        }
    }
}
