//! The comparison: the same URLs one by one, by threads with a blocking client, and concurrently, side by side.

use std::io::{self, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use clap::ValueEnum;

use super::measure::{Figures, URLS};
use crate::args::Way;

/// Measures the three ways and writes the table, a line as soon as it is known.
pub(super) fn run(origin: &str) -> anyhow::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{URLS} URLs, each answered after 200 ms. One by one takes 10 s: please wait.")?;
    // Elsewhere a run begins with 8 to a host: on so few URLs that is most of its time.
    writeln!(out, "Threads and concurrently have all {URLS} under way from the start, as with --no-adapt.\n")?;
    writeln!(out, "{}", row(["", "time", "CPU", "peak memory", "threads", "speed-up"]))?;
    let mut first = None;
    for way in [Way::Sequential, Way::Threads, Way::Concurrent] {
        let figures = in_own_process(way, origin)?;
        ensure!(figures.ok == URLS, "{}: {} of {URLS} requests were answered", title(way), figures.ok);
        let base = *first.get_or_insert(figures.seconds);
        writeln!(out, "{}", line(way, &figures, base / figures.seconds))?;
    }
    writeln!(out)?;
    Ok(())
}

fn in_own_process(way: Way, origin: &str) -> anyhow::Result<Figures> {
    let name = way.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let output = Command::new(std::env::current_exe().context("where is this program?")?)
        .args(["demo", "--only", &name, "--origin", origin])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {name}"))?;
    ensure!(output.status.success(), "{}: ended with {}", title(way), output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("{name}: no figures came"))
}

fn title(way: Way) -> &'static str {
    match way {
        Way::Sequential => "one by one",
        Way::Threads => "50 threads",
        Way::Concurrent => "concurrently",
    }
}

fn line(way: Way, figures: &Figures, speed_up: f64) -> String {
    let unknown = || "?".to_owned();
    row([
        title(way),
        &format!("{:.2} s", figures.seconds),
        &format!("{:.0} ms", figures.cpu_seconds * 1000.0),
        &figures.peak_kib.map_or_else(unknown, |kib| format!("{:.1} MiB", kib as f64 / 1024.0)),
        &figures.threads.map_or_else(unknown, |threads| threads.to_string()),
        &format!("{speed_up:.1}×"),
    ])
}

fn row([name, time, cpu, memory, threads, speed_up]: [&str; 6]) -> String {
    format!("{name:<14}{time:>10}{cpu:>10}{memory:>14}{threads:>10}{speed_up:>11}")
}
