//! `gannet status`: what a run has come to, while it writes and after.

use std::collections::BTreeMap;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::job::{Job, bounded};
use crate::gannet::{command, gannet, wait_until};

fn status(job: &Job) -> Value {
    let out = job.out();
    let ran = bounded(command(["status", out.to_str().unwrap(), "--json"])).assert_code(0);
    serde_json::from_slice(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.text()))
}

#[test]
fn it_tells_of_a_run_that_is_over() {
    let job = Job::mixed(40, 0.0);
    job.run().assert_code(3);
    let told = status(&job);
    let numbers = ["rows", "done", "ok", "failed", "remaining"].map(|key| told[key].as_u64());
    assert_eq!(numbers, [40, 40, 36, 4, 0].map(Some), "{told}");
    assert_eq!((&told["complete"], &told["failed_by_kind"]), (&json!(true), &json!({"status": 4})), "{told}");
    assert!(told["failed_by_host"].as_array().is_some_and(|hosts| hosts.len() == 1), "{told}");
    assert!(told["failed_by_host"].to_string().contains(&job.origin.addr().to_string()), "{told}");
}

#[test]
fn it_tells_while_the_run_writes_and_disturbs_nothing() {
    let job = Job::mixed(120, 0.05).with(["--concurrency", "4", "--durability", "row"]);
    let running = job.start();
    wait_until("some rows are written", || job.lines() >= 12);
    let mut seen = BTreeMap::new();
    let mut last = 0;
    while last < 80 {
        let lines = job.lines() as u64;
        let told = status(&job);
        let done = told["done"].as_u64().unwrap();
        assert!(done >= last, "it went back from {last} to {done}");
        assert_eq!(told["complete"], false, "{told}");
        assert_eq!(told["ok"].as_u64().unwrap() + told["failed"].as_u64().unwrap(), done, "{told}");
        assert!(done <= job.lines() as u64, "{done} are done, and {lines} lines were written");
        last = done;
        seen.insert(done, ());
    }
    assert!(seen.len() > 3, "{seen:?}");
    running.end().assert_code(3);
    job.assert_complete();
    assert_eq!(job.again(), 0);
    assert_eq!(status(&job)["complete"], true);
}

#[test]
fn it_tells_of_a_run_that_was_killed() {
    let job = Job::mixed(60, 0.05).with(["--concurrency", "4", "--durability", "row"]);
    let running = job.start();
    wait_until("some rows are written", || job.lines() >= 20);
    running.signal(Signal::KILL);
    running.end();
    let told = status(&job);
    assert_eq!(told["complete"], false, "{told}");
    assert!(told["remaining"].is_null() || told["remaining"].as_u64() > Some(0), "{told}");
    job.finish();
}

#[test]
fn in_doubt_rows_are_a_kind_of_their_own() {
    let job = Job::new((0..2).map(|n| format!("/hang?n={n}"))).with(["-X", "POST"]);
    let running = job.start();
    wait_until("both hang", || job.origin.stats().in_flight == 2);
    running.signal(Signal::KILL);
    running.end();
    job.run().assert_code(3);
    assert_eq!(status(&job)["failed_by_kind"], json!({"in-doubt": 2}));
}

#[test]
fn it_says_so_where_there_is_nothing_to_tell() {
    let job = Job::mixed(1, 0.0);
    let out = job.out();
    let ran = gannet(["status", out.to_str().unwrap()]);
    assert!([1, 2].contains(&ran.code), "{ran:?}");
    ran.assert_says("out.jsonl");
    assert!(!job.beside(".state").exists(), "looking makes nothing");
}

#[test]
fn text_is_for_people() {
    let job = Job::mixed(20, 0.0);
    job.run().assert_code(3);
    let out = job.out();
    let ran = gannet(["status", out.to_str().unwrap()]).assert_code(0);
    for part in ["20", "18", "2", "status"] {
        assert!(ran.text().contains(part), "{part:?} is not in {}", ran.text());
    }
}
