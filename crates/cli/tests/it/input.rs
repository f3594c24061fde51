//! Every form of input, and what of it cannot be read.

use gannet_origin::{Origin, Proxy};
use serde_json::{Value, json};

use crate::gannet::{Place, gannet, with_stdin};

fn sorted(mut rows: Vec<Value>) -> Vec<Value> {
    rows.sort_by_key(|row| row["index"].as_u64().unwrap());
    rows
}

fn urls(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["url"].as_str().unwrap()).collect()
}

#[test]
fn urls_of_the_command_line_expand() {
    let origin = Origin::start_blocking().unwrap();
    let ran = gannet(["fetch", &origin.url("/items/{1..2}?c={a,b}"), &origin.url("/json")]).assert_code(0);
    let rows = sorted(ran.rows());
    let wanted = ["/items/1?c=a", "/items/1?c=b", "/items/2?c=a", "/items/2?c=b", "/json"].map(|path| origin.url(path));
    assert_eq!(urls(&rows), wanted);
    for (index, row) in rows.iter().enumerate() {
        assert_eq!(
            (row["index"].as_u64(), &row["ok"], &row["status"]),
            (Some(index as u64), &json!(true), &json!(200))
        );
    }
    assert_eq!(rows[0]["json"]["id"], 1);
}

#[test]
fn a_text_file_gives_a_row_for_every_line_even_one_that_is_no_url() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let text = format!("# a comment\n\n{}\nnot a url\r\n{}\n", origin.url("/items/1"), origin.url("/items/2"));
    let ran = gannet(["fetch", &place.file("urls.txt", &text)]).assert_code(3);
    let rows = sorted(ran.rows());
    assert_eq!(rows.len(), 3);
    assert_eq!((&rows[0]["ok"], &rows[2]["ok"]), (&json!(true), &json!(true)));
    assert_eq!(rows[1]["error"]["kind"], "url");
    assert_eq!((&rows[1]["line"], &rows[1]["attempts"]), (&json!(4), &json!(0)));
}

#[test]
fn a_jsonl_file_gives_requests_and_a_broken_line_is_a_row() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let lines = [
        json!({ "id": "u-1", "url": origin.url("/anything"), "method": "PUT", "params": { "a": 1 }, "json": { "n": 2 } })
            .to_string(),
        json!({ "url": origin.url("/anything"), "headers": { "x-one": "1" }, "form": { "f": "g" } }).to_string(),
        "{broken".to_owned(),
        json!({ "url": origin.url("/anything"), "headers": { "x-bad": "a\r\nb: c" } }).to_string(),
        json!({ "url": origin.url("/items/1"), "timeout": 5 }).to_string(),
    ];
    let ran = gannet(["fetch", &place.file("rows.jsonl", &(lines.join("\n") + "\n"))]).assert_code(3);
    let rows = sorted(ran.rows());
    assert_eq!(rows.len(), 5);
    assert_eq!((&rows[0]["id"], &rows[0]["json"]["method"]), (&json!("u-1"), &json!("PUT")));
    assert_eq!((&rows[0]["json"]["args"]["a"], &rows[0]["json"]["json"]["n"]), (&json!("1"), &json!(2)));
    assert_eq!((&rows[1]["json"]["method"], &rows[1]["json"]["form"]["f"]), (&json!("POST"), &json!("g")));
    assert_eq!((&rows[2]["error"]["kind"], &rows[2]["line"]), (&json!("input"), &json!(3)));
    assert_eq!(rows[3]["ok"], false, "a header with a line break must not be sent");
    assert_eq!(rows[4]["ok"], true);
}

#[test]
fn a_row_can_name_its_own_proxy_unless_rows_are_strangers() {
    let origin = Origin::start_blocking().unwrap();
    let (own, common) = (Proxy::start_blocking().unwrap(), Proxy::start_blocking().unwrap());
    let place = Place::new();
    let lines = [
        json!({ "url": origin.url("/items/1"), "proxy": own.url("http") }).to_string(),
        json!({ "url": origin.url("/items/2"), "proxy": own.url("socks5") }).to_string(),
        json!({ "url": origin.url("/items/3"), "proxy": "" }).to_string(),
        json!({ "url": origin.url("/items/4") }).to_string(),
        json!({ "url": origin.url("/items/5"), "proxy": "gopher://me:sesame@x" }).to_string(),
    ];
    let file = place.file("rows.jsonl", &(lines.join("\n") + "\n"));
    let rows = sorted(gannet(["fetch", &file, "-x", &common.url("http")]).assert_code(3).rows());
    assert!(rows[..4].iter().all(|row| row["ok"] == true), "{rows:?}");
    assert_eq!((own.asked().len(), common.asked().len()), (2, 1));
    assert_eq!(rows[4]["error"]["kind"], "input");
    assert!(!rows[4].to_string().contains("sesame"), "{}", rows[4]);
    let guarded = ["fetch", &file, "--deny-private", "--allow-private", "127.0.0.0/8"];
    let rows = sorted(gannet(guarded).assert_code(3).rows());
    let ok: Vec<_> = rows.iter().map(|row| row["ok"] == true).collect();
    assert_eq!(ok, [false, false, false, true, false]);
    assert!(rows[1]["error"]["message"].as_str().unwrap().contains("proxy"), "{}", rows[1]);
    assert_eq!(own.asked().len(), 2);
}

