//! Any Location behind any URL, 0xff between them, the first byte for the rest of the question: only http and https
//! are followed, never further than allowed, and no credential crosses an origin.

#![no_main]

use gannet_core::Headers;
use gannet_core::redirect::{BodyReplay, Decision, Hop, RedirectPolicy, decide, strip_for};
use http::Method;
use libfuzzer_sys::fuzz_target;
use url::Url;

const STATUSES: [u16; 8] = [200, 300, 301, 302, 303, 304, 307, 308];

fuzz_target!(|data: &[u8]| {
    let [options, rest @ ..] = data else { return };
    let mut parts = rest.splitn(2, |&byte| byte == 0xff);
    let (base, location) = (parts.next().unwrap_or_default(), parts.next());
    let Some(url) = std::str::from_utf8(base).ok().and_then(|text| Url::parse(text).ok()) else { return };
    if !matches!(url.scheme(), "http" | "https") {
        return;
    }
    let method = if options & 1 == 0 { Method::GET } else { Method::POST };
    let body = match options & 6 {
        0 => BodyReplay::None,
        2 => BodyReplay::Replayable,
        _ => BodyReplay::Consumed,
    };
    let policy = RedirectPolicy { max: 3, follow: true, downgrade: options & 8 != 0 };
    let (status, hops_so_far) = (STATUSES[usize::from(options >> 4 & 7)], u32::from(options >> 7) * 3);
    let hop = Hop { method: &method, url: &url, status, location, hops_so_far, body };
    let Decision::Follow(next) = decide(&policy, &hop) else { return };
    assert!(matches!(status, 301 | 302 | 303 | 307 | 308) && hops_so_far < policy.max);
    assert!(matches!(next.url.scheme(), "http" | "https") && next.url.has_host());
    assert!(policy.downgrade || url.scheme() == "http" || next.url.scheme() == "https");
    assert_eq!(next.cross_origin, url.origin() != next.url.origin());
    let userinfo = |url: &Url| (url.username().to_owned(), url.password().map(str::to_owned));
    assert!(userinfo(&next.url) == (String::new(), None) || (userinfo(&next.url) == userinfo(&url) && !next.cross_origin));
    assert!(next.drop_body || body != BodyReplay::Consumed);
    let mut headers = Headers::new();
    let fields = [("Authorization", "a"), ("Cookie", "b"), ("X-Other", "c"), ("Content-Type", "d")];
    for (name, value) in fields {
        headers.append(name, value).expect("they can be sent");
    }
    strip_for(&mut headers, next.cross_origin, next.drop_body);
    assert_eq!(headers.contains("authorization") || headers.contains("cookie"), !next.cross_origin);
    assert_eq!(headers.contains("content-type"), !next.drop_body);
    assert!(headers.contains("x-other"));
});
