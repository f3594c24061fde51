//! `gannet get`: one request, the body to stdout as it comes.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::Arc;

use gannet_origin::Origin;
use gannet_origin::script::{Script, ScriptedServer};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::gannet::{Place, command, gannet};

fn body(args: &[&str]) -> Value {
    let ran = gannet([&["get"], args].concat()).assert_code(0);
    serde_json::from_slice(&ran.out).unwrap()
}

#[test]
fn the_body_goes_to_stdout_and_nothing_else() {
    let origin = Origin::start_blocking().unwrap();
    let ran = gannet(["get", &origin.url("/items/7")]).assert_code(0);
    let item: Value = serde_json::from_slice(&ran.out).unwrap();
    assert_eq!(item["id"], 7);
    assert_eq!(ran.err, "");
    let bytes = gannet(["get", &origin.url("/bytes/300000?seed=1")]).assert_code(0);
    assert_eq!(bytes.out.len(), 300_000);
}

#[test]
fn a_status_of_400_or_more_is_told_and_its_body_still_written() {
    let server = ScriptedServer::start_blocking([answer("404 Not Found", "x-a: b\r\n", "nothing here")]).unwrap();
    let ran = gannet(["get", &server.url("/?token=hunter2")]).assert_code(3);
    assert_eq!(ran.text(), "nothing here");
    assert_eq!(ran.err, format!("error: status: 404 Not Found ({})\n", server.url("/?token=***")));
    let bad = || answer("404 Not Found", "", "");
    let server = ScriptedServer::start_blocking([bad(), bad()]).unwrap();
    let url = server.url("/");
    for args in [&["-w", "%{errormsg}"][..], &["-v", "-w", "%{stdout}%{errormsg}"]] {
        let ran = gannet([&["get", &url], args].concat()).assert_code(3).assert_says("error: status: 404 Not Found");
        assert_eq!(ran.text(), "404 Not Found");
    }
}

#[test]
fn what_can_be_done_about_a_failure_is_said_in_a_line() {
    let origin = Origin::start_blocking().unwrap();
    let plain = origin.url("/get");
    for (args, hint) in [
        (&[origin.https_url("/get").as_str()][..], "--cacert FILE trusts its authority, -k accepts any"),
        (&[&plain.replace("http://", "https://")], "the server does not speak TLS on this port; is it http://?"),
        (&["--max-filesize", "10", &origin.url("/bytes/11")], "--max-filesize allows more"),
        (&["--max-filesize", "10", &origin.url("/gzip")], "--max-filesize allows more"),
        (&["--max-ratio", "5", "-o", "/dev/null", &origin.url("/bomb?mib=120")], "--max-ratio allows more"),
        (&["--max-head", "10", &plain], "--max-head allows more"),
        (&["--max-head", "10", "--http2-prior-knowledge", &plain], "--max-head allows more"),
        (&["--max-redirects", "1", &origin.url("/redirect/2")], "--max-redirects allows more"),
        (&["--max-redirects", "0", &origin.url("/redirect/2")], "--max-redirects allows more, --no-follow"),
    ] {
        let ran = gannet([&["get"], args].concat()).assert_code(3).assert_says(&format!("hint: {hint}"));
        assert_eq!(ran.err.lines().count(), 2, "{}", ran.err);
    }
    let none = gannet(["get", &origin.url("/reset")]).assert_code(3);
    assert!(!none.err.contains("hint"), "{}", none.err);
}

#[test]
fn the_address_of_the_connection_is_shown_or_the_ones_that_were_tried() {
    let origin = Origin::start_blocking().unwrap();
    let ran = gannet(["get", "-v", &origin.url("/redirect/1")]).assert_code(0);
    let address = origin.addr();
    let told: Vec<_> = ran.err.lines().filter(|line| line.starts_with("* connected")).collect();
    assert_eq!(told, [format!("* connected to {address}"), format!("* connected to {address}, as before")]);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for host in ["127.0.0.1", "localhost"] {
        let ran = gannet(["get", "-v", "-4", &format!("http://{host}:{}/", nobody.port())]).assert_code(3);
        ran.assert_says(&format!("* not connected; tried {nobody}\n"));
    }
}

#[test]
fn a_file_of_a_form_is_looked_for_where_no_text_is_taken_for_one() {
    let origin = Origin::start_blocking().unwrap();
    let args = ["get", &origin.url("/anything"), "--form", "a=@b", "--form", "c=d"];
    let ran = gannet(args).assert_code(0).assert_says("-F a=@FILE");
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    let seen: Value = serde_json::from_slice(&ran.out).unwrap();
    assert_eq!(seen["form"]["a"], "@b");
}

