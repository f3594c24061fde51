//! What a second run of the command refuses: other options, files that do not belong together; and what it does not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::json;

use super::job::{Job, bounded};
use crate::gannet::{Place, Running, command, gannet, wait_until, with_stdin};

/// A job that was stopped with some rows done.
fn stopped() -> Job {
    let job = Job::mixed(40, 0.02).with(["--concurrency", "4"]);
    let running = job.start();
    wait_until("some rows are written", || job.lines() >= 8);
    running.signal(Signal::TERM);
    running.end().assert_code(4);
    job
}

#[test]
fn options_that_change_what_is_asked_or_how_rows_look_are_refused_by_name() {
    let job = stopped();
    let (out, requests) = (fs::read(job.out()).unwrap(), job.origin.stats().requests);
    let cases: [(&[&str], &[&str]); 16] = [
        (&["-X", "PUT"], &["method"]),
        (&["-H", "X-One: 1"], &["header"]),
        (&["-d", "text"], &["--data", "body"]),
        (&["--json", "{}"], &["--json", "body"]),
        (&["--form", "a=b"], &["--form", "body"]),
        (&["--query", "a=b"], &["--query", "query"]),
        (&["--base-url", "http://127.0.0.1:9/"], &["--base-url"]),
        (&["--cookie", "a=b"], &["cookie", "header"]),
        (&["-u", "me:pass"], &["user", "header", "authorization"]),
        (&["--body", "text"], &["--body"]),
        (&["--headers"], &["--headers"]),
        (&["--ordered"], &["--ordered"]),
        (&["--no-follow"], &["--no-follow", "redirect"]),
        (&["--max-redirects", "3"], &["--max-redirects", "redirect"]),
        (&["--max-body", "1MiB"], &["--max-body"]),
        (&["--input-format", "jsonl"], &["--input-format", "input"]),
    ];
    for (options, names) in cases {
        let ran = job.run_with(options).assert_code(2).assert_says("--force").assert_says("--fresh");
        let said = ran.err.to_lowercase();
        assert!(names.iter().any(|name| said.contains(name)), "{options:?} is not named: {}", ran.err);
        assert!(!ran.err.contains("pass"), "a secret is told: {}", ran.err);
    }
    assert!(fs::read(job.out()).unwrap() == out, "the output was touched");
    assert_eq!(job.origin.stats().requests, requests);
    job.finish();
    assert_eq!(job.again(), 0);
}

#[test]
fn options_that_only_tune_may_differ() {
    let job = stopped();
    let tuned = "--concurrency 2 --per-host 2 --rate 1000/s --retries 1 --backoff 0.1 --timeout 20 --timeout-connect 3 \
                 --timeout-read 9 --deadline 50 --memory 64MiB --durability row --summary json";
    // Given twice, the last one holds, or it is a usage error: so without the job's own.
    let mut args = job.args();
    let at = args.iter().position(|arg| arg == "--concurrency").unwrap();
    args.drain(at..at + 2);
    args.extend(tuned.split_whitespace().map(str::to_owned));
    bounded(command(&args)).assert_code(3);
    job.assert_complete();
    assert_eq!(job.again(), 0);
}

#[test]
fn force_goes_on_with_what_changed() {
    let job = stopped();
    let left = job.left();
    job.run_with(&["--headers", "--force"]).assert_code(3);
    job.assert_complete();
    job.assert_kept(&left);
    for row in job.table() {
        let index = row["index"].as_u64().unwrap() as usize;
        assert_eq!(row.get("headers").is_some(), !left.held.contains(&index), "{row}");
    }
}

#[test]
fn fresh_starts_over() {
    let job = stopped();
    job.origin.reset_stats();
    job.run_with(&["--fresh", "--headers"]).assert_code(3);
    job.assert_complete();
    assert_eq!(job.asked(), vec![1; job.rows()]);
    assert!(job.table().iter().all(|row| row.get("headers").is_some()));
    // What was made fresh is what the next run is held against.
    job.run().assert_code(2);
    job.run_with(&["--headers"]).assert_code(3);
    assert_eq!(job.asked(), vec![1; job.rows()]);
}

#[test]
fn a_completed_run_asks_nothing_and_exits_by_the_whole() {
    for (rows, code) in [(9, 0), (10, 3)] {
        let job = Job::mixed(rows, 0.0);
        job.run().assert_code(code);
        job.assert_over();
        assert_eq!(job.asked(), vec![1; rows]);
    }
}

#[test]
fn a_resumed_run_that_meets_no_failure_still_tells_the_earlier_one() {
    let rows = (0..30).map(|n| if n == 0 { "/status/404?n=0".to_owned() } else { format!("/items/{n}?delay=0.05") });
    let job = Job::new(rows).with(["--concurrency", "2"]);
    let running = job.start();
    wait_until("the failure is written", || job.lines() >= 6);
    running.signal(Signal::TERM);
    running.end().assert_code(4);
    job.run().assert_code(3);
}

