//! Downloads to files and server-sent events, where what breaks off is a stream and not its connection.

use std::sync::Arc;

use futures_util::StreamExt;
use gannet::ErrorKind;
use tokio::sync::Notify;

use super::super::downloads::{Folder, at_once};
use super::super::events;
use super::peer::{Answer, Answering};
use super::*;

const BODY: &str = "hello world";
const WHOLE: [(&str, &str); 2] = [("etag", "\"v1\""), ("content-length", "11")];
const REST: [(&str, &str); 3] = [("etag", "\"v1\""), ("content-length", "6"), ("content-range", "bytes 5-10/11")];

#[tokio::test]
async fn a_download_goes_on_where_its_stream_broke_off_on_the_same_connection() {
    let folder = Folder::new();
    let steps =
        [Answer::new(200, &WHOLE, "hello").cut(), Answer::new(503, &[], "busy"), Answer::new(206, &REST, " world")];
    let server = Answering::start(steps).await;
    let session = speaking(|_| {});
    let error = in_time(session.download(server.url("/a"), folder.path("f")).send()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Body, "{error}");
    assert_eq!((folder.read("f.part").as_deref(), folder.read("f")), (Some("hello"), None));
    let download = session.download(server.url("/a"), folder.path("f")).options(at_once(2));
    let saved = in_time(download.send()).await.unwrap();
    assert_eq!((saved.resumed_at, saved.attempts, folder.read("f").as_deref()), (5, 2, Some(BODY)));
    assert_eq!(folder.names(), ["f"]);
    let asked = server.asked();
    assert!(!asked[0].fields.contains_key("range"));
    for again in &asked[1..] {
        assert_eq!(again.fields["range"], "bytes=5-");
        assert_eq!(again.fields["if-range"], "\"v1\"");
        assert_eq!(again.fields["accept-encoding"], "identity");
    }
    assert_eq!((asked.len(), server.connections(), session.pool_stats()), (3, 1, pool(1, 1, 0)));
}

#[tokio::test]
async fn a_download_goes_on_over_another_connection_where_its_own_was_lost() {
    let folder = Folder::new();
    let head = |status, fields: &[(&str, &str)]| frames::headers(1, 0, &[&[(":status", status)], fields].concat());
    let first = [head("200", &WHOLE), frames::data(1, 0, "hello")].concat();
    let second = [head("206", &REST), frames::data(1, frames::END_STREAM, " world")].concat();
    let server = serve([asked(&[]).send(first).close(), asked(&[]).send(second).hang()]).await;
    let download = speaking(|_| {}).download(server.url("/a"), folder.path("f")).options(at_once(2));
    let saved = in_time(download.send()).await.unwrap();
    assert_eq!((saved.resumed_at, saved.attempts, folder.read("f").as_deref()), (5, 2, Some(BODY)));
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_large_file_is_whole_and_watched_to_its_last_byte() {
    let (origin, folder) = (origin().await, Folder::new());
    let done = Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = done.clone();
    let download = offering(&origin).download(origin.https_url("/bytes/5000000?seed=1"), folder.path("f"));
    let download = download.on_progress(move |progress| told.lock().unwrap().push((progress.done, progress.total)));
    let saved = in_time(download.send()).await.unwrap();
    assert!(std::fs::read(&saved.path).unwrap() == gannet_origin::payload(1, 5_000_000));
    let done = done.lock().unwrap();
    assert!(done.windows(2).all(|two| two[0].0 < two[1].0));
    assert_eq!(done.last(), Some(&(5_000_000, Some(5_000_000))));
}

fn stream_of_events(stream: u32, events: &str) -> Vec<u8> {
    let head = [(":status", "200"), ("content-type", "text/event-stream")];
    [frames::headers(stream, 0, &head), frames::data(stream, 0, events)].concat()
}

#[tokio::test]
async fn events_come_as_they_are_sent_beside_other_requests() {
    let go = Arc::new(Notify::new());
    let script = asked(&[]).send(stream_of_events(1, "retry: 5\nid: 1\ndata: a\n\nda"));
    let script = script.expect_frame(frames::HEADERS).send(frames::answer(3, "200", "beside"));
    let rest = frames::data(1, frames::END_STREAM, "ta: b\r\revent: x\ndata: cut off");
    let server = serve([script.wait_for(&go).send(rest).hang()]).await;
    let session = speaking(|_| {});
    let mut events = session.get(server.url("/")).send().await.unwrap().events();
    let first = in_time(events.next_event()).await.unwrap().unwrap();
    assert_eq!((first.id.as_str(), first.event.as_str(), first.data.as_str()), ("1", "message", "a"));
    assert_eq!(in_time(session.get(server.url("/")).send()).await.unwrap().text().await.unwrap(), "beside");
    go.notify_one();
    assert_eq!(in_time(events.next()).await.unwrap().unwrap().data, "b");
    assert!(in_time(events.next_event()).await.is_none());
    assert_eq!((server.connections(), session.pool_stats()), (1, pool(1, 1, 0)));
}

#[tokio::test]
async fn an_event_source_goes_on_behind_the_last_whole_event_over_the_same_connection() {
    let events = |body| Answer::new(200, &[("content-type", "text/event-stream")], body);
    let first = events("id: 1\ndata: a\n\nid: 2\ndata: cut off").cut();
    let gone = Answer::new(204, &[], "");
    let server = Answering::start([first, Answer::new(503, &[], ""), events("id: 3\ndata: c\n\n"), gone]).await;
    let session = speaking(|_| {});
    let mut source = session.get(server.url("/")).event_source(events::at_once()).unwrap();
    assert_eq!(in_time(source.next_event()).await.unwrap().unwrap().data, "a");
    assert_eq!(in_time(source.next_event()).await.unwrap().unwrap().data, "c");
    assert!(in_time(source.next_event()).await.is_none());
    let ids: Vec<_> = server.asked().iter().map(|asked| asked.fields.get("last-event-id").cloned()).collect();
    let id = |id: &'static str| Some(http::HeaderValue::from_static(id));
    assert_eq!(ids, [None, id("1"), id("1"), id("3")]);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_event_source_is_dropped_with_its_stream_alone() {
    let script = asked(&[]).send(stream_of_events(1, "data: a\n\n")).expect_frame(frames::RST_STREAM);
    let server = serve([script.expect_frame(frames::HEADERS).send(frames::answer(3, "200", "ok")).hang()]).await;
    let session = speaking(|_| {});
    let mut source = session.get(server.url("/")).event_source(events::at_once()).unwrap();
    assert_eq!(in_time(source.next_event()).await.unwrap().unwrap().data, "a");
    drop(source);
    until(|| frames_in(&server.received()[0]).iter().any(|(kind, ..)| *kind == frames::RST_STREAM)).await;
    assert_eq!(in_time(session.get(server.url("/")).send()).await.unwrap().text().await.unwrap(), "ok");
    assert_eq!((server.connections(), session.pool_stats()), (1, pool(1, 1, 0)));
}
