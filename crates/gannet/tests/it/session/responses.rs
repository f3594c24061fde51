//! What comes back: status, fields, and the body in each of its forms.

use futures_util::StreamExt;
use gannet::bulk::{Backoff, RetryPolicy};
use gannet::{ErrorKind, Session};
use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
struct Item {
    id: u64,
    name: String,
}

#[tokio::test]
async fn json_is_read_into_a_type_and_what_is_none_is_a_decode_error() {
    let (origin, session) = (origin().await, Session::default());
    let item: Item = session.get(origin.url("/items/17")).send().await.unwrap().json().await.unwrap();
    assert_eq!(item, Item { id: 17, name: "item 17".to_owned() });
    let error = session.get(origin.url("/html")).send().await.unwrap().json::<Item>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(error.message().contains("line 1"), "{error}");
}

#[tokio::test]
async fn text_is_read_by_its_charset_and_a_byte_order_mark_wins() {
    let (origin, session) = (origin().await, Session::default());
    let latin = session.get(origin.url("/encoding/latin1")).send().await.unwrap().text().await.unwrap();
    assert!(latin.starts_with("Français, Español, Über"), "{latin}");
    let utf8 = session.get(origin.url("/encoding/utf8")).send().await.unwrap().text_strict().await.unwrap();
    assert!(utf8.contains("שלום"));
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=iso-8859-1\r\ncontent-length: 5\r\n\r\n";
    let server = serve([answers([&head[..], b"\xEF\xBB\xBF\xC3\xBC"].concat())]).await;
    assert_eq!(session.get(server.url("/")).send().await.unwrap().text().await.unwrap(), "ü");
    let broken = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\na\xFFb";
    let server = serve([answers(broken)]).await;
    assert_eq!(session.get(server.url("/")).send().await.unwrap().text().await.unwrap(), "a\u{FFFD}b");
    let error = session.get(server.url("/")).send().await.unwrap().text_strict().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
}

#[tokio::test]
async fn a_body_can_be_taken_in_lines_in_pieces_or_as_a_stream() {
    let (origin, session) = (origin().await, Session::default());
    let url = origin.url("/stream/5");
    let lines: Vec<String> = session.get(&url).send().await.unwrap().lines().map(Result::unwrap).collect().await;
    assert_eq!(lines.len(), 5);
    assert!(lines.iter().all(|line| line.starts_with('{') && line.ends_with('}')), "{lines:?}");
    let large = origin.url("/bytes/300000?seed=3");
    let whole = session.get(&large).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(whole, gannet_origin::payload(3, 300_000));
    let mut response = session.get(&large).send().await.unwrap();
    let mut pieces = Vec::new();
    while let Some(piece) = response.chunk().await.unwrap() {
        assert!(!piece.is_empty());
        pieces.extend_from_slice(&piece);
    }
    assert_eq!(pieces, whole);
    let stream = session.get(&large).send().await.unwrap().bytes_stream();
    let pieces: Vec<u8> = stream.map(Result::unwrap).collect::<Vec<_>>().await.concat();
    assert_eq!(pieces, whole);
    assert_eq!(session.pool_stats(), pool(1, 1, 0));
}

#[tokio::test]
async fn the_last_line_needs_no_line_end() {
    let server = serve([answers("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\na\r\nb\nc")]).await;
    let response = Session::default().get(server.url("/")).send().await.unwrap();
    let lines: Vec<String> = response.lines().map(Result::unwrap).collect().await;
    assert_eq!(lines, ["a", "b", "c"]);
}

#[tokio::test]
async fn trailers_are_there_when_the_body_is_read() {
    let bytes =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\nContent-Length: 9\r\n\r\n";
    let go = std::sync::Arc::new(tokio::sync::Notify::new());
    let (head, rest) = bytes.split_at(bytes.find("2\r\nok").unwrap());
    let server = serve([Script::new().expect_head().send(head).wait_for(&go).send(rest).repeated()]).await;
    let session = Session::default();
    let mut response = session.get(server.url("/")).send().await.unwrap();
    assert!(response.trailers().is_none());
    go.notify_one();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "ok");
    assert_eq!(response.chunk().await.unwrap(), None);
    let trailers = response.trailers().unwrap();
    assert_eq!((trailers.get("x-sum"), trailers.get("content-length")), (Some("7"), None));
    assert_eq!(session.pool_stats(), pool(1, 1, 0));
}

