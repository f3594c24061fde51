//! Any bytes as Retry-After: what is read can be added to any clock, digits are seconds, and a date is the time until
//! then; so is a date made of the first four bytes.

#![no_main]

use std::time::{Duration, Instant, SystemTime};

use gannet_core::retry::parse_retry_after;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [seconds @ .., _] = data else { return };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(data[data.len() - 1]) << 26);
    check_date(seconds, now);
    let Some(wait) = parse_retry_after(seconds, now) else { return };
    assert!(wait <= Duration::from_secs(u64::from(u32::MAX)));
    assert!(now.checked_add(wait).is_some() && Instant::now().checked_add(wait).is_some());
    let digits = seconds.trim_ascii();
    if digits.iter().all(u8::is_ascii_digit) {
        let number: u128 = std::str::from_utf8(digits).unwrap_or_default().parse().unwrap_or(u128::MAX);
        assert_eq!(u128::from(wait.as_secs()), number.min(u128::from(u32::MAX)));
    } else {
        let text = std::str::from_utf8(digits).expect("what is read is text");
        let until = httpdate::parse_http_date(text).expect("no number, so a date");
        assert_eq!(wait, until.duration_since(now).unwrap_or_default().min(Duration::from_secs(u64::from(u32::MAX))));
    }
});

fn check_date(data: &[u8], now: SystemTime) {
    let Some(first) = data.first_chunk() else { return };
    let date = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(u32::from_be_bytes(*first)));
    let text = format!("\t{} ", httpdate::fmt_http_date(date));
    let wait = date.duration_since(now).unwrap_or_default();
    assert_eq!(parse_retry_after(text.as_bytes(), now), Some(wait), "{text}");
}
