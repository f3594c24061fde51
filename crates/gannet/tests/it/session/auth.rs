//! Credentials on the wire: Digest against a server that has its own idea of it, netrc, and where neither goes.

use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use gannet::{AuthScheme, Body, Credentials, ErrorKind, Session};
use serde_json::json;

use super::*;

const ASKS: &str = "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Digest realm=r, nonce=n, qop=auth\r\n\
     www-authenticate: Basic realm=r\r\ncontent-length: 0\r\n\r\n";

fn to(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
}

/// A session that knows this user in this way.
fn with(credentials: Credentials) -> Session {
    session(|options| options.auth.credentials = Some(credentials))
}

fn with_netrc(folder: &Path, text: &str) -> Session {
    let path = folder.join("netrc");
    std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    session(|options| {
        options.auth.netrc.enabled = true;
        options.auth.netrc.file = Some(path);
    })
}

fn requests(origin: &Origin) -> u64 {
    origin.stats().requests
}

#[tokio::test]
async fn digest_is_answered_in_every_form_there_is() {
    let origin = origin().await;
    for qop in ["auth", "auth-int", "both", "none"] {
        for algorithm in ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "sha-512-256-sess"] {
            for query in ["", "?userhash=1&more=1&realm=a%20b"] {
                let url = origin.url(&format!("/digest-auth/{qop}/me/p%20w/{algorithm}{query}"));
                let request = Session::default().post(&url).digest_auth("me", "p w").body("the body");
                let response = request.send().await.unwrap();
                assert_eq!(response.status(), 200, "{url}");
                assert_eq!(response.json::<serde_json::Value>().await.unwrap()["data"], "the body");
            }
        }
    }
    let name = "Jäsøn \"D\" \\";
    let url = origin.url("/digest-auth/auth/J%C3%A4s%C3%B8n%20%22D%22%20%5C/p%C3%A9");
    assert_eq!(Session::default().get(&url).digest_auth(name, "pé").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_space_that_is_known_is_signed_without_being_asked() {
    let (origin, session) = (origin().await, with(Credentials::new("me", "pw", AuthScheme::Digest)));
    for count in 1..=5 {
        let response = session.get(origin.url("/digest-auth/auth/me/pw?x=y")).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.history().len()), (200, 0));
        assert_eq!(requests(&origin), count + 1, "one challenge for all");
    }
    assert_eq!(origin.stats().connections_total, 1);
    let url = origin.url("/digest-auth/auth/me/pw?domain=%2Felsewhere");
    for count in [2, 2] {
        let before = requests(&origin);
        assert_eq!(
            with(Credentials::new("me", "pw", AuthScheme::Digest)).get(&url).send().await.unwrap().status(),
            200
        );
        assert_eq!(requests(&origin) - before, count, "not within the space that the server told");
    }
}

#[tokio::test]
async fn no_two_requests_count_a_nonce_alike() {
    let (origin, session) = (origin().await, with(Credentials::new("me", "pw", AuthScheme::Digest)));
    let url = origin.url("/digest-auth/auth/me/pw");
    assert_eq!(session.get(&url).send().await.unwrap().status(), 200);
    let all = futures_util::future::join_all((0..50).map(|_| session.get(&url).send())).await;
    assert!(all.into_iter().all(|response| response.unwrap().status() == 200));
    assert_eq!(requests(&origin), 52, "a count that came twice would have been asked again");
}

#[tokio::test]
async fn a_nonce_that_is_too_old_is_renewed_and_a_wrong_password_told() {
    let (origin, session) = (origin().await, with(Credentials::new("me", "pw", AuthScheme::Digest)));
    let once = origin.url("/digest-auth/auth/me/pw?uses=1");
    for sent in [2, 4, 6] {
        assert_eq!(session.get(&once).send().await.unwrap().status(), 200);
        assert_eq!(requests(&origin), sent);
    }
    let next = origin.url("/digest-auth/auth/me/pw?uses=1&next=1");
    for sent in [8, 9, 10] {
        assert_eq!(session.get(&next).send().await.unwrap().status(), 200);
        assert_eq!(requests(&origin), sent, "the server told the next nonce");
    }
    let wrong = with(Credentials::new("me", "guess", AuthScheme::Digest));
    let response = wrong.get(&once).send().await.unwrap();
    assert_eq!((response.status().as_u16(), requests(&origin)), (401, 12));
    // A server that calls every nonce stale is not asked for ever.
    let stale = ASKS.replace("nonce=n", "nonce=n, stale=true");
    let server = serve([answers(&stale)]).await;
    let response = in_time(session.get(server.url("/")).send()).await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(text(&server.received().concat()).matches("GET / ").count(), 3);
}

