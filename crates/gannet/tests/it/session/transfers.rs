//! Bodies that are compressed on their way out, read from a reader, and watched in both directions.

use std::io::{self, Cursor, Read};
use std::sync::{Arc, Mutex};

use base64::Engine;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use gannet::{Body, Coding, ErrorKind, HttpVersion, Progress, Session};

use super::*;

pub(super) const CODINGS: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

/// One that speaks HTTP/1.1, and one that speaks HTTP/2.
pub(super) fn both() -> [(bool, Session); 2] {
    let speaking = |version| session(|options| options.http.version = version);
    [(false, speaking(HttpVersion::Http1)), (true, speaking(HttpVersion::Http2PriorKnowledge))]
}

/// Undone by the formats' own readers.
fn decoded(coding: Coding, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match coding {
        Coding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).map(drop),
        Coding::Deflate => flate2::read::ZlibDecoder::new(bytes).read_to_end(&mut out).map(drop),
        Coding::Brotli => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out).map(drop),
        Coding::Zstd => zstd::stream::copy_decode(bytes, &mut out),
    }
    .unwrap();
    out
}

/// The body that the origin says it got.
fn data(seen: &Value) -> Vec<u8> {
    let data = seen["data"].as_str().unwrap();
    match data.strip_prefix("data:application/octet-stream;base64,") {
        Some(encoded) => base64::engine::general_purpose::STANDARD.decode(encoded).unwrap(),
        None => data.as_bytes().to_vec(),
    }
}

fn pieces(content: &[u8]) -> Vec<io::Result<Bytes>> {
    content.chunks(10_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect()
}

#[tokio::test]
async fn bodies_of_every_kind_are_compressed_by_every_coding() {
    let origin = origin().await;
    let content = gannet_origin::payload(3, 700_000);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &content).unwrap();
    for (coding, (http2, session)) in CODINGS.into_iter().flat_map(|coding| both().map(|session| (coding, session))) {
        let again = pieces(&content);
        let again =
            move || stream::iter(again.iter().map(|p| Ok(p.as_ref().unwrap().clone())).collect::<Vec<_>>()).boxed();
        for body in [
            Body::from(content.to_vec()),
            Body::file(file.path()).unwrap(),
            Body::stream(stream::iter(pieces(&content)), Some(content.len() as u64)),
            Body::replayable(again, None),
        ] {
            let sent = session.post(origin.url("/anything")).body(body).compress(coding).send();
            let seen = json(in_time(sent).await).await;
            assert_eq!(seen["headers"]["Content-Encoding"], coding.as_str());
            let framing = if http2 { Value::Null } else { "chunked".into() };
            assert_eq!(seen["headers"]["Transfer-Encoding"], framing);
            assert_eq!(seen["headers"]["Content-Length"], Value::Null);
            assert!(decoded(coding, &data(&seen)) == content, "{coding:?}");
        }
        // A small one has a length.
        let seen = json(session.post(origin.url("/anything")).compress(coding).json("small").send().await).await;
        assert_eq!(seen["headers"].get("Transfer-Encoding"), None);
        assert!(seen["headers"].get("Content-Length").is_some());
        assert_eq!(decoded(coding, &data(&seen)), b"\"small\"");
    }
}

#[tokio::test]
async fn item_23_a_compressed_body_is_the_same_after_a_redirect_and_an_empty_one_stays_empty() {
    let origin = origin().await;
    let content = gannet_origin::payload(4, 400_000);
    for (_, session) in both() {
        let url = origin.url("/redirect-to?url=/anything&status_code=307");
        let seen = json(session.post(url).body(content.to_vec()).compress(Coding::Gzip).send().await).await;
        assert!(decoded(Coding::Gzip, &data(&seen)) == content);
        assert_eq!(seen["headers"]["Content-Encoding"], "gzip");
        let away = origin.url("/redirect-to?url=/anything&status_code=303");
        let seen = json(session.post(away).body("x").compress(Coding::Gzip).send().await).await;
        assert_eq!((seen["method"].as_str(), seen["headers"].get("Content-Encoding")), (Some("GET"), None));
        let seen = json(session.post(origin.url("/anything")).compress(Coding::Gzip).send().await).await;
        assert_eq!(seen["headers"].get("Content-Encoding"), None);
    }
}

#[tokio::test]
async fn what_a_slow_stream_has_given_is_not_held_back_in_the_encoder() {
    let server = serve([Script::new().hang()]).await;
    for (at, coding) in CODINGS.into_iter().enumerate() {
        let slow = stream::iter([Ok(Bytes::from("first piece"))]).chain(stream::pending());
        let sending = Session::default().post(server.url("/")).body(Body::stream(slow, None)).compress(coding).send();
        let came = async {
            let whole = |bytes: &[u8]| dechunked(bytes).is_some_and(|body| starts_with_first_piece(coding, &body));
            until(|| server.received().get(at).is_some_and(|bytes| whole(bytes))).await;
        };
        tokio::select! {
            answer = sending => panic!("{answer:?}"),
            () = came => {}
        }
    }
}

