//! Signals: the first drains and commits, the second ends at once, and after either the run can be resumed.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::job::Job;
use crate::gannet::wait_until;

#[test]
fn the_first_signal_drains_and_says_how_to_resume() {
    for signal in [Signal::INT, Signal::TERM] {
        let job = Job::mixed(200, 0.1).with(["--concurrency", "8"]).aloud();
        let running = job.start();
        wait_until("some rows are written", || job.lines() >= 20);
        running.signal(signal);
        let ran = running.end().assert_code(4);
        let left = job.left();
        assert_eq!(left.lost(), 0, "what was on its way was finished: {ran:?}");
        assert!(left.held.len() < 100, "it went on: {} rows", left.held.len());
        ran.assert_says(RESUME);
        job.finish();
        job.assert_kept(&left);
        assert_eq!(job.again(), 0);
    }
}

#[test]
fn the_second_signal_ends_it_within_a_second() {
    let job = Job::new((0..20).map(|n| if n < 10 { format!("/items/{n}") } else { format!("/items/{n}?delay=2") }));
    let job = job.with(["--concurrency", "8", "--per-host", "0"]).aloud();
    let mut running = job.start();
    wait_until("eight are on their way", || job.origin.stats().in_flight == 8 && job.lines() == 10);
    running.signal(Signal::INT);
    running.wait_for_line("stopping");
    let asked = Instant::now();
    running.signal(Signal::INT);
    running.end().assert_code(4).assert_says(RESUME);
    assert!(asked.elapsed() < Duration::from_secs(1), "it took {:?}", asked.elapsed());
    let left = job.left();
    assert_eq!(left.held, (0..10).collect());
    job.run().assert_code(0);
    job.assert_complete();
    job.assert_kept(&left);
    assert_eq!(job.again(), 8);
}

#[test]
fn a_kill_while_it_drains_costs_only_what_was_on_its_way() {
    for first in [Signal::INT, Signal::TERM] {
        let job = Job::new((0..40).map(|n| if n < 20 { format!("/items/{n}") } else { format!("/items/{n}?delay=1") }));
        let job = job.with(["--concurrency", "8", "--per-host", "0"]);
        let mut running = job.start();
        wait_until("eight are on their way", || job.origin.stats().in_flight == 8 && job.lines() == 20);
        running.signal(first);
        running.wait_for_line("stopping");
        running.signal(Signal::KILL);
        running.end();
        let left = job.left();
        job.finish();
        job.assert_kept(&left);
        assert_eq!(job.again(), 8);
    }
}

#[test]
fn a_stopped_run_may_be_stopped_again_and_again() {
    let job = Job::mixed(120, 0.02).with(["--concurrency", "4"]);
    for rows in [10, 40, 80] {
        let running = job.start();
        wait_until("some rows more are written", || job.lines() >= rows);
        running.signal(Signal::TERM);
        running.end().assert_code(4);
    }
    job.finish();
    assert_eq!(job.again(), 0);
    job.assert_over();
}

#[test]
fn a_run_that_failed_fast_is_resumed_behind_the_failure() {
    let job = Job::mixed(60, 0.02).with(["--concurrency", "4"]);
    job.run_with(&["--fail-fast"]).assert_code(4);
    let left = job.left();
    assert!(left.held.contains(&9), "{:?}", left.held);
    job.finish();
    job.assert_kept(&left);
}

/// What is said of how to go on.
const RESUME: &str = "the same command again";