#[tokio::test]
async fn responses_without_a_body_leave_the_connection_fit_for_the_next() {
    let session = Session::default();
    let length = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n";
    let none = "HTTP/1.1 204 No Content\r\n\r\n";
    let not_modified = "HTTP/1.1 304 Not Modified\r\ncontent-length: 1000\r\n\r\n";
    let server = serve([Script::new()
        .expect_head()
        .send(length)
        .expect_head()
        .send(none)
        .expect_head()
        .send(not_modified)
        .expect_head()
        .send(OK)])
    .await;
    let head = session.head(server.url("/")).send().await.unwrap();
    assert_eq!(head.headers().get("content-length"), Some("1000"));
    assert_eq!(head.bytes().await.unwrap(), "");
    for status in [204, 304] {
        let response = session.get(server.url("/")).send().await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.bytes().await.unwrap(), "");
    }
    assert_eq!(session.get(server.url("/")).send().await.unwrap().text().await.unwrap(), "ok");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_status_is_an_answer_until_it_is_asked_to_be_an_error() {
    let (origin, session) = (origin().await, Session::default());
    let response = session.get(origin.url("/status/404")).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.ok(), response.reason()), (404, false, "Not Found"));
    let error = response.error_for_status_ref().unwrap();
    assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::Status, 404));
    assert!(error.is_status() && error.message() == "404 Not Found" && error.to_string().contains("/status/404"));
    let error = response.error_for_status().unwrap_err();
    assert_eq!((error.kind(), error.headers().unwrap().get("content-length")), (ErrorKind::Status, Some("0")));
    assert!(session.get(origin.url("/status/399")).send().await.unwrap().error_for_status().is_ok());
}

#[tokio::test]
async fn reason_and_repeated_fields_are_kept_as_they_came() {
    let bytes = "HTTP/1.0 299 Quite Fine\r\nX-A: 1\r\nx-b: \r\nX-A: 2\r\ncontent-length: 0\r\n\r\n";
    let server = serve([answers(bytes)]).await;
    let response = Session::default().get(server.url("/")).send().await.unwrap();
    assert_eq!((response.reason(), response.version()), ("Quite Fine", gannet::Version::Http10));
    let all: Vec<&[u8]> = response.headers().get_all("x-a").collect();
    assert_eq!((all, response.headers().get("X-B")), (vec![&b"1"[..], b"2"], Some("")));
}

#[tokio::test]
async fn a_body_is_held_to_its_bound_whether_its_length_is_announced_or_not() {
    let (origin, session) = (origin().await, session(|options| options.response.max_body = Some(1000)));
    for (path, fits) in [("/bytes/1000", true), ("/bytes/1001", false)] {
        for url in [origin.url(path), origin.url(&format!("{path}?chunked=1"))] {
            let result = session.get(&url).send().await.unwrap().bytes().await;
            assert_eq!(result.is_ok(), fits, "{url}");
            if let Err(error) = result {
                assert_eq!(error.kind(), ErrorKind::TooLarge);
            }
        }
    }
    let allowed = session.get(origin.url("/bytes/1001")).max_body(2000).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(allowed.len(), 1001);
    assert_eq!(session.get(origin.url("/bytes/1001")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_error_for_a_status_can_keep_the_beginning_of_the_body() {
    let said = r#"{"error":"no such id: s3cret"}"#;
    let whole = format!("HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\n\r\n{said}", said.len());
    let torn = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 9\r\n\r\npart";
    for (script, max, kept, open) in [
        (answers(&whole), 1000, said, 1),
        (answers(&whole), said.len(), said, 1),
        (answers(&whole), 8, &said[..8], 1),
        (answers(&whole), 0, "", 1),
        (Script::new().expect_head().send(torn).close(), 1000, "part", 0),
        (Script::new().expect_head().send(torn).hang(), 3, "par", 0),
    ] {
        let server = serve([script]).await;
        let session = Session::default();
        let response = session.get(server.url("/")).send().await.unwrap();
        let status = response.status();
        let error = in_time(response.error_for_status_with_body(max)).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Status, Some(status)));
        assert_eq!((error.body().unwrap(), error.body_text().unwrap().as_ref()), (&kept.into(), kept));
        assert!(!format!("{error} {error:?}").contains("s3cret"), "a body may hold secrets: {error:?}");
        assert_eq!(session.pool_stats().open, open, "{max}");
    }
    let origin = origin().await;
    let large = Session::default().get(origin.url("/gzip")).send().await.unwrap();
    assert!(large.error_for_status_with_body(10).await.unwrap().text().await.unwrap().contains("gzip"), "no error");
    assert_eq!(
        Session::default().get(origin.url("/status/404")).send().await.unwrap().error_for_status_ref().unwrap().body(),
        None
    );
}

#[tokio::test]
async fn a_bad_status_is_an_error_by_itself_where_session_or_request_say_so() {
    let origin = origin().await;
    let strict = session(|options| options.response.error_for_status = true);
    let bad = || strict.get(origin.url("/status/404"));
    let error = bad().send().await.unwrap_err();
    assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::Status, 404));
    let built = bad().build().unwrap();
    assert_eq!(strict.execute(built).await.unwrap_err().kind(), ErrorKind::Status);
    assert_eq!(bad().error_for_status(false).send().await.unwrap().status(), 404);
    assert_eq!(strict.get(origin.url("/status/204")).send().await.unwrap().status(), 204);
    let lax = Session::default();
    let error = lax.get(origin.url("/status/500")).error_for_status(true).send().await.unwrap_err();
    assert_eq!(error.status().unwrap(), 500);
    let backoff = Backoff { base: Duration::ZERO, ..Backoff::default() };
    let policy = RetryPolicy { attempts: 2, backoff, ..RetryPolicy::default() };
    let request = strict.get(origin.url("/status/503")).build().unwrap();
    let error = strict.execute_retrying(request, &policy).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Status, 2));
}

