//! `gannet get` with bodies that are files: up, down, and gone on with.

use std::fs;
use std::io::{Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use gannet_origin::Origin;
use gannet_origin::script::{Script, ScriptedServer};
use serde_json::{Value, json};

use crate::gannet::{Place, Ran, command, gannet, rows_in, wait_until, with_stdin};

/// What is sent under it is echoed as it is.
const PLAIN: &str = "Content-Type: text/plain";

const TAG: &str = "etag: \"v1\"\r\n";

fn answer(status: &str, fields: &str, body: &str) -> Script {
    let head = format!("HTTP/1.1 {status}\r\n{fields}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    Script::new().expect_head().send(format!("{head}{body}")).close()
}

fn torn(fields: &str) -> Script {
    let head = format!("HTTP/1.1 200 OK\r\n{fields}content-length: 11\r\nconnection: close\r\n\r\nhello");
    Script::new().expect_head().send(head).close()
}

fn rest() -> Script {
    answer("206 Partial Content", "content-range: bytes 5-10/11\r\n", " world")
}

fn serve(scripts: impl IntoIterator<Item = Script>) -> ScriptedServer {
    ScriptedServer::start_blocking(scripts).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json_of(args: &[&str]) -> Value {
    let ran = gannet([&["get"], args].concat()).assert_code(0);
    serde_json::from_slice(&ran.out).unwrap()
}

#[test]
fn a_file_or_stdin_is_put_where_the_url_says() {
    let (origin, place) = (Origin::start_blocking().unwrap(), Place::new());
    let file = place.file("a b.txt", "content");
    let seen = json_of(&["-T", &file, &origin.url("/anything/up/")]);
    assert_eq!((&seen["method"], &seen["data"]), (&json!("PUT"), &json!("content")));
    assert_eq!(seen["headers"]["Content-Length"], "7");
    assert!(seen["url"].as_str().unwrap().ends_with("/anything/up/a%20b.txt"), "{seen}");
    let seen = json_of(&["--upload-file", &file, "-X", "POST", &origin.url("/anything/up")]);
    assert_eq!((&seen["method"], &seen["data"]), (&json!("POST"), &json!("content")));
    assert!(seen["url"].as_str().unwrap().ends_with("/anything/up"));
    let mut command = command(["get", "-T", "-", &origin.url("/anything/")]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"from a pipe").unwrap();
    let output = child.wait_with_output().unwrap();
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&seen["data"], &seen["headers"]["Transfer-Encoding"]), (&json!("from a pipe"), &json!("chunked")));
    gannet(["get", "-T", &place.name("none"), &origin.url("/anything")]).assert_code(2).assert_says("-T");
}

#[test]
fn a_body_comes_from_stdin_where_that_is_not_taken() {
    let origin = Origin::start_blocking().unwrap();
    let (url, place) = (origin.url("/anything"), Place::new());
    let sent = |args: &[&str], input: &str| with_stdin(args, input).assert_code(0);
    let echo = |ran: &Ran| serde_json::from_slice::<Value>(&ran.out).unwrap();
    assert_eq!(echo(&sent(&["get", "-d", "@-", "-H", PLAIN, &url], "a\nb\n"))["data"], "a\nb\n");
    assert_eq!(echo(&sent(&["get", "--json", "@-", &url], "{\"a\":1}\n"))["json"], json!({ "a": 1 }));
    let bearer = sent(&["get", "--oauth2-bearer", "@-", &origin.url("/bearer")], "sesame\n");
    assert_eq!(echo(&bearer)["token"], "sesame");
    let row = sent(&["fetch", "--json", "@-", &url], "{\"a\":\"{index}\"}\n").row();
    assert_eq!(row["json"]["json"], json!({ "a": "0" }));
    for args in
        [&["fetch", "-", "-d", "@-"][..], &["get", &url, "-d", "@-", "-w", "@-"], &["get", &url, "-T", "-", "-w", "@-"]]
    {
        with_stdin(args, &url).assert_code(2).assert_says("stdin");
    }
    // A run is known by what it sent.
    let (urls, out) = (place.file("urls.txt", &url), place.name("rows.jsonl"));
    let args = ["fetch", &urls, "-o", &out, "-d", "@-"];
    for (input, code) in [("a", 0), ("a", 0), ("b", 2)] {
        with_stdin(args, input).assert_code(code);
    }
}

#[test]
fn the_body_of_a_run_is_its_file_to_the_last_byte_and_filled_where_it_is_text() {
    let (origin, place) = (Origin::start_blocking().unwrap(), Place::new());
    let file = format!("@{}", place.file("body", "n={index}\r\n\n"));
    let row = gannet(["fetch", "-d", &file, "-H", PLAIN, &origin.url("/anything")]).assert_code(0).row();
    assert_eq!(row["json"]["data"], "n=0\r\n\n");
    std::fs::write(place.path("bytes"), b"\xff\n").unwrap();
    let bytes = format!("@{}", place.name("bytes"));
    let seen =
        gannet(["fetch", "-d", &bytes, "-H", PLAIN, &origin.url("/anything")]).assert_code(0).row()["json"].take();
    for seen in [seen, json_of(&["-d", &bytes, "-H", PLAIN, &origin.url("/anything")])] {
        assert_eq!(seen["data"], "data:application/octet-stream;base64,/wo=");
    }
}

#[test]
fn several_bodies_are_joined_as_curl_has_it() {
    let (origin, place) = (Origin::start_blocking().unwrap(), Place::new());
    let (url, file) = (origin.url("/anything"), format!("@{}", place.file("body", "b=2\n")));
    let data = ["-H", PLAIN, "-d", "a=1", "--data", &file, "-d", "c={index}"];
    assert_eq!(json_of(&[&data[..], &[&url]].concat())["data"], "a=1&b=2\n&c={index}");
    let out = place.name("rows.jsonl");
    let run = |data: &[&str]| gannet([&["fetch", &url, "-o", &out], data].concat());
    run(&data).assert_code(0);
    assert_eq!(rows_in(out.as_ref())[0]["json"]["data"], "a=1&b=2\n&c=0");
    run(&data).assert_code(0).assert_says("1 of 1 row is done");
    std::fs::write(place.path("body"), "b=3\n").unwrap();
    run(&data).assert_code(2).assert_says("--data");
    run(&["-H", PLAIN, "-d", "a=1"]).assert_code(2).assert_says("--data");
}

#[test]
fn a_form_has_texts_and_files_with_their_types() {
    let (origin, place) = (Origin::start_blocking().unwrap(), Place::new());
    let file = place.file("f.txt", "content");
    let url = origin.url("/anything");
    let seen = json_of(&[
        "-F",
        &format!("doc=@{file};type=text/x-mine;filename=g.txt"),
        "-F",
        "a=b; c",
        "-F",
        &format!("inner=<{file}"),
        "--form-string",
        "at=@home;type=x",
        &url,
    ]);
    assert_eq!(seen["method"], "POST");
    assert!(seen["headers"]["Content-Type"].as_str().unwrap().starts_with("multipart/form-data; boundary="));
    assert_eq!(seen["form"], json!({ "a": "b; c", "inner": "content", "at": "@home;type=x" }));
    assert_eq!(seen["files"]["doc"], "content");
    // The boundary is random, its length is not.
    let whole = Script::new().expect_head().expect_body(188).send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let server = serve([whole]);
    gannet(["get", "-F", &format!("doc=@{file};type=text/x-mine;filename=g.txt"), &server.url("/")]).assert_code(0);
    let sent = text(&server.received()[0]);
    assert!(
        sent.contains("name=\"doc\"; filename=\"g.txt\"\r\nContent-Type: text/x-mine\r\n\r\ncontent\r\n"),
        "{sent}"
    );
    gannet(["get", "-F", "a=@/no/such/file", &url]).assert_code(2).assert_says("/no/such/file");
    gannet(["get", "-F", "a=b", "--form", "c=d", &url]).assert_code(2);
}

#[test]
fn a_body_is_compressed_and_waits_to_be_asked_for() {
    let origin = Origin::start_blocking().unwrap();
    let seen = json_of(&["-d", "body", "--compress", "zstd", &origin.url("/anything")]);
    assert_eq!(seen["headers"]["Content-Encoding"], "zstd");
    gannet(["get", "-d", "x", "--compress", "rar", &origin.url("/anything")]).assert_code(2).assert_says("zstd");
    let refuses = Script::new().expect_head().send("HTTP/1.1 413 No\r\ncontent-length: 0\r\n\r\n").expect_end();
    let server = serve([refuses]);
    gannet(["get", "-d", "body", "--expect100-timeout", "600", &server.url("/")]).assert_code(3);
    assert!(text(&server.received()[0]).ends_with("\r\n\r\n"), "the body was spared");
}

#[test]
fn the_bodies_of_a_run_are_compressed_wait_to_be_asked_for_and_stay_as_they_came() {
    let origin = Origin::start_blocking().unwrap();
    let rows = |args: &[&str]| gannet([&["fetch"], args].concat()).assert_code(0).rows();
    let urls = [origin.url("/anything/1"), origin.url("/anything/2")];
    for row in rows(&[&urls[0], &urls[1], "--json", "{\"n\": \"{index}\"}", "--compress", "gzip"]) {
        assert_eq!(row["json"]["headers"]["Content-Encoding"], "gzip", "{row}");
        let sent = row["json"]["data"].as_str().unwrap();
        assert!(!sent.contains("\"n\""), "{row}");
    }
    let plain = rows(&[&origin.url("/headers"), "--compress", "gzip"]);
    assert!(!plain[0].to_string().contains("Content-Encoding"), "a row without a body has none to compress");
    let refuses = Script::new().expect_head().send("HTTP/1.1 413 No\r\ncontent-length: 0\r\n\r\n").expect_end();
    let server = serve([refuses]);
    gannet(["fetch", "-d", "body", "--expect100-timeout", "600", &server.url("/")]).assert_code(3);
    assert!(text(&server.received()[0]).ends_with("\r\n\r\n"), "the body was spared");
    let raw = rows(&[&origin.url("/gzip"), "--no-decode"]);
    assert!(raw[0]["body_base64"].as_str().unwrap().starts_with("H4sI"), "{}", raw[0]);
    let seen = rows(&[&origin.url("/headers"), "--no-decode"]);
    assert!(!seen[0].to_string().to_lowercase().contains("accept-encoding"), "{}", seen[0]);
    let bomb = origin.url("/bomb?mib=120");
    let args = ["fetch", &bomb, "--format", "none", "--max-body", "200MiB", "--retries", "0", "--summary", "json"];
    assert!(gannet(args).assert_code(3).err.contains("too_large"));
    gannet(args.into_iter().chain(["--max-ratio", "0"])).assert_code(0);
}

#[test]
fn a_body_larger_than_it_may_be_is_told() {
    let origin = Origin::start_blocking().unwrap();
    let url = origin.url("/bytes/3000");
    gannet(["get", &url, "--max-filesize", "2K"]).assert_code(3).assert_says("error: too_large: ");
    assert_eq!(gannet(["get", &url, "--max-filesize", "3000"]).assert_code(0).out.len(), 3000);
}

#[test]
fn item_18_a_torn_body_leaves_no_file_of_its_name_and_is_gone_on_with() {
    let place = Place::new();
    let server = serve([torn(TAG), rest(), answer("200 OK", "", "new")]);
    let (url, file) = (server.url("/a"), place.name("f"));
    let torn = gannet(["get", "-o", &file, &url]).assert_code(3).assert_says("error: body: ");
    torn.assert_says(&format!("5 bytes are kept in {file}.part; -C - goes on with them\n"));
    assert!(!place.path("f").exists());
    assert_eq!(fs::read(place.path("f.part")).unwrap(), b"hello");
    gannet(["get", "-o", &file, "-C", "-", &url]).assert_code(0);
    assert_eq!(fs::read(place.path("f")).unwrap(), b"hello world");
    assert!(!place.path("f.part").exists() && !place.path("f.part.json").exists());
    assert!(text(&server.received()[1]).contains("range: bytes=5-\r\n"));
    // Without -C it is replaced, and nothing is asked of the part.
    gannet(["get", "-o", &file, &url]).assert_code(0);
    assert_eq!(fs::read(place.path("f")).unwrap(), b"new");
    gannet(["get", "-C", "-", &url]).assert_code(2);
    gannet(["get", "-o", &file, "-C", "5", &url]).assert_code(2);
}

#[test]
fn what_is_kept_of_a_download_is_said_where_it_can_be_gone_on_with() {
    let place = Place::new();
    let kept = "-C - goes on with them";
    let timed = format!("HTTP/1.1 200 OK\r\n{TAG}content-length: 11\r\n\r\nhello");
    let timed = Script::new().expect_head().send(timed).hang();
    let busy = answer("503 Busy", "", "busy");
    let server = serve([timed, torn(TAG), busy, torn(""), torn(TAG), torn(TAG)]);
    let (url, file) = (server.url("/a"), place.name("f"));
    let get = |args: &[&str]| gannet([&["get", &url], args].concat()).assert_code(3);
    get(&["-o", &file, "-m", "0.5"]).assert_says("timeout.total").assert_says("5 bytes are kept").assert_says(kept);
    get(&["-O", "--output-dir", &place.name("")]).assert_says("a.part").assert_says(kept);
    get(&["-o", &file, "-C", "-"]).assert_says("503").assert_says(kept);
    for args in [&["-o", &place.name("g")][..], &["-d", "x", "-o", &place.name("h")], &[]] {
        let ran = get(args);
        assert!(!ran.err.contains("kept"), "{args:?}: {}", ran.err);
    }
}

#[test]
fn a_download_that_is_interrupted_leaves_what_can_be_gone_on_with_and_nothing_else() {
    let head =
        format!("HTTP/1.1 200 OK\r\n{TAG}content-disposition: attachment; filename=b\r\ncontent-length: 11\r\n\r\n");
    for (args, kept) in [(&["-O"][..], true), (&["-o", "a"], true), (&["-J"], false)] {
        let place = Place::new();
        let server = serve([Script::new().expect_head().send(format!("{head}hello")).hang()]);
        let (url, folder) = (server.url("/a"), place.name(""));
        let mut get = command([&["get", &url, "--output-dir", &folder], args].concat());
        let child = get.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let sizes = || fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
        wait_until("its beginning is written", || sizes().any(|size| size == 5));
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(4), "{said}");
        assert!(said.contains("stopped\n") && said.contains("5 bytes are kept") == kept, "{args:?}: {said}");
        assert_eq!(sizes().count(), if kept { 2 } else { 0 }, "{args:?}: part and note");
    }
}

