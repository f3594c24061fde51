//! Any fields as `name=value`, 0xff between them, in which a server declares its limits: what is read can be added to any
//! clock, none of the items alone is stricter, their order does not matter, and what a cache says is not heard.

#![no_main]

use std::time::Duration;

use gannet_core::Headers;
use gannet_core::limit::{DeclaredLimit, declared_limit, parse_rate_limit};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut headers = Headers::new();
    for line in data.split(|&byte| byte == 0xff) {
        let at = line.iter().position(|&byte| byte == b'=').unwrap_or(line.len());
        let Ok(name) = std::str::from_utf8(&line[..at]) else { continue };
        let value = line.get(at + 1..).unwrap_or_default();
        // A bare value is the list itself.
        let _ = headers.append(if at == 0 { "RateLimit" } else { name }, value);
        check_list(value);
    }
    let found = declared_limit(&headers, false);
    let legacy = declared_limit(&headers, true);
    assert!(found.is_none() || found == legacy, "the older fields give way");
    assert!(legacy.is_none() || !headers.contains("Age"));
    legacy.iter().for_each(check_bounds);
    let lists: Option<Vec<DeclaredLimit>> = headers.get_all("RateLimit").map(parse_rate_limit).collect();
    if let Some(lists) = lists.filter(|lists| !lists.is_empty() && !headers.contains("Age")) {
        let found = found.expect("each of them declares a limit");
        assert!(lists.contains(&found) && lists.iter().all(|one| !is_stricter(one, &found)));
    }
});

fn check_list(value: &[u8]) {
    let Some(limit) = parse_rate_limit(value) else { return };
    check_bounds(&limit);
    let items = items(value);
    let each: Vec<DeclaredLimit> = items.iter().filter_map(|item| parse_rate_limit(item)).collect();
    assert!(each.contains(&limit) && each.iter().all(|one| !is_stricter(one, &limit)), "{limit:?} of {each:?}");
    let backwards: Vec<&[u8]> = items.iter().rev().copied().collect();
    assert_eq!(parse_rate_limit(&backwards.join(&b", "[..])), Some(limit));
}

fn check_bounds(limit: &DeclaredLimit) {
    assert!(limit.reset > Duration::ZERO && limit.reset <= Duration::from_secs(u64::from(u32::MAX)));
}

/// Whether it lets fewer requests through in the same time.
fn is_stricter(one: &DeclaredLimit, other: &DeclaredLimit) -> bool {
    let (own, others) = (one.reset.as_nanos(), other.reset.as_nanos());
    u128::from(one.remaining) * others < u128::from(other.remaining) * own
}

/// The list's items: parted by commas, but within quotes.
fn items(value: &[u8]) -> Vec<&[u8]> {
    let (mut in_quotes, mut is_escaped) = (false, false);
    let ends = |byte: &u8| {
        let is_end = *byte == b',' && !in_quotes;
        in_quotes ^= *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    };
    value.split(ends).map(<[u8]>::trim_ascii).collect()
}
