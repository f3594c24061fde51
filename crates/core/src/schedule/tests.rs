//! Behaviour of the schedule, case by case, on virtual time. Whole runs are played in `world`.

use super::*;
use crate::ErrorKind;
use crate::limit::Rate;

#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
pub(super) fn t0() -> Instant {
    Instant::now()
}

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn row(index: u64) -> RowRef {
    RowRef { index, place: index * 60 }
}

pub(super) fn options(concurrency: usize, per_host: usize) -> ScheduleOptions {
    let limits = Limits { concurrency, per_host: Some(per_host), rate: None };
    ScheduleOptions { limits, polite: PolitenessOptions::off(), ..ScheduleOptions::default() }
}

/// A schedule on a script: rows are given as hosts, one letter each, in the order of the input.
pub(super) struct Scenario {
    pub(super) schedule: Schedule,
    pub(super) now: Instant,
    input: VecDeque<char>,
    next_index: u64,
}

impl Scenario {
    pub(super) fn new(options: ScheduleOptions, hosts: &str) -> Self {
        Scenario { schedule: Schedule::new(options, 1), now: t0(), input: hosts.chars().collect(), next_index: 0 }
    }

    /// Polls and reads on, until there is something else to do.
    pub(super) fn poll(&mut self) -> Action {
        loop {
            match self.schedule.poll(self.now) {
                Action::Read => match self.input.pop_front() {
                    Some('!') => {
                        self.schedule.on_unreadable(self.next_index);
                        self.next_index += 1;
                    }
                    Some(host) => {
                        self.schedule.on_row(row(self.next_index), host.encode_utf8(&mut [0; 4]), self.now);
                        self.next_index += 1;
                    }
                    None => self.schedule.on_end_of_input(),
                },
                other => return other,
            }
        }
    }

    pub(super) fn start(&mut self) -> Start {
        match self.poll() {
            Action::Start(start) => start,
            other => panic!("a start was wanted, not {other:?}"),
        }
    }

    pub(super) fn starts(&mut self, count: usize) -> Vec<Start> {
        (0..count).map(|_| self.start()).collect()
    }

    pub(super) fn indices(&mut self, count: usize) -> Vec<u64> {
        self.starts(count).iter().map(|start| start.row.index).collect()
    }

    pub(super) fn pass(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self
    }

    pub(super) fn end(&mut self, start: Start, outcome: Outcome) -> Verdict {
        self.schedule.on_outcome(start.ticket, outcome, self.now)
    }

    /// Ends an attempt with an outcome that is retried; gives the wait until then.
    pub(super) fn fail(&mut self, start: Start, outcome: Outcome) -> Duration {
        match self.end(start, outcome) {
            Verdict::Retry { at } => at - self.now,
            other => panic!("a retry was wanted, not {other:?}"),
        }
    }
}

pub(super) fn ok() -> Outcome {
    Outcome::response(200)
}

pub(super) fn held(status: u16, seconds: u64) -> Outcome {
    Outcome::response(status).retry_after(Some(secs(seconds)))
}

#[test]
fn starts_go_up_to_the_concurrency_and_on_when_one_ends() {
    let mut s = Scenario::new(options(2, 9), "abc");
    let first = s.start();
    assert_eq!(s.start().row, row(1));
    assert_eq!(s.poll(), Action::WaitForEvent);
    assert_eq!(s.schedule.limited_by(s.now), LimitedBy::Concurrency);
    assert_eq!(s.end(first, ok()), Verdict::Finished);
    let third = s.start();
    assert_eq!((third.row, third.attempt, third.deadline), (row(2), 1, None));
    assert_eq!((s.schedule.in_flight(), s.schedule.finished(), s.schedule.unfinished()), (2, 1, 2));
}

#[test]
fn no_row_is_read_while_none_could_start() {
    let mut s = Scenario::new(options(1, 9), "aaaa");
    s.start();
    assert_eq!(s.poll(), Action::WaitForEvent);
    assert_eq!(s.next_index, 1);
}

#[test]
fn rows_of_a_full_host_are_parked_and_others_pass() {
    let mut s = Scenario::new(options(3, 1), "aaabac");
    assert_eq!(s.indices(3), [0, 3, 5]);
    assert_eq!(s.schedule.parked(), 3);
}

