//! The door for programs that are not async.

use std::io::Read;
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
fn a_body_is_a_reader_and_lines() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\none\ntwo\ne";
    let twice = Script::new().expect_head().send(answer).expect_head().send(answer);
    let torn = twice.expect_head().send(&answer[..answer.len() - 4]).close();
    let server = ScriptedServer::start_blocking([torn]).unwrap();
    let session = Session::new(Options::default()).unwrap();
    let get = || session.get(server.url("/")).send().unwrap();
    let mut response = get();
    let (mut first, mut rest) = ([0; 2], String::new());
    response.read_exact(&mut first).unwrap();
    assert_eq!(response.read(&mut []).unwrap(), 0, "no end: nothing was asked for");
    response.read_to_string(&mut rest).unwrap();
    assert_eq!((&first, rest.as_str(), response.read(&mut [0]).unwrap()), (b"on", "e\ntwo\ne", 0));
    let mut begun = get();
    begun.read_exact(&mut first).unwrap();
    let lines: Vec<_> = begun.lines().map(Result::unwrap).collect();
    assert_eq!(lines, ["e", "two", "e"], "what a reader left comes first");
    let error = get().read_to_end(&mut Vec::new()).unwrap_err();
    let ours = error.get_ref().unwrap().downcast_ref::<gannet::Error>().unwrap();
    assert_eq!((error.kind(), ours.kind()), (std::io::ErrorKind::Other, ErrorKind::Body));
}

#[test]
fn what_the_async_door_has_is_waited_for() {
    let origin = Origin::start_blocking().unwrap();
    let session = Session::new(Options::default()).unwrap();
    let urls: Vec<_> = (0..20).map(|id| origin.url(&format!("/items/{id}"))).collect();
    let fetch = session.as_ref().fetch_iter(urls.clone()).ordered();
    let indices: Vec<_> = session.outcomes(fetch).map(|outcome| (outcome.index, outcome.is_ok())).collect();
    assert_eq!(indices, (0..20).map(|index| (index, true)).collect::<Vec<_>>());
    let map = session.block_on(session.as_ref().fetch_map(urls, gannet::bulk::BulkOptions::default()));
    assert_eq!(map.len(), 20);
    let part = "--b\r\n\r\none\r\n--b--";
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: multipart/mixed; boundary=b\r\ncontent-length: {}\r\n\r\n{part}",
        part.len()
    );
    let busy = Script::new().expect_head().send("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").close();
    let server = ScriptedServer::start_blocking([busy, Script::new().expect_head().send(&answer).hang()]).unwrap();
    let policy = super::downloads::at_once(2).retry;
    let response = session.execute_retrying(session.get(server.url("/")).build().unwrap(), &policy).unwrap();
    let mut parts = response.into_async().multipart().unwrap();
    let part = session.block_on(parts.next_part()).unwrap().unwrap();
    assert_eq!(session.block_on(part.text()).unwrap(), "one");
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
