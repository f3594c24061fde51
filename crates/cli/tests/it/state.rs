//! What is kept beside OUT: looked at, asked again, and alive after a kill.

use std::path::Path;
use std::process::Stdio;

use gannet::bulk::sink::{Codec, RowReader};
use gannet_origin::Origin;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::gannet::{Place, Ran, Running, command, gannet, wait_until, with_stdin};

/// The rows of an output, which is whole, in its order.
fn rows(out: &str) -> Vec<Value> {
    let path = Path::new(out);
    let mut reader = RowReader::new(std::fs::File::open(path).unwrap(), Codec::of(path), 0);
    let (mut text, mut rows) = (Vec::new(), Vec::new());
    while let Some(batch) = reader.next_batch(&mut rows).unwrap() {
        assert!(batch.whole, "{out} is torn");
        text.append(&mut rows);
    }
    crate::gannet::rows(std::str::from_utf8(&text).unwrap())
}

fn indices(rows: &[Value]) -> Vec<u64> {
    rows.iter().map(|row| row["index"].as_u64().unwrap()).collect()
}

fn status(out: &str) -> Value {
    let ran = gannet(["status", out, "--json"]).assert_code(0);
    serde_json::from_str(ran.text()).unwrap()
}

/// What the state and its log hold, as bytes.
fn state_bytes(out: &str) -> Vec<u8> {
    let files = ["state", "state-wal"].map(|suffix| std::fs::read(format!("{out}.{suffix}")).unwrap_or_default());
    files.concat()
}

#[track_caller]
fn assert_lacks(bytes: &[u8], secrets: &[&str]) {
    for secret in secrets {
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret}");
    }
}

fn lines(origin: &Origin, paths: &[&str]) -> String {
    paths.iter().map(|path| origin.url(path) + "\n").collect()
}

fn refused(ran: Ran, part: &str) {
    ran.assert_code(2).assert_says(part);
}

#[test]
fn a_retry_asks_only_what_the_condition_says_and_out_stays_whole() {
    for (name, option) in [("rows.jsonl", "--ordered"), ("rows.jsonl.gz", "--headers"), ("rows.zst", "--ordered")] {
        let origin = Origin::start_blocking().unwrap();
        let place = Place::new();
        let urls: String = (0..40).map(|n| origin.url(&format!("/flaky?p=0.4&n={n}")) + "\n").collect();
        let (urls, out) = (place.file("urls.txt", &urls), place.name(name));
        gannet(["fetch", &urls, "-o", &out, "--retries", "0", option]).assert_code(3);
        let mut asked = 40;
        let mut attempts = vec![1; 40];
        let mut code = 3;
        while code == 3 {
            let failed: Vec<u64> =
                indices(&rows(&out).into_iter().filter(|row| row["ok"] == false).collect::<Vec<_>>());
            assert_eq!(status(&out)["failed"], failed.len());
            let ran = gannet(["retry", &out, "--where", "status = 503"]);
            code = ran.code;
            asked += failed.len() as u64;
            failed.iter().for_each(|index| attempts[*index as usize] += 1);
            assert_eq!(origin.stats().requests, asked, "{}", ran.err);
            let mut now = rows(&out);
            if option != "--ordered" {
                now.sort_by_key(|row| row["index"].as_u64());
            }
            assert_eq!(indices(&now), (0..40).collect::<Vec<_>>());
            for (row, attempts) in now.iter().zip(&attempts) {
                assert_eq!(row["json"]["attempt"], *attempts, "the newest outcome stands: {row}");
            }
        }
        assert_eq!(code, 0);
        let ran = gannet(["retry", &out, "--where", "not ok"]).assert_code(0).assert_says("no row is asked again");
        assert_eq!((ran.out.len(), origin.stats().requests), (0, asked));
        refused(gannet(["retry", &out]), "no retry is under way; say which rows with --where");
        gannet(["fetch", &urls, "-o", &out, "--retries", "0", option]).assert_code(0);
        assert_eq!(origin.stats().requests, asked);
    }
}

