//! Runs whose requests are on several threads: limits, caps and order are those of one, and nothing is left of them.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gannet::bulk::source::{ListSource, StreamSource, Target};
use gannet::bulk::{BulkOptions, End, Outcome, PolitenessOptions, Run, Sink};
use gannet::{ErrorKind, Options, Session};
use gannet_origin::Origin;

use super::{assert_in_order, quick, session};

/// Keeps each outcome, and the thread that brought it.
#[derive(Clone, Debug, Default)]
struct Seen(Arc<Mutex<(Vec<Outcome>, BTreeSet<String>)>>);

impl Sink for Seen {
    fn push(&mut self, outcome: Outcome) -> std::io::Result<()> {
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        let mut seen = self.0.lock().unwrap();
        seen.0.push(outcome);
        seen.1.insert(thread);
        Ok(())
    }
}

fn threads(count: usize) -> BulkOptions {
    BulkOptions { threads: NonZeroUsize::new(count), ..quick() }
}

fn list(urls: impl IntoIterator<Item = String>) -> ListSource {
    ListSource::new(None, urls.into_iter().map(Target::from).collect())
}

fn run_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("gannet-run-")).count()
}

/// Other tests of this file have threads too, for a while.
async fn until(mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("what was waited for never came");
}

#[tokio::test]
async fn every_thread_takes_part_and_each_row_ends_once() {
    let origin = Origin::start().await.unwrap();
    let seen = Seen::default();
    let urls = (0..600).map(|n| origin.url(&format!("/items/{n}?delay=0.005")));
    let run = Run::new(&session(), list(urls), seen.clone(), threads(3));
    assert!(matches!(run.drive().await.end, End::Complete));
    let (outcomes, threads) = std::mem::take(&mut *seen.0.lock().unwrap());
    let indices: BTreeSet<u64> = outcomes.iter().map(|outcome| outcome.index).collect();
    assert_eq!((outcomes.len(), indices.len()), (600, 600));
    assert!(outcomes.iter().all(Outcome::is_ok));
    assert!(threads.contains("gannet-run-1") && threads.contains("gannet-run-2"), "{threads:?}");
    assert_eq!(threads.len(), 3, "and the caller's own: {threads:?}");
    until(|| run_threads() == 0).await;
    // What is left of a connection on the server's side ends when it sees the end.
    until(|| origin.stats().connections == 0).await;
}

#[tokio::test]
async fn limits_hold_over_all_threads_and_outcomes_keep_their_order() {
    let origin =
        Origin::builder().listen("127.0.0.1:0").also_listen("127.0.0.2:0").also_listen("127.0.0.3:0").start().await;
    let origin = origin.unwrap();
    let urls: Vec<String> = (0..300).map(|n| origin.url_at(n % 3, &format!("/delay/0.01?n={n}"))).collect();
    let outcomes = session().fetch_all(&urls).options(threads(4)).concurrency(20).per_host(9).await;
    assert_in_order(&outcomes);
    assert!(outcomes.iter().all(Outcome::is_ok));
    let stats = origin.stats();
    assert_eq!(stats.requests, 300);
    assert!((15..=20).contains(&stats.max_in_flight), "{}", stats.max_in_flight);
    for (host, seen) in &stats.hosts {
        assert!(seen.max_in_flight <= 9, "{host}: {}", seen.max_in_flight);
    }
}

#[tokio::test]
async fn the_rate_of_a_host_holds_over_all_threads() {
    let origin = Origin::start().await.unwrap();
    let urls: Vec<String> = (0..60).map(|n| origin.url(&format!("/items/{n}"))).collect();
    let mut options = threads(3);
    options.limits.rate = Some("50/s".parse().unwrap());
    let outcomes = session().fetch_all(&urls).options(options).await;
    assert!(outcomes.iter().all(Outcome::is_ok));
    for (host, seen) in &origin.stats().hosts {
        assert!(seen.per_second.max <= 56, "{host}: {} in one second", seen.per_second.max);
    }
}

#[tokio::test]
async fn caps_on_connections_are_divided_and_hold() {
    for (max, max_per_host, most) in [(33, None, 33), (512, Some(17), 17), (5, None, 5)] {
        let origin = Origin::start().await.unwrap();
        let urls: Vec<String> = (0..300).map(|n| origin.url(&format!("/delay/0.002?n={n}"))).collect();
        let mut options = Options::default();
        (options.connections.max, options.connections.max_per_host) = (max, max_per_host);
        let session = Session::new(options).unwrap();
        let outcomes = session
            .fetch_all(&urls)
            .options(BulkOptions { polite: PolitenessOptions::off(), ..threads(4) })
            .concurrency(64)
            .per_host(64)
            .await;
        assert!(outcomes.iter().all(Outcome::is_ok));
        let seen = origin.stats().max_connections;
        assert_eq!(seen, most, "{max}, {max_per_host:?}: {seen}");
    }
}

