//! Any Set-Cookie lines from hosts of several sites, over http and https, into one jar. What is taken is what that host
//! may set; it is sent where a second, plainer idea of the rules says that it may go, and nowhere else, until it ends,
//! before and after a way through a file.

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

/// Names below which everyone may have a host: a cookie for all of them is nobody's to set.
const SHARED: [&str; 3] = ["com", "github.io", "localhost"];

const DAY: Duration = Duration::from_secs(86_400);

fuzz_target!(|data: &[u8]| {
    let urls = URLS.map(|url| Url::parse(url).expect("these are URLs"));
    let now = UNIX_EPOCH + 20_000 * DAY;
    let mut jar = Jar::new();
    // Lines end in 0xff here, so that every other byte can stand in them; the first of each says who sets it.
    for line in data.split(|&byte| byte == 0xff) {
        let [from, line @ ..] = line else { continue };
        let url = &urls[usize::from(*from) % URLS.len()];
        let (before, kept) = (jar.len(), secure_ones(&jar));
        let taken = jar.store(url, line, now).is_ok();
        assert!(taken || jar.len() == before);
        assert!(jar.len() == jar.iter().count() && jar.len() <= MAX_PER_SITE * URLS.len());
        let is_full = jar.len() >= MAX_PER_SITE;
        assert!(is_full || url.scheme() == "https" || secure_ones(&jar) == kept, "http changes nothing that is Secure");
        let mut alone = Jar::new();
        assert!(alone.store(url, line, now).is_ok() || !taken, "an empty jar refuses no more than another");
        for cookie in alone.iter() {
            check_right_to_set(cookie, url, now);
        }
    }
    let sent = all_sent(&mut jar, &urls, now);
    for format in [Format::Json, Format::Netscape] {
        let has_tab =
            |cookie: &Cookie| [cookie.name(), cookie.value(), cookie.path()].iter().any(|part| part.contains('\t'));
        if format == Format::Netscape && jar.iter().any(has_tab) {
            continue;
        }
        let mut back = Jar::new();
        assert_eq!(back.read(jar.write(format).as_bytes(), now), Ok(jar.len()));
        assert_eq!(all_sent(&mut back, &urls, now), sent);
    }
    all_sent(&mut jar, &urls, now + 30 * DAY);
    all_sent(&mut jar, &urls, now + 401 * DAY);
    assert!(jar.iter().all(|cookie| cookie.expires().is_none()), "nothing outlives 400 days");
});

fn secure_ones(jar: &Jar) -> Vec<String> {
    let mut all: Vec<String> =
        jar.iter().filter(|cookie| cookie.secure()).map(|c| format!("{c:?} {}", pair(c))).collect();
    all.sort();
    all
}

/// Whether the host of this URL may set this cookie, by RFC 6265bis read anew.
fn check_right_to_set(cookie: &Cookie, url: &Url, now: SystemTime) {
    let host = host_of(url);
    let is_address = host.starts_with('[') || host == "127.0.0.1";
    let above = host.ends_with(&format!(".{}", cookie.domain())) && !is_address && !SHARED.contains(&cookie.domain());
    assert!(cookie.domain() == host || (above && !cookie.host_only()), "{cookie:?} from {url}");
    assert!(cookie.host_only() || !is_address && !SHARED.contains(&cookie.domain()), "{cookie:?} from {url}");
    assert!(!cookie.secure() || url.scheme() == "https", "{cookie:?} from {url}");
    let name = cookie.name().to_ascii_lowercase();
    assert!(!name.starts_with("__secure-") || cookie.secure(), "{cookie:?}");
    let is_home = cookie.secure() && cookie.host_only() && cookie.path() == "/";
    assert!(!name.starts_with("__host-") || is_home, "{cookie:?}");
    assert!(cookie.path().starts_with('/') && !name.contains('=') && pair(cookie).len() <= 4097);
    assert!(cookie.expires().is_none_or(|end| end > now && end <= now + 400 * DAY), "{cookie:?}");
}

/// The Cookie field of each URL, checked.
fn all_sent(jar: &mut Jar, urls: &[Url], now: SystemTime) -> Vec<Option<String>> {
    urls.iter().map(|url| check(jar, url, now)).collect()
}

fn check(jar: &mut Jar, url: &Url, now: SystemTime) -> Option<String> {
    let lives = |cookie: &&Cookie| cookie.expires().is_none_or(|end| end > now);
    let mut fits: Vec<String> = jar.iter().filter(lives).filter(|cookie| may_go(cookie, url)).map(pair).collect();
    let header = jar.header_for(url, now);
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
    let host = host_of(url);
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

fn host_of(url: &Url) -> &str {
    url.host_str().unwrap_or_default().trim_end_matches('.')
}

fn pair(cookie: &Cookie) -> String {
    match cookie.name() {
        "" => cookie.value().to_owned(),
        name => format!("{name}={}", cookie.value()),
    }
}