#[test]
fn no_whole_response_is_told_with_its_reason() {
    let origin = Origin::start_blocking().unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, kind) in [
        (format!("http://{nobody}/"), "connect"),
        ("http://name.invalid/".to_owned(), "dns"),
        (origin.url("/reset"), "connection"),
        (origin.url("/truncate"), "body"),
        (origin.url("/redirect/11"), "redirect"),
    ] {
        gannet(["get", &url]).assert_code(3).assert_says(&format!("error: {kind}: "));
    }
    gannet(["get", &origin.url("/hang"), "--timeout-read", "0.2"]).assert_code(3).assert_says("timeout.read");
    gannet(["get", &origin.url("/drip?duration=30"), "--timeout", "0.2"]).assert_code(3).assert_says("timeout.total");
    let part = gannet(["get", &origin.url("/truncate")]);
    assert_eq!(part.out.len(), 500, "what came is written");
}

#[test]
fn the_head_is_written_too_when_asked_for() {
    let server = ScriptedServer::start_blocking([answer("200 OK", "X-Odd:  a \r\n", "hello")]).unwrap();
    let ran = gannet(["get", "-i", &server.url("/")]).assert_code(0);
    assert_eq!(ran.text(), "HTTP/1.1 200 OK\nX-Odd: a\ncontent-length: 5\n\nhello");
}

#[test]
fn the_exchange_is_shown_as_it_was_with_its_secrets_blanked() {
    let server = ScriptedServer::start_blocking([answer("200 OK", "set-cookie: s=hunter4\r\n", "hello")]).unwrap();
    let place = Place::new();
    let secret = place.file("secret", "X-Mine: hunter2\n");
    let url = server.url("/p?token=hunter1&a=b");
    let args = ["get", "-v", &url, "-H", &format!("@{secret}"), "-H", "X-One: 1", "-u", "me:hunter3", "-d", "body"];
    let ran = gannet(args).assert_code(0);
    assert!(!ran.err.contains("hunter"), "{}", ran.err);
    let received = String::from_utf8(server.received().remove(0)).unwrap();
    let (head, sent) = received.split_once("\r\n\r\n").unwrap();
    assert_eq!(sent, "body");
    let mut shown: Vec<_> = ran.err.lines().filter_map(|line| line.strip_prefix("> ")).map(str::to_owned).collect();
    let mut wanted: Vec<_> = head.lines().map(blanked).collect();
    shown.sort();
    wanted.sort();
    assert_eq!(shown, wanted);
    let ran = ran.assert_says("< HTTP/1.1 200 OK").assert_says("< set-cookie: ***").assert_says("5 bytes of body");
    assert_eq!(ran.text(), "hello");
}

#[test]
fn what_the_session_adds_to_a_request_is_shown_too() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let jar = place.file("jar", "127.0.0.1\tFALSE\t/\tFALSE\t0\tkey\thunter2\n");
    let url = origin.url("/digest-auth/auth/me/pw");
    let ran = gannet(["get", "-v", &url, "-u", "me:pw", "--digest", "-b", &jar]).assert_code(0);
    let shown: Vec<_> = ran.err.lines().filter(|line| ["> ", "< ", "* "].iter().any(|s| line.starts_with(s))).collect();
    let order = ["> GET", "> cookie: ***", "< HTTP/1.1 401", "* once more", "> GET", "> cookie: ***", "< HTTP/1.1 200"];
    let mut rest = shown.iter();
    for wanted in order {
        assert!(rest.any(|line| line.starts_with(wanted)), "{wanted} in its place: {}", ran.err);
    }
    assert_eq!(ran.err.matches("> authorization: ***").count(), 1, "{}", ran.err);
    assert!(!ran.err.contains("hunter"), "{}", ran.err);
}

fn blanked(line: &str) -> String {
    match line.split_once(": ") {
        Some((name, value)) if value.contains("hunter") || name == "authorization" => format!("{name}: ***"),
        _ => line.replace("hunter1", "***"),
    }
}

#[test]
fn what_a_server_sends_cannot_write_to_the_terminal_or_tell_secrets() {
    let away = Script::new().expect_head().send(
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/?token=hunter2\r\nx-a: \u{9b}31mred\r\ncontent-length: 0\r\n\r\n",
    );
    let server = ScriptedServer::start_blocking([away]).unwrap();
    let ran = gannet(["get", "-v", "--no-follow", &server.url("/")]).assert_code(0);
    assert!(!ran.err.contains("hunter2") && !ran.err.contains('\u{9b}'), "{:?}", ran.err);
    ran.assert_says("location: http://127.0.0.1:9/?token=***");
}

