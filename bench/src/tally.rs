//! What became of a task's requests, and how long they took.

use std::fmt::Display;
use std::time::{Duration, Instant};

use crate::Args;

/// How many requests a task has still to make, and what became of the others.
#[derive(Debug, Clone)]
pub struct Tally {
    left: usize,
    body: usize,
    ok: usize,
    failed: usize,
    latency: bool,
    begun: Option<Instant>,
    taken: Vec<Duration>,
}

impl Tally {
    pub(crate) fn new(args: &Args, requests: usize) -> Self {
        let taken = Vec::with_capacity(if args.latency { requests } else { 0 });
        Self { left: requests, body: args.body, ok: 0, failed: 0, latency: args.latency, begun: None, taken }
    }

    /// Begins the next request, if there is another one to make.
    pub fn begin(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        if self.latency {
            self.begun = Some(Instant::now());
        }
        true
    }

    /// Counts a request by the status and body length it got: only status 200 and the whole body are a success. The
    /// first failure of a task is told on stderr.
    pub fn count<E: Display>(&mut self, result: Result<(u16, usize), E>) {
        self.taken.extend(self.begun.map(|begun| begun.elapsed()));
        match result {
            Ok((200, len)) if len == self.body => self.ok += 1,
            Ok((status, len)) => self.fail(&format!("status {status}, {len} bytes")),
            Err(error) => self.fail(&error),
        }
    }

    /// Counts what is left as failed, for a task that never got its connection.
    pub fn lost(mut self, error: &dyn Display) -> Self {
        self.fail(error);
        self.failed += self.left.saturating_sub(1);
        self.left = 0;
        self
    }

    pub(crate) fn add(&mut self, mut other: Self) {
        self.ok += other.ok;
        self.failed += other.failed;
        self.taken.append(&mut other.taken);
    }

    pub(crate) fn is_success(&self) -> bool {
        self.failed == 0
    }

    /// One line of JSON: the counts, and the median and the 99th percentile of the latency where it was kept.
    pub(crate) fn into_json(mut self) -> String {
        let mut json = format!("{{\"ok\":{},\"failed\":{}", self.ok, self.failed);
        self.taken.sort_unstable();
        for (name, hundredths) in [("median_us", 50), ("p99_us", 99)] {
            if let Some(taken) = self.taken.get(self.taken.len() * hundredths / 100) {
                json += &format!(",\"{name}\":{:.2}", taken.as_secs_f64() * 1e6);
            }
        }
        json + "}"
    }

    fn fail(&mut self, reason: &dyn Display) {
        if self.failed == 0 {
            eprintln!("failed: {reason}");
        }
        self.failed += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(left: usize) -> Tally {
        Tally { left, body: 210, ok: 0, failed: 0, latency: false, begun: None, taken: Vec::new() }
    }

    #[test]
    fn only_a_whole_200_counts_as_ok() {
        let mut tally = tally(4);
        for result in [Ok((200, 210)), Ok((200, 209)), Ok((404, 210)), Err("reset")] {
            assert!(tally.begin());
            tally.count(result);
        }
        assert!(!tally.begin());
        assert_eq!(tally.into_json(), "{\"ok\":1,\"failed\":3}");
    }

    #[test]
    fn a_lost_task_counts_all_its_requests_as_failed() {
        assert_eq!(tally(5).lost(&"refused").into_json(), "{\"ok\":0,\"failed\":5}");
    }

    #[test]
    fn the_median_and_the_99th_percentile_are_told() {
        let mut tally = tally(0);
        tally.taken = (1..=100).rev().map(Duration::from_micros).collect();
        assert_eq!(tally.into_json(), "{\"ok\":0,\"failed\":0,\"median_us\":51.00,\"p99_us\":100.00}");
    }
}
