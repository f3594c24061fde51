//! Bodies on their way out: compressed pieces, broken words, and those that wait to be asked for (RFC 9110 §10.1.1).

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use gannet::{Body, Coding, ErrorKind};
use tokio::sync::Notify;

use super::super::transfers::{CODINGS, starts_with_first_piece};
use super::peer::{Answer, Answering};
use super::*;

/// Longer than any test: what is sent then was asked for.
const LONG: Duration = Duration::from_secs(3600);

fn once() -> Body {
    Body::stream(stream::iter([Ok(Bytes::from("bo")), Ok(Bytes::from("dy"))]), Some(4))
}

/// What came of bodies so far.
fn body_in(bytes: &[u8]) -> Vec<u8> {
    if bytes.len() < frames::PREFACE.len() {
        return Vec::new();
    }
    let data = frames_in(bytes).into_iter().filter(|(kind, ..)| *kind == frames::DATA);
    data.flat_map(|(.., payload)| payload).collect()
}

fn go_on() -> Vec<u8> {
    frames::headers(1, 0, &[(":status", "100")])
}

#[tokio::test]
async fn what_a_slow_stream_has_given_is_not_held_back_in_the_encoder() {
    let server = serve([begun(&[]).hang()]).await;
    for (at, coding) in CODINGS.into_iter().enumerate() {
        let slow = stream::iter([Ok(Bytes::from("first piece"))]).chain(stream::pending());
        let sending = speaking(|_| {}).post(server.url("/")).body(Body::stream(slow, None)).compress(coding).send();
        let came = |bytes: &Vec<u8>| starts_with_first_piece(coding, &body_in(bytes));
        tokio::select! {
            answer = sending => panic!("{answer:?}"),
            () = until(|| server.received().get(at).is_some_and(came)) => {}
        }
    }
}

#[tokio::test]
async fn item_23_a_stream_shorter_than_announced_is_not_passed_off_as_whole_when_compressed() {
    let server = serve([begun(&[]).hang()]).await;
    let session = speaking(|_| {});
    let body = Body::stream(stream::iter([Ok(Bytes::from("five!"))]), Some(6));
    let sent = session.post(server.url("/")).body(body).compress(Coding::Gzip).send();
    assert_eq!(in_time(sent).await.unwrap_err().kind(), ErrorKind::Request);
    let sent = || frames_in(&server.received()[0]);
    until(|| sent().iter().any(|(kind, ..)| *kind == frames::RST_STREAM)).await;
    let ends = |kind, flags| [frames::HEADERS, frames::DATA].contains(&kind) && flags & frames::END_STREAM != 0;
    assert!(!sent().into_iter().any(|(kind, flags, ..)| ends(kind, flags)));
    assert_eq!(session.pool_stats(), pool(1, 1, 0));
}