/// The chunks' data so far.
fn dechunked(bytes: &[u8]) -> Option<Vec<u8>> {
    let start = bytes.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let (mut rest, mut body) = (&bytes[start..], Vec::new());
    while let Some(end) = rest.windows(2).position(|end| end == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?, 16).ok()?;
        let Some(data) = rest.get(end + 2..end + 2 + size) else { break };
        body.extend_from_slice(data);
        rest = rest.get(end + 4 + size..)?;
    }
    Some(body)
}

pub(super) fn starts_with_first_piece(coding: Coding, body: &[u8]) -> bool {
    let mut out = [0; 11];
    let read = match coding {
        Coding::Gzip => flate2::read::GzDecoder::new(body).read_exact(&mut out),
        Coding::Deflate => flate2::read::ZlibDecoder::new(body).read_exact(&mut out),
        Coding::Brotli => brotli::Decompressor::new(body, 4096).read_exact(&mut out),
        Coding::Zstd => zstd::stream::read::Decoder::new(body).and_then(|mut decoder| decoder.read_exact(&mut out)),
    };
    read.is_ok() && &out == b"first piece"
}

#[tokio::test]
async fn item_23_a_stream_shorter_than_announced_is_not_passed_off_as_whole_when_compressed() {
    let server = serve([Script::new().hang()]).await;
    let body = Body::stream(stream::iter([Ok(Bytes::from("five!"))]), Some(6));
    let sent = Session::default().post(server.url("/")).body(body).compress(Coding::Gzip).send();
    assert_eq!(in_time(sent).await.unwrap_err().kind(), ErrorKind::Request);
    in_time(server.wait_for_closed(1)).await;
    assert!(!text(&server.received()[0]).ends_with("0\r\n\r\n"));
}

#[tokio::test]
async fn a_reader_is_sent_as_it_gives_and_its_error_is_told() {
    let origin = origin().await;
    let content = gannet_origin::payload(5, 600_000);
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is on fire"))
        }
    }
    for (_, session) in both() {
        for length in [None, Some(600_000)] {
            let body = Body::reader(Cursor::new(content.to_vec()), length);
            let seen = json(session.post(origin.url("/anything")).body(body).send().await).await;
            assert!(data(&seen) == content);
        }
        let broken = session.post(origin.url("/anything")).body(Body::reader(Broken, None));
        assert_eq!(in_time(broken.send()).await.unwrap_err().kind(), ErrorKind::Request);
    }
}

/// Keeps what it is told.
fn noted() -> (Arc<Mutex<Vec<Progress>>>, impl Fn(Progress) + Send + Sync + 'static) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = seen.clone();
    (seen, move |progress| told.lock().unwrap().push(progress))
}

fn ends_at(seen: &Mutex<Vec<Progress>>, total: u64, known: bool) {
    let seen = seen.lock().unwrap();
    assert!(seen.windows(2).all(|two| two[0].done < two[1].done), "{seen:?}");
    assert_eq!(seen.last().map(|last| last.done), Some(total));
    assert!(seen.iter().all(|progress| progress.total == known.then_some(total)), "{seen:?}");
}

#[tokio::test]
async fn bodies_are_watched_in_both_directions_to_their_last_byte() {
    let origin = origin().await;
    for (_, session) in both() {
        for size in [100, 3_000_000] {
            let (up, on_up) = noted();
            let (down, on_down) = noted();
            let url = origin.url("/redirect-to?url=/bytes/200000&status_code=303");
            let request = session.post(url).body(vec![b'x'; size]).on_upload(on_up).on_download(on_down);
            in_time(request.send()).await.unwrap().bytes().await.unwrap();
            ends_at(&up, size as u64, true);
            ends_at(&down, 200_000, true);
        }
        let (down, on_down) = noted();
        let request = session.get(origin.url("/bytes/200000?chunked=1")).on_download(on_down);
        request.send().await.unwrap().bytes().await.unwrap();
        ends_at(&down, 200_000, false);
        // Of an unknown length: what frames the chunks is none of the body.
        let (up, on_up) = noted();
        let request = session
            .post(origin.url("/anything"))
            .body(Body::reader(Cursor::new(vec![b'x'; 345_678]), None))
            .on_upload(on_up);
        request.send().await.unwrap();
        ends_at(&up, 345_678, false);
    }
}

#[tokio::test]
async fn a_compressed_upload_is_watched_by_what_goes_into_it() {
    let origin = origin().await;
    for (_, session) in both() {
        let (up, on_up) = noted();
        let request = session.post(origin.url("/anything")).body(vec![b'x'; 1_000_000]);
        request.compress(Coding::Zstd).on_upload(on_up).send().await.unwrap();
        ends_at(&up, 1_000_000, true);
    }
}
