//! The door for programs that are not async: no runtime, no `await`.
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;
use std::thread;

use gannet::Options;
use gannet::blocking::Session;
use gannet::bulk::{BulkOptions, Outcome};
use gannet_origin::Origin;

fn main() -> Result<(), Box<dyn Error>> {
    let origin = Origin::start_blocking()?;
    let session = Session::new(Options { base_url: Some(origin.url("/")), ..Options::default() })?;

    // The same calls; each returns when it is done.
    let text = session.get("/items/1").send()?.error_for_status()?.text()?;
    println!("{}", text.trim());
    assert!(text.contains("item 1"));
    let echo: serde_json::Value = session.post("/post").json(&["gannet"]).send()?.json()?;
    assert_eq!(echo["json"][0], "gannet");

    // A body in pieces.
    let mut response = session.get("/bytes/100000").send()?;
    println!("{} {}", response.status(), response.url());
    let mut length = 0;
    while let Some(piece) = response.chunk()? {
        length += piece.len();
    }
    assert_eq!(length, 100_000);

    // Many at once, from a program without a runtime: this is what saves the time.
    let urls: Vec<String> = (0..30).map(|n| format!("/items/{n}?delay=0.1")).collect();
    let outcomes = session.fetch_all(&urls, BulkOptions::default());
    println!("{} of {} ok", outcomes.iter().filter(|outcome| outcome.is_ok()).count(), urls.len());
    assert!(outcomes.iter().all(Outcome::is_ok));
    assert!(origin.stats().max_in_flight >= 10);

    // One by one as they finish.
    let mut known = 0;
    let urls = (0..30).map(|n| format!("/items/{n}"));
    for outcome in session.outcomes(session.as_ref().fetch_iter(urls)) {
        known += u64::from(outcome.is_ok());
    }
    assert_eq!(known, 30);

    // Threads share one session, and with it connections and cookies.
    let lengths: Vec<usize> = thread::scope(|scope| {
        let fetch = |n: u32| session.get(format!("/users/{n}")).send()?.error_for_status()?.text();
        let threads: Vec<_> = (0..4).map(|n| scope.spawn(move || fetch(n).map(|text| text.len()))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()?.ok()).collect()
    });
    assert_eq!(lengths.len(), 4);

    session.close();
    assert!(session.get("/get").send().is_err());
    Ok(())
}
