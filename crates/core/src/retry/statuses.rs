//! A set of response statuses, written `429,5xx` or `408,520-524`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Statuses from 100 to 599. Its text form is a list of statuses, classes and ranges: `408,429,5xx,520-524`;
/// the empty text is the empty set. The default is the statuses that tell of a passing trouble:
/// 408, 429, 500, 502, 503, 504.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StatusSet([u64; 8]);

impl StatusSet {
    /// The set without a status.
    pub const EMPTY: StatusSet = StatusSet([0; 8]);

    /// Whether the status is one of them.
    pub fn contains(&self, status: u16) -> bool {
        (FIRST..=LAST).contains(&status) && {
            let at = usize::from(status - FIRST);
            self.0[at / 64] >> (at % 64) & 1 == 1
        }
    }

    /// Adds a status; whether it could be: one outside 100 to 599 is left out.
    pub fn insert(&mut self, status: u16) -> bool {
        let inside = (FIRST..=LAST).contains(&status);
        if inside {
            let at = usize::from(status - FIRST);
            self.0[at / 64] |= 1 << (at % 64);
        }
        inside
    }

    /// The statuses, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (FIRST..=LAST).filter(|status| self.contains(*status))
    }
}

impl Default for StatusSet {
    fn default() -> Self {
        let mut set = StatusSet::EMPTY;
        for status in [408, 429, 500, 502, 503, 504] {
            set.insert(status);
        }
        set
    }
}

impl FromStr for StatusSet {
    type Err = StatusSetError;

    fn from_str(text: &str) -> Result<Self, StatusSetError> {
        let mut set = StatusSet::EMPTY;
        if text.trim().is_empty() {
            return Ok(set);
        }
        for item in text.split(',').map(str::trim) {
            let (first, last) = range(item).ok_or_else(|| StatusSetError(item.to_owned()))?;
            for status in first..=last {
                set.insert(status);
            }
        }
        Ok(set)
    }
}

/// The first and last status an item names.
fn range(item: &str) -> Option<(u16, u16)> {
    if let [class @ b'1'..=b'5', b'x' | b'X', b'x' | b'X'] = item.as_bytes() {
        let first = u16::from(class - b'0') * 100;
        return Some((first, first + 99));
    }
    let (first, last) = item.split_once('-').unwrap_or((item, item));
    let (first, last) = (status(first)?, status(last)?);
    (first <= last).then_some((first, last))
}

fn status(text: &str) -> Option<u16> {
    let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|status| digits && (FIRST..=LAST).contains(status))
}

impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for class in 1..=5u16 {
            let inside = |status: &u16| self.contains(*status);
            let all = class * 100..class * 100 + 100;
            if all.clone().all(|status| inside(&status)) {
                write!(f, "{comma}{class}xx")?;
                comma = ",";
                continue;
            }
            for status in all.filter(inside) {
                write!(f, "{comma}{status}")?;
                comma = ",";
            }
        }
        Ok(())
    }
}

impl fmt::Debug for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatusSet({self})")
    }
}

impl Serialize for StatusSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StatusSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An item of a list that names no status; holds the item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusSetError(String);

impl fmt::Display for StatusSetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no status: write 429, 5xx or 520-524, from 100 to 599, with commas between", self.0)
    }
}

impl std::error::Error for StatusSetError {}

const FIRST: u16 = 100;
const LAST: u16 = 599;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_and_print_in_order() {
        for (text, printed) in [
            ("429,5xx", "429,5xx"),
            ("5XX, 429 ,408,429", "408,429,5xx"),
            ("520-522", "520,521,522"),
            ("500-599", "5xx"),
            ("100,599", "100,599"),
            ("", ""),
        ] {
            let set: StatusSet = text.parse().unwrap();
            assert_eq!(set.to_string(), printed);
            assert_eq!(printed.parse::<StatusSet>().unwrap(), set);
        }
        assert_eq!(StatusSet::default().iter().collect::<Vec<_>>(), [408, 429, 500, 502, 503, 504]);
    }

    #[test]
    fn a_bad_item_is_named() {
        for (text, bad) in [
            ("429,6xx", "6xx"),
            ("429,,503", ""),
            ("abc", "abc"),
            ("99", "99"),
            ("600", "600"),
            ("+29", "+29"),
            ("0429", "0429"),
            ("504-502", "504-502"),
            ("5xxx,429", "5xxx"),
        ] {
            let error = text.parse::<StatusSet>().unwrap_err();
            assert_eq!(error, StatusSetError(bad.to_owned()), "{text}");
            assert!(error.to_string().starts_with(&format!("{bad:?}")));
        }
    }

    #[test]
    fn statuses_outside_are_never_inside() {
        let mut all: StatusSet = "1xx,2xx,3xx,4xx,5xx".parse().unwrap();
        assert!(!all.insert(600) && !all.insert(0));
        assert!(!all.contains(0) && !all.contains(99) && !all.contains(600) && !all.contains(u16::MAX));
        assert_eq!(all.iter().count(), 500);
    }
}
