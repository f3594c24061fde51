use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use url::Url;

use super::*;

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn day(n: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs((20_000 + n) * 86_400)
}

fn now() -> SystemTime {
    day(0)
}

/// A jar after the given (url, Set-Cookie) pairs, all of which must be taken in.
fn jar(lines: &[(&str, &str)]) -> Jar {
    let mut jar = Jar::new();
    for (from, line) in lines {
        assert_eq!(jar.store(&url(from), line.as_bytes(), now()), Ok(()), "{from} {line}");
    }
    jar
}

fn sent(jar: &mut Jar, to: &str) -> String {
    jar.header_for(&url(to), now()).unwrap_or_default()
}

#[test]
fn a_cookie_goes_where_its_domain_and_path_say() {
    for (from, line, to, expected) in [
        // Without Domain: this host alone.
        ("https://a.test.com/", "k=v", "https://a.test.com/", true),
        ("https://a.test.com/", "k=v", "https://b.a.test.com/", false),
        ("https://a.test.com/", "k=v", "https://test.com/", false),
        ("https://a.test.com/", "k=v; Domain=", "https://b.a.test.com/", false),
        // With Domain: it and everything below.
        ("https://a.test.com/", "k=v; Domain=test.com", "https://test.com/", true),
        ("https://a.test.com/", "k=v; Domain=.test.com", "https://b.test.com/", true),
        ("https://a.test.com/", "k=v; Domain=TEST.Com", "https://b.a.test.com/", true),
        ("https://a.test.com/", "k=v; Domain=a.test.com", "https://test.com/", false),
        ("https://a.test.com/", "k=v; Domain=test.com", "https://evil-test.com/", false),
        // The last attribute counts.
        ("https://a.test.com/", "k=v; Domain=evil.com; Domain=test.com", "https://b.test.com/", true),
        // A trailing dot and capitals are the same host.
        ("https://a.test.com./", "k=v", "https://A.TEST.com/", true),
        ("https://a.test.com./", "k=v; Domain=test.com.", "https://b.test.com/", true),
        ("https://a.test.com./", "k=v; Domain=test.com", "https://b.test.com./", true),
        // One spelling of an international name; U+3002 is a dot.
        ("https://münchen.de/", "k=v; Domain=xn--mnchen-3ya.DE", "https://a.xn--mnchen-3ya.de/", true),
        ("https://a。test.com/", "k=v", "https://a.test.com/", true),
        // Ports are shared, and so are schemes unless Secure.
        ("https://test.com:8443/", "k=v", "http://test.com:81/", true),
        ("https://test.com/", "k=v; Secure", "http://test.com/", false),
        ("https://test.com/", "k=v; secure=yes", "https://test.com:444/", true),
        // Addresses and single labels stand for themselves.
        ("http://127.0.0.1/", "k=v", "http://127.0.0.1:8080/", true),
        ("http://127.0.0.1/", "k=v; Domain=127.0.0.1", "http://127.0.0.1/", true),
        ("http://[::1]/", "k=v", "http://[::1]/", true),
        ("http://localhost/", "k=v; Domain=localhost", "http://localhost/", true),
        ("http://localhost/", "k=v; Domain=localhost", "http://a.localhost/", false),
        // A public suffix that is the host itself: this host alone.
        ("https://github.io/", "k=v; Domain=github.io", "https://github.io/", true),
        ("https://github.io/", "k=v; Domain=github.io", "https://me.github.io/", false),
        // Paths.
        ("https://test.com/a/b", "k=v", "https://test.com/a/c", true),
        ("https://test.com/a/b", "k=v", "https://test.com/ab", false),
        ("https://test.com/a/b", "k=v; Path=/", "https://test.com/", true),
        ("https://test.com/a/b", "k=v; Path=relative", "https://test.com/", false),
        ("https://test.com/a/b", "k=v; Path=/x; Path", "https://test.com/a/", true),
    ] {
        let header = sent(&mut jar(&[(from, line)]), to);
        assert_eq!(header == "k=v", expected, "{from} {line} -> {to}: {header:?}");
    }
}

