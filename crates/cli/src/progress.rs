//! Progress on stderr while a run goes on, where stderr is a terminal: a bar when the total is known or can be
//! estimated, else a spinner. Elsewhere nothing but single lines ([`Progress::say`]).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use gannet::bulk::{Control, Snapshot};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::tell;

/// How often it is drawn.
const EVERY: Duration = Duration::from_millis(100);
/// The rate is that of the last so many drawings: 5 s.
const WINDOW: usize = 50;

/// What is shown on stderr during a run.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    /// The most rows that will be read.
    first: Option<u64>,
}

impl Progress {
    /// Shown only on a terminal, and not when the user wants quiet. No more than the `first` rows will be read.
    pub(crate) fn new(quiet: bool, first: Option<u64>) -> Self {
        let shown = !quiet && std::io::stderr().is_terminal();
        let bar = shown.then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10)));
        Progress { bar, first }
    }

    /// A line that stays.
    pub(crate) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| tell(line)),
            None => tell(line),
        }
    }

    /// Draws until it is dropped.
    pub(crate) async fn show(&self, control: &Control) -> Infallible {
        let Some(bar) = &self.bar else { return std::future::pending().await };
        let mut pace = Pace::default();
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut shape = None;
        loop {
            ticks.tick().await;
            let snapshot = control.snapshot();
            let (total, detail) = (total(&snapshot, self.first), detail(&snapshot));
            let fitting = (total.is_some(), detail.is_empty());
            if shape != Some(fitting) {
                bar.set_style(style(fitting.0, !fitting.1));
                shape = Some(fitting);
            }
            if let Some(total) = total {
                bar.set_length(total.rows);
                bar.set_position(snapshot.done);
            }
            let rate = pace.on_done(snapshot.done, Instant::now());
            bar.set_message(line(&snapshot, total, rate));
            bar.set_prefix(detail);
            bar.tick();
        }
    }

    /// Wipes it away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(with_bar: bool, with_detail: bool) -> ProgressStyle {
    let template = match (with_bar, with_detail) {
        (true, true) => "{bar:16} {wide_msg}\n{prefix}",
        (true, false) => "{bar:16} {wide_msg}",
        (false, true) => "{spinner} {wide_msg}\n{prefix}",
        (false, false) => "{spinner} {wide_msg}",
    };
    ProgressStyle::with_template(template).expect("invariant: the templates are well-formed")
}

/// How many rows there will be.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Total {
    rows: u64,
    estimated: bool,
}

fn total(snapshot: &Snapshot, first: Option<u64>) -> Option<Total> {
    if let Some(rows) = snapshot.total {
        return Some(Total { rows, estimated: false });
    }
    let (read, all) = snapshot.progress_bytes.filter(|(read, _)| *read > 0 && snapshot.read > 0)?;
    let rows = (snapshot.read as f64 * (all as f64 / read as f64)).round() as u64;
    let (rows, first) = (rows.max(snapshot.read), first.unwrap_or(u64::MAX));
    // The input may end before the last row asked for; once that is read, nothing is left to guess.
    Some(Total { rows: rows.min(first), estimated: snapshot.read < first })
}

/// Rows per second over the last few seconds.
#[derive(Default)]
struct Pace {
    seen: VecDeque<(Instant, u64)>,
}

impl Pace {
    fn on_done(&mut self, done: u64, now: Instant) -> f64 {
        self.seen.push_back((now, done));
        if self.seen.len() > WINDOW {
            self.seen.pop_front();
        }
        let (since, before) = self.seen[0];
        let seconds = now.duration_since(since).as_secs_f64();
        if seconds > 0.0 { (done - before) as f64 / seconds } else { 0.0 }
    }
}

