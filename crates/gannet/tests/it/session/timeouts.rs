//! The four timeouts: which one fires, in which phase, and what its message says.

use std::net::SocketAddr;

use gannet::{ErrorKind, HttpVersion, Phase, Session};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::*;

const SHORT: Duration = Duration::from_millis(50);

fn check(error: &Error, kind: ErrorKind, phase: Phase, host: &str) {
    assert_eq!((error.kind(), error.phase(), error.host()), (kind, phase, Some(host)), "{error:?}");
    let elapsed = error.elapsed().expect("every timeout says how long it took");
    assert!(elapsed >= SHORT && elapsed < PATIENCE, "{elapsed:?}");
    let message = error.to_string();
    for part in [phase.as_str(), "50ms", host, &format!("{:.3} s", elapsed.as_secs_f64())] {
        assert!(message.contains(part), "{part:?} is missing in {message:?}");
    }
    assert!(error.is_timeout());
}

/// A listener that completes no further connection: its backlog is full and nobody accepts.
pub(super) async fn full_backlog() -> (TcpListener, Vec<TcpStream>, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = tokio::time::timeout(SHORT, TcpStream::connect(addr)).await {
        queued.push(stream.unwrap());
    }
    (listener, queued, addr)
}

#[tokio::test]
async fn waiting_for_the_pool_is_bounded_by_pool() {
    let server = serve([Script::new().expect_head().hang()]).await;
    let session = session(|options| {
        options.connections.max = 1;
        options.timeouts.pool = Some(SHORT);
    });
    let mut held = Box::pin(session.get(server.url("/")).send());
    assert!(poll_once(&mut held).await.is_none());
    let error = in_time(session.get(server.url("/")).send()).await.unwrap_err();
    check(&error, ErrorKind::TimeoutPool, Phase::Pool, "127.0.0.1");
    assert_eq!(session.pool_stats(), pool(1, 0, 0));
}

#[tokio::test]
async fn a_host_that_takes_no_connection_is_bounded_by_connect() {
    let (_listener, _queued, addr) = full_backlog().await;
    let session = session(|options| options.timeouts.connect = Some(SHORT));
    let error = in_time(session.get(format!("http://{addr}/")).send()).await.unwrap_err();
    check(&error, ErrorKind::TimeoutConnect, Phase::Connect, "127.0.0.1");
    assert!(error.is_connect());
    assert_eq!(session.pool_stats(), pool(0, 0, 0));
}

/// Never answers.
struct Silent;

impl gannet::Resolve for Silent {
    fn resolve(&self, _name: &str) -> gannet::Resolving {
        gannet::Resolving::apart(futures_util::stream::pending())
    }
}

#[tokio::test]
async fn a_lookup_that_never_ends_is_bounded_by_dns_and_without_it_by_connect() {
    let asking = |change: fn(&mut Options)| {
        let mut options = Options::default();
        change(&mut options);
        Session::builder(options).resolver(Silent).build().unwrap()
    };
    let by_dns = asking(|options| (options.timeouts.dns, options.timeouts.connect) = (Some(SHORT), None));
    let by_connect = asking(|options| options.timeouts.connect = Some(SHORT));
    for session in [&by_dns, &by_connect] {
        let error = in_time(session.get("http://some.test/").send()).await.unwrap_err();
        check(&error, ErrorKind::TimeoutConnect, Phase::Dns, "some.test");
        assert_eq!(session.pool_stats(), pool(0, 0, 0));
    }
    let own = gannet::Timeouts { dns: Some(SHORT), ..gannet::Timeouts::default() };
    let error = in_time(asking(|_| {}).get("http://some.test/").timeouts(own).send()).await.unwrap_err();
    check(&error, ErrorKind::TimeoutConnect, Phase::Dns, "some.test");
    // Nor is the lookup of a proxy's name, or for a proxy, waited for any longer.
    for proxy in ["http://proxy.test:1", "socks5://127.0.0.1:1"] {
        let error = in_time(by_dns.get("http://some.test/").proxy(proxy).send()).await.unwrap_err();
        assert!(error.is_timeout() && error.message().contains("50ms"), "{proxy}: {error}");
    }
    let origin = origin().await;
    let session = session(|options| options.timeouts.dns = Some(Duration::from_secs(3600)));
    let url = format!("http://localhost:{}/items/1", origin.addr().port());
    assert_eq!(json(in_time(session.get(url).send()).await).await["id"], 1);
}

#[tokio::test]
async fn a_handshake_that_hangs_counts_towards_connect() {
    let server = serve([Script::new().hang()]).await;
    let session = session(|options| options.timeouts.connect = Some(SHORT));
    let error = in_time(session.get(format!("https://{}/", server.addr())).send()).await.unwrap_err();
    check(&error, ErrorKind::TimeoutConnect, Phase::Tls, "127.0.0.1");
    in_time(server.wait_for_closed(1)).await;
    assert_eq!(session.pool_stats(), pool(0, 0, 0));
}

