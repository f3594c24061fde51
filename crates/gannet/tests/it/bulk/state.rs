//! Runs with a state, from Rust: stopped, dropped, gone on with, asked again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gannet::Session;
use gannet::bulk::sink::{RowFormat, RowSink};
use gannet::bulk::source::{Change, Input, InputOptions, InputSource};
use gannet::bulk::state::{Durability, Identity, Opened, Opening, Reason, Status};
use gannet::bulk::{BulkOptions, Control, End, Finished, Run};
use gannet_origin::Origin;

use super::{quick, session};

/// Where a run reads and writes.
struct Place {
    dir: tempfile::TempDir,
    out: PathBuf,
}

impl Place {
    fn new(urls: &[String]) -> Place {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("urls.txt"), urls.join("\n") + "\n").unwrap();
        let out = dir.path().join("rows.jsonl");
        Place { dir, out }
    }

    fn source(&self) -> InputSource {
        InputSource::open(vec![Input::File(self.dir.path().join("urls.txt"))], InputOptions::default()).unwrap()
    }

    /// A run that goes on where the one before ended.
    async fn run(&self, session: &Session, options: BulkOptions, turns: Option<u64>) -> Run<InputSource, RowSink> {
        let source = self.source();
        let opening = loop {
            match Opening::begin(&self.out, Durability::Row, false) {
                // The tasks of a run that was dropped end when the runtime comes to them.
                Err(error) if error.reason() == Reason::Busy => tokio::task::yield_now().await,
                opened => break opened.unwrap(),
            }
        };
        let inputs = source.fingerprints().unwrap();
        if let Some(known) = opening.known() {
            assert_eq!(source.compare(&known.inputs).unwrap(), Change::Same);
        }
        ready(session, source, opening.run(&Identity { settings: Vec::new(), inputs }, turns).unwrap(), options)
    }

    fn retry(&self, session: &Session, condition: &str, options: BulkOptions) -> Run<InputSource, RowSink> {
        let opening = Opening::begin(&self.out, Durability::Os, false).unwrap();
        ready(session, self.source(), opening.retry(Some(condition)).unwrap().unwrap(), options)
    }

    fn indices(&self) -> Vec<u64> {
        let text = std::fs::read_to_string(&self.out).unwrap();
        text.lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["index"].as_u64().unwrap())
            .collect()
    }
}

fn ready(session: &Session, source: InputSource, opened: Opened, options: BulkOptions) -> Run<InputSource, RowSink> {
    let Opened { mut state, prior, .. } = opened;
    state.keep_cookies(session).unwrap();
    Run::new(session, source, RowSink::with_state(state, RowFormat::default()).unwrap(), options).resume(prior)
}

/// Waits for so many rows that are done.
async fn done(control: &Control, rows: u64) {
    while control.snapshot().done < rows {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_run_that_is_dropped_or_stopped_again_and_again_asks_each_row_once() {
    for turns in [None, Some(1000)] {
        let origin = Origin::start().await.unwrap();
        let urls: Vec<String> = (0..60).map(|n| origin.url(&format!("/items/{n}?delay=0.01"))).collect();
        let place = Place::new(&urls);
        let (session, mut options) = (session(), quick());
        options.limits.concurrency = 4;
        for upto in [7, 20, 45] {
            let run = place.run(&session, options.clone(), turns).await;
            let control = run.control();
            if upto == 20 {
                tokio::select! {
                    _ = run.drive() => panic!("it was not to end"),
                    () = done(&control, upto) => {}
                }
            } else {
                let (finished, ()) = tokio::join!(run.drive(), async {
                    done(&control, upto).await;
                    control.stop();
                });
                assert!(matches!(finished.end, End::Stopped), "{:?}", finished.end);
            }
        }
        let Finished { end, sink, snapshot, .. } = place.run(&session, options, turns).await.drive().await;
        assert!(matches!(end, End::Complete), "{end:?}");
        assert_eq!((snapshot.done, sink.stats().rows, sink.stats().ok), (60, 60, 60));
        let mut indices = place.indices();
        if turns.is_none() {
            indices.sort_unstable();
        }
        assert_eq!(indices, (0..60).collect::<Vec<_>>());
        // Those in flight when it was dropped were asked again.
        assert!((60..=64).contains(&origin.stats().requests), "{}", origin.stats().requests);
        assert!(Status::read(&place.out).unwrap().complete);
    }
}

#[tokio::test]
async fn a_retry_has_the_newest_outcome_in_the_place_of_the_old_one() {
    let origin = Origin::start().await.unwrap();
    let urls: Vec<String> = (0..30).map(|n| origin.url(&format!("/flaky?p=0.5&n={n}"))).collect();
    let place = Place::new(&urls);
    let mut options = quick();
    options.retry.attempts = 1;
    place.run(&session(), options, None).await.drive().await;
    let failed = Status::read(&place.out).unwrap().failed;
    assert!(failed > 5, "{failed}");
    let mut options = quick();
    options.retry.attempts = 20;
    let run = place.retry(&session(), "status = 503", options);
    let control = run.control();
    assert_eq!(control.snapshot().total, Some(failed));
    let finished = run.drive().await;
    assert_eq!(finished.sink.stats().rows, failed);
    let status = Status::read(&place.out).unwrap();
    assert_eq!((status.done, status.ok, status.complete, status.retry), (30, 30, true, None));
    let mut indices = place.indices();
    indices.sort_unstable();
    assert_eq!(indices, (0..30).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_state_in_use_is_refused_and_can_be_looked_at() {
    let origin = Origin::start().await.unwrap();
    let place = Place::new(&[origin.url("/items/1"), origin.url("/hang")]);
    let run = place.run(&session(), quick(), None).await;
    let control = run.control();
    let look = async {
        done(&control, 1).await;
        let refused = Opening::begin(&place.out, Durability::Group, true).unwrap_err();
        assert_eq!(refused.reason(), Reason::Busy);
        while Status::read(&place.out).unwrap().done == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(Status::read(&place.out).unwrap().remaining.is_none_or(|left| left == 1));
        control.abort();
    };
    let (finished, ()) = tokio::join!(run.drive(), look);
    assert!(matches!(finished.end, End::Stopped));
    assert!(Status::read(Path::new("nowhere/rows.jsonl")).unwrap_err().to_string().contains("there is no such state"));
}
