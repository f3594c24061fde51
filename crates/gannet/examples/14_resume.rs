//! A run that survives its end: stopped half-way, gone on with, looked at, its failures asked again.
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use gannet::bulk::sink::{RowFormat, RowSink};
use gannet::bulk::source::{Change, Input, InputOptions, InputSource};
use gannet::bulk::state::{Durability, Identity, Opened, Opening, Status};
use gannet::bulk::{BulkOptions, End, Run};
use gannet::{Options, Session};
use gannet_origin::Origin;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let origin = Origin::start_blocking()?;
    let session = Session::new(Options::default())?;
    let dir = tempfile::tempdir()?;
    let (urls, out) = (dir.path().join("urls.txt"), dir.path().join("rows.jsonl"));

    // 200 URLs, of which every tenth fails now and then; four at once take half a second.
    let path = |n| if n % 10 == 0 { format!("/flaky?p=0.4&n={n}") } else { format!("/items/{n}?delay=0.01") };
    let lines: String = (0..200).map(|n| origin.url(&path(n)) + "\n").collect();
    std::fs::write(&urls, lines)?;

    // Stopped before it is done, as by Ctrl-C.
    let end = fetch(&session, &urls, &out, Duration::from_millis(200)).await?;
    assert!(matches!(end, End::Stopped));
    let status = Status::read(&out)?;
    println!("stopped: {} done, {} failed", status.done, status.failed);
    assert!(status.done > 0 && status.done < 200);

    // The same call goes on; what is done is not asked again.
    let end = fetch(&session, &urls, &out, Duration::from_secs(20)).await?;
    assert!(matches!(end, End::Complete));
    let status = Status::read(&out)?;
    println!("complete: {} done, {} failed", status.done, status.failed);
    assert_eq!((status.done, status.complete), (200, true));
    assert_eq!(origin.stats().requests, 200);

    // The failed rows once more, until there are none; each takes the place of its older self.
    while Status::read(&out)?.failed > 0 {
        retry(&session, &urls, &out, "status = 503").await?;
    }
    assert_eq!(std::fs::read_to_string(&out)?.lines().count(), 200);

    // Another input is refused: its rows would not be the ones that are done.
    std::fs::write(&urls, origin.url("/items/1"))?;
    let refused = fetch(&session, &urls, &out, Duration::ZERO).await.err().ok_or("it is another input")?;
    println!("refused: {refused}");
    Ok(())
}

/// Fetches what is left of `urls` into `out`, for at most so long.
async fn fetch(session: &Session, urls: &Path, out: &Path, patience: Duration) -> Result<End, Box<dyn Error>> {
    let source = InputSource::open(vec![Input::File(urls.into())], InputOptions::default())?;

    // Makes rows.jsonl.state, or opens and locks it.
    let opening = Opening::begin(out, Durability::Group, false)?;
    if let Some(known) = opening.known()
        && let Change::Differs { why } = source.compare(&known.inputs)?
    {
        return Err(why.into());
    }
    let identity = Identity { settings: Vec::new(), inputs: source.fingerprints()? };
    let Opened { mut state, prior, notes } = opening.run(&identity, None)?;
    notes.iter().for_each(|note| println!("{note}"));

    state.keep_cookies(session)?;
    let sink = RowSink::with_state(state, RowFormat::default())?;
    let run = Run::new(session, source, sink, options()).resume(prior);
    let control = run.control();
    let mut drive = std::pin::pin!(run.drive());
    let finished = tokio::select! {
        finished = &mut drive => finished,
        () = tokio::time::sleep(patience) => {
            // Nothing new starts; what is in flight is waited for.
            control.stop();
            drive.await
        }
    };
    Ok(finished.end)
}

/// Asks those rows again for which the condition holds.
async fn retry(session: &Session, urls: &Path, out: &Path, condition: &str) -> Result<(), Box<dyn Error>> {
    let source = InputSource::open(vec![Input::File(urls.into())], InputOptions::default())?;
    let opening = Opening::begin(out, Durability::Group, false)?;
    let Some(Opened { state, prior, .. }) = opening.retry(Some(condition))? else {
        return Ok(());
    };
    println!("rows asked again: {}", prior.wanted().unwrap_or_default());
    let sink = RowSink::with_state(state, RowFormat::default())?;
    Run::new(session, source, sink, options()).resume(prior).drive().await;
    Ok(())
}

fn options() -> BulkOptions {
    let mut options = BulkOptions::default();
    options.limits.concurrency = 4;
    options.retry.attempts = 1;
    options
}
