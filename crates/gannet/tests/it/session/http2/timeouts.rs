//! The four timeouts and pings, where a connection is shared.

use futures_util::StreamExt;
use gannet::{Body, ErrorKind, Phase};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn silence_before_the_head_and_within_the_body_is_bounded_by_read() {
    let head = frames::headers(1, 0, &[(":status", "200")]);
    for (answer, phase) in [(Vec::new(), Phase::Head), ([head, frames::data(1, 0, "part")].concat(), Phase::Body)] {
        let server = serve([asked(&[]).send(answer).hang()]).await;
        let session = speaking(|options| options.timeouts.read = Some(SHORT));
        let whole = async { session.get(server.url("/")).send().await?.bytes().await };
        let error = in_time(whole).await.unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::TimeoutRead, phase), "{error:?}");
        // Nothing came for anyone: nobody else is sent into that silence.
        assert_eq!(session.pool_stats(), pool(0, 0, 0));
        in_time(server.wait_for_closed(1)).await;
    }
}

#[tokio::test]
async fn one_slow_answer_does_not_end_a_connection_that_brings_others() {
    let origin = origin().await;
    let session = session(|options| {
        options.tls.extra_roots = vec![origin.ca_pem().to_owned()];
        options.timeouts.read = Some(Duration::from_millis(200));
    });
    let mut moving = session.get(origin.https_url("/drip?numbytes=40&duration=0.8")).send().await.unwrap();
    let mut slow = Box::pin(session.get(origin.https_url("/hang")).send());
    let error = in_time(async {
        loop {
            tokio::select! {
                result = &mut slow => return result.unwrap_err(),
                piece = moving.chunk() => assert!(piece.unwrap().is_some(), "over before the slow one was"),
            }
        }
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::TimeoutRead);
    while in_time(moving.chunk()).await.unwrap().is_some() {}
    assert_eq!(json(session.get(origin.https_url("/items/1")).send().await).await["id"], 1);
    assert_eq!(connections(&origin.stats()), (1, 1));
}

#[tokio::test]
async fn total_pool_and_connect_have_their_kinds_and_phases() {
    let script = asked(&[(frames::MAX_CONCURRENT_STREAMS, 1)]).send(frames::answer(1, "200", "ok"));
    let server = serve([script.expect_frame(frames::HEADERS).hang()]).await;
    let session = speaking(|options| {
        options.connections.max_per_host = Some(1);
        options.timeouts.pool = Some(SHORT);
    });
    session.get(server.url("/")).send().await.unwrap().bytes().await.unwrap();
    let mut held = Box::pin(session.get(server.url("/held")).send());
    assert!(poll_once(&mut held).await.is_none());
    let error = in_time(session.get(server.url("/")).send()).await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TimeoutPool, Phase::Pool), "{error:?}");
    drop(held);
    let error = in_time(session.get(server.url("/")).timeout(SHORT).send()).await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TimeoutTotal, Phase::Head), "{error:?}");
    let silent = serve([Script::new().hang()]).await;
    let secure = super::session(|options| options.timeouts.connect = Some(SHORT));
    let error = in_time(secure.get(format!("https://{}/", silent.addr())).send()).await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TimeoutConnect, Phase::Tls), "{error:?}");
}

#[tokio::test]
async fn a_server_that_takes_no_body_is_bounded_by_read() {
    let server = serve([asked(&[]).hang()]).await;
    let session = speaking(|options| options.timeouts.read = Some(SHORT));
    let error = in_time(session.post(server.url("/")).body(vec![0; 3_000_000]).send()).await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TimeoutRead, Phase::Head), "{error:?}");
}

/// Reads a request of HTTP/2 so many bytes a second, and answers once nothing comes any more for a minute.
async fn reads_slowly(mut stream: tokio::net::UnixStream, rate: usize) {
    let wide = frames::settings(&[(frames::INITIAL_WINDOW_SIZE, i32::MAX as u32)]);
    let wider = frames::frame(frames::WINDOW_UPDATE, 0, 0, &(1u32 << 30).to_be_bytes());
    let ack = frames::frame(frames::SETTINGS, 1, 0, &[]);
    stream.write_all(&[wide, wider, ack].concat()).await.unwrap();
    let (mut piece, mut left) = (vec![0; rate], UPLOAD);
    while left > 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let count = stream.read(&mut piece).await.unwrap();
        assert!(count > 0, "given up");
        left = left.saturating_sub(count);
    }
    stream.write_all(&frames::answer(1, "200", "ok")).await.unwrap();
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

