//! Which policy asks a host for as much as it gives without being refused: policies by modelled servers on virtual
//! time, as a table in Markdown: `cargo run --release -p gannet-core --example politeness [PART OF A NAME]...`.

#![expect(clippy::disallowed_methods, reason = "a base for virtual time")]
#![expect(clippy::print_stdout, reason = "the table is the product")]

mod policies;
mod servers;
mod world;

use std::time::Instant;

use gannet_core::limit::{Learnt, Pace};
use policies::{Aimd, Fixed, Measured, NoGate, Recovery, Worker};
use servers::{Kind, Server};
use world::{Client, Seen, play};

const SECONDS: f64 = 360.0;
const SEED: u64 = 11;

fn main() {
    println!(
        "| server | policy | goodput, 1st minute | next 5 minutes | refused, 1st minute | next 5 minutes | worst second | recovered after |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    // A part of a server's name, or of a policy's, narrows the table.
    let only: Vec<String> = std::env::args().skip(1).collect();
    for (name, kind, round_trip) in servers() {
        for policy in ["fixed 32", "AIMD", "AIMD + cubic", "AIMD + measured, just under", "shipped", "shipped, 2nd run"]
        {
            if !only.iter().all(|part| name.contains(part) || policy.contains(part)) {
                continue;
            }
            let base = Instant::now();
            let mut server = Server::new(kind, round_trip, SEED);
            let Some(mut client) = client(policy, &server, base) else { continue };
            let seen = play(client.as_mut(), &mut server, SECONDS, base);
            println!("| {name} | {policy} | {} |", row(&seen, &server));
        }
    }
}

fn servers() -> Vec<(&'static str, Kind, f64)> {
    let bucket = |rate: f64, burst: f64, asks| Kind::Bucket { rate, burst, asks };
    vec![
        ("bucket 10/s", bucket(10.0, 10.0, true), 0.001),
        ("bucket 50/s", bucket(50.0, 50.0, true), 0.001),
        ("bucket 50/s, 50 ms away", bucket(50.0, 50.0, true), 0.050),
        ("bucket 200/s", bucket(200.0, 200.0, true), 0.001),
        ("bucket 200/s, 50 ms away", bucket(200.0, 200.0, true), 0.050),
        ("bucket 50/s, no Retry-After", bucket(50.0, 50.0, false), 0.005),
        ("bucket 50/s, burst 1", bucket(50.0, 1.0, true), 0.005),
        ("bucket 50/s, burst 10", bucket(50.0, 10.0, true), 0.005),
        ("bucket 50/s, burst 1000", bucket(50.0, 1000.0, true), 0.005),
        ("50 in any second", Kind::Sliding { count: 50, window: 1.0 }, 0.005),
        ("600 in any minute", Kind::Sliding { count: 600, window: 60.0 }, 0.005),
        ("8 workers of 20 ms", Kind::Queue { workers: 8, work: 0.020 }, 0.005),
        ("slower beyond 10 at once", Kind::Knee { knee: 10, work: 0.050 }, 0.005),
        ("8 workers, dead for a minute", Kind::Outage { workers: 8, work: 0.020, from: 60.0, until: 120.0 }, 0.005),
        ("8 workers, then fast 500s", Kind::FastErrors { workers: 8, work: 0.020 }, 0.005),
    ]
}

fn client(policy: &str, server: &Server, base: Instant) -> Option<Box<dyn Client>> {
    Some(match policy {
        "fixed 32" => Box::new(Worker::new(Fixed)),
        "AIMD" => Box::new(Worker::new(Aimd::new(NoGate))),
        "AIMD + cubic" => Box::new(Worker::new(Aimd::new(Measured::new(Recovery::Cubic)))),
        "AIMD + measured, just under" => Box::new(Worker::new(Aimd::new(Measured::new(Recovery::JustUnder)))),
        "shipped" => Box::new(Worker::new(Pace::new(0, 0, base))),
        _ => Box::new(Worker::new(Pace::taught(&learnt(server, base)?, base))),
    })
}

/// What the shipped policy has learnt of such a server in a first run, if anything.
fn learnt(server: &Server, base: Instant) -> Option<Learnt> {
    let mut worker = Worker::new(Pace::new(0, 0, base));
    play(&mut worker, &mut Server::new(server.kind, server.round_trip, !SEED), SECONDS, base);
    worker.policy().learnt().filter(|learnt| learnt.rate.is_some())
}

fn row(seen: &Seen, server: &Server) -> String {
    let good = |from, until| format!("{:.1}%", 100.0 * seen.served(from, until) / server.could(from, until));
    let refused = |from, until| format!("{:.2}%", 100.0 * seen.refused(from, until));
    let worst = seen.busiest_second(10.0) / server.rate();
    let (first, rest) = ((0.0, 60.0), (60.0, SECONDS));
    format!(
        "{} | {} | {} | {} | {worst:.2} × | {}",
        good(first.0, first.1),
        good(rest.0, rest.1),
        refused(first.0, first.1),
        refused(rest.0, rest.1),
        recovery(seen, server)
    )
}

/// From the end of the outage to the first of three seconds with nine tenths of what there is.
fn recovery(seen: &Seen, server: &Server) -> String {
    let Kind::Outage { until, .. } = server.kind else { return "–".to_owned() };
    let whole = |second: f64| seen.served(second, second + 3.0) >= 2.7 * server.rate();
    let second = (0..200).map(|half| until + f64::from(half) / 2.0).find(|second| whole(*second));
    second.map_or_else(|| "never".to_owned(), |second| format!("{:.1} s", second - until))
}