#[test]
fn a_file_that_is_whole_is_not_asked_for_again() {
    let (place, server) = (Place::new(), serve([answer("200 OK", "", "new"), answer("200 OK", "", "newer")]));
    let (url, folder) = (server.url("/a"), place.name(""));
    place.file("a", "whole");
    for args in [&["-o", &place.name("a")][..], &["-O", "--output-dir", &folder]] {
        let ran = gannet([&["get", "-C", "-", &url, "-w", "%{http_code} %{exitcode}"], args].concat()).assert_code(0);
        assert_eq!(
            (ran.text(), ran.err.as_str()),
            ("000 0", &*format!("{} is there, and no part of it: nothing is asked of the server\n", place.name("a")))
        );
    }
    assert_eq!(server.connections(), 0);
    // Told to replace it, or with a part beside it, it is another matter.
    gannet(["get", "-C", "-", "-O", "--clobber", "--output-dir", &folder, &url]).assert_code(0);
    assert_eq!(fs::read(place.path("a")).unwrap(), b"new");
    place.file("a.part", "half");
    gannet(["get", "-C", "-", "-o", &place.name("a"), &url]).assert_code(0);
    assert_eq!(fs::read(place.path("a")).unwrap(), b"newer");
}

#[test]
fn a_folder_that_is_not_there_is_named_before_anything_is_sent() {
    let (place, server) = (Place::new(), serve([answer("200 OK", "", "")]));
    let (url, sub) = (server.url("/a"), place.name("sub"));
    let there = format!("there is no folder {sub}\n");
    for args in
        [&["-o", &place.name("sub/x")][..], &["-o", &place.name("sub/x"), "-C", "-"], &["-O", "--output-dir", &sub]]
    {
        gannet([&["get", &url], args].concat()).assert_code(1).assert_says(&there);
    }
    let ran = gannet(["get", &url, "-J", "--output-dir", &sub, "-w", "%{errormsg}"]).assert_code(1).assert_says(&there);
    assert!(ran.text().ends_with(there.trim_end()), "{}", ran.text());
    assert_eq!(server.connections(), 0);
}

