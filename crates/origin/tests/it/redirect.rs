use serde_json::json;

use crate::client::{Client, exchange, get, start};

#[tokio::test]
async fn a_chain_counts_down_to_get() {
    let origin = start().await;
    let mut client = Client::connect(origin.addr()).await;
    let mut target = "/redirect/3?status_code=307".to_owned();
    let mut seen = Vec::new();
    loop {
        let reply = client.get(&target).await.unwrap();
        seen.push((reply.status, target));
        match reply.header("location") {
            Some(next) => target = next.to_owned(),
            None => break,
        }
    }
    let chain = [
        (307, "/redirect/3?status_code=307".to_owned()),
        (307, "/redirect/2?status_code=307".to_owned()),
        (307, "/redirect/1?status_code=307".to_owned()),
        (200, "/get".to_owned()),
    ];
    assert_eq!(seen, chain);
}

#[tokio::test]
async fn an_absolute_chain_names_the_host_it_was_asked_at() {
    let origin = start().await;
    let reply = get(&origin, "/redirect/2?absolute=1").await;
    assert_eq!(reply.header("location"), Some("http://test/redirect/1?absolute=1"));
    let reply = get(&origin, "/redirect/1?absolute=1").await;
    assert_eq!(reply.header("location"), Some("http://test/get"));
}

#[tokio::test]
async fn redirect_to_sends_the_url_as_it_is() {
    let origin = start().await;
    let reply = get(&origin, "/redirect-to?url=http%3A%2F%2Fa%2F%3Fq%3D1&status_code=308").await;
    assert_eq!((reply.status, reply.header("location")), (308, Some("http://a/?q=1")));
    for nonsense in ["/redirect-to", "/redirect-to?url=/&status_code=200", "/redirect/0"] {
        assert_eq!(get(&origin, nonsense).await.status, 400, "{nonsense}");
    }
}

#[tokio::test]
async fn cookies_are_set_shown_and_deleted() {
    let origin = start().await;
    let reply = get(&origin, "/cookies/set?a=1&b=2").await;
    assert_eq!((reply.status, reply.header("location")), (302, Some("/cookies")));
    assert_eq!(reply.all("set-cookie").collect::<Vec<_>>(), ["a=1; Path=/", "b=2; Path=/"]);

    let request = "GET /cookies HTTP/1.1\r\nHost: t\r\nCookie: a=1; b=x=y\r\n\r\n";
    let value = exchange(&origin, request).await.json();
    assert_eq!(value, json!({ "cookies": { "a": "1", "b": "x=y" } }));

    let reply = get(&origin, "/cookies/delete?a").await;
    let cookie = reply.header("set-cookie").unwrap();
    assert!(cookie.starts_with("a=; ") && cookie.contains("Max-Age=0"), "{cookie}");
}
