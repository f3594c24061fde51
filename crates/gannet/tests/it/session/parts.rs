//! Multipart bodies, part by part: as they come, skipped, malformed, cut off.

use gannet::{ErrorKind, Form, MultipartLimits, MultipartParser, Part, PartEvent, Parts, Session};

use super::*;

fn multipart(content_type: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}")
}

const TWO: &str = "preamble\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\none\r\n\
                   --b\r\nContent-Range: bytes 5-6/10\r\n\r\n\r\n-\r\n--b--\r\nepilogue";

async fn get(server: &ScriptedServer, session: &Session) -> Response {
    session.get(server.url("/")).send().await.unwrap()
}

/// What a request has on the wire: its content type and its body.
async fn sent(fill: impl Fn(gannet::RequestBuilder) -> gannet::RequestBuilder) -> (String, String) {
    let session = Session::default();
    let length = fill(session.post("http://127.0.0.1/")).build().unwrap().body().length().unwrap();
    let recorder = serve([Script::new().expect_head().expect_body(length as usize).send(OK).hang()]).await;
    fill(session.post(recorder.url("/"))).send().await.unwrap().bytes().await.unwrap();
    let sent = text(&recorder.received()[0]);
    let (head, body) = sent.split_once("\r\n\r\n").unwrap();
    let content_type = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap();
    (content_type.to_owned(), body.to_owned())
}

#[tokio::test]
async fn parts_come_with_their_fields_one_after_the_other_and_the_connection_is_kept() {
    let server = serve([answers(multipart("multipart/byteranges; boundary=b", TWO))]).await;
    let session = Session::default();
    for _ in 0..2 {
        let mut parts = get(&server, &session).await.multipart().unwrap();
        let part = parts.next_part().await.unwrap().unwrap();
        assert_eq!(part.content_type().unwrap().charset(), Some("iso-8859-1"));
        assert_eq!(part.text().await.unwrap(), "one");
        let mut part = parts.next_part().await.unwrap().unwrap();
        assert_eq!(part.content_range().unwrap().part, Some((5, 6)));
        assert_eq!(part.chunk().await.unwrap().unwrap(), "\r\n-");
        assert_eq!(part.chunk().await.unwrap(), None);
        assert_eq!(part.bytes().await.unwrap_err().kind(), ErrorKind::Body);
        assert!(parts.next_part().await.unwrap().is_none());
        assert!(parts.next_part().await.unwrap().is_none());
    }
    assert_eq!((server.connections(), session.pool_stats()), (1, pool(1, 1, 0)));
}

#[tokio::test]
async fn pieces_come_as_they_are_sent_and_what_is_not_read_is_passed_over() {
    let go = std::sync::Arc::new(tokio::sync::Notify::new());
    let head = "HTTP/1.1 200 OK\r\ncontent-type: multipart/mixed; boundary=b\r\nconnection: close\r\n\r\n";
    let script = Script::new().expect_head().send(format!("{head}--b\r\n\r\nfirst\r")).wait_for(&go);
    let server = serve([script.send_slowly("\n--b\r\n\r\nsecond\r\n--b\r\nX: 3\r\n\r\nthird\r\n--b--").close()]).await;
    let mut parts = get(&server, &Session::default()).await.multipart().unwrap();
    let mut part = in_time(parts.next_part()).await.unwrap().unwrap();
    assert_eq!(in_time(part.chunk()).await.unwrap().unwrap(), "first");
    go.notify_one();
    let second = in_time(parts.next_part()).await.unwrap().unwrap();
    assert!(second.headers().is_empty());
    let third = in_time(parts.next_part()).await.unwrap().unwrap();
    assert_eq!(third.headers().get("x"), Some("3"));
    assert_eq!(in_time(third.bytes()).await.unwrap(), "third");
    assert!(in_time(parts.next_part()).await.unwrap().is_none());
}

/// What one of our own forms is on the wire, sent back by a server.
#[tokio::test]
async fn a_form_that_comes_back_has_its_names() {
    let form = || Form::with_seed(1).text("title", "Gannet").bytes("photo", "dive.txt", "text/plain", "splash");
    let (content_type, body) = sent(|request| request.multipart(form())).await;
    let server = serve([answers(multipart(&content_type, &body))]).await;
    let mut parts = get(&server, &Session::default()).await.multipart().unwrap();
    let title = parts.next_part().await.unwrap().unwrap();
    assert_eq!((title.name().as_deref(), title.text().await.unwrap().as_str()), (Some("title"), "Gannet"));
    let photo = parts.next_part().await.unwrap().unwrap();
    let disposition = photo.content_disposition().unwrap();
    assert_eq!((disposition.kind.as_str(), disposition.filename().as_deref()), ("form-data", Some("dive.txt")));
    assert_eq!(photo.bytes().await.unwrap(), "splash");
    assert!(parts.next_part().await.unwrap().is_none());
}