#[tokio::test]
async fn the_body_goes_when_it_is_asked_for() {
    let large = Bytes::from(vec![b'x'; 60_000]);
    for (body, wanted, pieces) in
        [(Body::from("body"), "body".into(), 1), (once(), "body".into(), 3), (large.clone().into(), large, 4)]
    {
        let (asked_for, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let early = frames::headers(1, 0, &[(":status", "103")]);
        let mut script = asked(&[]).signal(&asked_for).wait_for(&go).send(early).send(go_on());
        for _ in 0..pieces {
            script = script.expect_frame(frames::DATA);
        }
        let script = script.send(frames::answer(1, "200", "ok"));
        let server = serve([script.expect_frame(frames::HEADERS).send(frames::answer(3, "200", "ok")).hang()]).await;
        let session = speaking(|_| {});
        let sent = session.put(server.url("/")).body(body).expect_continue(LONG).send();
        let checked = async {
            asked_for.notified().await;
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            assert!(body_in(&server.received()[0]).is_empty());
            go.notify_one();
        };
        let (response, ()) = in_time(async { tokio::join!(sent, checked) }).await;
        assert_eq!(response.unwrap().text().await.unwrap(), "ok");
        assert!(body_in(&server.received()[0]) == wanted);
        in_time(session.get(server.url("/")).send()).await.unwrap();
        assert_eq!((server.connections(), session.pool_counters().opened), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_asks_gets_the_body_after_the_wait() {
    let script = asked(&[]).expect_frame(frames::DATA).send(frames::answer(1, "200", "ok"));
    let server = serve([script.hang()]).await;
    // A `read` that is shorter than the wait does not end it.
    let session = speaking(|options| options.timeouts.read = Some(Duration::from_secs(3)));
    let started = tokio::time::Instant::now();
    let request = session.put(server.url("/")).body("body").expect_continue(Duration::from_secs(5));
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert!(started.elapsed() >= Duration::from_secs(5));
    assert_eq!(body_in(&server.received()[0]), b"body");
}

#[tokio::test(start_paused = true)]
async fn read_counts_from_where_the_wait_ended_and_total_ends_it() {
    let server = serve([asked(&[]).hang()]).await;
    let session = speaking(|options| options.timeouts.read = Some(Duration::from_secs(3)));
    let put = || session.put(server.url("/")).body("body");
    let started = tokio::time::Instant::now();
    let error = put().expect_continue(Duration::from_secs(5)).send().await.unwrap_err();
    assert_eq!((error.kind(), started.elapsed().as_secs()), (ErrorKind::TimeoutRead, 8));
    let error = put().expect_continue(LONG).timeout(Duration::from_secs(7)).send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimeoutTotal);
    assert!(body_in(&server.received()[1]).is_empty());
}

#[tokio::test]
async fn item_16_a_final_answer_spares_the_body_and_the_connection_goes_on() {
    for status in ["413", "200"] {
        let script = asked(&[]).send(frames::answer(1, status, "much")).expect_frame(frames::HEADERS);
        let server = serve([script.send(frames::answer(3, "200", "next")).hang()]).await;
        let session = speaking(|_| {});
        let request = session.put(server.url("/")).body(vec![b'x'; 1_000_000]).expect_continue(LONG);
        assert_eq!(in_time(request.send()).await.unwrap().text().await.unwrap(), "much");
        assert_eq!(in_time(session.get(server.url("/")).send()).await.unwrap().text().await.unwrap(), "next");
        assert!(body_in(&server.received()[0]).is_empty(), "no byte of the body");
        assert_eq!((server.connections(), session.pool_stats()), (1, pool(1, 1, 0)));
    }
}

#[tokio::test]
async fn a_417_is_repeated_without_and_a_one_time_stream_is_not_lost() {
    for body in [Body::from("body"), once()] {
        let takes = Answer::new(200, &[], "ok").behind_the_body();
        let server = Answering::start([Answer::new(417, &[], ""), takes]).await;
        let request = speaking(|_| {}).post(server.url("/")).body(body).expect_continue(LONG);
        assert_eq!(in_time(request.send()).await.unwrap().status(), 200);
        let asked = server.asked();
        assert_eq!((asked.len(), asked[0].fields["expect"].as_bytes()), (2, &b"100-continue"[..]));
        assert!(!asked[1].fields.contains_key("expect"));
        assert_eq!((&asked[1].body[..], server.connections()), (&b"body"[..], 1));
    }
}

#[tokio::test]
async fn item_23_a_redirect_before_the_body_was_begun_gets_all_of_a_one_time_stream() {
    let elsewhere = Answer::new(307, &[("location", "/b")], "");
    let server = Answering::start([elsewhere, Answer::new(200, &[], "ok").behind_the_body()]).await;
    // The second one does not ask for it.
    let request = speaking(|_| {}).put(server.url("/a")).body(once()).expect_continue(Duration::from_millis(50));
    assert_eq!(in_time(request.send()).await.unwrap().status(), 200);
    assert_eq!(server.asked()[1].body, "body");
}

#[tokio::test]
async fn a_stream_of_unknown_length_is_watched_to_its_last_byte() {
    let origin = origin().await;
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = seen.clone();
    let pieces = (0..30).map(|_| Ok(Bytes::from(vec![b'x'; 12_345])));
    let request = offering(&origin).put(origin.https_url("/anything")).body(Body::stream(stream::iter(pieces), None));
    let request = request.on_upload(move |progress| told.lock().unwrap().push((progress.done, progress.total)));
    assert!(in_time(request.send()).await.unwrap().ok());
    let seen = seen.lock().unwrap();
    assert!(seen.windows(2).all(|two| two[0].0 < two[1].0));
    assert_eq!(seen.last(), Some(&(30 * 12_345, None)));
}
