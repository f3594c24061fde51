//! What is sent and what comes back, by the server's choice (ALPN) and without asking.

use bytes::Bytes;
use gannet::{Body, ErrorKind};
use gannet_origin::payload;

use super::peer::{Answer, Answering};
use super::*;

#[tokio::test]
async fn the_version_is_what_the_server_chose_of_what_was_offered() {
    let origin = origin().await;
    let roots = vec![origin.ca_pem().to_owned()];
    for (version, secure, plain) in [
        (HttpVersion::Auto, Some(Version::Http2), Some(Version::Http11)),
        (HttpVersion::Http1, Some(Version::Http11), Some(Version::Http11)),
        (HttpVersion::Http2PriorKnowledge, Some(Version::Http2), Some(Version::Http2)),
    ] {
        let session = session(|options| {
            options.http.version = version;
            options.tls.extra_roots = roots.clone();
        });
        for (url, wanted) in [(origin.https_url("/items/1"), secure), (origin.url("/items/1"), plain)] {
            let response = session.get(url).send().await.unwrap();
            assert_eq!(Some(response.version()), wanted, "{version:?}");
            assert_eq!(response.json::<Value>().await.unwrap()["id"], 1);
        }
    }
    // A server that offers HTTP/1.1 only.
    let identity = gannet_origin::Identity::for_names(&["127.0.0.1"]).unwrap();
    let old = ScriptedServer::start_tls([answers(OK)], &identity).await.unwrap();
    let session = session(|options| options.tls.extra_roots = vec![identity.ca_pem().to_owned()]);
    assert_eq!(session.get(old.url("/")).send().await.unwrap().version(), Version::Http11);
}

#[tokio::test]
async fn item_30_certificates_that_do_not_hold_are_refused_before_a_frame_is_sent() {
    let identity = |name| gannet_origin::Identity::for_names(&[name]).unwrap();
    let (good, wrong, stranger) = (identity("127.0.0.1"), identity("example.com"), identity("127.0.0.1"));
    let expired = gannet_origin::Identity::expired(&["127.0.0.1"]).unwrap();
    for (identity, trusted) in [(&wrong, &wrong), (&expired, &expired), (&good, &stranger)] {
        let origin = Origin::builder().https(true).identity(identity.clone()).start().await.unwrap();
        for version in [HttpVersion::Auto, HttpVersion::Http2PriorKnowledge] {
            for only in [false, true] {
                let session = session(|options| {
                    options.http.version = version;
                    options.tls.extra_roots = vec![trusted.ca_pem().to_owned()];
                    options.tls.only_extra_roots = only;
                });
                let error = in_time(session.get(origin.https_url("/items/1")).send()).await.unwrap_err();
                assert_eq!(
                    (error.kind(), error.phase()),
                    (ErrorKind::Tls, gannet::Phase::Tls),
                    "{version:?} {error:?}"
                );
            }
        }
        assert_eq!(origin.stats().requests, 0);
    }
}

