//! POST and PATCH: what was on its way when a run died is told as in-doubt and never sent twice, unless that is asked
//! for or the row says that it may be.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::figures::Figures;
use super::job::{Job, Trying};
use super::kills::{CALLS, KILLED, PLAIN, moments};
use super::strace::{Tamper, places};
use crate::gannet::wait_until;

#[test]
fn what_was_on_its_way_is_in_doubt_and_never_sent_again() {
    let job = posts(8, |n| if n < 4 { "/anything" } else { "/hang" }, |_| json!({}));
    let kill = || {
        let running = job.start();
        wait_until("four hang and four are written", || in_flight(&job) == 4 && job.lines() == 4);
        running.signal(Signal::KILL);
        running.end();
    };
    kill();
    let ran = job.run().assert_code(3);
    let rows = job.table();
    for (n, row) in rows.iter().enumerate() {
        match n {
            0..4 => assert_eq!(row["ok"], true, "{row}"),
            _ => assert_in_doubt(row),
        }
    }
    assert_eq!(job.asked(), [1; 8], "{}", ran.err);
    job.run().assert_code(3);
    assert_eq!(job.asked(), [1; 8], "a completed run asks nothing");
}

#[test]
fn in_doubt_rows_are_sent_again_when_asked_to() {
    let job = posts(6, |n| if n < 2 { "/anything" } else { "/delay/1" }, |_| json!({}));
    let running = job.start();
    wait_until("four are on their way", || in_flight(&job) == 4 && job.lines() == 2);
    running.signal(Signal::KILL);
    running.end();
    job.run_with(&["--resend-in-doubt"]).assert_code(0);
    job.assert_complete();
    assert_eq!(job.asked(), [1, 1, 2, 2, 2, 2]);
}

#[test]
fn a_row_with_an_idempotency_key_is_sent_again_with_the_same_key() {
    let key = |n: usize| match n % 2 {
        0 => json!({"headers": {"Idempotency-Key": format!("key-{n}")}}),
        _ => json!({}),
    };
    let job = posts(4, |_| "/delay/1", key);
    let running = job.start();
    wait_until("four are on their way", || in_flight(&job) == 4);
    running.signal(Signal::KILL);
    running.end();
    job.run().assert_code(3);
    let rows = job.table();
    for (n, row) in rows.iter().enumerate() {
        if n % 2 == 0 {
            assert_eq!(row["ok"], true, "{row}");
            assert_eq!(row["json"]["headers"]["Idempotency-Key"], format!("key-{n}"), "{row}");
        } else {
            assert_in_doubt(row);
        }
    }
    assert_eq!(job.asked(), [2, 1, 2, 1]);
}

#[test]
fn a_key_for_all_rows_on_the_command_line_counts_too() {
    let job = posts(2, |_| "/delay/1", |_| json!({})).with(["-H", "idempotency-key: all"]);
    let running = job.start();
    wait_until("both are on their way", || in_flight(&job) == 2);
    running.signal(Signal::KILL);
    running.end();
    job.run().assert_code(0);
    assert_eq!(job.asked(), [2, 2]);
}

#[test]
fn a_method_given_for_all_rows_is_in_doubt_too() {
    for options in [["-X", "POST"], ["-d", "text"], ["--json", "{}"]] {
        let job = Job::new((0..2).map(|n| format!("/hang?n={n}"))).with(options);
        let running = job.start();
        wait_until("both are on their way", || in_flight(&job) == 2);
        running.signal(Signal::KILL);
        running.end();
        job.run().assert_code(3);
        job.table().iter().for_each(assert_in_doubt);
        assert_eq!(job.asked(), [1, 1], "{options:?}");
    }
}

#[test]
fn what_a_second_signal_cut_off_is_in_doubt_as_well() {
    let job = posts(3, |_| "/hang", |_| json!({}));
    let mut running = job.start();
    wait_until("three hang", || in_flight(&job) == 3);
    running.signal(Signal::TERM);
    running.wait_for_line("stopping");
    running.signal(Signal::TERM);
    running.end().assert_code(4);
    job.run().assert_code(3);
    job.table().iter().for_each(assert_in_doubt);
    assert_eq!(job.asked(), [1, 1, 1]);
}

#[test]
fn a_get_on_its_way_is_asked_again_and_is_not_in_doubt() {
    let job = posts(2, |_| "/delay/1", |n| if n == 0 { json!({"method": "GET"}) } else { json!({"method": "DELETE"}) });
    let running = job.start();
    wait_until("both are on their way", || in_flight(&job) == 2);
    running.signal(Signal::KILL);
    running.end();
    job.run().assert_code(0);
    job.assert_complete();
    assert_eq!(job.asked(), [2, 2]);
}

#[test]
fn a_post_that_waited_for_its_next_attempt_is_tried_again_and_not_in_doubt() {
    // 429 is surely not processed: the row is not on its way while it waits.
    let job = posts(1, |_| "/status/429", |_| json!({}));
    let options = ["--retries", "2", "--durability", "row", "--backoff"];
    let running = job.start_with(&[&options[..], &["30"]].concat());
    wait_until("it was answered", || job.asked() == [1] && in_flight(&job) == 0);
    // The commit of what became of it comes within the group's second.
    std::thread::sleep(COMMITTED);
    running.signal(Signal::KILL);
    running.end();
    job.run_with(&[&options[..], &["0.01"]].concat()).assert_code(3);
    assert_eq!(job.table()[0]["error"]["kind"], "status");
    assert_eq!(job.asked(), [3]);
}