#[tokio::test]
async fn silence_before_the_head_and_within_the_body_is_bounded_by_read() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart";
    let cases = [
        (Script::new().expect_head().hang(), Phase::Head),
        (Script::new().expect_head().send("HTTP/1.1 200 OK\r\nx-a: ").hang(), Phase::Head),
        (Script::new().expect_head().send(head).hang(), Phase::Body),
    ];
    for (script, phase) in cases {
        let server = serve([script]).await;
        let session = session(|options| options.timeouts.read = Some(SHORT));
        let whole = async { session.get(server.url("/")).send().await?.bytes().await };
        let error = in_time(whole).await.unwrap_err();
        check(&error, ErrorKind::TimeoutRead, phase, "127.0.0.1");
        in_time(server.wait_for_closed(1)).await;
        assert_eq!(session.pool_stats(), pool(0, 0, 0));
    }
}

#[tokio::test]
async fn a_server_that_takes_no_body_is_bounded_by_read() {
    let server = serve([Script::new().expect_head().hang_unread()]).await;
    let session = session(|options| options.timeouts.read = Some(SHORT));
    let request = session.post(server.url("/")).body(vec![0; 30_000_000]);
    let error = in_time(request.send()).await.unwrap_err();
    check(&error, ErrorKind::TimeoutRead, Phase::Head, "127.0.0.1");
}

#[tokio::test]
async fn a_slow_answer_that_keeps_moving_is_not_cut_by_read_but_by_total() {
    let origin = origin().await;
    let session = session(|options| options.timeouts.read = Some(Duration::from_millis(400)));
    let url = origin.url("/drip?numbytes=6&duration=0.6");
    let whole = session.get(&url).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(whole.len(), 6);
    let slow = async { session.get(&url).timeout(SHORT).send().await?.bytes().await };
    let error = in_time(slow).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimeoutTotal, "{error:?}");
}

/// Who always finds something at hand never waits for a timer.
#[tokio::test]
async fn total_bounds_a_body_that_never_has_to_be_waited_for() {
    let origin = origin().await;
    for version in [HttpVersion::Http1, HttpVersion::Http2PriorKnowledge] {
        let session = session(|options| options.http.version = version);
        let url = origin.url("/bytes/50000000");
        let mut response = session.get(url).timeout(Duration::from_secs(60)).send().await.unwrap();
        // The kernel makes room for a fast reader.
        for _ in 0..300 {
            response.chunk().await.unwrap().unwrap();
        }
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(61)).await;
        let mut late = 0;
        let error = loop {
            match response.chunk().await {
                Ok(piece) => late += piece.expect("the body is not whole").len(),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimeoutTotal, "{error:?}");
        assert!(late <= 128 << 10, "{late} bytes came late by {version:?}");
        tokio::time::resume();
    }
}

#[tokio::test]
async fn total_bounds_each_phase_and_all_redirects_together() {
    let server = serve([Script::new().expect_head().hang()]).await;
    let session = session(|options| options.connections.max = 1);
    let error = in_time(session.get(server.url("/")).timeout(SHORT).send()).await.unwrap_err();
    check(&error, ErrorKind::TimeoutTotal, Phase::Head, "127.0.0.1");
    let mut held = Box::pin(session.get(server.url("/")).send());
    assert!(poll_once(&mut held).await.is_none());
    let error = in_time(session.get(server.url("/")).timeout(SHORT).send()).await.unwrap_err();
    check(&error, ErrorKind::TimeoutTotal, Phase::Pool, "127.0.0.1");
    drop(held);
    let (_listener, _queued, addr) = full_backlog().await;
    let error = in_time(session.get(format!("http://{addr}/")).timeout(SHORT).send()).await.unwrap_err();
    check(&error, ErrorKind::TimeoutTotal, Phase::Connect, "127.0.0.1");
    let round = Script::new().expect_head().send("HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n");
    let hops = round.clone().expect_head().send("HTTP/1.1 302 Found\r\nlocation: /last\r\ncontent-length: 0\r\n\r\n");
    let server = serve([hops.expect_head().hang()]).await;
    let error = in_time(session.get(server.url("/")).timeout(SHORT).send()).await.unwrap_err();
    check(&error, ErrorKind::TimeoutTotal, Phase::Head, "127.0.0.1");
    assert!(error.url().unwrap().ends_with("/last"));
}

#[tokio::test]
async fn a_redirect_whose_body_hangs_is_bounded_too() {
    let head = "HTTP/1.1 302 Found\r\nlocation: /b\r\ncontent-length: 9\r\n\r\npart";
    let server = serve([Script::new().expect_head().send(head).hang(), answers(OK)]).await;
    let session = session(|options| options.timeouts.read = Some(SHORT));
    let response = in_time(session.get(server.url("/a")).send()).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "ok");
}

#[tokio::test]
async fn a_request_has_timeouts_of_its_own() {
    let server = serve([Script::new().expect_head().hang()]).await;
    let own = gannet::Timeouts { read: Some(SHORT), ..gannet::Timeouts::default() };
    let error = in_time(Session::default().get(server.url("/")).timeouts(own).send()).await.unwrap_err();
    check(&error, ErrorKind::TimeoutRead, Phase::Head, "127.0.0.1");
}

#[tokio::test]
async fn a_timer_of_an_earlier_request_does_not_end_a_later_one() {
    let origin = origin().await;
    let session = Session::default();
    let short = session.get(origin.url("/items/1")).timeout(SHORT).send().await.unwrap();
    short.bytes().await.unwrap();
    let later = session.get(origin.url("/items/1?delay=0.12")).send().await.unwrap();
    later.bytes().await.unwrap();
    assert_eq!(origin.stats().connections_total, 1);
}
