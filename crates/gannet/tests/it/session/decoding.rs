//! Content codings of real responses, and what is refused of them.

use std::io::Write;

use gannet::{ErrorKind, HttpVersion, Session};
use gannet_origin::script::frames;

use super::http2::asked;
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

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn brotli(bytes: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    brotli::CompressorWriter::new(&mut encoded, 4096, 5, 22).write_all(bytes).unwrap();
    encoded
}

/// A frame that needs this window, as a power of two, to be decoded.
fn zstd_of(window_log: u32, bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(window_log).unwrap();
    // In two writes, so that the frame does not name its size and with it a smaller window.
    encoder.write_all(&bytes[..1]).unwrap();
    encoder.write_all(&bytes[1..]).unwrap();
    encoder.finish().unwrap()
}

/// Servers that send this body, over HTTP/1.1 in small chunks and over HTTP/2, and how they are spoken to.
async fn sending(coding: &str, body: &[u8]) -> [(HttpVersion, ScriptedServer); 2] {
    let mut chunked =
        format!("HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ntransfer-encoding: chunked\r\n\r\n").into_bytes();
    for piece in body.chunks(100) {
        chunked.extend([format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
    }
    chunked.extend(b"0\r\n\r\n");
    let mut framed = frames::headers(1, 0, &[(":status", "200"), ("content-encoding", coding)]);
    for piece in body.chunks(16_384) {
        framed.extend(frames::data(1, 0, piece));
    }
    framed.extend(frames::data(1, frames::END_STREAM, ""));
    [
        (HttpVersion::Http1, serve([answers(chunked)]).await),
        (HttpVersion::Http2PriorKnowledge, serve([asked(&[]).send(framed).hang()]).await),
    ]
}

/// Reads a body to its end: how much came, and how it ended.
async fn read(server: &ScriptedServer, session: &Session) -> (usize, Option<ErrorKind>) {
    let mut response = in_time(session.get(server.url("/")).send()).await.unwrap();
    let mut seen = 0;
    loop {
        match in_time(response.chunk()).await {
            Ok(Some(piece)) => seen += piece.len(),
            Ok(None) => return (seen, None),
            Err(error) => return (seen, Some(error.kind())),
        }
    }
}

#[tokio::test]
async fn item_22_bombs_of_every_coding_stop_at_the_cap_and_at_their_ratio_however_they_are_framed() {
    const MIB: usize = 1 << 20;
    let zeros = vec![0; 16 * MIB];
    for (coding, bomb) in [
        ("gzip", gzip(&zeros)),
        ("gzip, gzip", gzip(&gzip(&zeros))),
        ("br", brotli(&zeros)),
        ("zstd", zstd_of(20, &zeros)),
        ("zstd, br", brotli(&zstd_of(20, &zeros))),
    ] {
        for (version, server) in sending(coding, &bomb).await {
            let limited = |limits: fn(&mut Options)| {
                session(|options| {
                    options.http.version = version;
                    limits(options);
                })
            };
            let capped = limited(|options| options.response.max_body = Some(MIB as u64));
            let (seen, end) = read(&server, &capped).await;
            assert!(seen <= MIB && end == Some(ErrorKind::TooLarge), "{coding}, {version:?}: {seen}, {end:?}");
            let by_ratio = limited(|options| options.decode.ratio_from = MIB as u64);
            let (seen, end) = read(&server, &by_ratio).await;
            let allowed = MIB.max(250 * bomb.len());
            assert!(seen <= allowed && end == Some(ErrorKind::TooLarge), "{coding}, {version:?}: {seen}, {end:?}");
            assert_eq!(read(&server, &limited(|_| {})).await, (zeros.len(), None), "{coding}, {version:?}");
        }
    }
}

#[tokio::test]
async fn item_22_a_zstd_frame_that_wants_a_window_above_8_mib_is_refused() {
    let content = gannet_origin::payload(2, 1000);
    for (window_log, expected) in
        [(23, (content.len(), None)), (24, (0, Some(ErrorKind::Decode))), (27, (0, Some(ErrorKind::Decode)))]
    {
        for (version, server) in sending("zstd", &zstd_of(window_log, &content)).await {
            let session = session(|options| options.http.version = version);
            assert_eq!(read(&server, &session).await, expected, "{window_log}, {version:?}");
        }
    }
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
