//! Reading one Set-Cookie line, to the letter of RFC 6265bis §5.6: which pair, which attributes, which date.
//! Parsers for servers are too strict here (dates) and too lax elsewhere (an empty Max-Age), so this one is
//! written from the RFC's algorithm. It judges the line alone; the jar judges it against the URL.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Refused, SameSite};

/// The longest name and value together, in bytes (RFC 6265bis §5.6, step 5).
const MAX_PAIR: usize = 4096;
/// A longer attribute value is ignored, in bytes (RFC 6265bis §5.6, step 6 of the attributes).
const MAX_ATTRIBUTE: usize = 1024;
/// No cookie is kept for longer than 400 days (RFC 6265bis §5.5).
pub(super) const LONGEST: Duration = Duration::from_secs(400 * 24 * 3600);

/// One Set-Cookie line. Of an attribute that stands twice, the last counts.
#[derive(Default)]
pub(super) struct Parsed<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a str,
    /// Without its leading dot; empty is the same as absent.
    pub(super) domain: &'a str,
    pub(super) path: Option<&'a str>,
    pub(super) secure: bool,
    pub(super) http_only: bool,
    pub(super) same_site: Option<SameSite>,
    max_age: Option<i64>,
    expires: Option<i64>,
}

/// How long a cookie lives.
pub(super) enum Lifetime {
    Session,
    Until(SystemTime),
    Past,
}

impl Parsed<'_> {
    /// Max-Age wins over Expires; both are cut to 400 days; an end at or before `now` is past.
    pub(super) fn lifetime(&self, now: SystemTime) -> Lifetime {
        let end = match (self.max_age, self.expires) {
            (Some(seconds), _) => {
                let seconds = u64::try_from(seconds).unwrap_or(0);
                now.checked_add(Duration::from_secs(seconds).min(LONGEST))
            }
            (None, Some(at)) => {
                let at = UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(at).unwrap_or(0)));
                at.map(|at| now.checked_add(LONGEST).map_or(at, |latest| at.min(latest)))
            }
            (None, None) => return Lifetime::Session,
        };
        match end {
            Some(end) if end > now => Lifetime::Until(end),
            _ => Lifetime::Past,
        }
    }
}

/// Reads one Set-Cookie value.
pub(super) fn parse(line: &[u8]) -> Result<Parsed<'_>, Refused> {
    if line.iter().any(|&b| is_control(b)) {
        return Err(Refused::ControlCharacter);
    }
    let line = std::str::from_utf8(line).map_err(|_| Refused::NotText)?;
    let mut parts = line.split(';');
    let pair = parts.next().unwrap_or_default();
    let (name, value) = pair.split_once('=').unwrap_or(("", pair));
    let mut parsed = Parsed { name: trim(name), value: trim(value), ..Parsed::default() };
    check_pair(parsed.name, parsed.value)?;
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let value = trim(value);
        if value.len() <= MAX_ATTRIBUTE {
            parsed.attribute(trim(key), value)?;
        }
    }
    Ok(parsed)
}

/// What a name and a value must be, whoever sets them.
pub(super) fn check_pair(name: &str, value: &str) -> Result<(), Refused> {
    if name.is_empty() && value.is_empty() {
        return Err(Refused::Empty);
    }
    // A nameless cookie is sent as its bare value, which would then read as another cookie's name and value.
    if name.is_empty() && value.contains('=') {
        return Err(Refused::Syntax);
    }
    if name.len() + value.len() > MAX_PAIR {
        return Err(Refused::TooLong);
    }
    Ok(())
}

/// Everything below a space but the tab, and DEL.
pub(super) fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

impl<'a> Parsed<'a> {
    fn attribute(&mut self, key: &str, value: &'a str) -> Result<(), Refused> {
        let is = |name: &str| key.eq_ignore_ascii_case(name);
        if is("expires") {
            self.expires = parse_date(value).or(self.expires);
        } else if is("max-age") {
            self.max_age = parse_max_age(value).or(self.max_age);
        } else if is("domain") {
            // The RFC wants the A-label here; another spelling of a name could slip past a comparison.
            if !value.is_ascii() {
                return Err(Refused::Domain);
            }
            self.domain = value.strip_prefix('.').unwrap_or(value);
        } else if is("path") {
            self.path = Some(value).filter(|path| path.starts_with('/'));
        } else if is("secure") {
            self.secure = true;
        } else if is("httponly") {
            self.http_only = true;
        } else if is("samesite") {
            self.same_site = SameSite::read(value);
        }
        Ok(())
    }
}

