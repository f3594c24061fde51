use proptest::prelude::*;
use url::Url;

use super::*;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(20_000 * 86_400)
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn jar(lines: &[(&str, &str)]) -> Jar {
    let mut jar = Jar::new();
    for (from, line) in lines {
        assert_eq!(jar.store(&url(from), line.as_bytes(), now()), Ok(()), "{from} {line}");
    }
    jar
}

fn full() -> Jar {
    jar(&[
        ("https://a.test.com/", "host=only; Path=/"),
        ("https://a.test.com/", "wide=1; Domain=test.com; SameSite=Lax"),
        ("https://a.test.com/x/y", "__Secure-s=2; Secure; HttpOnly; Max-Age=60"),
        ("https://a.test.com/", "__Host-h=3; Secure; Path=/"),
        ("http://127.0.0.1/", "ip=\"q u\""),
        ("http://[::1]/", "six="),
        ("https://github.io/", "suffix=own; Domain=github.io"),
        ("https://a.test.com/", "nameless"),
        ("https://münchen.de/", "ü=ö%20; Max-Age=99999999999"),
    ])
}

/// Everything about the cookies, in order.
fn all(jar: &Jar) -> Vec<String> {
    let mut cookies: Vec<_> = jar.iter().collect();
    cookies.sort_by_key(|cookie| cookie.created);
    cookies.into_iter().map(|cookie| format!("{cookie:?}={}", cookie.value())).collect()
}

fn read(text: &str) -> Result<Jar, FileError> {
    let mut jar = Jar::new();
    jar.read(text.as_bytes(), now()).map(|_| jar)
}

#[test]
fn item_25_what_is_written_is_read_back_as_it_was_host_only_cookies_as_such() {
    let jar = full();
    assert_eq!(all(&read(&jar.write(Format::Json)).unwrap()), all(&jar));
    let lossy: Vec<String> = all(&jar).iter().map(|shown| shown.replace("Some(Lax)", "None")).collect();
    assert_eq!(all(&read(&jar.write(Format::Netscape)).unwrap()), lossy);
    let mut back = read(&jar.write(Format::Netscape)).unwrap();
    assert_eq!(back.header_for(&url("https://b.a.test.com/"), now()).as_deref(), Some("wide=1"));
}

#[test]
fn a_jar_is_written_in_this_form() {
    let jar = jar(&[
        ("https://a.test.com/", "k=v; Secure; HttpOnly; SameSite=Strict; Domain=test.com; Max-Age=60"),
        ("http://a.test.com/", "s="),
    ]);
    assert_eq!(
        jar.write(Format::Json),
        "{\"gannet_cookies\":1,\"cookies\":[\n\
         {\"name\":\"k\",\"value\":\"v\",\"domain\":\"test.com\",\"path\":\"/\",\"host_only\":false,\"secure\":true,\
         \"http_only\":true,\"same_site\":\"Strict\",\"expires\":1728000060},\n\
         {\"name\":\"s\",\"value\":\"\",\"domain\":\"a.test.com\",\"path\":\"/\",\"host_only\":true,\"secure\":false,\
         \"http_only\":false}\n]}\n"
    );
    let lines: Vec<_> = jar.write(Format::Netscape).lines().skip(3).map(str::to_owned).collect();
    assert_eq!(lines, ["#HttpOnly_.test.com\tTRUE\t/\tTRUE\t1728000060\tk\tv", "a.test.com\tFALSE\t/\tFALSE\t0\ts\t"]);
    assert!(read("").unwrap().is_empty() && read(&Jar::new().write(Format::Json)).unwrap().is_empty());
}

#[test]
fn cookies_txt_of_others_is_read() {
    let text = "\u{feff}# Netscape HTTP Cookie File\r\n\r\n\
        .Example.COM\tTRUE\t/\tFALSE\t1728000060\ta\t1\r\n\
        #HttpOnly_example.com\tFALSE\t/x\ttrue\t1728000060.75\tb\t2\t3\r\n\
        # .example.com\tTRUE\t/\tFALSE\t0\tcomment\t1\r\n\
        example.com\tFALSE\t/\tFALSE\t0\tempty\r\n\
        ::1\tTRUE\t/\tFALSE\t0\tsix\t1\r\n\
        münchen.de\tTRUE\t/\tFALSE\t99999999999999999999\tm\t1";
    let mut jar = read(text).unwrap();
    assert_eq!(jar.len(), 5);
    assert_eq!(jar.header_for(&url("https://example.com/x"), now()).as_deref(), Some("b=2\t3; a=1; empty="));
    assert_eq!(jar.header_for(&url("http://[::1]/"), now()).as_deref(), Some("six=1"));
    assert_eq!(jar.header_for(&url("http://a.xn--mnchen-3ya.de/"), now()).as_deref(), Some("m=1"));
    let m = jar.iter().find(|cookie| cookie.name() == "m").and_then(Cookie::expires);
    assert_eq!(m, Some(now() + LONGEST), "cut to 400 days");
    assert!(jar.iter().any(|cookie| cookie.name() == "b" && cookie.http_only() && cookie.secure()));
}

