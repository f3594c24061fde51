//! Dropping a future at any await leaks no connection, no slot and no task: every case is dropped at every poll.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use gannet::{Body, HttpVersion, Session};
use tokio::sync::Notify;

use super::*;

type Sending = Pin<Box<dyn Future<Output = gannet::Result<usize>>>>;

async fn send_all(request: gannet::RequestBuilder) -> gannet::Result<usize> {
    let mut response = request.send().await?;
    let mut length = 0;
    while let Some(piece) = response.chunk().await? {
        length += piece.len();
    }
    Ok(length)
}

/// Lets everything else run for a while, so that the next poll finds something new.
async fn breathe() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// Polls at most this often; whether it came to its end.
async fn polled(mut sending: Sending, times: usize) -> bool {
    for _ in 0..times {
        if let Some(result) = poll_once(&mut sending).await {
            result.unwrap();
            return true;
        }
        breathe().await;
    }
    false
}

/// Drops the request after 0, 1, 2 … polls, and looks each time at what is left behind.
async fn drop_at_every_poll(origin: &Origin, tls: bool, request: impl Fn(&Session) -> Sending) {
    let roots = if tls { vec![origin.ca_pem().to_owned()] } else { Vec::new() };
    let change = |options: &mut Options| options.tls.extra_roots = roots.clone();
    drop_with(origin, change, || origin.stats().connections, request).await;
}

/// The same with other options; `connections` counts those that a session has open, at their other end.
async fn drop_with(
    origin: &Origin,
    change: impl Fn(&mut Options),
    connections: impl Fn() -> u64,
    request: impl Fn(&Session) -> Sending,
) {
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    // The origin starts the last of its own tasks when it first runs.
    breathe().await;
    let baseline = alive();
    for times in 0..500 {
        let session = session(|options| {
            options.connections.max = 1;
            change(options);
        });
        let done = polled(request(&session), times).await;
        let stats = session.pool_stats();
        assert_eq!((stats.open, stats.waiting), (stats.idle, 0), "after {times} polls");
        let open = stats.open as u64;
        until(|| connections() == open).await;
        // Asked for by none of those that are dropped: what was left of one of them is no answer to it.
        let next = in_time(session.get(origin.url("/items/77")).send()).await;
        assert_eq!(json(next).await["id"], 77, "after {times} polls");
        session.close();
        until(|| connections() + origin.stats().connections == 0).await;
        drop(session);
        until(|| alive() == baseline).await;
        if done {
            assert!(times >= 2, "it never waited: nothing was tested");
            return;
        }
    }
    panic!("not done after 500 polls");
}

#[tokio::test]
async fn item_16_the_answer_to_a_dropped_request_is_no_other_requests() {
    let late = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate";
    let sent = Arc::new(Notify::new());
    // What of the answer has come before the drop; the rest would come behind the next request.
    for come in ["", "HTTP/1.1 100 Continue\r\n\r\n", &late[..20], &late[..late.len() - 2]] {
        let rest = late.strip_prefix(come).unwrap_or(late);
        let first = Script::new().expect_head().send(come).signal(&sent).expect_head().send(rest).hang();
        let server = serve([first, answers(OK)]).await;
        let session = session(|options| options.connections.max = 1);
        let mut dropped = Box::pin(send_all(session.get(server.url("/dropped"))));
        tokio::select! {
            length = &mut dropped => panic!("{length:?}"),
            () = sent.notified() => {}
        }
        assert!(!polled(dropped, 3).await);
        let next = in_time(session.get(server.url("/next")).send()).await.unwrap();
        assert_eq!((next.text().await.unwrap().as_str(), server.connections()), ("ok", 2), "{come:?}");
    }
}

#[tokio::test]
async fn a_get_can_be_dropped_at_every_poll() {
    let origin = origin().await;
    drop_at_every_poll(&origin, false, |session| Box::pin(send_all(session.get(origin.url("/bytes/400000"))))).await;
}

#[tokio::test]
async fn a_lookup_can_be_dropped_at_every_poll() {
    let origin = origin().await;
    let url = format!("http://localhost:{}/items/1", origin.addr().port());
    drop_at_every_poll(&origin, false, |session| Box::pin(send_all(session.get(&url)))).await;
}

