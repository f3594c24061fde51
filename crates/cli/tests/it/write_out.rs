//! `gannet get -w`: what is told of a transfer, in curl's variables.

use gannet_origin::Origin;
use gannet_origin::script::{Script, ScriptedServer};
use serde_json::Value;

use crate::gannet::{Place, gannet};

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

#[test]
fn variables_stand_behind_the_body() {
    let origin = Origin::start_blocking().unwrap();
    let url = origin.url("/redirect-to?url=/bytes/1000");
    let format = r"\n%{http_code} %{response_code} %{num_redirects} %{size_download} %{remote_ip}:%{remote_port}\t%{content_type}|%{url_effective}|%{method}|%{scheme}|%{http_version}|%{num_connects}|%{exitcode}|%{errormsg}|100%%\n";
    let ran = gannet(["get", &url, "-w", format]).assert_code(0);
    let told = String::from_utf8_lossy(&ran.out[1000..]).into_owned();
    let wanted = format!(
        "\n200 200 1 1000 {}\tapplication/octet-stream|{}|GET|http|1.1|1|0||100%\n",
        origin.addr(),
        origin.url("/bytes/1000")
    );
    assert_eq!(told, wanted);
}

#[test]
fn times_come_in_their_order_and_all_of_them_in_json() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let file = place.name("body");
    let url = format!("http://localhost:{}/items/1?delay=0.05", origin.addr().port());
    let ran = gannet(["get", &url, "-o", &file, "-w", "%{json}"]).assert_code(0);
    let all: Value = serde_json::from_slice(&ran.out).unwrap();
    let time = |name: &str| all[format!("time_{name}")].as_f64().unwrap();
    let times = ["redirect", "namelookup", "connect", "pretransfer", "starttransfer", "total"].map(time);
    assert!(times.is_sorted() && times[0] == 0.0 && times[1] > 0.0, "{all}");
    assert!(time("starttransfer") - time("pretransfer") >= 0.04, "{all}");
    assert_eq!(time("appconnect"), 0.0, "no TLS");
    assert_eq!((&all["size_upload"], &all["method"], &all["http_code"]), (&0.into(), &"GET".into(), &200.into()));
    assert_eq!((&all["filename_effective"], &all["exitcode"]), (&file.as_str().into(), &0.into()));
    assert!(all["size_request"].as_u64().unwrap() > 50 && all["speed_download"].is_u64(), "{all}");
    let posted = ["get", &origin.url("/post"), "-d", "body", "-o", &file, "-w", "%{method} %{size_upload}"];
    assert_eq!(gannet(posted).assert_code(0).text(), "POST 4");
    let text = gannet(["get", &url, "-o", &file, "-w", "%{time_total}"]).assert_code(0).text().to_owned();
    assert!(text.split_once('.').is_some_and(|(_, digits)| digits.len() == 6) && number(&text) >= 0.05, "{text}");
}

#[test]
fn a_handshake_has_its_time() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let args = ["-k", "-o", &place.name("body"), "-w", "%{time_connect} %{time_appconnect} %{scheme}"];
    let text = gannet([&["get", &origin.https_url("/items/1")], &args[..]].concat()).assert_code(0).text().to_owned();
    let told: Vec<&str> = text.split(' ').collect();
    assert!(number(told[1]) > number(told[0]) && number(told[0]) > 0.0 && told[2] == "https", "{text}");
}

#[test]
fn a_failure_is_told_too_and_what_is_for_failures_only_then() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://me:hunter2@{nobody}/");
    let ran = gannet(["get", &url, "-w", r"%{http_code}%{onerror} %{exitcode} %{errormsg} %{url}"]).assert_code(3);
    let told = ran.text();
    assert!(told.starts_with("000 3 cannot connect to ") && !told.contains("hunter2"), "{told}");
    let torn = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart";
    let server = ScriptedServer::start_blocking([Script::new().expect_head().send(torn).close()]).unwrap();
    let ran = gannet(["get", &server.url("/"), "-w", "|%{http_code} %{size_download} %{exitcode}"]).assert_code(3);
    assert_eq!(ran.text(), "part|200 4 3");
    let origin = Origin::start_blocking().unwrap();
    let ran = gannet(["get", &origin.url("/bytes/0"), "-w", "ok%{onerror}never"]).assert_code(0);
    assert_eq!(ran.text(), "ok");
}

#[test]
fn fields_streams_and_files() {
    let said = "HTTP/1.1 200 OK\r\nX-A: one\r\nx-a: two\r\ncontent-length: 0\r\n\r\n";
    let answer = || Script::new().expect_head().send(said).repeated();
    let server = ScriptedServer::start_blocking([answer(), answer(), answer()]).unwrap();
    let url = server.url("/");
    let ran = gannet(["get", &url, "-w", "%header{X-A}%{stderr}to stderr%{stdout}!"]).assert_code(0);
    assert_eq!((ran.text(), ran.err.as_str()), ("one!", "to stderr"));
    let ran = gannet(["get", &url, "-w", "%{header_json}"]).assert_code(0);
    let fields: Value = serde_json::from_slice(&ran.out).unwrap();
    assert_eq!(fields["x-a"], serde_json::json!(["one", "two"]));
    let place = Place::new();
    let format = place.file("format", "%{http_code}\n");
    assert_eq!(gannet(["get", &url, "-w", &format!("@{format}")]).assert_code(0).text(), "200\n");
}

