//! SIGKILL, at any call and at any time: no row lost, none twice, and asked again only what was under way.

use std::time::Duration;

use gannet_origin::payload;

use super::figures::Figures;
use super::job::{Job, Trying};
use super::strace::{Tamper, places};

/// A small dataset that is killed at a call, and then twice more while it is resumed.
#[derive(Debug, Clone)]
pub struct AtCall {
    pub call: String,
    pub nth: u64,
    pub options: &'static [&'static str],
    pub delay: f64,
    /// What the output is called: its suffix says how it is compressed.
    pub out: &'static str,
}

/// A large dataset that is killed at random times.
#[derive(Debug, Clone)]
pub struct AtRandom {
    pub rows: usize,
    pub kills: u64,
    pub seed: u64,
    pub options: &'static [&'static str],
    pub out: &'static str,
}

#[test]
fn a_kill_at_any_call_loses_nothing_and_asks_only_what_was_under_way() {
    let kills: Vec<AtCall> =
        [sample(GROUP, 0.3, 3, PLAIN), sample(ROW, 0.02, 3, PLAIN), sample(ORDERED, 0.02, 3, PLAIN)].concat();
    let all = Figures::gather(&kills, AtCall::survive);
    assert!(all.all_kills() >= kills.len() as u64, "most were never killed: {all:?}");
}

#[test]
fn random_kills_lose_no_row_and_double_none() {
    let figures = AtRandom { rows: 12_000, kills: 20, seed: 1, options: &[], out: PLAIN }.survive();
    assert!(figures.all_kills() >= 10, "it was over too soon: {figures:?}");
}

#[test]
fn random_kills_keep_the_order_of_the_input() {
    let figures = AtRandom { rows: 6_000, kills: 12, seed: 2, options: &["--ordered"], out: PLAIN }.survive();
    assert!(figures.all_kills() >= 6, "it was over too soon: {figures:?}");
}

#[test]
fn random_kills_lose_nothing_at_any_durability() {
    for (seed, options) in [(3, &["--durability", "row"]), (4, &["--durability", "os"])] {
        let figures = AtRandom { rows: 2_000, kills: 4, seed, options, out: PLAIN }.survive();
        assert!(figures.all_kills() >= 2, "it was over too soon: {figures:?}");
    }
}

#[test]
fn large_rows_are_killed_in_the_middle_of_a_write_and_never_spliced() {
    let rows = (0..150).map(|n| format!("/bytes/150000?seed={n}"));
    let job = Job::new(rows).with(["--concurrency", "16", "--retries", "0"]);
    for moment in moments(8, 8) {
        // The later ones may find it over.
        let _ = job.kill_after(moment);
        job.left();
    }
    job.run().assert_code(0);
    for (n, row) in job.table().iter().enumerate() {
        let body = row["body_base64"].as_str().unwrap();
        assert_eq!(body.len(), 200_000);
        // 15 bytes are 20 letters: each row has the body of its own seed.
        let own = payload(n as u64, 15);
        assert_eq!(decode(&body[..20]), own, "row {n} has another's body");
    }
}

/// Base64, read.
fn decode(text: &str) -> Vec<u8> {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let value = |letter: &u8| letters.iter().position(|known| known == letter).unwrap() as u32;
    let groups = text.as_bytes().chunks(4).map(|four| four.iter().fold(0, |sum, letter| sum << 6 | value(letter)));
    groups.flat_map(|sum| sum.to_be_bytes()[1..].to_vec()).collect()
}

/// Kills at this many places of each call that a run makes with these options, from its first to its last.
pub fn sample(options: &'static [&'static str], delay: f64, each: u64, out: &'static str) -> Vec<AtCall> {
    let of = |(call, nth)| AtCall { call, nth, options, delay, out };
    places(&of((String::new(), 0)).job(), CALLS, each).into_iter().map(of).collect()
}

impl AtCall {
    fn job(&self) -> Job {
        let limits = ["--concurrency", "8", "--per-host", "0"];
        Job::mixed(60, self.delay).with(limits.into_iter().chain(self.options.iter().copied())).named(self.out)
    }

