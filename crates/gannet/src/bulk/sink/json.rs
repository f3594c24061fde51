//! JSON text written by hand into a buffer: strings, integers, milliseconds. Rows are written by the hundred
//! thousand a second, so nothing is allocated and nothing passes through a value. And the check whether a body is JSON.

use std::fmt;
use std::time::Duration;

use gannet_core::decimal::write_decimal;
use serde::de::IgnoredAny;

/// Writes a string with its quotes (RFC 8259 §7): only what must be escaped is.
pub(super) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    write_escaped(text, out);
    out.push(b'"');
}

/// Writes the inside of a string.
pub(super) fn write_escaped(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some(at) = next_to_escape(rest) {
        out.extend_from_slice(&rest[..at]);
        write_escape(rest[at], out);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Writes a duration in milliseconds with one decimal.
pub(super) fn write_millis(elapsed: Duration, out: &mut Vec<u8>) {
    let tenths = (elapsed.as_nanos() + 50_000) / 100_000;
    let tenths = u64::try_from(tenths).unwrap_or(u64::MAX);
    write_decimal(out, tenths / 10);
    out.extend_from_slice(&[b'.', b'0' + (tenths % 10) as u8]);
}

/// Writes JSON text as it came, on one line: a raw CR or LF can only stand between its tokens, and a blank is as good.
pub(super) fn write_on_one_line(text: &str, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(text.as_bytes());
    if text.as_bytes().contains(&b'\n') || text.as_bytes().contains(&b'\r') {
        for byte in &mut out[start..] {
            if matches!(*byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }
}

/// Why a body is not JSON.
#[derive(Debug)]
pub(super) enum NotJson {
    Syntax(serde_json::Error),
    Utf8(usize),
}

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotJson::Syntax(error) => error.fmt(f),
            NotJson::Utf8(at) => write!(f, "no UTF-8 at byte {at}"),
        }
    }
}

/// The body, if the whole of it is one JSON text in UTF-8 (RFC 8259 §8.1), without its byte order mark.
pub(super) fn as_json(body: &[u8]) -> Result<&str, NotJson> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    // Syntax first: what is not JSON mostly ends at its first byte. Inside strings it lets any byte above 0x7f pass.
    serde_json::from_slice::<IgnoredAny>(body).map_err(NotJson::Syntax)?;
    let body = body.trim_ascii();
    std::str::from_utf8(body).map_err(|error| NotJson::Utf8(error.valid_up_to()))
}

const ONES: u64 = u64::MAX / 255;

/// The place of the first byte that cannot stand in a string as it is; eight bytes at a time.
fn next_to_escape(bytes: &[u8]) -> Option<usize> {
    let (words, tail) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let (quote, backslash) = (word ^ (ONES * 0x22), word ^ (ONES * 0x5c));
        // The high bit of each byte that is below 0x20 or zero; a borrow can set wrong bits only above a right one.
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let found = control | (quote.wrapping_sub(ONES) & !quote) | (backslash.wrapping_sub(ONES) & !backslash);
        let found = found & (ONES * 0x80);
        if found != 0 {
            return Some(number * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let at = tail.iter().position(|&byte| byte < 0x20 || matches!(byte, b'"' | b'\\'))?;
    Some(words.len() * 8 + at)
}

fn write_escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn string(text: &str) -> String {
        let mut out = Vec::new();
        write_string(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_character_that_must_be_is_escaped() {
        for byte in 0..=0x7fu8 {
            // At every place of a word, and behind one.
            for before in 0..9 {
                let text = format!("{}{}ä", "x".repeat(before), char::from(byte));
                assert_eq!(string(&text), serde_json::to_string(&text).unwrap());
            }
        }
    }

    #[test]
    fn integers_and_milliseconds_are_written_whole() {
        let mut out = Vec::new();
        for number in [0, 7, 10, 99, 1_000_000, u64::MAX] {
            write_decimal(&mut out, number);
            out.push(b' ');
        }
        assert_eq!(String::from_utf8(out).unwrap(), "0 7 10 99 1000000 18446744073709551615 ");
        let millis = |nanos| {
            let mut out = Vec::new();
            write_millis(Duration::from_nanos(nanos), &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(millis(0), "0.0");
        assert_eq!(millis(49_999), "0.0");
        assert_eq!(millis(50_000), "0.1");
        assert_eq!(millis(12_349_999), "12.3");
        assert_eq!(millis(999_950_000), "1000.0");
    }

    #[test]
    fn json_is_the_whole_body_in_utf_8() {
        for body in ["{}", " [1 , 2]\r\n", "\"a\"", "-0.5e+9999", "null", "\u{feff}{\"a\":1}", r#""\ud800""#] {
            assert!(as_json(body.as_bytes()).is_ok(), "{body:?}");
        }
        for body in ["", " ", "{", "{} x", "01", "{'a':1}", "[1,]", "\"a\nb\"", "<html>", "nul", "\"\\x\""] {
            assert!(as_json(body.as_bytes()).is_err(), "{body:?}");
        }
        assert!(matches!(as_json(b"\"caf\xe9\""), Err(NotJson::Utf8(4))));
    }

    proptest! {
        #[test]
        fn strings_are_written_as_serde_json_writes_them(text in "(?s).{0,60}") {
            prop_assert_eq!(string(&text), serde_json::to_string(&text).unwrap());
        }
    }
}
