//! `gannet retry`, killed: the output has each row once at every moment, and the newer outcome takes the older one's
//! place only when all have come.

use std::fs;

use serde_json::Value;

use super::job::{Job, Trying, at_once, bounded};
use super::kills::{CALLS, KILLED};
use super::strace::{Tamper, rehearse};
use crate::gannet::{Ran, command};

/// 40 rows, about half of which failed at their first attempt and many of which come off at another.
fn failed() -> Job {
    let job = Job::new((0..40).map(|n| format!("/flaky?p=0.5&n={n}")));
    let job = job.with(["--retries", "0", "--concurrency", "4", "--durability", "row"]);
    job.run().assert_code(3);
    job
}

fn args(job: &Job, condition: Option<&str>) -> Vec<String> {
    let out = job.out().to_str().unwrap().to_owned();
    let mut args = vec!["retry".to_owned(), out];
    args.extend(condition.iter().flat_map(|condition| ["--where".to_owned(), (*condition).to_owned()]));
    args
}

/// Brings a retry to its end, which may have to be begun.
fn finish(job: &Job) -> Ran {
    let ran = bounded(command(args(job, None)));
    if ran.code != 2 {
        return ran;
    }
    assert!(ran.err.contains("no retry is under way"), "{}", ran.err);
    bounded(command(args(job, Some("attempts = 1 and not ok"))))
}

fn oks(rows: &[Value]) -> Vec<usize> {
    let ok = rows.iter().filter(|row| row["ok"] == true);
    ok.map(|row| row["index"].as_u64().unwrap() as usize).collect()
}

#[test]
fn a_retry_asks_the_failed_rows_and_puts_them_in_their_places() {
    let job = failed();
    let before = oks(&job.table());
    let ran = bounded(command(args(&job, Some("not ok")))).assert_code(3);
    let after = oks(&job.table());
    assert!(before.len() < after.len() && before.iter().all(|row| after.contains(row)), "{ran:?}");
    for (row, asked) in job.asked().iter().enumerate() {
        assert_eq!(*asked, if before.contains(&row) { 1 } else { 2 }, "row {row}");
    }
    assert!(!job.beside(".retry").exists() && !job.beside(".merge").exists());
    job.run().assert_code(3);
    assert_eq!(job.again(), 40 - before.len() as u64, "a completed run asks nothing");
}

#[test]
fn a_retry_killed_at_any_call_leaves_each_row_once_and_goes_on() {
    let counts = {
        let job = failed();
        rehearse(&job, &args(&job, Some("not ok")), CALLS)
    };
    let mut kills = Vec::new();
    for (call, most) in counts {
        let mut places: Vec<u64> = (0..4).map(|n| 1 + n * (most - 1) / 3).collect();
        // What puts the new output in the old one's place comes last and once.
        if ["rename", "unlink", "fdatasync", "fsync"].contains(&call.as_str()) {
            places.extend(1..=most);
        }
        places.sort_unstable();
        places.dedup();
        kills.extend(places.into_iter().map(|nth| (call.clone(), nth)));
    }
    assert!(kills.iter().any(|(call, _)| call == "rename"), "{kills:?}");
    at_once(8, &kills, |(call, nth)| {
        let _trying = Trying(format!("{call} {nth}"));
        let job = failed();
        let before = job.table();
        let ran = bounded(Tamper::kill(call, *nth).command(&args(&job, Some("not ok"))));
        assert!([KILLED, 3].contains(&ran.code), "{call} {nth}: {}", ran.err);
        let between = job.table();
        let ended = finish(&job);
        // Where the kill came after the end, what failed twice is asked a third time, and may come off.
        assert!([0, 3].contains(&ended.code), "{call} {nth}: {}", ended.err);
        let after = job.table();
        for rows in [&between, &after] {
            assert!(oks(&before).iter().all(|row| oks(rows).contains(row)), "{call} {nth}: a row that was ok is not");
        }
        assert!(oks(&after).len() > oks(&before).len(), "{call} {nth}: {}", ended.err);
        for row in oks(&before) {
            assert_eq!(job.asked()[row], 1, "{call} {nth}: row {row} was ok and was asked again");
        }
        assert!(
            !fs::exists(job.beside(".retry")).unwrap() && !fs::exists(job.beside(".merge")).unwrap(),
            "{call} {nth}"
        );
    });
}
