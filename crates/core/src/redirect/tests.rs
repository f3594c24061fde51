use super::*;

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn hop(status: u16, from: &Url, location: Option<&[u8]>) -> Decision {
    let hop = Hop { method: &Method::GET, url: from, status, location, hops_so_far: 0, body: BodyReplay::None };
    decide(&RedirectPolicy::default(), &hop)
}

fn next(decision: Decision) -> Next {
    match decision {
        Decision::Follow(next) => next,
        other => panic!("expected to follow: {other:?}"),
    }
}

#[test]
fn only_redirects_with_a_location_are_followed() {
    let from = url("https://a.test/x");
    for (status, follows) in [
        (200, false),
        (201, false),
        (300, false),
        (301, true),
        (302, true),
        (303, true),
        (304, false),
        (305, false),
        (306, false),
        (307, true),
        (308, true),
        (309, false),
        (404, false),
    ] {
        let decision = hop(status, &from, Some(b"/y"));
        assert_eq!(matches!(decision, Decision::Follow(_)), follows, "{status}");
        assert_eq!(hop(status, &from, None), Decision::Deliver);
        assert_eq!(hop(status, &from, Some(b" ")), Decision::Deliver);
    }
    let policy = RedirectPolicy { follow: false, max: 0, ..RedirectPolicy::default() };
    let hop = Hop {
        method: &Method::GET,
        url: &from,
        status: 302,
        location: Some(b"/y"),
        hops_so_far: 0,
        body: BodyReplay::None,
    };
    assert_eq!(decide(&policy, &hop), Decision::Deliver);
}

#[test]
fn methods_and_bodies_change_as_the_status_says() {
    use BodyReplay::{Consumed, None as Empty, Replayable};
    // (status, method, body) -> (method, whether the body goes), or nothing where the body is gone.
    for (status, method, body, expected) in [
        (301, "POST", Replayable, Some(("GET", true))),
        (302, "POST", Consumed, Some(("GET", true))),
        (303, "POST", Consumed, Some(("GET", true))),
        (307, "POST", Replayable, Some(("POST", false))),
        (308, "POST", Replayable, Some(("POST", false))),
        (307, "POST", Consumed, None),
        (308, "POST", Consumed, None),
        (307, "POST", Empty, Some(("POST", false))),
        (301, "PUT", Replayable, Some(("PUT", false))),
        (302, "PUT", Consumed, None),
        (303, "PUT", Consumed, Some(("GET", true))),
        (302, "DELETE", Empty, Some(("DELETE", false))),
        (303, "DELETE", Empty, Some(("GET", true))),
        (301, "GET", Empty, Some(("GET", false))),
        (303, "GET", Empty, Some(("GET", false))),
        (303, "GET", Consumed, Some(("GET", true))),
        (302, "GET", Consumed, None),
        (301, "HEAD", Empty, Some(("HEAD", false))),
        (303, "HEAD", Empty, Some(("HEAD", false))),
        (302, "PATCH", Replayable, Some(("PATCH", false))),
        (303, "FETCH", Replayable, Some(("GET", true))),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let from = url("https://a.test/");
        let hop = Hop { method: &method, url: &from, status, location: Some(b"/b"), hops_so_far: 0, body };
        let decision = decide(&RedirectPolicy::default(), &hop);
        match expected {
            Some((method, drop_body)) => {
                let next = next(decision);
                assert_eq!((next.method.as_str(), next.drop_body), (method, drop_body), "{hop:?}");
            }
            None => assert_eq!(decision, Decision::Fail(RedirectError::BodyConsumed { status }), "{hop:?}"),
        }
    }
}

