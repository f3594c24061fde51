//! Redirects on the wire: what is followed, what goes along, and what never does.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use gannet::{Body, ErrorKind, Method, RedirectAction, RedirectPolicy, RedirectStep, Session};

use super::*;

fn to(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
}

#[tokio::test]
async fn the_history_tells_every_step_and_the_connection_is_used_again() {
    let (origin, session) = (origin().await, Session::default());
    let response = session.get(origin.url("/redirect/3")).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.url().path()), (200, "/get"));
    let steps: Vec<(u16, &str)> =
        response.history().iter().map(|step| (step.status.as_u16(), step.url.path())).collect();
    assert_eq!(steps, [(302, "/redirect/3"), (302, "/redirect/2"), (302, "/redirect/1")]);
    assert_eq!(response.history()[2].headers.get("location"), Some("/get"));
    assert_eq!(origin.stats().connections_total, 1);
}

#[tokio::test]
async fn item_08_ten_hops_are_followed_and_the_eleventh_is_an_error() {
    let (origin, session) = (origin().await, Session::default());
    assert_eq!(session.get(origin.url("/redirect/10")).send().await.unwrap().status(), 200);
    let error = session.get(origin.url("/redirect/11")).send().await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Redirect, gannet::Phase::Redirect));
    let own = |policy| session.get(origin.url("/redirect/2")).redirects(policy).send();
    let none = own(RedirectPolicy { follow: false, ..RedirectPolicy::default() }).await.unwrap();
    assert_eq!((none.status().as_u16(), none.history().len()), (302, 0));
    let error = own(RedirectPolicy { max: 1, ..RedirectPolicy::default() }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Redirect);
    for target in ["ftp://127.0.0.1/", "file:///etc/passwd", "javascript:1"] {
        let server = serve([answers(to(302, target))]).await;
        assert_eq!(session.get(server.url("/")).send().await.unwrap_err().kind(), ErrorKind::Redirect, "{target}");
    }
    assert_eq!(session.pool_stats().open, session.pool_stats().idle);
}

#[tokio::test]
async fn item_07_a_post_becomes_a_get_without_body_and_307_sends_it_again() {
    let (origin, session) = (origin().await, Session::default());
    for (status, method, data) in
        [(301, "GET", ""), (302, "GET", ""), (303, "GET", ""), (307, "POST", "body"), (308, "POST", "body")]
    {
        let url = origin.url(&format!("/redirect-to?url=/anything&status_code={status}"));
        let request = session.post(&url).header("content-type", "text/plain").body("body");
        let seen = json(request.send().await).await;
        assert_eq!((&seen["method"], &seen["data"]), (&method.into(), &data.into()), "{status}");
        assert_eq!(seen["headers"].get("Content-Type").is_some(), method == "POST", "{status}");
    }
    let put = session.put(origin.url("/redirect-to?url=/anything&status_code=302")).body("x");
    assert_eq!(json(put.send().await).await["method"], "PUT");
    let head = session.request(Method::HEAD, origin.url("/redirect-to?url=/anything&status_code=303"));
    assert_eq!(head.send().await.unwrap().bytes().await.unwrap(), "");
}

#[tokio::test]
async fn item_07_what_describes_a_body_goes_with_it_and_nothing_else() {
    let of_the_body = [
        "Content-Type",
        "Content-Encoding",
        "Content-Language",
        "Content-Location",
        "Content-Range",
        "Content-Digest",
        "Content-MD5",
        "Digest",
        "Repr-Digest",
        "Last-Modified",
        "Trailer",
        "Expect",
    ];
    // Never the caller's on the wire, and of this request.
    let of_the_framing = ["Content-Length", "Transfer-Encoding"];
    let others = ["Accept-Language", "Authorization", "If-Match", "Prefer", "X-Content-Type", "X-Trace"];
    let server = serve([Script::new().expect_head().expect_body(4).send(to(303, "/b")).expect_head().send(OK)]).await;
    let mut request = Session::default().post(server.url("/a")).body("body");
    for name in of_the_body.iter().chain(&of_the_framing).chain(&others) {
        request = request.header(name, "4");
    }
    assert_eq!(in_time(request.send()).await.unwrap().status(), 200);
    let seen = text(&server.received().concat()).to_ascii_lowercase();
    let (post, get) = seen.split_once("\r\n\r\nbodyget /b ").unwrap();
    let holds = |head: &str, name: &str| head.contains(&format!("\r\n{}: ", name.to_ascii_lowercase()));
    for name in of_the_body {
        assert!(holds(post, name) && !holds(get, name), "{name}: {seen}");
    }
    for name in of_the_framing {
        assert!(!holds(get, name), "{name}: {seen}");
    }
    for name in others {
        assert!(holds(post, name) && holds(get, name), "{name}: {seen}");
    }
}

