//! Reading Retry-After (RFC 9110 §10.2.3): seconds, or a date.

use std::time::{Duration, SystemTime};

/// How long a response asks to be left alone. A date in the past is zero, what is neither seconds nor a date is
/// `None`, and 136 years is as long as it gets, so that the result can be added to any clock.
pub fn parse_retry_after(value: &[u8], now: SystemTime) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Only too many digits can fail here.
        return Some(Duration::from_secs(text.parse().unwrap_or(LONGEST.as_secs())).min(LONGEST));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default().min(LONGEST))
}

const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT
    const NOW: u64 = 784_111_777;

    fn parse(value: &str) -> Option<Duration> {
        parse_retry_after(value.as_bytes(), SystemTime::UNIX_EPOCH + Duration::from_secs(NOW))
    }

    #[test]
    fn seconds_and_dates_in_all_three_forms_are_read() {
        for (value, seconds) in [
            ("0", 0),
            ("120", 120),
            (" 5\t", 5),
            ("007", 7),
            ("Sun, 06 Nov 1994 08:50:37 GMT", 60),
            ("Sunday, 06-Nov-94 08:50:37 GMT", 60),
            ("Sun Nov  6 08:50:37 1994", 60),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
            ("Sun, 06 Nov 1994 08:00:00 GMT", 0),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ] {
            assert_eq!(parse(value), Some(Duration::from_secs(seconds)), "{value}");
        }
    }

    #[test]
    fn huge_values_saturate() {
        for value in
            ["4294967296", "18446744073709551616", "99999999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"]
        {
            assert_eq!(parse(value), Some(LONGEST), "{value}");
        }
    }

    #[test]
    fn garbage_is_ignored() {
        for value in ["", " ", "-1", "+5", "1.5", "5s", "soon", "1e3", "0x10", "5, 6", "Sun, 06 Nov", "５"] {
            assert_eq!(parse(value), None, "{value}");
        }
        assert_eq!(parse_retry_after(b"\xff5", SystemTime::UNIX_EPOCH), None);
    }
}
