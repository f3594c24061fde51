//! Large bodies as users of Gannet's session take them: `download` to a file, or chunk by chunk to nothing.

use std::path::PathBuf;
use std::process::ExitCode;

use gannet::{DownloadOptions, Session};
use gannet_bench::{drive, ours};

fn main() -> ExitCode {
    drive(
        |args| {
            let options = DownloadOptions { overwrite: true, sync: args.sync, ..DownloadOptions::default() };
            (ours::session(args), args.url.clone(), args.save.clone().map(|path| (path, options)))
        },
        |(session, url, save), mut tally| async move {
            while tally.begin() {
                tally.count(match save.clone() {
                    Some((path, options)) => to_file(&session, &url, path, options).await,
                    None => to_nothing(&session, &url).await,
                });
            }
            tally
        },
    )
}

async fn to_file(
    session: &Session,
    url: &str,
    path: PathBuf,
    options: DownloadOptions,
) -> Result<(u16, usize), gannet::Error> {
    let saved = session.download(url, path).options(options).send().await?;
    Ok((saved.status.as_u16(), saved.length as usize))
}

async fn to_nothing(session: &Session, url: &str) -> Result<(u16, usize), gannet::Error> {
    let mut response = session.get(url).send().await?;
    let mut length = 0;
    while let Some(chunk) = response.chunk().await? {
        length += chunk.len();
    }
    Ok((response.status().as_u16(), length))
}