/// How often an answer to a challenge stands in what the server was sent.
fn answers_in(server: &ScriptedServer) -> usize {
    text(&server.received().concat()).matches("uthorization: Digest ").count()
}

#[tokio::test]
async fn a_wrong_password_is_shown_once_a_request_and_no_more() {
    let (origin, wrong) = (origin().await, with(Credentials::new("me", "guess", AuthScheme::Digest)));
    for (sent, challenges) in [(2, "asked, then refused"), (3, "the space is known"), (4, "and again")] {
        let response = wrong.get(origin.url("/digest-auth/auth/me/pw")).send().await.unwrap();
        assert_eq!((response.status().as_u16(), requests(&origin)), (401, sent), "{challenges}");
    }
    let server = serve([answers(ASKS)]).await;
    for shown in 1..=3 {
        assert_eq!(wrong.get(server.url("/")).send().await.unwrap().status(), 401);
        assert_eq!(answers_in(&server), shown);
    }
}

#[tokio::test]
async fn a_server_that_forgot_its_nonces_is_answered_and_a_password_that_was_changed_shown_twice_but_once() {
    let again = ASKS.replace("nonce=n", "nonce=m");
    let script = Script::new().expect_head().send(ASKS).expect_head().send(OK);
    let forgot = script.expect_head().send(&again).expect_head().send(OK);
    let changed = forgot.expect_head().send(&again).expect_head().send(&again).expect_head().send(&again);
    let server = serve([changed]).await;
    let session = with(Credentials::new("me", "pw", AuthScheme::Digest));
    for (status, shown) in [(200, 1), (200, 3), (401, 5), (401, 6)] {
        let response = in_time(session.get(server.url("/")).send()).await.unwrap();
        assert_eq!((response.status().as_u16(), answers_in(&server)), (status, shown));
    }
}

#[tokio::test]
async fn item_23_the_body_is_sent_again_byte_for_byte_or_not_at_all() {
    let origin = origin().await;
    let url = origin.url("/digest-auth/auth/me/pw");
    let large: String = (0..20_000).map(|n| format!("{n:08}")).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body");
    std::fs::write(&path, &large).unwrap();
    let again = || {
        let large = large.clone();
        Body::replayable(move || Box::pin(futures_util::stream::iter([Ok(Bytes::from(large.clone()))])), None)
    };
    for body in [large.clone().into(), Body::file(&path).unwrap(), again()] {
        let request = Session::default().put(&url).digest_auth("me", "pw").body(body);
        assert_eq!(json(request.send().await).await["data"], large);
    }
    let before = requests(&origin);
    let once = || Body::stream(futures_util::stream::iter([Ok(Bytes::from("once"))]), Some(4));
    let session = with(Credentials::new("me", "pw", AuthScheme::Digest));
    let error = session.put(&url).body(once()).send().await.unwrap_err();
    assert_eq!((error.kind(), requests(&origin) - before), (ErrorKind::Request, 1), "{error}");
    // The challenge was heard all the same: the next one is signed at once, and can be a stream.
    assert_eq!(json(session.put(&url).body(once()).send().await).await["data"], "once");
}

#[tokio::test]
async fn item_05_15_no_other_origin_gets_an_answer() {
    for scheme in [AuthScheme::Basic, AuthScheme::Digest, AuthScheme::Any] {
        let elsewhere = serve([answers(ASKS)]).await;
        let away = to(302, &elsewhere.url("/landed"));
        for own in [true, false] {
            let here = serve([Script::new().expect_head().send(&away).repeated()]).await;
            let who = Credentials::new("me", "s3cret", scheme);
            let response = match own {
                true => Session::default().get(here.url("/")).credentials(who).send().await.unwrap(),
                false => with(who).get(here.url("/")).send().await.unwrap(),
            };
            assert_eq!((response.status().as_u16(), response.url().path()), (401, "/landed"));
        }
        let seen = text(&elsewhere.received().concat()).to_ascii_lowercase();
        assert!(seen.contains("get /landed") && !seen.contains("authorization"), "{seen}");
    }
}