const UPLOAD: usize = 1 << 20;

#[tokio::test(start_paused = true)]
async fn a_body_that_the_socket_takes_slowly_is_not_cut_by_read() {
    let place = tempfile::tempdir().unwrap();
    let door = place.path().join("door");
    let listener = tokio::net::UnixListener::bind(&door).unwrap();
    // A Unix socket holds some 200 KiB, and takes more when most of that was read.
    let server = tokio::spawn(async move { reads_slowly(listener.accept().await.unwrap().0, 64 << 10).await });
    let session = speaking(|options| {
        options.connections.unix_socket = Some(door);
        options.timeouts.read = Some(Duration::from_secs(5));
    });
    let answer = session.post("http://some.test/").body(vec![0; UPLOAD]).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "ok");
    drop(session);
    server.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn while_the_request_waits_for_its_own_body_read_does_not_run() {
    let limit = Duration::from_secs(5);
    let body = || {
        let pieces = futures_util::stream::iter([b"a", b"b"]).then(move |piece| async move {
            tokio::time::sleep(limit * 20).await;
            Ok::<_, std::io::Error>(bytes::Bytes::from_static(piece))
        });
        Body::stream(Box::pin(pieces), None)
    };
    let session = speaking(|options| options.timeouts.read = Some(limit));
    let both = asked(&[]).expect_frame(frames::DATA).expect_frame(frames::DATA);
    let server = serve([both.clone().send(frames::answer(1, "200", "ok")).hang()]).await;
    assert!(session.post(server.url("/")).body(body()).send().await.unwrap().ok());
    // Once it has all of the body, the server is to answer.
    let silent = serve([both.expect_frame(frames::DATA).hang()]).await;
    let started = tokio::time::Instant::now();
    let error = session.post(silent.url("/")).body(body()).send().await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TimeoutRead, Phase::Head), "{error:?}");
    let elapsed = started.elapsed();
    assert!(elapsed >= limit * 41 && elapsed < limit * 42, "{elapsed:?}");
}

#[tokio::test]
async fn a_ping_that_is_not_answered_ends_the_connection_and_one_that_is_does_not() {
    let pinging = || {
        speaking(|options| {
            options.http.ping_interval = Some(SHORT);
            options.http.ping_timeout = SHORT;
        })
    };
    let server = serve([asked(&[]).hang()]).await;
    let error = in_time(pinging().get(server.url("/")).send()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error:?}");
    assert!(error.to_string().contains("ping"), "{error}");
    let pings = frames_in(&server.received()[0]).iter().filter(|(kind, ..)| *kind == frames::PING).count();
    assert_eq!(pings, 1);
    let origin = origin().await;
    let session = pinging();
    assert!(in_time(session.get(origin.url("/delay/0.4")).send()).await.unwrap().ok());
    assert_eq!(connections(&origin.stats()), (1, 1));
}

#[tokio::test]
async fn no_pings_are_sent_while_no_request_is_under_way_or_they_are_off() {
    for interval in [None, Some(Duration::from_millis(20))] {
        let server = serve([asked(&[]).send(frames::answer(1, "200", "ok")).hang()]).await;
        let session = speaking(|options| options.http.ping_interval = interval);
        in_time(session.get(server.url("/")).send()).await.unwrap().bytes().await.unwrap();
        tokio::time::timeout(Duration::from_millis(100), server.wait_for_closed(1)).await.unwrap_err();
        let pings = frames_in(&server.received()[0]).iter().filter(|(kind, ..)| *kind == frames::PING).count();
        assert_eq!((pings, session.pool_stats()), (0, pool(1, 1, 0)));
    }
}
