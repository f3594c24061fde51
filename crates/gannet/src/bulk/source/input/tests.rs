use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use gannet_core::Headers;
use gannet_core::timeout::Timeouts;
use http::Method;
use proptest::prelude::*;
use tempfile::TempDir;
use url::Url;

use super::*;
use crate::bulk::source::{BodyTemplate, RequestDefaults};

/// A file of this name and content; it goes with the directory.
pub(in crate::bulk::source) fn file(dir: &TempDir, name: &str, content: impl AsRef<[u8]>) -> Input {
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    Input::File(path)
}

pub(in crate::bulk::source) fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn template(url: &str) -> InputOptions {
    InputOptions { defaults: RequestDefaults { url: Some(url.into()), ..Default::default() }, ..Default::default() }
}

pub(in crate::bulk::source) fn next(source: &mut InputSource) -> Option<Row> {
    block_on(std::future::poll_fn(|cx| source.poll_next(cx))).unwrap()
}

pub(in crate::bulk::source) fn all(source: &mut InputSource) -> Vec<Row> {
    std::iter::from_fn(|| next(source)).collect()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn shown(row: &Row) -> String {
    let body = row.request.as_ref().ok().map(|request| request.body.as_bytes().map(<[u8]>::to_vec));
    format!("{row:?} {body:?}")
}

/// All rows, each of which was recalled and came out the same: in order, and backwards.
pub(in crate::bulk::source) fn rows_of(inputs: Vec<Input>, options: InputOptions) -> Vec<Row> {
    let mut source = InputSource::open(inputs, options).unwrap();
    let rows = all(&mut source);
    for row in rows.iter().chain(rows.iter().rev()) {
        assert_eq!(shown(&source.recall(row.index, row.place).unwrap()), shown(row));
    }
    assert_eq!(source.total(), Some(rows.len() as u64));
    assert!(rows.iter().enumerate().all(|(at, row)| row.index == at as u64));
    rows
}

pub(in crate::bulk::source) fn rows(name: &str, content: impl AsRef<[u8]>, options: InputOptions) -> Vec<Row> {
    let dir = dir();
    let input = file(&dir, name, content);
    rows_of(vec![input], options)
}

/// Line, id, URL, and the error as `kind: message`.
pub(in crate::bulk::source) fn brief(rows: &[Row]) -> Vec<(u64, Option<&str>, &str, String)> {
    let error = |row: &Row| row.request.as_ref().err().map(|e| format!("{}: {}", e.kind(), e.message()));
    rows.iter()
        .map(|row| (row.line.unwrap_or(0), row.id.as_deref(), &*row.url, error(row).unwrap_or_default()))
        .collect()
}

pub(in crate::bulk::source) fn refusal(inputs: Vec<Input>, options: InputOptions) -> String {
    let error = InputSource::open(inputs, options).err().expect("it was opened");
    assert_eq!(error.kind(), ErrorKind::Input);
    error.message()
}

fn request(row: &Row) -> &crate::Request {
    row.request.as_ref().unwrap()
}

fn body(row: &Row) -> &str {
    std::str::from_utf8(request(row).body.as_bytes().unwrap()).unwrap()
}

#[test]
fn text_lines_are_urls_and_odd_ones_are_rows_too() {
    let content = b"\xef\xbb\xbfhttp://h/a\r\n\n  # note\n\t http://h/b?x#frag \nnot a url\nhttp://h/\xff\nftp://h/\nhttp://h/last";
    let rows = rows("urls.txt", content, InputOptions::default());
    let relative = "url: not a URL: relative URL without a base; give it a scheme (https://…) or set a base URL";
    assert_eq!(
        brief(&rows),
        [
            (1, None, "http://h/a", String::new()),
            (4, None, "http://h/b?x#frag", String::new()),
            (5, None, "not a url", relative.to_owned()),
            (6, None, "http://h/\u{fffd}", "input: the line is not UTF-8".to_owned()),
            (7, None, "ftp://h/", "url: the scheme \"ftp\" is not supported; use http or https".to_owned()),
            (8, None, "http://h/last", String::new()),
        ]
    );
    assert_eq!(*request(&rows[0]).method(), Method::GET);
}

#[test]
fn relative_urls_are_resolved_and_shown_so() {
    let base = Some(Url::parse("http://base/v1/").unwrap());
    let rows = rows("urls", "users/7\n/root\nhttp://other/x\n", InputOptions { base, ..Default::default() });
    let urls: Vec<_> = rows.iter().map(|row| &*row.url).collect();
    assert_eq!(urls, ["http://base/v1/users/7", "http://base/root", "http://other/x"]);
}

#[test]
fn an_empty_file_has_no_rows() {
    assert!(rows("a.txt", "", InputOptions::default()).is_empty());
    assert!(rows("a.txt", "\u{feff}\n\r\n# only notes", InputOptions::default()).is_empty());
    assert!(rows("a.jsonl", "\n\n", InputOptions::default()).is_empty());
    assert!(rows("a.csv", "url\n", InputOptions::default()).is_empty());
}

#[test]
fn a_line_over_its_bound_is_one_row_that_cannot_be_read() {
    let long = format!("http://h/{}", "x".repeat(3 << 20));
    let edge = format!("http://h/{}", "y".repeat(text::LONGEST_URL - 9));
    let over = format!("{edge}y");
    let content = format!("http://h/1\n{long}\nhttp://h/2\n  #{long}\n{edge}\n{over}\n{long}");
    let rows = rows("urls.txt", content, InputOptions::default());
    let why = "input: the line is longer than 1 MiB".to_owned();
    assert_eq!(
        brief(&rows),
        [
            (1, None, "http://h/1", String::new()),
            (2, None, "", why.clone()),
            (3, None, "http://h/2", String::new()),
            (5, None, &*edge, String::new()),
            (6, None, "", why.clone()),
            (7, None, "", why),
        ]
    );
}

#[test]
fn a_line_too_long_is_skipped_and_not_held() {
    let endless = io::repeat(b'x').take(40 << 20).chain(&b"\nhttp://h/\n"[..]);
    let mut source = InputSource::open_with(vec![Input::Stdin], InputOptions::default(), endless).unwrap();
    assert_eq!(next(&mut source).unwrap().request.unwrap_err().kind(), ErrorKind::Input);
    let row = next(&mut source).unwrap();
    assert_eq!((row.line, &*row.url), (Some(2), "http://h/"));
}

#[test]
fn jsonl_lines_are_requests() {
    let content = r#"{"url":"http://h/plain"}
{"id":"a","url":"http://h/1","method":"PATCH","headers":{"X-A":"1","X-B":["2","3"]},"params":{"q":"a b","n":[1,true],"no":null},"json":{"big":123456789012345678901234567890, "x":[1]}}

{"id":17,"url":"http://h/2","form":{"a":"ä &","b":[1,2]},"timeout":2.5}
{"id":null,"url":"http://h/3","data":"raw","json":null}
{"url":"http://h/4","body_base64":"aGkh/w"}
"#;
    let timeouts = Timeouts { read: None, ..Timeouts::default() };
    let defaults = RequestDefaults { timeouts, ..Default::default() };
    let rows = rows("r.jsonl", content, InputOptions { defaults, ..Default::default() });
    let ids: Vec<_> = rows.iter().map(|row| (row.line.unwrap(), row.id.as_deref(), &*row.url)).collect();
    assert_eq!(
        ids,
        [
            (1, None, "http://h/plain"),
            (2, Some("a"), "http://h/1?q=a+b&n=1&n=true"),
            (4, Some("17"), "http://h/2"),
            (5, None, "http://h/3"),
            (6, None, "http://h/4"),
        ]
    );
    let methods: Vec<_> = rows.iter().map(|row| request(row).method.as_str()).collect();
    assert_eq!(methods, ["GET", "PATCH", "POST", "POST", "POST"]);
    assert_eq!(body(&rows[1]), r#"{"big":123456789012345678901234567890, "x":[1]}"#);
    let headers: Vec<_> = request(&rows[1]).headers.iter().collect();
    assert_eq!(headers, [("X-A", &b"1"[..]), ("X-B", b"2"), ("X-B", b"3"), ("content-type", b"application/json")]);
    assert_eq!(body(&rows[2]), "a=%C3%A4+%26&b=1&b=2");
    assert_eq!(request(&rows[2]).headers.get("content-type"), Some("application/x-www-form-urlencoded"));
    let own = request(&rows[2]).own.timeouts.as_deref().unwrap();
    assert_eq!((own.total, own.read), (Some(Duration::from_millis(2500)), None));
    assert!(request(&rows[3]).headers.is_empty());
    assert_eq!(request(&rows[4]).body.as_bytes(), Some(&b"hi!\xff"[..]));
}

#[test]
fn jsonl_that_is_no_request_is_an_error_that_says_why() {
    for (line, id, url, why) in [
        ("{\"url\":\"http://h/\",\"header\":{}}", None, "http://h/", "input: not a request: unknown field `header`"),
        ("{\"id\":3,\"method\":\"GET\"}", Some("3"), "", "input: there is no \"url\""),
        ("{\"url\":\"a\",\"url\":\"b\"}", None, "", "input: not a request: duplicate field `url`"),
        ("{\"url\":7,\"id\":\"x\"}", Some("x"), "7", "input: not a request: invalid type: integer `7`"),
        ("http://h/", None, "", "input: not a request: expected value (column 1)"),
        ("{\"url\":\"http://h/\"", None, "", "input: not a request: EOF"),
        ("{\"url\":\"http://h/\"} x", None, "", "input: not a request: trailing characters"),
        ("{\"url\":\"u\",\"json\":1,\"data\":\"\"}", None, "u", "input: \"json\" and \"data\" are both given"),
        ("{\"url\":\"u\",\"timeout\":0}", None, "u", "input: \"timeout\" must be"),
        ("{\"url\":\"u\",\"timeout\":-1}", None, "u", "input: \"timeout\" must be"),
        ("{\"url\":\"u\",\"id\":[1]}", None, "u", "input: \"id\" must be"),
        ("{\"url\":\"u\",\"params\":{\"a\":{}}}", None, "u", "input: \"a\" in \"params\" must be"),
        ("{\"url\":\"u\",\"params\":{\"a\":[[1]]}}", None, "u", "input: \"a\" in \"params\" must be"),
        ("{\"url\":\"u\",\"body_base64\":\"*\"}", None, "u", "input: \"body_base64\" is not base64"),
        ("{\"url\":\"u\",\"method\":\"A B\"}", None, "u", "request: not a method"),
        ("{\"url\":\"u\",\"headers\":{\"a\":\"x\\ny\"}}", None, "u", "request: header \"a\""),
        ("{\"url\":\"http://[/\"}", None, "http://[/", "url: not a URL"),
    ] {
        let rows = rows("r.jsonl", format!("{{\"url\":\"http://h/\"}}\n{line}\n"), InputOptions::default());
        let got = brief(&rows).swap_remove(1);
        assert_eq!((got.0, got.1, got.2), (2, id, url), "{line}");
        assert!(got.3.starts_with(why), "{line}: {}", got.3);
    }
    let rows = rows("r.jsonl", b"{\"id\":1,\"url\":\"http://h/\xff\"}", InputOptions::default());
    assert_eq!(brief(&rows), [(1, Some("1"), "http://h/\u{fffd}", "input: the line is not UTF-8".to_owned())]);
}

#[test]
fn jsonl_with_a_url_template_takes_its_keys_as_data() {
    let defaults = RequestDefaults {
        url: Some("http://h/{user}/{index}".into()),
        body: BodyTemplate::Json(r#"{"u":"{user}","v":{v}}"#.into()),
        ..Default::default()
    };
    let content = "{\"user\":\"a/b\",\"id\":5,\"v\":\"5\",\"other\":{}}\n{\"user\":12345678901234567890,\"v\":{\"x\":[]}}\n{\"v\":1}\n";
    let rows = rows("r.jsonl", content, InputOptions { defaults, ..Default::default() });
    assert_eq!(
        brief(&rows),
        [
            (1, Some("5"), "http://h/a%2Fb/0", String::new()),
            (2, None, "http://h/12345678901234567890/1", String::new()),
            (3, None, "", "input: there is no \"user\"".to_owned()),
        ]
    );
    assert_eq!(body(&rows[0]), r#"{"u":"a/b","v":"5"}"#);
    assert_eq!(body(&rows[1]), r#"{"u":"12345678901234567890","v":{"x":[]}}"#);
}

#[test]
fn csv_fills_templates_row_by_row() {
    let content = "\u{feff}id,name,note\r\nu-1,\"Smith, \"\"J\"\"\",\"two\r\nlines\"\r\n\r\nu-2,ä/b,\nu-3,short\nu-4,a,b,c\nu-5,last,x";
    let mut headers = Headers::new();
    headers.append("X-Name", "n-{id}").unwrap();
    let defaults = RequestDefaults {
        url: Some("http://h/{id}/{name}".into()),
        headers,
        query: vec![("i".into(), "{index}".into())],
        body: BodyTemplate::Form(vec![("note".into(), "<{note}>".into())]),
        method: Some(Method::PUT),
        ..Default::default()
    };
    let rows = rows("u.csv", content, InputOptions { defaults, ..Default::default() });
    assert_eq!(
        brief(&rows),
        [
            (2, Some("u-1"), "http://h/u-1/Smith%2C%20%22J%22?i=0", String::new()),
            (5, Some("u-2"), "http://h/u-2/%C3%A4%2Fb?i=1", String::new()),
            (6, Some("u-3"), "", "input: 2 fields where the header has 3; there is none for \"note\"".to_owned()),
            (7, Some("u-4"), "", "input: 4 fields where the header has 3".to_owned()),
            (8, Some("u-5"), "http://h/u-5/last?i=4", String::new()),
        ]
    );
    assert_eq!(body(&rows[0]), "note=%3Ctwo%0D%0Alines%3E");
    assert_eq!(request(&rows[0]).headers.get("x-name"), Some("n-u-1"));
    assert_eq!(request(&rows[0]).method, Method::PUT);
}

#[test]
fn csv_with_a_url_column_needs_no_template() {
    let rows = rows("u.tsv", "url\tx\n http://h/a \t1\nhttp://h/\"b\"\t2\n", InputOptions::default());
    assert_eq!(brief(&rows)[0].2, "http://h/a");
    assert_eq!(brief(&rows)[1].2, "http://h/\"b\"");
}

#[test]
fn csv_fields_that_are_not_utf8_are_rows_that_cannot_be_read() {
    let rows = rows("u.csv", b"id,v\n1,a\xff\n\xef\xbb\xbf2,b\n3\xc3,\xa9\n", template("http://h/{v}"));
    let got = brief(&rows);
    assert_eq!((got[0].1, &*got[0].3), (Some("1"), "input: the column \"v\" is not UTF-8"));
    assert_eq!((got[1].1, got[1].2), (Some("\u{feff}2"), "http://h/b"));
    assert_eq!((got[2].0, &*got[2].3), (4, "input: the column \"id\" is not UTF-8"));
}

#[test]
fn a_csv_record_over_its_bound_is_one_row_that_cannot_be_read() {
    let long = "x".repeat(17 << 20);
    let content = format!("v\na\n{long}\nb\n\"{long}\n{long}\"\n{}\nc\n", ",".repeat(70_000));
    let rows = rows("u.csv", content, template("http://h/{v}"));
    let got = brief(&rows);
    let lines: Vec<_> = got.iter().map(|row| (row.0, row.2)).collect();
    assert_eq!(lines, [(2, "http://h/a"), (3, ""), (4, "http://h/b"), (5, ""), (7, ""), (8, "http://h/c")]);
    assert_eq!(got[1].3, "input: the record is longer than 16 MiB");
    assert_eq!(got[4].3, "input: 70001 fields where the header has 1");
}

#[test]
fn what_is_wrong_with_an_input_is_said_when_it_is_opened() {
    let dir = dir();
    let csv = file(&dir, "u.csv", "id,name\n1,a\n");
    let refused = |input: &Input, options: InputOptions| refusal(vec![input.clone()], options);
    let none = InputOptions::default;
    assert!(refused(&csv, none()).contains("--url 'https://api.example.com/{id}'"));
    assert!(refused(&csv, template("http://h/{nam}")).contains("names {nam}, but the columns are id, name"));
    assert!(refused(&file(&dir, "twice.csv", "a,a\n"), template("http://h/{a}")).contains("\"a\" twice"));
    assert!(refused(&file(&dir, "empty.csv", ""), template("http://h/{a}")).contains("no header"));
    assert!(refused(&file(&dir, "a.txt", ""), template("http://h/{a}")).contains("only {index}, {line}, {url}"));
    assert!(refused(&file(&dir, "a.jsonl.xz", ""), none()).contains(".xz is not read"));
    assert!(refused(&file(&dir, "a.json", ""), none()).contains("JSON lines"));
    assert!(refused(&Input::File(dir.path().into()), none()).contains("directory"));
    assert!(refused(&Input::File("no/such/file".into()), none()).contains("no/such/file"));
    assert!(refusal(vec![Input::Stdin, Input::Stdin], none()).contains("once"));
    assert!(refused(&Input::Url("http://h/{0..9223372036854775808}".into()), none()).contains("counted"));
    let body = BodyTemplate::Json("{\"a\":{id}".into());
    let options = InputOptions { defaults: RequestDefaults { body, ..Default::default() }, ..none() };
    assert!(refused(&csv, options).contains("does not become JSON"));
}

#[test]
fn urls_files_and_standard_input_follow_one_another() {
    let dir = dir();
    let lines = "http://h/f1\nnope\n";
    let inputs = vec![
        Input::Url("http://h/{1..2}".into()),
        file(&dir, "a.txt", lines),
        Input::Stdin,
        file(&dir, "b.jsonl", "x\n"),
    ];
    let stdin = &b"http://h/s1\n#\n\nhttp://h/s2"[..];
    let mut source = InputSource::open_with(inputs, InputOptions::default(), stdin).unwrap();
    assert_eq!((source.total(), source.progress_bytes()), (None, None));
    let rows = all(&mut source);
    let got = brief(&rows);
    let urls: Vec<_> = got.iter().map(|row| (row.0, row.2)).collect();
    assert_eq!(
        urls,
        [
            (0, "http://h/1"),
            (0, "http://h/2"),
            (1, "http://h/f1"),
            (2, "nope"),
            (1, "http://h/s1"),
            (4, "http://h/s2"),
            (1, ""),
        ]
    );
    assert!(got[6].3.contains("(in ") && got[6].3.contains("b.jsonl"), "{}", got[6].3);
    for row in rows.iter().rev() {
        assert_eq!(shown(&source.recall(row.index, row.place).unwrap()), shown(row));
    }
    assert!(source.recall(9, 7).is_err());
}

#[test]
fn only_the_first_rows_are_taken_where_that_is_asked_for() {
    let dir = dir();
    let inputs = vec![Input::Url("http://h/{1..3}".into()), file(&dir, "a.txt", "http://h/4\nhttp://h/5\n")];
    let options = InputOptions { first: Some(4), ..Default::default() };
    assert_eq!(rows_of(inputs, options).len(), 4);
    let first = |first| InputOptions { first: Some(first), ..Default::default() };
    let total = |count| {
        InputSource::open(vec![Input::Url("http://h/{1..3}{a,b}".into())], first(count)).unwrap().total().unwrap()
    };
    assert_eq!((total(2), total(0), total(100)), (2, 0, 6));
}

#[test]
fn arguments_are_told_apart() {
    let file = |name: &str| Input::File(name.into());
    let url = |text: &str| Input::Url(text.into());
    assert_eq!(Input::from_arg("-", true), Input::Stdin);
    assert_eq!(Input::from_arg("http://h/{1..3}", false), url("http://h/{1..3}"));
    assert_eq!(Input::from_arg("{http,https}://h/", false), url("{http,https}://h/"));
    assert_eq!(Input::from_arg("users/{1..3}", false), file("users/{1..3}"));
    assert_eq!(Input::from_arg("users/{1..3}", true), url("users/{1..3}"));
    assert_eq!(Input::from_arg("src", true), file("src"));
}

#[test]
fn defaults_give_way_to_the_row() {
    let mut headers = Headers::new();
    headers.append("X-A", "default").unwrap();
    headers.append_secret("X-B", "default-{index}").unwrap();
    let defaults = RequestDefaults {
        headers,
        query: vec![("q".into(), "default".into()), ("r".into(), "{{x}}".into())],
        body: BodyTemplate::Data("default {\"a\":{}}".into()),
        ..Default::default()
    };
    let content = "{\"url\":\"http://h/?z=1\",\"headers\":{\"x-a\":\"own\"},\"params\":{\"q\":\"own\"},\"data\":\"own\"}\n{\"url\":\"http://h/\"}\n";
    let rows = rows("r.jsonl", content, InputOptions { defaults, ..Default::default() });
    assert_eq!(rows[0].url, "http://h/?z=1&q=own&r=%7Bx%7D");
    assert_eq!(rows[1].url, "http://h/?q=default&r=%7Bx%7D");
    assert_eq!((body(&rows[0]), body(&rows[1])), ("own", "default {\"a\":{}}"));
    let header = |at: usize, name| request(&rows[at]).headers.get(name).unwrap();
    assert_eq!((header(0, "x-a"), header(0, "x-b")), ("own", "default-0"));
    assert_eq!((header(1, "x-a"), header(1, "x-b")), ("default", "default-1"));
    assert!(request(&rows[1]).headers.iter_marked().any(|(name, _, secret)| name == "X-B" && secret));
}

#[test]
fn a_line_of_text_fills_templates_too() {
    let rows = rows("ids.txt", "a b\n7\n", template("http://h/{line}?n={index}"));
    assert_eq!(brief(&rows)[0].2, "http://h/a%20b?n=0");
    assert_eq!(brief(&rows)[1].2, "http://h/7?n=1");
}

#[test]
fn standard_input_is_read_no_further_than_is_asked_for() {
    struct Endless(Arc<std::sync::atomic::AtomicU64>, mpsc::Sender<()>);
    impl Read for Endless {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let line = b"http://h/x\n";
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            into[..line.len()].copy_from_slice(line);
            Ok(line.len())
        }
    }
    impl Drop for Endless {
        fn drop(&mut self) {
            let _ = self.1.send(());
        }
    }
    let reads = Arc::default();
    let (dropped, was_dropped) = mpsc::channel();
    let reader = Endless(Arc::clone(&reads), dropped);
    let mut source = InputSource::open_with(vec![Input::Stdin], InputOptions::default(), reader).unwrap();
    assert_eq!(reads.load(std::sync::atomic::Ordering::Relaxed), 0, "nothing is read before it is asked for");
    for index in 0..100 {
        assert_eq!(next(&mut source).unwrap().index, index);
        // One in hand, two waiting, one about to be sent, one in case it was just taken.
        assert!(reads.load(std::sync::atomic::Ordering::Relaxed) <= index + 5);
    }
    assert_eq!(source.recall(99, 99 * 11).unwrap().line, Some(100));
    drop(source);
    was_dropped.recv_timeout(Duration::from_secs(30)).expect("the thread ends when nobody listens");
}

#[test]
fn a_failing_reader_ends_the_run_naming_the_input() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("cable cut"))
        }
    }
    let mut source = InputSource::open_with(vec![Input::Stdin], InputOptions::default(), Broken).unwrap();
    let error = block_on(std::future::poll_fn(|cx| source.poll_next(cx))).unwrap_err();
    assert_eq!(error.to_string(), "standard input: cable cut");
}