#[test]
fn parked_rows_start_in_their_order_when_the_host_has_room() {
    let mut s = Scenario::new(options(3, 1), "aaa");
    for index in 0..3 {
        let start = s.start();
        assert_eq!(start.row, row(index));
        assert_eq!(s.poll(), Action::WaitForEvent);
        let wanted = if index < 2 { LimitedBy::PerHost("a".into()) } else { LimitedBy::Nothing };
        assert_eq!(s.schedule.limited_by(s.now), wanted);
        assert_eq!(s.end(start, ok()), Verdict::Finished);
    }
    assert_eq!(s.poll(), Action::Done);
    assert_eq!(s.poll(), Action::Done);
}

#[test]
fn hosts_are_served_in_turn() {
    let mut s = Scenario::new(options(4, 4), "");
    for (index, host) in ["a", "a", "a", "b", "b", "c"].into_iter().enumerate() {
        s.schedule.on_row(row(index as u64), host, s.now);
    }
    assert_eq!(s.indices(4), [0, 3, 5, 1]);
}

#[test]
fn an_empty_input_is_done() {
    assert_eq!(Scenario::new(ScheduleOptions::default(), "").poll(), Action::Done);
    assert_eq!(Scenario::new(ScheduleOptions::default(), "!!").poll(), Action::Done);
}

#[test]
fn a_rate_spaces_the_starts_of_each_host_by_itself() {
    let rate = Some(Rate::per_second(2.0).unwrap());
    let limits = Limits { rate, ..Limits::default() };
    let mut s = Scenario::new(ScheduleOptions { limits, ..ScheduleOptions::default() }, "aaabb");
    assert_eq!(s.indices(2), [0, 3]);
    assert_eq!(s.poll(), Action::WaitUntil(s.now + ms(500)));
    assert_eq!(s.schedule.limited_by(s.now), LimitedBy::Rate("a".into()));
    s.pass(ms(500));
    assert_eq!(s.indices(2), [1, 4]);
}

#[test]
fn a_retry_waits_for_its_backoff_and_counts_its_attempts() {
    let mut s = Scenario::new(options(9, 9), "a");
    for (attempt, longest) in [(1, secs(1)), (2, secs(2))] {
        let start = s.start();
        assert_eq!((start.row, start.attempt), (row(0), attempt));
        let wait = s.fail(start, Outcome::failure(ErrorKind::Connect));
        assert!(wait >= longest / 2 && wait <= longest, "{wait:?}");
        assert_eq!(s.poll(), Action::WaitUntil(s.now + wait));
        assert_eq!(s.schedule.limited_by(s.now), LimitedBy::Backoff);
        s.pass(wait);
    }
    let last = s.start();
    assert_eq!(last.ticket.attempt(), 3);
    assert_eq!(s.end(last, Outcome::failure(ErrorKind::Connect)), Verdict::Finished);
    assert_eq!(s.poll(), Action::Done);
}

#[test]
fn due_retries_start_before_fresh_rows_of_their_host() {
    let mut s = Scenario::new(options(1, 1), "aa");
    let start = s.start();
    let wait = s.fail(start, Outcome::response(500));
    let other = s.start();
    assert_eq!(other.row, row(1));
    s.schedule.on_row(row(2), "a", s.now);
    s.pass(wait);
    assert_eq!(s.end(other, ok()), Verdict::Finished);
    assert_eq!(s.indices(1), [0]);
}

#[test]
fn retry_after_holds_the_whole_host_and_no_other() {
    let mut s = Scenario::new(options(9, 9), "aab");
    let [first, _, other] = s.starts(3).try_into().unwrap();
    let base = s.now;
    assert_eq!(s.fail(first, held(429, 5)), secs(5));
    assert_eq!(s.end(other, ok()), Verdict::Finished);
    s.schedule.on_row(row(3), "a", s.now);
    s.schedule.on_row(row(4), "b", s.now);
    assert_eq!(s.indices(1), [4]);
    assert_eq!(s.poll(), Action::WaitUntil(base + secs(5)));
    assert_eq!(s.schedule.limited_by(s.now), LimitedBy::RetryAfter("a".into()));
    s.pass(secs(5));
    let mut after = s.indices(2);
    after.sort_unstable();
    assert_eq!(after, [0, 3]);
}