#[test]
fn a_csv_file_fills_a_template_percent_encoded() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let csv = place.file("users.csv", "id,name\n1,Ada\n\"a/b ?\",\"Grace \"\"H\"\"\"\n");
    let template = origin.url("/anything/{id}");
    let ran = gannet(["fetch", &csv, "--url", &template, "--json", r#"{"name":"{name}"}"#]).assert_code(0);
    let rows = sorted(ran.rows());
    assert_eq!(urls(&rows), [origin.url("/anything/1"), origin.url("/anything/a%2Fb%20%3F")]);
    assert_eq!(rows[1]["json"]["json"]["name"], "Grace \"H\"");
}

#[test]
fn a_template_by_which_all_rows_ask_the_same_is_refused_before_anything_is_sent() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let csv = place.file("users.csv", "id,name\n1,Ada\n2,Grace\n");
    let fetch = |url: &str, more: &[&str]| gannet([&["fetch", &csv, "--url", &origin.url(url)], more].concat());
    fetch("/items/1", &[]).assert_code(2).assert_says("names no column of the rows");
    fetch("/items/{id", &[]).assert_code(2).assert_says("\"{id\" at character ");
    assert_eq!(origin.stats().requests, 0);
    let rows = fetch("/post", &["--json", r#"{"id":{id}}"#]).assert_code(0).rows();
    assert_eq!(rows.len(), 2);
}

#[test]
fn stdin_is_an_input_and_its_format_can_be_said() {
    let origin = Origin::start_blocking().unwrap();
    let ran = with_stdin(["fetch", "-"], &format!("{}\n", origin.url("/items/1"))).assert_code(0);
    assert_eq!(ran.row()["json"]["id"], 1);
    let line = json!({ "id": "x", "url": origin.url("/items/2") }).to_string() + "\n";
    let ran = with_stdin(["fetch", "-", "--input-format", "jsonl"], &line).assert_code(0);
    assert_eq!(ran.row()["id"], "x");
}

#[test]
fn relative_urls_are_resolved_and_only_the_first_rows_are_taken() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let file = place.file("paths.txt", "/items/1\n/items/2\n/items/3\n");
    let ran = gannet(["fetch", &file, "--base-url", &origin.url("/"), "--first", "2"]).assert_code(0);
    let mut asked: Vec<_> = ran.rows().iter().map(|row| row["json"]["id"].as_u64().unwrap()).collect();
    asked.sort_unstable();
    assert_eq!(asked, [1, 2]);
    assert_eq!(origin.stats().requests, 2);
}

#[test]
fn the_request_options_reach_every_row() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let secrets = place.file("secret", "X-Token: hunter2\n");
    let args = [
        "-X",
        "PATCH",
        "-H",
        "X-One: 1",
        "-H",
        &format!("@{secrets}"),
        "--query",
        "q=a b",
        "--cookie",
        "c=d",
        "-u",
        "me:pw",
        "-d",
        "hello",
        "-H",
        "Content-Type: text/plain",
    ];
    let url = origin.url("/anything");
    let ran = gannet([&["fetch", url.as_str()], &args[..]].concat()).assert_code(0);
    let echo = &ran.row()["json"];
    assert_eq!((&echo["method"], &echo["args"]["q"], &echo["data"]), (&json!("PATCH"), &json!("a b"), &json!("hello")));
    let headers: serde_json::Map<String, Value> =
        echo["headers"].as_object().unwrap().iter().map(|(k, v)| (k.to_lowercase(), v.clone())).collect();
    assert_eq!(
        (&headers["x-one"], &headers["x-token"], &headers["cookie"]),
        (&json!("1"), &json!("hunter2"), &json!("c=d"))
    );
    assert_eq!(headers["authorization"], "Basic bWU6cHc=");
}

#[test]
fn an_input_that_cannot_be_read_is_told_and_leaves_no_output() {
    let place = Place::new();
    let out = place.name("rows.jsonl");
    let missing = place.name("missing.txt");
    gannet(["fetch", &missing, "-o", &out]).assert_code(1).assert_says("missing.txt");
    assert!(!place.path("rows.jsonl").exists());
    let dir = place.name("dir.txt");
    std::fs::create_dir(&dir).unwrap();
    gannet(["fetch", &dir]).assert_code(1).assert_says("dir.txt");
}

#[test]
fn no_rows_at_all_is_a_success() {
    let ran = with_stdin(["fetch", "-"], "# nothing\n").assert_code(0).assert_says("rows      0");
    assert!(ran.out.is_empty());
}