#[test]
fn a_download_that_goes_to_a_file_of_its_own_name_is_told_too() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let file = place.name("body");
    let url = origin.url("/redirect-to?url=/bytes/1000");
    let format = "%{http_code} %{size_download} %{url_effective} %{time_total}";
    let ran = gannet(["get", &url, "-o", &file, "-C", "-", "-w", format]).assert_code(0);
    let told: Vec<&str> = ran.text().split(' ').collect();
    assert_eq!(told[..3], ["200", "1000", &origin.url("/bytes/1000")]);
    assert!(number(told[3]) > 0.0, "{told:?}");
}

#[test]
fn a_variable_nobody_knows_is_named_and_nothing_is_sent() {
    let server = ScriptedServer::start_blocking([Script::new().expect_head().hang()]).unwrap();
    let ran = gannet(["get", &server.url("/"), "-w", "%{http_code} %{time_travel}"]).assert_code(2);
    ran.assert_says("no variable is called %{time_travel}").assert_says("time_total");
    assert_eq!(server.connections(), 0);
    gannet(["get", &server.url("/"), "-w", "@/no/such/file"]).assert_code(2).assert_says("/no/such/file");
}

/// What is told of a `get` with these options, line by line.
fn told(args: &[&str], code: i32) -> Vec<String> {
    const FORMAT: &str = r"%{http_code} %{exitcode} %{num_redirects} %{num_headers} %{http_version}\n%{content_type}\n%header{x-a}\n%{filename_effective}\n%{url_effective}\n%{errormsg}\n%{header_json}";
    let ran = gannet([&["get", "-w", FORMAT], args].concat()).assert_code(code);
    ran.text().lines().map(str::to_owned).collect()
}

fn answer(head: &str, body: &str) -> Script {
    let length = body.len();
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    Script::new().expect_head().send(head).close()
}

#[test]
fn a_download_is_told_with_its_head_and_the_name_it_got() {
    let moved = || answer("302 Found\r\nlocation: /b.txt", "");
    let busy = answer("503 Busy\r\nx-a: busy", "");
    let good = || {
        answer("200 OK\r\ncontent-type: text/a\r\nX-A: one\r\ncontent-disposition: attachment; filename=c.txt", "body")
    };
    let server = ScriptedServer::start_blocking([moved(), busy, moved(), good(), moved(), good()]).unwrap();
    let place = Place::new();
    let url = server.url("/a.txt");
    let folder = place.name("");
    let folder = folder.trim_end_matches('/');
    let retried = ["-O", "--output-dir", folder, "--retry", "1", "--retry-delay", "0", &url];
    for (args, name) in [(&retried[..], "a.txt"), (&["-J", "--output-dir", folder, &url], "c.txt")] {
        let lines = told(args, 0);
        let fields = serde_json::from_str::<Value>(&lines[6]).unwrap();
        assert_eq!(
            lines[..5],
            ["200 0 1 5 1.1", "text/a", "one", &place.name(name), &server.url("/b.txt")],
            "{args:?}"
        );
        assert_eq!((lines[5].as_str(), &fields["x-a"]), ("", &serde_json::json!(["one"])));
        assert_eq!(std::fs::read(place.path(name)).unwrap(), b"body");
    }
}

#[test]
fn a_download_that_failed_is_told_with_what_came_and_why() {
    let bad = answer("404 Not Found\r\ncontent-type: text/a\r\nx-a: gone", "page");
    let torn = "HTTP/1.1 200 OK\r\nx-a: torn\r\ncontent-length: 9\r\nconnection: close\r\n\r\npart";
    let torn = Script::new().expect_head().send(torn).close();
    let taken = answer("200 OK\r\nx-a: taken", "body");
    let server = ScriptedServer::start_blocking([bad, torn, taken, answer("200 OK\r\nx-a: full", "body")]).unwrap();
    let place = Place::new();
    let (url, folder) = (server.url("/a.txt"), place.name("in"));
    std::fs::create_dir(&folder).unwrap();
    let name = place.name("in/a.txt");
    let named = ["-O", "--output-dir", &folder, &url];
    let lines = told(&named, 3);
    assert_eq!(lines[..6], ["404 3 0 4 1.1", "text/a", "gone", &name, &url, "404 Not Found"]);
    let lines = told(&named, 3);
    assert_eq!((lines[0].as_str(), lines[2].as_str(), lines[3].as_str()), ("200 3 0 3 1.1", "torn", &*name));
    assert!(lines[5].contains("body"), "{lines:?}");
    // A path that cannot be made, before anything is sent and behind the answer.
    std::fs::write(&name, "kept").unwrap();
    let lines = told(&named, 1);
    assert_eq!((lines[0].as_str(), lines[3].as_str()), ("000 1 0 0 ", &*name));
    assert!(lines[5].contains("a.txt") && server.connections() == 2, "{lines:?}");
    let lines = told(&["-J", "--output-dir", &folder, &url], 1);
    assert_eq!((lines[0].as_str(), lines[2].as_str()), ("200 1 0 3 1.1", "taken"));
    assert!(lines[5].contains("a.txt"), "{lines:?}");
    let lines = told(&["-o", "/dev/full", &url], 1);
    assert_eq!((lines[0].as_str(), lines[2].as_str()), ("200 1 0 3 1.1", "full"));
    assert!(lines[5].contains("No space left"), "{lines:?}");
    let lines = told(&["-J", "http://me:hunter2@127.0.0.1:9/"], 3);
    assert!(
        lines[0] == "000 3 0 0 " && lines[5].starts_with("cannot connect") && !lines.concat().contains("hunter2"),
        "{lines:?}"
    );
}
