//! What the server says it did not look at is sent again, whatever the method; what it may have looked at is not.

use bytes::Bytes;
use gannet::{Body, ErrorKind};

use super::*;

fn ok(stream: u32) -> Vec<u8> {
    frames::answer(stream, "200", "ok")
}

#[tokio::test]
async fn a_refused_stream_is_sent_again_on_the_same_connection_whatever_the_method() {
    for method in ["GET", "POST"] {
        let script = asked(&[]).expect_frame(frames::DATA).send(frames::reset(1, frames::REFUSED_STREAM));
        let script = script.expect_frame(frames::HEADERS).expect_frame(frames::DATA).send(ok(3));
        let server = serve([script.hang()]).await;
        let request = speaking(|_| {}).request_named(method, server.url("/")).body("again");
        assert_eq!(in_time(request.send()).await.unwrap().text().await.unwrap(), "ok", "{method}");
        assert_eq!(server.connections(), 1);
        let bodies = frames_in(&server.received()[0]);
        assert_eq!(bodies.iter().filter(|(kind, .., body)| *kind == frames::DATA && body == b"again").count(), 2);
    }
}

#[tokio::test]
async fn it_is_sent_again_three_times_and_then_told() {
    let mut script = asked(&[]);
    for stream in [1, 3, 5, 7] {
        script = script.send(frames::reset(stream, frames::REFUSED_STREAM)).expect_frame(frames::HEADERS);
    }
    let server = serve([script.hang()]).await;
    let session = speaking(|_| {});
    let error = in_time(session.post(server.url("/")).send()).await.unwrap_err();
    assert_eq!((error.kind(), error.is_unprocessed(), error.attempts()), (ErrorKind::Connection, true, 1), "{error:?}");
    let sent = frames_in(&server.received()[0]).iter().filter(|(kind, ..)| *kind == frames::HEADERS).count();
    assert_eq!(sent, 4);
}

#[tokio::test]
async fn a_body_that_can_be_sent_once_is_not_sent_again() {
    let server = serve([asked(&[]).send(frames::reset(1, frames::REFUSED_STREAM)).hang()]).await;
    let body = Body::stream(futures_util::stream::iter([Ok(Bytes::from("once"))]), None);
    let error = in_time(speaking(|_| {}).post(server.url("/")).body(body).send()).await.unwrap_err();
    assert!(error.is_unprocessed() && error.kind() == ErrorKind::Connection, "{error:?}");
}

#[tokio::test]
async fn streams_above_a_goaway_go_to_another_connection_and_the_others_finish() {
    let go = std::sync::Arc::new(tokio::sync::Notify::new());
    // The second request is above the GOAWAY; the third comes after it, and does not go there at all.
    let first = asked(&[]).expect_frame(frames::HEADERS).send(frames::goaway(1, frames::NO_ERROR));
    let first = first.wait_for(&go).send(ok(1)).hang();
    let second = asked(&[]).send(ok(1)).expect_frame(frames::HEADERS).send(ok(3)).hang();
    let server = serve([first, second]).await;
    let session = speaking(|_| {});
    let mut one = Box::pin(session.get(server.url("/1")).send());
    assert!(poll_once(&mut one).await.is_none());
    in_time(async {
        while server.connections() == 0 || session.pool_stats().waiting > 0 {
            assert!(poll_once(&mut one).await.is_none());
            tokio::task::yield_now().await;
        }
    })
    .await;
    let two = async { in_time(session.post(server.url("/2")).body("b").send()).await.unwrap().text().await.unwrap() };
    assert_eq!(two.await, "ok");
    assert_eq!(session.pool_stats(), pool(2, 1, 0));
    assert_eq!(in_time(session.get(server.url("/3")).send()).await.unwrap().text().await.unwrap(), "ok");
    go.notify_one();
    assert_eq!(in_time(one).await.unwrap().text().await.unwrap(), "ok");
    in_time(server.wait_for_closed(1)).await;
    assert_eq!((server.connections(), session.pool_stats()), (2, pool(1, 1, 0)));
}

#[tokio::test]
async fn a_connection_lost_under_a_request_is_no_refusal() {
    let server = serve([asked(&[]).close(), asked(&[]).send(ok(1)).hang()]).await;
    let session = speaking(|_| {});
    let error = in_time(session.get(server.url("/")).send()).await.unwrap_err();
    assert_eq!((error.kind(), error.is_unprocessed()), (ErrorKind::Connection, false), "a new connection: {error:?}");
    assert_eq!(session.pool_stats(), pool(0, 0, 0));

    let dies = asked(&[]).send(ok(1)).expect_frame(frames::HEADERS).close();
    for (method, again) in [("GET", true), ("POST", false)] {
        let server = serve([dies.clone(), asked(&[]).send(ok(1)).hang()]).await;
        let session = speaking(|_| {});
        session.get(server.url("/")).send().await.unwrap().bytes().await.unwrap();
        let result = in_time(session.request_named(method, server.url("/")).send()).await;
        assert_eq!((result.is_ok(), server.connections()), (again, 1 + usize::from(again)), "{method}");
    }
}

#[tokio::test]
async fn other_resets_are_errors_by_where_they_came_and_leave_the_connection() {
    let head = frames::headers(1, 0, &[(":status", "200")]);
    for (answer, code, kind) in [
        (Vec::new(), frames::INTERNAL_ERROR, ErrorKind::Connection),
        (Vec::new(), frames::CANCEL, ErrorKind::Connection),
        (Vec::new(), frames::HTTP_1_1_REQUIRED, ErrorKind::Protocol),
        ([&head[..], &frames::data(1, 0, "part")].concat(), frames::INTERNAL_ERROR, ErrorKind::Body),
    ] {
        let script =
            asked(&[]).send([answer, frames::reset(1, code)].concat()).expect_frame(frames::HEADERS).send(ok(3));
        let server = serve([script.hang()]).await;
        let session = speaking(|_| {});
        let whole = async { session.get(server.url("/")).send().await?.bytes().await };
        let error = in_time(whole).await.unwrap_err();
        assert_eq!((error.kind(), error.is_unprocessed()), (kind, false), "{code}: {error:?}");
        assert_eq!(in_time(session.get(server.url("/")).send()).await.unwrap().text().await.unwrap(), "ok");
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn a_server_that_asks_for_less_is_believed_and_not_asked_again_at_once() {
    for answer in [frames::reset(1, frames::ENHANCE_YOUR_CALM), frames::goaway(0, frames::ENHANCE_YOUR_CALM)] {
        let server = serve([asked(&[]).send(answer).hang()]).await;
        let error = in_time(speaking(|_| {}).get(server.url("/")).send()).await.unwrap_err();
        assert_eq!((error.kind(), error.is_throttled()), (ErrorKind::Connection, true), "{error:?}");
        let sent = frames_in(&server.received()[0]).iter().filter(|(kind, ..)| *kind == frames::HEADERS).count();
        assert_eq!((sent, server.connections()), (1, 1));
    }
}
