//! Frames of a server that means harm, or is broken: bounded, of one kind each, and without harm to the session.

use std::sync::Arc;

use gannet::ErrorKind;
use tokio::sync::Notify;

use super::*;

async fn kind_of(script: Script) -> ErrorKind {
    let server = serve([script.clone()]).await;
    let session = speaking(|options| options.timeouts.read = Some(Duration::from_secs(5)));
    let whole = async { session.get(server.url("/")).send().await?.bytes().await };
    let error = in_time(whole).await.expect_err("that was accepted");
    assert_eq!(session.pool_stats().waiting, 0);
    session.close();
    in_time(server.wait_for_closed(1)).await;
    error.kind()
}

fn sends(bytes: impl AsRef<[u8]>) -> Script {
    asked(&[]).send(bytes).hang()
}

#[tokio::test]
async fn item_21_a_flood_of_continuation_frames_is_cut() {
    let mut bytes = frames::frame(frames::HEADERS, 0, 1, &frames::block(&[(":status", "200")]));
    for number in 0..2000 {
        let field = frames::block(&[(&format!("x-{number}"), "y")]);
        bytes.extend(frames::frame(frames::CONTINUATION, 0, 1, &field));
    }
    assert_eq!(kind_of(sends(&bytes)).await, ErrorKind::Protocol);
    let mut empty = frames::frame(frames::HEADERS, 0, 1, &frames::block(&[(":status", "200")]));
    for _ in 0..2000 {
        empty.extend(frames::frame(frames::CONTINUATION, 0, 1, &[]));
    }
    assert_eq!(kind_of(sends(&empty)).await, ErrorKind::Protocol);
}

#[tokio::test]
async fn item_21_a_flood_of_empty_and_of_tiny_data_frames_is_cut() {
    let head = frames::headers(1, 0, &[(":status", "200")]);
    let empty = [head.clone(), frames::data(1, 0, "").repeat(100_000)].concat();
    assert!(matches!(kind_of(sends(empty)).await, ErrorKind::Protocol | ErrorKind::Body));
    // Nobody reads: what it costs to hold each of them is bounded, not only what they bring.
    let server = serve([sends([head, frames::data(1, 0, "x").repeat(1_000_000)].concat())]).await;
    let session = speaking(|_| {});
    let response = in_time(session.get(server.url("/")).send()).await.unwrap();
    in_time(server.wait_for_closed(1)).await;
    assert!(matches!(in_time(response.bytes()).await.unwrap_err().kind(), ErrorKind::Body | ErrorKind::Protocol));
}

#[tokio::test]
async fn item_21_floods_of_settings_and_pings_do_not_stop_a_response_or_pile_up() {
    for flood in [frames::settings(&[]), frames::frame(frames::PING, 0, 0, &[7; 8])] {
        let answer = frames::answer(1, "200", "ok");
        let server = serve([asked(&[]).send([flood.repeat(20_000), answer].concat()).hang()]).await;
        let session = speaking(|_| {});
        let response = in_time(session.get(server.url("/")).send()).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "ok");
    }
}

/// Sends this flood to a request and takes nothing of what it is answered with; the flood must not be taken whole.
pub(super) async fn is_not_taken_whole(flood: &[u8]) {
    let whole = Arc::new(Notify::new());
    let server = serve([asked(&[]).send(flood).signal(&whole).hang()]).await;
    let session = speaking(|options| options.timeouts.read = Some(Duration::from_millis(300)));
    // On virtual time: the timeout comes when both sides have come to a stop, and not while one of them is slow.
    let error = session.get(server.url("/")).send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimeoutRead, "{error:?}");
    assert!(poll_once(&mut pin!(whole.notified())).await.is_none(), "it was read to its end");
}

#[tokio::test(start_paused = true)]
async fn item_21_pings_of_a_server_that_takes_no_answers_stop_the_reading() {
    is_not_taken_whole(&frames::frame(frames::PING, 0, 0, &[7; 8]).repeat(3_000_000)).await;
}

#[tokio::test]
async fn item_21_resets_as_fast_as_requests_come_are_errors_and_no_loop() {
    let server = serve([resetting(40, frames::INTERNAL_ERROR).hang()]).await;
    let session = speaking(|_| {});
    for _ in 0..40 {
        let error = in_time(session.get(server.url("/")).send()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connection);
    }
    assert_eq!(server.connections(), 1);
    // Resets of streams that were never opened are a broken rule.
    assert_eq!(kind_of(sends(frames::reset(9, frames::CANCEL))).await, ErrorKind::Protocol);
}