#[tokio::test]
async fn item_07_a_streamed_body_that_is_gone_is_an_error_and_never_an_empty_body() {
    let (origin, session) = (origin().await, Session::default());
    for length in [None, Some(4)] {
        let body = Body::stream(futures_util::stream::iter([Ok(Bytes::from("once"))]), length);
        let request = session.post(origin.url("/redirect-to?url=/anything&status_code=307")).body(body);
        assert_eq!(request.send().await.unwrap_err().kind(), ErrorKind::Redirect);
    }
    assert_eq!(origin.stats().paths.get("/anything"), None);
    let again = Body::replayable(|| Box::pin(futures_util::stream::iter([Ok(Bytes::from("twice"))])), None);
    let request = session.post(origin.url("/redirect-to?url=/anything&status_code=308")).body(again);
    assert_eq!(json(request.send().await).await["data"], "twice");
}

#[tokio::test]
async fn item_07_a_pipe_is_read_once_and_not_sent_empty_by_a_redirect() {
    let (origin, session) = (origin().await, Session::default());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let writer = std::thread::spawn({
        let path = path.clone();
        move || std::fs::write(path, "from a pipe")
    });
    let body = Body::file(&path).unwrap();
    let request = session.post(origin.url("/redirect-to?url=/anything&status_code=307")).body(body);
    assert_eq!(request.send().await.unwrap_err().kind(), ErrorKind::Redirect);
    writer.join().unwrap().unwrap();
    assert_eq!(origin.stats().paths.get("/anything"), None);
}

#[tokio::test]
async fn item_01_02_05_credentials_of_every_kind_stay_at_their_origin() {
    let session = Session::default();
    let elsewhere = serve([answers(OK)]).await;
    let here = serve([answers(to(302, &elsewhere.url("/landed")))]).await;
    let request = session
        .get(here.url("/start"))
        .header("Authorization", "Bearer s3cret")
        .header("Authorization", "Bearer s3cret-2")
        .header("Cookie", "c=s3cret")
        .header("Cookie2", "s3cret")
        .header("Proxy-Authorization", "s3cret")
        .header("WWW-Authenticate", "s3cret")
        .header("X-Api-Key", "s3cret")
        .header("Api-Key", "s3cret")
        .header("X-Auth-Token", "s3cret")
        .header("Host", "s3cret.example")
        .secret_header("X-Custom", "s3cret")
        .header("X-Plain", "stays");
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(text(&here.received()[0]).matches("s3cret").count(), 11);
    let landed = text(&elsewhere.received()[0]);
    assert!(!landed.contains("s3cret") && landed.contains("X-Plain: stays"), "{landed}");
    assert!(landed.contains(&format!("host: {}\r\n", elsewhere.addr())), "{landed}");
}

#[tokio::test]
async fn item_01_another_name_for_the_same_address_is_another_origin() {
    let session = Session::default();
    let server = serve([answers(OK)]).await;
    let other_name = format!("http://localhost:{}/landed", server.addr().port());
    let here = serve([answers(to(302, &other_name))]).await;
    let by_name = format!("http://localhost:{}/", here.addr().port());
    session.get(by_name).header("authorization", "s3cret").send().await.unwrap();
    assert!(!text(&server.received()[0]).contains("s3cret"), "another port");
    let same = serve([Script::new().expect_head().send(to(302, "/b")).expect_head().send(OK)]).await;
    session.get(same.url("/a")).header("authorization", "s3cret").send().await.unwrap();
    assert_eq!(text(&same.received()[0]).matches("s3cret").count(), 2, "the same origin");
}

