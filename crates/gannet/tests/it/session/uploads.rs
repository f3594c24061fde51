//! Bodies on their way out while answers are on their way in.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use gannet::{Body, ErrorKind, Phase, Session};
use gannet_origin::Identity;
use tokio::sync::Notify;

use super::*;

const LARGE: usize = 20_000_000;

/// It is the caller's own stream that is waited for, and not the server.
#[tokio::test(start_paused = true)]
async fn a_body_that_comes_slowly_is_not_cut_by_read_but_by_total() {
    let pieces = || {
        stream::unfold(0, |sent| async move {
            tokio::time::sleep(Duration::from_secs(50)).await;
            (sent < 3).then(|| (Ok::<_, io::Error>(Bytes::from_static(b"piece")), sent + 1))
        })
    };
    let script = || Script::new().expect_head().expect_body(35).send(OK).hang();
    let server = serve([script(), script()]).await;
    let session = session(|options| options.timeouts.read = Some(Duration::from_secs(20)));
    let post = || session.post(server.url("/")).body(Body::stream(pieces(), None));
    assert_eq!(post().send().await.unwrap().text().await.unwrap(), "ok");
    let session = Session::default();
    let post = session.post(server.url("/")).body(Body::stream(pieces(), None));
    let error = post.timeout(Duration::from_secs(120)).send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimeoutTotal, "{error}");
}

/// TLS takes more than the socket does, and the server may wait for the rest of a piece before the next one comes.
#[tokio::test]
async fn all_of_a_piece_leaves_while_the_next_one_is_waited_for() {
    let identity = Identity::for_names(&["127.0.0.1"]).unwrap();
    let all = Arc::new(Notify::new());
    let script = Script::new().expect_head().expect_body(LARGE).signal(&all).send(OK).hang();
    let server = ScriptedServer::start_tls([script], &identity).await.unwrap();
    let session = session(|options| options.tls.extra_roots = vec![identity.ca_pem().to_owned()]);
    let pieces = stream::unfold(0, move |sent| {
        let all = all.clone();
        async move {
            if sent == 0 {
                return Some((Ok(Bytes::from(vec![b'x'; LARGE])), 1));
            }
            all.notified().await;
            None
        }
    });
    let url = server.url("/").replace("http://", "https://");
    let sent = session.post(url).body(Body::stream(pieces, Some(LARGE as u64))).send();
    assert_eq!(in_time(sent).await.unwrap().text().await.unwrap(), "ok");
}

#[cfg(unix)]
#[tokio::test]
async fn a_pipe_by_its_name_holds_up_nothing_but_its_own_request() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (origin, session) = (origin().await, Session::default());
    let url = origin.url("/anything");
    let plain = session.post(&url).body(Body::file(&pipe).unwrap());
    let form = session.post(&url).multipart(gannet::Form::new().file("f", &pipe));
    for request in [plain, form] {
        // Nobody writes yet, and others go on.
        let mut sending = Box::pin(request.send());
        assert!(poll_once(&mut sending).await.is_none());
        assert_eq!(in_time(session.get(origin.url("/get")).send()).await.unwrap().status(), 200);
        let to = pipe.clone();
        let writer = tokio::task::spawn_blocking(move || std::fs::write(to, "through the pipe").unwrap());
        let seen = json(in_time(sending).await).await;
        writer.await.unwrap();
        let files = seen["files"].to_string();
        assert!(seen["data"] == "through the pipe" || files.contains("through the pipe"), "{seen}");
    }
    let late = session.post(&url).body(Body::file(&pipe).unwrap()).timeout(Duration::from_millis(50));
    assert_eq!(in_time(late.send()).await.unwrap_err().kind(), ErrorKind::TimeoutTotal);
    // Its thread ends with a writer.
    drop(std::fs::OpenOptions::new().write(true).open(&pipe));
}

#[tokio::test]
async fn an_early_refusal_of_a_large_upload_is_delivered() {
    let refusal = "HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 4\r\n\r\nmuch";
    for script in [
        Script::new().expect_head().send(refusal).close(),
        Script::new().expect_head().send(refusal).shutdown_write().hang(),
        Script::new().expect_head().send(refusal).hang_unread(),
    ] {
        let server = serve([script]).await;
        let session = Session::default();
        let response = in_time(session.post(server.url("/")).body(vec![b'x'; LARGE]).send()).await.unwrap();
        assert_eq!(response.status(), 413);
        assert_eq!(in_time(response.text()).await.unwrap(), "much");
        assert_eq!(session.pool_stats(), pool(0, 0, 0));
    }
}

