//! `gannet origin`: the simulated origin until Ctrl-C, or until the process that started it is gone.

use std::io::{self, Read, Write};

use anyhow::Context;
use gannet_origin::Origin;

use super::runtime;
use crate::args::OriginArgs;
use crate::exit::{Exit, usage};
use crate::signals::Signals;

/// Listens, says where, and waits for the end.
pub(crate) fn run(args: &OriginArgs) -> anyhow::Result<Exit> {
    let https = args.https.then(|| next_port(&args.listen)).transpose()?;
    crate::limits::raise_open_files();
    let runtime = runtime().context("cannot start the runtime")?;
    let result = runtime.block_on(serve(args, https));
    runtime.shutdown_background();
    result
}

async fn serve(args: &OriginArgs, https: Option<String>) -> anyhow::Result<Exit> {
    let mut signals = Signals::catch().context("cannot catch Ctrl-C")?;
    let mut builder = Origin::builder().listen(&args.listen);
    if let Some(addr) = https {
        builder = builder.https_listen(addr);
    }
    let origin = builder.start().await.context("the origin")?;
    // The file is there as long as the origin is.
    let authority = args.https.then(|| authority(&origin)).transpose().context("the certificate's file")?;
    // A closed stdout is no reason to end: whoever started it may know the address.
    let _ = writeln!(io::stdout(), "{}", welcome(&origin, authority.as_ref().map(tempfile::NamedTempFile::path)));
    if args.while_stdin {
        tokio::select! {
            () = signals.next() => {}
            () = stdin_closed() => {}
        }
    } else {
        signals.next().await;
    }
    origin.shutdown().await;
    Ok(Exit::Success)
}

/// HOST:PORT with the port after it, or 0 for 0.
fn next_port(listen: &str) -> anyhow::Result<String> {
    let parsed = listen.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    match parsed {
        Some((host, 0)) => Ok(format!("{host}:0")),
        Some((host, port)) if port < u16::MAX => Ok(format!("{host}:{}", port + 1)),
        _ => Err(usage(format!("--listen {listen}: write HOST:PORT, as in 127.0.0.1:8780"))),
    }
}

fn authority(origin: &Origin) -> io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix("gannet-origin-").suffix(".pem").tempfile()?;
    file.write_all(origin.ca_pem().as_bytes())?;
    file.flush()?;
    Ok(file)
}

fn welcome(origin: &Origin, authority: Option<&std::path::Path>) -> String {
    let mut text = format!("listening on {}\n", origin.url(""));
    if let (Some(addr), Some(path)) = (origin.https_addr(), authority) {
        text += &format!("listening on https://{addr}, its authority in {}\n", path.display());
    }
    text += &format!(
        "\ntry:\n  gannet get -i {}\n  gannet fetch '{}' -o items.jsonl\n  gannet fetch '{}' -o flaky.jsonl\n",
        origin.url("/json"),
        origin.url("/items/{1..1000}"),
        origin.url("/flaky?p=0.2&n={1..1000}"),
    );
    if let (Some(addr), Some(path)) = (origin.https_addr(), authority) {
        text += &format!("  gannet get --cacert {} https://{addr}/get\n", path.display());
    }
    text += "\n`gannet origin --help` lists the endpoints; Ctrl-C ends it.";
    text
}

/// On a thread of its own: stdin has no readiness to wait for. The thread ends with the process.
async fn stdin_closed() {
    let (closed, told) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let mut sink = [0; 64];
        while matches!(io::stdin().read(&mut sink), Ok(read) if read > 0) {}
        drop(closed);
    });
    let _ = told.await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_listens_on_the_next_port() {
        assert_eq!(next_port("127.0.0.1:8780").unwrap(), "127.0.0.1:8781");
        assert_eq!(next_port("[::1]:0").unwrap(), "[::1]:0");
        assert!(next_port("127.0.0.1").is_err() && next_port("127.0.0.1:65535").is_err());
    }
}