#[tokio::test]
async fn what_is_no_multipart_is_of_kind_decode_and_stays_so() {
    let session = Session::default();
    for content_type in ["text/plain", "multipart/mixed", "multipart/mixed; boundary=\"\""] {
        let server = serve([answers(multipart(content_type, TWO))]).await;
        let error = get(&server, &session).await.multipart().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode, "{content_type}");
    }
    for body in ["", "no boundary", "--b\r\nno field\r\n\r\n--b--", "--b\r\n\r\ncut off\r\n--b", "--b\r\nX: 1"] {
        let server = serve([answers(multipart("multipart/mixed; boundary=b", body))]).await;
        let mut parts = get(&server, &session).await.multipart().unwrap();
        for _ in 0..2 {
            let all = async {
                while parts.next_part().await?.is_some() {}
                Ok::<_, gannet::Error>(())
            };
            let error = in_time(all).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Decode, "{body:?}");
            assert!(error.url().is_some_and(|url| url == server.url("/")), "{error}");
        }
    }
}

#[tokio::test]
async fn item_20_a_head_of_a_part_has_its_bounds() {
    let body = format!("--b\r\nX: {}\r\n\r\n\r\n--b--", "y".repeat(20_000));
    let server = serve([answers(multipart("multipart/mixed; boundary=b", &body))]).await;
    let session = Session::default();
    let mut parts = get(&server, &session).await.multipart().unwrap();
    assert_eq!(parts.next_part().await.unwrap_err().kind(), ErrorKind::Decode);
    let wider = MultipartLimits { max_head: 30_000, ..MultipartLimits::default() };
    let mut parts = get(&server, &session).await.multipart_with(wider).unwrap();
    assert_eq!(parts.next_part().await.unwrap().unwrap().headers().get("x").unwrap().len(), 20_000);
}

#[tokio::test]
async fn item_18_a_body_cut_short_by_its_connection_is_of_kind_body_also_behind_the_last_part() {
    for (body, parts_before) in [("--b\r\n\r\none\r\n--b\r\n\r\ntw", 2), ("--b\r\n\r\none\r\n--b--\r\nepi", 1)] {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: multipart/mixed; boundary=b\r\ncontent-length: 999\r\n\r\n";
        let server = serve([Script::new().expect_head().send(format!("{head}{body}")).close()]).await;
        let mut parts = get(&server, &Session::default()).await.multipart().unwrap();
        for _ in 0..parts_before {
            assert!(in_time(parts.next_part()).await.unwrap().is_some());
        }
        assert_eq!(in_time(parts.next_part()).await.unwrap_err().kind(), ErrorKind::Body, "{body:?}");
    }
}

/// Otherwise a server could keep the reader busy behind the end for as long as it likes.
#[tokio::test]
async fn an_epilogue_without_end_is_not_read() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--";
    let script = Script::new().expect_head().send(head).send("x".repeat(70_000)).hang();
    let server = serve([script]).await;
    let session = Session::default();
    let mut parts = get(&server, &session).await.multipart().unwrap();
    assert_eq!(in_time(parts.next_part()).await.unwrap().unwrap().bytes().await.unwrap(), "one");
    assert!(in_time(parts.next_part()).await.unwrap().is_none());
    drop(parts);
    in_time(server.wait_for_closed(1)).await;
    assert_eq!(session.pool_stats(), pool(0, 0, 0));
}

/// What is sent is what is read, nested parts by a parser of their own.
#[tokio::test]
async fn mixed_and_related_parts_are_sent_with_files_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.bin");
    std::fs::write(&path, "from disk".repeat(2000)).unwrap();
    let inner = Parts::mixed().part(Part::text("within").header("X-In", "1"));
    let parts = Parts::related().part(Part::text("{}").content_type("application/json")).part(Part::file(&path));
    let parts = parts.part(Part::nested(inner));
    let (content_type, body) = sent(|request| request.parts(parts.clone())).await;
    assert!(content_type.starts_with("multipart/related; ") && content_type.contains("type=\"application/json\""));
    let server = serve([answers(multipart(&content_type, &body))]).await;
    let mut parts = get(&server, &Session::default()).await.multipart().unwrap();
    assert_eq!(parts.next_part().await.unwrap().unwrap().bytes().await.unwrap(), "{}");
    let file = parts.next_part().await.unwrap().unwrap();
    assert_eq!(file.content_disposition().unwrap().filename().as_deref(), Some("data.bin"));
    assert_eq!(file.bytes().await.unwrap(), "from disk".repeat(2000));
    let nested = parts.next_part().await.unwrap().unwrap();
    let content_type = nested.headers().get_bytes("content-type").unwrap().to_vec();
    let content = nested.bytes().await.unwrap();
    let mut parser = MultipartParser::for_content_type(&content_type, MultipartLimits::default()).unwrap();
    let (at, _) = parser.read(&content).unwrap();
    let (_, event) = parser.read(&content[at..]).unwrap();
    assert!(matches!(event, PartEvent::Head(headers) if headers.get("x-in") == Some("1")));
    assert!(parts.next_part().await.unwrap().is_none());
}
