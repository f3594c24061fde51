//! The same URLs one by one, by threads with a blocking client, and concurrently.
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use gannet::bulk::{BulkOptions, PolitenessOptions};
use gannet::{Options, Session, blocking};
use gannet_origin::Origin;

const COUNT: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let origin = Origin::start_blocking()?;
    // Each is answered after 50 ms: nearly all of the time is waiting.
    let urls: Vec<String> = (0..COUNT).map(|n| origin.url(&format!("/items/{n}?delay=0.05"))).collect();

    let alone = timed("one by one", || one_by_one(&urls))?;
    let threads = timed("by threads", || by_threads(&urls))?;
    let together = timed("concurrently", || concurrently(&urls))?;

    // 20 × 50 ms are a second; together they take hardly longer than the slowest.
    assert!(alone >= Duration::from_secs(1));
    assert!(threads < alone / 2 && together < alone / 2);
    Ok(())
}

fn one_by_one(urls: &[String]) -> gannet::Result<usize> {
    let session = blocking::Session::new(Options::default())?;
    for url in urls {
        session.get(url).send()?.error_for_status()?.bytes()?;
    }
    Ok(urls.len())
}

fn by_threads(urls: &[String]) -> gannet::Result<usize> {
    let session = blocking::Session::new(Options::default())?;
    let fetch = |url: &String| session.get(url).send()?.error_for_status()?.bytes();
    thread::scope(|scope| {
        let threads: Vec<_> = urls.iter().map(|url| scope.spawn(|| fetch(url))).collect();
        let bodies = threads.into_iter().map(|thread| thread.join().expect("invariant: fetch does not panic"));
        bodies.into_iter().try_fold(0, |n, body| body.map(|_| n + 1))
    })
}

fn concurrently(urls: &[String]) -> gannet::Result<usize> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("invariant: there is room for a runtime").block_on(async {
        let session = Session::new(Options::default())?;
        // All of them from the start, as the threads have it.
        let options = BulkOptions { polite: PolitenessOptions::off(), ..BulkOptions::default() };
        Ok(session.fetch_all(urls).options(options).await.iter().filter(|outcome| outcome.is_ok()).count())
    })
}

fn timed(name: &str, way: impl FnOnce() -> gannet::Result<usize>) -> gannet::Result<Duration> {
    let started = Instant::now();
    let ok = way()?;
    let took = started.elapsed();
    println!("{name:<13} {ok} ok in {took:.2?}");
    assert_eq!(ok, COUNT);
    Ok(took)
}
