//! What goes wrong on the way: the proxy is named, and what it says is never taken for the origin's answer.

use gannet::Phase;

use super::*;

const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_refused_tunnel_is_an_error_that_names_the_proxy_and_its_status() {
    let origin = origin().await;
    for (status, reason) in [(407, "Proxy Authentication Required"), (403, "Forbidden"), (502, "Bad Gateway")] {
        let proxy = Proxy::builder().refuse(status).start().await.unwrap();
        let session = through(&proxy.url("http"));
        let error = in_time(session.get(origin.https_url("/get")).send()).await.unwrap_err();
        assert_eq!((error.kind(), error.phase(), error.status()), (ErrorKind::Proxy, Phase::Tunnel, None));
        assert_eq!(error.proxy_status().map(|status| status.as_u16()), Some(status));
        assert!(error.is_connect() && !error.is_status());
        for part in [&proxy.url("http"), reason, &status.to_string()] {
            assert!(error.to_string().contains(part), "{part:?} is missing in {error}");
        }
        assert_eq!(session.pool_stats(), pool(0, 0, 0));
        // Where the proxy itself is sent the request, what it says is the response.
        let response = session.get(origin.url("/get")).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.text().await.unwrap().as_str()),
            (status, "the proxy says no")
        );
    }
    assert_eq!(origin.stats().connections_total, 0);
}

#[tokio::test]
async fn what_socks_refuses_is_told_by_kind() {
    let origin = origin().await;
    let refusing = Proxy::builder().refuse(403).start().await.unwrap();
    let error = through(&refusing.url("socks5h")).get(origin.url("/get")).send().await.unwrap_err();
    assert_eq!((error.kind(), error.phase(), error.proxy_status()), (ErrorKind::Proxy, Phase::Tunnel, None));
    let wanting = Proxy::builder().credentials("me", "pw").start().await.unwrap();
    for url in [wanting.url("socks5h"), wanting.url("socks5h").replace("://", "://me:wrong@")] {
        let error = through(&url).get(origin.url("/get")).send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Proxy, "{error}");
        assert!(error.to_string().contains("password"), "{error}");
    }
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = proxy().await;
    for scheme in ["socks4", "socks4a", "socks5", "socks5h"] {
        let error = through(&proxy.url(scheme)).get(format!("http://{closed}/")).send().await.unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Connect, Phase::Tunnel), "{error}");
        assert!(error.kind().is_transient() && error.to_string().contains(&proxy.url(scheme)), "{error}");
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named_and_not_the_host() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (url, kind) in [
        (format!("http://{closed}"), ErrorKind::Connect),
        (format!("socks5h://{closed}"), ErrorKind::Connect),
        ("http://no-such-proxy.invalid:3128".to_owned(), ErrorKind::Dns),
    ] {
        let session = through(&url);
        for target in ["http://a.test/", "https://a.test/"] {
            let error = in_time(session.get(target).send()).await.unwrap_err();
            assert_eq!((error.kind(), error.phase()), (kind, Phase::Proxy), "{error}");
            assert!(error.to_string().contains(&url), "{error}");
        }
        assert_eq!(session.pool_stats(), pool(0, 0, 0));
    }
}

#[tokio::test]
async fn an_answer_to_connect_that_is_none_is_refused() {
    for (script, kind) in [
        (Script::new().expect_head().send("SSH-2.0-x\r\n"), ErrorKind::Proxy),
        (Script::new().expect_head().send("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), ErrorKind::Proxy),
        (Script::new().expect_head().send("HTTP/1.1 101 Switching Protocols\r\n\r\n"), ErrorKind::Proxy),
        (Script::new().expect_head().send(["HTTP/1.1 200 OK\r\n", &"a: b\r\n".repeat(200)].concat()), ErrorKind::Proxy),
        (Script::new().expect_head().send("HTTP/1.1 200 OK\r\n"), ErrorKind::Connect),
        (Script::new().expect_head(), ErrorKind::Connect),
        (Script::new().expect_head().reset(), ErrorKind::Connect),
        (Script::new(), ErrorKind::Connect),
    ] {
        let server = serve([script.clone().close()]).await;
        let session = through(&server.url(""));
        let error = in_time(session.get("https://a.test/").send()).await.unwrap_err();
        assert_eq!((error.kind(), error.phase()), (kind, Phase::Tunnel), "{script:?}: {error}");
        assert_eq!(session.pool_stats(), pool(0, 0, 0));
    }
}

#[tokio::test]
async fn an_answer_that_comes_in_pieces_is_read_whole() {
    let head = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.0 200 Fine\r\nContent-Length: 99\r\n\r\n";
    // What comes once the client has spoken through the tunnel is the host's.
    let slow =
        Script::new().expect_head().send_slowly(head).expect_body(1).send("no TLS, but what a tunnel may lead to");
    let server = serve([slow.hang()]).await;
    let error = in_time(through(&server.url("")).get("https://a.test/").send()).await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Tls, Phase::Tls), "{error}");
    let method: &[u8] = &[5, 0];
    let reply: &[u8] = &[5, 0, 0, 3, 2, b'h', b'i', 0, 80];
    let steps = Script::new().expect_body(3).send_slowly(method).expect_body(10).send_slowly(reply);
    let server = serve([steps.expect_head().send(OK).hang()]).await;
    let url = format!("socks5h://{}", server.addr());
    let response = in_time(through(&url).get("http://1.2.3.4:80/").send()).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "ok");
}