#[tokio::test]
async fn a_server_of_http1_only_is_an_error_of_its_own_where_http2_is_not_asked_for() {
    let server = serve([Script::new().send("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").hang()]).await;
    let session = speaking(|_| {});
    let error = in_time(session.get(server.url("/")).send()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
    in_time(server.wait_for_closed(1)).await;
    assert_eq!(session.pool_stats(), pool(0, 0, 0));
}

#[tokio::test]
async fn fields_arrive_as_with_http1_and_those_of_a_connection_do_not() {
    let (origin, session) = (origin().await, speaking(|_| {}));
    let request = session
        .get(origin.url("/anything/a%20b?c=%2F&d"))
        .header("X-Mixed-Case", "kept")
        .header("Connection", "keep-alive, X-Hop")
        .header("Keep-Alive", "timeout=5")
        .header("Transfer-Encoding", "chunked")
        .header("X-Hop", "1")
        .header("X-Twice", "1")
        .header("X-Twice", "2")
        .bearer_auth("secret");
    let seen = json(request.send().await).await;
    let headers = seen["headers"].as_object().unwrap();
    assert_eq!(headers["Host"], origin.addr().to_string());
    assert_eq!((&headers["X-Mixed-Case"], &headers["X-Twice"]), (&"kept".into(), &"1,2".into()));
    assert_eq!((&headers["Authorization"], &headers["Accept"]), (&"Bearer secret".into(), &"*/*".into()));
    for name in ["Connection", "Keep-Alive", "Transfer-Encoding", "X-Hop", "Content-Length"] {
        assert!(!headers.contains_key(name), "{name}");
    }
    assert_eq!(seen["url"], format!("{}?c=%2F&d", origin.url("/anything/a%20b")));
    let other = json(session.get(origin.url("/get")).header("host", "other.example:81").send().await).await;
    assert_eq!(other["url"], "http://other.example:81/get");
}

#[tokio::test]
async fn secrets_are_never_indexed() {
    let answers = asked(&[]).send(frames::answer(1, "200", "ok")).hang();
    let server = serve([answers]).await;
    let request = speaking(|_| {}).get(server.url("/")).bearer_auth("sesame");
    assert_eq!(in_time(request.send()).await.unwrap().text().await.unwrap(), "ok");
    let all = frames_in(&server.received()[0]);
    let block = &all.iter().find(|(kind, ..)| *kind == frames::HEADERS).unwrap().3;
    let holds = |bytes: &[u8]| block.windows(bytes.len()).any(|window| window == bytes);
    // RFC 7541: authorization is entry 23 of the static table; never indexed is 0001 and four bits of the number
    // (§6.2.3), indexed from now on is 01 and six bits (§6.2.1). Accept is entry 19.
    assert!(holds(&[0x1f, 23 - 15]) && !holds(&[0x40 | 23]), "{block:x?}");
    assert!(holds(&[0x40 | 19]), "{block:x?}");
}

#[tokio::test]
async fn every_method_and_every_kind_of_body() {
    let (origin, session) = (origin().await, speaking(|_| {}));
    let large = Bytes::from(vec![b'x'; 3_000_000]);
    let pieces = || futures_util::stream::iter((0..30).map(|n| Ok(Bytes::from(vec![b'a' + (n % 26) as u8; 40_000]))));
    let gathered: Vec<u8> = (0..30).flat_map(|n| vec![b'a' + (n % 26) as u8; 40_000]).collect();
    let gathered = String::from_utf8(gathered).unwrap();
    let bodies: Vec<(Body, String, Option<usize>)> = vec![
        (Body::empty(), String::new(), Some(0)),
        ("small".into(), "small".to_owned(), Some(5)),
        (large.clone().into(), text(&large), Some(large.len())),
        (Body::stream(pieces(), None), gathered.clone(), None),
        (Body::stream(pieces(), Some(1_200_000)), gathered, Some(1_200_000)),
        ("".into(), String::new(), Some(0)),
    ];
    for (body, wanted, length) in bodies {
        let seen = json(in_time(session.put(origin.url("/anything")).body(body).send()).await).await;
        assert!(seen["data"] == wanted.as_str(), "{length:?}");
        let announced = seen["headers"]["Content-Length"].as_str().map(|text| text.parse::<usize>().unwrap());
        assert_eq!(announced, length);
    }
    for method in ["GET", "POST", "PATCH", "DELETE", "OPTIONS", "PURGE"] {
        let seen = json(session.request_named(method, origin.url("/anything")).send().await).await;
        assert_eq!(seen["method"], method);
    }
    let head = session.head(origin.url("/bytes/1000")).send().await.unwrap();
    assert_eq!((head.headers().get("content-length"), head.content_length()), (Some("1000"), Some(0)));
    assert_eq!(head.bytes().await.unwrap(), "");
    assert_eq!(connections(&origin.stats()), (1, 1));
}

#[tokio::test]
async fn a_stream_that_breaks_its_word_is_the_requests_error_and_the_connection_lives_on() {
    let (origin, session) = (origin().await, speaking(|_| {}));
    for (length, pieces) in [(Some(3), 1), (Some(20), 1), (None, 0)] {
        let mut all: Vec<std::io::Result<Bytes>> = (0..pieces).map(|_| Ok("12345".into())).collect();
        if pieces == 0 {
            all.push(Err(std::io::Error::other("broken source")));
        }
        let body = Body::stream(futures_util::stream::iter(all), length);
        let error = in_time(session.put(origin.url("/anything")).body(body).send()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Request, "{error:?}");
    }
    assert_eq!(json(session.get(origin.url("/items/1")).send().await).await["id"], 1);
    assert_eq!(connections(&origin.stats()), (1, 1));
}

#[tokio::test]
async fn redirects_cookies_and_codings_work_as_with_http1() {
    let origin = origin().await;
    let session = offering(&origin);
    let response = session.get(origin.https_url("/redirect/3")).send().await.unwrap();
    assert_eq!((response.history().len(), response.version()), (3, Version::Http2));
    for path in ["/gzip", "/deflate", "/brotli", "/zstd"] {
        let seen = json(session.get(origin.https_url(path)).send().await).await;
        assert_eq!(seen["method"], "GET", "{path}");
    }
    let cookies = session.get(origin.https_url("/cookies/set?a=1&b=2&c=3")).send().await;
    assert_eq!(json(cookies).await["cookies"], serde_json::json!({"a": "1", "b": "2", "c": "3"}));
    let posted = session.post(origin.https_url("/redirect-to?url=/anything&status_code=307")).body("again");
    assert_eq!(json(posted.send().await).await["data"], "again");
    for status in [204, 304, 404] {
        let response = session.get(origin.https_url(&format!("/status/{status}"))).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.bytes().await.unwrap()), (status, Bytes::new()));
    }
    assert_eq!(connections(&origin.stats()), (1, 1));
    assert_eq!(session.pool_stats(), pool(1, 1, 0));
}

