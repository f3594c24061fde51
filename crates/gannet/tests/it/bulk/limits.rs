//! Caps and rates, as the servers saw them.

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex};

use gannet::bulk::sink::CollectSink;
use gannet::bulk::source::{ListSource, Target};
use gannet::bulk::{BulkOptions, Limits, Outcome, PolitenessOptions, Run};
use gannet_origin::Origin;

use super::{assert_in_order, quick, session};

async fn three_hosts() -> Origin {
    Origin::builder().listen("127.0.0.1:0").also_listen("127.0.0.2:0").also_listen("127.0.0.3:0").start().await.unwrap()
}

#[tokio::test]
async fn no_more_run_at_once_than_concurrency_in_all_and_per_host_on_each() {
    let origin = three_hosts().await;
    let urls: Vec<String> = (0..240).map(|n| origin.url_at(n % 3, &format!("/delay/0.01?n={n}"))).collect();
    let outcomes = session().fetch_all(&urls).concurrency(20).per_host(9).await;
    assert_in_order(&outcomes);
    assert!(outcomes.iter().all(Outcome::is_ok));
    let stats = origin.stats();
    assert_eq!(stats.requests, 240);
    assert!(stats.max_in_flight <= 20, "{}", stats.max_in_flight);
    assert!(stats.max_in_flight >= 15, "the limit is used: {}", stats.max_in_flight);
    for (host, seen) in &stats.hosts {
        assert!(seen.max_in_flight <= 9, "{host}: {}", seen.max_in_flight);
    }
}

#[tokio::test]
async fn starts_keep_to_the_rate_of_each_host() {
    let origin = three_hosts().await;
    let urls: Vec<String> = (0..180).map(|n| origin.url_at(n % 3, &format!("/items/{n}"))).collect();
    let mut options = quick();
    options.limits.rate = Some("50/s".parse().unwrap());
    let started = std::time::Instant::now();
    let outcomes = session().fetch_all(&urls).options(options).await;
    assert!(outcomes.iter().all(Outcome::is_ok));
    // 60 a host: a burst of 5, then 55 at 50 a second.
    assert!(started.elapsed().as_secs_f64() > 1.05, "{:?}", started.elapsed());
    for (host, seen) in &origin.stats().hosts {
        assert!(seen.per_second.max <= 56, "{host}: {} in one second", seen.per_second.max);
    }
}

#[tokio::test]
async fn a_limited_host_is_never_asked_before_its_retry_after_has_passed() {
    let origin = Origin::start().await.unwrap();
    let urls: Vec<String> = (0..60).map(|n| origin.url(&format!("/limited?rate=20&burst=20&n={n}"))).collect();
    let mut options = quick();
    options.retry.attempts = 8;
    let outcomes = session().fetch_all(&urls).options(options).await;
    assert!(outcomes.iter().all(Outcome::is_ok), "{outcomes:#?}");
    let limited = origin.stats().limited;
    assert!(limited.refused > 0, "the limit was met");
    assert_eq!(limited.early_after_grace, 0);
}

#[tokio::test]
async fn the_next_batch_starts_when_the_last_row_of_the_one_before_is_done() {
    let origin = Arc::new(Origin::start().await.unwrap());
    let urls: Vec<String> = (0..25).map(|n| origin.url(&format!("/delay/0.0{}?n={n}", n % 4))).collect();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (log, server) = (seen.clone(), origin.clone());
    let on_batch = move |batch: Vec<gannet::bulk::Outcome>| {
        let indices: Vec<u64> = batch.iter().map(|outcome| outcome.index).collect();
        log.lock().unwrap().push((indices, server.stats().requests));
    };
    session().fetch_batches(&urls, NonZeroU64::new(10).unwrap(), BulkOptions::default(), on_batch).await;
    let seen = seen.lock().unwrap();
    let expected: Vec<(Vec<u64>, u64)> =
        vec![((0..10).collect(), 10), ((10..20).collect(), 20), ((20..25).collect(), 25)];
    assert_eq!(*seen, expected, "at the end of each batch the server had seen its rows and no others");
}

