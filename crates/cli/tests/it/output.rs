//! Where rows go, in what form, and what happens when they cannot be written.

use std::fs::OpenOptions;
use std::process::Stdio;

use gannet_origin::Origin;
use gannet_origin::script::{Script, ScriptedServer};
use serde_json::{Value, json};

use crate::gannet::{Place, Running, command, gannet, rows_in, wait_until};

#[test]
fn rows_go_to_a_file_that_is_never_overwritten_unasked() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let (url, out) = (origin.url("/items/1"), place.name("rows.jsonl"));
    let first = gannet(["fetch", &url, "-o", &out]).assert_code(0);
    assert!(first.out.is_empty(), "{first:?}");
    let written = std::fs::read_to_string(&out).unwrap();
    gannet(["fetch", &url, "-o", &out]).assert_code(0).assert_says("1 of 1 row is done");
    let other = gannet(["fetch", &origin.url("/items/2"), "-o", &out]);
    let refused = other.assert_code(2).assert_says("--fresh").assert_says("rows.jsonl");
    assert!(!refused.err.contains("panicked"));
    std::fs::remove_file(place.path("rows.jsonl.state")).unwrap();
    gannet(["fetch", &url, "-o", &out]).assert_code(2).assert_says("--fresh").assert_says("without a state");
    assert_eq!(std::fs::read_to_string(&out).unwrap(), written);
    assert_eq!(origin.stats().requests, 1);
    gannet(["fetch", &origin.url("/items/2"), "-o", &out, "--fresh"]).assert_code(0);
    let rows = rows_in(&place.path("rows.jsonl"));
    assert_eq!((rows.len(), &rows[0]["json"]["id"]), (1, &json!(2)));
}

#[test]
fn an_input_is_never_emptied_as_the_output() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let file = place.file("urls.txt", &origin.url("/items/1"));
    gannet(["fetch", &file, "-o", &file, "--fresh"]).assert_code(2).assert_says("is an input too");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), origin.url("/items/1"));
}

#[test]
fn a_dash_is_stdout() {
    let origin = Origin::start_blocking().unwrap();
    assert_eq!(gannet(["fetch", &origin.url("/items/1"), "-o", "-"]).assert_code(0).row()["json"]["id"], 1);
    assert!(gannet(["get", &origin.url("/items/1"), "-o", "-"]).assert_code(0).text().starts_with('{'));
}

#[test]
fn a_file_that_cannot_be_made_is_told_before_anything_is_sent() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let out = place.name("no/such/dir/rows.jsonl");
    gannet(["fetch", &origin.url("/items/1"), "-o", &out]).assert_code(1).assert_says("no/such/dir");
    assert_eq!(origin.stats().requests, 0);
}

#[test]
fn a_full_disk_stops_the_run_and_is_named() {
    let origin = Origin::start_blocking().unwrap();
    let ran = gannet(["fetch", &origin.url("/items/{1..500}"), "-o", "/dev/full"]).assert_code(4);
    let ran = ran.assert_says("/dev/full").assert_says("No space left");
    assert_eq!(ran.err.matches("No space left").count(), 1, "{}", ran.err);
    let mut command = command(["fetch", &origin.url("/items/{1..500}")]);
    command.stdout(OpenOptions::new().write(true).open("/dev/full").unwrap());
    ran_code(command, 4, "No space left");
}

#[test]
fn a_closed_stdout_stops_the_run_and_is_told() {
    let origin = Origin::start_blocking().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = command(["fetch", &origin.url("/items/{1..500}")]);
    command.stdout(writer);
    ran_code(command, 4, "stdout was closed");
}

#[track_caller]
fn ran_code(mut command: std::process::Command, code: i32, says: &str) {
    // Not `output`: it would put a pipe of its own in the place of stdout.
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{err}");
    assert!(err.contains(says) && !err.contains("panicked"), "{err}");
}

