use serde_json::json;

use crate::client::{Client, exchange, get, start};

#[tokio::test]
async fn items_and_users_are_the_same_for_the_same_id() {
    let origin = start().await;
    let item = get(&origin, "/items/17").await;
    assert_eq!(item.header("content-type"), Some("application/json"));
    assert!((180..260).contains(&item.body.len()), "{}", item.body.len());
    assert_eq!(item.json()["id"], 17);
    assert_eq!(item.json()["name"], "item 17");
    assert!(item.json()["price"].is_f64());
    assert_eq!(get(&origin, "/items/17").await.body, item.body);
    assert_ne!(get(&origin, "/items/18").await.json()["price"], item.json()["price"]);
    assert_eq!(get(&origin, "/users/3").await.json()["id"], 3);
}

#[tokio::test]
async fn an_id_that_is_not_a_number_stays_text() {
    let origin = start().await;
    for (path, id) in [
        ("/items/a%22b%2F%C3%A9+", json!("a\"b/é+")),
        ("/items/007", json!("007")),
        ("/users/x%3D1%261", json!("x=1&1")),
    ] {
        assert_eq!(get(&origin, path).await.json()["id"], id, "{path}");
    }
}

#[tokio::test]
async fn status_has_the_code_and_the_fields_that_go_with_it() {
    let origin = start().await;
    for code in [200, 204, 304, 404, 418, 500, 599] {
        assert_eq!(get(&origin, &format!("/status/{code}")).await.status, code);
    }
    let reply = get(&origin, "/status/503?retry_after=7").await;
    assert_eq!(reply.header("retry-after"), Some("7"));
    assert_eq!(get(&origin, "/status/302").await.header("location"), Some("/redirect/1"));
    assert!(get(&origin, "/status/401").await.header("www-authenticate").is_some());
    for nonsense in ["/status/101", "/status/1000", "/status/ok", "/status/503?retry_after=%0A"] {
        assert_eq!(get(&origin, nonsense).await.status, 400, "{nonsense}");
    }
}

#[tokio::test]
async fn head_has_the_length_of_get_and_no_body() {
    let origin = start().await;
    let len = get(&origin, "/json").await.body.len();
    let mut client = Client::connect(origin.addr()).await;
    client.send("HEAD /json HTTP/1.1\r\nHost: t\r\n\r\n").await;
    let head = String::from_utf8(client.until(b"\r\n\r\n").await.unwrap()).unwrap();
    assert!(head.to_ascii_lowercase().contains(&format!("content-length: {len}\r\n")), "{head}");
    // The next response follows at once: no body came between.
    assert_eq!(client.get("/status/204").await.unwrap().status, 204);
}

#[tokio::test]
async fn response_headers_are_those_of_the_query() {
    let origin = start().await;
    let reply = get(&origin, "/response-headers?X-A=1&X-A=2&ETag=%22q%22").await;
    assert_eq!(reply.all("x-a").collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(reply.header("etag"), Some("\"q\""));
    assert_eq!(reply.json(), json!({ "X-A": ["1", "2"], "ETag": "\"q\"" }));
    for nonsense in ["Content-Length=1", "a%20b=1", "a=%0D"] {
        assert_eq!(get(&origin, &format!("/response-headers?{nonsense}")).await.status, 400);
    }
}

#[tokio::test]
async fn basic_auth_wants_exactly_its_user_and_password() {
    let origin = start().await;
    let refused = get(&origin, "/basic-auth/u/p").await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"Fake Realm\""));
    for (credentials, status) in [("dTpw", 200), ("dTpx", 401), ("dTpw dTpw", 401)] {
        let request = format!("GET /basic-auth/u/p HTTP/1.1\r\nHost: t\r\nAuthorization: Basic {credentials}\r\n\r\n");
        assert_eq!(exchange(&origin, request).await.status, status, "{credentials}");
    }
}

#[tokio::test]
async fn bearer_wants_any_token() {
    let origin = start().await;
    assert_eq!(get(&origin, "/bearer").await.header("www-authenticate"), Some("Bearer"));
    let request = "GET /bearer HTTP/1.1\r\nHost: t\r\nAuthorization: bearer tok\r\n\r\n";
    assert_eq!(exchange(&origin, request).await.json()["token"], "tok");
}

#[tokio::test]
async fn documents_have_their_types_and_charsets() {
    let origin = start().await;
    assert_eq!(get(&origin, "/json").await.json()["slideshow"]["slides"][1]["title"], "Overview");
    let html = get(&origin, "/html").await;
    assert_eq!(html.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(html.text().contains("<h1>Gannets</h1>"));
    assert!(get(&origin, "/robots.txt").await.text().starts_with("User-agent"));
    assert!(get(&origin, "/encoding/utf8").await.text().contains("Καλημέρα"));
    let latin = get(&origin, "/encoding/latin1").await;
    assert_eq!(latin.header("content-type"), Some("text/plain; charset=iso-8859-1"));
    assert!(latin.body.starts_with(b"Fran\xe7ais"));
    assert!(std::str::from_utf8(&latin.body).is_err());
}

#[tokio::test]
async fn the_index_lists_every_endpoint() {
    let origin = start().await;
    let text = get(&origin, "/").await;
    for (path, about) in gannet_origin::endpoints() {
        assert!(text.text().contains(path) && text.text().contains(about), "{path}");
    }
    let request = "GET / HTTP/1.1\r\nHost: t\r\nAccept: text/html\r\n\r\n";
    let page = exchange(&origin, request).await;
    assert!(page.text().starts_with("<!DOCTYPE html>"));
}
