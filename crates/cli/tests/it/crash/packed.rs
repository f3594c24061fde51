//! Outputs that are compressed: rows gather to be packed, and a kill meanwhile loses none of them. Held to the same
//! figures as plain ones: asked again is what was under way, and a POST that was answered is not in doubt.

use rustix::process::Signal;
use serde_json::json;

use super::doubt::{self, assert_in_doubt, in_flight, posts};
use super::faults::{WRITES, assert_ended};
use super::figures::Figures;
use super::job::{Job, at_once};
use super::kills::{AtCall, AtRandom, GROUP, ORDERED, ROW, sample};
use super::strace::Tamper;
use crate::gannet::wait_until;

const GZ: &str = "out.jsonl.gz";
const ZST: &str = "out.jsonl.zst";

#[test]
fn a_kill_at_any_call_asks_only_what_was_under_way() {
    let kills: Vec<AtCall> =
        [sample(GROUP, 0.3, 3, GZ), sample(ROW, 0.02, 3, ZST), sample(ORDERED, 0.02, 3, GZ)].concat();
    let all = Figures::gather(&kills, AtCall::survive);
    assert!(all.all_kills() >= kills.len() as u64, "most were never killed: {all:?}");
}

#[test]
fn random_kills_ask_only_what_was_under_way() {
    for (seed, options, out) in [(5, &[][..], GZ), (6, &[], ZST), (10, &["--ordered"], GZ)] {
        let figures = AtRandom { rows: 4_000, kills: 6, seed, options, out }.survive();
        assert!(figures.all_kills() >= 3, "it was over too soon: {figures:?}");
    }
}

#[test]
fn a_post_whose_answer_had_come_is_not_in_doubt() {
    for (out, options) in [(GZ, &[][..]), (ZST, &["--ordered"])] {
        let job = posts(8, |n| if n % 2 == 0 { "/anything" } else { "/hang" }, |_| json!({}));
        let job = job.with(options.iter().copied()).named(out);
        let running = job.start();
        wait_until("four hang and four are written", || in_flight(&job) == 4 && job.standing().len() == 4);
        running.signal(Signal::KILL);
        running.end();
        let left = job.left();
        job.run().assert_code(3);
        job.assert_kept(&left);
        for (n, row) in job.table().iter().enumerate() {
            match n % 2 {
                0 => assert_eq!(row["ok"], true, "{row}"),
                _ => assert_in_doubt(row),
            }
        }
        assert_eq!(job.asked(), [1; 8]);
    }
}

#[test]
fn posts_that_are_killed_are_never_sent_twice_and_seldom_in_doubt() {
    let figures = doubt::at_random(2_000, 8, 11, &[], GZ);
    assert!(figures.all_kills() >= 4, "it was over too soon: {figures:?}");
    Figures::gather(&doubt::sample(2, ZST), doubt::PostsAtCall::survive);
}

#[test]
fn a_full_disk_loses_no_row_that_stands_beside_the_output() {
    let mut faults = Vec::new();
    for when in ["1+", "2+", "4+"] {
        faults.extend(["", ".tail"].map(|suffix| (when, suffix)));
    }
    at_once(4, &faults, |&(when, suffix)| {
        let job = Job::mixed(60, 0.1).with(["--concurrency", "8"]).named(GZ);
        let ran = Tamper::fail(WRITES, "ENOSPC", when).on(&job.beside(suffix)).run(&job);
        if ran.code == job.code() {
            assert_ne!(when, "1+", "ENOSPC at the first write of out.jsonl.gz{suffix} had no effect");
            return job.assert_complete();
        }
        assert_ended(&job, &ran, &format!("ENOSPC at write {when} of out.jsonl.gz{suffix}"), "out.jsonl.gz");
    });
}

#[test]
fn rows_reach_the_output_although_nothing_more_comes() {
    let job = Job::new((0..6).map(|n| if n < 4 { format!("/items/{n}") } else { format!("/hang?n={n}") })).named(GZ);
    let running = job.start();
    wait_until("two hang and four are packed", || {
        in_flight(&job) == 2 && std::fs::metadata(job.beside(".tail")).is_ok_and(|tail| tail.len() == 0) && {
            job.standing().len() == 4
        }
    });
    running.signal(Signal::KILL);
    running.end();
    assert_eq!(job.left().held, (0..4).collect());
}

#[test]
fn a_commit_that_fails_ends_the_run_although_no_row_waits_for_it() {
    for name in [GZ, "out.jsonl"] {
        let rows = (0..6).map(|n| if n < 4 { format!("/items/{n}") } else { format!("/hang?n={n}") });
        let job = Job::new(rows).named(name);
        // Bounded by less than the time after which the rows that hang would end by themselves.
        let ran = Tamper::fail("fdatasync,fsync", "EIO", "1").on(&job.out()).run(&job).assert_code(4);
        ran.assert_says(name);
        // Those that end only after the commit has failed are not written any more.
        let held = job.left().held;
        assert!(!held.is_empty() && held.iter().all(|row| *row < 4), "{held:?}");
    }
}
