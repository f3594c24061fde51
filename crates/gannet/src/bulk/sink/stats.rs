//! What a run came to, counted row by row in bounded memory, and the summary made of it at the end.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use gannet_core::ErrorKind;
use serde::Serialize;

use super::Outcome;
use super::histogram::Histogram;
use super::hosts::Hosts;

/// Counts of a run. Each row is counted once.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Rows.
    pub rows: u64,
    /// Rows that are ok.
    pub ok: u64,
    /// Failed rows by what went wrong.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Rows by the status of their last response.
    pub statuses: BTreeMap<u16, u64>,
    /// Bytes of the bodies, after decoding.
    pub bytes: u64,
    /// Attempts of all rows together; hops of a redirect are none.
    pub attempts: u64,
    /// Attempts beyond each row's first.
    pub retries: u64,
    /// How long the last attempts took.
    pub latency: Histogram,
    /// Rows that earlier runs finished; counted above too.
    pub earlier_rows: u64,
    /// Attempts of those rows; counted above too.
    pub earlier_attempts: u64,
    hosts: Hosts,
}

impl Stats {
    /// Counts a row. One that was never tried has no latency.
    pub fn count(&mut self, outcome: &Outcome) {
        self.rows += 1;
        match outcome.error_kind() {
            None => self.ok += 1,
            Some(kind) => *self.errors.entry(kind).or_default() += 1,
        }
        if let Some(response) = &outcome.response {
            *self.statuses.entry(response.status.as_u16()).or_default() += 1;
            self.bytes += response.body.len() as u64;
        }
        self.attempts += u64::from(outcome.attempts);
        self.retries += u64::from(outcome.attempts.saturating_sub(1));
        if outcome.attempts > 0 {
            self.latency.count(outcome.elapsed);
            self.hosts.count(&outcome.url, outcome.elapsed);
        }
    }

    /// Rows that failed.
    pub fn failed(&self) -> u64 {
        self.rows - self.ok
    }

    /// The summary of a run that took `wall`.
    pub fn summary(&self, wall: Duration) -> Summary {
        let seconds = wall.as_secs_f64();
        let per_second = |count: u64| if seconds > 0.0 { round(count as f64 / seconds, 1) } else { 0.0 };
        let quantile = |share| self.latency.quantile(share).map(millis);
        let latency_ms = match (quantile(0.5), quantile(0.9), quantile(0.99)) {
            (Some(p50), Some(p90), Some(p99)) => Some(LatencyMs { p50, p90, p99, max: millis(self.latency.max()) }),
            _ => None,
        };
        let slowest = self.hosts.slowest(SLOWEST).into_iter();
        Summary {
            rows: self.rows,
            earlier_rows: self.earlier_rows,
            ok: self.ok,
            failed: self.failed(),
            errors: self.errors.clone(),
            statuses: self.statuses.clone(),
            bytes: self.bytes,
            attempts: self.attempts,
            retries: self.retries,
            seconds: round(seconds, 3),
            rows_per_second: per_second(self.rows - self.earlier_rows),
            requests_per_second: per_second(self.attempts - self.earlier_attempts),
            latency_ms,
            slowest_hosts: slowest
                .map(|(host, rows, mean)| SlowHost { host: host.to_owned(), rows, mean_ms: millis(mean) })
                .collect(),
        }
    }
}

/// What a run came to, for people ([`Summary::to_text`]) and, serialized, for programs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Rows that finished.
    pub rows: u64,
    /// Of them, those that earlier runs finished.
    pub earlier_rows: u64,
    /// Rows that are ok.
    pub ok: u64,
    /// Rows that failed.
    pub failed: u64,
    /// Failed rows by what went wrong.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Rows by the status of their last response.
    pub statuses: BTreeMap<u16, u64>,
    /// Bytes of the bodies, after decoding.
    pub bytes: u64,
    /// Attempts of all rows together.
    pub attempts: u64,
    /// Attempts beyond each row's first.
    pub retries: u64,
    /// How long the run took.
    pub seconds: f64,
    /// Rows that finished, per second.
    pub rows_per_second: f64,
    /// Attempts, per second.
    pub requests_per_second: f64,
    /// How long the last attempts took; none where nothing was tried.
    pub latency_ms: Option<LatencyMs>,
    /// The five slowest hosts, the slowest first.
    pub slowest_hosts: Vec<SlowHost>,
}

