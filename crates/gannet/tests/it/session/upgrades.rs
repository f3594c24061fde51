//! Connections that are switched to another protocol: asked for, declined, cut off, and what they hold of the pool.

use gannet::{ErrorKind, Session, StatusCode, Version};
use gannet_origin::Identity;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: Echo\r\n\r\n";

/// Switches, says `ahead` in the same breath, answers four bytes with four, and reads to the end.
fn switching() -> Script {
    let bytes = format!("{SWITCH}ahead");
    Script::new().expect_head().send(bytes).expect_body(4).send("pong").expect_end().shutdown_write()
}

async fn talk(response: Response) {
    assert_eq!((response.status(), response.version()), (StatusCode::SWITCHING_PROTOCOLS, Version::Http11));
    let mut upgraded = response.upgrade().unwrap();
    let mut bytes = [0; 9];
    upgraded.read_exact(&mut bytes[..3]).await.unwrap();
    upgraded.write_all(b"ping").await.unwrap();
    upgraded.flush().await.unwrap();
    in_time(upgraded.read_exact(&mut bytes[3..])).await.unwrap();
    assert_eq!(&bytes, b"aheadpong");
    upgraded.shutdown().await.unwrap();
    assert_eq!(in_time(upgraded.read(&mut bytes)).await.unwrap(), 0);
}

#[tokio::test]
async fn a_connection_that_switched_carries_bytes_both_ways_and_those_that_came_with_the_head_first() {
    let server = serve([switching()]).await;
    let session = Session::default();
    talk(session.get(server.url("/")).upgrade("echo").send().await.unwrap()).await;
    let asked = text(&server.received()[0]).to_lowercase();
    assert!(asked.contains("connection: upgrade\r\n") && asked.contains("upgrade: echo\r\n"), "{asked}");
    assert_eq!(session.pool_stats(), pool(0, 0, 0));
}

#[tokio::test]
async fn it_holds_its_slot_until_it_is_dropped_and_is_never_used_again() {
    let server = serve([switching(), answers(OK)]).await;
    let session = session(|options| options.connections.max = 1);
    let upgraded = session.get(server.url("/")).upgrade("echo").send().await.unwrap().upgrade().unwrap();
    let mut next = Box::pin(session.get(server.url("/")).send());
    assert!(poll_once(&mut next).await.is_none());
    assert_eq!(session.pool_stats(), pool(1, 0, 1));
    drop(upgraded);
    assert_eq!(in_time(next).await.unwrap().text().await.unwrap(), "ok");
    let counters = session.pool_counters();
    assert_eq!((counters.opened, counters.reused, counters.closed.ended), (2, 0, 1));
}

#[tokio::test]
async fn a_kept_connection_can_be_switched() {
    let script = Script::new().expect_head().send(OK).expect_head().send(format!("{SWITCH}ahead"));
    let server = serve([script.expect_body(4).send("pong").expect_end().shutdown_write()]).await;
    let session = Session::default();
    session.get(server.url("/")).send().await.unwrap().bytes().await.unwrap();
    talk(session.get(server.url("/")).upgrade("echo").send().await.unwrap()).await;
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn both_directions_go_on_at_once_in_two_tasks() {
    const LENGTH: usize = 1 << 20;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let echo = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(SWITCH.as_bytes()).await.unwrap();
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await.unwrap();
    });
    let upgraded = Session::default().get(url).upgrade("echo").send().await.unwrap().upgrade().unwrap();
    let (mut read, mut write) = tokio::io::split(upgraded);
    let sent = gannet_origin::payload(7, LENGTH);
    let back = tokio::spawn(async move {
        let mut back = vec![0; LENGTH];
        read.read_exact(&mut back).await.map(|_| back)
    });
    in_time(write.write_all(&sent)).await.unwrap();
    assert!(in_time(back).await.unwrap().unwrap() == sent, "what came back is not what was sent");
    drop(write);
    in_time(echo).await.unwrap();
}

#[tokio::test]
async fn over_tls_an_upgrade_is_asked_in_http_1_also_where_the_origin_speaks_http_2() {
    let origin = origin().await;
    let session = session(|options| options.tls.extra_roots = vec![origin.ca_pem().to_owned()]);
    let url = origin.https_url("/items/1");
    assert_eq!(session.get(&url).send().await.unwrap().version(), Version::Http2);
    for _ in 0..2 {
        let response = session.get(&url).upgrade("echo").send().await.unwrap();
        assert_eq!(response.version(), Version::Http11);
        response.bytes().await.unwrap();
        assert_eq!(session.get(&url).send().await.unwrap().version(), Version::Http2);
    }
    assert_eq!(session.pool_stats().open, 2);
    let identity = Identity::for_names(&["127.0.0.1"]).unwrap();
    let server = ScriptedServer::start_tls([switching()], &identity).await.unwrap();
    let session = super::session(|options| options.tls.extra_roots = vec![identity.ca_pem().to_owned()]);
    talk(session.get(server.url("/")).upgrade("echo").send().await.unwrap()).await;
}