#[tokio::test]
async fn item_03_05_what_a_redirect_cost_does_not_come_back() {
    let session = with(Credentials::new("me", "s3cret", AuthScheme::Digest));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let b_url = format!("http://{}/b", listener.local_addr().unwrap());
    let a = serve([Script::new()
        .expect_head()
        .send(ASKS)
        .expect_head()
        .send(to(302, &b_url))
        .expect_head()
        .send(ASKS)
        .repeated()])
    .await;
    let back = to(302, &a.url("/back"));
    let b = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n") {
            assert!(stream.read_buf(&mut seen).await.unwrap() > 0);
        }
        stream.write_all(back.as_bytes()).await.unwrap();
        text(&seen)
    });
    let response = in_time(session.get(a.url("/start")).send()).await.unwrap();
    assert_eq!((response.status().as_u16(), response.url().path()), (401, "/back"));
    let seen = text(&a.received().concat());
    assert_eq!(seen.matches("authorization: Digest ").count(), 1, "{seen}");
    assert!(!b.await.unwrap().contains("authorization"));
}

#[tokio::test]
async fn on_its_own_origin_a_redirect_is_signed_anew() {
    let first = Script::new().expect_head().send(ASKS).expect_head().send(to(307, "/b?c")).expect_head().send(OK);
    let server = serve([first]).await;
    let session = session(|options| options.headers.append("authorization", "Bearer session").unwrap());
    let request = session.get(server.url("/a")).digest_auth("me", "pw");
    assert_eq!(in_time(request.send()).await.unwrap().text().await.unwrap(), "ok");
    let seen = text(&server.received().concat());
    assert!(seen.contains("uri=\"/a\"") && seen.contains("uri=\"/b?c\"") && seen.contains("nc=00000002"), "{seen}");
    assert_eq!(
        seen.matches("uthorization: ").count(),
        3,
        "the session's own field once, for want of a challenge: {seen}"
    );
}

#[tokio::test]
async fn item_19_line_breaks_in_a_digest_user_or_password_begin_no_field() {
    let evil = "me\r\nX-Evil: 1";
    for challenge in [ASKS.to_owned(), ASKS.replace("nonce=n", "nonce=n, userhash=true")] {
        for in_url in [false, true] {
            let server = serve([Script::new().expect_head().send(&challenge).expect_head().send(OK)]).await;
            let session = session(|options| options.auth.scheme = AuthScheme::Digest);
            let request = match in_url {
                true => session.get(server.url("/").replace("://", "://me%0D%0AX-Evil%3A%201:pw%0D%0AX-Evil%3A%201@")),
                false => session.get(server.url("/")).digest_auth(evil, evil),
            };
            assert_eq!(in_time(request.send()).await.unwrap().status(), 200);
            let seen = text(&server.received().concat());
            assert!(!seen.to_ascii_lowercase().contains("\nx-evil"), "{seen}");
            assert_eq!(seen.matches("uthorization: Digest username").count(), 1, "{seen}");
        }
    }
}

#[tokio::test]
async fn who_asks_for_basic_gets_no_password_that_is_for_digest() {
    let (origin, server) = (origin().await, serve([answers(ASKS.replace("Digest ", "Other "))]).await);
    let digest = with(Credentials::new("me", "s3cret", AuthScheme::Digest));
    assert_eq!(digest.get(server.url("/")).send().await.unwrap().status(), 401);
    assert!(!text(&server.received().concat()).contains("uthorization"));
    let any = with(Credentials::new("me", "pw", AuthScheme::Any));
    for (path, sent) in [("/digest-auth/auth/me/pw?more=1", 2), ("/basic-auth/me/pw", 2), ("/basic-auth/me/pw", 1)] {
        let before = requests(&origin);
        assert_eq!(any.get(origin.url(path)).send().await.unwrap().status(), 200, "{path}");
        assert!(requests(&origin) - before <= sent, "{path}");
    }
}

