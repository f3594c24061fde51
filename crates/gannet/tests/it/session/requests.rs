//! What goes out: methods, targets, fields and bodies, as an independent server read them.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use gannet::{Body, ErrorKind, Form, Headers, Method, Part, Session, Url};
use serde_json::json;

use super::*;

#[tokio::test]
async fn every_method_arrives_with_its_own_name() {
    let (origin, session) = (origin().await, Session::default());
    let url = origin.url("/anything");
    let requests = [
        ("GET", session.get(&url)),
        ("POST", session.post(&url)),
        ("PUT", session.put(&url)),
        ("PATCH", session.patch(&url)),
        ("DELETE", session.delete(&url)),
        ("OPTIONS", session.options(&url)),
        ("PROPFIND", session.request_named("PROPFIND", &url)),
        ("QUERY", session.request(Method::from_bytes(b"QUERY").unwrap(), &url)),
    ];
    for (name, request) in requests {
        assert_eq!(json(request.send().await).await["method"], name);
    }
    let head = session.head(&url).send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.bytes().await.unwrap().len()), (200, 0));
    assert_eq!(origin.stats().connections_total, 1);
}

#[tokio::test]
async fn query_parameters_are_encoded_and_joined_to_those_of_the_url() {
    let (origin, session) = (origin().await, Session::default());
    let request = session.get(origin.url("/anything?a=1")).query([("b", "x y&z=ü"), ("c", "2")]).query([("n", 7)]);
    let seen = json(request.send().await).await;
    assert_eq!(seen["args"], json!({"a": "1", "b": "x y&z=ü", "c": "2", "n": "7"}));
    let none = json(session.get(origin.url("/anything")).query([("", ""); 0]).send().await).await;
    assert!(!none["url"].as_str().unwrap().contains('?'), "{none}");
}

#[tokio::test]
async fn defaults_go_with_every_request_and_an_own_field_replaces_them() {
    let origin = origin().await;
    let session = session(|options| {
        options.headers.append("X-Team", "sea").unwrap();
        options.headers.append("User-Agent", "mine/1").unwrap();
    });
    let url = origin.url("/anything");
    let plain = json(session.get(&url).send().await).await;
    assert_eq!(plain["headers"]["X-Team"], "sea");
    assert_eq!(plain["headers"]["User-Agent"], "mine/1");
    assert_eq!(plain["headers"]["Accept"], "*/*");
    assert_eq!(plain["headers"]["Accept-Encoding"], "gzip, deflate, br, zstd");
    let own = json(session.get(&url).header("x-team", "air").header("x-team", "land").send().await).await;
    assert_eq!(own["headers"]["X-Team"], "air,land");
    let mut more = Headers::new();
    more.append("accept", "text/html").unwrap();
    let own = json(session.get(&url).headers(&more).send().await).await;
    assert_eq!(own["headers"]["Accept"], "text/html");
}

#[tokio::test]
async fn relative_urls_resolve_against_the_base_and_absolute_ones_do_not() {
    let origin = origin().await;
    let session = session(|options| options.base_url = Some(origin.url("/anything/v1/")));
    for (asked, path) in [("users?x=1", "/anything/v1/users?x=1"), ("/anything/top", "/anything/top")] {
        assert_eq!(json(session.get(asked).send().await).await["url"], origin.url(path));
    }
    let absolute = origin.url("/anything/else");
    assert_eq!(json(session.get(&absolute).send().await).await["url"], absolute);
}