#[test]
fn what_a_url_may_not_set_is_refused() {
    let long = |n: usize| format!("k={}", "v".repeat(n - 1));
    for (from, line, why) in [
        ("ftp://test.com/", "k=v", Refused::Url),
        ("https://test.com/", "", Refused::Empty),
        ("https://test.com/", "=; Path=/", Refused::Empty),
        ("https://test.com/", "==", Refused::Syntax),
        ("https://test.com/", "=a=b", Refused::Syntax),
        ("https://test.com/", "k=v\r\nx: y", Refused::ControlCharacter),
        ("https://test.com/", "k=v\0", Refused::ControlCharacter),
        ("https://test.com/", "k=v; Path=/\x7f", Refused::ControlCharacter),
        ("https://test.com/", &long(4097), Refused::TooLong),
        ("https://a.test.com/", "k=v; Domain=b.test.com", Refused::Domain),
        ("https://test.com/", "k=v; Domain=a.test.com", Refused::Domain),
        ("https://test.com/", "k=v; Domain=st.com", Refused::Domain),
        ("https://test.com/", "k=v; Domain=test.com.", Refused::Domain),
        ("https://münchen.de/", "k=v; Domain=münchen.de", Refused::Domain),
        ("http://127.0.0.1/", "k=v; Domain=0.0.1", Refused::Domain),
        ("http://127.0.0.1/", "k=v; Domain=1", Refused::PublicSuffix),
        // Public suffixes in every spelling.
        ("https://test.com/", "k=v; Domain=com", Refused::PublicSuffix),
        ("https://test.com/", "k=v; Domain=.COM.", Refused::PublicSuffix),
        ("https://test.com./", "k=v; Domain=com.", Refused::PublicSuffix),
        ("https://a.co.uk/", "k=v; Domain=Co.Uk", Refused::PublicSuffix),
        ("https://me.github.io/", "k=v; Domain=github.io", Refused::PublicSuffix),
        ("https://x.公司.cn/", "k=v; Domain=XN--55QX5D.cn", Refused::PublicSuffix),
        ("https://a.internal/", "k=v; Domain=internal", Refused::PublicSuffix),
        ("https://b.a.ck/", "k=v; Domain=ck", Refused::PublicSuffix),
        // Secure only from https, loopback included.
        ("http://test.com/", "k=v; Secure", Refused::SecureFromHttp),
        ("http://localhost/", "k=v; Secure", Refused::SecureFromHttp),
        ("http://127.0.0.1/", "k=v; Secure", Refused::SecureFromHttp),
        // Prefixes, in any case, and hidden in the value of a nameless cookie.
        ("https://test.com/", "__Secure-k=v", Refused::Prefix),
        ("https://test.com/", "__host-k=v; Secure", Refused::Prefix),
        ("https://test.com/", "__Host-k=v; Path=/", Refused::Prefix),
        ("https://test.com/", "__Host-k=v; Secure; Path=/a", Refused::Prefix),
        ("https://test.com/", "__HOST-k=v; Secure; Path=/; Domain=test.com", Refused::Prefix),
        ("https://test.com/", "__Secure-v", Refused::Prefix),
    ] {
        let mut jar = Jar::new();
        assert_eq!(jar.store(&url(from), line.as_bytes(), now()), Err(why), "{from} {line}");
        assert!(jar.is_empty());
    }
    assert_eq!(Jar::new().store(&url("https://test.com"), b"k=\xff", now()), Err(Refused::NotText));
    jar(&[("https://test.com/", &long(4096))]);
}