#[test]
fn a_retry_that_is_stopped_or_killed_goes_on_and_keeps_others_out_meanwhile() {
    for signal in [Signal::INT, Signal::KILL] {
        let origin = Origin::start_blocking().unwrap();
        let place = Place::new();
        let urls = place.file("urls.txt", &lines(&origin, &["/items/1", "/hang", "/status/503"]));
        let out = place.name("rows.jsonl");
        let fetch = ["fetch", &urls, "-o", &out, "--retries", "0", "--timeout-read", "0.2"];
        gannet(fetch).assert_code(3).assert_says(&format!("gannet retry {out} --where 'not ok'"));
        let mut running = Running::start(["retry", &out, "--where", "not ok", "--", "--timeout-read", "100"]);
        wait_until("one of two came", || status(&out)["retry"] == json!({ "rows": 2, "done": 1 }));
        wait_until("the other hangs", || origin.stats().in_flight == 1);
        refused(gannet(fetch), "another gannet is using it");
        refused(gannet(["retry", &out, "--where", "ok"]), "another gannet is using it");
        assert_eq!(indices(&rows(&out)), [0, 2, 1]);
        running.signal(signal);
        if signal == Signal::INT {
            running.wait_for_line("stopping: 1 in flight");
            running.signal(signal);
            running.end().assert_code(4).assert_says(&format!("go on:                 gannet retry {out}\n"));
        } else {
            drop(running);
        }
        let before = rows(&out);
        assert_eq!(indices(&before), [0, 2, 1], "none is in its place yet");
        refused(gannet(fetch), "a retry of rows is under way; finish it first: gannet retry");
        refused(gannet(["retry", &out, "--where", "ok"]), "a retry of 2 rows is under way");
        assert!(gannet(["status", &out]).assert_code(0).text().contains("retry     1 of 2 rows asked again"));
        gannet(["retry", &out]).assert_code(3).assert_says("1 of 2 rows are done");
        assert_eq!(origin.stats().requests, 6, "row 2 was not asked a third time");
        let after = rows(&out);
        assert_eq!(indices(&after), [0, 2, 1]);
        assert_eq!(after[0], before[0]);
        assert_ne!((&after[1], &after[2]), (&before[1], &before[2]));
        assert_eq!(status(&out)["retry"], Value::Null);
        assert!(!place.path("rows.jsonl.retry").exists());
        gannet(fetch).assert_code(3);
        assert_eq!(origin.stats().requests, 6);
    }
}

#[test]
fn a_retry_over_the_first_rows_ends_as_stopped_while_others_are_left() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let urls = place.file("urls.txt", &lines(&origin, &["/status/503", "/items/1", "/status/503?n=2"]));
    let out = place.name("rows.jsonl");
    gannet(["fetch", &urls, "-o", &out, "--retries", "0"]).assert_code(3);
    let ran = gannet(["retry", &out, "--where", "not ok", "--", "--first", "2"]).assert_code(4);
    ran.assert_says("the input had 1 of the 2 rows that are asked again")
        .assert_says(&format!("go on:                 gannet retry {out}\n"));
    assert_eq!(status(&out)["retry"], json!({ "rows": 2, "done": 1 }));
    let ran = gannet(["retry", &out, "--", "--first", "2", "--summary", "json"]).assert_code(4);
    ran.assert_says("\"end\":\"stopped\"");
    gannet(["retry", &out]).assert_code(3);
    assert_eq!((&status(&out)["retry"], origin.stats().requests), (&Value::Null, 5));
}

#[test]
fn what_the_state_does_not_keep_is_named_and_given_again() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let (url, out) = (origin.url("/flaky?p=0.4&sesame=1&n={1..20}"), place.name("rows.jsonl"));
    let fetch = ["fetch", &url, "-o", &out, "--retries", "0", "-H", "Authorization: Bearer sesame", "-X", "PUT"];
    let ran = gannet(fetch).assert_code(3);
    let told = format!("ask those again:       gannet retry {out} --where 'not ok' -- INPUT… --header …\n");
    ran.assert_says(&told);
    assert_lacks(&state_bytes(&out), &["sesame", "http://", "Bearer", "flaky"]);
    let retry = ["retry", &out, "--where", "not ok"];
    refused(gannet(retry), "give again, after --, what the run had as: URLs, --header");
    gannet(retry).assert_says(&format!("\n  gannet retry {out} --where 'not ok' -- INPUT… --header …\n"));
    let with = |rest: &[&str]| gannet(retry.iter().chain(&["--"]).chain(rest));
    refused(with(&[&url]), "what the run had as: --header");
    refused(
        with(&[&url, "-H", "Authorization: open"]),
        "--header was given (its value is not kept), and is another value",
    );
    refused(with(&[&origin.url("/items/1"), "-H", "Authorization: Bearer sesame"]), "input 1 is another URL now");
    refused(with(&[&url, "-H", "Authorization: Bearer sesame", "--fresh"]), "--fresh would leave nothing");
    refused(with(&[&url, "--nonsense"]), "after --: unexpected argument '--nonsense'");
    refused(with(&["-o", "other.jsonl"]), "cannot be used multiple times");
    assert_eq!(origin.stats().requests, 20);
    let failed = status(&out)["failed"].as_u64().unwrap();
    // An option that the state keeps may be given too.
    with(&[&url, "-H", "Authorization: Bearer sesame", "-X", "PUT", "--retries=9", "--backoff=0.01"]).assert_code(0);
    assert!(origin.stats().requests >= 20 + failed);
    assert_lacks(&state_bytes(&out), &["sesame", "http://", "Bearer", "flaky"]);
}

