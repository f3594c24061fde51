//! reqwest as its users write it: one shared client, its pool, `get(url).send()`, then the body's bytes.

use std::process::ExitCode;

use gannet_bench::{Args, drive};
use reqwest::{Certificate, Client};

fn main() -> ExitCode {
    drive(
        |args| (client(args), args.url.clone()),
        |(client, url), mut tally| async move {
            while tally.begin() {
                tally.count(fetch(&client, &url).await);
            }
            tally
        },
    )
}

fn client(args: &Args) -> Client {
    let mut builder = Client::builder();
    if args.http2 {
        builder = builder.http2_prior_knowledge().http2_adaptive_window(args.adaptive_window);
    }
    if let Some(pem) = args.ca_pem() {
        let certificate = Certificate::from_pem(pem.as_bytes()).expect("--ca names a certificate");
        builder = builder.tls_certs_only([certificate]);
    }
    builder.build().expect("the options make a client")
}

async fn fetch(client: &Client, url: &str) -> Result<(u16, usize), reqwest::Error> {
    let response = client.get(url).send().await?;
    let status = response.status().as_u16();
    Ok((status, response.bytes().await?.len()))
}
