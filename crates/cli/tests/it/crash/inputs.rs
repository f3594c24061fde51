//! An input that changed since the run began is refused; one that only grew is continued.

use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::json;

use super::job::{Job, bounded};
use crate::gannet::{command, gannet, rows_in, wait_until};

/// A job of ten rows and its input's lines.
fn done() -> (Job, String) {
    let job = Job::mixed(10, 0.0);
    let text = fs::read_to_string(job.input()).unwrap();
    job.run().assert_code(3);
    (job, text)
}

#[test]
fn an_edited_input_is_refused() {
    let (job, text) = done();
    let requests = job.origin.stats().requests;
    let lines: Vec<&str> = text.lines().collect();
    let cases = [
        ("the first line", text.replacen("/items/0", "/items/x", 1)),
        ("a line in the middle", text.replacen("/items/5", "/items/x", 1)),
        ("the last line", text.replacen("n=9", "n=x", 1)),
        ("two lines swapped", [&lines[1..2], &lines[0..1], &lines[2..]].concat().join("\n") + "\n"),
        ("a line less at the end", lines[..9].join("\n") + "\n"),
        ("a line less at the start", lines[1..].join("\n") + "\n"),
        ("a line put before", format!("{}\n{text}", job.origin.url("/items/x"))),
        ("nothing left", String::new()),
        ("the last row goes on", format!("{}x\n", text.trim_end())),
    ];
    for (what, changed) in cases {
        fs::write(job.input(), changed).unwrap();
        let ran = job.run();
        assert_eq!(ran.code, 2, "{what}: {}", ran.err);
        assert!(ran.err.contains("urls.txt"), "{what}: {}", ran.err);
        assert!(ran.err.contains("--force") && ran.err.contains("--fresh"), "{what}: {}", ran.err);
    }
    assert_eq!(job.origin.stats().requests, requests);
    fs::write(job.input(), &text).unwrap();
    job.assert_over();
}

#[test]
fn an_edited_input_is_refused_half_way_too() {
    let job = Job::mixed(2000, 0.05).with(["--concurrency", "4"]);
    let running = job.start();
    wait_until("some rows are written", || job.lines() >= 12);
    running.signal(Signal::KILL);
    running.end();
    let text = fs::read_to_string(job.input()).unwrap();
    // Read long ago, read lately, and not read at all when the kill came.
    for row in [0, 10, 1990] {
        fs::write(job.input(), text.replacen(&format!("/items/{row}?"), "/items/7777777?", 1)).unwrap();
        let ran = job.run();
        assert_eq!(ran.code, 2, "row {row}: {}", ran.err);
    }
}

#[test]
fn an_input_that_grew_is_continued() {
    let (job, text) = done();
    let more: String = (0..5).map(|n| job.origin.url(&format!("/items/{}", 100 + n)) + "\n").collect();
    fs::write(job.input(), text + &more).unwrap();
    job.run().assert_code(3);
    let rows = rows_in(&job.out());
    let indices: Vec<_> = rows[10..].iter().map(|row| row["index"].as_u64().unwrap()).collect();
    assert_eq!(rows.len(), 15);
    assert_eq!(indices.iter().copied().collect::<std::collections::BTreeSet<_>>(), (10..15).collect());
    for row in &rows[10..] {
        assert_eq!(row["json"]["id"], 90 + row["index"].as_u64().unwrap(), "{row}");
    }
    assert_eq!(job.asked(), vec![1; 10]);
    assert_eq!(job.origin.stats().requests, 15);
}

#[test]
fn an_input_that_grew_while_its_run_was_killed_is_continued() {
    let job = Job::mixed(60, 0.05).with(["--concurrency", "4"]);
    let running = job.start();
    wait_until("some rows are written", || job.lines() >= 12);
    running.signal(Signal::KILL);
    running.end();
    let mut text = fs::read_to_string(job.input()).unwrap();
    text += &(job.origin.url("/items/1000") + "\n");
    fs::write(job.input(), text).unwrap();
    job.run().assert_code(3);
    let indices: std::collections::BTreeSet<_> = job.standing().into_iter().collect();
    assert_eq!((job.lines(), indices), (61, (0..61).collect()));
}

#[test]
fn an_input_may_only_grow_behind_a_line_end() {
    let (job, text) = done();
    let out = job.place.path("torn.jsonl");
    let torn = job.place.file("torn.txt", text.trim_end());
    let args = ["fetch", &torn, "-o", out.to_str().unwrap(), "--quiet"];
    gannet(args).assert_code(3);
    // The last line had no end: what follows belongs to it.
    fs::write(&torn, format!("{}0\n", text.trim_end())).unwrap();
    gannet(args).assert_code(2).assert_says("torn.txt");
    assert_eq!(rows_in(&out).len(), 10);
}

#[test]
fn several_inputs_keep_their_order() {
    let job = Job::mixed(1, 0.0);
    let file = |name: &str, from: usize| {
        let lines: String = (from..from + 3).map(|n| job.origin.url(&format!("/items/{n}")) + "\n").collect();
        job.place.file(name, &lines)
    };
    let (one, two, out) = (file("one.txt", 0), file("two.txt", 10), job.out());
    let out = out.to_str().unwrap();
    gannet(["fetch", &one, &two, "-o", out]).assert_code(0);
    gannet(["fetch", &two, &one, "-o", out]).assert_code(2);
    gannet(["fetch", &one, "-o", out]).assert_code(2);
    gannet(["fetch", &one, &two, "-o", out]).assert_code(0);
    assert_eq!(job.origin.stats().requests, 6);
    // The first may not grow: its new rows would stand before the second's.
    let mut text = fs::read_to_string(&one).unwrap();
    text += &(job.origin.url("/items/3") + "\n");
    fs::write(&one, text).unwrap();
    gannet(["fetch", &one, &two, "-o", out]).assert_code(2).assert_says("one.txt");
}

#[test]
fn another_count_of_first_rows_is_another_dataset_or_a_longer_one() {
    let job = Job::mixed(9, 0.0);
    job.run_with(&["--first", "3"]).assert_code(0);
    assert_eq!(job.lines(), 3);
    let ran = job.run();
    // To try with a few and then take the rest is what --first is for; else it has to be said.
    match ran.code {
        0 => job.assert_complete(),
        code => assert!(code == 2 && ran.err.contains("--first"), "{}", ran.err),
    }
    assert_eq!(job.again(), 0);
}

#[test]
fn lines_that_cannot_be_read_are_rows_that_are_done() {
    let job = Job::mixed(3, 0.0);
    let input: PathBuf = job.place.path("bad.jsonl");
    let good = |n: usize| json!({"url": job.origin.url(&format!("/items/{n}?delay=0.3"))}).to_string();
    fs::write(&input, format!("not json\n{}\n{{\"url\":17}}\n{}\n", good(1), good(2))).unwrap();
    let out = job.out();
    let args = ["fetch", input.to_str().unwrap(), "-o", out.to_str().unwrap(), "--concurrency", "1", "--quiet"];
    let running = crate::gannet::Running::start(args);
    wait_until("the second good one is on its way", || job.origin.stats().requests == 2);
    running.signal(Signal::KILL);
    running.end();
    bounded(command(args)).assert_code(3);
    let mut rows = rows_in(&out);
    rows.sort_by_key(|row| row["index"].as_u64());
    let oks: Vec<_> = rows.iter().map(|row| row["ok"] == true).collect();
    assert_eq!(oks, [false, true, false, true], "{rows:?}");
    assert_eq!((&rows[0]["line"], &rows[2]["line"]), (&json!(1), &json!(3)));
}