#[tokio::test]
async fn connect_bounds_the_way_through_the_proxy() {
    let timed = |url: String| {
        session(|options| {
            options.proxy.url = Some(url.parse().unwrap());
            options.timeouts.connect = Some(SHORT);
            options.tls.danger.accept_invalid_certs = true;
        })
    };
    let server = serve([Script::new().hang()]).await;
    let addr = server.addr();
    for (scheme, phase) in [("http", Phase::Tunnel), ("socks5h", Phase::Tunnel), ("https", Phase::Proxy)] {
        let session = timed(format!("{scheme}://{addr}"));
        let error = in_time(session.get("https://a.test/").send()).await.unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::TimeoutConnect, phase), "{error}");
        assert!(error.to_string().contains(phase.as_str()) && error.to_string().contains(&addr.to_string()), "{error}");
        assert_eq!(session.pool_stats(), pool(0, 0, 0));
    }
    in_time(server.wait_for_closed(3)).await;
    // The handshake with the origin counts too.
    let (silent, proxy) = (serve([Script::new().hang()]).await, proxy().await);
    let session = timed(proxy.url("http"));
    let error = in_time(session.get(format!("https://{}/", silent.addr())).send()).await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TimeoutConnect, Phase::Tls), "{error}");
    until(|| proxy.open() == 0).await;
}

#[tokio::test]
async fn a_stale_connection_to_a_proxy_is_replaced() {
    let first = Script::new().expect_head().send(OK).close();
    let server = serve([first, answers(OK)]).await;
    let session = through(&server.url(""));
    for host in ["a.test", "b.test"] {
        let response = in_time(session.get(format!("http://{host}/")).send()).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "ok");
    }
    assert_eq!(server.connections(), 2);
    assert!(server.received()[1].starts_with(b"GET http://b.test/ HTTP/1.1\r\nhost: b.test\r\n"));
}

#[tokio::test]
async fn item_16_bytes_behind_a_forwarded_response_are_for_nobody_else() {
    let server = serve([answers([OK, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"].concat()), answers(OK)]).await;
    let session = through(&server.url(""));
    for host in ["a.test", "b.test"] {
        let response = in_time(session.get(format!("http://{host}/")).send()).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "ok", "{host}");
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_row_is_tried_again_by_the_proxys_status() {
    let mut options = gannet::bulk::BulkOptions::default();
    options.retry.backoff.base = Duration::ZERO;
    for (status, attempts) in [(407, 1), (502, 3)] {
        let proxy = Proxy::builder().refuse(status).start().await.unwrap();
        let fetch = through(&proxy.url("http")).fetch_all(["https://a.test/"]).options(options.clone());
        let outcome = in_time(fetch.outcomes()).await.remove(0);
        let error = outcome.error.unwrap();
        assert_eq!((error.kind(), error.attempts(), outcome.response.is_some()), (ErrorKind::Proxy, attempts, false));
        assert_eq!(proxy.connections(), attempts as usize);
    }
}

/// As with rows, so with one request and with a download.
#[tokio::test]
async fn one_request_is_tried_again_by_the_proxys_status() {
    let mut policy = gannet::bulk::BulkOptions::default().retry;
    policy.backoff.base = Duration::ZERO;
    for (status, attempts) in [(407, 1), (502, 3)] {
        let proxy = Proxy::builder().refuse(status).start().await.unwrap();
        let session = through(&proxy.url("http"));
        let request = session.get("https://a.test/").build().unwrap();
        let error = in_time(session.execute_retrying(request, &policy)).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Proxy, attempts));
        let folder = tempfile::tempdir().unwrap();
        let options = gannet::DownloadOptions { retry: policy.clone(), ..gannet::DownloadOptions::default() };
        let download = session.download("https://a.test/", folder.path().join("file")).options(options);
        let error = in_time(download.send()).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Proxy, attempts));
        assert_eq!(proxy.connections(), 2 * attempts as usize);
    }
}
