//! Timeouts: each bounds one thing, and its error says which it was.
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;
use std::net::TcpListener;
use std::time::Duration;

use gannet::bulk::BulkOptions;
use gannet::{ErrorKind, Options, Session, Timeouts};
use gannet_origin::Origin;

const SHORT: Duration = Duration::from_millis(300);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let origin = Origin::start_blocking()?;

    // `read` is about silence: six bytes in 0.6 s pass, each comes 100 ms after the one before.
    let mut options = Options { base_url: Some(origin.url("/")), ..Options::default() };
    options.timeouts.read = Some(SHORT);
    let session = Session::new(options)?;
    let text = session.get("/drip?duration=0.6&numbytes=6").send().await?.text().await?;
    assert_eq!(text, "******");

    // A server that says nothing does not.
    let error = session.get("/hang").send().await.expect_err("nothing comes");
    println!("{}: {error}", error.kind());
    assert_eq!(error.kind(), ErrorKind::TimeoutRead);

    // `total` is about the whole, to the last byte. For one request: `timeout`.
    let response = session.get("/drip?duration=0.6&numbytes=6").timeout(SHORT).send().await?;
    let error = response.text().await.expect_err("it takes longer");
    println!("{}: {error}", error.kind());
    assert_eq!(error.kind(), ErrorKind::TimeoutTotal);

    // `connect` is lookup, TCP and TLS. This server takes the call and never says a word of TLS.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("https://{}/", silent.local_addr()?);
    let own = Timeouts { connect: Some(SHORT), ..Timeouts::default() };
    let error = session.get(url).timeouts(own).send().await.expect_err("no handshake");
    println!("{}: {error}", error.kind());
    assert_eq!(error.kind(), ErrorKind::TimeoutConnect);

    // `pool` is the wait for one of our own connections: here there is only one, and it is taken.
    let mut options = Options { base_url: Some(origin.url("/")), ..Options::default() };
    options.connections.max = 1;
    options.timeouts.pool = Some(SHORT);
    let narrow = Session::new(options)?;
    let taken = narrow.get("/hang?after=head").send().await?;
    let error = narrow.get("/get").send().await.expect_err("the connection is taken");
    println!("{}: {error}", error.kind());
    assert_eq!(error.kind(), ErrorKind::TimeoutPool);
    drop(taken);

    // In bulk, `deadline` bounds a row with all its attempts and the waits between them.
    let bulk = BulkOptions { deadline: Some(SHORT), ..BulkOptions::default() };
    let outcomes = session.fetch_all(["/drip?duration=5"]).options(bulk).await;
    println!("{:?} after {} attempt", outcomes[0].error_kind(), outcomes[0].attempts);
    assert_eq!(outcomes[0].error_kind(), Some(ErrorKind::TimeoutDeadline));
    Ok(())
}