#[test]
fn a_hold_is_extended_and_never_shortened() {
    let mut s = Scenario::new(options(9, 9), "aaaa");
    let base = s.now;
    let [a, b, c, d] = s.starts(4).try_into().unwrap();
    assert_eq!(s.fail(a, held(503, 5)), secs(5));
    assert_eq!(s.fail(b, held(429, 60)), secs(60));
    assert_eq!(s.fail(c, held(429, 2)), secs(60), "a retry waits for the hold of its host");
    let wait = s.fail(d, Outcome::response(500));
    assert_eq!(wait, secs(60));
    s.pass(secs(5));
    assert_eq!(s.poll(), Action::WaitUntil(base + secs(60)));
    s.pass(secs(55));
    assert_eq!(s.starts(4).len(), 4);
}

#[test]
fn a_hold_outlives_the_row_that_brought_it() {
    let mut policy = options(9, 9);
    policy.retry.attempts = 1;
    let mut s = Scenario::new(policy, "aa");
    let start = s.start();
    assert_eq!(s.end(start, held(429, 7)), Verdict::Finished);
    assert_eq!(s.poll(), Action::WaitUntil(s.now + secs(7)));
    assert_eq!(s.pass(secs(7)).start().row, row(1));
}

#[test]
fn a_host_in_line_is_not_started_when_a_hold_comes() {
    let mut s = Scenario::new(options(9, 9), "a");
    let start = s.start();
    s.schedule.on_row(row(1), "a", s.now);
    assert_eq!(s.end(start, held(429, 7)), Verdict::Retry { at: s.now + secs(7) });
    assert_eq!(s.poll(), Action::WaitUntil(s.now + secs(7)));
}

#[test]
fn a_retry_that_would_start_past_its_deadline_is_not_made() {
    let deadline = Some(secs(4));
    for (outcome, pass, retried) in [
        (held(429, 4), 0, false),
        (held(429, 3), 0, true),
        (held(429, 3), 1, false),
        (Outcome::response(500), 4, false),
    ] {
        let mut s = Scenario::new(ScheduleOptions { deadline, ..options(9, 9) }, "a");
        let start = s.start();
        assert_eq!(start.deadline, Some(s.now + secs(4)));
        let verdict = s.pass(secs(pass)).end(start, outcome);
        assert_eq!(verdict != Verdict::Finished, retried, "{outcome:?}");
    }
}

#[test]
fn a_row_whose_host_is_held_past_its_deadline_expires_and_is_not_lost() {
    let deadline = Some(secs(10));
    let mut s = Scenario::new(ScheduleOptions { deadline, ..options(9, 9) }, "aa");
    let [first, second] = s.starts(2).try_into().unwrap();
    let wait = s.fail(first, Outcome::response(500));
    assert_eq!(s.end(second, held(429, 60)), Verdict::Finished);
    s.pass(wait);
    assert_eq!(s.poll(), Action::Expired { row: row(0), attempts: 1 });
    assert_eq!(s.poll(), Action::Done);
    assert_eq!(s.schedule.finished(), 2);
}

#[test]
fn a_due_row_without_room_expires_at_its_deadline() {
    let deadline = Some(secs(10));
    let mut s = Scenario::new(ScheduleOptions { deadline, ..options(2, 1) }, "ab");
    let [first, _other] = s.starts(2).try_into().unwrap();
    let base = s.now;
    let wait = s.fail(first, Outcome::response(500));
    s.schedule.on_row(row(2), "a", s.now);
    let blocking = s.start();
    assert_eq!(blocking.row, row(2));
    assert_eq!(s.poll(), Action::WaitUntil(base + wait));
    s.pass(wait);
    assert_eq!(s.poll(), Action::WaitUntil(base + secs(10)));
    s.pass(secs(10) - wait);
    assert_eq!(s.poll(), Action::Expired { row: row(0), attempts: 1 });
    assert_eq!(s.poll(), Action::WaitForEvent);
}

