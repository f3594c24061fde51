//! Exercise 12: a program that makes the usual mistakes, and what a mended one does.

use std::time::{Duration, Instant};

use super::origin;
use crate::report::{Answer, Problem, Report, wait_at_most};

/// Work on a body that takes its time and does not wait for anything: calling it blocks the thread.
pub type Digest = fn(&str) -> usize;

/// A row of the report: the digest of a body, or why there is none.
pub type Row = Result<usize, String>;

/// Calls `stock` with ten items, of which one is not there, one comes right at the third attempt, and one is sent
/// so slowly that it would take three seconds.
pub fn check(stock: &impl AsyncFn(&str, &[String], Digest) -> Answer<Vec<Row>>) -> Report {
    Report::of(|report| {
        let origin = origin()?;
        let paths = paths();
        let base = origin.url("/");
        let (rows, longest_gap) = wait_at_most(Duration::from_secs(12), beside_a_heart(stock(&base, &paths, digest)))?;
        let seen = origin.stats();
        let asked = |path: &str| seen.urls.get(path).copied().unwrap_or(0);

        report.check("a row for each path", rows.len() == 10, format!("{} for ten paths", rows.len()));
        let at = |n: usize| rows.get(n);
        let good = (0..7).all(|n| matches!(at(n), Some(Ok(length)) if *length > 0));
        report.check("one failure does not cost the others", good, format!("{rows:?}"));
        let hint = format!("its row is {:?}: was its status looked at?", at(7));
        report.check("what is not there is told", matches!(at(7), Some(Err(_))), hint);
        let hint = format!("its row is {:?}: a total timeout ends it", at(8));
        report.check("what takes for ever is told", matches!(at(8), Some(Err(_))), hint);
        let tries = asked(FAILING);
        let hint = format!("it was asked for {tries} times: two or three attempts with a backoff between them");
        let told = matches!(at(9), Some(Err(_))) && (2..=3).contains(&tries);
        report.check("a server in trouble is asked again, not for ever", told, hint);
        let sockets = seen.connections_total;
        let hint = format!("{sockets} connections for {} requests: one session for all of them", seen.requests);
        report.check("connections are reused", sockets < seen.requests, hint);
        let most = seen.max_in_flight;
        let hint = format!("at most {most} were under way together");
        report.check("several at once, but no more than 4", (2..=4).contains(&most), hint);
        let hint = format!("for {longest_gap:.1?} nothing else could run: give the digest to spawn_blocking");
        report.check("the runtime is not blocked", longest_gap < WORK * 3 / 4, hint);
        Ok(())
    })
}

fn paths() -> Vec<String> {
    let mut paths: Vec<String> = (0..7).map(|n| format!("/items/{n}?delay=0.1")).collect();
    paths.push("/flaky?p=1&status=404".to_owned());
    paths.push("/drip?duration=3&numbytes=30".to_owned());
    paths.push(FAILING.to_owned());
    paths
}

/// Asleep rather than busy, so that the figures are the same on a loaded machine; a thread is held all the same.
fn digest(text: &str) -> usize {
    std::thread::sleep(WORK);
    text.len()
}

/// The future's answer, and the longest time in which the runtime ran nothing else.
async fn beside_a_heart<T>(future: impl Future<Output = Answer<T>>) -> Answer<(T, Duration)> {
    let heart = tokio::spawn(async {
        let (mut longest, mut last) = (Duration::ZERO, Instant::now());
        // Twelve seconds of beats: longer than anything is waited for.
        for _ in 0..2_400 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            longest = longest.max(last.elapsed());
            last = Instant::now();
            BEAT.with(|beat| beat.set(longest));
        }
    });
    let answer = future.await;
    // One beat more, so that a block just before the end is seen.
    tokio::time::sleep(Duration::from_millis(20)).await;
    heart.abort();
    let longest = BEAT.with(|beat| beat.replace(Duration::ZERO));
    answer.map(|value| (value, longest)).map_err(|problem: Problem| problem)
}

thread_local! {
    static BEAT: std::cell::Cell<Duration> = const { std::cell::Cell::new(Duration::ZERO) };
}

const WORK: Duration = Duration::from_millis(400);
const FAILING: &str = "/status/503";
