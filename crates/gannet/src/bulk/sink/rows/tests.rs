use std::future::poll_fn;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use gannet_core::{ErrorKind, Headers, Phase};
use http::StatusCode;
use proptest::prelude::*;
use url::Url;

use super::super::render::BodyFormat;
use super::*;
use crate::bulk::Fetched;
use crate::error::Error;

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn indices(&self) -> Vec<u64> {
        let bytes = self.0.lock().unwrap();
        let rows = bytes.split_inclusive(|&byte| byte == b'\n');
        rows.map(|row| serde_json::from_slice::<serde_json::Value>(row).unwrap()["index"].as_u64().unwrap()).collect()
    }
}

fn outcome(index: u64, body: impl Into<Bytes>) -> Outcome {
    let response = Fetched {
        status: StatusCode::OK,
        headers: Headers::new(),
        final_url: Url::parse("http://a.test/").unwrap(),
        redirected: false,
        body: body.into(),
    };
    Outcome {
        index,
        line: None,
        id: None,
        url: format!("http://a.test/{index}"),
        attempts: 1,
        elapsed: Duration::from_millis(1),
        response: Some(response),
        error: None,
    }
}

fn sink(kept: &Kept, memory: Option<u64>) -> RowSink {
    let ordered = memory.map(|memory| OrderedOptions { memory });
    RowSink::new(Output::writer(kept.clone()), RowFormat::default(), ordered).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn finish(sink: &mut RowSink) -> io::Result<()> {
    block_on(poll_fn(|cx| sink.poll_finish(cx)))
}

#[test]
fn without_an_order_rows_stand_as_they_came() {
    let kept = Kept::default();
    let mut sink = sink(&kept, None);
    for index in [3, 0, 2] {
        sink.push(outcome(index, "x")).unwrap();
    }
    finish(&mut sink).unwrap();
    assert_eq!(kept.indices(), [3, 0, 2]);
    assert_eq!(sink.written(), kept.0.lock().unwrap().len() as u64);
}

#[test]
fn a_stopped_run_in_order_writes_what_waited_behind_gaps() {
    for memory in [0, 1 << 20] {
        let kept = Kept::default();
        let mut sink = sink(&kept, Some(memory));
        for index in [9, 0, 4, 5, 2] {
            sink.push(outcome(index, "x")).unwrap();
        }
        finish(&mut sink).unwrap();
        assert_eq!(kept.indices(), [0, 2, 4, 5, 9], "memory {memory}");
    }
}

#[test]
fn disk_space_is_given_back_when_nothing_waits_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut spill = Spill::new(dir.path().to_owned(), 10);
    let rows: Vec<Vec<u8>> = (0..7u8).map(|number| vec![number; 6]).collect();
    let places: Vec<_> = rows.iter().map(|row| spill.write(row).unwrap()).collect();
    assert_eq!(spill.size(), 42);
    let mut row = Vec::new();
    for at in [5, 1, 0, 6, 3, 2, 4] {
        row.clear();
        spill.read(places[at], &mut row).unwrap();
        assert_eq!(row, rows[at]);
    }
    assert_eq!(spill.size(), 0);
    let at = spill.write(b"again").unwrap();
    row.clear();
    spill.read(at, &mut row).unwrap();
    assert_eq!(row, b"again");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the files have no name");
}

#[test]
fn rows_ready_at_once_are_handed_on_as_the_output_takes_them() {
    let kept = Kept::default();
    let held = kept.0.lock().unwrap();
    let mut sink = sink(&kept, Some(64 << 10));
    let body = "x".repeat(10_000);
    for index in 1..=300 {
        sink.push(outcome(index, body.clone())).unwrap();
    }
    assert!(sink.ordered.as_ref().unwrap().reorder.held_bytes() <= 64 << 10);
    sink.push(outcome(0, "")).unwrap();
    let ordered = sink.ordered.as_ref().unwrap();
    assert!(!ordered.is_empty(), "three megabytes do not all go into the writer's buffer");
    assert!(block_on(poll_fn(|cx| Poll::Ready(sink.poll_room(cx).is_pending()))));
    drop(held);
    block_on(poll_fn(|cx| sink.poll_room(cx))).unwrap();
    assert!(sink.ordered.as_ref().unwrap().is_empty(), "room for new rows means that these are through");
    finish(&mut sink).unwrap();
    assert_eq!(kept.indices(), (0..=300).collect::<Vec<_>>());
}

#[test]
fn a_row_that_fails_by_its_body_is_counted_as_failed() {
    let kept = Kept::default();
    let format = RowFormat { body: BodyFormat::Json, headers: false };
    for output in [Output::writer(kept), Output::discard()] {
        let mut sink = RowSink::new(output, format, None).unwrap();
        for row in [outcome(0, "<html>"), outcome(1, "{}")] {
            sink.push(row).unwrap();
        }
        let mut unread = outcome(2, "");
        unread.response = None;
        unread.error = Some(Error::new(ErrorKind::Input, Phase::Prepare, "no URL"));
        sink.push(unread).unwrap();
        finish(&mut sink).unwrap();
        let stats = sink.stats();
        assert_eq!((stats.rows, stats.ok, stats.failed()), (3, 1, 2));
        assert_eq!(stats.errors.iter().collect::<Vec<_>>(), [(&ErrorKind::Input, &1), (&ErrorKind::Decode, &1)]);
    }
}

#[test]
fn an_output_that_failed_fails_the_next_push() {
    let (reader, pipe) = io::pipe().unwrap();
    drop(reader);
    let mut sink = RowSink::new(Output::writer(pipe), RowFormat::default(), Some(OrderedOptions::default())).unwrap();
    sink.push(outcome(0, "x")).unwrap();
    assert_eq!(finish(&mut sink).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(sink.push(outcome(1, "x")).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_order_of_completion_comes_out_in_order_each_row_once(
        order in Just((0..120u64).collect::<Vec<_>>()).prop_shuffle(),
        sizes in prop::collection::vec(0usize..3_000, 120),
        memory in 0u64..20_000,
        stop_after in 0usize..=120,
    ) {
        let kept = Kept::default();
        let mut sink = sink(&kept, Some(memory));
        for (&index, &size) in order.iter().zip(&sizes).take(stop_after) {
            sink.push(outcome(index, "x".repeat(size))).unwrap();
            prop_assert!(sink.ordered.as_ref().unwrap().reorder.held_bytes() as u64 <= memory);
        }
        finish(&mut sink).unwrap();
        let mut expected = order[..stop_after].to_vec();
        expected.sort_unstable();
        prop_assert_eq!(kept.indices(), expected);
        prop_assert_eq!(sink.ordered.as_ref().unwrap().spill.size(), 0);
    }
}