#[tokio::test]
async fn item_20_heads_without_end_are_cut() {
    let large = "y".repeat(70_000);
    let many: Vec<(String, String)> = (0..101).map(|n| (format!("x{n}"), "1".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (&**name, &**value)).collect();
    let split = |block: &[u8]| {
        let mut frames_of = Vec::new();
        let count = block.chunks(16_000).count();
        for (number, piece) in block.chunks(16_000).enumerate() {
            let end = if number + 1 == count { frames::END_HEADERS } else { 0 };
            let kind = if number == 0 { frames::HEADERS } else { frames::CONTINUATION };
            frames_of.extend(frames::frame(kind, end, 1, piece));
        }
        frames_of
    };
    let with = |fields: &[(&str, &str)]| frames::block(&[&[(":status", "200")], fields].concat());
    assert_eq!(kind_of(sends(split(&with(&[("x", &large)])))).await, ErrorKind::Protocol);
    assert_eq!(kind_of(sends(split(&with(&many)))).await, ErrorKind::Protocol);
    let interim = frames::headers(1, 0, &[(":status", "103"), ("link", "</a>; rel=preload")]);
    assert_eq!(kind_of(sends(interim.repeat(5000))).await, ErrorKind::Protocol);
    let head = frames::headers(1, 0, &[(":status", "200")]);
    let trailers = frames::headers(1, frames::END_STREAM, &many);
    assert_eq!(kind_of(sends([head, trailers].concat())).await, ErrorKind::Protocol);
    let fits = with(&[("x", &"y".repeat(60_000))]);
    let body = frames::data(1, frames::END_STREAM, "ok");
    let server = serve([sends([split(&fits), body].concat())]).await;
    let response = in_time(speaking(|_| {}).get(server.url("/")).send()).await.unwrap();
    assert_eq!(response.headers().get("x").unwrap().len(), 60_000);
}

#[tokio::test]
async fn item_18_a_body_that_is_not_what_its_head_announced_is_an_error() {
    let head = |length: &str| frames::headers(1, 0, &[(":status", "200"), ("content-length", length)]);
    let end = frames::END_STREAM;
    for bytes in [
        [head("10"), frames::data(1, end, "half")].concat(),
        [head("3"), frames::data(1, end, "more")].concat(),
        [head("10"), frames::data(1, 0, "half"), frames::headers(1, end, &[("t", "1")])].concat(),
    ] {
        assert_eq!(kind_of(sends(bytes)).await, ErrorKind::Body);
    }
    let cut = [head("10"), frames::data(1, 0, "half")].concat();
    assert_eq!(kind_of(asked(&[]).send(&cut).close()).await, ErrorKind::Body);
    assert_eq!(kind_of(asked(&[]).send(&cut).reset()).await, ErrorKind::Body);
    let open = [frames::headers(1, 0, &[(":status", "200")]), frames::data(1, 0, "half")].concat();
    assert_eq!(kind_of(asked(&[]).send(open).close()).await, ErrorKind::Body);
}

#[tokio::test]
async fn broken_rules_are_of_kind_protocol() {
    for bytes in [
        frames::headers(1, frames::END_STREAM, &[("x", "no status")]),
        frames::headers(1, frames::END_STREAM, &[(":status", "200"), ("Upper", "1")]),
        frames::headers(1, frames::END_STREAM, &[(":status", "200"), ("connection", "close")]),
        frames::headers(1, frames::END_STREAM, &[(":status", "200"), ("x", "a\r\nb: c")]),
        frames::headers(1, frames::END_STREAM, &[(":status", "200"), ("content-length", "1"), ("content-length", "2")]),
        frames::headers(1, frames::END_STREAM, &[(":status", "99")]),
        frames::data(1, 0, "before the head"),
        frames::headers(2, 0, &[(":status", "200")]),
        frames::frame(frames::PUSH_PROMISE, frames::END_HEADERS, 1, &[0, 0, 0, 2]),
        frames::frame(frames::WINDOW_UPDATE, 0, 0, &[0; 4]),
        frames::frame(frames::SETTINGS, 0, 0, &[0; 5]),
        frames::frame(frames::DATA, 0, 1, &vec![0; 20_000]),
        b"\xff\xff\xff\0\0\0\0\0\x01".to_vec(),
    ] {
        let kind = kind_of(sends(&bytes)).await;
        assert_eq!(kind, ErrorKind::Protocol, "{:x?}", &bytes[..bytes.len().min(40)]);
    }
}