#[test]
fn a_pipe_given_by_its_name_is_read_as_a_stream() {
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(b"http://h/1\nhttp://h/2\n").unwrap();
    drop(writer);
    let path = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
    let rows = rows_of(vec![Input::File(path.into())], InputOptions::default());
    assert_eq!(rows.len(), 2);
}

#[test]
fn a_file_that_shrank_is_said_to_have() {
    let dir = dir();
    let input = file(&dir, "a.txt", "http://h/1\nhttp://h/2\n");
    let mut source = InputSource::open(vec![input], InputOptions::default()).unwrap();
    let rows = all(&mut source);
    std::fs::write(dir.path().join("a.txt"), "").unwrap();
    let error = source.recall(1, rows[1].place).unwrap_err();
    assert!(error.to_string().ends_with("a.txt: shorter than when it was first read"), "{error}");
}

#[test]
fn progress_counts_the_bytes_of_files() {
    let dir = dir();
    let inputs = vec![file(&dir, "a.txt", "http://h/1\nhttp://h/2\n"), file(&dir, "b.txt", "http://h/3\n")];
    let mut source = InputSource::open(inputs, InputOptions::default()).unwrap();
    assert_eq!(source.progress_bytes(), Some((0, 33)));
    all(&mut source);
    assert_eq!(source.progress_bytes(), Some((33, 33)));
}