#[tokio::test]
async fn item_03_what_was_dropped_stays_dropped_on_the_way_back() {
    let session = session(|options| options.headers.append_secret("X-Default-Key", "s3cret").unwrap());
    let b = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let b_url = format!("http://{}/b", b.local_addr().unwrap());
    let a = serve([Script::new().expect_head().send(to(302, &b_url)).expect_head().send(OK).repeated()]).await;
    drop(b);
    let b = ScriptedServerAt::start(&b_url, to(302, &a.url("/back"))).await;
    let response = session.get(a.url("/start")).bearer_auth("s3cret").send().await.unwrap();
    assert_eq!(response.url().path(), "/back");
    let seen = text(&a.received().concat());
    let back = seen.find("GET /back").unwrap();
    assert_eq!(seen[..back].matches("s3cret").count(), 2);
    assert!(!seen[back..].contains("s3cret"), "{seen}");
    assert!(!b.seen.await.unwrap().contains("s3cret"));
}

#[tokio::test]
async fn item_03_what_was_dropped_stays_dropped_on_the_next_hop_of_the_other_origin() {
    const ASKS: &str = "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Digest realm=r, nonce=n, qop=auth\r\n\
         www-authenticate: Basic realm=r\r\ncontent-length: 0\r\n\r\n";
    type Credentials = fn(&Session, String) -> gannet::RequestBuilder;
    let kinds: [(&str, Credentials); 4] = [
        ("bearer", |session, url| session.get(url).bearer_auth("s3cret")),
        ("cookie", |session, url| session.get(url).header("Cookie", "c=s3cret").basic_auth("me", Some("s3cret"))),
        ("digest", |session, url| session.get(url).digest_auth("me", "s3cret")),
        ("userinfo", |session, url| session.get(url.replace("http://", "http://me:s3cret@"))),
    ];
    for (kind, credentials) in kinds {
        let session = session(|options| options.headers.append_secret("X-Default-Key", "s3cret").unwrap());
        let b = serve([Script::new().expect_head().send(to(302, "/2")).expect_head().send(ASKS)]).await;
        let away = Script::new().expect_head().send(to(302, &b.url("/1")));
        let asks = Script::new().expect_head().send(ASKS);
        let a = serve([if kind == "digest" { asks.expect_head().send(to(302, &b.url("/1"))) } else { away }]).await;
        let response = in_time(credentials(&session, a.url("/start")).send()).await.unwrap();
        assert_eq!((response.status().as_u16(), response.url().path()), (401, "/2"), "{kind}");
        let shown = text(&a.received().concat()).to_ascii_lowercase();
        assert!(shown.contains("authorization: ") && shown.contains("x-default-key: s3cret"), "{kind}: {shown}");
        let kept = text(&b.received().concat()).to_ascii_lowercase();
        assert!(kept.contains("get /1 ") && kept.contains("get /2 "), "{kind}: {kept}");
        for secret in ["s3cret", "authorization", "cookie", "x-default-key"] {
            assert!(!kept.contains(secret), "{kind}: {kept}");
        }
    }
}

/// One answer at an address chosen before, which the scripted server cannot do.
struct ScriptedServerAt {
    seen: tokio::task::JoinHandle<String>,
}

impl ScriptedServerAt {
    async fn start(url: &str, answer: String) -> Self {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let addr = gannet::Url::parse(url).unwrap().socket_addrs(|| None).unwrap()[0];
        let listener = tokio::net::TcpListener::bind(addr).await.unwrap();
        let seen = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") {
                assert!(stream.read_buf(&mut seen).await.unwrap() > 0);
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            text(&seen)
        });
        ScriptedServerAt { seen }
    }
}

#[tokio::test]
async fn item_04_a_name_below_is_another_origin() {
    let origin = origin().await;
    let session = session(|options| options.dns.overrides = vec!["*:*:127.0.0.1".parse().unwrap()]);
    for (from, to, kept) in [
        ("site.test", "below.site.test", false),
        ("below.site.test", "site.test", false),
        ("site.test", "evilsite.test", false),
        ("site.test", "site.test", true),
    ] {
        let port = origin.addr().port();
        let url = format!("http://{from}:{port}/redirect-to?url=http://{to}:{port}/anything");
        let request = session.get(url).bearer_auth("s3cret").header("Cookie", "c=s3cret").header("X-Api-Key", "s3cret");
        let seen = json(request.send().await).await;
        assert_eq!(seen["url"], format!("http://{to}:{port}/anything"));
        assert_eq!(seen.to_string().matches("s3cret").count(), if kept { 3 } else { 0 }, "{from} -> {to}: {seen}");
    }
}

