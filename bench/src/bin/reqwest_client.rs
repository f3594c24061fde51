//! reqwest as its users write it: one shared client, its pool, `get(url).send()`, then the body's bytes.

use std::process::ExitCode;

use gannet_bench::{Tally, drive};

fn main() -> ExitCode {
    drive(
        |args| (reqwest::Client::new(), args.url.clone()),
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