#[test]
fn locations_resolve_against_the_url_that_sent_them() {
    for (from, location, expected) in [
        ("https://a.test/x/y?q=1", &b"z"[..], "https://a.test/x/z"),
        ("https://a.test/x/y?q=1", b"?r=2", "https://a.test/x/y?r=2"),
        ("https://a.test/x/y", b"../up", "https://a.test/up"),
        ("https://a.test/x", b"//b.test/", "https://b.test/"),
        ("https://a.test/x", b" \t/padded ", "https://a.test/padded"),
        ("https://a.test/x", b"HTTP://B.Test:80", "http://b.test/"),
        ("https://a.test/x", b"\\\\b.test\\y", "https://b.test/y"),
        // Raw bytes.
        ("https://a.test/x", "/é".as_bytes(), "https://a.test/%C3%A9"),
        ("https://a.test/x", b"/caf\xe9?q=\xff", "https://a.test/caf%E9?q=%FF"),
        ("https://a.test/x", "//bücher.test/".as_bytes(), "https://xn--bcher-kva.test/"),
        ("https://a.test/x", b"/%2e%20%E9", "https://a.test/%2e%20%E9"),
        // Fragments: inherited, unless Location has one.
        ("https://a.test/x#f", b"/y", "https://a.test/y#f"),
        ("https://a.test/x#f", b"/y#g", "https://a.test/y#g"),
        ("https://a.test/x#f", b"#", "https://a.test/x#"),
        ("https://a.test/x#f", b"//b.test/y", "https://b.test/y#f"),
        // Userinfo: ours stays at home, theirs is not sent.
        ("https://u:p@a.test/x", b"/y", "https://u:p@a.test/y"),
        ("https://u:p@a.test/x", b"https://a.test/y", "https://a.test/y"),
        ("https://u:p@a.test/x", b"//b.test/y", "https://b.test/y"),
        ("https://u:p@a.test/x", b"http://u:p@a.test/y", "http://a.test/y"),
        ("https://u:p@a.test/x", b"https://v:p@a.test/y", "https://a.test/y"),
        ("https://a.test/x", b"https://v:w@b.test/y", "https://b.test/y"),
        ("https://a.test/x", b"https://a.test@b.test/y", "https://b.test/y"),
    ] {
        let next = next(hop(302, &url(from), Some(location)));
        assert_eq!(next.url.as_str(), expected, "{from} {}", String::from_utf8_lossy(location));
    }
}

#[test]
fn locations_that_lead_nowhere_fail() {
    let from = url("https://a.test/x");
    for location in
        [&b"http://"[..], b"https://a b/", b"//a%2Fb/", b"http://a:99999/", b"/x\0", b"/x\r\ny: z", b"//\xff/"]
    {
        let decision = hop(302, &from, Some(location));
        assert!(
            matches!(decision, Decision::Fail(RedirectError::InvalidLocation { .. })),
            "{}: {decision:?}",
            String::from_utf8_lossy(location)
        );
    }
    for (location, scheme) in
        [("file:///etc/passwd", "file"), ("ftp://a.test/", "ftp"), ("javascript:1", "javascript"), ("data:,x", "data")]
    {
        let expected = RedirectError::UnsupportedScheme { scheme: scheme.into() };
        assert_eq!(hop(302, &from, Some(location.as_bytes())), Decision::Fail(expected));
    }
}

#[test]
fn the_hop_after_the_last_allowed_one_fails_and_names_itself_without_secrets() {
    let from = url("https://user:pass@a.test:8443/x?token=hunter2#frag");
    let mut hop = Hop {
        method: &Method::GET,
        url: &from,
        status: 302,
        location: Some(b"/y"),
        hops_so_far: 9,
        body: BodyReplay::None,
    };
    let policy = RedirectPolicy::default();
    assert!(matches!(decide(&policy, &hop), Decision::Follow(_)));
    hop.hops_so_far = 10;
    let Decision::Fail(error) = decide(&policy, &hop) else { panic!("the eleventh hop was followed") };
    assert_eq!(error.to_string(), "too many redirects: https://a.test:8443/x?… redirects again after 10");
    assert_eq!(error.kind(), ErrorKind::Redirect);
}

#[test]
fn the_way_from_https_to_http_can_be_closed() {
    let policy = RedirectPolicy { downgrade: false, ..RedirectPolicy::default() };
    for (from, location, fails) in [
        ("https://a.test/", &b"http://a.test/"[..], true),
        ("https://a.test/", b"https://b.test/", false),
        ("http://a.test/", b"http://b.test/", false),
        ("http://a.test/", b"https://a.test/", false),
    ] {
        let from = url(from);
        let hop = Hop {
            method: &Method::GET,
            url: &from,
            status: 301,
            location: Some(location),
            hops_so_far: 0,
            body: BodyReplay::None,
        };
        assert_eq!(matches!(decide(&policy, &hop), Decision::Fail(RedirectError::Downgrade { .. })), fails, "{from}");
    }
}

