//! The usual mistakes, each made on purpose, measured, and mended.
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use gannet::bulk::{BulkOptions, Outcome};
use gannet::{ErrorKind, Options, Session};
use gannet_origin::Origin;

type Result = std::result::Result<(), Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    let origin = Origin::start_blocking()?;
    a_session_per_request(&origin).await?;
    a_blocking_call_in_async_code(&origin).await?;
    unbounded_fan_out(&origin).await?;
    a_status_never_looked_at(&origin).await?;
    one_failure_cancelling_all(&origin).await?;
    a_body_read_twice(&origin).await?;
    no_timeout(&origin).await?;
    retrying_at_once_and_for_ever(&origin).await?;
    async_for_cpu_bound_work(&origin).await
}

async fn a_session_per_request(origin: &Origin) -> Result {
    for n in 0..20 {
        let session = Session::new(Options::default())?;
        session.get(origin.url(&format!("/items/{n}"))).send().await?.bytes().await?;
    }
    let wrong = origin.stats().connections_total;
    origin.reset_stats();
    let session = Session::new(Options::default())?;
    for n in 0..20 {
        session.get(origin.url(&format!("/items/{n}"))).send().await?.bytes().await?;
    }
    let right = origin.stats().connections_total;
    println!("a session per request: {wrong} connections; one session: {right}");
    assert_eq!((wrong, right), (20, 1));
    Ok(())
}

async fn a_blocking_call_in_async_code(origin: &Origin) -> Result {
    let session = Session::new(Options::default())?;
    let save = || std::thread::sleep(Duration::from_millis(60)); // a slow disk, a database driver
    let one = async |off_the_runtime: bool| -> gannet::Result<()> {
        session.get(origin.url("/get")).send().await?.bytes().await?;
        if off_the_runtime {
            tokio::task::spawn_blocking(save).await.expect("invariant: save does not panic");
        } else {
            save();
        }
        Ok(())
    };
    let started = Instant::now();
    join_all((0..5).map(|_| one(false))).await;
    let wrong = started.elapsed();
    let started = Instant::now();
    join_all((0..5).map(|_| one(true))).await;
    println!("a blocking call: {wrong:.1?}; with spawn_blocking: {:.1?}", started.elapsed());
    assert!(wrong >= Duration::from_millis(300) && started.elapsed() < wrong);
    Ok(())
}

async fn unbounded_fan_out(origin: &Origin) -> Result {
    let urls: Vec<String> = (0..200).map(|n| origin.url(&format!("/items/{n}?delay=0.1"))).collect();
    let session = Session::new(Options::default())?;
    origin.reset_stats();
    join_all(urls.iter().map(|url| session.get(url).send())).await;
    let wrong = origin.stats().max_connections;
    session.close();
    let session = Session::new(Options::default())?;
    origin.reset_stats();
    let outcomes = session.fetch_all(&urls).per_host(32).await;
    let right = origin.stats().max_in_flight;
    println!("unbounded: {wrong} connections to one host; with per_host(32): {right} requests at once");
    assert!(wrong > 100 && right <= 32 && outcomes.iter().all(Outcome::is_ok));
    Ok(())
}

async fn a_status_never_looked_at(origin: &Origin) -> Result {
    let session = Session::new(Options::default())?;
    let saved = session.get(origin.url("/status/404")).send().await?.text().await;
    println!("no look at the status: {saved:?} is saved as if it were the page");
    assert!(saved.is_ok());
    let error = session.get(origin.url("/status/404")).send().await?.error_for_status().expect_err("a 404");
    assert_eq!(error.kind(), ErrorKind::Status);
    Ok(())
}

async fn one_failure_cancelling_all(origin: &Origin) -> Result {
    let session = Session::new(Options::default())?;
    let mut urls: Vec<String> = (0..9).map(|n| origin.url(&format!("/items/{n}?delay=0.1"))).collect();
    urls.push(origin.url("/status/404"));
    let one = async |url| session.get(url).send().await?.error_for_status()?.bytes().await;
    let wrong = try_join_all(urls.iter().map(one)).await;
    let right = session.fetch_all(&urls).await.iter().filter(|outcome| outcome.is_ok()).count();
    println!(
        "try_join_all: {:?}; fetch_all: {right} ok beside 1 failure",
        wrong.map(|all| all.len()).map_err(|e| e.kind())
    );
    assert_eq!(right, 9);
    Ok(())
}

async fn a_body_read_twice(origin: &Origin) -> Result {
    let session = Session::new(Options::default())?;
    // `response.text()` takes the response, so a second call does not compile. Read once, keep the bytes.
    let bytes = session.get(origin.url("/items/5")).send().await?.bytes().await?;
    let text = std::str::from_utf8(&bytes)?;
    let item: serde_json::Value = serde_json::from_slice(&bytes)?;
    println!("read once, used twice: {} characters, {}", text.len(), item["name"]);
    assert_eq!(item["id"], 5);
    Ok(())
}

async fn no_timeout(origin: &Origin) -> Result {
    let session = Session::new(Options::default())?;
    // A byte now and then: never silent for long, so `read` lets it live. It would take five minutes.
    let url = origin.url("/drip?duration=300&numbytes=3000");
    let limit = Duration::from_millis(300);
    let error = session.get(url).timeout(limit).send().await?.bytes().await.expect_err("not whole in time");
    println!("a total timeout: {error}");
    assert_eq!(error.kind(), ErrorKind::TimeoutTotal);
    Ok(())
}

async fn retrying_at_once_and_for_ever(origin: &Origin) -> Result {
    let session = Session::new(Options::default())?;
    origin.reset_stats();
    let url = origin.url("/status/503");
    let until = Instant::now() + Duration::from_millis(200); // "for ever" has to end in an example
    while !session.get(&url).send().await?.ok() && Instant::now() < until {}
    let wrong = origin.stats().requests;
    origin.reset_stats();
    let mut options = BulkOptions::default();
    options.retry.backoff.base = Duration::from_millis(50);
    let outcomes = session.fetch_all([&url]).options(options).await;
    let right = origin.stats().requests;
    println!("a loop: {wrong} requests in 0.2 s to a server in trouble; with backoff: {right}, then an error");
    assert!(wrong > 20 && right == 3 && !outcomes[0].is_ok());
    Ok(())
}

async fn async_for_cpu_bound_work(origin: &Origin) -> Result {
    let session = Session::new(Options::default())?;
    let body = session.get(origin.url("/bytes/200000")).send().await?.bytes().await?;
    // The heart beats every 5 ms while the runtime is free.
    let beats = Arc::new(AtomicU64::new(0));
    let count = beats.clone();
    let heart = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            count.fetch_add(1, Relaxed);
        }
    });
    let own = body.clone();
    tokio::spawn(async move { crunch(&own) }).await?;
    let wrong = beats.swap(0, Relaxed);
    tokio::task::spawn_blocking(move || crunch(&body)).await?;
    let right = beats.load(Relaxed);
    heart.abort();
    println!("beats while computing: {wrong} in a task, {right} beside spawn_blocking");
    assert!(wrong <= 2 && right > 2);
    Ok(())
}

/// About 100 ms of work.
fn crunch(bytes: &[u8]) -> u64 {
    let until = Instant::now() + Duration::from_millis(100);
    let mut sum = 0_u64;
    while Instant::now() < until {
        sum = bytes.iter().fold(sum, |sum, byte| sum.rotate_left(5) ^ u64::from(*byte));
    }
    sum
}