#[tokio::test]
async fn what_is_no_url_is_an_error_that_says_how_to_mend_it() {
    let session = Session::default();
    for url in ["/relative", "ftp://host/", "http://", "http://a b/", "mailto:x@y", "http://h:99999/"] {
        assert_eq!(session.get(url).send().await.unwrap_err().kind(), ErrorKind::Url, "{url}");
    }
    let error = session.get("/relative").send().await.unwrap_err();
    assert!(error.to_string().contains("base URL"), "{error}");
    let base = |url: &str| {
        let options = Options { base_url: Some(url.to_owned()), ..Options::default() };
        Session::new(options).unwrap_err()
    };
    let error = base("http://me:hunter2@host:99999/");
    assert_eq!(error.kind(), ErrorKind::Url);
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn bodies_of_every_kind_arrive_whole_with_their_content_type() {
    let (origin, session) = (origin().await, Session::default());
    let url = origin.url("/anything");
    let sent = json(session.post(&url).json(&json!({"a": [1, "ü"]})).send().await).await;
    assert_eq!(
        (&sent["json"], &sent["headers"]["Content-Type"]),
        (&json!({"a": [1, "ü"]}), &json!("application/json"))
    );
    let sent = json(session.post(&url).form([("k", "v w"), ("k", "&=")]).send().await).await;
    assert_eq!(sent["form"], json!({"k": ["v w", "&="]}));
    let sent = json(session.post(&url).body("plain").send().await).await;
    assert_eq!((&sent["data"], &sent["headers"]["Content-Length"]), (&json!("plain"), &json!("5")));
    assert_eq!(sent["headers"].get("Content-Type"), None);
    let sent = json(session.put(&url).header("Content-Type", "x/y").json(&1).send().await).await;
    assert_eq!(sent["headers"]["Content-Type"], "x/y");
    let form = Form::new().text("who", "me").part("f", Part::bytes("data").filename("a.txt"));
    let sent = json(session.post(&url).multipart(form).send().await).await;
    assert_eq!((&sent["form"]["who"], &sent["files"]["f"]), (&json!("me"), &json!("data")));
}

/// A type of the caller's own, which goes out as a line of CSV.
struct Line<'a>(&'a [u32]);

impl From<Line<'_>> for Body {
    fn from(Line(cells): Line<'_>) -> Body {
        Body::from(cells.iter().map(u32::to_string).collect::<Vec<_>>().join(","))
    }
}

#[tokio::test]
async fn a_type_of_the_callers_own_can_be_a_body() {
    let (origin, session) = (origin().await, Session::default());
    let sent = json(session.post(origin.url("/anything")).body(Line(&[1, 20, 300])).send().await).await;
    assert_eq!((&sent["data"], &sent["headers"]["Content-Length"]), (&json!("1,20,300"), &json!("8")));
}

#[tokio::test]
async fn a_body_larger_than_every_buffer_arrives_byte_for_byte() {
    let (origin, session) = (origin().await, Session::default());
    let large = "0123456789abcdef".repeat(200_000);
    let sent = json(session.post(origin.url("/anything")).body(large.clone()).send().await).await;
    assert!(sent["data"] == large.as_str());
}

#[tokio::test]
async fn streams_are_chunked_without_a_length_and_plain_with_one() {
    let (origin, session) = (origin().await, Session::default());
    let pieces = || futures_util::stream::iter(["ab", "", "cde"].map(|piece| Ok(Bytes::from(piece))));
    let url = origin.url("/anything");
    let sent = json(session.post(&url).body(Body::stream(pieces(), None)).send().await).await;
    assert_eq!((&sent["data"], &sent["headers"]["Transfer-Encoding"]), (&json!("abcde"), &json!("chunked")));
    let sent = json(session.post(&url).body(Body::stream(pieces(), Some(5))).send().await).await;
    assert_eq!((&sent["data"], &sent["headers"]["Content-Length"]), (&json!("abcde"), &json!("5")));
    let again = Body::replayable(move || Box::pin(pieces()), None);
    assert_eq!(json(session.post(&url).body(again).send().await).await["data"], "abcde");
}

#[tokio::test]
async fn a_file_is_sent_as_it_lies_there() {
    let (origin, session) = (origin().await, Session::default());
    let file = tempfile::NamedTempFile::new().unwrap();
    let content = "line\n".repeat(50_000);
    std::fs::write(file.path(), &content).unwrap();
    let sent = json(session.put(origin.url("/anything")).body(Body::file(file.path()).unwrap()).send().await).await;
    assert_eq!(sent["headers"]["Content-Length"], content.len().to_string());
    assert!(sent["data"] == content.as_str());
    assert_eq!(Body::file("/no/such/file").unwrap_err().kind(), ErrorKind::Request);
}

#[tokio::test]
async fn methods_that_may_have_a_body_say_that_they_have_none() {
    let server = serve([answers(OK)]).await;
    let session = Session::default();
    session.post(server.url("/p")).send().await.unwrap().bytes().await.unwrap();
    session.get(server.url("/g")).send().await.unwrap().bytes().await.unwrap();
    let seen = text(&server.received()[0]).to_ascii_lowercase();
    let (post, get) = seen.split_at(seen.find("get /g").unwrap());
    assert!(post.contains("content-length: 0\r\n") && !get.contains("content-length"), "{seen}");
}

