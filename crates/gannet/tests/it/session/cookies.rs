//! Cookies over the wire; their rules in full are tested beside the jar.

use gannet::Session;
use serde_json::json;

use super::*;

#[tokio::test]
async fn a_cookie_that_was_set_comes_back_until_it_is_deleted() {
    let (origin, session) = (origin().await, Session::default());
    let set = json(session.get(origin.url("/cookies/set?a=1&b=2")).send().await).await;
    assert_eq!(set["cookies"], json!({"a": "1", "b": "2"}));
    let left = json(session.get(origin.url("/cookies/delete?a")).send().await).await;
    assert_eq!(left["cookies"], json!({"b": "2"}));
    session.cookies().clear();
    assert_eq!(json(session.get(origin.url("/cookies")).send().await).await["cookies"], json!({}));
}

#[tokio::test]
async fn a_cookie_field_of_ones_own_is_sent_in_place_of_the_jars() {
    let origin = origin().await;
    let session = session(|options| options.headers.append("cookie", "default=1").unwrap());
    let seen = json(session.get(origin.url("/cookies/set?jar=1")).send().await).await;
    assert_eq!(seen["cookies"], json!({"default": "1"}), "behind a redirect as before it");
    let seen = json(session.get(origin.url("/cookies")).header("Cookie", "own=1").send().await).await;
    assert_eq!(seen["cookies"], json!({"own": "1"}));
    let plain = Session::default();
    plain.get(origin.url("/cookies/set?jar=1")).send().await.unwrap();
    let seen = json(plain.get(origin.url("/cookies")).header("Cookie", "own=1").send().await).await;
    assert_eq!(seen["cookies"], json!({"own": "1"}));
}

#[tokio::test]
async fn a_cookie_does_not_go_to_another_host_and_a_jar_can_be_turned_off() {
    let (origin, session) = (origin().await, Session::default());
    session.get(origin.url("/cookies/set?a=1")).send().await.unwrap();
    let other = format!("http://localhost:{}/cookies", origin.addr().port());
    assert_eq!(json(session.get(&other).send().await).await["cookies"], json!({}));
    let off = super::session(|options| options.cookies.enabled = false);
    assert_eq!(json(off.get(origin.url("/cookies/set?a=1")).send().await).await["cookies"], json!({}));
}

#[tokio::test]
async fn a_caller_that_panics_over_the_jar_takes_nobody_along() {
    let (origin, session) = (origin().await, Session::default());
    let careless = session.clone();
    let url = origin.url("/").parse().unwrap();
    let panicked = tokio::spawn(async move { careless.cookies().set(&url, "bad;name", "v").unwrap() });
    assert!(panicked.await.unwrap_err().is_panic());
    assert_eq!(session.get(origin.url("/get")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn item_10_a_host_field_of_ones_own_does_not_choose_the_cookies() {
    let origin = origin().await;
    for (http2, session) in super::transfers::both() {
        session.get(origin.url("/cookies/set?a=1")).send().await.unwrap();
        let seen = json(session.get(origin.url("/cookies")).header("host", "other.example").send().await).await;
        assert_eq!(seen["cookies"], json!({"a": "1"}), "HTTP/2: {http2}");
        let by_name = |path: &str| format!("http://localhost:{}{path}", origin.addr().port());
        let evil = session.get(by_name("/response-headers?set-cookie=evil=1"));
        evil.header("host", origin.addr().to_string()).send().await.unwrap();
        let seen = json(session.get(origin.url("/cookies")).send().await).await;
        assert_eq!(seen["cookies"], json!({"a": "1"}), "HTTP/2: {http2}");
        let seen = session.get(by_name("/cookies")).header("host", origin.addr().to_string()).send().await;
        assert_eq!(json(seen).await["cookies"], json!({"evil": "1"}), "HTTP/2: {http2}");
    }
}

#[tokio::test]
async fn item_24_26_27_cookies_that_may_not_be_set_are_not_kept() {
    let session = Session::default();
    let fields: String =
        ["a=1; Domain=com", "b=1; Domain=CoM.", "c=1; Secure", "__Host-d=1; Path=/", "__Secure-e=1", "f=\x01"]
            .map(|cookie| format!("set-cookie: {cookie}\r\n"))
            .concat();
    let many: String = (0..80).map(|n| format!("x{n}: 0\r\n")).take(10).collect();
    let server = serve([answers(format!("HTTP/1.1 200 OK\r\n{fields}{many}content-length: 0\r\n\r\n"))]).await;
    // A control character in a field ends the response; without it the other cookies are judged.
    assert!(session.get(server.url("/")).send().await.is_err());
    let fields = fields.replace("set-cookie: f=\x01\r\n", "");
    let server = serve([answers(format!("HTTP/1.1 200 OK\r\n{fields}content-length: 0\r\n\r\n"))]).await;
    session.get(server.url("/")).send().await.unwrap();
    assert!(session.cookies().is_empty());
    let fields: String = (0..90).map(|n| format!("set-cookie: k{n}=v\r\n")).collect();
    let server = serve([answers(format!("HTTP/1.1 200 OK\r\n{fields}content-length: 0\r\n\r\n"))]).await;
    session.get(server.url("/")).send().await.unwrap();
    assert_eq!(session.cookies().len(), gannet::cookie::MAX_PER_RESPONSE);
}

#[tokio::test]
async fn item_26_plain_http_cannot_overwrite_a_secure_cookie() {
    let origin = origin().await;
    let session = session(|options| options.tls.extra_roots = vec![origin.ca_pem().to_owned()]);
    let url = origin.https_url("/response-headers?set-cookie=id=safe;%20Secure;%20Path=/");
    session.get(url).send().await.unwrap();
    session.get(origin.url("/cookies/set?id=forged")).send().await.unwrap();
    let seen = json(session.get(origin.https_url("/cookies")).send().await).await;
    assert_eq!(seen["cookies"], json!({"id": "safe"}));
    assert_eq!(json(session.get(origin.url("/cookies")).send().await).await["cookies"], json!({}));
}
