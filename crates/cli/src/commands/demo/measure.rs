//! One of the three ways to fetch the same URLs, and what it costs this process: time, CPU, memory, threads.

use std::time::Instant;

use anyhow::Context;
use gannet::bulk::{BulkOptions, PolitenessOptions};
use gannet::{Options, blocking};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::args::Way;
use crate::commands::runtime;

/// How many URLs, each answered after a fifth of a second.
pub(super) const URLS: usize = 50;

/// What one way cost.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Figures {
    /// From the first request to the last answer.
    pub(super) seconds: f64,
    /// Of this process, user and system, in that time.
    pub(super) cpu_seconds: f64,
    /// The most memory resident at once, in KiB; none where /proc does not tell.
    pub(super) peak_kib: Option<u64>,
    /// The most threads at once.
    pub(super) threads: Option<u64>,
    /// Requests answered with 200.
    pub(super) ok: usize,
}

/// Fetches them this way.
pub(super) fn measure(way: Way, origin: &str) -> anyhow::Result<Figures> {
    let urls: Vec<String> = (1..=URLS).map(|n| format!("{origin}/delay/0.2?n={n}")).collect();
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let (ok, threads) = match way {
        Way::Sequential => one_by_one(&urls)?,
        Way::Threads => by_threads(&urls)?,
        Way::Concurrent => concurrently(urls)?,
    };
    Ok(Figures {
        seconds: started.elapsed().as_secs_f64(),
        cpu_seconds: cpu_seconds() - cpu,
        peak_kib: of_process("VmHWM:"),
        threads,
        ok,
    })
}

fn one_by_one(urls: &[String]) -> anyhow::Result<(usize, Option<u64>)> {
    let session = blocking::Session::new(Options::default())?;
    let ok = urls.iter().filter(|url| is_ok(&session, url)).count();
    Ok((ok, of_process("Threads:")))
}

fn by_threads(urls: &[String]) -> anyhow::Result<(usize, Option<u64>)> {
    let session = blocking::Session::new(Options::default())?;
    let answers: Vec<_> = std::thread::scope(|scope| {
        let fetch = |url| {
            let ok = is_ok(&session, url);
            // Before this thread ends: the first to come here sees them all.
            (ok, of_process("Threads:"))
        };
        let threads: Vec<_> = urls.iter().map(|url| scope.spawn(move || fetch(url))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let threads = answers.iter().filter_map(|(_, threads)| *threads).max();
    Ok((answers.iter().filter(|(ok, _)| *ok).count(), threads))
}

fn is_ok(session: &blocking::Session, url: &str) -> bool {
    let text =
        session.get(url).send().and_then(blocking::Response::error_for_status).and_then(blocking::Response::text);
    text.is_ok()
}

fn concurrently(urls: Vec<String>) -> anyhow::Result<(usize, Option<u64>)> {
    let runtime = runtime().context("cannot start the runtime")?;
    let session = gannet::Session::new(Options::default())?;
    // As the threads do it: all of them from the start. By default what the host bears is found out first.
    let mut options = BulkOptions { polite: PolitenessOptions::off(), ..BulkOptions::default() };
    options.limits.concurrency = URLS;
    options.limits.per_host = Some(URLS);
    let outcomes = runtime.block_on(session.fetch_all(urls).options(options).outcomes());
    Ok((outcomes.iter().filter(|outcome| outcome.is_ok()).count(), of_process("Threads:")))
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// A figure of /proc/self/status; in KiB where it is a size.
fn of_process(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