#[test]
fn an_output_without_a_state_is_not_overwritten() {
    let job = Job::mixed(10, 0.0);
    job.run().assert_code(3);
    for suffix in [".state", ".state-wal", ".state-shm"] {
        let _ = fs::remove_file(job.beside(suffix));
    }
    let (out, requests) = (fs::read(job.out()).unwrap(), job.origin.stats().requests);
    job.run().assert_code(2).assert_says("--fresh").assert_says("out.jsonl");
    assert!(fs::read(job.out()).unwrap() == out);
    assert_eq!(job.origin.stats().requests, requests);
    assert!(!job.beside(".state").exists(), "a refusal leaves nothing behind");
}

#[test]
fn a_state_whose_output_is_gone_is_refused() {
    let job = stopped();
    let requests = job.origin.stats().requests;
    fs::remove_file(job.out()).unwrap();
    job.run().assert_code(2).assert_says("out.jsonl").assert_says("--fresh");
    assert!(!job.out().exists());
    assert_eq!(job.origin.stats().requests, requests);
    job.run_with(&["--fresh"]).assert_code(3);
    job.assert_complete();
}

#[test]
fn nobody_else_may_read_the_state() {
    let job = Job::new((0..2).map(|n| format!("/items/{n}?delay=1")));
    let running = job.start();
    wait_until("it is at work", || job.origin.stats().in_flight == 2);
    for suffix in [".state", ".state-wal", ".state-shm"] {
        let there = fs::metadata(job.beside(suffix)).unwrap_or_else(|error| panic!("{suffix}: {error}"));
        assert_eq!(there.permissions().mode() & 0o777, 0o600, "{suffix}");
    }
    running.end().assert_code(0);
    assert_eq!(fs::metadata(job.beside(".state")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn secrets_are_not_in_the_state() {
    let job = Job::mixed(10, 0.0).with(["-H", "Authorization: Bearer hunter2secret", "--cookie", "sid=hunter3secret"]);
    job.run().assert_code(3);
    for suffix in [".state", ".state-wal"] {
        let bytes = fs::read(job.beside(suffix)).unwrap_or_default();
        for secret in [&b"hunter2secret"[..], b"hunter3secret"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "a secret is in {suffix}");
        }
    }
}

#[test]
fn rows_on_stdout_keep_no_state() {
    let (job, dir) = (Job::mixed(10, 0.0), Place::new());
    for out in [&[][..], &["-o", "-"]] {
        let mut command = command(["fetch", job.input().to_str().unwrap()].iter().chain(out));
        command.current_dir(dir.path(""));
        bounded(command).assert_code(3);
        assert_eq!(fs::read_dir(dir.path("")).unwrap().count(), 0, "{out:?}");
    }
}

#[test]
fn a_closed_stdout_ends_the_run_and_leaves_the_state_of_others_alone() {
    let job = stopped();
    let state = fs::read(job.beside(".state")).unwrap();
    let mut command = command(["fetch", job.input().to_str().unwrap(), "--quiet"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stdout(writer).stderr(Stdio::piped());
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(fs::read(job.beside(".state")).unwrap() == state);
    job.finish();
}

#[test]
fn the_url_template_is_part_of_what_is_asked() {
    let job = Job::mixed(4, 0.0);
    let file = job.place.file("ids.csv", "id\n1\n2\n3\n");
    let out = job.place.name("csv.jsonl");
    let args = |url: &str| ["fetch", &file, "-o", &out, "--url", url].map(str::to_owned);
    gannet(args(&job.origin.url("/items/{id}"))).assert_code(0);
    gannet(args(&job.origin.url("/users/{id}"))).assert_code(2).assert_says("--url");
    gannet(args(&job.origin.url("/items/{id}"))).assert_code(0);
    assert_eq!(job.origin.stats().requests, 3);
}

#[test]
fn urls_on_the_command_line_resume_as_files_do() {
    let job = Job::mixed(1, 0.0);
    let (url, out) = (job.origin.url("/items/{1..200}?delay=0.05"), job.place.path("range.jsonl"));
    let args = |url: &str| ["fetch", url, "-o", out.to_str().unwrap(), "--quiet"].map(str::to_owned);
    let running = Running::start(args(&url));
    wait_until("some rows are written", || fs::read(&out).is_ok_and(|bytes| bytes.len() > 2000));
    running.signal(Signal::TERM);
    running.end().assert_code(4);
    gannet(args(&job.origin.url("/items/{1..201}?delay=0.05"))).assert_code(2);
    gannet(args(&url)).assert_code(0);
    assert_eq!(job.origin.stats().requests, 200);
    let mut indices: Vec<_> = crate::gannet::rows_in(&out).iter().map(|row| row["index"].clone()).collect();
    indices.sort_by_key(serde_json::Value::as_u64);
    assert_eq!(indices, (0..200).map(|n| json!(n)).collect::<Vec<_>>());
}

#[test]
fn stdin_is_said_to_be_no_input_to_resume_from() {
    let job = Job::mixed(3, 0.0);
    let lines = fs::read_to_string(job.input()).unwrap();
    let out = job.out();
    let ran = with_stdin(["fetch", "-", "-o", out.to_str().unwrap()], &lines).assert_code(0);
    assert!(ran.err.contains("stdin") || ran.err.contains("standard input"), "{}", ran.err);
    assert!(ran.err.contains("--spool"), "{}", ran.err);
}
