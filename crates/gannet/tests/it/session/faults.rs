//! Servers that break off or break the rules: one kind of error each, and never a second request behind it.

use gannet::{ErrorKind, Phase, Session};

use super::*;

async fn kind_of(script: Script) -> (ErrorKind, Phase) {
    let server = serve([script]).await;
    let session = Session::default();
    let whole = async { session.get(server.url("/")).send().await?.bytes().await };
    let error = in_time(whole).await.unwrap_err();
    in_time(server.wait_for_closed(1)).await;
    assert_eq!(session.pool_stats(), pool(0, 0, 0));
    assert_eq!(server.connections(), 1);
    (error.kind(), error.phase())
}

fn answer(bytes: impl AsRef<[u8]>) -> Script {
    Script::new().expect_head().send(bytes)
}

#[tokio::test]
async fn a_connection_lost_before_the_head_is_of_kind_connection() {
    for script in [
        Script::new().expect_head().close(),
        Script::new().expect_head().reset(),
        answer("HTTP/1.1 200 OK\r\ncontent-le").close(),
        answer("HTTP/1.1 200 OK\r\ncontent-le").reset(),
        answer("HTTP/1.1 100 Continue\r\n\r\n").close(),
    ] {
        assert_eq!(kind_of(script.clone()).await, (ErrorKind::Connection, Phase::Head), "{script:?}");
    }
}

#[tokio::test]
async fn item_18_a_body_cut_short_is_an_error_by_length_and_by_chunk() {
    for body in [
        "content-length: 10\r\n\r\nhalf",
        "content-length: 10\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "transfer-encoding: chunked\r\n\r\n4\r\nha",
        "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
        "transfer-encoding: chunked\r\n\r\n",
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{body}");
        for script in [answer(&bytes).close(), answer(&bytes).reset()] {
            assert_eq!(kind_of(script).await, (ErrorKind::Body, Phase::Body), "{body:?}");
        }
    }
}

#[tokio::test]
async fn item_18_a_body_cut_short_gives_what_came_and_then_the_error_again_and_again() {
    let server = serve([answer("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").close()]).await;
    let mut response = Session::default().get(server.url("/")).send().await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "half");
    for _ in 0..2 {
        assert_eq!(response.chunk().await.unwrap_err().kind(), ErrorKind::Body);
    }
}

#[tokio::test]
async fn a_body_without_length_or_chunks_ends_with_the_connection() {
    let server = serve([answer("HTTP/1.1 200 OK\r\n\r\nall of it").close()]).await;
    let session = Session::default();
    assert_eq!(session.get(server.url("/")).send().await.unwrap().text().await.unwrap(), "all of it");
    assert_eq!(session.pool_stats(), pool(0, 0, 0));
    let reset = answer("HTTP/1.1 200 OK\r\n\r\npart").reset();
    assert_eq!(kind_of(reset).await.0, ErrorKind::Body);
}

#[tokio::test]
async fn item_17_bad_framing_is_of_kind_protocol_and_ends_the_connection() {
    for head in [
        "content-length: 2\r\ntransfer-encoding: chunked",
        "content-length: 2\r\ncontent-length: 3",
        "content-length: 2, 3",
        "content-length: +2",
        "content-length: -2",
        "content-length: 0x2",
        "content-length: ",
        "content-length: 18446744073709551616",
        "transfer-encoding: gzip",
        "transfer-encoding: chunked, gzip",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "no colon",
        "x: a\0b",
        "bad name: 1",
        "x: 1\r\n folded: 2",
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\nok");
        assert_eq!(kind_of(answer(bytes).hang()).await, (ErrorKind::Protocol, Phase::Head), "{head:?}");
    }
    for body in
        ["2\nok\r\n0\r\n\r\n", "g\r\n", "2\r\nokX\r\n", "10000000000000000\r\n", "-1\r\n", "0\r\nbad trailer\r\n\r\n"]
    {
        let bytes = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}");
        assert_eq!(kind_of(answer(bytes).hang()).await, (ErrorKind::Protocol, Phase::Body), "{body:?}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_of_kind_protocol() {
    for bytes in [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "220 mail ESMTP\r\n",
        "\x15\x03\x03\0\x02\x02\x46",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 99 Low\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n",
    ] {
        assert_eq!(kind_of(answer(bytes).close()).await, (ErrorKind::Protocol, Phase::Head), "{bytes:?}");
    }
}

#[tokio::test]
async fn item_20_heads_without_end_are_cut() {
    let many: String = (0..101).map(|n| format!("x{n}: 1\r\n")).collect();
    let large = format!("x: {}\r\n", "y".repeat(70_000));
    let unended = "y".repeat(70_000);
    for head in [&many, &large, &unended] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{head}\r\n");
        assert_eq!(kind_of(answer(bytes).hang()).await, (ErrorKind::Protocol, Phase::Head));
    }
    let flood = "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n".repeat(2000);
    assert_eq!(kind_of(answer(flood).hang()).await.0, ErrorKind::Protocol);
    let blank = "\r\n".repeat(40_000);
    assert_eq!(kind_of(answer(blank).hang()).await.0, ErrorKind::Protocol);
    let trailers = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n{large}\r\n");
    assert_eq!(kind_of(answer(trailers).hang()).await, (ErrorKind::Protocol, Phase::Body));
    let fits: String = (0..99).map(|n| format!("x{n}: {}\r\n", "y".repeat(500))).collect();
    let server = serve([answers(format!("HTTP/1.1 200 OK\r\n{fits}content-length: 0\r\n\r\n"))]).await;
    assert_eq!(Session::default().get(server.url("/")).send().await.unwrap().headers().len(), 100);
}

#[tokio::test]
async fn interim_responses_are_passed_over() {
    let bytes = format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n{OK}");
    let server = serve([answers(bytes)]).await;
    let session = Session::default();
    assert_eq!(session.get(server.url("/")).send().await.unwrap().text().await.unwrap(), "ok");
    assert_eq!(session.pool_stats(), pool(1, 1, 0));
}

#[tokio::test]
async fn bytes_that_come_one_at_a_time_make_the_same_response() {
    let bytes =
        "HTTP/1.1 200 OK\r\nX-A: 1\r\ntransfer-encoding: chunked\r\n\r\n3;e=1\r\nabc\r\n2\r\nde\r\n0\r\nt: 1\r\n\r\n";
    let server = serve([Script::new().expect_head().send_slowly(bytes).repeated()]).await;
    let session = Session::default();
    for _ in 0..2 {
        assert_eq!(session.get(server.url("/")).send().await.unwrap().text().await.unwrap(), "abcde");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn the_origins_own_faults_have_the_same_kinds() {
    let (origin, session) = (origin().await, Session::default());
    for (path, kind) in [
        ("/reset", ErrorKind::Connection),
        ("/reset?after=head", ErrorKind::Body),
        ("/truncate", ErrorKind::Body),
        ("/truncate?chunked=1", ErrorKind::Body),
    ] {
        let whole = async { session.get(origin.url(path)).send().await?.bytes().await };
        assert_eq!(in_time(whole).await.unwrap_err().kind(), kind, "{path}");
        assert_eq!(session.pool_stats(), pool(0, 0, 0));
    }
}
