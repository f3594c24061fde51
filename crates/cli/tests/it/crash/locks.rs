//! One output, one process.

use rustix::process::Signal;

use super::job::{Job, bounded};
use super::strace::Tamper;
use crate::gannet::{command, wait_until};

#[test]
fn a_second_process_on_one_output_is_refused_at_once() {
    let job = Job::new((0..4).map(|n| format!("/items/{n}?delay=2")));
    let first = job.start();
    wait_until("the first is at work", || job.origin.stats().in_flight == 4);
    for more in [&[][..], &["--force"], &["--fresh"]] {
        let second = job.run_with(more).assert_code(2).assert_says("another").assert_says("out.jsonl");
        assert!(second.err.contains("gannet"), "{}", second.err);
    }
    assert_eq!(job.origin.stats().requests, 4, "the second asked nothing");
    first.end().assert_code(0);
    job.assert_complete();
}

#[test]
fn the_same_output_under_another_name_is_the_same_output() {
    let job = Job::new((0..2).map(|n| format!("/items/{n}?delay=2")));
    let first = job.start();
    wait_until("the first is at work", || job.origin.stats().in_flight == 2);
    let roundabout = job.place.path("").join("../").join(job.place.path("").file_name().unwrap()).join("out.jsonl");
    bounded(command(job.args_to(&roundabout))).assert_code(2).assert_says("another");
    first.end().assert_code(0);
    job.assert_complete();
}

#[test]
fn a_link_to_an_output_that_is_in_use_is_refused_even_to_start_over() {
    let job = Job::new((0..4).map(|n| format!("/items/{n}?delay=1")));
    let first = job.start();
    wait_until("the first is at work", || job.origin.stats().in_flight == 4);
    let link = job.place.path("link.jsonl");
    std::os::unix::fs::symlink(job.out(), &link).unwrap();
    for more in [&[][..], &["--fresh"]] {
        let mut args = job.args_to(&link);
        args.extend(more.iter().map(|&arg| arg.to_owned()));
        bounded(command(args)).assert_code(2);
    }
    first.end().assert_code(0);
    job.assert_complete();
    assert_eq!(job.again(), 0);
}

#[test]
fn after_a_kill_the_next_starts() {
    let job = Job::new((0..4).map(|n| format!("/items/{n}?delay=0.2")));
    let first = job.start();
    wait_until("the first is at work", || job.origin.stats().in_flight == 4);
    first.signal(Signal::KILL);
    first.end();
    job.finish();
}

#[test]
fn two_that_start_together_never_both_run() {
    let job = Job::new((0..20).map(|n| format!("/items/{n}?delay=0.1")));
    for _ in 0..5 {
        job.origin.reset_stats();
        let both = [job.start_with(&["--fresh"]), job.start_with(&["--fresh"])];
        let mut codes = both.map(|running| running.end().code);
        codes.sort_unstable();
        // Where one was quick enough to end before the other began, both are right.
        assert!(codes == [0, 2] || codes == [0, 0], "{codes:?}");
        job.assert_complete();
        assert!(codes == [0, 0] || job.again() == 0, "two asked at once");
    }
}

#[test]
fn a_file_system_without_locks_is_refused() {
    for error in ["ENOLCK", "EOPNOTSUPP"] {
        let job = Job::mixed(10, 0.0);
        let ran = Tamper::fail("flock,fcntl", error, "1+").on(&job.beside(".state")).run(&job).assert_code(2);
        ran.assert_says("lock").assert_says("out.jsonl");
        assert_eq!(job.origin.stats().requests, 0);
        assert!(!job.out().exists(), "nothing was begun");
        // Elsewhere, or later, it runs.
        job.finish();
    }
}