#[test]
fn stdin_that_was_kept_can_be_asked_again_and_its_copy_belongs_to_the_run() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let out = place.name("rows.jsonl");
    let input = lines(&origin, &["/items/1", "/status/503", "/items/2"]);
    let fetch = ["fetch", "-", "--spool", "--retries", "0", "-o", &out];
    with_stdin(fetch, &input).assert_code(3);
    gannet(["retry", &out, "--where", "not ok"]).assert_code(3);
    assert_eq!((origin.stats().requests, rows(&out).len()), (4, 3));
    std::fs::rename(place.path("rows.jsonl.spool"), place.path("away")).unwrap();
    refused(with_stdin(fetch, &input), "the copy of the stdin it began with is gone");
    refused(gannet(["retry", &out, "--where", "not ok"]), "the copy of the stdin it began with is gone");
    // A copy that an earlier run of this name left behind is none of a new one's.
    std::fs::rename(place.path("away"), place.path("rows.jsonl.spool")).unwrap();
    std::fs::remove_file(&out).unwrap();
    std::fs::remove_file(place.path("rows.jsonl.state")).unwrap();
    with_stdin(fetch, &lines(&origin, &["/items/7"])).assert_code(0);
    assert_eq!(rows(&out)[0]["json"]["id"], 7);
    // A pipe by its name is not copied, and is not taken for one that is.
    let pipe = place.name("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    refused(
        gannet(["fetch", &pipe, "--spool", "-o", &place.name("other.jsonl")]),
        "--spool keeps a copy of stdin alone",
    );
}

#[test]
fn a_run_that_starts_over_leaves_the_copy_of_one_that_runs_alone() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let out = place.name("rows.jsonl");
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut first = command(["fetch", "-", "--spool", "-o", &out]);
    let mut first = first.stdin(reader).stderr(Stdio::null()).spawn().unwrap();
    std::io::Write::write_all(&mut writer, lines(&origin, &["/items/1"]).as_bytes()).unwrap();
    wait_until("it runs", || origin.stats().requests == 1);
    let copy = std::fs::read(place.path("rows.jsonl.spool.part")).unwrap();
    refused(with_stdin(["fetch", "-", "--spool", "--fresh", "-o", &out], ""), "another gannet is using it");
    assert_eq!(std::fs::read(place.path("rows.jsonl.spool.part")).unwrap(), copy);
    drop(writer);
    assert!(first.wait().unwrap().success());
    assert_eq!(rows(&out).len(), 1);
}

#[test]
fn the_status_tells_of_a_run_while_it_writes() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let out = place.name("rows.jsonl");
    refused(gannet(["status", &out]), "there is no such state; give the name that was given to -o");
    let urls = place.file("urls.txt", &lines(&origin, &["/items/1", "/status/404", "/hang", "/items/2"]));
    let running = Running::start(["fetch", &urls, "-o", &out]);
    wait_until("three are done", || {
        place.path("rows.jsonl.state").exists()
            && gannet(["status", &out, "--json"]).rows().first().is_some_and(|status| status["done"] == 3)
    });
    let told = status(&out);
    assert_eq!((&told["rows"], &told["remaining"], &told["complete"]), (&json!(4), &json!(1), &json!(false)));
    assert_eq!((&told["failed_by_kind"], &told["statuses"]), (&json!({"status": 1}), &json!({"200": 2, "404": 1})));
    let text = gannet(["status", &out]).assert_code(0);
    assert!(text.text().starts_with("done      3 of 4 rows: 2 ok, 1 failed\nremains   1 rows\n"), "{}", text.text());
    let host = origin.url("").trim_start_matches("http://").to_owned();
    assert!(text.text().contains(&format!("by host   {host}: 1 (status: 1)")), "{}", text.text());
    drop(running);
    assert_eq!(status(&out)["done"], 3);
}

#[test]
fn a_retry_after_is_kept_over_a_kill() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let urls = place.file("urls.txt", &lines(&origin, &["/limited?rate=0.25&burst=1", "/limited?rate=0.25&burst=1"]));
    let out = place.name("rows.jsonl");
    let fetch = ["fetch", &urls, "-o", &out, "--concurrency", "1"];
    let running = Running::start(fetch);
    wait_until("the host is held", || {
        place.path("rows.jsonl").exists() && status(&out)["held_hosts"].as_array().is_some_and(|hosts| hosts.len() == 1)
    });
    drop(running);
    assert_eq!(status(&out)["waiting"], 1);
    gannet(fetch).assert_code(0).assert_says("a host asked to be left alone");
    let limited = origin.stats().limited;
    assert_eq!((limited.allowed, limited.refused, limited.early), (2, 1, 0), "it came back early");
    assert_eq!(rows(&out)[1]["attempts"], 2);
}