#[tokio::test]
async fn http_2_alone_leaves_no_way_to_ask() {
    let origin = origin().await;
    let session = session(|options| options.http.version = gannet::HttpVersion::Http2PriorKnowledge);
    let error = session.get(origin.url("/")).upgrade("echo").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Request);
    assert_eq!(origin.stats().requests, 0);
}

#[tokio::test]
async fn a_server_that_declines_answers_as_usual() {
    let server = serve([answers(OK)]).await;
    let session = Session::default();
    let ask = || session.get(server.url("/")).upgrade("echo").send();
    assert_eq!(ask().await.unwrap().text().await.unwrap(), "ok");
    let error = ask().await.unwrap().upgrade().unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Status, Some(StatusCode::OK)));
    assert!(error.message().contains("did not switch"), "{error}");
}

#[tokio::test]
async fn a_switch_to_what_was_not_asked_for_is_an_error_and_ends_the_connection() {
    for (asked, head) in [
        (Some("echo"), "upgrade: h2c\r\n"),
        (Some("echo"), "upgrade: echo, h2c\r\n"),
        (Some("echo"), ""),
        (None, "upgrade: echo\r\n"),
    ] {
        let server = serve([Script::new().expect_head().send(format!("HTTP/1.1 101 S\r\n{head}\r\n")).hang()]).await;
        let session = Session::default();
        let request = session.get(server.url("/"));
        let request = if let Some(asked) = asked { request.upgrade(asked) } else { request };
        assert_eq!(in_time(request.send()).await.unwrap_err().kind(), ErrorKind::Protocol, "{head:?}");
        in_time(server.wait_for_closed(1)).await;
        assert_eq!(session.pool_stats(), pool(0, 0, 0));
    }
    let server = serve([switching()]).await;
    let several = Session::default().get(server.url("/")).upgrade("other/1, echo").send().await.unwrap();
    talk(several).await;
}

#[tokio::test]
async fn a_switch_before_the_whole_request_was_sent_is_an_error() {
    let server = serve([Script::new().expect_head().send(SWITCH).hang()]).await;
    let endless = gannet::Body::stream(futures_util::stream::pending(), None);
    let response = Session::default().post(server.url("/")).upgrade("echo").body(endless).send();
    let error = in_time(response).await.unwrap().upgrade().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    in_time(server.wait_for_closed(1)).await;
}

#[tokio::test]
async fn who_takes_no_connection_has_an_empty_body_and_the_connection_is_closed() {
    for read in [true, false] {
        let server = serve([switching()]).await;
        let session = Session::default();
        let mut response = session.get(server.url("/")).upgrade("echo").send().await.unwrap();
        if read {
            assert_eq!(response.chunk().await.unwrap(), None);
            assert_eq!(response.upgrade().unwrap_err().kind(), ErrorKind::Body);
        } else {
            drop(response);
        }
        in_time(server.wait_for_closed(1)).await;
        assert_eq!(session.pool_stats(), pool(0, 0, 0));
    }
}

#[tokio::test]
async fn a_session_that_is_closed_waits_for_it_and_then_cuts_it_off_in_both_directions() {
    let server = serve([Script::new().expect_head().send(SWITCH).hang_unread()]).await;
    let session = Session::default();
    let upgraded = session.get(server.url("/")).upgrade("echo").send().await.unwrap().upgrade().unwrap();
    let (mut read, mut write) = tokio::io::split(upgraded);
    let reading = tokio::spawn(async move { read.read_u8().await });
    let writing = tokio::spawn(async move {
        let piece = vec![0; 1 << 16];
        loop {
            if let Err(error) = write.write_all(&piece).await {
                return error;
            }
        }
    });
    assert_eq!(in_time(session.close_within(Duration::from_millis(20))).await, 1);
    assert_eq!(in_time(reading).await.unwrap().unwrap_err().kind(), std::io::ErrorKind::ConnectionAborted);
    assert_eq!(in_time(writing).await.unwrap().kind(), std::io::ErrorKind::ConnectionAborted);
    assert_eq!(session.pool_stats(), pool(0, 0, 0));
}

/// The total timeout ends with the head: what follows is the caller's to bound.
#[tokio::test]
async fn timeouts_of_the_request_do_not_reach_beyond_the_switch() {
    let server = serve([switching()]).await;
    let request = Session::default().get(server.url("/")).upgrade("echo").timeout(Duration::from_secs(3600));
    let response = request.send().await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(7200)).await;
    tokio::time::resume();
    talk(response).await;
}
