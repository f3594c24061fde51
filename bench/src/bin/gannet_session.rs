//! Gannet's session as its users write it: one shared session, `get(url).send()`, then the body's bytes.

use std::process::ExitCode;

use gannet_bench::{drive, ours};

fn main() -> ExitCode {
    drive(
        |args| (ours::session(args), args.url.clone()),
        |(session, url), mut tally| async move {
            while tally.begin() {
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
