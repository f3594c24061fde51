//! Server-sent events: as a stream of one response, and over as many connections as it takes.

use std::time::Duration;

use futures_util::StreamExt;
use gannet::{ErrorKind, EventLimits, EventParser, EventSourceOptions, Session};

use super::*;

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nconnection: close\r\n\r\n";

fn stream(events: &str) -> Script {
    Script::new().expect_head().send(format!("{HEAD}{events}")).close()
}

/// Waits as short as they get: what is asked for by the server counts.
pub(super) fn at_once() -> EventSourceOptions {
    EventSourceOptions { retry: Duration::ZERO, retry_max: Duration::ZERO, ..EventSourceOptions::default() }
}

#[tokio::test]
async fn the_events_of_a_response_come_as_they_are_sent() {
    let go = std::sync::Arc::new(tokio::sync::Notify::new());
    let script = Script::new().expect_head().send(format!("{HEAD}retry: 5\nid: 1\ndata: a\n\nda")).wait_for(&go);
    let server = serve([script.send("ta: b\r\revent: x\ndata: cut off").close()]).await;
    let mut events = Session::default().get(server.url("/")).send().await.unwrap().events();
    let first = in_time(events.next_event()).await.unwrap().unwrap();
    assert_eq!((first.id.as_str(), first.event.as_str(), first.data.as_str()), ("1", "message", "a"));
    assert_eq!((events.last_id(), events.retry()), ("1", Some(Duration::from_millis(5))));
    go.notify_one();
    assert_eq!(in_time(events.next()).await.unwrap().unwrap().data, "b");
    assert!(in_time(events.next_event()).await.is_none());
}

#[tokio::test]
async fn item_22_an_event_over_its_bound_ends_the_stream() {
    let server = serve([stream(&format!("data: a\n\ndata: {}", "x".repeat(1000)))]).await;
    let parser = EventParser::new(EventLimits { max_line: 100, ..EventLimits::default() });
    let mut events = Session::default().get(server.url("/")).send().await.unwrap().events_with(parser);
    assert_eq!(in_time(events.next_event()).await.unwrap().unwrap().data, "a");
    assert_eq!(in_time(events.next_event()).await.unwrap().unwrap_err().kind(), ErrorKind::TooLarge);
    assert!(in_time(events.next_event()).await.is_none());
}

#[tokio::test]
async fn a_lost_connection_is_made_again_behind_the_last_whole_event() {
    let gone = Script::new().expect_head().send("HTTP/1.1 204 No Content\r\n\r\n").close();
    let busy =
        Script::new().expect_head().send("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").close();
    let first = stream("id: 1\ndata: a\n\nid: 2\ndata: cut off");
    let server = serve([first, busy, Script::new().expect_head().reset(), stream("id: 3\ndata: c\n\n"), gone]).await;
    let session = Session::default();
    let mut source = session.get(server.url("/")).event_source(at_once()).unwrap();
    assert_eq!(in_time(source.next_event()).await.unwrap().unwrap().data, "a");
    assert_eq!(in_time(source.next_event()).await.unwrap().unwrap().data, "c");
    assert_eq!(source.last_id(), "3");
    assert!(in_time(source.next_event()).await.is_none());
    assert!(in_time(source.next_event()).await.is_none());
    let asked: Vec<_> = server.received().iter().map(|head| text(head)).collect();
    assert_eq!(asked.len(), 5);
    assert!(asked[0].contains("accept: text/event-stream\r\n") && !asked[0].contains("last-event-id"));
    for (head, id) in asked[1..].iter().zip(["1", "1", "1", "3"]) {
        assert!(head.contains(&format!("last-event-id: {id}\r\n")), "{head}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_wait_is_what_the_server_asked_for_and_doubles_while_nothing_comes() {
    let busy = "HTTP/1.1 503 Busy\r\nretry-after: 600\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let busy = Script::new().expect_head().send(busy).close();
    let server = serve([stream("retry: 7000\ndata: a\n\n"), stream(""), busy, stream("data: b\n\n")]).await;
    // Without timeouts the waits alone move the clock.
    let session = session(|options| (options.timeouts.read, options.timeouts.connect) = (None, None));
    let mut source = session.get(server.url("/")).event_source(EventSourceOptions::default()).unwrap();
    source.next_event().await.unwrap().unwrap();
    let started = tokio::time::Instant::now();
    source.next_event().await.unwrap().unwrap();
    let waited = started.elapsed().as_secs();
    // 7 s after the stream's end, 14 s after one without events, and then what Retry-After says.
    assert_eq!(waited, 7 + 14 + 600);
}

#[tokio::test]
async fn what_is_no_event_stream_is_not_asked_for_again() {
    let session = Session::default();
    let not_found = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
    for (answer, kind) in [(not_found, ErrorKind::Status), (OK, ErrorKind::Decode)] {
        let server = serve([answers(answer)]).await;
        let mut source = session.get(server.url("/")).event_source(at_once()).unwrap();
        assert_eq!(in_time(source.next_event()).await.unwrap().unwrap_err().kind(), kind);
        assert!(in_time(source.next_event()).await.is_none());
        assert_eq!(text(&server.received()[0]).matches("GET ").count(), 1);
    }
}

#[tokio::test]
async fn it_gives_up_after_so_many_connections_without_an_event() {
    let server = serve([stream(": nothing\n\n")]).await;
    let options = EventSourceOptions { max_failures: Some(2), ..at_once() };
    let mut source = Session::default().get(server.url("/")).event_source(options).unwrap();
    assert_eq!(in_time(source.next_event()).await.unwrap().unwrap_err().kind(), ErrorKind::Connection);
    assert_eq!(server.connections(), 3);
}