#[tokio::test]
async fn an_own_field_a_url_and_a_session_take_precedence_in_this_order() {
    let origin = origin().await;
    let url = origin.url("/anything").replace("http://", "http://url:u@");
    let session = with(Credentials::new("session", "s", AuthScheme::Basic));
    let seen = |value: serde_json::Value| value["headers"]["Authorization"].as_str().unwrap().to_owned();
    let own = session.get(&url).bearer_auth("t").credentials(Credentials::new("own", "o", AuthScheme::Basic));
    assert_eq!(seen(json(own.send().await).await), "Bearer t");
    let own = session.get(&url).credentials(Credentials::new("own", "o", AuthScheme::Basic));
    assert_eq!(seen(json(own.send().await).await), gannet::basic_auth("own", "o"));
    assert_eq!(seen(json(session.get(&url).send().await).await), gannet::basic_auth("url", "u"));
    let plain = origin.url("/anything");
    assert_eq!(seen(json(session.get(&plain).send().await).await), gannet::basic_auth("session", "s"));
    let based = super::session(|options| {
        options.base_url = Some("http://elsewhere.test/".to_owned());
        options.auth.credentials = Some(Credentials::new("session", "s", AuthScheme::Basic));
    });
    assert_eq!(json(based.get(&plain).send().await).await["headers"].get("Authorization"), None);
}

#[tokio::test]
async fn a_url_can_name_who_answers_a_challenge() {
    let origin = origin().await;
    let session = session(|options| options.auth.scheme = AuthScheme::Digest);
    let url = origin.url("/digest-auth/auth/me/p%40w").replace("http://", "http://me:p%40w@");
    let response = session.get(&url).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.url().username()), (200, ""));
}

#[tokio::test]
async fn item_06_netrc_is_looked_up_for_the_host_of_each_hop() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = serve([answers(OK)]).await;
    let by_name = format!("http://localhost:{}/landed", elsewhere.addr().port());
    let here = serve([answers(to(302, &by_name))]).await;
    let sent = |server: &ScriptedServer| {
        let seen = text(&server.received().concat());
        seen.lines().filter_map(|line| line.strip_prefix("authorization: ").map(str::to_owned)).collect::<Vec<_>>()
    };
    let netrc = "machine 127.0.0.1 login a password one\nmachine localhost login b password two";
    with_netrc(folder.path(), netrc).get(here.url("/")).send().await.unwrap();
    assert_eq!(sent(&here), [gannet::basic_auth("a", "one")]);
    assert_eq!(sent(&elsewhere), [gannet::basic_auth("b", "two")]);
    // `default` is for hosts that the request names.
    let session = with_netrc(folder.path(), "default login d password three");
    session.get(here.url("/")).send().await.unwrap();
    assert_eq!((sent(&here).len(), sent(&elsewhere).len()), (2, 1));
    assert_eq!(sent(&here)[1], gannet::basic_auth("d", "three"));
}

#[tokio::test]
async fn item_06_a_user_in_the_url_gets_no_other_users_password() {
    let (origin, folder) = (origin().await, tempfile::tempdir().unwrap());
    let session = with_netrc(folder.path(), "machine 127.0.0.1 login a password one\ndefault login b password two");
    let url = |user: &str| origin.url("/anything").replace("http://", &format!("http://{user}@"));
    let seen = async |url: String| json(session.get(url).send().await).await["headers"]["Authorization"].clone();
    assert_eq!(seen(url("a")).await, gannet::basic_auth("a", "one"));
    assert_eq!(seen(url("b")).await, gannet::basic_auth("b", "two"));
    assert_eq!(seen(url("c")).await, gannet::basic_auth("c", ""));
    assert_eq!(seen(url("a:own")).await, gannet::basic_auth("a", "own"));
    assert_eq!(seen(origin.url("/anything")).await, gannet::basic_auth("a", "one"));
    let off = Session::default().get(origin.url("/anything")).send().await;
    assert_eq!(json(off).await["headers"].get("Authorization"), None);
}