#[tokio::test]
async fn a_middleware_sees_the_bad_status_before_it_is_an_error() {
    let origin = origin().await;
    let mut options = Options::default();
    options.response.error_for_status = true;
    let session = Session::builder(options)
        .middleware(|request: gannet::Request, next: gannet::Next| async move {
            let url = request.url().clone();
            let response = next.run(request).await?;
            match response.status().as_u16() {
                404 => Ok(Response::local(url, gannet::StatusCode::OK, gannet::Headers::new(), "mended")),
                _ => Ok(response),
            }
        })
        .build()
        .unwrap();
    assert_eq!(session.get(origin.url("/status/404")).send().await.unwrap().text().await.unwrap(), "mended");
    assert_eq!(session.get(origin.url("/status/500")).send().await.unwrap_err().status().unwrap(), 500);
}

#[tokio::test]
async fn text_is_read_by_a_charset_of_the_callers_in_place_of_utf_8_or_of_any() {
    let server = |head: &'static str, body: &'static [u8]| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{head}\r\n", body.len());
        serve([answers([head.as_bytes(), body].concat())])
    };
    let session = Session::default();
    let get = |server: &ScriptedServer| session.get(server.url("/")).send();
    let unnamed = server("", b"\xFC").await;
    assert_eq!(get(&unnamed).await.unwrap().text_with_charset("ISO-8859-1").await.unwrap(), "ü");
    let unknown = server("content-type: text/plain; charset=x-nobody\r\n", b"\xFC").await;
    assert_eq!(get(&unknown).await.unwrap().text_with_charset("latin1").await.unwrap(), "ü");
    let named = server("content-type: text/plain; charset=utf-8\r\n", b"\xC3\xBC").await;
    assert_eq!(get(&named).await.unwrap().text_with_charset("latin1").await.unwrap(), "ü");
    assert_eq!(get(&named).await.unwrap().text_as("latin1").await.unwrap(), "Ã¼");
    let marked = server("", b"\xEF\xBB\xBF\xC3\xBC").await;
    assert_eq!(get(&marked).await.unwrap().text_with_charset("latin1").await.unwrap(), "ü");
    assert_eq!(get(&marked).await.unwrap().text_as("utf-8").await.unwrap(), "ü");
    for error in [
        get(&unnamed).await.unwrap().text_as("x-nobody").await,
        get(&unnamed).await.unwrap().text_with_charset("").await,
    ] {
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Request);
    }
}

#[tokio::test]
async fn json_can_be_held_to_its_content_type() {
    let session = Session::default();
    for (head, is_json) in [
        ("content-type: application/json; charset=utf-8\r\n", true),
        ("content-type: application/problem+json\r\n", true),
        ("content-type: text/html\r\n", false),
        ("", false),
    ] {
        let server = serve([answers(format!("HTTP/1.1 200 OK\r\n{head}content-length: 1\r\n\r\n7"))]).await;
        let get = || session.get(server.url("/")).send();
        assert_eq!(get().await.unwrap().json::<u8>().await.unwrap(), 7);
        let strict = get().await.unwrap().json_strict::<u8>().await;
        assert_eq!(strict.as_ref().ok(), is_json.then_some(&7), "{head:?}");
        if let Err(error) = strict {
            assert_eq!(error.kind(), ErrorKind::Decode);
            assert!(error.message().contains("not announced as JSON"), "{error}");
        }
    }
}

#[tokio::test]
async fn the_method_that_was_sent_last_is_told() {
    let (origin, session) = (origin().await, Session::default());
    let sent = session.post(origin.url("/redirect-to?url=/anything&status_code=303")).body("x").send().await.unwrap();
    assert_eq!(sent.method(), gannet::Method::GET);
    let sent = session.put(origin.url("/anything")).send().await.unwrap();
    assert_eq!(sent.method(), gannet::Method::PUT);
}

#[tokio::test]
async fn one_request_needs_no_session() {
    let origin = origin().await;
    let response = gannet::get(origin.url("/bytes/300000?seed=3")).await.unwrap();
    assert_eq!(response.bytes().await.unwrap(), gannet_origin::payload(3, 300_000));
    until(|| origin.stats().connections == 0).await;
    let url = origin.url("/items/4");
    let blocking = tokio::task::spawn_blocking(move || gannet::blocking::get(url).unwrap().json::<Value>().unwrap());
    assert_eq!(in_time(blocking).await.unwrap()["id"], 4);
}
