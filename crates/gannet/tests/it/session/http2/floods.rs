//! Frames that bring nothing, without end: what they may pile up is bounded, whether anybody looks or not, and what the
//! other requests on the connection see of it.

use gannet::{ErrorKind, Response, Session};

use super::hostile::is_not_taken_whole;
use super::*;

const INTERIM: [(&str, &str); 2] = [(":status", "103"), ("link", "</style.css>; rel=preload")];

type Sending = std::pin::Pin<Box<dyn Future<Output = gannet::Result<Response>>>>;

/// Sends a request, the first one being number 0, and looks no further.
async fn sent(session: &Session, server: &ScriptedServer, number: usize) -> Sending {
    let mut sending: Sending = Box::pin(session.get(server.url("/")).send());
    in_time(async {
        while count(server, frames::HEADERS) <= number {
            assert!(poll_once(&mut sending).await.is_none());
            tokio::task::yield_now().await;
        }
    })
    .await;
    sending
}

/// Frames of this type that have come on the first connection.
fn count(server: &ScriptedServer, wanted: u8) -> usize {
    let received = server.received();
    let bytes = received.first().filter(|bytes| bytes.len() >= frames::PREFACE.len());
    bytes.map_or(0, |bytes| frames_in(bytes).iter().filter(|(kind, ..)| *kind == wanted).count())
}

#[tokio::test]
async fn item_21_interim_responses_that_nobody_looks_at_end_the_connection() {
    let flood = frames::headers(1, 0, &INTERIM).repeat(2000);
    let server = serve([asked(&[]).send(flood).hang()]).await;
    let session = speaking(|options| options.timeouts.read = None);
    let sending = sent(&session, &server, 0).await;
    // Without a look from the request.
    in_time(server.wait_for_closed(1)).await;
    let error = in_time(sending).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
    assert!(error.to_string().contains("interim"), "{error}");
    assert_eq!((session.pool_stats(), session.pool_counters().closed.failed), (pool(0, 0, 0), 1));
}

#[tokio::test]
async fn item_21_it_is_an_error_of_the_connection_for_those_that_share_it() {
    let flood: Vec<u8> = (0..1000).flat_map(|n| frames::headers(if n % 2 == 0 { 1 } else { 5 }, 0, &INTERIM)).collect();
    let script = asked(&[]).expect_frame(frames::HEADERS).expect_frame(frames::HEADERS);
    let part = [frames::headers(3, 0, &[(":status", "200")]), frames::data(3, 0, "part")].concat();
    let ping = frames::frame(frames::PING, 0, 0, &[7; 8]);
    let server = serve([script.send([part, ping].concat()).expect_frame(frames::PING).send(flood).hang()]).await;
    let session = speaking(|_| {});
    let first = sent(&session, &server, 0).await;
    let second = sent(&session, &server, 1).await;
    let mut third: Sending = Box::pin(session.get(server.url("/")).send());
    assert!(poll_once(&mut third).await.is_none());
    let response = in_time(second).await.unwrap();
    in_time(server.wait_for_closed(1)).await;
    assert_eq!(in_time(response.bytes()).await.unwrap_err().kind(), ErrorKind::Body);
    for sending in [first, third] {
        let error = in_time(sending).await.unwrap_err();
        assert_eq!((error.kind(), error.is_unprocessed()), (ErrorKind::Connection, false), "{error:?}");
    }
}

#[tokio::test]
async fn as_many_interim_responses_as_a_head_may_hold_are_fine_while_somebody_looks() {
    // Far more than may lie unread, in pieces that are looked at one by one.
    let mut script = asked(&[]);
    for _ in 0..40 {
        script =
            script.send(frames::headers(1, 0, &INTERIM).repeat(20)).send(frames::frame(frames::PING, 0, 0, &[7; 8]));
        script = script.expect_frame(frames::PING);
    }
    let server = serve([script.send(frames::answer(1, "200", "ok")).hang()]).await;
    let response = in_time(speaking(|_| {}).get(server.url("/")).send()).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "ok");
}

#[tokio::test]
async fn heads_that_come_too_late_for_requests_given_up_do_not_count_against_the_others() {
    let mut script = begun(&[]);
    for nth in 0..400 {
        let stream = 2 * nth + 1;
        let late = [frames::headers(stream, 0, &INTERIM), frames::answer(stream, "200", "late")].concat();
        script = script.expect_frame(frames::HEADERS).expect_frame(frames::RST_STREAM).send(late);
    }
    let server = serve([script.expect_frame(frames::HEADERS).send(frames::answer(801, "200", "ok")).hang()]).await;
    let session = speaking(|_| {});
    for nth in 0..400 {
        drop(sent(&session, &server, nth).await);
        until(|| count(&server, frames::RST_STREAM) > nth).await;
    }
    assert_eq!(in_time(session.get(server.url("/")).send()).await.unwrap().text().await.unwrap(), "ok");
    assert_eq!((server.connections(), session.pool_counters().opened), (1, 1));
}

