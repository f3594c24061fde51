//! As `gannet_session`, over HTTP/2 without asking: all requests on one connection.

use std::process::ExitCode;

use gannet_bench::{Tally, drive};

fn main() -> ExitCode {
    drive(
        |args| {
            let mut options = gannet::Options::default();
            options.connections.max = 1;
            options.http.version = gannet::HttpVersion::Http2PriorKnowledge;
            let session =
                gannet::Session::new(options).expect("the default options make a session");
            (session, args.url.clone())
        },
        |(session, url), requests| async move {
            let mut tally = Tally::default();
            for _ in 0..requests {
                tally.count(fetch(&session, &url).await);
            }
            tally
        },
    )
}

async fn fetch(session: &gannet::Session, url: &str) -> Result<(u16, usize), gannet::Error> {
    let response = session.get(url).send().await?;
    let status = response.status().as_u16();
    Ok((status, response.bytes().await?.len()))
}