/// Latencies in milliseconds, within 0.8%.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LatencyMs {
    /// The median.
    pub p50: f64,
    /// Nine of ten were not above it.
    pub p90: f64,
    /// Ninety-nine of a hundred were not above it.
    pub p99: f64,
    /// The longest, exactly.
    pub max: f64,
}

/// A host and how slow it was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SlowHost {
    /// Its name or address, and its port where that is neither 80 nor 443.
    pub host: String,
    /// Rows that asked it.
    pub rows: u64,
    /// The mean latency of their last attempts.
    pub mean_ms: f64,
}

impl Summary {
    /// A block of lines for people, each ended by a line break, without colours. Lines with nothing to tell are left
    /// out.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_text(&mut text);
        text
    }

    fn write_text(&self, text: &mut String) -> fmt::Result {
        writeln!(text, "rows      {}: {} ok, {} failed", self.rows, self.ok, self.failed)?;
        if self.earlier_rows > 0 {
            writeln!(text, "earlier   {} of them by earlier runs", self.earlier_rows)?;
        }
        if !self.errors.is_empty() {
            let mut by_count: Vec<_> = self.errors.iter().collect();
            by_count.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            writeln!(text, "failed    {}", list(by_count.into_iter()))?;
        }
        if !self.statuses.is_empty() {
            writeln!(text, "statuses  {}", list(self.statuses.iter()))?;
        }
        writeln!(text, "bytes     {}", size(self.bytes))?;
        let retries = if self.retries == 1 { "retry" } else { "retries" };
        writeln!(text, "requests  {}, {} {retries}", self.attempts, self.retries)?;
        let (rows, requests) = (self.rows_per_second, self.requests_per_second);
        writeln!(text, "time      {:.1} s: {rows:.1} rows/s, {requests:.1} requests/s", self.seconds)?;
        if let Some(LatencyMs { p50, p90, p99, max }) = self.latency_ms {
            writeln!(text, "latency   p50 {p50:.1} ms, p90 {p90:.1} ms, p99 {p99:.1} ms, max {max:.1} ms")?;
        }
        // A single host's mean says nothing that the line above does not.
        if self.slowest_hosts.len() < 2 {
            return Ok(());
        }
        let name_width = self.slowest_hosts.iter().map(|slow| slow.host.chars().count()).max().unwrap_or(0);
        let means: Vec<String> = self.slowest_hosts.iter().map(|slow| format!("{:.1}", slow.mean_ms)).collect();
        let mean_width = means.iter().map(String::len).max().unwrap_or(0);
        for (number, (slow, mean)) in self.slowest_hosts.iter().zip(means).enumerate() {
            let label = if number == 0 { "slowest" } else { "" };
            let rows = if slow.rows == 1 { "row" } else { "rows" };
            writeln!(text, "{label:<9} {:<name_width$}  mean {mean:>mean_width$} ms, {} {rows}", slow.host, slow.rows)?;
        }
        Ok(())
    }
}

const SLOWEST: usize = 5;

fn list<K: fmt::Display>(counts: impl Iterator<Item = (K, impl fmt::Display)>) -> String {
    counts.map(|(name, count)| format!("{name}: {count}")).collect::<Vec<_>>().join(", ")
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut scaled = bytes as f64;
    let mut unit = None;
    for name in UNITS {
        if scaled < 1024.0 {
            break;
        }
        scaled /= 1024.0;
        unit = Some(name);
    }
    match unit {
        Some(unit) => format!("{bytes} ({scaled:.1} {unit})"),
        None => bytes.to_string(),
    }
}

fn millis(duration: Duration) -> f64 {
    round(duration.as_secs_f64() * 1e3, 3)
}

fn round(number: f64, decimals: i32) -> f64 {
    let scale = 10f64.powi(decimals);
    (number * scale).round() / scale
}