#[test]
fn a_redirect_target_tells_no_secret_be_it_relative_or_no_url_at_all() {
    for (location, shown) in [
        ("/b?token=hunter2&a=1", "/b?token=***&a=1"),
        ("?api_key=hunter2", "/?api_key=***"),
        ("//me:hunter2@127.0.0.1:9/", "location: http://***@127.0.0.1:9/"),
        ("http://[/?token=hunter2", "location: ***"),
        ("http://me:hunter2@[/", "location: ***"),
    ] {
        let server = ScriptedServer::start_blocking([answer("302 Found", &format!("location: {location}\r\n"), "")]);
        let ran = gannet(["get", "-v", "--no-follow", &server.unwrap().url("/")]).assert_code(0).assert_says(shown);
        assert!(!ran.err.contains("hunter2"), "{}", ran.err);
    }
}

#[test]
fn redirects_are_followed_and_shown_unless_told_not_to() {
    let origin = Origin::start_blocking().unwrap();
    let url = origin.url("/redirect/2");
    let ran = gannet(["get", "-v", &url]).assert_code(0);
    assert_eq!(ran.err.matches("< HTTP/1.1 302 Found").count(), 2, "{}", ran.err);
    let stay = gannet(["get", "-i", "--no-follow", &url]).assert_code(0);
    assert!(stay.text().starts_with("HTTP/1.1 302 Found\n"), "{}", stay.text());
}

#[test]
fn the_request_is_the_one_asked_for() {
    let origin = Origin::start_blocking().unwrap();
    let url = origin.url("/anything");
    let posted = body(&[&url, "--json", r#"{"a":1}"#]);
    assert_eq!((&posted["method"], &posted["json"]["a"]), (&json!("POST"), &json!(1)));
    let form = body(&[&url, "--form", "a=b c", "--form", "d=", "-X", "PUT"]);
    assert_eq!((&form["method"], &form["form"]["a"], &form["form"]["d"]), (&json!("PUT"), &json!("b c"), &json!("")));
    let place = Place::new();
    let file = place.file("data", "line\n");
    let data = body(&[&url, "-d", &format!("@{file}"), "--query", "x=ü&", "-H", "Content-Type: text/plain"]);
    assert_eq!((&data["data"], &data["args"]["x"]), (&json!("line\n"), &json!("ü&")));
    gannet(["get", &origin.url("/basic-auth/me/pw"), "-u", "me:pw"]).assert_code(0);
    let cookies = body(&[&origin.url("/cookies"), "--cookie", "a=1", "--cookie", "b=2"]);
    assert_eq!(cookies["cookies"], json!({ "a": "1", "b": "2" }));
    let head = gannet(["get", "-X", "HEAD", "-i", &url]).assert_code(0);
    assert!(head.text().starts_with("HTTP/1.1 200") && head.text().ends_with("\n\n"), "{}", head.text());
}

#[test]
fn codings_are_decoded_unless_told_not_to() {
    let origin = Origin::start_blocking().unwrap();
    for coding in ["gzip", "deflate", "brotli", "zstd"] {
        assert!(body(&[&origin.url(&format!("/{coding}"))]).is_object());
    }
    let raw = gannet(["get", "--no-decode", &origin.url("/gzip")]).assert_code(0);
    assert_eq!(raw.out[..2], [0x1f, 0x8b]);
    let ran = gannet(["get", "--no-decode", &origin.url("/headers")]).assert_code(0);
    assert!(!ran.text().to_lowercase().contains("accept-encoding"), "{}", ran.text());
}

#[test]
fn a_body_goes_to_a_file_that_is_replaced() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let file = place.file("body", "a long text that was there before, and is to go");
    let ran = gannet(["get", &origin.url("/bytes/10"), "-o", &file]).assert_code(0);
    assert!(ran.out.is_empty());
    assert_eq!(std::fs::read(&file).unwrap().len(), 10);
    gannet(["get", &origin.url("/bytes/10"), "-o", &place.name("no/dir")]).assert_code(1).assert_says("no/dir");
    gannet(["get", &origin.url("/bytes/10"), "-o", "/dev/full"]).assert_code(1).assert_says("No space left");
}

#[test]
fn the_body_is_written_as_it_comes() {
    let go = Arc::new(Notify::new());
    let script = Script::new()
        .expect_head()
        .send("HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\nfirst\n")
        .wait_for(&go)
        .send("second");
    let server = ScriptedServer::start_blocking([script]).unwrap();
    let mut child = command(["get", &server.url("/")]).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    out.read_line(&mut first).unwrap();
    assert_eq!(first, "first\n");
    go.notify_one();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "second");
    assert!(child.wait().unwrap().success());
}

