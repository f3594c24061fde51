//! What one row costs in the schedule, and what one host that has something to remember:
//! `cargo run --release -p gannet-core --example schedule_cost [time|memory]`.
//! Time is that of `on_row`, the polls and `on_outcome`, without any request: processor time of this thread, the best of
//! five rounds; with the limits as they are set, and with what is adapted to each host. Memory is what a million hosts
//! add to what is resident, each case in a process of its own.

#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock and the process's figures")]
#![expect(clippy::print_stdout, reason = "the figures are the product")]

use std::collections::VecDeque;
use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use gannet_core::limit::{Limits, Rate};
use gannet_core::schedule::{Action, Outcome, PolitenessOptions, RowRef, Schedule, ScheduleOptions};

const ROWS: u64 = 1_000_000;
const HOSTS: u64 = 1_000_000;
/// So that rates and paces see time pass: 80,000 rows a second.
const ROW_TIME: Duration = Duration::from_nanos(12_500);

fn main() {
    let mut words = std::env::args().skip(1);
    let (part, case) = (words.next(), words.next());
    match (part.as_deref(), case) {
        (Some("memory"), Some(case)) => measure_memory(&case),
        (part, _) => {
            if part != Some("memory") {
                times();
            }
            if part != Some("time") {
                memories();
            }
        }
    }
}

fn times() {
    let rated = Limits { rate: Rate::per_second(1e6).ok(), ..Limits::default() };
    let slow = Limits { rate: Rate::per_second(0.001).ok(), ..Limits::default() };
    let open = Limits { per_host: None, ..Limits::default() };
    for (name, hosts, limits) in [
        ("one host, 256 in flight", 1, open),
        ("one host, 32 of 256, all rows parked", 1, Limits::default()),
        ("100 hosts", 100, Limits::default()),
        ("10,000 hosts", 10_000, Limits::default()),
        ("10,000 hosts with a rate each", 10_000, rated),
        ("a million hosts", ROWS, Limits::default()),
        ("a million hosts, none forgotten", ROWS, slow),
    ] {
        let names: Vec<_> = (0..hosts).map(name_of).collect();
        let best = |adaptive| (0..5).map(|_| round(&names, &limits, adaptive)).fold(f64::MAX, f64::min);
        println!("{name:40} {:6.1} ns/row fixed {:6.1} adaptive", best(false), best(true));
    }
}

fn name_of(host: u64) -> String {
    format!("host-{host}.example.com")
}

/// Plays a run where every attempt ends after as many others as fit, and gives the nanoseconds a row took.
fn round(names: &[String], limits: &Limits, adaptive: bool) -> f64 {
    let polite = if adaptive { PolitenessOptions::default() } else { PolitenessOptions::off() };
    let options = ScheduleOptions { limits: limits.clone(), polite, ..ScheduleOptions::default() };
    let mut schedule = Schedule::new(options, 1);
    let mut in_flight = VecDeque::new();
    let mut next = 0;
    let begun = cpu_nanos();
    let mut now = Instant::now();
    loop {
        match schedule.poll(now) {
            Action::Start(start) => in_flight.push_back(start.ticket),
            Action::Read if next == ROWS => schedule.on_end_of_input(),
            Action::Read => {
                let host = &names[next as usize % names.len()];
                schedule.on_row(row(next), host, now);
                next += 1;
            }
            Action::WaitUntil(at) if in_flight.is_empty() => now = at,
            Action::WaitForEvent | Action::WaitUntil(_) => {
                if let Some(ticket) = in_flight.pop_front() {
                    now += ROW_TIME;
                    let outcome = Outcome::response(200).latency(Some(Duration::from_millis(5)));
                    let verdict = schedule.on_outcome(ticket, outcome, now);
                    let _ = black_box(verdict);
                }
            }
            Action::BatchDone { .. } | Action::Expired { .. } => {}
            Action::Done => return (cpu_nanos() - begun) / ROWS as f64,
        }
    }
}

const CASES: [(&str, u64, f64, u16); 5] = [
    ("a row queued", 1, 0.0, 0),
    ("a rate's pause", 1, 0.001, 200),
    ("a rate's pause, and a row behind it", 2, 0.001, 200),
    ("ten rows queued", 10, 0.0, 0),
    ("Retry-After, and a row that waits for it", 1, 0.0, 429),
];

fn memories() {
    for (case, ..) in CASES {
        let this = std::env::current_exe().expect("an example knows where it is");
        let status = Command::new(this).args(["memory", case]).status().expect("it can be run again");
        assert!(status.success(), "{case}");
    }
}

/// What each of a million hosts costs that has this much to remember.
fn measure_memory(wanted: &str) {
    let (case, rows, rate, status) = *CASES.iter().find(|(case, ..)| *case == wanted).expect("a case by its name");
    let limits = Limits { rate: Rate::per_second(rate).ok(), ..Limits::default() };
    let mut schedule = Schedule::new(ScheduleOptions { limits, ..ScheduleOptions::default() }, 1);
    let (now, before) = (Instant::now(), resident());
    let mut name = String::new();
    for index in 0..HOSTS * rows {
        name.clear();
        std::fmt::Write::write_fmt(&mut name, format_args!("host-{}.example.com", index % HOSTS)).expect("a string");
        schedule.on_row(row(index), &name, now);
        while status > 0
            && let Action::Start(start) = schedule.poll(now)
        {
            let after = (status == 429).then_some(Duration::from_secs(3600));
            let _ = schedule.on_outcome(start.ticket, Outcome::response(status).retry_after(after), now);
        }
    }
    assert_eq!(schedule.hosts(), HOSTS as usize);
    let bytes = (resident() - before) / HOSTS as f64;
    println!("{case:40} {bytes:6.0} bytes/host");
}

fn row(index: u64) -> RowRef {
    RowRef { index, place: index * 60 }
}

/// What this thread has had of the processors, in nanoseconds.
fn cpu_nanos() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells it");
    stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("as the kernel documents it")
}

/// Bytes of this process that are in memory, with pages of 4 KiB.
fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux tells it");
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).expect("as the kernel documents it") * 4096.0
}
