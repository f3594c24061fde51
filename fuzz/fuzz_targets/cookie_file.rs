//! Any bytes as a file of cookies: read whole or refused by line, never half; what was read can be a cookie, ends within
//! 400 days, and is the same after it was written in either format, but for what cookies.txt has no room for.

#![no_main]

use std::time::{Duration, UNIX_EPOCH};

use gannet_core::cookie::{Cookie, Format, Jar};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let now = UNIX_EPOCH + Duration::from_secs(20_000 * 86_400);
    let mut jar = Jar::new();
    let lines = data.split(|&byte| byte == b'\n').count();
    match jar.read(data, now) {
        Err(error) => {
            assert!(jar.is_empty() && (1..=lines).contains(&error.line), "{error}");
            return;
        }
        // Two in one place are one.
        Ok(count) => assert!(jar.len() <= count),
    }
    for cookie in jar.iter() {
        for part in [cookie.name(), cookie.value(), cookie.path()] {
            assert!(part.bytes().all(|byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f && byte != b';')));
        }
        assert!(!cookie.name().contains('=') && cookie.path().starts_with('/'));
        assert!(!cookie.domain().is_empty() && !cookie.domain().starts_with('.') && !cookie.domain().ends_with('.'));
        let name = cookie.name().to_ascii_lowercase();
        let is_home = cookie.secure() && cookie.host_only() && cookie.path() == "/";
        assert!(!name.starts_with("__host-") || is_home, "{cookie:?}");
        assert!(!name.starts_with("__secure-") || cookie.secure(), "{cookie:?}");
        assert!(cookie.host_only() || !matches!(cookie.domain(), "com" | "co.uk" | "github.io" | "localhost"));
        assert!(!cookie.name().is_empty() || !(cookie.value().is_empty() || cookie.value().contains('=')));
        let latest = now + Duration::from_secs(400 * 86_400);
        assert!(cookie.expires().is_none_or(|end| end > now && end <= latest));
    }
    let text = jar.write(Format::Json);
    let mut back = Jar::new();
    assert_eq!(back.read(text.as_bytes(), now), Ok(jar.len()));
    assert_eq!(back.write(Format::Json), text);
    let mut other = Jar::new();
    let has_room =
        |cookie: &&Cookie| [cookie.name(), cookie.value(), cookie.path()].iter().all(|part| !part.contains('\t'));
    let mut expected: Vec<String> = jar.iter().filter(has_room).map(shown).collect();
    assert_eq!(other.read(jar.write(Format::Netscape).as_bytes(), now), Ok(expected.len()));
    let mut read: Vec<String> = other.iter().map(shown).collect();
    expected.sort();
    read.sort();
    assert_eq!(read, expected);
});

/// All that cookies.txt can hold of a cookie.
fn shown(cookie: &Cookie) -> String {
    let text = (cookie.name(), cookie.value(), cookie.domain(), cookie.path(), cookie.expires());
    format!("{text:?} {} {} {}", cookie.host_only(), cookie.secure(), cookie.http_only())
}