#[test]
fn a_prefix_that_is_kept_is_taken() {
    let mut jar = jar(&[
        ("https://test.com/x/y", "__Secure-a=1; Secure"),
        ("https://test.com/x/y", "__Host-b=2; Secure; Path=/"),
        ("https://test.com/x/y", "__Hosting=3"),
    ]);
    assert_eq!(sent(&mut jar, "https://test.com/x/z"), "__Secure-a=1; __Hosting=3; __Host-b=2");
}

#[test]
fn names_and_values_are_kept_as_they_stand() {
    for (line, expected) in [
        ("k=v", "k=v"),
        (" k \t=\t v w ; Path=/", "k=v w"),
        ("k=\"quoted\"", "k=\"quoted\""),
        ("k=a=b==", "k=a=b=="),
        ("k=", "k="),
        ("bare", "bare"),
        ("k=ü%20", "k=ü%20"),
        ("k=v; Unknown; HttpOnly=x; =", "k=v"),
    ] {
        assert_eq!(sent(&mut jar(&[("https://test.com/", line)]), "https://test.com/"), expected, "{line}");
    }
}

#[test]
fn attributes_are_kept_as_data_and_overlong_ones_ignored() {
    let line = format!("k=v; SameSite=LAX; HttpOnly; Path=/{}; Max-Age=60", "p".repeat(1024));
    let jar = jar(&[("https://a.test.com/d/e", &line)]);
    let cookie = jar.iter().next().unwrap();
    assert_eq!((cookie.name(), cookie.value()), ("k", "v"));
    assert_eq!((cookie.domain(), cookie.path(), cookie.host_only()), ("a.test.com", "/d", true));
    assert_eq!((cookie.secure(), cookie.http_only(), cookie.same_site()), (false, true, Some(SameSite::Lax)));
    assert_eq!(cookie.expires(), Some(now() + Duration::from_secs(60)));
}

#[test]
fn a_lifetime_ends_when_it_says_and_never_after_400_days() {
    let second = Duration::from_secs(1);
    let date = "Expires=Tue, 05 Nov 2024 00:00:00 GMT"; // 20032 days after 1970
    for (attributes, end) in [
        ("Max-Age=86400", Some(day(1))),
        (date, Some(day(32))),
        (&format!("{date}; Max-Age=86400"), Some(day(1))),
        (&format!("Max-Age=86400; {date}"), Some(day(1))),
        (&format!("{date}; Expires=never"), Some(day(32))),
        ("Max-Age=34560001", Some(day(400))),
        ("Max-Age=99999999999999999999999999", Some(day(400))),
        ("Expires=Fri, 31 Dec 9999 23:59:59 GMT", Some(day(400))),
    ] {
        let mut jar = jar(&[("https://test.com/", &format!("k=v; {attributes}"))]);
        let end = end.unwrap();
        let target = url("https://test.com/");
        assert!(jar.header_for(&target, end - second).is_some(), "{attributes}");
        assert!(jar.header_for(&target, end).is_none(), "{attributes}");
        assert!(jar.is_empty(), "the expired one is dropped: {attributes}");
    }
    let mut session = jar(&[("https://test.com/", "k=v; Max-Age=x; Expires=; Max-Age=")]);
    assert!(session.header_for(&url("https://test.com/"), day(100_000)).is_some());
}

#[test]
fn an_end_in_the_past_removes_the_cookie_at_that_place_only() {
    for attributes in
        ["Max-Age=0", "Max-Age=-5", "Expires=Thu, 01 Jan 1970 00:00:00 GMT", "Expires=Mon, 01 Jan 1601 00:00:00 GMT"]
    {
        let mut jar = jar(&[("https://test.com/", "k=v"), ("https://test.com/", "k=w; Path=/a")]);
        jar.store(&url("https://test.com/"), format!("k=; {attributes}").as_bytes(), now()).unwrap();
        assert_eq!((jar.len(), sent(&mut jar, "https://test.com/a")), (1, "k=w".into()), "{attributes}");
    }
}

