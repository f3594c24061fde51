//! Content codings of real responses, and what is refused of them.

use gannet::{ErrorKind, Session};

use super::*;

#[tokio::test]
async fn every_coding_that_is_offered_is_decoded() {
    let (origin, session) = (origin().await, Session::default());
    for (path, flag) in [
        ("/gzip", "gzipped"),
        ("/deflate", "deflated"),
        ("/deflate?raw=1", "deflated"),
        ("/brotli", "brotli"),
        ("/zstd", "zstd"),
    ] {
        let response = session.get(origin.url(path)).send().await.unwrap();
        assert_eq!(response.content_length(), None);
        assert_eq!(response.json::<Value>().await.unwrap()[flag], true, "{path}");
    }
    assert_eq!(session.pool_stats(), pool(1, 1, 0));
    assert_eq!(origin.stats().connections_total, 1);
}

#[tokio::test]
async fn without_decoding_nothing_is_offered_and_bytes_stay_as_they_came() {
    let (origin, session) = (origin().await, Session::default());
    let seen = json(session.get(origin.url("/headers")).decode(false).send().await).await;
    assert_eq!(seen["headers"].get("Accept-Encoding"), None);
    let raw = session.get(origin.url("/gzip")).decode(false).send().await.unwrap();
    assert!(raw.content_length().is_some());
    assert!(raw.bytes().await.unwrap().starts_with(&[0x1f, 0x8b]));
    let off = super::session(|options| options.decode.enabled = false);
    assert!(off.get(origin.url("/gzip")).send().await.unwrap().bytes().await.unwrap().starts_with(&[0x1f, 0x8b]));
    let on = json(off.get(origin.url("/headers")).decode(true).send().await).await;
    assert_eq!(on["headers"]["Accept-Encoding"], "gzip, deflate, br, zstd");
}

#[tokio::test]
async fn item_22_a_bomb_stops_at_the_cap() {
    let origin = origin().await;
    let session = session(|options| options.response.max_body = Some(1 << 20));
    let mut response = session.get(origin.url("/bomb?mib=256")).send().await.unwrap();
    let mut seen = 0;
    let error = loop {
        match response.chunk().await {
            Ok(piece) => seen += piece.expect("a bomb has no end within its cap").len(),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(seen <= 1 << 20, "{seen}");
    assert_eq!(session.pool_stats(), pool(0, 0, 0));
    let unbounded = Session::default().get(origin.url("/bomb?mib=2")).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(unbounded.len(), 2 << 20);
}

#[tokio::test]
async fn item_22_a_bomb_comes_in_small_pieces_and_whole() {
    let (origin, session) = (origin().await, Session::default());
    let mut response = session.get(origin.url("/bomb?mib=64")).send().await.unwrap();
    let (mut seen, mut largest) = (0, 0);
    while let Some(piece) = response.chunk().await.unwrap() {
        assert!(piece.iter().all(|&b| b == 0));
        seen += piece.len();
        largest = largest.max(piece.len());
    }
    assert_eq!(seen, 64 << 20);
    assert!(largest <= 256 << 10, "{largest}");
    assert_eq!(session.pool_stats(), pool(1, 1, 0));
}

#[tokio::test]
async fn item_22_a_bomb_without_a_cap_stops_at_its_ratio() {
    let origin = origin().await;
    // A gzip grows a thousandfold; what is small passes whatever its ratio.
    let session = session(|options| options.decode.ratio_from = 4 << 20);
    let error = session.get(origin.url("/bomb?mib=64")).send().await.unwrap().bytes().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let small = session.get(origin.url("/bomb?mib=4")).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(small.len(), 4 << 20);
    let free = super::session(|options| (options.decode.ratio_from, options.decode.max_ratio) = (0, None));
    assert_eq!(free.get(origin.url("/bomb?mib=8")).send().await.unwrap().bytes().await.unwrap().len(), 8 << 20);
}

#[tokio::test]
async fn item_22_the_body_of_a_redirect_is_dropped_as_it_came_and_never_decoded() {
    // Nine codings, and no bytes of any of them: decoding would fail, and only reading takes the connection on.
    let script = Script::new()
        .expect_head()
        .send("HTTP/1.1 302 Found\r\nlocation: /b\r\ncontent-encoding: gzip, br, gzip, br, gzip, br, x, y, z\r\ncontent-length: 4\r\n\r\nBOMB")
        .expect_head()
        .send(OK);
    let server = serve([script]).await;
    let response = Session::default().get(server.url("/a")).send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "ok");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn item_22_six_codings_or_an_unknown_one_are_refused_when_the_body_is_read() {
    let session = Session::default();
    for coding in ["gzip,gzip,gzip\r\ncontent-encoding: gzip,gzip,gzip", "snappy", "gzip, snappy"] {
        let head = format!("HTTP/1.1 404 Not Found\r\ncontent-encoding: {coding}\r\ncontent-length: 2\r\n\r\nok");
        let server = serve([answers(head)]).await;
        let response = session.get(server.url("/")).send().await.unwrap();
        assert_eq!(response.error_for_status_ref().unwrap().kind(), ErrorKind::Status);
        assert_eq!(response.bytes().await.unwrap_err().kind(), ErrorKind::Decode, "{coding}");
        let head = session.head(server.url("/")).send().await.unwrap();
        assert_eq!(head.bytes().await.unwrap(), "");
    }
}

#[tokio::test]
async fn a_coded_body_that_is_broken_or_ends_early_is_a_decode_error() {
    let (origin, session) = (origin().await, Session::default());
    let whole = session.get(origin.url("/gzip")).decode(false).send().await.unwrap().bytes().await.unwrap();
    for bytes in [&whole[..whole.len() - 4], &b"no gzip at all"[..]] {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", bytes.len());
        let server = serve([answers([head.as_bytes(), bytes].concat())]).await;
        let error = session.get(server.url("/")).send().await.unwrap().bytes().await.unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Decode, gannet::Phase::Decode));
    }
}

#[tokio::test]
async fn a_coded_response_without_a_body_is_empty() {
    let (origin, session) = (origin().await, Session::default());
    let head = session.head(origin.url("/gzip")).send().await.unwrap();
    assert_eq!(head.headers().get("content-encoding"), Some("gzip"));
    assert_eq!(head.bytes().await.unwrap(), "");
    assert_eq!(session.pool_stats(), pool(1, 1, 0));
}
