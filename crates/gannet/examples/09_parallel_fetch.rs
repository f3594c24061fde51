//! The parallel fetch in one call: url → ok with data, or error with its reason.
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;

use gannet::bulk::BulkOptions;
use gannet::{ErrorKind, Options, Session};
use gannet_origin::Origin;

#[derive(serde::Deserialize)]
struct Item {
    name: String,
    price: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let origin = Origin::start_blocking()?;
    let session = Session::new(Options::default())?;

    let mut urls: Vec<String> = (1..=8).map(|n| origin.url(&format!("/items/{n}?delay=0.05"))).collect();
    urls.push(origin.url("/status/404"));
    urls.push(origin.url("/html"));
    // Asked for twice, fetched once.
    urls.push(urls[0].clone());

    let fetched = session.fetch_map(&urls, BulkOptions::default()).await;

    for (url, result) in &fetched {
        match result {
            Ok(response) => match response.json::<Item>() {
                Ok(item) => println!("{url}: {} costs {:.2}", item.name, item.price),
                Err(error) => println!("{url}: fetched, but {error}"),
            },
            Err(error) => println!("{url}: {} ({error})", error.kind()),
        }
    }

    assert_eq!(fetched.len(), 10);
    assert_eq!(origin.stats().requests, 10);
    let missing = fetched[&origin.url("/status/404")].as_ref().expect_err("it is not there");
    assert_eq!(missing.kind(), ErrorKind::Status);
    let first = fetched[&urls[0]].as_ref().map_err(ToString::to_string)?;
    assert_eq!(first.json::<Item>()?.name, "item 1");
    // That a body is not the JSON one hoped for is found when it is read.
    let page = fetched[&origin.url("/html")].as_ref().map_err(ToString::to_string)?;
    assert!(page.json::<Item>().is_err() && page.text().contains("<html"));
    Ok(())
}