#[tokio::test]
async fn a_retry_after_behind_a_redirect_holds_the_host_that_sent_it() {
    let origin = three_hosts().await;
    let limited = |n: u32| origin.url_at(1, &format!("/limited?rate=1&burst=1&n={n}"));
    let behind = origin.url_at(0, &format!("/redirect-to?url={}", limited(1).replace('&', "%26")));
    let mut options = quick();
    options.retry.attempts = 5;
    let outcomes = session().fetch_all([limited(0), behind, limited(2)]).options(options).concurrency(1).await;
    assert!(outcomes.iter().all(Outcome::is_ok), "{outcomes:#?}");
    let seen = origin.stats().limited;
    assert!(seen.refused > 0, "the limit was met");
    assert_eq!(seen.early, 0, "one request at a time: none was under way when it became known");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_several_threads_a_small_pool_serves_many_requests_and_loses_no_slot() {
    let origin = Origin::builder().listen("127.0.0.1:0").also_listen("127.0.0.2:0").start_blocking().unwrap();
    let mut options = gannet::Options::default();
    (options.connections.max, options.connections.max_per_host) = (6, Some(4));
    let session = gannet::Session::new(options).unwrap();
    // Some connections break on the way, so that slots are freed, reopened and handed on all the time.
    let path = |n: usize| if n.is_multiple_of(10) { format!("/reset?n={n}") } else { format!("/items/{n}") };
    let urls: Vec<String> = (0..3000).map(|n| origin.url_at(n % 2, &path(n))).collect();
    let mut options = quick();
    options.retry.attempts = 1;
    let outcomes = session.fetch_all(&urls).options(options).concurrency(64).await;
    assert_in_order(&outcomes);
    assert_eq!(outcomes.iter().filter(|outcome| !outcome.is_ok()).count(), 300);
    let pool = session.pool_stats();
    assert_eq!((pool.open, pool.waiting), (pool.idle, 0));
    assert!(pool.open <= 6, "{pool:?}");
}

#[tokio::test]
async fn a_rate_that_is_not_known_is_found_with_few_refusals_and_kept_from_then_on() {
    let origin = Origin::start().await.unwrap();
    // A burst of 100 and a second's pause; then 100 a second: 500 rows take 4 s at best.
    let urls: Vec<String> = (0..500).map(|n| origin.url(&format!("/limited?rate=100&burst=100&n={n}"))).collect();
    let started = std::time::Instant::now();
    let outcomes = session().fetch_all(&urls).options(quick()).await;
    assert!(outcomes.iter().all(Outcome::is_ok), "{outcomes:#?}");
    let limited = origin.stats().limited;
    assert!(limited.refused <= 25, "{} of 500 were refused", limited.refused);
    assert_eq!(limited.early_after_grace, 0);
    assert!(started.elapsed().as_secs_f64() < 12.0, "{:?}", started.elapsed());
}

async fn until(mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), wait).await.expect("what was waited for never came");
}

#[tokio::test]
async fn limits_are_changed_while_a_run_is_under_way_and_hold_as_the_server_counts() {
    const ROWS: u64 = 2000;
    let origin = Arc::new(Origin::start().await.unwrap());
    let targets = (0..ROWS).map(|n| Target::from(origin.url(&format!("/items/{n}?delay=0.003")))).collect();
    let caps = |concurrency: usize, rate: Option<&str>| Limits {
        concurrency,
        per_host: None,
        rate: rate.map(|rate| rate.parse().unwrap()),
    };
    let mut options = BulkOptions { polite: PolitenessOptions::off(), ..quick() };
    options.limits = caps(2, None);
    let run = Run::new(&session(), ListSource::new(None, targets), CollectSink::new(), options);
    let control = run.control();
    let running = tokio::spawn(run.drive());
    let done = || control.snapshot().done;
    until(|| done() >= 20).await;
    assert_eq!((control.limits(), origin.stats().max_in_flight), (caps(2, None), 2));
    for concurrency in [8, 1, 5] {
        control.set_limits(caps(concurrency, None));
        until(|| control.snapshot().in_flight <= concurrency).await;
        origin.reset_stats();
        let before = done();
        until(|| done() >= before + 200).await;
        assert_eq!(origin.stats().max_in_flight, concurrency as u64);
    }
    // One start an hour: nothing more comes.
    control.set_limits(caps(5, Some("1/h")));
    until(|| control.snapshot().in_flight == 0).await;
    let before = done();
    assert!(before < ROWS && control.snapshot().limited_by.starts_with("--rate: "), "{:?}", control.snapshot());
    control.set_limits(caps(64, None));
    let outcomes = running.await.unwrap().sink.into_outcomes();
    assert_in_order(&outcomes);
    assert!(outcomes.len() as u64 == ROWS && outcomes.iter().all(Outcome::is_ok));
}