#[tokio::test]
async fn connections_that_are_idle_when_a_run_begins_do_not_add_to_its_caps() {
    let origin = Origin::start().await.unwrap();
    let mut options = Options::default();
    options.connections.max = 32;
    let session = Session::new(options).unwrap();
    let urls: Vec<String> = (0..200).map(|n| origin.url(&format!("/delay/0.002?n={n}"))).collect();
    let bulk = |count| BulkOptions { polite: PolitenessOptions::off(), ..threads(count) };
    let first = session.fetch_all(&urls).options(bulk(1)).concurrency(32).await;
    assert!(first.iter().all(Outcome::is_ok) && session.pool_stats().idle == 32, "{:?}", session.pool_stats());
    let (beside, options) = (session.clone(), bulk(3));
    let second = tokio::spawn(async move { beside.fetch_all(&urls).options(options).concurrency(32).await });
    let mut most = 0;
    until(|| {
        most = most.max(session.pool_stats().open);
        second.is_finished()
    })
    .await;
    assert!(second.await.unwrap().iter().all(Outcome::is_ok));
    assert!((1..=32).contains(&most), "{most}");
}

#[tokio::test]
async fn what_a_sink_starts_outlives_the_threads_of_the_run() {
    #[derive(Clone, Debug, Default)]
    struct Spawns(Arc<AtomicUsize>);
    impl Sink for Spawns {
        fn push(&mut self, _outcome: Outcome) -> std::io::Result<()> {
            let saved = self.0.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    tokio::task::yield_now().await;
                }
                saved.fetch_add(1, Ordering::Relaxed);
            });
            Ok(())
        }
    }
    let origin = Origin::start().await.unwrap();
    let sink = Spawns::default();
    let urls = (0..300).map(|n| origin.url(&format!("/items/{n}?delay=0.002")));
    let run = Run::new(&session(), list(urls), sink.clone(), threads(3));
    assert!(matches!(run.drive().await.end, End::Complete));
    until(|| sink.0.load(Ordering::Relaxed) == 300).await;
}

#[tokio::test]
async fn a_source_that_blocks_does_not_hold_the_end_of_the_threads() {
    let origin = Origin::start().await.unwrap();
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let urls: Vec<String> = (0..200).map(|n| origin.url(&format!("/items/{n}?delay=0.002"))).collect();
    // Behind the last URL it waits for a thread that blocks, as standard input does.
    let last = futures_util::stream::once(async move {
        let _ = tokio::task::spawn_blocking(move || blocked.recv()).await;
        String::from("http://127.0.0.1:1/")
    });
    let targets = futures_util::StreamExt::chain(futures_util::stream::iter(urls), Box::pin(last));
    let seen = Seen::default();
    let run = Run::new(&session(), StreamSource::new(None, targets), seen.clone(), threads(3));
    let control = run.control();
    let driving = tokio::spawn(run.drive());
    until(|| control.snapshot().ok == 200).await;
    control.abort();
    assert!(matches!(driving.await.unwrap().end, End::Stopped));
    until(|| run_threads() == 0).await;
    drop(release);
}

#[tokio::test]
async fn cookies_are_shared_by_all_threads() {
    let origin = Origin::start().await.unwrap();
    let session = session();
    assert!(session.fetch_all([origin.url("/cookies/set?a=1")]).await[0].is_ok());
    let urls: Vec<String> = (0..80).map(|n| origin.url(&format!("/cookies?n={n}"))).collect();
    for outcome in session.fetch_all(&urls).options(threads(2)).await {
        let body = outcome.into_result().unwrap().body;
        assert!(String::from_utf8_lossy(&body).contains("\"a\""), "{body:?}");
    }
}

#[tokio::test]
async fn a_session_that_is_closed_closes_the_connections_of_every_thread() {
    let origin = Origin::start().await.unwrap();
    let session = session();
    let urls = (0..100_000).map(|n| origin.url(&format!("/items/{n}?delay=0.001")));
    let run = Run::new(&session, list(urls), Seen::default(), threads(3));
    let control = run.control();
    let driving = tokio::spawn(run.drive());
    until(|| control.snapshot().ok > 300).await;
    assert!(session.pool_stats().open > 1);
    session.close();
    until(|| control.snapshot().failed_by_kind.iter().any(|(kind, _)| *kind == ErrorKind::Closed)).await;
    control.abort();
    assert!(matches!(driving.await.unwrap().end, End::Stopped));
    until(|| origin.stats().connections == 0).await;
}

#[tokio::test]
async fn dropping_a_run_ends_its_threads_and_connections() {
    let origin = Origin::start().await.unwrap();
    let urls = (0..64).map(|n| origin.url(&format!("/hang?n={n}")));
    let options = BulkOptions { polite: PolitenessOptions::off(), ..threads(3) };
    let run = Run::new(&session(), list(urls), Seen::default(), options);
    let driving = tokio::spawn(run.drive());
    until(|| origin.stats().in_flight == 32).await;
    driving.abort();
    assert!(driving.await.unwrap_err().is_cancelled());
    until(|| run_threads() == 0 && origin.stats().connections == 0).await;
}

#[tokio::test]
async fn a_sink_that_panics_on_a_thread_of_the_run_panics_its_driver() {
    #[derive(Debug)]
    struct Panics;
    impl Sink for Panics {
        fn push(&mut self, _outcome: Outcome) -> std::io::Result<()> {
            let thread = std::thread::current();
            assert!(!thread.name().is_some_and(|name| name.starts_with("gannet-run-")), "as it should");
            Ok(())
        }
    }
    let origin = Origin::start().await.unwrap();
    let urls = (0..600).map(|n| origin.url(&format!("/items/{n}?delay=0.005")));
    let run = Run::new(&session(), list(urls), Panics, threads(3));
    assert!(tokio::spawn(run.drive()).await.unwrap_err().is_panic());
    until(|| run_threads() == 0).await;
}