#[test]
fn an_origin_is_scheme_host_and_port() {
    for (a, b, same) in [
        ("https://a.test/", "https://a.test/x?y", true),
        ("https://a.test/", "https://A.TEST:443/", true),
        ("http://a.test:80/", "http://a.test/", true),
        ("http://u:p@a.test/", "http://a.test/", true),
        ("https://a.test/", "http://a.test/", false),
        ("https://a.test:80/", "http://a.test:80/", false),
        ("https://a.test/", "https://a.test:8443/", false),
        ("https://a.test/", "https://b.a.test/", false),
        ("https://b.a.test/", "https://a.test/", false),
        ("https://a.test/", "https://a.test./", false),
        ("http://127.0.0.1/", "http://0x7f.1/", true),
    ] {
        assert_eq!(same_origin(&url(a), &url(b)), same, "{a} {b}");
        let next = next(hop(307, &url(a), Some(b.as_bytes())));
        assert_eq!(next.cross_origin, !same, "{a} {b}");
    }
}

fn caller_headers() -> Headers {
    let mut headers = Headers::new();
    for (name, value) in [
        ("Authorization", "Bearer x"),
        ("authorization", "Basic y"),
        ("Cookie", "a=1"),
        ("Cookie2", "b"),
        ("Proxy-Authorization", "c"),
        ("X-Api-Key", "d"),
        ("API-KEY", "e"),
        ("X-Auth-Token", "f"),
        ("WWW-Authenticate", "g"),
        ("Host", "other.test"),
        ("Accept", "*/*"),
        ("Content-Type", "text/plain"),
        ("content-length", "3"),
        ("Digest", "h"),
        ("X-Trace", "1"),
    ] {
        headers.append(name, value).unwrap();
    }
    headers.append_secret("X-Mine", "secret").unwrap();
    headers.append("X-Trace", "2").unwrap();
    headers
}

fn names(headers: &Headers) -> Vec<&str> {
    headers.iter().map(|(name, _)| name).collect()
}

#[test]
fn every_credential_stays_behind_when_the_origin_changes() {
    let mut headers = caller_headers();
    strip_for(&mut headers, true, false);
    let left = ["Accept", "Content-Type", "content-length", "Digest", "X-Trace", "X-Trace"];
    assert_eq!(names(&headers), left);
    // And none comes back on the way home.
    strip_for(&mut headers, false, false);
    assert_eq!(names(&headers), left);
}

#[test]
fn what_describes_the_body_goes_with_the_body() {
    let mut headers = caller_headers();
    let before = headers.len();
    strip_for(&mut headers, false, true);
    assert_eq!(headers.len(), before - 3);
    assert!(headers.contains("authorization") && headers.contains("host") && headers.contains("x-mine"));
    assert!(!headers.contains("content-type") && !headers.contains("content-length") && !headers.contains("digest"));

    let mut headers = caller_headers();
    strip_for(&mut headers, false, false);
    assert_eq!(headers.len(), before);
}

#[test]
fn every_field_that_describes_a_body_goes_with_it() {
    let of_the_body = [
        "Content-Digest",
        "Content-Encoding",
        "Content-Language",
        "Content-Length",
        "Content-Location",
        "Content-MD5",
        "Content-Range",
        "Content-Type",
        "Digest",
        "Expect",
        "Last-Modified",
        "Repr-Digest",
        "Trailer",
        "Transfer-Encoding",
    ];
    for name in of_the_body {
        for written in [name.to_owned(), name.to_ascii_lowercase(), name.to_ascii_uppercase()] {
            let mut headers = Headers::new();
            headers.append(&format!("X-{name}"), "stays").unwrap();
            headers.append(&written, "goes").unwrap();
            headers.append(&written, "too").unwrap();
            strip_for(&mut headers, true, false);
            assert_eq!(headers.len(), 3, "{written} is no credential");
            strip_for(&mut headers, false, true);
            assert_eq!(names(&headers), [format!("X-{name}")]);
        }
    }
}

#[test]
fn a_policy_reads_from_a_partial_document_and_refuses_unknown_words() {
    let policy: RedirectPolicy = serde_json::from_str(r#"{"max": 3}"#).unwrap();
    assert_eq!(policy, RedirectPolicy { max: 3, ..RedirectPolicy::default() });
    assert!(serde_json::from_str::<RedirectPolicy>(r#"{"maximum": 3}"#).is_err());
}