#[tokio::test]
async fn item_03_what_was_dropped_stays_dropped_on_the_next_hop_of_the_other_origin() {
    let session = speaking(|options| options.headers.append_secret("X-Default-Key", "s3cret").unwrap());
    let asks = Answer::new(401, &[("www-authenticate", "Digest realm=r, nonce=n, qop=auth")], "");
    for digest in [false, true] {
        let b = Answering::start([Answer::new(302, &[("location", "/2")], ""), asks.clone()]).await;
        let away = Answer::new(302, &[("location", b.url("/1").leak())], "");
        let a = Answering::start([if digest { asks.clone() } else { away.clone() }, away]).await;
        let request = session.get(a.url("/start")).header("cookie", "c=s3cret");
        let request = if digest { request.digest_auth("me", "s3cret") } else { request.bearer_auth("s3cret") };
        let response = in_time(request.send()).await.unwrap();
        assert_eq!((response.status().as_u16(), response.url().path()), (401, "/2"));
        assert!(a.asked().last().unwrap().fields.contains_key("authorization"));
        assert_eq!(b.asked().len(), 2);
        for asked in b.asked() {
            for name in ["authorization", "cookie", "x-default-key"] {
                assert!(!asked.fields.contains_key(name), "{name}, digest: {digest}");
            }
        }
    }
}

#[tokio::test]
async fn large_bodies_come_whole_in_every_way_of_reading() {
    let origin = origin().await;
    let session = offering(&origin);
    let wanted = payload(7, 5_000_000);
    for path in ["/bytes/5000000?seed=7", "/bytes/5000000?seed=7&chunked=1"] {
        let response = session.get(origin.https_url(path)).send().await.unwrap();
        let announced = (!path.contains("chunked")).then_some(5_000_000);
        assert_eq!(response.content_length(), announced);
        assert!(in_time(response.bytes()).await.unwrap() == wanted);
        let mut response = session.get(origin.https_url(path)).send().await.unwrap();
        let mut pieces = Vec::new();
        while let Some(piece) = in_time(response.chunk()).await.unwrap() {
            assert!(!piece.is_empty());
            pieces.extend_from_slice(&piece);
        }
        assert!(pieces == wanted);
    }
    assert_eq!(session.pool_stats(), pool(1, 1, 0));
}

#[tokio::test]
async fn trailers_and_interim_responses() {
    let interim = frames::headers(1, 0, &[(":status", "103"), ("link", "</a>")]);
    let whole = [
        interim,
        frames::headers(1, 0, &[(":status", "200"), ("x-a", "1"), ("x-a", "2")]),
        frames::data(1, 0, "ok"),
        frames::headers(1, frames::END_STREAM, &[("x-sum", "7"), ("content-length", "9")]),
    ]
    .concat();
    let server = serve([asked(&[]).send(whole).hang()]).await;
    let mut response = in_time(speaking(|_| {}).get(server.url("/")).send()).await.unwrap();
    assert_eq!((response.status().as_u16(), response.reason()), (200, "OK"));
    assert_eq!(response.headers().get_all("X-A").collect::<Vec<_>>(), [b"1", b"2"]);
    assert_eq!(response.chunk().await.unwrap().unwrap(), "ok");
    assert_eq!(response.chunk().await.unwrap(), None);
    let trailers = response.trailers().unwrap();
    assert_eq!((trailers.get("x-sum"), trailers.get("content-length")), (Some("7"), None));
}

#[tokio::test]
async fn an_answer_before_the_body_was_sent_counts_and_the_connection_lives_on() {
    // The window allows no more than 65,535 bytes of the body, and the server takes none of the rest.
    let early = [frames::answer(1, "413", "too much"), frames::reset(1, frames::NO_ERROR)].concat();
    let server =
        serve([asked(&[]).send(early).expect_frame(frames::HEADERS).send(frames::answer(3, "200", "ok")).hang()]).await;
    let session = speaking(|_| {});
    let response = in_time(session.post(server.url("/")).body(vec![0; 5_000_000]).send()).await.unwrap();
    assert_eq!((response.status().as_u16(), response.text().await.unwrap().as_str()), (413, "too much"));
    assert_eq!(in_time(session.get(server.url("/")).send()).await.unwrap().text().await.unwrap(), "ok");
    assert_eq!(server.connections(), 1);
}
