//! Any WWW-Authenticate fields: what is answered can stand in a field, answers the challenge it says, never shows the
//! password by Digest, and is for the origin that asked alone. A server that reckons by what it is shown (RFC 7616 §3.4)
//! comes to the same.

#![no_main]

use gannet_core::Headers;
use gannet_core::auth::{Asked, Challenge, Credentials, Scheme, Spaces, challenges};
use libfuzzer_sys::fuzz_target;
use sha2::Digest as _;
use url::Url;

const PASSWORD: &str = "correct horse battery staple";
const BODY: &[u8] = b"body";

fuzz_target!(|data: &[u8]| {
    let [options, data @ ..] = data else { return };
    let fields: Vec<&[u8]> = data.split(|&byte| byte == 0xff).collect();
    let url = |text: &str| Url::parse(text).expect("these are URLs");
    let (here, below) = (url("http://test.com/a/b?c=%22"), url("http://test.com/a/b/c"));
    let scheme = if options & 1 == 0 { Scheme::Digest } else { Scheme::Any };
    let user = if options & 2 == 0 { "me" } else { "J\u{e4}s\u{f8}n \"D\" \\" };
    let who = Credentials::new(user, PASSWORD, scheme);
    let asked = Asked { method: "GET", url: &here, body: (options & 4 == 0).then_some(BODY) };
    let offered = challenges(fields.iter().copied());
    let mut spaces = Spaces::default();
    let Some(answer) = spaces.answer(&asked, &who, fields.iter().copied(), "c0ffee") else {
        assert!(spaces.sign(&asked, &who, "c0ffee").is_none());
        return;
    };
    assert!(spaces.sign(&asked, &who, "c0ffee").is_none(), "its nonce is for the answer alone");
    spaces.keep(&here, answer.space.clone());
    check(&answer.value, &who, &asked, 1);
    if answer.value.starts_with("Digest ") {
        let shown = challenges([answer.value.as_bytes()]);
        let same = |one: &&Challenge<'_>, name: &str| one.param(name) == shown[0].param(name);
        let all = ["realm", "nonce", "opaque", "algorithm"];
        let answers = |one: &&Challenge<'_>| one.is("digest") && all.iter().all(|name| same(one, name));
        let challenge = offered.iter().find(answers);
        assert!(challenge.is_some(), "none of {offered:?} asked for {}", answer.value);
    } else {
        assert!(offered.iter().any(|one| one.is("basic")));
    }
    for elsewhere in ["https://test.com/a/b", "http://test.com:81/a/b", "http://a.test.com/a/b", "http://other/a/b"] {
        let elsewhere = url(elsewhere);
        assert!(spaces.sign(&Asked { url: &elsewhere, ..asked }, &who, "c0ffee").is_none());
    }
    let first = spaces.sign(&Asked { url: &below, ..asked }, &who, "c0ffee");
    if let Some(next) = &first {
        check(&next.value, &who, &Asked { url: &below, ..asked }, 2);
    }
    spaces.on_info(&here, answer.space.realm(), fields[0]);
    let renewed =
        challenges([&[b"Info ", fields[0]].concat()[..]]).iter().any(|info| info.param("nextnonce").is_some());
    if let Some(next) = spaces.sign(&asked, &who, "c0ffee") {
        check(&next.value, &who, &asked, if renewed { 1 } else { 2 + u32::from(first.is_some()) });
    }
});

/// The `count`th use of a nonce.
fn check(value: &str, who: &Credentials, asked: &Asked<'_>, count: u32) {
    assert!(Headers::new().append_secret("authorization", value).is_ok(), "{value:?}");
    if value.starts_with("Basic ") {
        assert_eq!((value, who.scheme), (&who.basic()[..], Scheme::Any));
        return;
    }
    assert!(value.starts_with("Digest ") && !value.contains(PASSWORD), "{value:?}");
    let shown = challenges([value.as_bytes()]);
    let [shown] = &shown[..] else { panic!("one answer: {value}") };
    let target = &asked.url[url::Position::BeforePath..url::Position::AfterQuery];
    assert_eq!(shown.param("uri"), Some(target));
    assert_eq!(shown.param("response"), Some(&reckoned(shown, who, asked)[..]), "{value}");
    assert!(shown.param("qop").is_none() || shown.param("nc") == Some(&format!("{count:08x}")), "{value}");
}

/// What a server that knows the password reckons from the answer's own words.
fn reckoned(shown: &Challenge<'_>, who: &Credentials, asked: &Asked<'_>) -> String {
    let algorithm = shown.param("algorithm").unwrap_or("MD5").to_ascii_lowercase();
    let (hash, session) = match algorithm.strip_suffix("-sess") {
        Some(hash) => (hash, true),
        None => (&algorithm[..], false),
    };
    let sum = |text: String| match hash {
        "md5" => hex(&md5::Md5::digest(text)),
        "sha-256" => hex(&sha2::Sha256::digest(text)),
        "sha-512-256" => hex(&sha2::Sha512_256::digest(text)),
        other => panic!("{other} is not known"),
    };
    let word = |name: &str| shown.param(name).unwrap_or_default();
    let named = match shown.param("username*") {
        Some(name) => {
            percent_encoding::percent_decode_str(name.strip_prefix("UTF-8''").expect("its charset")).decode_utf8_lossy()
        }
        None => word("username").into(),
    };
    let is_hashed = shown.param("userhash") == Some("true");
    assert_eq!(named, if is_hashed { sum(format!("{}:{}", who.user, word("realm"))) } else { who.user.clone() });
    let mut secret = sum(format!("{}:{}:{}", who.user, word("realm"), who.password));
    if session {
        secret = sum(format!("{secret}:{}:{}", word("nonce"), word("cnonce")));
    }
    let mut request = format!("{}:{}", asked.method, word("uri"));
    if word("qop") == "auth-int" {
        let body = asked.body.expect("auth-int only where the body is at hand");
        request += &format!(":{}", sum(String::from_utf8_lossy(body).into_owned()));
    }
    let request = sum(request);
    match shown.param("qop") {
        None => sum(format!("{secret}:{}:{request}", word("nonce"))),
        Some(qop) => sum(format!("{secret}:{}:{}:{}:{qop}:{request}", word("nonce"), word("nc"), word("cnonce"))),
    }
}

fn hex(sum: &[u8]) -> String {
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}