#[test]
fn the_longest_path_goes_first_and_then_the_oldest() {
    let mut jar = jar(&[
        ("https://test.com/", "a=1"),
        ("https://test.com/", "b=2; Domain=test.com"),
        ("https://test.com/", "c=3; Path=/x/y"),
        ("https://test.com/", "d=4; Path=/x"),
        ("https://test.com/", "a=5"),
    ]);
    assert_eq!(sent(&mut jar, "https://test.com/x/y/z"), "c=3; d=4; a=5; b=2");
    assert_eq!(jar.len(), 4);
}

#[test]
fn plain_http_leaves_secure_cookies_alone() {
    let base = [("https://a.test.com/", "k=v; Secure; Domain=test.com; Path=/login")];
    for (from, line, expected) in [
        ("http://a.test.com/", "k=evil; Domain=test.com; Path=/login", Err(Refused::SecureExists)),
        ("http://a.test.com/", "k=evil; Path=/login/en", Err(Refused::SecureExists)),
        ("http://b.a.test.com/", "k=evil; Path=/login", Err(Refused::SecureExists)),
        ("http://a.test.com/", "k=; Domain=test.com; Path=/login; Max-Age=0", Err(Refused::SecureExists)),
        ("http://a.test.com/", "k=ok; Path=/", Ok(())),
        ("http://a.test.com/", "other=ok; Path=/login", Ok(())),
        ("https://a.test.com/", "k=new; Domain=test.com; Path=/login", Ok(())),
    ] {
        assert_eq!(jar(&base).store(&url(from), line.as_bytes(), now()), expected, "{from} {line}");
    }
}

#[test]
fn loopback_counts_as_secure_where_it_is_trusted_to() {
    for (at, trusted) in [
        ("http://localhost/", true),
        ("http://a.LocalHost./", true),
        ("http://127.9.0.1:8080/", true),
        ("http://[::1]/", true),
        ("http://notlocalhost/", false),
        ("http://localhost.test.com/", false),
        ("http://128.0.0.1/", false),
        ("http://[::2]/", false),
    ] {
        let mut jar = Jar::new();
        assert_eq!(jar.store(&url(at), b"k=v; Secure", now()), Err(Refused::SecureFromHttp), "{at}");
        jar.trust_loopback(true);
        assert_eq!(jar.store(&url(at), b"__Host-k=v; Secure; Path=/", now()).is_ok(), trusted, "{at}");
        assert_eq!(sent(&mut jar, at), if trusted { "__Host-k=v" } else { "" }, "{at}");
        jar.clear();
        jar.trust_loopback(false);
        assert_eq!(jar.store(&url(at), b"k=v; Secure", now()), Err(Refused::SecureFromHttp), "{at}");
    }
}

#[test]
fn one_response_stores_at_most_fifty() {
    let lines: Vec<String> = (0..60).map(|n| format!("k{n}=v")).collect();
    let mut jar = Jar::new();
    assert_eq!(jar.store_all(&url("https://test.com"), lines.iter().map(String::as_bytes), now()), 50);
    assert_eq!(jar.len(), 50);
}

#[test]
fn a_full_site_drops_expired_then_insecure_then_least_used_ones() {
    let site = url("https://test.com/");
    let full = |first: &str| {
        let mut jar = jar(&[("https://test.com/", first)]);
        for n in 1..MAX_PER_SITE {
            jar.store(&site, format!("k{n}=v; Secure; Path=/p{n}").as_bytes(), now()).unwrap();
        }
        jar
    };
    let has = |jar: &Jar, name: &str| jar.iter().any(|cookie| cookie.name() == name);

    let mut expired = full("first=1; Secure; Max-Age=1");
    expired.store(&site, b"new=1; Secure", day(1)).unwrap();
    assert!(!has(&expired, "first") && has(&expired, "k1") && has(&expired, "new"));

    let mut insecure = full("first=1");
    assert!(insecure.header_for(&site, now()).is_some(), "just used, and still the one to go");
    insecure.store(&site, b"new=1; Secure", now()).unwrap();
    assert!(!has(&insecure, "first") && has(&insecure, "k1") && has(&insecure, "new"));

    let mut used = full("first=1; Secure");
    assert!(used.header_for(&site, now()).is_some());
    used.store(&site, b"new=1; Secure", now()).unwrap();
    assert!(has(&used, "first") && !has(&used, "k1") && has(&used, "new"));
    assert_eq!(used.len(), MAX_PER_SITE);
}