#[tokio::test]
async fn item_06_userinfo_that_a_server_writes_into_location_is_not_sent() {
    let session = Session::default();
    let server = serve([answers(OK)]).await;
    let evil = server.url("/x").replace("http://", "http://evil:pw@");
    let here = serve([answers(to(302, &evil))]).await;
    let own = here.url("/").replace("http://", "http://me:mine@");
    let response = session.get(own).send().await.unwrap();
    assert_eq!((response.url().username(), response.url().password()), ("", None));
    assert!(!text(&server.received()[0]).to_ascii_lowercase().contains("authorization"));
    assert!(text(&here.received()[0]).contains("authorization: Basic bWU6bWluZQ=="));
}

#[tokio::test]
async fn item_01_from_https_to_http_is_another_origin_and_can_be_refused() {
    let origin = origin().await;
    let session = session(|options| options.tls.extra_roots = vec![origin.ca_pem().to_owned()]);
    let url = origin.https_url(&format!("/redirect-to?url={}", origin.url("/anything")));
    let seen = json(session.get(&url).bearer_auth("s3cret").send().await).await;
    assert_eq!(seen["headers"].get("Authorization"), None);
    let strict = RedirectPolicy { downgrade: false, ..RedirectPolicy::default() };
    let error = session.get(&url).redirects(strict).send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Redirect);
}

#[tokio::test]
async fn item_09_no_referer_is_made_up() {
    let (origin, session) = (origin().await, Session::default());
    let elsewhere = format!("http://localhost:{}/anything", origin.addr().port());
    for target in ["/anything", &elsewhere] {
        let url = origin.url(&format!("/redirect-to?url={target}")).replace("http://", "http://me:s3cret@");
        let seen = json(session.get(&url).send().await).await;
        assert_eq!(seen["headers"].get("Referer"), None, "{target}");
        let seen = json(session.get(&url).header("Referer", "http://own.example/").send().await).await;
        assert_eq!(seen["headers"]["Referer"], "http://own.example/", "{target}");
    }
}

#[tokio::test]
async fn item_09_a_referer_does_not_go_from_https_to_http() {
    let origin = origin().await;
    let session = session(|options| options.tls.extra_roots = vec![origin.ca_pem().to_owned()]);
    for (target, stays) in [(origin.url("/anything"), false), (origin.https_url("/anything"), true)] {
        let url = origin.https_url(&format!("/redirect-to?url={target}"));
        let seen = json(session.get(&url).header("Referer", "https://own.example/?q=s3cret").send().await).await;
        assert_eq!(seen["headers"].get("Referer").is_some(), stays, "{target}");
    }
}

#[tokio::test]
async fn item_29_strict_transport_security_is_not_remembered() {
    let origin = origin().await;
    let session = session(|options| options.tls.extra_roots = vec![origin.ca_pem().to_owned()]);
    let strict = origin.https_url("/response-headers?strict-transport-security=max-age=600");
    let (strict, plain) =
        (strict.replace("127.0.0.1", "localhost"), origin.url("/anything").replace("127.0.0.1", "localhost"));
    let response = session.get(strict).send().await.unwrap();
    assert_eq!(response.headers().get("strict-transport-security"), Some("max-age=600"));
    let response = session.get(&plain).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.url().scheme()), (200, "http"));
}

#[tokio::test]
async fn a_redirects_own_body_neither_harms_nor_is_decoded() {
    let session = session(|options| options.response.max_body = Some(10));
    let body = "x".repeat(100_000);
    for head in ["content-length: 100000", "content-encoding: nonsense\r\ncontent-length: 100000"] {
        let bytes = format!("HTTP/1.1 302 Found\r\nlocation: /b\r\n{head}\r\n\r\n{body}");
        let go = Script::new().expect_head().send(bytes);
        let server = serve([go.expect_end(), answers(OK)]).await;
        let response = in_time(session.get(server.url("/a")).send()).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "ok");
        assert_eq!(session.pool_stats().open, session.pool_stats().idle);
    }
}

#[tokio::test]
async fn codings_stay_unoffered_behind_a_redirect() {
    let (origin, session) = (origin().await, Session::default());
    let seen = json(session.get(origin.url("/redirect/1")).decode(false).send().await).await;
    assert_eq!(seen["headers"].get("Accept-Encoding"), None);
    let seen = json(session.get(origin.url("/redirect/1")).send().await).await;
    assert_eq!(seen["headers"]["Accept-Encoding"], "gzip, deflate, br, zstd");
}

