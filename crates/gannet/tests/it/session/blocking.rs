//! The door for programs that are not async.

use std::time::Duration;

use gannet::blocking::Session;
use gannet::{ErrorKind, EventSourceOptions, Options};
use gannet_origin::Origin;
use gannet_origin::script::{Script, ScriptedServer};
use serde_json::Value;

#[test]
fn one_session_serves_many_threads() {
    let origin = Origin::start_blocking().unwrap();
    let mut options = Options::default();
    options.connections.max = 2;
    let session = Session::new(options).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (session, origin) = (session.clone(), &origin);
            scope.spawn(move || {
                for id in 0..10 {
                    let id = thread * 10 + id;
                    let response = session.get(origin.url(&format!("/items/{id}"))).send().unwrap();
                    assert_eq!(response.json::<Value>().unwrap()["id"], id);
                }
            });
        }
    });
    let stats = origin.stats();
    assert_eq!((stats.requests, stats.connections_total), (40, 2));
}

#[test]
fn bodies_errors_and_closing_are_those_of_the_async_door() {
    let origin = Origin::start_blocking().unwrap();
    let session = Session::new(Options::default()).unwrap();
    let echoed: Value = session.post(origin.url("/anything")).body("hello").send().unwrap().json().unwrap();
    assert_eq!(echoed["data"], "hello");
    let mut response = session.get(origin.url("/bytes/200000")).send().unwrap();
    let mut length = 0;
    while let Some(piece) = response.chunk().unwrap() {
        length += piece.len();
    }
    assert_eq!(length, 200_000);
    let missing = session.get(origin.url("/status/404")).send().unwrap();
    assert_eq!(missing.status(), 404);
    assert_eq!(missing.error_for_status().unwrap_err().kind(), ErrorKind::Status);
    assert_eq!(session.get("http://127.0.0.1:1/").send().unwrap_err().kind(), ErrorKind::Connect);
    session.close();
    assert_eq!(session.get(origin.url("/get")).send().unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn it_may_be_dropped_in_async_code_and_says_plainly_that_it_may_not_be_used_there() {
    let origin = super::origin().await;
    let session = Session::new(Options::default()).unwrap();
    let url = origin.url("/bytes/100000");
    let (session, response) = tokio::task::spawn_blocking(move || {
        let response = session.get(url).send().unwrap();
        (session, response)
    })
    .await
    .unwrap();
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| session.get(origin.url("/get")).send()));
    let message = refused.unwrap_err();
    let message =
        message.downcast_ref::<String>().cloned().or_else(|| message.downcast_ref::<&str>().map(|s| (*s).to_owned()));
    assert!(message.unwrap().contains("within a runtime"));
    drop(session);
    drop(response);
    super::until(|| origin.stats().connections == 0).await;
}

#[test]
fn an_event_source_is_read_like_an_iterator_over_as_many_connections_as_it_takes() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let stream = |events: &str| Script::new().expect_head().send(format!("{head}{events}")).close();
    let gone = Script::new().expect_head().send("HTTP/1.1 204 No Content\r\n\r\n").close();
    let scripts = [stream("id: 1\ndata: a\n\nid: 2\ndata: cut off"), stream("id: 3\ndata: c\n\n"), gone];
    let server = ScriptedServer::start_blocking(scripts).unwrap();
    let session = Session::new(Options::default()).unwrap();
    let at_once = EventSourceOptions { retry: Duration::ZERO, retry_max: Duration::ZERO, ..Default::default() };
    let mut source = session.get(server.url("/")).event_source(at_once).unwrap().with_last_id("0");
    let read: Vec<_> = source.by_ref().map(|event| event.unwrap().data).collect();
    assert_eq!((read, source.last_id()), (vec!["a".to_owned(), "c".to_owned()], "3"));
    let asked: Vec<_> = server.received().iter().map(|head| super::text(head)).collect();
    for (head, id) in asked.iter().zip(["0", "1", "3"]) {
        assert!(head.contains(&format!("last-event-id: {id}\r\n")), "{head}");
    }
    let nobody = EventSourceOptions { max_failures: Some(0), ..EventSourceOptions::default() };
    let mut refused = session.get("http://127.0.0.1:1/").event_source(nobody).unwrap();
    assert_eq!(refused.next().unwrap().unwrap_err().kind(), ErrorKind::Connect);
    assert!(refused.next().is_none());
}

#[test]
fn what_watches_and_changes_requests_is_there_behind_this_door_too() {
    let origin = Origin::start_blocking().unwrap();
    let seen = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = seen.clone();
    let adds = |mut request: gannet::Request, next: gannet::Next| async move {
        request.headers_mut().set("x-added", "1")?;
        next.run(request).await
    };
    let session = gannet::Session::builder(Options::default()).middleware(adds).build().unwrap();
    let session = gannet::blocking::Session::of(session).unwrap();
    let request = session.get(origin.url("/anything")).trace(move |_: &gannet::trace::Event<'_>| {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    });
    let answer: Value = request.send().unwrap().json().unwrap();
    assert_eq!(answer["headers"]["X-Added"], "1");
    assert!(seen.load(std::sync::atomic::Ordering::Relaxed) >= 5);
}
