//! Connections that the server closed while they were idle: replaced without an error where nothing can have been
//! processed twice, and never otherwise.

use std::sync::Arc;

use gannet::{Body, ErrorKind, Session};
use tokio::sync::{Barrier, Notify};

use super::*;

/// Answers one request, then ends in the way that `end` adds.
fn once(end: impl FnOnce(Script) -> Script) -> Script {
    end(Script::new().expect_head().send(OK))
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_replaced_for_every_method() {
    let ended = Arc::new(Notify::new());
    let half = once(|script| script.shutdown_write().signal(&ended).hang());
    for method in ["GET", "POST"] {
        for first in [once(Script::close), once(Script::reset), half.clone()] {
            let server = serve([first, answers(OK)]).await;
            let session = session(|options| options.connections.max = 1);
            session.get(server.url("/")).send().await.unwrap();
            tokio::select! {
                () = server.wait_for_closed(1) => {}
                () = ended.notified() => {}
            }
            let answer = session.request_named(method, server.url("/")).send().await.unwrap();
            assert_eq!(answer.text().await.unwrap(), "ok");
            assert_eq!((server.connections(), session.pool_stats()), (2, pool(1, 1, 0)));
        }
    }
}

#[tokio::test]
async fn a_get_that_met_a_closing_connection_is_sent_again_once_on_a_new_one() {
    let dies = once(|script| script.expect_head().close());
    let server = serve([dies.clone(), answers(OK)]).await;
    let session = session(|options| options.connections.max = 1);
    session.get(server.url("/a")).send().await.unwrap();
    let response = session.get(server.url("/b")).send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "ok");
    let seen: Vec<usize> = server.received().iter().map(|bytes| text(bytes).matches("GET /b").count()).collect();
    assert_eq!(seen, [1, 1]);
    assert_eq!(session.pool_stats(), pool(1, 1, 0));
}

#[tokio::test]
async fn a_put_with_a_body_that_can_be_made_again_is_repeated_whole() {
    let server = serve([
        once(|script| script.expect_head().expect_body(4).close()),
        Script::new().expect_head().expect_body(4).send(OK).hang(),
    ])
    .await;
    let session = Session::default();
    session.get(server.url("/a")).send().await.unwrap();
    let body = Body::replayable(|| Box::pin(futures_util::stream::iter([Ok("body".into())])), Some(4));
    session.put(server.url("/b")).body(body).send().await.unwrap();
    assert!(text(&server.received()[1]).ends_with("\r\n\r\nbody"));
}

#[tokio::test]
async fn a_post_that_met_a_closing_connection_is_an_error_and_is_not_sent_twice() {
    let server = serve([once(|script| script.expect_head().close()), answers(OK)]).await;
    let session = Session::default();
    session.get(server.url("/a")).send().await.unwrap();
    let error = session.post(server.url("/b")).send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    let all = text(&server.received().concat());
    assert_eq!((all.matches("POST /b").count(), server.connections()), (1, 1));
    let again = session.post(server.url("/c")).header("Idempotency-Key", "k").send().await.unwrap();
    assert_eq!(again.text().await.unwrap(), "ok");
}

#[tokio::test]
async fn a_streamed_body_is_never_sent_twice() {
    let server = serve([once(|script| script.expect_head().close()), answers(OK)]).await;
    let session = Session::default();
    session.get(server.url("/a")).send().await.unwrap();
    let body = Body::stream(futures_util::stream::iter([Ok("once".into())]), None);
    assert_eq!(session.put(server.url("/b")).body(body).send().await.unwrap_err().kind(), ErrorKind::Connection);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_new_connection_that_dies_is_an_error_at_once() {
    let server = serve([Script::new().expect_head().close()]).await;
    let error = Session::default().get(server.url("/")).send().await.unwrap_err();
    assert_eq!((error.kind(), server.connections()), (ErrorKind::Connection, 1));
}

#[tokio::test]
async fn an_answer_that_began_is_not_asked_for_again() {
    let server = serve([once(|script| script.expect_head().send("HTTP/1.1 2").close()), answers(OK)]).await;
    let session = Session::default();
    session.get(server.url("/a")).send().await.unwrap();
    assert_eq!(session.get(server.url("/b")).send().await.unwrap_err().kind(), ErrorKind::Connection);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn after_one_stale_connection_a_new_one_is_made_and_not_a_second_kept_one_tried() {
    let both = Arc::new(Barrier::new(2));
    let dies = Script::new().expect_head().meet(&both).send(OK).expect_head().close();
    let server = serve([dies.clone(), dies, answers(OK)]).await;
    let session = session(|options| options.connections.max = 2);
    let pair = async { tokio::join!(session.get(server.url("/1")).send(), session.get(server.url("/2")).send()) };
    let (one, two) = in_time(Box::pin(pair)).await;
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(session.pool_stats(), pool(2, 2, 0));
    assert_eq!(session.get(server.url("/3")).send().await.unwrap().text().await.unwrap(), "ok");
    assert_eq!(server.connections(), 3);
    let asked: usize = server.received().iter().map(|bytes| text(bytes).matches("GET /3").count()).sum();
    assert_eq!((asked, session.pool_stats().open), (2, session.pool_stats().idle));
}

const MISDIRECTED: &str = "HTTP/1.1 421 Misdirected Request\r\ncontent-length: 5\r\n\r\nwrong";

#[tokio::test]
async fn a_misdirected_request_is_sent_again_once_on_another_connection_whatever_the_method() {
    for method in ["GET", "POST"] {
        let wrong = Script::new().expect_head().send(OK).expect_head().expect_body(1).send(MISDIRECTED).expect_end();
        let right = Script::new().expect_head().expect_body(1).send(OK).expect_head().expect_body(1).send(MISDIRECTED);
        let server = serve([wrong, right.expect_end(), answers(MISDIRECTED)]).await;
        let session = Session::default();
        let ask = || session.request_named(method, server.url("/")).body("x").send();
        session.get(server.url("/")).send().await.unwrap().bytes().await.unwrap();
        assert_eq!(in_time(ask()).await.unwrap().text().await.unwrap(), "ok", "{method}");
        assert_eq!(server.connections(), 2);
        let last = in_time(ask()).await.unwrap();
        assert_eq!((last.status().as_u16(), server.connections()), (421, 3), "a new connection's word is the last");
        assert_eq!(last.text().await.unwrap(), "wrong");
    }
}

#[tokio::test]
async fn a_misdirected_request_is_told_where_it_cannot_be_sent_again() {
    let server = serve([Script::new().expect_head().send(OK).expect_head().send(MISDIRECTED).hang()]).await;
    let session = Session::default();
    session.get(server.url("/")).send().await.unwrap().bytes().await.unwrap();
    let body = gannet::Body::stream(futures_util::stream::iter([Ok(bytes::Bytes::from("x"))]), Some(1));
    // A kept connection that was looked at and found alive carries what cannot be sent twice.
    let response = in_time(session.post(server.url("/")).body(body).send()).await.unwrap();
    assert_eq!((response.status().as_u16(), server.connections()), (421, 1));
}