/// The first line: done/total, rate, time left, in flight, failed.
fn line(snapshot: &Snapshot, total: Option<Total>, rate: f64) -> String {
    let mut text = grouped(snapshot.done);
    if let Some(total) = total {
        text += &format!("/{}{}", if total.estimated { "~" } else { "" }, grouped(total.rows));
    }
    text += &format!("  {}/s", grouped(rate.round() as u64));
    if let Some(total) = total.filter(|_| rate > 0.0) {
        text += &format!("  ETA {}", span(total.rows.saturating_sub(snapshot.done) as f64 / rate));
    }
    text += &format!("  {} in flight", snapshot.in_flight);
    if snapshot.failed > 0 {
        text += &format!("  {} failed", grouped(snapshot.failed));
    }
    text
}

/// The second line, where there is something to say: what limits it, retries, failures by kind.
fn detail(snapshot: &Snapshot) -> String {
    let mut parts = Vec::new();
    if !snapshot.limited_by.is_empty() {
        parts.push(format!("limited by {}", snapshot.limited_by));
    }
    if snapshot.retrying > 0 {
        parts.push(format!("{} to retry", grouped(snapshot.retrying as u64)));
    }
    let kinds = snapshot.failed_by_kind.iter().map(|(kind, count)| format!("{kind}: {}", grouped(*count)));
    let kinds: Vec<_> = kinds.collect();
    if !kinds.is_empty() {
        parts.push(format!("failed by {}", kinds.join(", ")));
    }
    parts.join("  ")
}

/// `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `12 s`, `3 min 20 s`, `2 h 5 min`.
fn span(seconds: f64) -> String {
    let seconds = seconds.ceil() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use gannet::ErrorKind;

    use super::*;

    fn snapshot() -> Snapshot {
        Snapshot { read: 1500, done: 1200, ok: 1197, failed: 3, in_flight: 64, ..Snapshot::default() }
    }

    #[test]
    fn the_lines_say_what_there_is_to_say() {
        let plain = Snapshot { failed: 0, ok: 1200, ..snapshot() };
        assert_eq!(line(&plain, total(&plain, None), 99.6), "1,200  100/s  64 in flight");
        assert_eq!(detail(&plain), "");
        let full = Snapshot {
            total: Some(20_000),
            retrying: 7,
            failed_by_kind: vec![(ErrorKind::Status, 2), (ErrorKind::TimeoutRead, 1)],
            limited_by: "--per-host: api.example.com".to_owned(),
            ..snapshot()
        };
        assert_eq!(
            line(&full, total(&full, None), 100.0),
            "1,200/20,000  100/s  ETA 3 min 8 s  64 in flight  3 failed"
        );
        assert_eq!(
            detail(&full),
            "limited by --per-host: api.example.com  7 to retry  failed by status: 2, timeout.read: 1"
        );
    }

    #[test]
    fn a_total_is_estimated_from_the_bytes_read() {
        let halfway = Snapshot { progress_bytes: Some((500, 1000)), ..snapshot() };
        assert_eq!(total(&halfway, None), Some(Total { rows: 3000, estimated: true }));
        let unread = Snapshot { progress_bytes: Some((0, 1000)), ..snapshot() };
        assert_eq!(total(&unread, None), None);
        assert_eq!(total(&snapshot(), None), None);
    }

    #[test]
    fn an_estimate_is_never_above_the_rows_that_were_asked_for() {
        let halfway = Snapshot { progress_bytes: Some((500, 1000)), ..snapshot() };
        assert_eq!(total(&halfway, Some(2000)), Some(Total { rows: 2000, estimated: true }));
        assert_eq!(total(&halfway, Some(5000)), Some(Total { rows: 3000, estimated: true }));
        assert_eq!(total(&halfway, Some(1500)), Some(Total { rows: 1500, estimated: false }));
    }

    #[test]
    fn the_pace_is_that_of_the_last_seconds() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(pace.on_done(0, start), 0.0);
        assert_eq!(pace.on_done(100, start + Duration::from_secs(1)), 100.0);
        for second in 2..100 {
            pace.on_done(100, start + Duration::from_secs(second));
        }
        assert_eq!(pace.on_done(100, start + Duration::from_secs(100)), 0.0);
    }

    #[test]
    fn numbers_and_spans_are_written_for_people() {
        let numbers = [0, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.2, 60.0, 7500.0].map(span), ["1 s", "1 min 0 s", "2 h 5 min"]);
    }
}