/// A session whose rule is this one.
fn ruled(rule: impl Fn(&RedirectStep<'_>) -> RedirectAction + Send + Sync + 'static) -> Session {
    Session::builder(Options::default()).redirect_policy(rule).build().unwrap()
}

#[tokio::test]
async fn a_policy_of_ones_own_is_shown_every_step_and_follows_stops_or_refuses() {
    let origin = origin().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let shown = seen.clone();
    let session = ruled(move |step| {
        let paths = (step.from.path().to_owned(), step.to.path().to_owned());
        shown.lock().unwrap().push((step.status.as_u16(), paths, step.method.clone(), step.history.len()));
        match step.to.path() {
            "/redirect/1" => RedirectAction::Stop,
            "/get" => RedirectAction::refuse("it ends here"),
            _ => RedirectAction::Follow,
        }
    });
    let stopped = session.get(origin.url("/redirect/3")).send().await.unwrap();
    assert_eq!((stopped.status().as_u16(), stopped.url().path(), stopped.history().len()), (302, "/redirect/2", 1));
    stopped.bytes().await.unwrap();
    let paths = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    let steps = [(302, paths("/redirect/3", "/redirect/2"), Method::GET, 0)];
    let steps = [steps.as_slice(), &[(302, paths("/redirect/2", "/redirect/1"), Method::GET, 1)]].concat();
    assert_eq!(*seen.lock().unwrap(), steps);
    let server = serve([answers(to(302, "/get?token=sesame"))]).await;
    let error = session.get(server.url("/")).send().await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Redirect, gannet::Phase::Redirect));
    assert!(error.message().contains("it ends here") && error.message().contains("/get"), "{error}");
    assert!(!error.to_string().contains("sesame"), "{error}");
    assert_eq!(session.pool_counters().opened, 2, "nothing else was asked");
}

#[tokio::test]
async fn a_requests_own_policy_takes_the_place_of_its_sessions() {
    let origin = origin().await;
    let session = ruled(|_| RedirectAction::Stop);
    let own = session.get(origin.url("/redirect/2")).redirect_policy(|_| RedirectAction::Follow);
    assert_eq!(own.send().await.unwrap().url().path(), "/get");
    let request = session.get(origin.url("/redirect/2")).redirect_policy(|_| RedirectAction::refuse("no")).build();
    let request = request.unwrap();
    for request in [request.try_clone().unwrap(), request] {
        assert_eq!(session.execute(request).await.unwrap_err().kind(), ErrorKind::Redirect);
    }
    assert_eq!(session.get(origin.url("/redirect/2")).send().await.unwrap().status(), 302);
}

#[tokio::test]
async fn what_the_options_forbid_no_policy_allows() {
    let (origin, session) = (origin().await, ruled(|_| RedirectAction::Follow));
    assert_eq!(session.get(origin.url("/redirect/10")).send().await.unwrap().status(), 200);
    assert_eq!(session.get(origin.url("/redirect/11")).send().await.unwrap_err().kind(), ErrorKind::Redirect);
    let stay = RedirectPolicy { follow: false, ..RedirectPolicy::default() };
    assert_eq!(session.get(origin.url("/redirect/1")).redirects(stay).send().await.unwrap().status(), 302);
    let server = serve([answers(to(302, "ftp://127.0.0.1/"))]).await;
    assert_eq!(session.get(server.url("/")).send().await.unwrap_err().kind(), ErrorKind::Redirect);
}

#[tokio::test]
async fn item_01_a_policy_that_follows_brings_no_credential_to_another_origin() {
    let (first, second) = (origin().await, origin().await);
    let crossed = Arc::new(Mutex::new(None));
    let seen = crossed.clone();
    let session = ruled(move |step| {
        *seen.lock().unwrap() = Some(step.cross_origin);
        RedirectAction::Follow
    });
    let url = first.url(&format!("/redirect-to?url={}", second.url("/headers")));
    let echo = json(session.get(url).bearer_auth("sesame").secret_header("x-mine", "sesame").send().await).await;
    assert!(!echo.to_string().contains("sesame"), "{echo}");
    assert_eq!(*crossed.lock().unwrap(), Some(true));
}
