//! Command lines as curl's users write them.

use gannet_origin::Origin;
use gannet_origin::script::{Script, ScriptedServer};
use serde_json::{Value, json};

use crate::gannet::{Place, gannet};

fn serve(answers: impl IntoIterator<Item = &'static str>) -> ScriptedServer {
    let scripts = answers.into_iter().map(|text| Script::new().expect_head().send(text).close());
    ScriptedServer::start_blocking(scripts).unwrap()
}

const MOVED: &str = "HTTP/1.1 302 Found\r\nlocation: /b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

#[test]
fn a_part_of_a_body_is_asked_for() {
    const PART: &str = "HTTP/1.1 206 Partial Content\r\netag: \"v1\"\r\ncontent-range: bytes 2-5/11\r\ncontent-length: 4\r\nconnection: close\r\n\r\n";
    let whole = || Script::new().expect_head().send(format!("{PART}llo ")).close();
    let torn = Script::new().expect_head().send(format!("{PART}ll")).close();
    let server = ScriptedServer::start_blocking([whole(), whole(), torn, whole()]).unwrap();
    let (url, place) = (server.url("/a"), Place::new());
    assert_eq!(gannet(["get", "-r", "2-5", &url]).assert_code(0).text(), "llo ");
    let file = place.name("f");
    let to_file = ["get", "--range", "-9", "--retry", "2", "-o", &file, &url];
    gannet(to_file).assert_code(0);
    assert_eq!(std::fs::read(&file).unwrap(), b"llo ");
    gannet(to_file).assert_code(3);
    let sent = server.received().into_iter().map(|sent| String::from_utf8(sent).unwrap()).collect::<Vec<_>>();
    assert!(sent[0].contains("range: bytes=2-5\r\n") && sent[1].contains("range: bytes=-9\r\n"), "{sent:?}");
    assert!(sent[0].contains("accept-encoding: identity\r\n"), "{sent:?}");
    // The beginning of a part is not the beginning of the file.
    std::fs::remove_file(&file).unwrap();
    gannet(["get", "-o", &file, "-C", "-", &url]);
    let asked = String::from_utf8(server.received().remove(3)).unwrap();
    assert!(!asked.contains("range:"), "{asked}");
    for args in [&["-C", "-", "-o", &file][..], &["-O"], &["-J"]] {
        gannet([&["get", "-r", "0-9", &url], args].concat()).assert_code(2).assert_says("cannot be used with");
    }
    gannet(["get", "-r", "5", &url]).assert_code(2).assert_says("500-");
}

/// What arrived of a command line with the fields of it.
fn echo(args: &[&str]) -> Value {
    let ran = gannet(args).assert_code(0);
    if args[0] == "fetch" { ran.row()["json"].clone() } else { serde_json::from_slice(&ran.out).unwrap() }
}

const EMPTY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// The fields of this name that a command line sends, as they are on the wire.
fn sent(name: &str, args: &[&str]) -> Vec<String> {
    let server = serve([EMPTY]);
    gannet([args, &[&server.url("/")]].concat()).assert_code(0);
    let sent = String::from_utf8(server.received().remove(0)).unwrap();
    let fields = sent.lines().filter_map(|line| line.split_once(": "));
    fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).collect()
}

#[test]
fn who_asks_is_told_once_and_by_the_field_that_was_written_out() {
    for command in ["get", "fetch"] {
        let given = [command, "-H", "Authorization: Mine x"];
        for other in [&["-u", "a:b"][..], &["--oauth2-bearer", "token"]] {
            assert_eq!(sent("authorization", &[&given, other].concat()), ["Mine x"], "{command} {other:?}");
        }
        assert_eq!(sent("authorization", &[command, "-u", "a:b"]), ["Basic YTpi"]);
        let cookies = [command, "-H", "Cookie: a=1", "-b", "b=2", "-b", "c=3"];
        assert_eq!(sent("cookie", &cookies), ["a=1; b=2; c=3"]);
    }
}