#[test]
fn on_a_terminal_what_is_told_begins_a_line_of_its_own() {
    let torn = || Script::new().expect_head().send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello");
    for (script, said) in [
        (torn(), "hello\r\nerror: body: "),
        (answer("404 Not Found", "", "gone"), "gone\r\nerror: status: 404 Not Found "),
        (answer("404 Not Found", "", "gone\n"), "gone\r\nerror: status: 404 Not Found "),
    ] {
        let shown = on_a_terminal(script);
        assert!(shown.starts_with(said), "{shown:?}");
    }
    assert_eq!(on_a_terminal(answer("200 OK", "", "fine")), "fine");
    let server = ScriptedServer::start_blocking([torn()]).unwrap();
    gannet(["get", &server.url("/")]).assert_code(3).assert_says("error: body: ");
}

#[test]
fn a_body_that_goes_to_a_file_shows_how_far_it_is_on_a_terminal_unless_told_not_to() {
    let place = Place::new();
    let file = place.name("f");
    let body = "x".repeat(100_000);
    let shown = |args: &[&str]| shown_on_a_terminal(answer("200 OK", "", &body), args);
    let bar = shown(&["-o", &file]);
    assert!(bar.contains("received") && bar.contains("of 97.66 KiB"), "{bar:?}");
    assert_eq!(shown(&["-o", &file, "--silent"]), "");
    assert_eq!(shown_on_a_terminal(answer("200 OK", "", "short"), &["-#"]), "short", "none through the body");
    std::fs::write(place.path("g.part"), "none of this").unwrap();
    let bar = shown(&["-o", &place.name("g"), "--retry", "1", "-C", "-"]);
    assert!(bar.contains("received") && bar.contains("of 97.66 KiB"), "{bar:?}");
    let server = ScriptedServer::start_blocking([answer("200 OK", "", &body)]).unwrap();
    assert_eq!(gannet(["get", "-#", "-o", &file, &server.url("/")]).assert_code(0).err, "", "no terminal, no bar");
}

#[test]
fn a_terminal_is_not_sent_what_it_cannot_show_unless_it_is_named() {
    let image = "\u{1}PNG\r\n\0\0 and more";
    let shown = shown_on_a_terminal(answer("200 OK", "", image), &["-w", "%{exitcode}"]);
    assert!(shown.starts_with("error: the body is binary: -o FILE saves it, -o - writes it"), "{shown:?}");
    assert!(shown.ends_with("\r\n1"), "{shown:?}");
    assert!(shown_on_a_terminal(answer("200 OK", "", image), &["-o", "-"]).contains("\0\0 and more"));
    let server = ScriptedServer::start_blocking([answer("200 OK", "", image)]).unwrap();
    assert_eq!(gannet(["get", &server.url("/")]).assert_code(0).text(), image, "a pipe takes everything");
}

/// What a terminal shows of a `get`, stdout and stderr together.
fn on_a_terminal(script: Script) -> String {
    shown_on_a_terminal(script, &[])
}

fn shown_on_a_terminal(script: Script, args: &[&str]) -> String {
    let server = ScriptedServer::start_blocking([script]).unwrap();
    let mut terminal = File::from(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap());
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let side = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let mut command = command([&["get", &server.url("/")], args].concat());
    command.stdout(side.try_clone().unwrap()).stderr(side);
    command.status().unwrap();
    drop(command);
    let mut shown = Vec::new();
    // Linux ends it with EIO once nobody has the other side open.
    let _ = terminal.read_to_end(&mut shown);
    String::from_utf8(shown).unwrap()
}

#[test]
fn a_reader_that_goes_away_is_no_crash() {
    let origin = Origin::start_blocking().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = command(["get", &origin.url("/bytes/100000")]);
    let child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{err}");
    assert_eq!(err, "stopped: stdout was closed before the end of the body\n");
}

fn answer(status: &str, fields: &str, body: &str) -> Script {
    let length = body.len();
    Script::new().expect_head().send(format!("HTTP/1.1 {status}\r\n{fields}content-length: {length}\r\n\r\n{body}"))
}

#[test]
fn a_usual_field_is_left_out_and_one_can_be_empty_as_curl_has_it() {
    let origin = Origin::start_blocking().unwrap();
    let seen = body(&["-H", "User-Agent:", "-H", "accept: ", "-H", "X-Empty;", &origin.url("/headers")]);
    let headers = seen["headers"].as_object().unwrap();
    assert!(!headers.contains_key("User-Agent") && !headers.contains_key("Accept"), "{headers:?}");
    assert_eq!(headers["X-Empty"], "");
    assert!(headers.contains_key("Accept-Encoding"));
    gannet(["get", "--proxy-header", "X-A:", &origin.url("/")]).assert_code(2).assert_says("--proxy-header");
}