    /// Kills it, twice more while it is resumed, and lets it finish; panics where anything is lost.
    pub fn survive(&self) -> Figures {
        let _trying = Trying(format!("{self:?}"));
        let job = self.job();
        let mut figures = Figures { datasets: 1, rows: job.rows() as u64, ..Figures::default() };
        // As at random times.
        let waits_in_state = self.options.contains(&"--ordered") || self.out != PLAIN;
        let mut lefts = Vec::new();
        let mut lost = 0;
        for (at, nth) in [self.nth, self.nth.div_ceil(2), 3].into_iter().enumerate() {
            let ran = Tamper::kill(&self.call, nth).run(&job);
            figures.starts += 1;
            if ran.code == KILLED {
                figures.on_kill(&format!("{}{}", self.call, if at > 0 { ", while resuming" } else { "" }));
                let left = job.left();
                let now = if waits_in_state { job.again() } else { left.lost() };
                lefts.push(left);
                figures.again.push(now.saturating_sub(lost));
                lost = now;
            } else {
                assert_eq!(ran.code, job.code(), "{self:?}: {}", ran.err);
            }
        }
        let ran = job.run();
        assert_eq!(ran.code, job.code(), "{self:?}: {}", ran.err);
        figures.starts += 1;
        job.assert_complete();
        lefts.iter().for_each(|left| job.assert_kept(left));
        assert_in_order(&job, self.options);
        let most = figures.all_kills() * 8;
        assert!(job.again() <= most, "{} were asked again, of {most} under way", job.again());
        figures
    }
}

impl AtRandom {
    fn job(&self) -> Job {
        let limits = ["--concurrency", "64", "--per-host", "0"];
        let rows = (0..self.rows).map(|n| format!("/items/{n}?delay=0.01"));
        let job = Job::new(rows).with(limits.into_iter().chain(self.options.iter().copied())).named(self.out);
        if self.options.is_empty() && self.out == PLAIN { job.adapting() } else { job }
    }

    /// Kills it until it has been killed as often as asked or is done; panics where anything is lost.
    pub fn survive(&self) -> Figures {
        let _trying = Trying(format!("{self:?}"));
        let job = self.job();
        let mut figures = Figures { datasets: 1, rows: job.rows() as u64, ..Figures::default() };
        // More may be done than stands in files: rows that wait in the state for their turn, or to be packed again after
        // a kill. What a kill cost shows there when it is asked again.
        let waits_in_state = self.options.contains(&"--ordered") || self.out != PLAIN;
        let mut lost = 0;
        let mut before = None;
        for moment in moments(self.seed, self.kills) {
            figures.starts += 1;
            if let Err(over) = job.kill_after(moment) {
                over.assert_code(0);
                break;
            }
            figures.on_kill("at a random time");
            let left = job.left();
            if let Some(before) = &before {
                job.assert_kept(before);
            }
            let now = if waits_in_state { job.again() } else { left.lost() };
            figures.again.push(now.saturating_sub(lost));
            lost = now;
            before = Some(left);
        }
        figures.starts += 1;
        job.finish();
        job.assert_over();
        if let Some(before) = &before {
            job.assert_kept(before);
        }
        assert_in_order(&job, self.options);
        let most = figures.all_kills() * 64;
        assert!(job.again() <= most, "{} were asked again, of {most} under way", job.again());
        if !waits_in_state {
            assert!(figures.again_max() <= 64, "more were asked again than were under way: {:?}", figures.again);
        }
        figures
    }
}

/// When to kill, drawn from the seed: some at the very start, most later.
pub fn moments(seed: u64, count: u64) -> impl Iterator<Item = Duration> {
    let bytes = payload(seed, count as usize * 4);
    let draw = move |n: usize| u64::from(u32::from_le_bytes(bytes[n * 4..n * 4 + 4].try_into().unwrap()));
    (0..count as usize).map(move |n| match draw(n) {
        random if n % 4 == 3 => Duration::from_micros(random % 20_000),
        random => Duration::from_micros(random % 300_000),
    })
}

#[track_caller]
fn assert_in_order(job: &Job, options: &[&str]) {
    if options.contains(&"--ordered") {
        assert!(job.standing().is_sorted(), "the rows are out of order: {:?}", job.standing());
    }
}

/// The exit code of what SIGKILL ended.
pub const KILLED: i32 = -9;
/// What changes files, and what sends and receives, as strace lists them.
pub const CALLS: &str =
    "write,writev,pwrite64,pwritev,fdatasync,fsync,ftruncate,openat,rename,unlink,fcntl,flock,sendto,recvfrom";
pub const PLAIN: &str = "out.jsonl";
pub const GROUP: &[&str] = &["--durability", "group"];
pub const ROW: &[&str] = &["--durability", "row"];
pub const ORDERED: &[&str] = &["--durability", "row", "--ordered"];