#[test]
fn plain_http_cannot_push_secure_cookies_out() {
    let mut jar = jar(&[("https://test.com/", "keep=1; Secure")]);
    for n in 0..2 * MAX_PER_SITE {
        jar.store(&url("http://evil.test.com/"), format!("k{n}=v; Domain=test.com").as_bytes(), now()).unwrap();
    }
    assert_eq!(jar.len(), MAX_PER_SITE);
    assert!(jar.iter().any(|cookie| cookie.name() == "keep"));
}

#[test]
fn a_full_jar_drops_the_least_recently_used_of_all() {
    let mut jar = Jar::new();
    let site = |n: usize| url(&format!("https://site{n}.com/"));
    for n in 0..MAX_ALL {
        jar.store(&site(n), b"k=v", now()).unwrap();
    }
    assert!(jar.header_for(&site(0), now()).is_some());
    jar.set(&site(MAX_ALL), "k", "v").unwrap();
    assert_eq!(jar.len(), MAX_ALL - MAX_ALL / 20);
    assert!(jar.header_for(&site(0), now()).is_some());
    assert!(jar.header_for(&site(1), now()).is_none());
    assert!(jar.header_for(&site(MAX_ALL), now()).is_some());
}

#[test]
fn a_header_stays_within_its_bounds() {
    let mut many = Jar::new();
    for n in 0..MAX_PER_SITE {
        many.set(&url("https://test.com/"), &format!("k{n}"), "v").unwrap();
    }
    assert_eq!(sent(&mut many, "https://test.com/").split("; ").count(), MAX_SENT);

    let mut long = Jar::new();
    for (name, size) in [("a", 4000), ("b", 4000), ("c", 4000), ("d", 100)] {
        long.set(&url("https://test.com/"), name, &"v".repeat(size)).unwrap();
    }
    let header = sent(&mut long, "https://test.com/");
    let names: Vec<_> = header.split("; ").map(|pair| &pair[..1]).collect();
    assert_eq!(names, ["a", "b", "d"]);
    assert!(header.len() <= MAX_HEADER);
}

#[test]
fn cookies_set_by_hand_keep_to_their_host_and_off_the_clear() {
    let mut jar = Jar::new();
    jar.set(&url("https://test.com/deep/path"), "k", "v").unwrap();
    jar.set(&url("http://plain.com/"), "p", "q").unwrap();
    assert_eq!(sent(&mut jar, "https://test.com/"), "k=v");
    assert_eq!(sent(&mut jar, "http://test.com/"), "");
    assert_eq!(sent(&mut jar, "https://a.test.com/"), "");
    assert_eq!(sent(&mut jar, "http://plain.com/"), "p=q");
    for (name, value, why) in [
        ("", "v", Refused::Syntax),
        ("a=b", "v", Refused::Syntax),
        ("k", "v; x=y", Refused::Syntax),
        ("k", " v", Refused::Syntax),
        ("k", "v\r\n", Refused::ControlCharacter),
    ] {
        assert_eq!(jar.set(&url("https://test.com/"), name, value), Err(why), "{name:?} {value:?}");
    }
    assert_eq!(jar.set(&url("http://test.com/"), "__Host-k", "v"), Err(Refused::Prefix));
}

#[test]
fn cookies_can_be_removed_one_by_one_and_all_at_once() {
    let mut jar = jar(&[("https://test.com/", "a=1"), ("https://test.com/", "b=2; Path=/x; Domain=test.com")]);
    assert!(!jar.remove("test.com", "/", "b"));
    assert!(jar.remove(".Test.com", "/x", "b"));
    assert_eq!(jar.len(), 1);
    jar.clear();
    assert!(jar.is_empty() && jar.iter().next().is_none());
}