#[tokio::test]
async fn credentials_become_a_header_and_are_shown_nowhere() {
    let (origin, session) = (origin().await, Session::default());
    let url = origin.url("/basic-auth/me/p%40ss");
    assert_eq!(session.get(&url).basic_auth("me", Some("p@ss")).send().await.unwrap().status(), 200);
    let with_userinfo = url.replace("http://", "http://me:p%40ss@");
    let response = session.get(&with_userinfo).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.url().username()), (200, ""));
    let seen = json(session.get(origin.url("/bearer")).bearer_auth("tok-1").send().await).await;
    assert_eq!(seen["token"], "tok-1");
    let request = session.get(&url).bearer_auth("tok-1").secret_header("x-pin", "pin-2").build().unwrap();
    let shown = format!("{request:?}");
    assert!(!shown.contains("tok-1") && !shown.contains("pin-2"), "{shown}");
}

#[tokio::test]
async fn item_19_line_breaks_and_nul_cannot_reach_the_wire() {
    let server = serve([answers(OK)]).await;
    let session = Session::default();
    for evil in ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b"] {
        let error = session.get(server.url("/")).header("x-a", evil).send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Request, "{evil:?}");
        let error = session.get(server.url("/")).header(evil, "1").send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Request, "{evil:?}");
        let error = session.request_named(&format!("G{evil}"), server.url("/")).send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Request, "{evil:?}");
        let error = session.get(server.url("/")).bearer_auth(evil).send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Request, "{evil:?}");
    }
    assert_eq!(server.connections(), 0);
    let url = Url::parse(&server.url("/a\r\nX-Evil: 1\r\n?b\nc d")).unwrap();
    session.get(url).query([("q", "\r\nX-Evil: 1")]).send().await.unwrap();
    assert!(!text(&server.received()[0]).to_ascii_lowercase().contains("\r\nx-evil"));
}

#[tokio::test]
async fn what_lacks_a_scheme_is_told_how_to_be_written() {
    let session = Session::default();
    for (url, said) in [
        ("127.0.0.1:8080/ip", "write http://127.0.0.1:8080/ip"),
        ("example.com/a?token=s3cret", "write http://example.com/a?token=***"),
        ("localhost:8080/ip", "write http://localhost:8080/ip"),
        ("/ip", "give it a scheme"),
        ("ftp://a.test/", "use http or https"),
        ("http://exa mple/", "in \"http://exa mple/\""),
        ("http://me:s3cret@exa mple/", "***@exa mple/"),
    ] {
        let error = session.get(url).send().await.unwrap_err().to_string();
        assert!(error.contains(said) && !error.contains("s3cret"), "{url}: {error}");
    }
}

#[tokio::test]
async fn the_last_credentials_are_the_ones_that_are_sent() {
    let (origin, session) = (origin().await, Session::default());
    let request = session.get(origin.url("/headers")).header("authorization", "Own 1").basic_auth("me", None);
    let seen = json(request.bearer_auth("tok").send().await).await;
    assert_eq!(seen["headers"]["Authorization"], "Bearer tok");
}