#[test]
fn what_is_sent_as_data_is_a_form_unless_its_type_is_given_or_left_out() {
    const FORM: &str = "application/x-www-form-urlencoded";
    let (place, out) = (Place::new(), "-");
    for command in ["get", "fetch"] {
        let of = |args: &[&str]| sent("content-type", &[&[command, "-o", out], args].concat());
        for data in ["-d", "--data", "--data-raw", "--data-binary", "--data-ascii"] {
            assert_eq!(of(&[data, "a=1"]), [FORM], "{command} {data}");
        }
        assert_eq!(of(&["-d", "a", "-H", "content-type: text/x"]), ["text/x"]);
        let file = format!("@{}", place.file("fields", "Content-Type: text/y\n"));
        assert_eq!(of(&["-d", "a", "-H", &file]), ["text/y"]);
        assert_eq!(of(&["-d", "a", "-H", "Content-Type:"]), [""; 0]);
        assert_eq!(of(&["--json", "{}"]), ["application/json"]);
        assert_eq!(of(&["--data-urlencode", "a=b c"]), [FORM]);
        assert_eq!(of(&["-H", "Content-Type:", "-H", "Expect:"]), [""; 0]);
    }
    let file = place.file("f", "text");
    assert_eq!(sent("content-type", &["get", "-T", &file]), [""; 0]);
    // Rows say themselves what theirs is.
    let origin = Origin::start_blocking().unwrap();
    let url = origin.url("/anything");
    let lines = [r#""json":{}"#, r#""data":"x""#, r#""method":"PUT""#].map(|own| format!(r#"{{"url":"{url}",{own}}}"#));
    let rows = place.file("rows.jsonl", &lines.join("\n"));
    let types = |args: &[&str]| {
        let rows = gannet([&["fetch", "--ordered", &rows], args].concat()).assert_code(0).rows();
        rows.iter().map(|row| row["json"]["headers"]["Content-Type"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(types(&[]), [json!("application/json"), Value::Null, Value::Null]);
    assert_eq!(types(&["-d", "n={index}"]), [json!("application/json"), Value::Null, json!(FORM)]);
}

#[test]
fn a_command_line_that_a_browser_copied_sends_what_it_says() {
    let (origin, place) = (Origin::start_blocking().unwrap(), Place::new());
    let url = origin.url("/anything");
    for command in ["get", "fetch"] {
        let seen = echo(&[command, &url, "--data-raw", "@not-a-file", "-H", "content-type: text/plain"]);
        assert_eq!((&seen["method"], &seen["data"]), (&json!("POST"), &json!("@not-a-file")));
        let seen = echo(&[command, &url, "--data-raw", "c=3", "-d", "a=1", "--data-binary", "b=2"]);
        assert_eq!(seen["form"], json!({ "a": "1", "b": "2", "c": "3" }));
        let seen = echo(&[command, &url, "--data-urlencode", "a=b&c"]);
        assert_eq!(seen["form"], json!({ "a": "b&c" }));
        gannet([command, &url, "--data-raw", "a", "--json", "{}"]).assert_code(2).assert_says("cannot be used with");
    }
    // What a run sent is kept as a digest alone, and it does not go on with other data.
    let (urls, out) = (place.file("urls.txt", &url), place.name("rows.jsonl"));
    let run = |data: &str| gannet(["fetch", &urls, "-o", &out, "--data-raw", data]);
    run("k=sesame").assert_code(0);
    assert!(!std::fs::read(place.path("rows.jsonl.state")).unwrap().windows(6).any(|bytes| bytes == b"sesame"));
    run("k=other").assert_code(2).assert_says("--data-raw");
}

#[test]
fn data_goes_into_the_query_where_that_is_asked_for() {
    let origin = Origin::start_blocking().unwrap();
    let url = origin.url("/anything?a=1");
    let data = ["-d", "b=2", "--data-raw", "c=@3#x y", "--query", "d=4"];
    let seen = echo(&[&["get", "-G", &url], &data[..]].concat());
    assert_eq!((&seen["method"], &seen["data"]), (&json!("GET"), &json!("")));
    assert_eq!(seen["args"], json!({ "a": "1", "b": "2", "c": "@3#x y", "d": "4" }));
    assert!(!seen["headers"].as_object().unwrap().contains_key("Content-Type"), "{seen}");
    let seen = echo(&["get", "--get", &url, "--data-urlencode", "q=x & y", "-X", "DELETE"]);
    assert_eq!((&seen["method"], &seen["args"]["q"]), (&json!("DELETE"), &json!("x & y")));
    for args in [&["--json", "{}"][..], &["-T", "-"], &["-F", "a=b"]] {
        gannet([&["get", "-G", &url], args].concat()).assert_code(2).assert_says("cannot be used with");
    }
    gannet(["get", "-G", "-d", "a", "no url"]).assert_code(2).assert_says("not a URL");
}

#[test]
fn what_frames_a_body_is_not_the_users_to_write() {
    let place = Place::new();
    let file = format!("@{}", place.file("fields", "X-A: b\nContent-Length: 3\n"));
    for command in ["get", "fetch"] {
        for field in ["Transfer-Encoding: chunked", "content-length: 3", "Transfer-Encoding:"] {
            gannet([command, "http://127.0.0.1:9/", "-H", field]).assert_code(2).assert_says("framed");
        }
        gannet([command, "http://127.0.0.1:9/", "-H", &file])
            .assert_code(2)
            .assert_says("line 2")
            .assert_says("framed");
    }
    for args in [["get", "-F", "a=b"], ["fetch", "--json", "{}"]] {
        gannet([&args[..], &["-H", "Content-Type:", "http://127.0.0.1:9/"]].concat())
            .assert_code(2)
            .assert_says("Content-Type");
    }
}

#[test]
fn curls_names_of_options_are_understood() {
    let origin = Origin::start_blocking().unwrap();
    let url = origin.url("/anything");
    let shared = ["-LSN", "--compressed", "--request", "PUT", "-m", "9", "--connect-timeout", "9", "--max-redirs", "3"];
    for command in [&["get", "-s", "--retry", "1"][..], &["fetch", "-s", "--retry", "1", "--max-filesize", "1M"]] {
        assert_eq!(echo(&[command, &shared, &[&url]].concat())["method"], "PUT");
    }
    gannet(["get", "--max-time", "0.2", &origin.url("/hang")]).assert_code(3).assert_says("timeout.total");
    gannet(["get", "--max-redirs", "1", &origin.url("/redirect/2")]).assert_code(3).assert_says("redirect");
    let quiet = gannet(["fetch", "--silent", &url]).assert_code(0);
    assert_eq!(quiet.err, "");
    for contrary in [["-L", "--no-follow"], ["--compressed", "--no-decode"]] {
        gannet([&["get", url.as_str()], &contrary[..]].concat()).assert_code(2).assert_says("cannot be used with");
    }
}

#[test]
fn a_user_agent_and_a_referer_have_options_of_their_own() {
    let origin = Origin::start_blocking().unwrap();
    let url = origin.url("/headers");
    for command in ["get", "fetch"] {
        let seen = |args: &[&str]| echo(&[&[command, url.as_str()], args].concat())["headers"].clone();
        let given = seen(&["-A", "mine/1", "-e", "http://from.test/"]);
        assert_eq!((&given["User-Agent"], &given["Referer"]), (&json!("mine/1"), &json!("http://from.test/")));
        let by_hand = seen(&["--user-agent", "mine/1", "-H", "User-Agent: other", "--referer", ""]);
        assert_eq!((&by_hand["User-Agent"], &by_hand["Referer"]), (&json!("other"), &Value::Null));
        assert_eq!(seen(&["-A", ""])["User-Agent"], Value::Null);
        gannet([command, &url, "-A", "a\r\nb: c"]).assert_code(2).assert_says("--user-agent");
        gannet([command, &url, "-e", "http://from.test/;auto"]).assert_code(2).assert_says(";auto");
    }
}

#[test]
fn the_head_alone_is_asked_for_and_written() {
    let head = "HTTP/1.1 200 OK\r\nX-A: b\r\ncontent-length: 5\r\nconnection: close\r\n\r\n";
    let (server, place) = (serve([MOVED, head, head]), Place::new());
    let ran = gannet(["get", "-I", &server.url("/a")]).assert_code(0);
    assert_eq!(ran.text(), "HTTP/1.1 200 OK\nX-A: b\ncontent-length: 5\nconnection: close\n\n");
    gannet(["get", "--head", "-o", &place.name("head"), &server.url("/a")]).assert_code(0);
    assert_eq!(std::fs::read_to_string(place.path("head")).unwrap(), ran.text());
    assert!(server.received().iter().all(|sent| sent.starts_with(b"HEAD ")));
    for args in [&["-d", "x"][..], &["-X", "PUT"], &["--events"], &["-T", "-"]] {
        gannet([&["get", "-I", "http://127.0.0.1:9/"], args].concat())
            .assert_code(2)
            .assert_says("cannot be used with");
    }
    gannet(["get", "-I", "-O", "http://127.0.0.1:9/x"]).assert_code(2).assert_says("-I");
}

#[test]
fn a_body_of_a_bad_status_is_withheld_where_that_is_asked_for() {
    const BAD: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\nconnection: close\r\n\r\npage";
    const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\ngood";
    let place = Place::new();
    let file = place.file("f", "before");
    let server = serve([BAD, BAD, BAD, BAD, BAD, GOOD]);
    let get = |args: &[&str]| gannet([&["get", &server.url("/")], args].concat());
    let ran = get(&["-f", "-w", "%{exitcode} %{errormsg}"]).assert_code(3).assert_says("404 Not Found");
    assert_eq!(ran.text(), "3 404 Not Found");
    get(&["--fail", "-o", &file]).assert_code(3);
    get(&["--fail", "-i", "-o", &file]).assert_code(3);
    assert_eq!(std::fs::read(&file).unwrap(), b"before");
    let head = get(&["-fi"]).assert_code(3);
    assert_eq!(head.text(), "HTTP/1.1 404 Not Found\ncontent-length: 4\nconnection: close\n\n");
    assert_eq!(get(&["--fail-with-body"]).assert_code(3).text(), "page");
    assert_eq!(get(&["-f"]).assert_code(0).text(), "good");
    get(&["-f", "--fail-with-body"]).assert_code(2);
}

#[test]
fn the_last_head_goes_to_a_place_of_its_own() {
    const OK: &str = "HTTP/1.1 200 Fine\r\nX-Odd:  a \r\ncontent-length: 4\r\nconnection: close\r\n\r\nbody";
    const SHOWN: &str = "HTTP/1.1 200 Fine\nX-Odd: a\ncontent-length: 4\nconnection: close\n\n";
    let place = Place::new();
    let (head, folder) = (place.name("head"), place.name(""));
    let server = serve([OK, MOVED, OK, OK, OK, OK, OK, NOT_THERE, TORN]);
    let url = server.url("/a");
    let head_of = |args: &[&str], code: i32| {
        let ran = gannet([&["get", &url, "-D", &head], args].concat()).assert_code(code);
        (ran.text().to_owned(), std::fs::read_to_string(&head).unwrap())
    };
    assert_eq!(gannet(["get", "-i", &url]).assert_code(0).text(), [SHOWN, "body"].concat());
    assert_eq!(head_of(&[], 0), ("body".to_owned(), SHOWN.to_owned()));
    let both = gannet(["get", "--dump-header", "-", &url]).assert_code(0);
    assert_eq!(both.text(), [SHOWN, "body"].concat());
    for (args, file) in [
        (&["-O", "--output-dir", &folder][..], "a"),
        (&["-J", "--output-dir", &place.name("j")], "j/a"),
        (&["-o", &place.name("c"), "-C", "-", "--retry", "1"], "c"),
    ] {
        std::fs::create_dir_all(place.path("j")).unwrap();
        assert_eq!(head_of(args, 0), (String::new(), SHOWN.to_owned()), "{args:?}");
        assert_eq!(std::fs::read(place.path(file)).unwrap(), b"body");
    }
    let file = place.name("x");
    assert!(head_of(&["-o", &file, "-C", "-"], 3).1.starts_with("HTTP/1.1 404 Not Found\n"));
    assert!(head_of(&["-o", &file, "-C", "-"], 3).1.starts_with("HTTP/1.1 200 OK\n"));
    let before = server.connections();
    gannet(["get", &url, "-D", &place.name("no/head")]).assert_code(1).assert_says("no/head");
    assert_eq!(server.connections(), before, "nothing is sent");
}

const NOT_THERE: &str = "HTTP/1.1 404 Not Found\r\nX-Why: gone\r\ncontent-type: text/plain\r\ncontent-length: 4\r\nconnection: close\r\n\r\npage";
const TORN: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/a\r\ncontent-length: 9\r\nconnection: close\r\n\r\npart";