#[tokio::test]
async fn item_06_netrc_goes_by_the_host_that_is_reached_whatever_else_a_url_looks_like() {
    // Each host has a user of the hosts' names too, whose passwords a URL with such a user must not bring to the other.
    const NETRC: &str = "machine 127.0.0.1 login a password one\n\
         machine 127.0.0.1 login 127.0.0.1 password three\n\
         machine evil.test login b password two\n\
         machine evil.test login evil.test password four\n";
    let (origin, folder) = (origin().await, tempfile::tempdir().unwrap());
    let path = folder.path().join("netrc");
    std::fs::write(&path, NETRC).unwrap();
    let session = session(|options| {
        (options.auth.netrc.enabled, options.auth.netrc.file) = (true, Some(path));
        options.dns.overrides = vec!["*:*:127.0.0.1".parse().unwrap()];
    });
    let port = origin.addr().port();
    let (evil, good) = (format!("evil.test:{port}"), format!("127.0.0.1:{port}"));
    let basic = gannet::basic_auth;
    for (url, host, expected) in [
        (format!("http://{good}@{evil}/anything"), &evil, basic("127.0.0.1", &port.to_string())),
        (format!("http://127.0.0.1:@{evil}/anything"), &evil, basic("127.0.0.1", "")),
        (format!("http://127.0.0.1@{evil}/anything"), &evil, basic("127.0.0.1", "")),
        (format!("http://a@{evil}/anything"), &evil, basic("a", "")),
        (format!("http://:@{evil}/anything"), &evil, basic("b", "two")),
        (format!("http://{evil}/anything?@127.0.0.1/"), &evil, basic("b", "two")),
        (format!("http://{evil}/anything#@127.0.0.1/"), &evil, basic("b", "two")),
        (format!("http://{evil}\\anything\\@127.0.0.1/"), &evil, basic("b", "two")),
        (format!("http://evil.test:@{good}/anything"), &good, basic("evil.test", "")),
        (format!("http://b@{good}/anything"), &good, basic("b", "")),
        (format!("http://{good}/anything?@{evil}"), &good, basic("a", "one")),
    ] {
        let seen = json(session.get(&url).send().await).await;
        let headers = &seen["headers"];
        assert_eq!(
            (headers["Host"].as_str(), headers["Authorization"].as_str()),
            (Some(&**host), Some(&*expected)),
            "{url}"
        );
    }
    let seen = json(session.get(format!("http://{evil}/anything")).header("Host", &good).send().await).await;
    assert_eq!(seen["headers"]["Authorization"], basic("b", "two"), "a Host of one's own is no host");
}

#[tokio::test]
async fn item_06_after_https_netrc_says_nothing_in_the_clear() {
    let (origin, folder) = (origin().await, tempfile::tempdir().unwrap());
    let path = folder.path().join("netrc");
    std::fs::write(&path, "machine 127.0.0.1 login a password one").unwrap();
    let session = session(|options| {
        options.tls.extra_roots = vec![origin.ca_pem().to_owned()];
        (options.auth.netrc.enabled, options.auth.netrc.file) = (true, Some(path));
    });
    let clear = origin.url("/anything");
    let down = json(session.get(origin.https_url(&format!("/redirect-to?url={clear}"))).send().await).await;
    assert_eq!(down["headers"].get("Authorization"), None);
    assert!(json(session.get(&clear).send().await).await["headers"].get("Authorization").is_some());
}

#[tokio::test]
async fn a_netrc_file_that_cannot_be_read_is_told_when_the_session_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("netrc");
    let mut options = Options::default();
    options.auth.netrc.file = Some(path.clone());
    assert!(Session::new(options.clone()).is_ok(), "not asked for");
    options.auth.netrc.enabled = true;
    assert_eq!(Session::new(options.clone()).unwrap_err().kind(), ErrorKind::Request);
    std::fs::write(&path, "machine a\nlogin me pasword hunter2").unwrap();
    let error = Session::new(options).unwrap_err();
    assert!(error.to_string().contains("line 2") && !error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn credentials_are_read_from_a_configuration_and_never_written() {
    let read = json!({"auth": {"credentials": {"user": "me", "password": "hunter2", "scheme": "digest"}}});
    let options: Options = serde_json::from_value(read).unwrap();
    assert_eq!(options.auth.credentials, Some(Credentials::new("me", "hunter2", AuthScheme::Digest)));
    assert!(!format!("{options:?}").contains("hunter2"));
    assert!(!serde_json::to_string(&options).unwrap().contains("hunter2"));
}
