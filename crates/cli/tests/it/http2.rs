//! HTTP/2 from the command line, against a server that people run: nginx, which says how many requests it takes at
//! once, and after some of them closes the connection.

use gannet_origin::script::{Script, ScriptedServer, frames};
use gannet_origin::{Identity, Origin};

use super::gannet::{Place, gannet, rows_in};
use super::nginx::{Nginx, free_port};

struct Server {
    nginx: Nginx,
    secure: u16,
    identity: Identity,
}

/// nginx with HTTP/2 over TLS and without: eight requests at once, and fifty on a connection.
fn server() -> Server {
    let (place, port, secure) = (Place::new(), free_port(), free_port());
    let identity = Identity::for_names(&["127.0.0.1"]).unwrap();
    let (certificate, key) = identity.pem();
    let (certificate, key) = (place.file("cert.pem", certificate), place.file("key.pem", key));
    place.file("large", &"0123456789abcdef".repeat(1_000_000));
    let root = place.name("");
    let http = format!(
        "keepalive_requests 50; http2_max_concurrent_streams 8;
        server {{
            listen 127.0.0.1:{port} http2;
            listen 127.0.0.1:{secure} ssl http2;
            ssl_certificate {certificate}; ssl_certificate_key {key};
            root {root}; client_max_body_size 100m;
            location /items/ {{ return 200 '{{\"uri\":\"$uri\",\"protocol\":\"$server_protocol\"}}'; }}
            location /moved {{ return 302 /items/moved; }}
            location /post {{ return 200 '$content_length'; }}
        }}"
    );
    Server { nginx: Nginx::run(place, port, &http), secure, identity }
}

#[test]
fn two_thousand_rows_are_one_attempt_each_while_connections_are_closed_after_fifty() {
    let server = server();
    let plain: Vec<String> = (0..1000).map(|n| format!("http://127.0.0.1:{}/items/{n}", server.nginx.port)).collect();
    let secure: Vec<String> = (0..1000).map(|n| format!("https://127.0.0.1:{}/items/{n}", server.secure)).collect();
    let place = Place::new();
    let ca = place.file("ca.pem", server.identity.ca_pem());
    for (lines, option) in [(plain, "--http2-prior-knowledge"), (secure, "--http2")] {
        let out = place.path(&format!("{option}.jsonl"));
        let file = place.file("urls.txt", &lines.join("\n"));
        let args = ["fetch", &file, "-o", out.to_str().unwrap(), option, "--cacert", &ca, "--per-host", "64"];
        gannet(args).assert_code(0);
        let rows = rows_in(&out);
        assert_eq!(rows.len(), 1000);
        for row in rows {
            assert_eq!((&row["attempts"], &row["json"]["protocol"]), (&1.into(), &"HTTP/2.0".into()), "{row}");
            assert_eq!(row["json"]["uri"], format!("/items/{}", row["index"]));
        }
    }
}

#[test]
fn get_shows_the_version_and_brings_large_bodies_both_ways() {
    let server = server();
    let ca = server.nginx.place.file("ca.pem", server.identity.ca_pem());
    let url = |path: &str| format!("https://127.0.0.1:{}{path}", server.secure);
    let got = gannet(["get", "-v", &url("/moved"), "--cacert", &ca]);
    got.assert_code(0).assert_says("< HTTP/2 200").assert_says("* https://127.0.0.1");
    let head = gannet(["get", "-i", &url("/items/1"), "--cacert", &ca]);
    assert!(head.text().starts_with("HTTP/2 200\n"), "{}", head.text());
    let old = gannet(["get", "-i", &url("/items/1"), "--cacert", &ca, "--http1.1"]);
    assert!(old.text().starts_with("HTTP/1.1 200 OK\n"), "{}", old.text());
    let out = server.nginx.place.name("got");
    gannet(["get", &url("/large"), "--cacert", &ca, "-o", &out]).assert_code(0);
    assert!(std::fs::read(&out).unwrap() == std::fs::read(server.nginx.place.name("large")).unwrap());
    let sent = gannet(["get", &url("/post"), "--cacert", &ca, "-d", &format!("@{out}")]);
    assert_eq!(sent.text(), "16000000");
}

#[test]
fn only_one_version_can_be_asked_for() {
    let origin = Origin::start_blocking().unwrap();
    let url = origin.url("/get");
    gannet(["get", &url, "--http1.1", "--http2-prior-knowledge"]).assert_code(2);
    gannet(["get", "-v", &url, "--http2-prior-knowledge"]).assert_code(0).assert_says("< HTTP/2 200");
    gannet(["get", "-v", &url, "--http2"]).assert_code(0).assert_says("< HTTP/1.1 200 OK");
}

#[test]
fn a_silent_server_is_asked_by_a_ping_whether_it_is_still_there() {
    let hello = [frames::settings(&[]), frames::frame(frames::SETTINGS, 1, 0, &[])].concat();
    let begun = || Script::new().expect_frame(frames::SETTINGS).send(&hello).expect_frame(frames::HEADERS);
    // The ping is answered, and then the request.
    let pong = frames::frame(frames::PING, 1, 0, &[0x3b, 0x7c, 0xdb, 0x7a, 0x0b, 0x87, 0x16, 0xb4]);
    let slow = begun().expect_frame(frames::PING).send(pong).send(frames::answer(1, "200", "ok")).hang();
    let server = ScriptedServer::start_blocking([slow]).unwrap();
    let asking = ["--http2-prior-knowledge", "--http2-ping-interval", "50ms"];
    let got = gannet([&["get", &server.url("/")], &asking[..]].concat());
    assert_eq!(got.text(), "ok");
    got.assert_code(0);
    // One that is asked and ends.
    let (server, place) =
        (ScriptedServer::start_blocking([begun().expect_frame(frames::PING).close()]).unwrap(), Place::new());
    let (file, out) = (place.file("urls.txt", &server.url("/")), place.path("out.jsonl"));
    let more = ["-o", out.to_str().unwrap(), "--retries", "0"];
    gannet([&["fetch", &file], &asking[..], &more[..]].concat()).assert_code(3);
    assert_eq!(rows_in(&out)[0]["error"]["kind"], "connection", "{:?}", rows_in(&out));
    gannet(["get", &server.url("/"), "--http1.1", "--http2-ping-interval", "1"]).assert_code(2);
    // One that says nothing more.
    let server = ScriptedServer::start_blocking([begun().expect_frame(frames::PING).hang()]).unwrap();
    let bounded = [&asking[..], &["--http2-ping-timeout", "100ms"]].concat();
    gannet([&["get", &server.url("/")], &bounded[..]].concat()).assert_code(3).assert_says("ping");
    gannet(["get", &server.url("/"), "--http2-ping-timeout", "1"]).assert_code(2).assert_says("--http2-ping-interval");
}