#[test]
fn the_next_batch_is_read_when_the_last_row_is_finished() {
    let batch = NonZeroU64::new(2);
    let mut s = Scenario::new(ScheduleOptions { batch, ..options(9, 9) }, "a!abb");
    let first = s.start();
    assert_eq!(s.poll(), Action::WaitForEvent);
    assert_eq!(s.schedule.limited_by(s.now), LimitedBy::Batch);
    let wait = s.fail(first, Outcome::response(500));
    assert_eq!(s.poll(), Action::WaitUntil(s.now + wait), "a row between attempts is not finished");
    let again = s.pass(wait).start();
    assert_eq!(s.end(again, ok()), Verdict::Finished);
    assert_eq!(s.poll(), Action::BatchDone { number: 1, rows: 2 });
    for start in s.starts(2) {
        assert_eq!(s.end(start, ok()), Verdict::Finished);
    }
    assert_eq!(s.poll(), Action::BatchDone { number: 2, rows: 2 });
    let last = s.start();
    assert_eq!(s.end(last, ok()), Verdict::Finished);
    assert_eq!(s.poll(), Action::BatchDone { number: 3, rows: 1 });
    assert_eq!(s.poll(), Action::Done);
}

#[test]
fn there_is_no_empty_batch() {
    let batch = NonZeroU64::new(2);
    let mut s = Scenario::new(ScheduleOptions { batch, ..options(9, 9) }, "!!");
    assert_eq!(s.poll(), Action::BatchDone { number: 1, rows: 2 });
    assert_eq!(s.poll(), Action::Done);
    assert_eq!(Scenario::new(ScheduleOptions { batch, ..options(9, 9) }, "").poll(), Action::Done);
}

#[test]
fn a_source_that_cannot_be_read_again_bounds_what_is_parked() {
    let mut s = Scenario::new(ScheduleOptions { max_parked: Some(2), ..options(9, 1) }, "aaaaab");
    let start = s.start();
    assert_eq!(s.poll(), Action::WaitForEvent);
    assert_eq!((s.schedule.parked(), s.next_index), (2, 3));
    assert_eq!(s.schedule.limited_by(s.now), LimitedBy::PerHost("a".into()));
    assert_eq!(s.end(start, ok()), Verdict::Finished);
    assert_eq!(s.start().row, row(1));
    assert_eq!(s.poll(), Action::WaitForEvent);
    assert_eq!(s.schedule.parked(), 2);
}

#[test]
fn an_input_without_a_row_is_not_asked_until_it_is_ready() {
    let mut s = Scenario::new(options(9, 9), "a");
    assert_eq!(s.schedule.poll(s.now), Action::Read);
    s.schedule.on_input_pending();
    assert_eq!(s.poll(), Action::WaitForEvent);
    assert_eq!(s.schedule.limited_by(s.now), LimitedBy::Input);
    s.schedule.on_input_ready();
    assert_eq!(s.start().row, row(0));
}

#[test]
fn pauses_suspend_starts_and_the_output_reads_too() {
    for (why, reads, limit) in [(Pause::Output, 0, LimitedBy::Output), (Pause::Memory, 1, LimitedBy::Memory)] {
        let mut s = Scenario::new(options(9, 9), "ab");
        s.schedule.pause(why, true);
        assert_eq!(s.poll(), Action::WaitForEvent);
        assert_eq!(s.next_index, reads);
        assert_eq!(s.schedule.limited_by(s.now), limit);
        s.schedule.pause(why, false);
        assert_eq!(s.indices(2), [0, 1]);
    }
}

#[test]
fn stop_lets_what_is_in_flight_finish_and_leaves_the_rest() {
    let mut s = Scenario::new(options(2, 2), "aaa");
    let [first, second] = s.starts(2).try_into().unwrap();
    s.schedule.stop();
    assert_eq!(s.poll(), Action::WaitForEvent);
    assert!(s.fail(first, Outcome::response(500)) > Duration::ZERO);
    assert_eq!(s.poll(), Action::WaitForEvent);
    assert_eq!(s.end(second, ok()), Verdict::Finished);
    assert_eq!(s.poll(), Action::Done);
    assert_eq!((s.schedule.finished(), s.schedule.unfinished()), (1, 1));
}