#[test]
fn posts_killed_at_any_call_are_never_sent_twice() {
    let kills = sample(4, PLAIN);
    let all = Figures::gather(&kills, PostsAtCall::survive);
    assert!(all.all_kills() * 4 >= kills.len() as u64 * 3, "most were never killed: {all:?}");
}

#[test]
fn posts_killed_at_random_are_never_sent_twice() {
    let figures = at_random(2_000, 8, 7, &[], PLAIN);
    assert!(figures.all_kills() >= 4, "it was over too soon: {figures:?}");
}

#[test]
fn posts_in_order_killed_at_random_are_never_sent_twice() {
    let figures = at_random(1_000, 8, 9, &["--ordered"], PLAIN);
    assert!(figures.all_kills() >= 4, "it was over too soon: {figures:?}");
}

/// Many POSTs, killed at random times and brought to their end.
pub fn at_random(rows: usize, kills: u64, seed: u64, options: &[&'static str], out: &'static str) -> Figures {
    let job = posts(rows, |_| "/delay/0.02", |_| json!({})).with(["--concurrency", "32", "--per-host", "0"]);
    let job = job.with(options.iter().copied()).named(out);
    let mut figures = Figures::default();
    for moment in moments(seed, kills) {
        figures.starts += 1;
        if job.kill_after(moment).is_err() {
            break;
        }
        figures.on_kill("at a random time");
        job.left();
    }
    end(&job, &mut figures);
    figures
}

/// A kill at a call of a run of POSTs.
#[derive(Debug, Clone)]
pub struct PostsAtCall {
    call: String,
    nth: u64,
    out: &'static str,
}

/// Kills at this many places of each call that such a run makes.
pub fn sample(each: u64, out: &'static str) -> Vec<PostsAtCall> {
    places(&small(out), CALLS, each).into_iter().map(|(call, nth)| PostsAtCall { call, nth, out }).collect()
}

impl PostsAtCall {
    /// Kills it, and once more while it is resumed, and lets it finish; panics where anything was sent twice.
    pub fn survive(&self) -> Figures {
        let _trying = Trying(format!("{self:?}"));
        let job = small(self.out);
        let mut figures = Figures::default();
        for nth in [self.nth, self.nth.div_ceil(2)] {
            figures.starts += 1;
            let ran = Tamper::kill(&self.call, nth).run(&job);
            match ran.code {
                KILLED => figures.on_kill(&self.call),
                code => assert!([0, 3].contains(&code), "{self:?}: {}", ran.err),
            }
        }
        end(&job, &mut figures);
        figures
    }
}

fn small(out: &'static str) -> Job {
    posts(40, |_| "/delay/0.03", |_| json!({})).with(["--concurrency", "8", "--per-host", "0"]).named(out)
}

/// Lets it finish and holds it against what POSTs may come to.
fn end(job: &Job, figures: &mut Figures) {
    let ran = job.run();
    assert!([0, 3].contains(&ran.code), "{ran:?}");
    figures.starts += 1;
    figures.datasets = 1;
    figures.rows = job.rows() as u64;
    let (rows, asked) = (job.table(), job.asked());
    for (row, &asked) in rows.iter().zip(&asked) {
        if row["ok"] == true {
            assert_eq!(asked, 1, "{row}");
        } else {
            assert_in_doubt(row);
            assert!(asked <= 1, "an in-doubt row was sent twice: {row}");
            figures.in_doubt += 1;
        }
    }
    figures.posts = asked.iter().sum();
    figures.posts_twice = asked.iter().filter(|&&count| count > 1).count() as u64;
    // Each kill leaves at most what was on its way, and what was marked to be sent next.
    let most = figures.all_kills() * 64;
    assert!(figures.in_doubt <= most, "{} rows in doubt after {} kills", figures.in_doubt, figures.all_kills());
    let requests = job.origin.stats().requests;
    job.run();
    assert_eq!(job.origin.stats().requests, requests, "a completed run asked again");
}

/// JSON lines that are POSTs and PATCHes in turn unless `more` says otherwise.
pub fn posts(rows: usize, path: impl Fn(usize) -> &'static str, more: impl Fn(usize) -> Value) -> Job {
    let paths = (0..rows).map(|n| format!("{}?n={n}", path(n)));
    Job::of_requests(paths, |n, url| {
        let method = if n % 3 == 2 { "PATCH" } else { "POST" };
        let mut row = json!({"url": url, "method": method, "json": {"n": n}});
        let more = more(n);
        if more.get("method").is_some() {
            row.as_object_mut().unwrap().remove("json");
        }
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    })
}

pub fn in_flight(job: &Job) -> u64 {
    job.origin.stats().in_flight
}

#[track_caller]
pub fn assert_in_doubt(row: &Value) {
    assert_eq!((&row["ok"], &row["error"]["kind"]), (&json!(false), &json!("in-doubt")), "{row}");
    assert!(row["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{row}");
}

/// Longer than a group commit takes to come.
const COMMITTED: Duration = Duration::from_millis(1500);
