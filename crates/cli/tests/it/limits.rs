//! How much runs at once and how fast it starts, as the origin saw it.

use gannet_origin::Origin;

use crate::gannet::{gannet, ran};

#[test]
fn no_more_run_at_once_than_allowed() {
    for (options, most) in [(["--concurrency", "4"], 4), (["--per-host", "3"], 3)] {
        let origin = Origin::start_blocking().unwrap();
        let url = origin.url("/items/{1..12}?delay=0.1");
        gannet([&["fetch", url.as_str(), "--format", "none"], &options[..]].concat()).assert_code(0);
        assert_eq!(origin.stats().max_in_flight, most, "{options:?}");
    }
}

#[test]
fn a_host_has_no_limit_of_its_own_with_zero() {
    let origin = Origin::start_blocking().unwrap();
    let url = origin.url("/items/{1..60}?delay=0.5");
    gannet(["fetch", &url, "--format", "none", "--per-host", "0", "--no-adapt"]).assert_code(0);
    assert!(origin.stats().max_in_flight > 32, "{}", origin.stats().max_in_flight);
}

#[test]
fn starts_keep_to_the_rate() {
    let origin = Origin::start_blocking().unwrap();
    gannet(["fetch", &origin.url("/items/{1..30}"), "--format", "none", "--rate", "20/s"]).assert_code(0);
    let stats = origin.stats();
    assert_eq!(stats.requests, 30);
    // The rate and one burst of a tenth of it; what a busy machine delayed may come together with what follows.
    assert!(stats.per_second.max <= 24, "{:?}", stats.per_second);
}

#[test]
fn batches_follow_each_other_and_are_told() {
    let origin = Origin::start_blocking().unwrap();
    let url = origin.url("/items/{1..10}?delay=0.05");
    let ran = gannet(["fetch", &url, "--batch", "4"]).assert_code(0);
    let batches: Vec<_> = ran.rows().iter().map(|row| row["index"].as_u64().unwrap() / 4).collect();
    assert!(batches.is_sorted(), "{batches:?}");
    assert_eq!(origin.stats().max_in_flight, 4);
    ran.assert_says("batch 1 done: 4 rows").assert_says("batch 3 done: 2 rows; so far 10 ok");
}

#[test]
fn too_few_open_files_are_told_once_and_charged_to_no_row() {
    let origin = Origin::start_blocking().unwrap();
    let by_address = origin.url("/items/{1..300}?delay=0.01");
    let by_name = by_address.replace("127.0.0.1", "localhost");
    for url in [by_address, by_name] {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "ulimit -n 100; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_gannet"), "fetch"]);
        shell.args([url.as_str(), "--per-host", "0", "--format", "none"]);
        let ran = ran(shell).assert_code(0).assert_says("100 files").assert_says("300 ok, 0 failed");
        assert_eq!(ran.err.matches("warning").count(), 1, "{}", ran.err);
    }
}