#[test]
fn a_shortage_is_no_attempt_and_caps_starts_at_what_fits() {
    let mut s = Scenario::new(options(4, 4), "aaaaaa");
    let mut starts = s.starts(4);
    let base = s.now;
    assert_eq!(s.end(starts.remove(0), Outcome::failure(ErrorKind::Resources)), Verdict::Requeued);
    assert_eq!(s.end(starts.remove(0), Outcome::failure(ErrorKind::Resources)), Verdict::Requeued);
    assert_eq!(s.poll(), Action::WaitUntil(base + ms(100)));
    assert_eq!(s.schedule.limited_by(s.now), LimitedBy::Resources);
    assert_eq!(s.end(starts.remove(0), ok()), Verdict::Finished);
    let again = s.start();
    assert_eq!((again.row.index, again.attempt), (1, 1), "the row that failed last is in front");
    assert_eq!(s.poll(), Action::WaitUntil(base + ms(100)));
    s.pass(ms(100));
    assert_eq!(s.indices(1), [0]);
    assert_eq!(s.poll(), Action::WaitUntil(base + ms(200)));
}

#[test]
fn a_shortage_with_nothing_in_flight_waits_longer_each_time() {
    for concurrency in [1, 8] {
        let mut s = Scenario::new(options(concurrency, 8), "a");
        let mut waits = Vec::new();
        for _ in 0..8 {
            let start = s.start();
            assert_eq!(start.attempt, 1);
            assert_eq!(s.end(start, Outcome::failure(ErrorKind::Resources)), Verdict::Requeued);
            let Action::WaitUntil(at) = s.poll() else { panic!("a shortage is waited out") };
            waits.push((at - s.now).as_millis());
            s.now = at;
        }
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        let start = s.start();
        assert_eq!(s.end(start, ok()), Verdict::Finished);
        assert_eq!(s.poll(), Action::Done);
    }
}

#[test]
fn after_the_pause_of_a_shortage_starts_come_one_by_one() {
    let mut s = Scenario::new(options(8, 8), "aa");
    for start in s.starts(2) {
        assert_eq!(s.end(start, Outcome::failure(ErrorKind::Resources)), Verdict::Requeued);
    }
    let base = s.now;
    assert_eq!(s.poll(), Action::WaitUntil(base + ms(100)));
    assert_eq!(s.pass(ms(100)).indices(1), [1]);
    assert_eq!(s.poll(), Action::WaitUntil(base + ms(200)));
    assert_eq!(s.pass(ms(100)).indices(1), [0]);
}

#[test]
fn answers_lift_the_cap_of_a_shortage() {
    let mut s = Scenario::new(options(100, 100), &"a".repeat(400));
    let mut starts = s.starts(50);
    s.schedule.pause(Pause::Output, true);
    for start in starts.split_off(4) {
        assert_eq!(s.end(start, Outcome::failure(ErrorKind::Resources)), Verdict::Requeued);
    }
    s.schedule.pause(Pause::Output, false);
    for _ in 0..16 {
        let start = starts.remove(0);
        assert_eq!(s.end(start, ok()), Verdict::Finished);
        while let Action::Start(start) = s.poll() {
            starts.push(start);
        }
    }
    assert_eq!(starts.len(), 5);
}

#[test]
fn a_million_hosts_one_after_another_stay_few() {
    let rate = Some(Rate::per_second(10.0).unwrap());
    let limits = Limits { rate, ..Limits::default() };
    let mut schedule = Schedule::new(ScheduleOptions { limits, ..ScheduleOptions::default() }, 1);
    let mut now = t0();
    for index in 0..200_000 {
        schedule.on_row(row(index), &format!("host-{index}.example:443"), now);
        let Action::Start(start) = schedule.poll(now) else { panic!("a fresh host can start") };
        assert_eq!(schedule.on_outcome(start.ticket, ok(), now), Verdict::Finished);
        now += Duration::from_micros(10);
    }
    assert!(schedule.hosts() <= 40_000, "{}", schedule.hosts());
}

