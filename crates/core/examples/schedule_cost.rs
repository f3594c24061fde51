//! What one row costs in the schedule: `cargo run --release -p gannet-core --example schedule_cost`.
//! Wall time of `on_row`, the polls and `on_outcome`, without any request; the best of five rounds. With the limits as
//! they are set, and with what is adapted to each host.

#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
#![expect(clippy::print_stdout, reason = "the figures are the product")]

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::{Duration, Instant};

use gannet_core::limit::{Limits, Rate};
use gannet_core::schedule::{Action, Outcome, PolitenessOptions, RowRef, Schedule, ScheduleOptions};

const ROWS: u64 = 1_000_000;
/// So that rates and paces see time pass: 80,000 rows a second.
const ROW_TIME: Duration = Duration::from_nanos(12_500);

fn main() {
    let rated = Limits { rate: Rate::per_second(1e6).ok(), ..Limits::default() };
    let open = Limits { per_host: None, ..Limits::default() };
    for (name, hosts, limits) in [
        ("one host, 256 in flight", 1, open),
        ("one host, 32 of 256, all rows parked", 1, Limits::default()),
        ("100 hosts", 100, Limits::default()),
        ("10,000 hosts", 10_000, Limits::default()),
        ("10,000 hosts with a rate each", 10_000, rated),
        ("a million hosts", ROWS, Limits::default()),
    ] {
        let names: Vec<_> = (0..hosts).map(|host| format!("host-{host}.example.com:443")).collect();
        let best = |adaptive| (0..5).map(|_| round(&names, &limits, adaptive)).fold(f64::MAX, f64::min);
        println!("{name:40} {:6.1} ns/row fixed {:6.1} adaptive", best(false), best(true));
    }
}

/// Plays a run where every attempt ends after as many others as fit, and gives the nanoseconds a row took.
fn round(names: &[String], limits: &Limits, adaptive: bool) -> f64 {
    let polite = if adaptive { PolitenessOptions::default() } else { PolitenessOptions::off() };
    let options = ScheduleOptions { limits: limits.clone(), polite, ..ScheduleOptions::default() };
    let mut schedule = Schedule::new(options, 1);
    let mut in_flight = VecDeque::new();
    let mut next = 0;
    let begun = Instant::now();
    let mut now = begun;
    loop {
        match schedule.poll(now) {
            Action::Start(start) => in_flight.push_back(start.ticket),
            Action::Read if next == ROWS => schedule.on_end_of_input(),
            Action::Read => {
                let host = &names[next as usize % names.len()];
                schedule.on_row(RowRef { index: next, place: next * 60 }, host, now);
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
            Action::Done => return begun.elapsed().as_nanos() as f64 / ROWS as f64,
        }
    }
}