#[test]
fn item_18_a_killed_download_leaves_its_part_to_go_on_with() {
    let place = Place::new();
    let head = format!("HTTP/1.1 200 OK\r\n{TAG}content-length: 11\r\n\r\nhello");
    let server = serve([Script::new().expect_head().send(head).hang(), rest()]);
    let args = ["get", "-o", &place.name("f"), &server.url("/a")];
    let mut child = command(args).spawn().unwrap();
    let patience = Instant::now();
    while fs::read(place.path("f.part")).ok().as_deref() != Some(b"hello") {
        assert!(patience.elapsed() < Duration::from_secs(20), "nothing is written");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!place.path("f").exists());
    gannet([&args[..], &["-C", "-"]].concat()).assert_code(0);
    assert_eq!(fs::read(place.path("f")).unwrap(), b"hello world");
}

#[test]
fn a_post_into_a_file_is_whole_or_not_there_and_sent_once() {
    let place = Place::new();
    let server = serve([torn(TAG), answer("200 OK", "", "ok")]);
    let args = ["get", "-d", "x", "--retry", "2", "--retry-delay", "0", "-o", &place.name("f"), &server.url("/a")];
    gannet(args).assert_code(3).assert_says("error: body: ");
    assert!(!place.path("f").exists() && server.connections() == 1);
    gannet(args).assert_code(0);
    assert_eq!(fs::read(place.path("f")).unwrap(), b"ok");
    gannet([&args[..], &["-C", "-"]].concat()).assert_code(2).assert_says("GET");
}

