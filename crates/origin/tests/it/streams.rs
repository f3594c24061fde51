use std::time::{Duration, Instant};

use gannet_origin::payload;
use serde_json::Value;

use crate::client::{Client, get, start};

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
    // Four waits of 20 ms between five bytes, and the one before them.
    assert!(start.elapsed() >= Duration::from_millis(100), "{:?}", start.elapsed());
    assert_eq!((reply.status, reply.text()), (202, "*****"));
    assert_eq!(reply.header("content-length"), Some("5"));
}

#[tokio::test]
async fn the_first_piece_comes_before_the_last_is_due() {
    let origin = start().await;
    let mut client = Client::connect(origin.addr()).await;
    client.send("GET /stream/2?interval=60 HTTP/1.1\r\nHost: t\r\n\r\n").await;
    client.until(b"\"id\":0").await.unwrap();
    assert_eq!(origin.stats().in_flight, 1);
}
