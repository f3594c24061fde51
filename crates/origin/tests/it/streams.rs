use std::time::{Duration, Instant};

use gannet_origin::payload;
use serde_json::Value;

use crate::client::{Client, exchange, get, start};

#[tokio::test]
async fn bytes_follow_from_the_seed_with_and_without_a_length() {
    let origin = start().await;
    for len in [0, 1, 7, 16 * 1024, 16 * 1024 + 1, 100_000] {
        let reply = get(&origin, &format!("/bytes/{len}?seed=9")).await;
        assert_eq!(reply.header("content-length"), Some(len.to_string().as_str()));
        assert_eq!(reply.body, payload(9, len));
        let chunked = get(&origin, &format!("/bytes/{len}?seed=9&chunked=1")).await;
        assert_eq!(chunked.header("transfer-encoding"), Some("chunked"));
        assert_eq!(chunked.body, reply.body);
    }
    assert_ne!(payload(1, 32), payload(2, 32));
    // A shorter payload is the beginning of a longer one.
    assert_eq!(payload(1, 20_000)[..100], payload(1, 100));
}

#[tokio::test]
async fn bytes_are_had_in_ranges_and_by_their_tag_alone() {
    let origin = start().await;
    let whole = payload(9, 50_000);
    let ask = async |fields: &str| {
        let request = format!("GET /bytes/50000?seed=9 HTTP/1.1\r\nHost: t\r\n{fields}\r\n");
        exchange(&origin, request).await
    };
    let reply = ask("").await;
    assert_eq!((reply.status, reply.header("accept-ranges"), reply.body == whole), (200, Some("bytes"), true));
    let tag = reply.header("etag").unwrap().to_owned();
    for (range, part) in [
        ("0-0", 0..1),
        ("5-", 5..50_000),
        ("8-15", 8..16),
        ("20003-40009", 20_003..40_010),
        ("49999-60000", 49_999..50_000),
        ("-3", 49_997..50_000),
        ("-60000", 0..50_000),
    ] {
        for known in [String::new(), format!("If-Range: {tag}\r\n")] {
            let reply = ask(&format!("Range: bytes={range}\r\n{known}")).await;
            let place = format!("bytes {}-{}/50000", part.start, part.end - 1);
            assert_eq!((reply.status, reply.header("content-range")), (206, Some(&*place)), "{range}");
            assert_eq!(reply.header("etag"), Some(&*tag));
            assert!(reply.body == whole[part.clone()], "{range}");
        }
    }
    for range in ["50000-", "-0"] {
        let reply = ask(&format!("Range: bytes={range}\r\n")).await;
        assert_eq!((reply.status, reply.header("content-range")), (416, Some("bytes */50000")), "{range}");
    }
    // Another version, several ranges, and what is none are answered with the whole.
    for fields in ["bytes=5-\r\nIf-Range: \"other\"", "bytes=0-1,4-5", "bytes=5-4", "bytes=a-b", "lines=1-2"] {
        let reply = ask(&format!("Range: {fields}\r\n")).await;
        assert_eq!((reply.status, reply.body.len()), (200, 50_000), "{fields}");
    }
    let other = get(&origin, "/bytes/50000?seed=8").await;
    assert_ne!(other.header("etag"), Some(&*tag));
    assert_eq!(get(&origin, "/bytes/10?chunked=1").await.header("etag"), None);
}

#[tokio::test]
async fn stream_is_numbered_lines_of_json_in_chunks() {
    let origin = start().await;
    let mut client = Client::connect(origin.addr()).await;
    for count in [0, 1, 25] {
        let reply = client.get(&format!("/stream/{count}?x=1")).await.unwrap();
        assert_eq!(reply.header("transfer-encoding"), Some("chunked"));
        let lines: Vec<Value> = reply.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), count);
        assert!(lines.iter().enumerate().all(|(n, line)| line["id"] == n && line["args"]["x"] == "1"));
    }
}

#[tokio::test]
async fn drip_spreads_its_bytes_over_its_duration() {
    let origin = start().await;
    let start = Instant::now();
    let reply = get(&origin, "/drip?numbytes=5&duration=0.1&code=202&delay=0.02").await;
    // Five waits of 20 ms, and the one before them.
    assert!(start.elapsed() >= Duration::from_millis(120), "{:?}", start.elapsed());
    assert_eq!((reply.status, reply.text()), (202, "*****"));
    assert_eq!(reply.header("content-length"), Some("5"));
}

#[tokio::test]
async fn a_drip_of_many_bytes_takes_no_longer_than_one_of_few() {
    let origin = start().await;
    for path in
        ["/drip?numbytes=20000&duration=0.2", "/drip?numbytes=100003&duration=0.2", "/bytes/2000000?duration=0.2"]
    {
        let start = Instant::now();
        let reply = get(&origin, path).await;
        let took = start.elapsed();
        assert_eq!(reply.header("content-length").unwrap(), reply.body.len().to_string());
        // A sleep for each of them would take 20 s.
        assert!(took >= Duration::from_millis(190) && took < Duration::from_secs(3), "{path}: {took:?}");
    }
    assert_eq!(get(&origin, "/drip?numbytes=7&duration=0").await.text(), "*******");
}

#[tokio::test]
async fn the_first_piece_comes_before_the_last_is_due() {
    let origin = start().await;
    let mut client = Client::connect(origin.addr()).await;
    client.send("GET /stream/2?interval=60 HTTP/1.1\r\nHost: t\r\n\r\n").await;
    client.until(b"\"id\":0").await.unwrap();
    assert_eq!(origin.stats().in_flight, 1);
}
