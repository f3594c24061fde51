//! Any WWW-Authenticate fields: what is answered can stand in a field, answers the challenge it says, never shows the
//! password by Digest, and is for the origin that asked alone.

#![no_main]

use gannet_core::Headers;
use gannet_core::auth::{Asked, Credentials, Scheme, Spaces, challenges};
use libfuzzer_sys::fuzz_target;
use url::Url;

const PASSWORD: &str = "correct horse battery staple";

fuzz_target!(|data: &[u8]| {
    let [options, data @ ..] = data else { return };
    let fields: Vec<&[u8]> = data.split(|&byte| byte == 0xff).collect();
    let url = |text: &str| Url::parse(text).expect("these are URLs");
    let (here, below) = (url("http://test.com/a/b?c=%22"), url("http://test.com/a/b/c"));
    let scheme = if options & 1 == 0 { Scheme::Digest } else { Scheme::Any };
    let user = if options & 2 == 0 { "me" } else { "J\u{e4}s\u{f8}n \"D\" \\" };
    let who = Credentials::new(user, PASSWORD, scheme);
    let asked = Asked { method: "GET", url: &here, body: (options & 4 == 0).then_some(&b"body"[..]) };
    let offered = challenges(fields.iter().copied());
    let mut spaces = Spaces::default();
    let Some(answer) = spaces.answer(&asked, &who, fields.iter().copied(), "c0ffee") else {
        assert_eq!(spaces.sign(&asked, &who, "c0ffee"), None);
        return;
    };
    check(&answer.value, scheme);
    if answer.value.starts_with("Digest ") {
        let shown = challenges([answer.value.as_bytes()]);
        let [shown] = &shown[..] else { panic!("one answer: {}", answer.value) };
        let same = |name: &str| offered.iter().any(|one| one.is("digest") && one.param(name) == shown.param(name));
        assert!(same("realm") && same("nonce") && same("opaque") && same("algorithm"), "{}", answer.value);
        assert_eq!(shown.param("uri"), Some("/a/b?c=%22"));
        assert!(shown.param("response").is_some_and(|sum| sum.len() == 32 || sum.len() == 64));
    }
    for elsewhere in ["https://test.com/a/b", "http://test.com:81/a/b", "http://a.test.com/a/b", "http://other/a/b"] {
        let elsewhere = url(elsewhere);
        assert_eq!(spaces.sign(&Asked { url: &elsewhere, ..asked }, &who, "c0ffee"), None);
    }
    if let Some(next) = spaces.sign(&Asked { url: &below, ..asked }, &who, "c0ffee") {
        check(&next, scheme);
    }
    spaces.on_info(&here, fields[0]);
    if let Some(next) = spaces.sign(&asked, &who, "c0ffee") {
        check(&next, scheme);
    }
});

fn check(value: &str, scheme: Scheme) {
    assert!(Headers::new().append_secret("authorization", value).is_ok(), "{value:?}");
    assert!(value.starts_with("Digest ") || (scheme == Scheme::Any && value.starts_with("Basic ")), "{value:?}");
    assert!(!value.contains(PASSWORD));
}
