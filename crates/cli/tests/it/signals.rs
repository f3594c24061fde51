//! Ctrl-C: the first drains, the second ends at once; what is written is whole.

use std::time::{Duration, Instant};

use gannet_origin::Origin;
use rustix::process::Signal;

use crate::gannet::{Running, wait_until};

#[test]
fn the_first_signal_lets_what_runs_finish_and_starts_nothing_more() {
    for signal in [Signal::INT, Signal::TERM] {
        let origin = Origin::start_blocking().unwrap();
        let url = origin.url("/items/{1..1000}?delay=1");
        let mut running = Running::start(["fetch", &url, "--concurrency", "4"]);
        wait_until("four are in flight", || origin.stats().in_flight == 4);
        running.signal(signal);
        running.wait_for_line("stopping: 4 in flight");
        let ran = running.end().assert_code(4).assert_says("what is written is whole");
        let rows = ran.rows();
        assert_eq!(rows.len(), 4, "{rows:?}");
        assert!(rows.iter().all(|row| row["ok"] == true), "{rows:?}");
        assert_eq!(origin.stats().requests, 4);
    }
}

#[test]
fn the_second_signal_ends_it_at_once() {
    let origin = Origin::start_blocking().unwrap();
    let mut running = Running::start(["fetch", &origin.url("/items/1"), &origin.url("/hang?n={1..3}")]);
    wait_until("three hang", || origin.stats().requests == 4 && origin.stats().in_flight == 3);
    running.signal(Signal::INT);
    running.wait_for_line("stopping: 3 in flight");
    let asked = Instant::now();
    running.signal(Signal::INT);
    let ran = running.end().assert_code(4);
    assert!(asked.elapsed() < Duration::from_secs(10), "it waited for the drain");
    assert_eq!(ran.rows().len(), 1, "{}", ran.text());
}