#[test]
fn attempts_are_kept_over_a_kill() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let urls = place.file("urls.txt", &lines(&origin, &["/status/503"]));
    let out = place.name("rows.jsonl");
    for attempts in 1..3 {
        let running = Running::start(["fetch", &urls, "-o", &out, "--backoff", "50"]);
        wait_until("it waits for another attempt", || {
            origin.stats().requests == attempts && {
                let told = gannet(["status", &out, "--json"]);
                told.rows().first().is_some_and(|status| status["waiting"] == 1)
            }
        });
        // The row of the attempt before waits too: until the newer is written down.
        let attempts_of = format!("SELECT attempts FROM pending WHERE attempts = {attempts}");
        wait_until("it is written down", || has_row(&out, &attempts_of));
        drop(running);
    }
    gannet(["fetch", &urls, "-o", &out, "--backoff", "0.01"]).assert_code(3);
    assert_eq!(origin.stats().requests, 3);
    assert_eq!(rows(&out)[0]["attempts"], 3);
}

#[test]
fn cookies_are_kept_over_a_kill() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let urls = place.file("urls.txt", &lines(&origin, &["/cookies/set?a=1", "/cookies/set?b=2", "/hang", "/cookies"]));
    let out = place.name("rows.jsonl");
    let running = Running::start(["fetch", &urls, "-o", &out, "--concurrency", "1"]);
    wait_until("the third hangs and two are committed", || {
        origin.stats().requests == 5 && status(&out)["done"] == 2 && origin.stats().in_flight == 1
    });
    drop(running);
    gannet(["fetch", &urls, "-o", &out, "--concurrency", "1", "--retries=0", "--timeout-read=0.2"]).assert_code(3);
    assert_eq!(rows(&out)[3]["json"]["cookies"], json!({ "a": "1", "b": "2" }));
}

#[test]
fn a_try_on_the_first_rows_and_an_input_that_grew_are_gone_on_with() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let text = lines(&origin, &["/items/1", "/items/2", "/items/3"]);
    let (urls, out) = (place.file("urls.txt", &text), place.name("rows.jsonl"));
    gannet(["fetch", &urls, "-o", &out, "--first", "2"]).assert_code(0);
    assert_eq!((&status(&out)["rows"], &status(&out)["complete"]), (&json!(2), &json!(true)));
    place.file("urls.txt", &(text + &lines(&origin, &["/hang", "/items/5"])));
    let running = Running::start(["fetch", &urls, "-o", &out]);
    wait_until("two more are done", || status(&out)["done"] == 4);
    let told = status(&out);
    assert_eq!((&told["rows"], &told["remaining"]), (&json!(5), &json!(1)), "what was the end is none any more");
    drop(running);
    let last = ["fetch", &urls, "-o", &out, "--timeout-read=0.2", "--retries=0"];
    gannet(last).assert_code(3).assert_says("rows.jsonl: 4 rows are done");
    let mut all = indices(&rows(&out));
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3, 4]);
    assert_eq!(origin.stats().requests, 6);
    gannet([&last[..], &["--fresh"]].concat()).assert_code(3);
    assert_eq!((rows(&out).len(), origin.stats().requests), (5, 11));
}

#[test]
fn a_run_that_started_over_goes_on_without_saying_so_again() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let (url, out) = (origin.url("/hang"), place.name("rows.jsonl"));
    let mut running = Running::start(["fetch", &url, "-o", &out, "--fresh"]);
    wait_until("it hangs", || origin.stats().in_flight == 1);
    running.signal(Signal::INT);
    running.wait_for_line("stopping");
    running.signal(Signal::INT);
    running.end().assert_code(4).assert_says("the same command again, without --fresh");
    // And what cannot go on does not say that it could.
    let mut command = command(["fetch", "-", "-o", &place.name("other.jsonl"), "--fail-fast"]);
    let text = place.file("stdin.txt", &lines(&origin, &["/status/404", "/items/1"]));
    command.stdin(std::fs::File::open(text).unwrap());
    let ran = crate::gannet::ran(command).assert_code(4).assert_says("cannot be resumed; --spool keeps a copy");
    assert!(!ran.err.contains("go on:"), "{}", ran.err);
}

/// Whether the query has a row.
fn has_row(out: &str, sql: &str) -> bool {
    let path = format!("{out}.state");
    let db = rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    db.prepare(sql).unwrap().exists([]).unwrap()
}
