//! Ctrl-C: the first drains, the second ends at once; what is written is whole.

use std::time::{Duration, Instant};

use gannet_origin::Origin;
use rustix::process::Signal;

use crate::gannet::{Running, command, wait_until};

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

#[test]
fn a_second_signal_ends_a_run_whose_output_nobody_reads_and_says_what_is_missing() {
    let origin = Origin::start_blocking().unwrap();
    let mut command = command(["fetch", &origin.url("/bytes/20000?n={1..5000}")]);
    // The reading end is held and never read.
    let (reader, writer) = std::io::pipe().unwrap();
    command.stdout(writer).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(command);
    // 25 rows of 27 kB are ten times what the pipe holds.
    wait_until("more is fetched than the pipe holds", || origin.stats().requests >= 25);
    let pid = rustix::process::Pid::from_child(&child);
    // Signals that follow each other closely may merge into one, and the first alone waits for the drain.
    wait_until("it ends", || {
        let _ = rustix::process::kill_process(pid, Signal::INT);
        child.try_wait().unwrap().is_some()
    });
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(4), "{said}");
    assert!(said.contains("not all of it is written"), "{said}");
    drop(reader);
}