#[tokio::test]
async fn a_chain_of_redirects_can_be_dropped_at_every_poll() {
    let origin = origin().await;
    drop_at_every_poll(&origin, false, |session| Box::pin(send_all(session.get(origin.url("/redirect/3"))))).await;
}

#[tokio::test]
async fn an_answer_to_a_challenge_can_be_dropped_at_every_poll() {
    let origin = origin().await;
    let url = origin.url("/digest-auth/auth/me/pw");
    drop_at_every_poll(&origin, false, |session| Box::pin(send_all(session.get(&url).digest_auth("me", "pw")))).await;
}

#[tokio::test]
async fn a_chunked_body_can_be_dropped_at_every_poll() {
    let origin = origin().await;
    let url = origin.url("/bytes/400000?chunked=1");
    drop_at_every_poll(&origin, false, |session| Box::pin(send_all(session.get(&url)))).await;
}

#[tokio::test]
async fn an_upload_can_be_dropped_at_every_poll() {
    let origin = origin().await;
    drop_at_every_poll(&origin, false, |session| {
        let pieces = (0..40).map(|_| Ok(Bytes::from(vec![b'x'; 50_000])));
        let body = Body::stream(futures_util::stream::iter(pieces), None);
        Box::pin(send_all(session.put(origin.url("/anything")).body(body)))
    })
    .await;
}

#[tokio::test]
async fn a_tls_handshake_can_be_dropped_at_every_poll() {
    let origin = origin().await;
    drop_at_every_poll(&origin, true, |session| Box::pin(send_all(session.get(origin.https_url("/bytes/100000")))))
        .await;
}

#[tokio::test]
async fn a_middleware_that_sends_twice_can_be_dropped_at_every_poll() {
    let origin = origin().await;
    let twice = |request: gannet::Request, next: gannet::Next| async move {
        let again = request.try_clone().unwrap();
        next.run(request).await?.bytes().await?;
        next.run(again).await
    };
    drop_at_every_poll(&origin, false, |session| {
        Box::pin(send_all(session.get(origin.url("/bytes/100000")).middleware(twice)))
    })
    .await;
}

#[tokio::test]
async fn requests_that_share_a_connection_can_be_dropped_at_every_poll() {
    let origin = origin().await;
    for path in ["/bytes/300000", "/bytes/300000?chunked=1", "/redirect/2"] {
        drop_at_every_poll(&origin, true, |session| {
            let url = origin.https_url(path);
            let (first, second) = (session.get(&url), session.get(&url));
            Box::pin(async { tokio::try_join!(send_all(first), send_all(second)).map(|(a, b)| a + b) })
        })
        .await;
    }
}

#[tokio::test]
async fn an_upload_on_a_shared_connection_can_be_dropped_at_every_poll() {
    let origin = origin().await;
    drop_at_every_poll(&origin, true, |session| {
        let pieces = (0..40).map(|_| Ok(Bytes::from(vec![b'x'; 50_000])));
        let body = Body::stream(futures_util::stream::iter(pieces), None);
        Box::pin(send_all(session.put(origin.https_url("/anything")).body(body)))
    })
    .await;
}

#[tokio::test]
async fn a_place_in_the_line_can_be_dropped_at_every_poll() {
    let origin = origin().await;
    drop_at_every_poll(&origin, false, |session| {
        let (first, second) = (session.get(origin.url("/bytes/100000")), session.get(origin.url("/items/2")));
        Box::pin(async { tokio::try_join!(send_all(first), send_all(second)).map(|(a, b)| a + b) })
    })
    .await;
}