/// A reader that gives what it has in pieces of odd sizes.
struct Pieces(Vec<u8>, Vec<usize>, usize);

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.2 += 1;
        let size = self.1[self.2 % self.1.len()].min(self.0.len()).min(into.len());
        into[..size].copy_from_slice(&self.0[..size]);
        self.0.drain(..size);
        Ok(size)
    }
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "http://h/[a-z0-9]{0,40}".prop_map(String::into_bytes),
        1 => "[#\" ,{}\r\n\u{feff}é]{0,6}".prop_map(String::into_bytes),
        1 => "\\{\"url\":\"http://h/[a-z]{0,9}\"\\}".prop_map(String::into_bytes),
        1 => "[a-z]{0,5},\"[a-z\n\",]{0,9}\"\r?".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..12),
        1 => (0usize..70_000).prop_map(|length| vec![b'z'; length]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn any_row_is_recalled_as_it_was(
        lines in proptest::collection::vec(line(), 0..40),
        format in prop_oneof![Just(Format::Text), Just(Format::Jsonl), Just(Format::Csv), Just(Format::Tsv)],
        sizes in proptest::collection::vec(1usize..40_000, 1..6),
        order in any::<u64>(),
    ) {
        let mut content = if matches!(format, Format::Csv) { b"url,x\n".to_vec() } else { b"url\n".to_vec() };
        content.extend(lines.join(&b'\n'));
        let options = || InputOptions { format: Some(format), ..Default::default() };
        let dir = dir();
        let input = file(&dir, "input", &content);
        let mut from_file = InputSource::open(vec![input], options()).unwrap();
        let reader = Pieces(content, sizes, 0);
        let mut from_stream = InputSource::open_with(vec![Input::Stdin], options(), reader).unwrap();
        let mut rows = all(&mut from_file);
        let streamed: Vec<String> = all(&mut from_stream).iter().map(shown).collect();
        prop_assert_eq!(rows.iter().map(shown).collect::<Vec<_>>(), streamed);
        fastrand::Rng::with_seed(order).shuffle(&mut rows);
        for row in &rows {
            for source in [&mut from_file, &mut from_stream] {
                prop_assert_eq!(shown(&source.recall(row.index, row.place).unwrap()), shown(row));
            }
        }
    }
}