#[tokio::test]
async fn an_early_large_response_and_a_large_upload_do_not_wait_for_each_other() {
    let mut bytes = format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n").into_bytes();
    bytes.resize(bytes.len() + LARGE, b'r');
    let server = serve([Script::new().expect_head().send(bytes).expect_body(LARGE).expect_end()]).await;
    let session = Session::default();
    let response = in_time(session.post(server.url("/")).body(vec![b'x'; LARGE]).send()).await.unwrap();
    assert_eq!(in_time(response.bytes()).await.unwrap().len(), LARGE);
}

#[tokio::test]
async fn an_answer_after_the_whole_upload_leaves_the_connection_for_the_next() {
    let script = Script::new().expect_head().expect_body(LARGE).send(OK).expect_head().send(OK).hang();
    let server = serve([script]).await;
    let session = Session::default();
    in_time(session.post(server.url("/")).body(vec![b'x'; LARGE]).send()).await.unwrap();
    assert_eq!(session.pool_stats(), pool(1, 1, 0));
    in_time(session.get(server.url("/")).send()).await.unwrap();
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_answer_to_an_unfinished_upload_does_not_leave_the_connection_for_others() {
    let server = serve([Script::new().expect_head().send(OK).hang(), answers(OK)]).await;
    let session = Session::default();
    let body = Body::stream(stream::pending(), None);
    in_time(session.post(server.url("/")).body(body).send()).await.unwrap();
    assert_eq!(session.pool_stats(), pool(0, 0, 0));
    in_time(session.get(server.url("/")).send()).await.unwrap();
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_body_that_fails_on_our_side_is_of_kind_request_at_once_and_nothing_is_finished() {
    for kind in [io::ErrorKind::Other, io::ErrorKind::ConnectionReset, io::ErrorKind::InvalidInput] {
        let server = serve([Script::new().hang()]).await;
        let session = Session::default();
        let pieces = [Ok(Bytes::from("begun")), Err(io::Error::new(kind, "the disk is on fire"))];
        let body = Body::stream(stream::iter(pieces), None);
        let error = in_time(session.put(server.url("/")).body(body).send()).await.unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Request, Phase::Send), "{kind}");
        assert!(error.to_string().contains("the disk is on fire"), "{error}");
        in_time(server.wait_for_closed(1)).await;
        assert!(!text(&server.received()[0]).contains("0\r\n\r\n"));
        assert_eq!(session.pool_stats(), pool(0, 0, 0));
    }
}

#[tokio::test]
async fn item_23_a_stream_longer_or_shorter_than_announced_is_never_passed_off_as_whole() {
    for announced in [4, 6] {
        let server = serve([Script::new().hang()]).await;
        let body = Body::stream(stream::iter([Ok(Bytes::from("fi")), Ok(Bytes::from("ve!"))]), Some(announced));
        let error = in_time(Session::default().post(server.url("/")).body(body).send()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Request, "{error:?}");
        in_time(server.wait_for_closed(1)).await;
        let seen = server.received().concat();
        let sent = seen.len() - seen.windows(4).position(|end| end == b"\r\n\r\n").map_or(seen.len(), |at| at + 4);
        assert!(sent as u64 <= announced && !seen.ends_with(b"five"), "{}", text(&seen));
    }
}

#[tokio::test]
async fn a_file_that_became_shorter_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![b'x'; 100_000]).unwrap();
    let body = Body::file(file.path()).unwrap();
    std::fs::write(file.path(), "short").unwrap();
    let server = serve([Script::new().hang()]).await;
    let error = in_time(Session::default().put(server.url("/")).body(body).send()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Request);
    assert!(error.to_string().contains("shorter"), "{error}");
}

#[tokio::test]
async fn the_callers_own_framing_fields_are_not_sent() {
    let (origin, session) = (origin().await, Session::default());
    let request = session.post(origin.url("/anything")).header("Content-Length", "3").body("longer");
    assert_eq!(json(request.send().await).await["data"], "longer");
    let request = session.post(origin.url("/anything")).header("Transfer-Encoding", "chunked").body("longer");
    assert_eq!(json(request.send().await).await["data"], "longer");
    assert_eq!(origin.stats().connections_total, 1);
}