/// What two requests see, the first of which is flooded before both are answered.
async fn beside(flood: &[u8]) -> [gannet::Result<String>; 2] {
    let script = asked(&[]).expect_frame(frames::HEADERS).send(flood);
    let answers = [frames::answer(3, "200", "two"), frames::answer(1, "200", "one")].concat();
    let server = serve([script.send(answers).hang()]).await;
    let session = speaking(|options| options.timeouts.read = Some(Duration::from_secs(5)));
    let whole = || async { session.get(server.url("/")).send().await?.text().await };
    let results = in_time(async { tokio::join!(whole(), whole()) }).await;
    session.close();
    in_time(server.wait_for_closed(1)).await;
    results.into()
}

#[tokio::test]
async fn item_21_frames_that_leave_nothing_behind_stop_no_answer() {
    let window = |stream: u32| frames::frame(frames::WINDOW_UPDATE, 0, stream, &1u32.to_be_bytes());
    for (what, frame) in [
        ("settings", frames::settings(&[(frames::INITIAL_WINDOW_SIZE, 70_000)])),
        ("acknowledgements of pings never sent", frames::frame(frames::PING, 1, 0, &[7; 8])),
        ("windows", [window(0), window(1), window(3)].concat()),
        ("priorities", frames::frame(0x2, 0, 1, &[0, 0, 0, 0, 9])),
        ("unknown frames", frames::frame(0x7b, 0xff, 1, b"whatever this is")),
        ("goaways that allow all", frames::goaway(u32::MAX >> 1, frames::NO_ERROR)),
    ] {
        let [one, two] = beside(&frame.repeat(50_000)).await;
        assert_eq!((one.unwrap().as_str(), two.unwrap().as_str()), ("one", "two"), "{what}");
    }
}

#[tokio::test]
async fn item_21_resets_of_one_stream_again_and_again_end_it_alone() {
    for code in [frames::CANCEL, frames::INTERNAL_ERROR] {
        let [one, two] = beside(&frames::reset(1, code).repeat(50_000)).await;
        assert_eq!(one.unwrap_err().kind(), ErrorKind::Connection);
        assert_eq!(two.unwrap(), "two");
    }
}

#[tokio::test]
async fn item_21_what_breaks_the_rules_of_the_connection_ends_it_for_all_of_its_requests() {
    let overflow = frames::frame(frames::WINDOW_UPDATE, 0, 0, &(u32::MAX >> 1).to_be_bytes());
    let empty_data = frames::data(1, 0, "");
    let mut empty_heads = frames::frame(frames::HEADERS, 0, 1, &frames::block(&[(":status", "200")]));
    empty_heads.extend(frames::frame(frames::CONTINUATION, 0, 1, &[]).repeat(2000));
    let open = frames::headers(1, 0, &[(":status", "200")]);
    for (what, flood) in [
        ("a window without bound", overflow),
        ("empty DATA", [open.clone(), empty_data.repeat(1000)].concat()),
        ("empty CONTINUATION", empty_heads),
        ("GOAWAYs that take back", [frames::goaway(3, 0), frames::goaway(5, 0)].concat()),
        ("a window of a request that never was", frames::frame(frames::WINDOW_UPDATE, 0, 99, &[0, 0, 0, 1])),
        ("a body of a request that never was", frames::data(99, 0, "x")),
    ] {
        for result in beside(&flood).await {
            let kind = result.expect_err(what).kind();
            assert!([ErrorKind::Connection, ErrorKind::Body].contains(&kind), "{what}: {kind:?}");
        }
    }
}

#[tokio::test]
async fn item_21_heads_for_requests_that_are_over_are_answered_so_many_times_and_no_more() {
    // Each is answered with a reset, which piles up where the server does not read.
    let script = asked(&[]).send(frames::answer(1, "200", "ok")).expect_frame(frames::HEADERS);
    let late = frames::headers(1, frames::END_STREAM, &[(":status", "200")]).repeat(100_000);
    let server = serve([script.send(late).hang()]).await;
    let session = speaking(|_| {});
    session.get(server.url("/")).send().await.unwrap().bytes().await.unwrap();
    let error = in_time(session.get(server.url("/")).send()).await.unwrap_err();
    assert!([ErrorKind::Protocol, ErrorKind::Connection].contains(&error.kind()), "{error:?}");
    in_time(server.wait_for_closed(1)).await;
}

#[tokio::test(start_paused = true)]
async fn item_21_settings_to_a_server_that_takes_no_acknowledgement_stop_the_reading() {
    is_not_taken_whole(&frames::settings(&[(frames::INITIAL_WINDOW_SIZE, 70_000)]).repeat(3_000_000)).await;
}

#[tokio::test]
async fn item_21_every_request_refused_is_sent_again_three_times_and_no_more() {
    let server = serve([resetting(80, frames::REFUSED_STREAM).hang()]).await;
    let session = speaking(|_| {});
    let refused = (0..20).map(|_| session.get(server.url("/")).send());
    for result in in_time(futures_util::future::join_all(refused)).await {
        let error = result.unwrap_err();
        assert_eq!((error.kind(), error.is_unprocessed()), (ErrorKind::Connection, true), "{error:?}");
    }
    assert_eq!((count(&server, frames::HEADERS), server.connections()), (80, 1));
    assert_eq!(session.pool_stats(), pool(1, 1, 0));
}