#[test]
fn a_broken_download_is_tried_again_within_its_bound() {
    let place = Place::new();
    let server = serve([torn(TAG), answer("503 Busy", "", "busy"), rest()]);
    let args = ["--retry", "2", "--retry-delay", "0", "-v"];
    let ran = gannet([&["get", "-o", &place.name("f"), &server.url("/a")], &args[..]].concat()).assert_code(0);
    assert_eq!(fs::read(place.path("f")).unwrap(), b"hello world");
    ran.assert_says("5 of them there before, 3 attempts");
    let server = serve([torn(TAG), answer("503 Busy", "", "busy"), rest()]);
    let ran = gannet(["get", "-o", &place.name("g"), &server.url("/a"), "--retry", "1", "--retry-delay", "0"]);
    ran.assert_code(3).assert_says("503");
    assert!(!place.path("g").exists() && place.path("g.part").exists());
    // To stdout, as long as nothing was written.
    let server = serve([answer("503 Busy", "", "busy"), answer("200 OK", "", "ok")]);
    assert_eq!(gannet(["get", &server.url("/"), "--retry", "1", "--retry-delay", "0"]).assert_code(0).text(), "ok");
    let server = serve([torn(TAG), answer("200 OK", "", "ok")]);
    let ran = gannet(["get", &server.url("/"), "--retry", "1", "--retry-delay", "0"]).assert_code(3);
    assert_eq!((ran.text(), server.connections()), ("hello", 1));
}