#[test]
fn debug_shows_no_value() {
    let jar = jar(&[("https://test.com/", "name=hunter2")]);
    let shown = format!("{jar:?}");
    assert!(shown.contains("name") && !shown.contains("hunter2"), "{shown}");
}

proptest! {
    #[test]
    fn no_line_makes_a_header_that_breaks(
        line in proptest::collection::vec(any::<u8>(), 0..80),
        pair in "[ -~]{0,12}",
    ) {
        let mut jar = Jar::new();
        let target = url("https://a.test.com/x");
        for bytes in [line, pair.into_bytes()] {
            let taken = jar.store(&target, &bytes, now()).is_ok();
            prop_assert_eq!(jar.len(), jar.iter().count());
            let header = jar.header_for(&target, now());
            if let Some(header) = header {
                prop_assert!(taken && header.bytes().all(|b| b == b'\t' || (b >= 0x20 && b != 0x7f)));
                prop_assert!(!header.contains(';'));
            }
            jar.clear();
        }
    }

    #[test]
    fn a_host_never_reads_what_a_host_of_another_site_set(line in "k=v(; ?(Domain=)?[.a-z]{0,12}){0,3}") {
        let mut jar = Jar::new();
        let _ = jar.store(&url("https://a.com/"), line.as_bytes(), now());
        for other in ["https://b.com/", "https://com/", "https://a.net/", "https://xa.com/"] {
            prop_assert_eq!(jar.header_for(&url(other), now()), None);
        }
    }

    #[test]
    fn the_count_is_right_and_bounded_whatever_happens(
        steps in proptest::collection::vec((0u8..4, 0u8..6, 0u64..5), 0..300),
    ) {
        let mut jar = Jar::new();
        for (action, name, at) in steps {
            let target = url(&format!("https://h{}.com/", name % 3));
            match action {
                0 | 1 => {
                    let line = format!("k{name}=v; Max-Age={}", u64::from(name) * 43_200);
                    let _ = jar.store(&target, line.as_bytes(), day(at));
                }
                2 => drop(jar.header_for(&target, day(at))),
                _ => drop(jar.remove(&format!("h{}.com", name % 3), "/", &format!("k{name}"))),
            }
            prop_assert_eq!(jar.len(), jar.iter().count());
            prop_assert!(jar.len() <= 6);
        }
    }
}

#[test]
fn hosts_that_are_named_count_as_secure_and_no_others() {
    let mut jar = Jar::new();
    assert_eq!(jar.trust_hosts(["Dev.Test.", "10.0.0.1", "[::2]", "bücher.test"]), Ok(()));
    for (at, trusted) in [
        ("http://dev.test:8080/", true),
        ("http://DEV.test./", true),
        ("http://10.0.0.1/", true),
        ("http://[::2]/", true),
        ("http://xn--bcher-kva.test/", true),
        ("http://a.dev.test/", false),
        ("http://ev.test/", false),
        ("http://10.0.0.2/", false),
        ("http://localhost/", false),
    ] {
        assert_eq!(jar.store(&url(at), b"__Host-k=v; Secure; Path=/", now()).is_ok(), trusted, "{at}");
        assert_eq!(sent(&mut jar, at), if trusted { "__Host-k=v" } else { "" }, "{at}");
        jar.clear();
    }
    assert_eq!(jar.trust_hosts(["other.test", "no host"]), Err("no host"));
    assert!(jar.store(&url("http://dev.test/"), b"k=v; Secure", now()).is_ok(), "what was there stays");
    assert_eq!(jar.trust_hosts([]), Ok(()));
    assert_eq!(jar.store(&url("http://dev.test/"), b"k=v; Secure", now()), Err(Refused::SecureFromHttp));
}