#[test]
fn the_form_of_the_body_is_the_one_asked_for() {
    let origin = Origin::start_blocking().unwrap();
    let big = ScriptedServer::start_blocking([one_answer(r#"{"n":12345678901234567890123, "x":1.0}"#)]).unwrap();
    let row = gannet(["fetch", &big.url("/")]).assert_code(0);
    assert!(row.text().contains(r#""json":{"n":12345678901234567890123, "x":1.0}"#), "{}", row.text());
    let row = |url: &str, form: &str| gannet(["fetch", url, "--body", form]).assert_code(0).row();
    assert!(row(&origin.url("/html"), "auto")["text"].as_str().unwrap().contains("<h1>"));
    assert_eq!(row(&origin.url("/encoding/latin1"), "text")["text"], "Français, Español, Über, Ångström, ½ £\n");
    assert!(row(&origin.url("/bytes/16"), "auto")["body_base64"].is_string());
    assert!(row(&origin.url("/json"), "base64")["body_base64"].is_string());
    let none = row(&origin.url("/json"), "none");
    assert!(["json", "text", "body_base64"].iter().all(|key| none.get(key).is_none()), "{none}");
}

#[test]
fn a_body_that_is_not_json_fails_where_json_was_asked_for() {
    let origin = Origin::start_blocking().unwrap();
    let row = gannet(["fetch", &origin.url("/html"), "--body", "json"]).assert_code(3).row();
    assert_eq!((&row["ok"], &row["error"]["kind"]), (&json!(false), &json!("decode")));
    gannet(["fetch", &origin.url("/json"), "--body", "json"]).assert_code(0);
}

#[test]
fn a_body_that_is_no_text_fails_where_text_was_asked_for_and_is_shown_all_the_same() {
    let origin = Origin::start_blocking().unwrap();
    let bad = ScriptedServer::start_blocking([Script::new()
        .expect_head()
        .send("HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=klingon\r\ncontent-length: 2\r\n\r\nhi")]);
    let row = gannet(["fetch", &bad.unwrap().url("/"), "--body", "text"]).assert_code(3).row();
    assert_eq!((&row["error"]["kind"], &row["text"]), (&json!("decode"), &json!("hi")));
    assert!(row["error"]["message"].as_str().unwrap().contains("klingon"), "{row}");
    gannet(["fetch", &origin.url("/html"), "--body", "text"]).assert_code(0);
}

#[test]
fn an_empty_body_is_no_json_but_where_the_status_has_none() {
    let origin = Origin::start_blocking().unwrap();
    let row = gannet(["fetch", &origin.url("/bytes/0"), "--body", "json"]).assert_code(3).row();
    assert_eq!(row["error"]["kind"], "decode", "{row}");
    gannet(["fetch", &origin.url("/status/204"), "--body", "json"]).assert_code(0);
}

#[test]
fn headers_are_in_the_row_when_asked_for() {
    let origin = Origin::start_blocking().unwrap();
    let url = origin.url("/response-headers?x-one=1");
    let row = gannet(["fetch", &url, "--headers"]).assert_code(0).row();
    assert!(row["headers"].to_string().contains("x-one"), "{row}");
    assert!(gannet(["fetch", &url]).assert_code(0).row().get("headers").is_none());
}

#[test]
fn a_redirected_row_says_where_it_ended() {
    let origin = Origin::start_blocking().unwrap();
    let row = gannet(["fetch", &origin.url("/redirect/2")]).assert_code(0).row();
    assert_eq!((&row["url"], &row["final_url"]), (&json!(origin.url("/redirect/2")), &json!(origin.url("/get"))));
    let row = gannet(["fetch", &origin.url("/redirect/2"), "--no-follow"]).assert_code(0).row();
    assert_eq!(row["status"], 302);
    let row = gannet(["fetch", &origin.url("/redirect/2"), "--max-redirects", "1"]).assert_code(3).row();
    assert_eq!(row["error"]["kind"], "redirect");
}

#[test]
fn a_redirect_from_https_to_http_can_be_refused() {
    let origin = Origin::start_blocking().unwrap();
    let down = origin.https_url(&format!("/redirect-to?url={}", origin.url("/get")));
    let up = origin.url(&format!("/redirect-to?url={}", origin.https_url("/get")));
    for command in ["get", "fetch"] {
        gannet([command, &down, "-k"]).assert_code(0);
        gannet([command, &up, "-k", "--no-downgrade"]).assert_code(0);
    }
    gannet(["get", &down, "-k", "--no-downgrade"]).assert_code(3).assert_says("redirect").assert_says("from https to");
    let row = gannet(["fetch", &down, "-k", "--no-downgrade"]).assert_code(3).row();
    assert_eq!((&row["error"]["kind"], &row["attempts"]), (&json!("redirect"), &json!(1)));
}

#[test]
fn a_head_may_be_as_large_as_asked_for() {
    let origin = Origin::start_blocking().unwrap();
    let url = origin.url(&format!("/response-headers?x={}", "a".repeat(2000)));
    for command in ["get", "fetch"] {
        gannet([command, &url]).assert_code(0);
        gannet([command, &url, "--max-head", "4K"]).assert_code(0);
    }
    gannet(["get", &url, "--max-head", "1K"]).assert_code(3).assert_says("protocol");
    let row = gannet(["fetch", &url, "--max-head", "1K"]).assert_code(3).row();
    assert_eq!(row["error"]["kind"], "protocol", "{row}");
}

#[test]
fn nothing_is_written_when_only_counting() {
    let origin = Origin::start_blocking().unwrap();
    let ran = gannet(["fetch", &origin.url("/items/{1..20}"), "--format", "none"]).assert_code(0);
    assert!(ran.out.is_empty());
    ran.assert_says("20 ok, 0 failed");
}

#[test]
fn a_host_that_refused_is_told_with_its_rate_and_how_to_forget_it() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let (url, learned) = (origin.url("/limited?rate=40&burst=2&n={1..30}"), place.name("learned.json"));
    let run = |more: &[&str]| gannet(["fetch", &url, "--format", "none"].iter().chain(more));
    run(&["--learned", &learned]).assert_code(0).assert_says("learnt    127.0.0.1:").assert_says("--learned none");
    let quiet = gannet(["fetch", &origin.url("/items/{1..20}"), "--format", "none", "--learned", "none"]);
    assert!(!quiet.assert_code(0).err.contains("learnt"));
}

#[test]
fn ordered_rows_come_in_the_order_of_the_input() {
    let origin = Origin::start_blocking().unwrap();
    // The first is the slowest by far.
    let args = ["fetch", &origin.url("/items/1?delay=0.3"), &origin.url("/items/{2..60}"), "--ordered"];
    let indices: Vec<_> = gannet(args).assert_code(0).rows().iter().map(|row| row["index"].as_u64().unwrap()).collect();
    assert_eq!(indices, (0..60).collect::<Vec<_>>());
    let unordered = gannet(&args[..3]).assert_code(0).rows();
    assert_ne!(unordered[0]["index"], 0, "without it the slowest is not the first");
}

#[test]
fn the_summary_is_json_when_asked_for() {
    let origin = Origin::start_blocking().unwrap();
    let args = ["fetch", &origin.url("/items/{1..5}"), &origin.url("/status/404"), "--summary", "json", "--quiet"];
    let ran = gannet(args).assert_code(3);
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    let summary: Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!((&summary["rows"], &summary["ok"], &summary["failed"]), (&json!(6), &json!(5), &json!(1)));
    assert_eq!((&summary["end"], &summary["errors"]["status"]), (&json!("complete"), &json!(1)));
    let connections = &summary["connections"];
    let used = connections["opened"].as_u64().unwrap() + connections["reused"].as_u64().unwrap();
    assert_eq!((used, &connections["closed"]["failed"]), (6, &json!(0)), "{connections}");
    assert_eq!((&summary["statuses"]["200"], &summary["statuses"]["404"]), (&json!(5), &json!(1)));
    assert!(summary["latency_ms"]["p99"].is_number() && summary["requests_per_second"].is_number());
}

#[test]
fn the_text_summary_says_what_to_do_next_and_quiet_says_nothing() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let urls = [origin.url("/items/1"), origin.url("/status/500")];
    let out = place.name("rows.jsonl");
    let ran = gannet(["fetch", &urls[0], &urls[1], "--retries", "0", "-o", &out]).assert_code(3);
    ran.assert_says("1 ok, 1 failed").assert_says("status: 1").assert_says(&format!("jq -c 'select(.ok|not)' {out}"));
    let quiet = gannet(["fetch", &urls[0], "--quiet"]).assert_code(0);
    assert_eq!(quiet.err, "");
}

#[test]
fn rows_reach_the_output_while_the_run_goes_on() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let out = place.name("rows.jsonl");
    let running = Running::start(["fetch", &origin.url("/items/1"), &origin.url("/hang"), "-o", &out]);
    wait_until("the first row is in the file", || std::fs::read(&out).is_ok_and(|rows| rows.ends_with(b"\n")));
    drop(running);
    assert_eq!(rows_in(&place.path("rows.jsonl"))[0]["index"], 0);
}

#[test]
fn stdout_may_be_a_file_too() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let mut command = command(["fetch", &origin.url("/items/1")]);
    command.stdout(std::fs::File::create(place.path("rows")).unwrap()).stderr(Stdio::piped());
    assert!(command.spawn().unwrap().wait().unwrap().success());
    assert_eq!(rows_in(&place.path("rows")).len(), 1);
}

fn one_answer(body: &str) -> Script {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    Script::new().expect_head().send(head + body)
}