/// Seconds, negative for "at once"; digits beyond any number saturate.
fn parse_max_age(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds = digits.parse().unwrap_or(i64::MAX);
    Some(if digits.len() == text.len() { seconds } else { -seconds })
}

/// A cookie date as seconds since 1970 (RFC 6265bis §5.1.1): any order, any weekday, any zone taken as UTC.
fn parse_date(text: &str) -> Option<i64> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    let tokens = text.as_bytes().split(|&b| is_delimiter(b)).filter(|token| !token.is_empty());
    for token in tokens {
        if let (None, Some(found)) = (time, clock(token)) {
            time = Some(found);
        } else if let (None, Some(found)) = (day, number(token, 1, 2)) {
            day = Some(found);
        } else if let (None, Some(found)) = (month, month_of(token)) {
            month = Some(found);
        } else if let (None, Some(found)) = (year, number(token, 2, 4)) {
            year = Some(found);
        }
    }
    let year = match year? {
        short @ 70..=99 => short + 1900,
        short @ 0..=69 => short + 2000,
        full => full,
    };
    let ((hour, minute, second), day, month) = (time?, day?, month?);
    let sound = year >= 1601 && (1..=days_in(year, month)).contains(&day) && hour < 24 && minute < 60 && second < 60;
    sound.then(|| days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, 0x09 | 0x20..=0x2f | 0x3b..=0x40 | 0x5b..=0x60 | 0x7b..=0x7e)
}

fn clock(token: &[u8]) -> Option<(i64, i64, i64)> {
    let mut fields = token.splitn(3, |&b| b == b':');
    let (hour, minute) = (fields.next()?, fields.next()?);
    let exact = |field: &[u8]| number(field, 1, 2).filter(|_| field.iter().all(u8::is_ascii_digit));
    Some((exact(hour)?, exact(minute)?, number(fields.next()?, 1, 2)?))
}

/// The number a token begins with, when it has between `least` and `most` digits.
fn number(token: &[u8], least: usize, most: usize) -> Option<i64> {
    let digits = token.iter().take_while(|b| b.is_ascii_digit()).count();
    let value = || token[..digits].iter().fold(0, |sum, b| sum * 10 + i64::from(b - b'0'));
    (least..=most).contains(&digits).then(value)
}

fn month_of(token: &[u8]) -> Option<i64> {
    const NAMES: [&[u8]; 12] =
        [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    let start = token.get(..3)?;
    NAMES.iter().position(|name| name.eq_ignore_ascii_case(start)).map(|at| at as i64 + 1)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the proleptic Gregorian calendar, with years that begin in March so that leap days come last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

pub(super) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_every_kind_read_as_the_same_second() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "6 nov 1994 8:49:37",
            "1994 06 November 08:49:37 +0200",
            "08:49:37abc 06 Nov 94",
        ] {
            assert_eq!(parse_date(text), Some(784_111_777), "{text}");
        }
        assert_eq!(parse_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(parse_date("Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000));
        assert_eq!(parse_date("01 Jan 69 00:00:00"), Some(3_124_224_000));
    }

    #[test]
    fn dates_that_cannot_be_are_ignored() {
        for text in [
            "",
            "tomorrow",
            "06 Nov 1994",
            "Nov 1994 08:49:37",
            "06 Nov 08:49:37",
            "31 Feb 2024 00:00:00",
            "29 Feb 2023 00:00:00",
            "00 Jan 2024 00:00:00",
            "06 Nov 1600 08:49:37",
            "06 Nov 1994 24:00:00",
            "06 Nov 1994 08:60:00",
            "06 Nov 1994 08:49:60",
            "06 Nov 1994 08:49",
        ] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }

    #[test]
    fn max_age_takes_digits_and_a_minus_only() {
        for (text, expected) in [
            ("0", Some(0)),
            ("10", Some(10)),
            ("-1", Some(-1)),
            ("99999999999999999999999", Some(i64::MAX)),
            ("-99999999999999999999999", Some(-i64::MAX)),
            ("", None),
            ("-", None),
            ("+5", None),
            ("5s", None),
            ("1.5", None),
        ] {
            assert_eq!(parse_max_age(text), expected, "{text}");
        }
    }
}
