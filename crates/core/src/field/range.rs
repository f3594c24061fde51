//! Content-Range (RFC 9110 §14.4): which part of a whole a 206 carries, or how long the whole is.

/// What a Content-Range field in bytes says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// First and last byte of the part, both included; `None` with a 416.
    pub part: Option<(u64, u64)>,
    /// How long the whole is, where the server knows.
    pub total: Option<u64>,
}

impl ContentRange {
    /// Reads the field's value; `None` for other units, and for what contradicts itself.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?.trim();
        let (unit, rest) = text.split_once([' ', '\t'])?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (part, total) = rest.trim_start().split_once('/')?;
        let total = if total == "*" { None } else { Some(number(total)?) };
        if part == "*" {
            return total.map(|total| ContentRange { part: None, total: Some(total) });
        }
        let (first, last) = part.split_once('-')?;
        let (first, last) = (number(first)?, number(last)?);
        let is_sound = first <= last && last < u64::MAX && total.is_none_or(|total| last < total);
        is_sound.then_some(ContentRange { part: Some((first, last)), total })
    }
}

fn number(text: &str) -> Option<u64> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_lengths_are_read_and_contradictions_are_not() {
        for (value, wanted) in [
            ("bytes 0-9/100", Some((Some((0, 9)), Some(100)))),
            ("Bytes 5-5/6", Some((Some((5, 5)), Some(6)))),
            ("bytes 10-19/*", Some((Some((10, 19)), None))),
            ("bytes */42", Some((None, Some(42)))),
            ("bytes */*", None),
            ("bytes 9-0/100", None),
            ("bytes 0-100/100", None),
            ("bytes +1-2/3", None),
            ("bytes 0-18446744073709551615/*", None),
            ("bytes 0-9", None),
            ("items 0-9/100", None),
            ("0-9/100", None),
            ("", None),
        ] {
            let read = ContentRange::parse(value.as_bytes()).map(|range| (range.part, range.total));
            assert_eq!(read, wanted, "{value}");
        }
    }
}
