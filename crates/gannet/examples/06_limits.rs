//! Limits: how many requests run at once, in all and per host, and how fast they start.
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;
use std::time::Instant;

use gannet::bulk::{BulkOptions, Outcome, PolitenessOptions};
use gannet::{Options, Session};
use gannet_origin::Origin;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // Two addresses: two hosts to the limits, which count a name or address and its port.
    let origin = Origin::builder().also_listen("127.0.0.1:0").start_blocking()?;
    let session = Session::new(Options::default())?;

    let urls = |count: usize| (0..count).map(|n| origin.url_at(n % 2, &format!("/items/{n}?delay=0.05")));

    let outcomes = session.fetch_all(urls(60)).concurrency(6).per_host(4).await;
    assert!(outcomes.iter().all(Outcome::is_ok));
    let seen = origin.stats();
    println!("at once, in all: {}", seen.max_in_flight);
    assert!(seen.max_in_flight <= 6);
    for (host, figures) in &seen.hosts {
        println!("at once, {host}: {}", figures.max_in_flight);
        assert!(figures.max_in_flight <= 4);
    }

    origin.reset_stats();
    let mut options = BulkOptions::default();
    options.limits.rate = Some("10/s".parse()?);
    let started = Instant::now();
    let outcomes = session.fetch_all(urls(30)).options(options).await;
    println!("30 requests, 15 to each host, took {:.1?}", started.elapsed());
    assert!(outcomes.iter().all(Outcome::is_ok));
    for (host, figures) in &origin.stats().hosts {
        println!("starts within a second, {host}: {}", figures.per_second.max);
        // Ten, the one of the burst, and one for what the way here squeezed together.
        assert!(figures.per_second.max <= 12);
    }

    // What a host bears is found out while it is asked, beginning with few. Here all that is allowed starts at once.
    origin.reset_stats();
    let mut options = BulkOptions { polite: PolitenessOptions::off(), ..BulkOptions::default() };
    options.limits.per_host = Some(30);
    let slow = (0..60).map(|n| origin.url_at(n % 2, &format!("/items/{n}?delay=0.3")));
    let started = Instant::now();
    let outcomes = session.fetch_all(slow).options(options).await;
    println!("60 requests of 0.3 s, 30 to each host, took {:.1?}", started.elapsed());
    assert!(outcomes.iter().all(Outcome::is_ok));
    // All of them but for what a busy machine delays.
    assert!(origin.stats().hosts.values().all(|figures| figures.max_in_flight > 20));

    // Another matter: how many sockets are open, idle ones included. Requests above it wait their turn.
    origin.reset_stats();
    let mut options = Options::default();
    options.connections.max = 3;
    let narrow = Session::new(options)?;
    session.close();
    let outcomes = narrow.fetch_all((0..12).map(|n| origin.url(&format!("/items/{n}?delay=0.02")))).await;
    assert!(outcomes.iter().all(Outcome::is_ok));
    println!("sockets: {}", narrow.pool_stats().open);
    assert!(narrow.pool_stats().open <= 3);
    assert!(origin.stats().max_in_flight <= 3);
    Ok(())
}
