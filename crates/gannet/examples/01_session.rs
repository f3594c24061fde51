//! A session: connections are kept, cookies come back, defaults go with every request.
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;
use std::time::Duration;

use gannet::{ErrorKind, Options, Session};
use gannet_origin::Origin;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let origin = Origin::start_blocking()?;

    let mut options = Options { base_url: Some(origin.url("/")), ..Options::default() };
    options.headers.set("x-team", "gulls")?;
    options.timeouts.total = Some(Duration::from_secs(5));
    let session = Session::new(options)?;

    // The defaults of the session go with every request.
    let headers = session.get("/headers").send().await?.error_for_status()?.text().await?;
    assert!(headers.contains("gulls"));

    // What a server sets as a cookie is sent back to it.
    session.get("/cookies/set?token=abc").send().await?.error_for_status()?.bytes().await?;
    let cookies = session.get("/cookies").send().await?.error_for_status()?.text().await?;
    println!("cookies: {}", cookies.trim());
    assert!(cookies.contains("abc"));

    // One connection carries them all, because each body is read to its end before the next request.
    for id in 1..=10 {
        let url = format!("/items/{id}");
        session.get(url).send().await?.error_for_status()?.bytes().await?;
    }
    let seen = origin.stats();
    println!("{} requests over {} connection", seen.requests, seen.connections_total);
    assert_eq!(seen.connections_total, 1);

    // A clone is the same session, cheap to make: give one to every task.
    let clone = session.clone();
    println!("the pool: {:?}", clone.pool_stats());
    assert_eq!(clone.pool_stats().idle, 1);

    // Closed for all clones, and its idle connections with it, at this line and not at some later time.
    session.close();
    assert_eq!(session.pool_stats().open, 0);
    let refused = clone.get("/get").send().await.expect_err("the session is closed");
    println!("after close: {refused}");
    assert_eq!(refused.kind(), ErrorKind::Closed);
    Ok(())
}
