//! As `reqwest_client`, over HTTP/2 without asking: all requests on one connection.

use std::process::ExitCode;

use gannet_bench::{Tally, drive};

fn main() -> ExitCode {
    drive(
        |args| {
            let client = reqwest::Client::builder().http2_prior_knowledge().build();
            (client.expect("the options make a client"), args.url.clone())
        },
        |(client, url), requests| async move {
            let mut tally = Tally::default();
            for _ in 0..requests {
                tally.count(fetch(&client, &url).await);
            }
            tally
        },
    )
}

async fn fetch(client: &reqwest::Client, url: &str) -> Result<(u16, usize), reqwest::Error> {
    let response = client.get(url).send().await?;
    let status = response.status().as_u16();
    Ok((status, response.bytes().await?.len()))
}