/// A `get` that is tried again at once, of a server that answers so.
fn with_retries(retries: &str, answers: [Script; 2], args: &[&str]) -> Ran {
    let server = serve(answers);
    gannet([&["get", &server.url("/")], args, &["--retry", retries, "--retry-delay", "0"]].concat())
}

#[test]
fn what_is_tried_again_can_be_said() {
    let place = Place::new();
    let get = |answers, args: &[&str]| with_retries("1", answers, args);
    let ok = || answer("200 OK", "", "ok");
    let teapot = || answer("418 Teapot", "", "tea");
    assert_eq!(get([teapot(), ok()], &["--retry-on", "4xx"]).assert_code(0).text(), "ok");
    get([teapot(), ok()], &[]).assert_code(3);
    get([answer("503 Busy", "", ""), ok()], &["--retry-on", "418"]).assert_code(3);
    let file = place.name("f");
    get([teapot(), ok()], &["--retry-on", "418", "-o", &file]).assert_code(0);
    assert_eq!(fs::read(&file).unwrap(), b"ok");
    get([answer("502 Bad", "", ""), ok()], &["-d", "x"]).assert_code(3);
    assert_eq!(get([answer("502 Bad", "", ""), ok()], &["-d", "x", "--retry-unsafe"]).assert_code(0).text(), "ok");
    gannet(["get", "http://127.0.0.1:9/", "--retry-on", "5xx"]).assert_code(2).assert_says("--retry");
}

#[test]
fn the_waits_between_attempts_are_told_while_they_last() {
    let place = Place::new();
    let get = |answers, args: &[&str]| with_retries("2", answers, args);
    let (busy, ok) = (|| answer("503 Busy", "", ""), || answer("200 OK", "", "ok"));
    let said = "503 Service Unavailable: again in 0.0 s, 2 left";
    get([busy(), ok()], &[]).assert_code(0).assert_says(said);
    get([busy(), ok()], &["-o", &place.name("f")]).assert_code(0).assert_says(said);
    get([Script::new().expect_head().close(), ok()], &[]).assert_code(0).assert_says("connection: again in 0.0 s");
    assert!(get([busy(), ok()], &["-s"]).assert_code(0).err.is_empty());
    get([busy(), ok()], &["-d", "x"]).assert_code(3).assert_says("--retry-unsafe");
    assert!(!get([busy(), ok()], &["-d", "x", "--retry-unsafe"]).assert_code(0).err.contains("note"));
}

