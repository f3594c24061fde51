//! What a response's fields say in types of their own, and that a body is read once.

use gannet::{ErrorKind, Session};

use super::*;

async fn answered(fields: &str) -> Response {
    let server = serve([answers(format!("HTTP/1.1 200 OK\r\n{fields}content-length: 2\r\n\r\nok"))]).await;
    Session::default().get(server.url("/a/b?page=1")).send().await.unwrap()
}

#[tokio::test]
async fn links_are_resolved_against_the_url_that_answered() {
    let response = answered(
        "link: <?page=2>; rel=\"next\", </z>; rel=up; title=\"a, b\"\r\nlink: <http://[>; rel=bad, <//h/x>; rel=\"Alternate next\"\r\n\
         link: <c>; rel=next; anchor=\"/other\"\r\n",
    )
    .await;
    let links = response.links();
    let urls: Vec<_> = links.iter().map(|link| link.url.path()).collect();
    assert_eq!(urls, ["/a/b", "/z", "/x"]);
    assert_eq!(links[1].parameters[1], ("title".to_owned(), "a, b".to_owned()));
    assert_eq!(response.link("Next").unwrap().query(), Some("page=2"));
    assert_eq!(response.link("alternate").unwrap().as_str(), "http://h/x");
    assert_eq!(response.link("prev"), None);
}

#[tokio::test]
async fn content_type_charset_and_disposition_are_read() {
    let response = answered(
        "content-type: Text/HTML; charset=\"ISO-8859-1\"\r\ncontent-disposition: attachment; filename=\"../x\"\r\n",
    )
    .await;
    assert_eq!(response.content_type().unwrap().essence, "text/html");
    assert_eq!(response.charset().as_deref(), Some("ISO-8859-1"));
    let disposition = response.content_disposition().unwrap();
    assert!(disposition.is_attachment());
    assert_eq!(disposition.filename().as_deref(), Some("../x"));
    assert_eq!(disposition.safe_filename().as_deref(), Some("x"));
    let bare = answered("").await;
    assert!(bare.content_type().is_none() && bare.charset().is_none() && bare.content_disposition().is_none());
}

#[tokio::test]
async fn cookies_are_those_of_this_response_that_its_host_may_set() {
    let fields = "set-cookie: a=1; Path=/\r\nset-cookie: b=2; Domain=example.com\r\nset-cookie: c=3; Max-Age=0\r\n";
    let response = answered(fields).await;
    let cookies: Vec<_> =
        response.cookies().iter().map(|cookie| (cookie.name().to_owned(), cookie.value().to_owned())).collect();
    assert_eq!(cookies, [("a".to_owned(), "1".to_owned())]);
}

#[tokio::test]
async fn a_body_is_read_once_and_its_rest_is_never_passed_off_as_the_whole() {
    let (origin, session) = (origin().await, Session::default());
    for length in [10, 300_000] {
        let mut response = session.get(origin.url(&format!("/bytes/{length}"))).send().await.unwrap();
        assert!(response.chunk().await.unwrap().is_some());
        let error = response.bytes().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Body);
        assert!(error.message().contains("read already"), "{error}");
    }
    let mut response = session.get(origin.url("/items/1")).send().await.unwrap();
    while response.chunk().await.unwrap().is_some() {}
    assert!(response.chunk().await.unwrap().is_none(), "the end stays the end");
    assert!(response.json::<Value>().await.unwrap_err().message().contains("read already"));
}