#[tokio::test]
async fn every_way_through_a_proxy_can_be_dropped_at_every_poll() {
    let origin = origin().await;
    let identity = gannet_origin::Identity::for_names(&["127.0.0.1"]).unwrap();
    let plain = gannet_origin::Proxy::builder().credentials("me", "pw").start().await.unwrap();
    let secure = gannet_origin::Proxy::builder().identity(&identity).start().await.unwrap();
    let (http, https) = (origin.url("/bytes/100000"), origin.https_url("/bytes/100000"));
    for (proxy, scheme, url) in [
        (&plain, "http", &http),
        (&plain, "http", &https),
        (&plain, "socks5", &https),
        (&plain, "socks5h", &http),
        (&secure, "https", &http),
        (&secure, "https", &https),
    ] {
        let change = |options: &mut Options| {
            options.proxy.url = Some(proxy.url(scheme).replace("://", "://me:pw@").parse().unwrap());
            options.proxy.tls.extra_roots = vec![identity.ca_pem().to_owned()];
            options.tls.extra_roots = vec![origin.ca_pem().to_owned()];
        };
        drop_with(&origin, change, || proxy.open() as u64, |session| Box::pin(send_all(session.get(url)))).await;
    }
}

fn streamed(request: gannet::RequestBuilder) -> Sending {
    let pieces = (0..20).map(|_| Ok(Bytes::from(vec![b'x'; 20_000])));
    Box::pin(send_all(request.body(Body::stream(futures_util::stream::iter(pieces), None))))
}

#[tokio::test]
async fn http2_without_tls_can_be_dropped_at_every_poll() {
    let origin = origin().await;
    let change = |options: &mut Options| options.http.version = HttpVersion::Http2PriorKnowledge;
    let connections = || origin.stats().connections;
    drop_with(&origin, change, connections, |session| Box::pin(send_all(session.get(origin.url("/bytes/300000")))))
        .await;
    drop_with(&origin, change, connections, |session| streamed(session.put(origin.url("/anything")))).await;
    let waits = Duration::from_millis(1);
    let url = origin.url("/redirect-to?url=/anything&status_code=307");
    let held = |session: &Session| Box::pin(send_all(session.put(&url).body("held").expect_continue(waits))) as Sending;
    drop_with(&origin, change, connections, held).await;
    let compressed = |session: &Session| {
        let body = gannet_origin::payload(1, 200_000).to_vec();
        Box::pin(send_all(session.post(origin.url("/anything")).body(body).compress(gannet::Coding::Zstd))) as Sending
    };
    drop_with(&origin, change, connections, compressed).await;
}

#[tokio::test]
async fn http2_through_every_kind_of_proxy_can_be_dropped_at_every_poll() {
    let origin = origin().await;
    let identity = gannet_origin::Identity::for_names(&["127.0.0.1"]).unwrap();
    let plain = gannet_origin::Proxy::builder().credentials("me", "pw").start().await.unwrap();
    let secure = gannet_origin::Proxy::builder().identity(&identity).start().await.unwrap();
    for (proxy, scheme, base) in [
        (&plain, "http", origin.url("")),
        (&plain, "http", origin.https_url("")),
        (&plain, "socks5", origin.url("")),
        (&secure, "https", origin.https_url("")),
    ] {
        let change = |options: &mut Options| {
            options.http.version = HttpVersion::Http2PriorKnowledge;
            options.proxy.url = Some(proxy.url(scheme).replace("://", "://me:pw@").parse().unwrap());
            options.proxy.tls.extra_roots = vec![identity.ca_pem().to_owned()];
            options.tls.extra_roots = vec![origin.ca_pem().to_owned()];
        };
        let open = || proxy.open() as u64;
        drop_with(&origin, change, open, |session| streamed(session.put(format!("{base}/anything")))).await;
        drop_with(&origin, change, open, |session| {
            let (one, two) = (session.get(format!("{base}/bytes/100000")), session.get(format!("{base}/redirect/1")));
            Box::pin(async { tokio::try_join!(send_all(one), send_all(two)).map(|(a, b)| a + b) })
        })
        .await;
    }
}

#[tokio::test]
async fn a_place_in_the_line_for_a_stream_can_be_dropped_at_every_poll() {
    let origin = Origin::builder().https(true).max_streams(1).start().await.unwrap();
    drop_at_every_poll(&origin, true, |session| {
        let requests =
            (0..3).map(|id| send_all(session.get(origin.https_url(&format!("/items/{id}"))))).collect::<Vec<_>>();
        Box::pin(async { Ok(futures_util::future::try_join_all(requests).await?.len()) })
    })
    .await;
}
