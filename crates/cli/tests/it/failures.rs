//! What goes wrong is a row with its kind, and the rest goes on.

use std::net::TcpListener;

use gannet_origin::Origin;
use serde_json::json;

use crate::gannet::gannet;

/// A port that nobody listens at.
fn refused() -> String {
    let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!("http://{addr}/")
}

#[test]
fn every_failure_has_its_kind() {
    let origin = Origin::start_blocking().unwrap();
    let cases: [(String, &[&str], &str); 12] = [
        (refused(), &[], "connect"),
        ("http://name.invalid/".to_owned(), &[], "dns"),
        (origin.url("/reset"), &[], "connection"),
        (origin.url("/reset?after=head"), &[], "body"),
        (origin.url("/truncate"), &[], "body"),
        (origin.url("/hang"), &["--timeout-read", "200ms"], "timeout.read"),
        (origin.url("/hang"), &["--timeout", "0.2"], "timeout.total"),
        (origin.url("/hang"), &["--deadline", "0.2"], "timeout.deadline"),
        (origin.url("/bytes/2000"), &["--max-body", "1000"], "too_large"),
        (origin.https_url("/get"), &[], "tls"),
        (origin.url("/status/404"), &[], "status"),
        ("gopher://127.0.0.1/".to_owned(), &[], "url"),
    ];
    for (url, options, kind) in &cases {
        let args = [&["fetch", url.as_str(), "--retries", "0"], *options].concat();
        let row = gannet(&args).assert_code(3).row();
        assert_eq!(row["error"]["kind"], *kind, "{args:?}: {row}");
        assert!(row["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{row}");
        assert_eq!(row["ok"], false);
    }
}

#[test]
fn a_failure_never_sinks_the_rest() {
    let origin = Origin::start_blocking().unwrap();
    let args = [
        "fetch",
        &refused(),
        &origin.url("/items/{1..20}"),
        "http://name.invalid/",
        &origin.url("/reset"),
        "--retries",
        "0",
    ];
    let rows = gannet(args).assert_code(3).rows();
    assert_eq!(rows.len(), 23);
    assert_eq!(rows.iter().filter(|row| row["ok"] == true).count(), 20);
}

#[test]
fn a_body_within_its_bound_passes() {
    let origin = Origin::start_blocking().unwrap();
    gannet(["fetch", &origin.url("/bytes/1000"), "--max-body", "1000"]).assert_code(0);
    let row =
        gannet(["fetch", &origin.url("/bomb?mib=8"), "--max-body", "1MiB", "--retries", "0"]).assert_code(3).row();
    assert_eq!(row["error"]["kind"], "too_large", "counted after decoding");
}

#[test]
fn what_may_pass_is_tried_again_as_often_as_asked() {
    let origin = Origin::start_blocking().unwrap();
    let attempts = |path: &str, options: &[&str]| {
        let url = origin.url(path);
        let args = [&["fetch", url.as_str(), "--backoff", "10ms"], options].concat();
        gannet(args).assert_code(3).row()["attempts"].clone()
    };
    assert_eq!(attempts("/status/503", &[]), json!(3));
    assert_eq!(attempts("/status/503", &["--retries", "1"]), json!(2));
    assert_eq!(attempts("/status/503", &["--retry-on", "429"]), json!(1));
    assert_eq!(attempts("/status/404", &[]), json!(1));
    assert_eq!(attempts("/status/404", &["--retry-on", "4xx"]), json!(3));
    assert_eq!(attempts("/status/500", &["-X", "POST"]), json!(1));
    assert_eq!(attempts("/status/500", &["-X", "POST", "--retry-unsafe"]), json!(3));
    assert_eq!(attempts("/reset", &["--retries", "1"]), json!(2));
}

#[test]
fn a_row_that_recovers_is_ok() {
    let origin = Origin::start_blocking().unwrap();
    let url = origin.url("/flaky?p=0.3&mode=status&n={1..50}");
    let ran = gannet(["fetch", &url, "--backoff", "10ms", "--retries", "9"]).assert_code(0);
    let retried = ran.rows().iter().filter(|row| row["attempts"].as_u64() > Some(1)).count();
    assert!(retried > 0, "none had to be tried again");
}

#[test]
fn the_first_failure_ends_the_run_when_asked_to() {
    let origin = Origin::start_blocking().unwrap();
    let args = ["fetch", &origin.url("/status/404"), &origin.url("/items/{1..100000}?delay=0.05"), "--fail-fast"];
    let ran = gannet(args).assert_code(4).assert_says("--fail-fast");
    assert!(ran.rows().iter().any(|row| row["status"] == 404));
    assert!(origin.stats().requests < 10_000);
}

#[test]
fn secrets_of_the_url_are_not_in_the_messages() {
    let row = gannet(["fetch", &refused().replace("http://", "http://me:hunter2@"), "--retries", "0"]).assert_code(3);
    let row = row.row();
    assert!(!row["error"].to_string().contains("hunter2"), "{row}");
}
