//! Which rows are tried again, and how often.

use std::time::Duration;

use gannet::bulk::Outcome;
use gannet::{ErrorKind, Method, Request};
use gannet_origin::Origin;
use gannet_origin::script::{Script, ScriptedServer};

use super::{kinds, quick, session};

#[tokio::test]
async fn transient_failures_are_tried_again_until_they_pass() {
    let origin = Origin::start().await.unwrap();
    let urls: Vec<String> = (0..100).map(|n| origin.url(&format!("/flaky?p=0.3&seed=7&mode=truncate&n={n}"))).collect();
    let mut options = quick();
    options.retry.attempts = 10;
    let session = {
        let mut options = gannet::Options::default();
        options.timeouts.read = Some(Duration::from_millis(300));
        gannet::Session::new(options).unwrap()
    };
    let outcomes = session.fetch_all(&urls).options(options).await;
    assert!(outcomes.iter().all(Outcome::is_ok), "{outcomes:#?}");
    let attempts: u64 = outcomes.iter().map(|outcome| u64::from(outcome.attempts)).sum();
    assert!(attempts > 100);
    assert_eq!(origin.stats().requests, attempts, "every attempt is counted and none is hidden");
}

#[tokio::test]
async fn permanent_failures_are_asked_once() {
    let origin = Origin::start().await.unwrap();
    let outcomes = session().fetch_all([origin.url("/status/404"), origin.url("/status/400")]).options(quick()).await;
    assert_eq!(outcomes.iter().map(|outcome| outcome.attempts).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(origin.stats().requests, 2);
}

#[tokio::test]
async fn what_may_not_be_repeated_is_sent_once_unless_it_says_so() {
    let origin = Origin::start().await.unwrap();
    let session = session();
    let post = |key: bool| -> Request {
        let mut builder = session.request(Method::POST, origin.url("/status/503")).body("x");
        if key {
            builder = builder.header("Idempotency-Key", "k");
        }
        builder.build().unwrap()
    };
    let outcomes = session.fetch_all([post(false), post(true)]).options(quick()).await;
    assert_eq!(outcomes.iter().map(|outcome| outcome.attempts).collect::<Vec<_>>(), [1, 3]);
    let mut unsafe_too = quick();
    unsafe_too.retry.unsafe_methods = true;
    assert_eq!(session.fetch_all([post(false)]).options(unsafe_too).await[0].attempts, 3);
}

#[tokio::test]
async fn a_deadline_bounds_a_row_with_all_its_attempts() {
    let origin = Origin::start().await.unwrap();
    let mut options = quick();
    options.deadline = Some(Duration::from_millis(200));
    options.retry.attempts = 1000;
    let outcomes = session().fetch_all([origin.url("/hang"), origin.url("/status/503")]).options(options).await;
    assert_eq!(outcomes[0].error_kind(), Some(ErrorKind::TimeoutDeadline));
    assert!(outcomes[1].attempts > 1 && outcomes[1].attempts < 1000);
}

#[tokio::test]
async fn every_failure_has_its_own_kind() {
    let origin = Origin::start().await.unwrap();
    let garbage = ScriptedServer::start(vec![Script::new().expect_head().send("HELLO\r\n\r\n").close()]).await.unwrap();
    let urls = [
        origin.url("/reset"),
        origin.url("/truncate"),
        origin.url("/truncate?chunked=1"),
        origin.url("/redirect/20"),
        garbage.url("/"),
        "http://no-such-host.invalid/".to_owned(),
        "ftp://127.0.0.1/".to_owned(),
    ];
    let mut once = quick();
    once.retry.attempts = 1;
    let outcomes = session().fetch_all(&urls).options(once).await;
    use ErrorKind::{Body, Connection, Dns, Protocol, Redirect, Url};
    let expected = [Connection, Body, Body, Redirect, Protocol, Dns, Url].map(Some);
    assert_eq!(kinds(&outcomes), expected, "{outcomes:#?}");
    assert_eq!(outcomes[1].status().map(|status| status.as_u16()), Some(200), "the head had come");
}

#[tokio::test]
async fn what_the_server_did_not_look_at_is_tried_again_whatever_the_method() {
    use gannet_origin::script::frames;
    let hello = [frames::settings(&[]), frames::frame(frames::SETTINGS, 1, 0, &[])].concat();
    let mut script = Script::new().expect_frame(frames::SETTINGS).send(hello).expect_frame(frames::HEADERS);
    // The session itself sends it four times; the row's second attempt is the fifth.
    for stream in [1, 3, 5, 7] {
        script = script.send(frames::reset(stream, frames::REFUSED_STREAM)).expect_frame(frames::HEADERS);
    }
    let server = ScriptedServer::start([script.send(frames::answer(9, "200", "ok")).hang()]).await.unwrap();
    let mut options = gannet::Options::default();
    options.http.version = gannet::HttpVersion::Http2PriorKnowledge;
    let session = gannet::Session::new(options).unwrap();
    let post = session.request(Method::POST, server.url("/")).build().unwrap();
    let outcomes = session.fetch_all([post]).options(quick()).await;
    assert!(outcomes[0].is_ok() && outcomes[0].attempts == 2, "{outcomes:#?}");
}
