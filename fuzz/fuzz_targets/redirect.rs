//! Any Location behind any URL, 0xff between them, the first two bytes for the rest of the question: only http and https
//! are followed, never further than allowed, to where the URL standard says, with the method that RFC 9110 §15.4 says;
//! and no credential crosses an origin.

#![no_main]

use gannet_core::Headers;
use gannet_core::redirect::{BodyReplay, Decision, Hop, Next, RedirectPolicy, decide, strip_for};
use http::Method;
use libfuzzer_sys::fuzz_target;
use url::Url;

const STATUSES: [u16; 8] = [200, 300, 301, 302, 303, 304, 307, 308];
const METHODS: [Method; 4] = [Method::GET, Method::POST, Method::HEAD, Method::PUT];

fuzz_target!(|data: &[u8]| {
    let [options, method, rest @ ..] = data else { return };
    let mut parts = rest.splitn(2, |&byte| byte == 0xff);
    let (base, location) = (parts.next().unwrap_or_default(), parts.next());
    let Some(url) = std::str::from_utf8(base).ok().and_then(|text| Url::parse(text).ok()) else { return };
    if !matches!(url.scheme(), "http" | "https") {
        return;
    }
    let method = &METHODS[usize::from(method % 4)];
    let body = match options & 6 {
        0 => BodyReplay::None,
        2 => BodyReplay::Replayable,
        _ => BodyReplay::Consumed,
    };
    let policy = RedirectPolicy { max: 3, follow: options & 1 == 0, downgrade: options & 8 != 0 };
    let (status, hops_so_far) = (STATUSES[usize::from(options >> 4 & 7)], u32::from(options >> 7) * 3);
    let hop = Hop { method, url: &url, status, location, hops_so_far, body };
    match decide(&policy, &hop) {
        Decision::Follow(next) => check(&policy, &hop, &next),
        Decision::Fail(error) => {
            assert!(policy.follow && matches!(status, 301 | 302 | 303 | 307 | 308));
            // Its text is for a terminal and a log.
            assert!(!error.to_string().contains(char::is_control), "{error}");
        }
        Decision::Deliver => {
            let is_empty = location.is_none_or(|location| location.trim_ascii().is_empty());
            assert!(!policy.follow || is_empty || !matches!(status, 301 | 302 | 303 | 307 | 308));
        }
    }
});

fn check(policy: &RedirectPolicy, hop: &Hop<'_>, next: &Next) {
    let url = hop.url;
    assert!(policy.follow && matches!(hop.status, 301 | 302 | 303 | 307 | 308) && hop.hops_so_far < policy.max);
    assert!(matches!(next.url.scheme(), "http" | "https") && next.url.has_host());
    assert!(policy.downgrade || url.scheme() == "http" || next.url.scheme() == "https");
    assert_eq!(next.cross_origin, url.origin() != next.url.origin());
    let userinfo = |url: &Url| (url.username().to_owned(), url.password().map(str::to_owned));
    assert!(
        userinfo(&next.url) == (String::new(), None) || (userinfo(&next.url) == userinfo(url) && !next.cross_origin)
    );
    check_place(hop, next);
    let method = match (hop.status, hop.method) {
        (301 | 302, &Method::POST) => Method::GET,
        (303, method) if *method != Method::HEAD => Method::GET,
        (_, method) => method.clone(),
    };
    assert_eq!(next.method, method);
    assert!(next.drop_body || hop.body != BodyReplay::Consumed);
    assert!(next.drop_body || method == *hop.method, "a body goes with the method it was for");
    assert!(!next.drop_body || matches!(hop.status, 301..=303), "307 and 308 keep the body");
    check_stripped(next);
}

/// Where the URL standard leads, but for userinfo and fragment.
fn check_place(hop: &Hop<'_>, next: &Next) {
    let Ok(location) = std::str::from_utf8(hop.location.unwrap_or_default()) else { return };
    let joined = hop.url.join(location.trim_ascii()).expect("what is followed leads somewhere");
    let place = |url: &Url| (url.origin(), url[url::Position::BeforePath..url::Position::AfterQuery].to_owned());
    assert_eq!(place(&next.url), place(&joined));
    assert_eq!(next.url.fragment(), joined.fragment().or(hop.url.fragment()));
}

fn check_stripped(next: &Next) {
    let mut headers = Headers::new();
    let fields = [("Authorization", "a"), ("Cookie", "b"), ("X-Other", "c"), ("Content-Type", "d")];
    for (name, value) in fields {
        headers.append(name, value).expect("they can be sent");
    }
    headers.append_secret("X-Secret", "e").expect("it can be sent");
    strip_for(&mut headers, next.cross_origin, next.drop_body);
    for name in ["authorization", "cookie", "x-secret"] {
        assert_eq!(headers.contains(name), !next.cross_origin, "{name}");
    }
    assert_eq!(headers.contains("content-type"), !next.drop_body);
    assert!(headers.contains("x-other"));
}
