//! A request that is sent again after its answer: the body of each attempt is the same.

use gannet::bulk::BulkOptions;
use gannet::{Body, Coding, Form, Request, Session};

use super::downloads::at_once;
use super::*;

const BUSY: &str = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n";

/// Requests with a body of every kind that can be sent again, under what they are called.
fn requests(session: &Session, url: &str, file: &std::path::Path) -> Vec<(&'static str, Request)> {
    let put = || session.put(url);
    let form = Form::new().text("title", "Gannet").file("attached", file);
    // Above what is compressed as a whole, so that it is sent in chunks.
    let large = "0123456789".repeat(50_000);
    let built = |(name, request): (_, gannet::RequestBuilder)| (name, request.build().unwrap());
    [
        ("bytes", put().body(vec![b'x'; 100_000])),
        ("json", put().json(&serde_json::json!({"key": ["value", 1]}))),
        ("file", put().body(Body::file(file).unwrap())),
        ("form", put().multipart(form)),
        ("compressed", put().body(large).compress(Coding::Gzip)),
    ]
    .map(built)
    .into()
}

/// Reads a whole request: one that is chunked ends in an empty line, as its head does.
fn whole(script: Script, request: &Request, chunked: bool) -> Script {
    let script = script.expect_head();
    if chunked {
        return script.expect_head();
    }
    script.expect_body(request.body().length().unwrap() as usize)
}

#[tokio::test]
async fn item_23_a_retry_sends_exactly_the_same_body() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "line\n".repeat(30_000)).unwrap();
    let session = Session::default();
    let policy = at_once(2).retry;
    for bulk in [false, true] {
        for nth in 0..5 {
            let request = |url: &str| requests(&session, url, file.path()).swap_remove(nth);
            let (name, sample) = request("http://127.0.0.1/");
            let reads = |script| whole(script, &sample, name == "compressed");
            let server = serve([reads(reads(Script::new()).send(BUSY)).send(OK)]).await;
            let (_, request) = request(&server.url("/"));
            if bulk {
                let options = BulkOptions { retry: policy.clone(), ..BulkOptions::default() };
                let outcomes = in_time(session.fetch_all([request]).options(options).outcomes()).await;
                assert_eq!((outcomes[0].is_ok(), outcomes[0].attempts), (true, 2), "{name}");
            } else {
                let response = in_time(session.execute_retrying(request, &policy)).await.unwrap();
                assert_eq!(response.status(), 200, "{name}");
            }
            let sent = server.received().concat();
            let (first, second) = sent.split_at(sent.len() / 2);
            assert!(first.starts_with(b"PUT / ") && first == second, "{name}, in bulk: {bulk}: {}", text(&sent));
        }
    }
}