#[test]
fn item_33_the_name_of_a_url_or_a_server_stays_in_its_folder_and_replaces_nothing() {
    let place = Place::new();
    fs::create_dir(place.path("in")).unwrap();
    let inner = place.name("in");
    let fields = "content-disposition: attachment; filename=\"../.evil\"\r\n";
    let server =
        serve([answer("200 OK", fields, "one"), answer("200 OK", fields, "two"), answer("200 OK", "", "three")]);
    let url = server.url("/x/y.txt?z");
    let ran = gannet(["get", "-J", "--output-dir", &inner, &url]).assert_code(0);
    ran.assert_says("saved as").assert_says("_evil");
    gannet(["get", "-J", "--output-dir", &inner, &url]).assert_code(1).assert_says("kept");
    assert_eq!(fs::read(place.path("in/_evil")).unwrap(), b"one");
    gannet(["get", "-O", "--output-dir", &inner, &url]).assert_code(0);
    assert_eq!(fs::read(place.path("in/y.txt")).unwrap(), b"three");
    gannet(["get", "-O", "--output-dir", &inner, &url]).assert_code(1).assert_says("kept");
    gannet(["get", "-O", "--clobber", "--output-dir", &inner, &url]).assert_code(0);
    gannet(["get", "-J", "--clobber", &url]).assert_code(2);
    gannet(["get", "-O", &server.url("/")]).assert_code(2).assert_says("-o");
    let mut names: Vec<_> = fs::read_dir(place.path("in")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["_evil", "y.txt"]);
    assert_eq!(fs::read_dir(place.path("")).unwrap().count(), 1, "nothing beside the folder");
}

#[test]
fn an_error_page_is_not_saved_under_a_name_that_others_chose() {
    let place = Place::new();
    let server = serve([answer("404 Not Found", "", "nothing"), answer("404 Not Found", "", "nothing")]);
    gannet(["get", "-O", "--output-dir", &place.name(""), &server.url("/y.txt")])
        .assert_code(3)
        .assert_says("404 Not Found");
    assert_eq!(fs::read_dir(place.path("")).unwrap().count(), 0);
    // Under a name of one's own it is, as on stdout.
    gannet(["get", "-o", &place.name("f"), &server.url("/y.txt")]).assert_code(3).assert_says("404 Not Found");
    assert_eq!(fs::read(place.path("f")).unwrap(), b"nothing");
}

#[test]
fn events_are_lines_of_json() {
    let stream = "retry: 5\nid: 1\ndata: a\ndata: b\n\nevent: x\ndata: {\"c\":1}\n\ndata: cut off";
    let server = serve([answer("200 OK", "content-type: text/event-stream\r\n", stream)]);
    let ran = gannet(["get", "--events", &server.url("/")]).assert_code(0);
    assert_eq!(
        ran.rows(),
        [
            json!({ "id": "1", "event": "message", "data": "a\nb", "retry": 5 }),
            json!({ "id": "1", "event": "x", "data": "{\"c\":1}" })
        ]
    );
    let server = serve([answer("404 Not Found", "", "data: x\n\n"), answer("204 No Content", "", "")]);
    let bad = gannet(["get", "--events", &server.url("/")]).assert_code(3).assert_says("error: status: 404 Not Found");
    assert!(!bad.err.contains("decode"), "{}", bad.err);
    gannet(["get", "--events", &server.url("/")]).assert_code(0);
    for (fields, shown) in [("content-type: text/html\r\n", "is text/html, "), ("", "is none, ")] {
        let server = serve([answer("200 OK", fields, "data: x\n\n")]);
        let ran = gannet(["get", "--events", "-w", "%{errormsg}", &server.url("/?key=hunter2")]).assert_code(3);
        let ran = ran.assert_says("error: decode: ").assert_says(shown).assert_says("text/event-stream");
        assert!(ran.text().starts_with("this is no stream of events") && !ran.err.contains("hunter2"), "{ran:?}");
    }
}

#[test]
fn item_22_a_bomb_is_stopped_by_its_ratio_unless_told_not_to() {
    let origin = Origin::start_blocking().unwrap();
    let url = origin.url("/bomb?mib=120");
    gannet(["get", "-o", "/dev/null", &url]).assert_code(3).assert_says("error: too_large: ");
    let mut command = command(["get", "--max-ratio", "0", &url]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let (mut buffer, mut length) = (vec![0; 1 << 20], 0);
    while let count @ 1.. = out.read(&mut buffer).unwrap() {
        length += count;
    }
    assert!(child.wait().unwrap().success());
    assert_eq!(length, 120 << 20);
}