/// Whatever can be printed by `{:?}` on the way of a request.
#[tokio::test]
async fn item_32_debug_shows_neither_passwords_nor_tokens_nor_cookies() {
    let (secret, query) = ("hunter2", "?page=2&access_token=hunter2#code=hunter2");
    let answer = format!(
        "HTTP/1.1 302 Found\r\nlocation: /next{query}\r\nset-cookie: a=hunter2\r\nlink: </p?token=hunter2>; rel=next\r\n\
         content-length: 0\r\n\r\n"
    );
    let next = "HTTP/1.1 200 OK\r\nset-cookie: a=hunter2\r\ncontent-length: 2\r\n\r\nok";
    let server = serve([Script::new().expect_head().send(&answer).expect_head().send(next)]).await;
    let url = server.url(&format!("/{query}")).replace("http://", "http://me:hunter2@");
    let steps = Arc::new(Mutex::new(String::new()));
    let seen = steps.clone();
    let options = Options { base_url: Some(url.clone()), ..Options::default() };
    let mut shown = vec![format!("{options:?}")];
    let session = Session::new(options).unwrap();
    let builder = session.get(&url).bearer_auth(secret).header("referer", &url).redirect_policy(move |step| {
        *seen.lock().unwrap() += &format!("{step:?}");
        gannet::RedirectAction::Follow
    });
    shown.push(format!("{builder:?}"));
    let request = builder.build().unwrap();
    shown.push(format!("{request:?}"));
    let response = session.execute(request).await.unwrap();
    shown.push(format!("{response:?} {:?}", response.history()));
    shown.push(steps.lock().unwrap().clone());
    let link = "HTTP/1.1 200 OK\r\nlink: </p?token=hunter2>; rel=next\r\ncontent-length: 0\r\n\r\n";
    let server = serve([answers(link)]).await;
    let linking = session.get(server.url("/")).send().await.unwrap();
    assert_eq!(linking.links().len(), 1);
    shown.push(format!("{:?}", linking.links()));
    let folder = tempfile::tempdir().unwrap();
    let url = server.url(&format!("/{query}")).replace("http://", "http://me:hunter2@");
    let download = session.download(&url, folder.path().join("file"));
    shown.push(format!("{download:?}"));
    shown.push(format!("{:?}", download.send().await.unwrap()));
    let outcomes = session.fetch_all([url.as_str(), "http://me:hunter2@ /?token=hunter2"]).outcomes().await;
    shown.push(format!("{outcomes:?}"));
    for text in shown {
        assert!(!text.contains(secret), "{text}");
        assert!(text.contains("***"), "nothing had to be hidden: {text}");
    }
}

#[tokio::test]
async fn item_10_the_host_of_one_request_is_not_the_next_ones_on_its_connection() {
    for (http2, session) in super::transfers::both() {
        let origin = origin().await;
        let seen = async |own: &[&str]| {
            let request = own.iter().fold(session.get(origin.url("/anything")), |r, host| r.header("Host", host));
            json(request.send().await).await["headers"]["Host"].clone()
        };
        let usual = json!(origin.addr().to_string());
        assert_eq!(seen(&[]).await, usual);
        for own in ["other.example", "third.example:81"] {
            assert_eq!(seen(&[own]).await, own, "HTTP/2: {http2}");
            assert_eq!(seen(&[]).await, usual, "HTTP/2: {http2}");
        }
        assert_eq!(origin.stats().connections_total, 1);
    }
}

#[tokio::test]
async fn item_32_errors_show_neither_passwords_nor_tokens() {
    let session = Session::default();
    let url = "http://me:hunter2@127.0.0.1:1/x?access_token=abc123&page=2";
    let error = session.get(url).send().await.unwrap_err();
    let shown = format!("{error} {error:?} {:?}", error.url());
    assert!(!shown.contains("hunter2") && !shown.contains("abc123") && shown.contains("page=2"), "{shown}");
}

#[tokio::test]
async fn usual_fields_are_left_out_by_a_session_or_a_request() {
    let origin = origin().await;
    let quiet =
        session(|options| options.without_headers = vec!["User-Agent".to_owned(), "accept-encoding".to_owned()]);
    let names = |seen: Value| -> Vec<String> {
        let headers = seen["headers"].as_object().unwrap();
        ["Accept", "Accept-Encoding", "User-Agent"]
            .map(str::to_owned)
            .into_iter()
            .filter(|n| headers.contains_key(n))
            .collect()
    };
    let url = origin.url("/headers");
    assert_eq!(names(json(quiet.get(&url).send().await).await), ["Accept"]);
    assert_eq!(names(json(quiet.get(&url).decode(true).header("X-A", "1").send().await).await), ["Accept"]);
    assert_eq!(names(json(quiet.get(&url).header("user-agent", "own").send().await).await), ["Accept", "User-Agent"]);
    let usual = session(|options| options.headers.append("X-Own", "1").unwrap());
    let seen = json(usual.get(&url).without_header("ACCEPT").without_header("x-own").send().await).await;
    assert!(seen["headers"].get("X-Own").is_none());
    assert_eq!(names(seen), ["Accept-Encoding", "User-Agent"]);
    let through = origin.url("/redirect-to?url=/headers");
    let seen = json(usual.get(through).without_header("user-agent").send().await).await;
    assert_eq!(names(seen), ["Accept", "Accept-Encoding"], "behind a redirect too");
    assert_eq!(names(json(usual.get(&url).send().await).await), ["Accept", "Accept-Encoding", "User-Agent"]);
}
