//! A solution of exercise 14.

use std::path::Path;
use std::time::Duration;

use gannet::Session;
use gannet::bulk::sink::{RowFormat, RowSink};
use gannet::bulk::source::{Change, Input, InputOptions, InputSource};
use gannet::bulk::state::{Durability, Identity, Opening};
use gannet::bulk::{BulkOptions, End, Run};

use crate::{Answer, Problem};

/// The state knows what is done, and by what the input is known.
pub async fn in_portions(session: &Session, urls: &Path, out: &Path, patience: Duration) -> Answer<bool> {
    let source = InputSource::open(vec![Input::File(urls.into())], InputOptions::default())?;
    let opening = Opening::begin(out, Durability::Group, false)?;
    if let Some(known) = opening.known()
        && let Change::Differs { why } = source.compare(&known.inputs)?
    {
        return Err(Problem::Other(why));
    }
    let identity = Identity { settings: Vec::new(), inputs: source.fingerprints()? };
    let opened = opening.run(&identity, None)?;
    let sink = RowSink::with_state(opened.state, RowFormat::default())?;
    let run = Run::new(session, source, sink, BulkOptions::default()).resume(opened.prior);
    let control = run.control();
    let mut drive = std::pin::pin!(run.drive());
    let finished = tokio::select! {
        finished = &mut drive => finished,
        () = tokio::time::sleep(patience) => {
            control.stop();
            drive.await
        }
    };
    Ok(matches!(finished.end, End::Complete))
}
