use bytes::Bytes;
use gannet_core::{Headers, Phase};
use http::StatusCode;
use url::Url;

use super::*;
use crate::bulk::Fetched;
use crate::error::Error;

fn outcome(url: &str, millis: u64, status: Option<u16>, error: Option<ErrorKind>) -> Outcome {
    let response = status.map(|status| Fetched {
        status: StatusCode::from_u16(status).unwrap(),
        headers: Headers::new(),
        final_url: Url::parse(url).unwrap(),
        redirected: false,
        body: Bytes::from_static(&[b'x'; 700]),
    });
    Outcome {
        index: 0,
        line: None,
        id: None,
        url: url.into(),
        attempts: if error.is_some() { 3 } else { 1 },
        elapsed: Duration::from_millis(millis),
        response,
        error: error.map(|kind| Error::new(kind, Phase::Head, "failed")),
    }
}

fn a_run() -> Stats {
    let mut stats = Stats::default();
    for _ in 0..8 {
        stats.count(&outcome("http://fast.test/a", 10, Some(200), None));
    }
    stats.count(&outcome("https://u:secret@slow.test:8443/", 2_000, Some(503), Some(ErrorKind::Status)));
    stats.count(&outcome("http://gone.test/", 100, None, Some(ErrorKind::Connect)));
    stats.count(&outcome("http://gone.test/", 50, None, Some(ErrorKind::Connect)));
    let mut unread = outcome("", 0, None, Some(ErrorKind::Input));
    unread.attempts = 0;
    stats.count(&unread);
    stats
}

#[test]
fn the_summary_for_people_is_a_block_of_aligned_lines() {
    let expected = "\
rows      12: 8 ok, 4 failed
failed    connect: 2, input: 1, status: 1
statuses  200: 8, 503: 1
bytes     6300 (6.2 KiB)
requests  17, 6 retries
time      2.5 s: 4.8 rows/s, 6.8 requests/s
latency   p50 10.0 ms, p90 99.8 ms, p99 2000.0 ms, max 2000.0 ms
slowest   slow.test:8443  mean 2000.0 ms, 1 row
          gone.test       mean   75.0 ms, 2 rows
          fast.test       mean   10.0 ms, 8 rows
";
    assert_eq!(a_run().summary(Duration::from_millis(2_500)).to_text(), expected);
}

#[test]
fn the_summary_for_programs_is_one_json_object() {
    let summary = a_run().summary(Duration::from_millis(2_500));
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(json["errors"], serde_json::json!({"input": 1, "connect": 2, "status": 1}));
    assert_eq!(json["statuses"], serde_json::json!({"200": 8, "503": 1}));
    assert_eq!(json["latency_ms"]["max"], 2000.0);
    assert_eq!(json["slowest_hosts"][0], serde_json::json!({"host": "slow.test:8443", "rows": 1, "mean_ms": 2000.0}));
    for (name, value) in
        [("rows", 12.0), ("ok", 8.0), ("failed", 4.0), ("bytes", 6300.0), ("attempts", 17.0), ("retries", 6.0)]
    {
        assert_eq!(json[name].as_f64(), Some(value), "{name}");
    }
    assert_eq!(json["seconds"], 2.5);
    assert_eq!((&json["rows_per_second"], &json["requests_per_second"]), (&4.8.into(), &6.8.into()));
}

#[test]
fn a_run_of_nothing_has_a_summary_without_numbers_that_are_none() {
    let summary = Stats::default().summary(Duration::ZERO);
    assert_eq!(summary.latency_ms, None);
    assert_eq!(
        summary.to_text(),
        "rows      0: 0 ok, 0 failed\nbytes     0\nrequests  0, 0 retries\ntime      0.0 s: 0.0 rows/s, 0.0 requests/s\n"
    );
}
