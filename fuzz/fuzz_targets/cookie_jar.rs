//! Any Set-Cookie lines from hosts of several sites, over http and https, into one jar. What is kept is sent where a
//! second, plainer idea of the rules says that it may go, and nowhere else, before and after a way through a file.

#![no_main]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gannet_core::cookie::{Cookie, Format, Jar, MAX_HEADER, MAX_PER_SITE, MAX_SENT};
use libfuzzer_sys::fuzz_target;
use url::Url;

const URLS: [&str; 12] = [
    "https://a.test.com/",
    "http://a.test.com/x/y",
    "https://test.com/x",
    "http://b.a.test.com/x/",
    "https://evil-test.com/",
    "http://com/",
    "https://me.github.io/x",
    "https://github.io/",
    "http://127.0.0.1/x",
    "http://[::1]/",
    "http://localhost/x/y/z",
    "https://a.test.com./x",
];

fuzz_target!(|data: &[u8]| {
    let urls = URLS.map(|url| Url::parse(url).expect("these are URLs"));
    let now = UNIX_EPOCH + Duration::from_secs(20_000 * 86_400);
    let mut jar = Jar::new();
    // Lines end in 0xff here, so that every other byte can stand in them; the first of each says who sets it.
    for line in data.split(|&byte| byte == 0xff) {
        let [from, line @ ..] = line else { continue };
        let before = jar.len();
        let taken = jar.store(&urls[usize::from(*from) % URLS.len()], line, now).is_ok();
        assert!(taken || jar.len() == before);
        assert!(jar.len() == jar.iter().count() && jar.len() <= MAX_PER_SITE * URLS.len());
    }
    let sent = all_sent(&mut jar, &urls, now);
    for format in [Format::Json, Format::Netscape] {
        let has_tab = |cookie: &Cookie| [cookie.name(), cookie.value(), cookie.path()].iter().any(|part| part.contains('\t'));
        if format == Format::Netscape && jar.iter().any(has_tab) {
            continue;
        }
        let mut back = Jar::new();
        assert_eq!(back.read(jar.write(format).as_bytes(), now), Ok(jar.len()));
        assert_eq!(all_sent(&mut back, &urls, now), sent);
    }
});

/// The Cookie field of each URL, checked.
fn all_sent(jar: &mut Jar, urls: &[Url], now: SystemTime) -> Vec<Option<String>> {
    urls.iter().map(|url| check(jar, url, now)).collect()
}

fn check(jar: &mut Jar, url: &Url, now: SystemTime) -> Option<String> {
    let header = jar.header_for(url, now);
    let mut fits: Vec<String> = jar.iter().filter(|cookie| may_go(cookie, url)).map(pair).collect();
    let total: usize = fits.iter().map(|pair| pair.len() + 2).sum();
    let Some(text) = &header else {
        assert!(fits.is_empty(), "{url} gets nothing of {fits:?}");
        return None;
    };
    assert!(text.len() <= MAX_HEADER && text.bytes().all(|byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f)));
    let mut pairs: Vec<String> = text.split("; ").map(str::to_owned).collect();
    assert!(pairs.len() <= MAX_SENT);
    if total <= MAX_HEADER && fits.len() <= MAX_SENT {
        fits.sort();
        pairs.sort();
        assert_eq!(pairs, fits, "{url}");
    }
    header
}

fn may_go(cookie: &Cookie, url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    let at_home = host == cookie.domain();
    let below = !cookie.host_only() && host.ends_with(&format!(".{}", cookie.domain()));
    let path = cookie.path().trim_end_matches('/');
    let rest = url.path().strip_prefix(path);
    let in_path = if cookie.path().ends_with('/') {
        url.path().starts_with(cookie.path())
    } else {
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    (at_home || below) && in_path && (!cookie.secure() || url.scheme() == "https")
}

fn pair(cookie: &Cookie) -> String {
    match cookie.name() {
        "" => cookie.value().to_owned(),
        name => format!("{name}={}", cookie.value()),
    }
}
