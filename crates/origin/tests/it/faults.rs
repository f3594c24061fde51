use std::io::ErrorKind;

use tokio::io::AsyncReadExt;

use crate::client::{Client, get, start};

/// The statuses of `attempts` attempts at each of `urls` URLs.
async fn fates(seed: u64, urls: usize, attempts: usize) -> Vec<Vec<u16>> {
    let origin = start().await;
    let mut client = Client::connect(origin.addr()).await;
    let mut all = Vec::new();
    for n in 0..urls {
        let mut fate = Vec::new();
        for _ in 0..attempts {
            let target = format!("/flaky?p=0.3&seed={seed}&status=502&n={n}");
            fate.push(client.get(&target).await.unwrap().status);
        }
        all.push(fate);
    }
    all
}

#[tokio::test]
async fn flaky_fails_the_same_attempts_in_every_run() {
    let first = fates(1, 60, 4).await;
    assert_eq!(fates(1, 60, 4).await, first);
    assert_ne!(fates(2, 60, 4).await, first);
    let failed = first.iter().flatten().filter(|status| **status == 502).count();
    assert_eq!(first.iter().flatten().filter(|status| **status == 200).count(), 240 - failed);
    // 240 draws at 0.3: 72 expected, three deviations are 21.
    assert!((51..=93).contains(&failed), "{failed}");
    // The attempt matters, not only the URL.
    assert!(first.iter().any(|fate| fate.contains(&200) && fate.contains(&502)));
}

#[tokio::test]
async fn flaky_counts_attempts_per_url_whatever_comes_between() {
    let origin = start().await;
    for (target, attempt) in [("/flaky?p=0&n=1", 1), ("/flaky?p=0&n=2", 1), ("/flaky?p=0&n=1", 2)] {
        assert_eq!(get(&origin, target).await.json()["attempt"], attempt);
    }
    origin.reset_stats();
    assert_eq!(get(&origin, "/flaky?p=0&n=1").await.json()["attempt"], 1);
}

#[tokio::test]
async fn flaky_fails_in_the_mode_asked_for() {
    let origin = start().await;
    let always = |rest: &str| format!("/flaky?p=1&{rest}");
    let reply = get(&origin, &always("status=429&retry_after=3")).await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("3")));

    let mut client = Client::connect(origin.addr()).await;
    let error = client.get(&always("mode=reset")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let mut client = Client::connect(origin.addr()).await;
    let error = client.get(&always("mode=truncate")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    for nonsense in ["/flaky?mode=odd", "/flaky?p=1.5", "/flaky?p=NaN", "/flaky?status=99"] {
        assert_eq!(get(&origin, nonsense).await.status, 400, "{nonsense}");
    }
}

#[tokio::test]
async fn reset_before_the_answer_is_econnreset_with_no_byte() {
    let origin = start().await;
    let mut client = Client::connect(origin.addr()).await;
    client.send("GET /reset HTTP/1.1\r\nHost: t\r\n\r\n").await;
    let mut read = Vec::new();
    let error = client.stream.read_to_end(&mut read).await.unwrap_err();
    assert_eq!((error.kind(), read.len()), (ErrorKind::ConnectionReset, 0));
}

#[tokio::test]
async fn reset_after_the_head_comes_behind_half_of_the_body() {
    let origin = start().await;
    let mut client = Client::connect(origin.addr()).await;
    client.send("GET /reset?after=head HTTP/1.1\r\nHost: t\r\n\r\n").await;
    let head = client.until(b"\r\n\r\n").await.unwrap();
    assert!(String::from_utf8(head).unwrap().contains("content-length: 1000\r\n"));
    let mut read = Vec::new();
    let error = client.stream.read_to_end(&mut read).await.unwrap_err();
    assert_eq!((error.kind(), read.len()), (ErrorKind::ConnectionReset, 500));
}

#[tokio::test]
async fn truncate_sends_half_of_the_length_it_promised() {
    let origin = start().await;
    let mut client = Client::connect(origin.addr()).await;
    client.send("GET /truncate HTTP/1.1\r\nHost: t\r\n\r\n").await;
    let head = client.until(b"\r\n\r\n").await.unwrap();
    assert!(String::from_utf8(head).unwrap().contains("content-length: 1000\r\n"));
    let mut read = Vec::new();
    client.stream.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, [b'x'; 500]);
}

#[tokio::test]
async fn a_truncated_chunked_body_lacks_its_last_chunk() {
    let origin = start().await;
    let mut client = Client::connect(origin.addr()).await;
    client.send("GET /truncate?chunked=1 HTTP/1.1\r\nHost: t\r\n\r\n").await;
    let head = client.until(b"\r\n\r\n").await.unwrap();
    assert!(String::from_utf8(head).unwrap().contains("transfer-encoding: chunked\r\n"));
    let mut read = Vec::new();
    client.stream.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, format!("1F4\r\n{}\r\n", "x".repeat(500)).as_bytes());
}

#[tokio::test]
async fn hang_stays_in_flight_until_the_client_goes() {
    let origin = start().await;
    for (target, bytes) in [("/hang", 0), ("/hang?after=head", 500)] {
        let mut client = Client::connect(origin.addr()).await;
        client.send(format!("GET {target} HTTP/1.1\r\nHost: t\r\n\r\n")).await;
        if bytes > 0 {
            client.until(b"\r\n\r\n").await.unwrap();
            client.stream.read_exact(&mut vec![0; bytes]).await.unwrap();
        }
        while origin.stats().in_flight == 0 {
            tokio::task::yield_now().await;
        }
        // A whole exchange with another connection leaves time for a wrong answer.
        get(&origin, "/get").await;
        let error = client.stream.try_read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert_eq!(origin.stats().in_flight, 1);
        drop(client);
        while origin.stats().in_flight > 0 || origin.stats().connections > 0 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_fault_ends_its_own_connection_and_no_other() {
    let origin = start().await;
    let mut other = Client::connect(origin.addr()).await;
    assert_eq!(other.get("/get").await.unwrap().status, 200);
    let mut client = Client::connect(origin.addr()).await;
    assert!(client.get("/reset").await.is_err());
    assert_eq!(other.get("/get").await.unwrap().status, 200);
    assert_eq!(origin.stats().connections_total, 2);
}
