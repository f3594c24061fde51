//! Any bytes as Retry-After: what is read can be added to any clock, and digits are seconds.

#![no_main]

use std::time::{Duration, Instant, SystemTime};

use gannet_core::retry::parse_retry_after;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [seconds @ .., _] = data else { return };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(data[data.len() - 1]) << 26);
    let Some(wait) = parse_retry_after(seconds, now) else { return };
    assert!(wait <= Duration::from_secs(u64::from(u32::MAX)));
    assert!(now.checked_add(wait).is_some() && Instant::now().checked_add(wait).is_some());
    let digits = seconds.trim_ascii();
    if digits.iter().all(u8::is_ascii_digit) {
        let number: u128 = std::str::from_utf8(digits).unwrap_or_default().parse().unwrap_or(u128::MAX);
        assert_eq!(u128::from(wait.as_secs()), number.min(u128::from(u32::MAX)));
    }
});
