//! Bodies that wait for the server to ask for them (RFC 9110 §10.1.1).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use gannet::{Body, Session};
use tokio::sync::Notify;

use super::*;

/// Longer than any test: what is sent then was asked for.
const LONG: Duration = Duration::from_secs(3600);
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

fn once() -> Body {
    Body::stream(stream::iter([Ok(Bytes::from("bo")), Ok(Bytes::from("dy"))]), Some(4))
}

fn refuses(answer: &str) -> Script {
    Script::new().expect_head().send(answer).expect_end()
}

#[tokio::test]
async fn the_body_goes_when_it_is_asked_for_and_the_connection_is_kept() {
    for body in [Body::from("body"), once(), Body::from(vec![b'x'; 1_000_000])] {
        let length = body.length().unwrap() as usize;
        let (asked, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let early = "HTTP/1.1 103 Early Hints\r\n\r\n";
        let script = Script::new().expect_head().signal(&asked).wait_for(&go).send(early).send(CONTINUE);
        let server = serve([script.expect_body(length).send(OK).expect_head().send(OK).hang()]).await;
        let session = Session::default();
        let sent = session.put(server.url("/")).body(body).expect_continue(LONG).send();
        let checked = async {
            asked.notified().await;
            let head = text(&server.received()[0]);
            assert!(head.contains("expect: 100-continue\r\n") && head.ends_with("\r\n\r\n"), "{head}");
            go.notify_one();
        };
        let (response, ()) = in_time(async { tokio::join!(sent, checked) }).await;
        assert_eq!(response.unwrap().status(), 200);
        in_time(session.get(server.url("/")).send()).await.unwrap();
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_asks_gets_the_body_after_the_wait() {
    let server = serve([Script::new().expect_head().expect_body(4).send(OK).hang()]).await;
    // A `read` that is shorter than the wait does not end it.
    let session = session(|options| options.timeouts.read = Some(Duration::from_secs(3)));
    let started = tokio::time::Instant::now();
    let request = session.put(server.url("/")).body("body").expect_continue(Duration::from_secs(5));
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert!(started.elapsed() >= Duration::from_secs(5));
    assert_eq!(session.pool_stats(), pool(1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn total_ends_the_wait_too() {
    let server = serve([Script::new().hang()]).await;
    let request = Session::default().put(server.url("/")).body("body").expect_continue(LONG);
    let error = request.timeout(Duration::from_secs(2)).send().await.unwrap_err();
    assert_eq!(error.kind(), gannet::ErrorKind::TimeoutTotal);
    assert!(text(&server.received()[0]).ends_with("\r\n\r\n"));
}

#[tokio::test]
async fn item_16_a_final_answer_spares_the_body_and_its_connection_is_for_nobody_else() {
    for answer in
        ["HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\n\r\nmuch", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nmuch"]
    {
        let server = serve([refuses(answer), answers(OK)]).await;
        let session = Session::default();
        let request = session.put(server.url("/")).body(vec![b'x'; 1_000_000]).expect_continue(LONG);
        let response = in_time(request.send()).await.unwrap();
        assert_eq!(in_time(response.text()).await.unwrap(), "much");
        assert_eq!(session.pool_stats(), pool(0, 0, 0));
        in_time(session.get(server.url("/")).send()).await.unwrap();
        in_time(server.wait_for_closed(1)).await;
        assert_eq!(server.connections(), 2);
        assert!(text(&server.received()[0]).ends_with("\r\n\r\n"), "no byte of the body");
    }
}

#[tokio::test]
async fn a_417_is_repeated_without_and_a_one_time_stream_is_not_lost() {
    let refusal = "HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n";
    for body in [Body::from("body"), once()] {
        let server = serve([refuses(refusal), Script::new().expect_head().expect_body(4).send(OK).hang()]).await;
        let session = Session::default();
        let response = in_time(session.post(server.url("/")).body(body).expect_continue(LONG).send()).await.unwrap();
        assert_eq!(response.status(), 200);
        let second = text(&server.received()[1]);
        assert!(second.ends_with("\r\n\r\nbody") && !second.contains("expect"), "{second}");
    }
    // Only once: a server that says so again is taken at its word.
    let server = serve([refuses(refusal), refuses(refusal)]).await;
    let request = Session::default().post(server.url("/")).body("body").expect_continue(LONG);
    assert_eq!(in_time(request.send()).await.unwrap().status(), 417);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn item_23_a_redirect_before_the_body_was_begun_gets_all_of_a_one_time_stream() {
    let elsewhere = refuses("HTTP/1.1 307 Temporary Redirect\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n");
    let takes = Script::new().expect_head().send(CONTINUE).expect_body(4).send(OK).hang();
    let server = serve([elsewhere, takes]).await;
    let request = Session::default().put(server.url("/a")).body(once()).expect_continue(LONG);
    assert_eq!(in_time(request.send()).await.unwrap().status(), 200);
    assert!(text(&server.received()[1]).ends_with("\r\n\r\nbody"));
}

#[tokio::test]
async fn item_23_who_is_asked_before_the_body_was_begun_answers_and_sends_all_of_a_one_time_stream() {
    let challenge = "www-authenticate: Digest realm=r, nonce=n, qop=auth";
    let asks = refuses(&format!("HTTP/1.1 401 Unauthorized\r\n{challenge}\r\ncontent-length: 0\r\n\r\n"));
    let takes = Script::new().expect_head().send(CONTINUE).expect_body(4).send(OK).hang();
    let server = serve([asks, takes]).await;
    let request = Session::default().put(server.url("/")).digest_auth("me", "pw").body(once()).expect_continue(LONG);
    assert_eq!(in_time(request.send()).await.unwrap().status(), 200);
    let [asked, taken] = [0, 1].map(|at| text(&server.received()[at]));
    assert!(asked.ends_with("\r\n\r\n") && !asked.contains("uthorization"), "{asked}");
    assert!(taken.contains("uthorization: Digest ") && taken.ends_with("\r\n\r\nbody"), "{taken}");
}

#[tokio::test]
async fn without_a_body_nothing_is_expected() {
    let (origin, session) = (origin().await, Session::default());
    for body in [Body::empty(), Body::from("")] {
        let seen = json(session.post(origin.url("/anything")).body(body).expect_continue(LONG).send().await).await;
        assert_eq!(seen["headers"].get("Expect"), None);
    }
}