#[test]
fn what_no_server_could_set_and_what_is_over_is_left_out() {
    let long = "v".repeat(5000);
    for line in [
        ".com\tTRUE\t/\tFALSE\t0\tk\tv",
        ".github.io\tTRUE\t/\tFALSE\t0\tk\tv",
        ".github%2eio%2e\tTRUE\t/\tFALSE\t0\tk\tv",
        "GitHub。io。\tTRUE\t/\tFALSE\t0\tk\tv",
        "a.com\tFALSE\t/\tFALSE\t0\t__Secure-k\tv",
        "a.com\tFALSE\t/x\tTRUE\t0\t__Host-k\tv",
        "a.com\tTRUE\t/\tTRUE\t0\t__host-k\tv",
        "a.com\tFALSE\t/\tFALSE\t1\tk\tv",
        "a.com\tFALSE\t/\tFALSE\t-1\tk\tv",
        &format!("a.com\tFALSE\t/\tFALSE\t0\tk\t{long}"),
    ] {
        assert!(read(line).unwrap().is_empty(), "{line}");
    }
}

#[test]
fn a_text_that_is_no_jar_is_refused_by_line_and_changes_nothing() {
    let good = "a.com\tFALSE\t/\tFALSE\t0\tk\tv\n";
    let entry = "{\"name\":\"k\",\"value\":\"v\",\"domain\":\"a.com\",\"path\":\"/\"}";
    for (text, line) in [
        (format!("{good}a.com FALSE / FALSE 0 k v"), 2),
        (format!("{good}\n\na.com\tFALSE\t/\tFALSE"), 4),
        (format!("{good}a.com\tyes\t/\tFALSE\t0\tk\tv"), 2),
        (format!("{good}a.com\tFALSE\t/\tFALSE\tsoon\tk\tv"), 2),
        (format!("{good}a.com\tFALSE\trelative\tFALSE\t0\tk\tv"), 2),
        (format!("{good}a b\tFALSE\t/\tFALSE\t0\tk\tv"), 2),
        (format!("{good}\tFALSE\t/\tFALSE\t0\tk\tv"), 2),
        (format!("{good}a.com\tFALSE\t/\tFALSE\t0\tk\tv; x=y"), 2),
        (format!("{good}a.com\tFALSE\t/\tFALSE\t0\tk=\tv"), 2),
        (format!("{good}a.com\tFALSE\t/\tFALSE\t0\tk\tv\x01"), 2),
        (format!("{good}a.com\tFALSE\t/\tFALSE\t0\t\t"), 2),
        (format!("{good}a.com\tFALSE\t/\tFALSE\t0\t\ta=b"), 2),
        ("<html>".to_owned(), 1),
        ("{".to_owned(), 1),
        ("{}".to_owned(), 1),
        ("{\"gannet_cookies\":2,\"cookies\":[]}".to_owned(), 1),
        (format!("{{\"gannet_cookies\":1,\"cookies\":[\n{entry},\n{entry},\n"), 4),
        (format!("{{\"gannet_cookies\":1,\"cookies\":[\n{entry},\n\n{{\"name\":\"k\"}}]}}"), 4),
        (format!("{{\"gannet_cookies\":1,\"cookies\":[\n{entry},\n{}]}}", entry.replace("\"/\"", "\"x\"")), 3),
        (format!("{{\"gannet_cookies\":1,\"cookies\":[\n{}]}}", entry.replace("\"v\"", "\"\\u0000\"")), 2),
    ] {
        let mut jar = jar(&[("https://a.test.com/", "kept=1")]);
        let error = jar.read(text.as_bytes(), now()).unwrap_err();
        assert_eq!(error.line, line, "{text:?}: {error}");
        assert!(error.problem.contains(';') || error.problem.contains("no file"), "a remedy: {error}");
        assert_eq!(jar.len(), 1, "{text:?}");
    }
    let error = Jar::new().read(b"a\nb\xff", now()).unwrap_err();
    assert_eq!(error.line, 2);
}

#[test]
fn the_end_of_a_session_takes_what_has_no_end_of_its_own() {
    let mut jar = full();
    assert_eq!(jar.end_session(), 7);
    let mut left: Vec<_> = jar.iter().map(Cookie::name).collect();
    left.sort_unstable();
    assert_eq!((left, jar.len()), (vec!["__Secure-s", "ü"], 2));
}

#[test]
fn a_domain_that_is_an_address_without_its_last_dots_is_read_as_that_address() {
    for domain in ["27.0.%2E", "27.0..", "27.0\u{3002}%2e"] {
        let jar = read(&format!("{domain}\tTRUE\t/\tFALSE\t0\tE\tkv\n")).unwrap();
        let cookies: Vec<_> = jar.iter().map(|cookie| (cookie.domain(), cookie.host_only())).collect();
        assert_eq!(cookies, [("27.0.0.0", true)], "{domain}");
        assert_eq!(all(&read(&jar.write(Format::Json)).unwrap()), all(&jar));
    }
}

proptest! {
    #[test]
    fn whatever_is_stored_survives_being_written(
        lines in proptest::collection::vec("[ -~]{0,6}=[ -~\u{e4}]{0,10}(; ?(Secure|HttpOnly|Path=/[a-z]{0,3}|Domain=test\\.com|Max-Age=9)){0,3}", 0..10),
    ) {
        let mut jar = Jar::new();
        for (number, line) in lines.iter().enumerate() {
            let from = url(["https://a.test.com/", "http://127.0.0.1/", "http://localhost/x/"][number % 3]);
            let _ = jar.store(&from, line.as_bytes(), now());
        }
        for format in [Format::Json, Format::Netscape] {
            prop_assert_eq!(all(&read(&jar.write(format)).unwrap()), all(&jar));
        }
    }
}