#[test]
fn a_host_that_comes_again_is_still_held_by_its_rate() {
    let rate = Some(Rate::per_second(0.001).unwrap());
    let limits = Limits { rate, ..Limits::default() };
    let mut s = Scenario::new(ScheduleOptions { limits, ..ScheduleOptions::default() }, "a");
    let start = s.start();
    assert_eq!(s.end(start, ok()), Verdict::Finished);
    for index in 0..40_000 {
        s.schedule.on_row(row(index), &format!("host-{index}"), s.now);
        let Action::Start(start) = s.schedule.poll(s.now) else { panic!("a fresh host can start") };
        assert_eq!(s.schedule.on_outcome(start.ticket, ok(), s.now), Verdict::Finished);
    }
    s.schedule.on_row(row(1), "a", s.now);
    assert_eq!(s.poll(), Action::WaitUntil(s.now + secs(1000)));
}

#[test]
fn long_deadlines_leave_no_timers_of_finished_rows_behind() {
    let deadline = Some(secs(1_000_000));
    let mut s = Scenario::new(ScheduleOptions { deadline, ..options(1, 1) }, "");
    for index in 0..10_000 {
        s.schedule.on_row(row(index), "a", s.now);
        let start = s.start();
        let wait = s.fail(start, Outcome::response(500));
        let again = s.pass(wait).start();
        assert_eq!(s.end(again, ok()), Verdict::Finished);
    }
    assert!(s.schedule.timers.len() <= 200, "{}", s.schedule.timers.len());
}

#[test]
fn a_host_that_fails_everything_parks_its_fresh_rows() {
    let mut policy = options(1, 1);
    policy.retry.backoff.base = secs(60);
    let mut s = Scenario::new(policy, &"a".repeat(50_000));
    while let Action::Start(start) = s.poll() {
        s.fail(start, Outcome::failure(ErrorKind::Connect));
    }
    assert_eq!(s.schedule.waiting_retry(), 16_384);
    assert_eq!(s.schedule.parked(), 50_000 - 16_384);
    assert_eq!(s.pass(secs(60)).start().attempt, 2);
}

#[test]
fn delays_beyond_the_clock_saturate() {
    let deadline = Some(Duration::MAX);
    let mut s = Scenario::new(ScheduleOptions { deadline, ..options(1, 1) }, "aa");
    let start = s.start();
    let endless = Outcome::response(429).retry_after(Some(Duration::MAX));
    assert_eq!(s.end(start, endless), Verdict::Finished, "the hold is past any deadline");
    assert!(matches!(s.poll(), Action::WaitUntil(_)));
}

#[test]
fn a_row_that_this_machine_is_always_too_short_for_is_finished_with_that() {
    let mut now = t0();
    let mut schedule = Schedule::new(ScheduleOptions::default(), 1);
    schedule.on_row(RowRef { index: 0, place: 0 }, "h", now);
    schedule.on_end_of_input();
    let began = now;
    loop {
        match schedule.poll(now) {
            Action::Start(start) => {
                let short = Outcome::failure(ErrorKind::Resources);
                if schedule.on_outcome(start.ticket, short, now) == Verdict::Finished {
                    break;
                }
            }
            Action::WaitUntil(at) => now = at,
            other => panic!("{other:?}"),
        }
        assert!(now - began < Duration::from_secs(400), "it ends");
    }
    assert!(now - began >= Duration::from_secs(300), "but not soon");
}

#[test]
fn a_host_that_asked_behind_a_redirect_is_held_before_and_after_its_rows_are_read() {
    let now = t0();
    let mut schedule = Schedule::new(ScheduleOptions::default(), 1);
    schedule.on_hold("b", Duration::from_secs(5), now);
    schedule.on_hold("b", Duration::from_secs(1), now);
    schedule.on_row(RowRef { index: 0, place: 0 }, "b", now);
    schedule.on_end_of_input();
    assert_eq!(schedule.poll(now), Action::WaitUntil(now + Duration::from_secs(5)), "never shortened");
    schedule.on_hold("b", Duration::from_secs(9), now);
    let at = now + Duration::from_secs(5);
    assert_eq!(schedule.poll(at), Action::WaitUntil(now + Duration::from_secs(9)));
    assert!(matches!(schedule.poll(now + Duration::from_secs(9)), Action::Start(_)));
}
