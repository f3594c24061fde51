use serde_json::json;

use crate::client::{exchange, get, start};

fn post(media_type: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST /post HTTP/1.1\r\nHost: test\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

#[tokio::test]
async fn get_tells_args_headers_origin_and_url() {
    let origin = start().await;
    let reply = exchange(
        &origin,
        "GET /get?a=1&b=x%20y&b=z+z HTTP/1.1\r\nHost: name:81\r\nx-token-id: t\r\nAccept: a\r\nAccept: b\r\n\r\n",
    )
    .await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let value = reply.json();
    assert_eq!(value["args"], json!({ "a": "1", "b": ["x y", "z z"] }));
    assert_eq!(value["headers"], json!({ "Host": "name:81", "X-Token-Id": "t", "Accept": "a,b" }));
    assert_eq!(value["origin"], "127.0.0.1");
    assert_eq!(value["method"], "GET");
    assert_eq!(value["url"], "http://name:81/get?a=1&b=x%20y&b=z+z");
}

#[tokio::test]
async fn a_json_body_is_both_data_and_json() {
    let origin = start().await;
    let value = exchange(&origin, post("application/json", br#"{"a":[1,2]}"#)).await.json();
    assert_eq!(value["data"], r#"{"a":[1,2]}"#);
    assert_eq!(value["json"], json!({ "a": [1, 2] }));
    assert_eq!(value["form"], json!({}));
}

#[tokio::test]
async fn a_urlencoded_body_is_form_and_not_data() {
    let origin = start().await;
    let body = b"a=1&b=%C3%A9+e&a=2&empty=";
    let value = exchange(&origin, post("application/x-www-form-urlencoded", body)).await.json();
    assert_eq!(value["form"], json!({ "a": ["1", "2"], "b": "é e", "empty": "" }));
    assert_eq!(value["data"], "");
    assert_eq!(value["json"], json!(null));
}

#[tokio::test]
async fn binary_data_comes_back_as_a_data_url() {
    let origin = start().await;
    let value = exchange(&origin, post("image/png", &[0xff, 0x00, 0xfe])).await.json();
    assert_eq!(value["data"], "data:application/octet-stream;base64,/wD+");
}

#[tokio::test]
async fn a_multipart_body_is_fields_and_files() {
    let origin = start().await;
    let mut body = b"preamble\r\n--b-1\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\ntwo\r\n\
        --b-1\r\nContent-Disposition: form-data; name=\"q%22\\\"\"\r\n\r\n\r\n\
        --b-1 \r\ncontent-disposition: form-data; filename=\"x;name=y.txt\"; name=f\r\nContent-Type: text/plain\r\n\r\nfile\r\n--b\r\n\
        --b-1\r\nContent-Disposition: form-data; name=\"f\"; filename=\"\"\r\nContent-Type: image/x\r\n\r\n"
        .to_vec();
    body.extend_from_slice(&[0xff, 0x0d, 0x0a]);
    body.extend_from_slice(b"\r\n--b-1--\r\nepilogue");
    for boundary in ["b-1", "\"b-1\"; charset=utf-8"] {
        let media_type = format!("multipart/form-data; boundary={boundary}");
        let value = exchange(&origin, post(&media_type, &body)).await.json();
        assert_eq!(value["form"], json!({ "a": "one\r\ntwo", "q\"\"": "" }));
        assert_eq!(value["files"], json!({ "f": ["file\r\n--b", "data:image/x;base64,/w0K"] }));
        assert_eq!(value["data"], "");
    }
}

#[tokio::test]
async fn a_broken_multipart_body_is_refused_with_the_reason() {
    let origin = start().await;
    let part = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none";
    let cases = [
        ("multipart/form-data", format!("{part}\r\n--b--\r\n"), "without a boundary"),
        ("multipart/form-data; boundary=c", format!("{part}\r\n--b--\r\n"), "lacks its boundary"),
        ("multipart/form-data; boundary=b", part.to_owned(), "without its last boundary"),
        ("multipart/form-data; boundary=b", format!("{part}--b--"), "without its last boundary"),
        (
            "multipart/form-data; boundary=b",
            "--b\r\nX: y\r\n\r\none\r\n--b--".to_owned(),
            "without Content-Disposition",
        ),
    ];
    for (media_type, body, reason) in cases {
        let reply = exchange(&origin, post(media_type, body.as_bytes())).await;
        assert_eq!(reply.status, 400, "{body}");
        assert!(reply.json()["error"].as_str().unwrap().contains(reason), "{}", reply.text());
    }
}

#[tokio::test]
async fn a_chunked_body_is_read_whole() {
    let origin = start().await;
    let value = exchange(
        &origin,
        "PUT /put HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    )
    .await
    .json();
    assert_eq!(value["data"], "abcde");
    assert_eq!(value["method"], "PUT");
}

#[tokio::test]
async fn anything_answers_every_method_below_its_path() {
    let origin = start().await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"] {
        let request = format!("{method} /anything/a/b%2Fc HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n");
        let value = exchange(&origin, request).await.json();
        assert_eq!(value["method"], method);
        assert_eq!(value["url"], "http://t/anything/a/b%2Fc");
    }
}

#[tokio::test]
async fn another_method_gets_405_with_those_that_are_allowed() {
    let origin = start().await;
    let reply = exchange(&origin, "GET /post HTTP/1.1\r\nHost: t\r\n\r\n").await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
    let reply = get(&origin, "/nowhere").await;
    assert_eq!(reply.status, 404);
}

#[tokio::test]
async fn delay_answers_only_after_its_time() {
    let origin = start().await;
    let start = std::time::Instant::now();
    let reply = get(&origin, "/delay/0.05").await;
    assert!(start.elapsed() >= std::time::Duration::from_millis(50));
    assert_eq!(reply.json()["url"], "http://test/delay/0.05");
    for nonsense in ["/delay/-1", "/delay/soon", "/delay/NaN"] {
        assert_eq!(get(&origin, nonsense).await.status, 400, "{nonsense}");
    }
}

#[tokio::test]
async fn headers_ip_and_user_agent_tell_one_thing_each() {
    let origin = start().await;
    let value = get(&origin, "/headers").await.json();
    assert_eq!(value, json!({ "headers": { "Host": "test" } }));
    assert_eq!(get(&origin, "/ip").await.json(), json!({ "origin": "127.0.0.1" }));
    assert_eq!(get(&origin, "/user-agent").await.json(), json!({ "user-agent": null }));
}
