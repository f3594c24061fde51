//! Any answer to a request for the rest of a download. The first byte is the status, the next three what is there; then
//! the fields as `name=value`, 0xff between them. A part is appended only where the answer begins at its end, is of the
//! same version and length, and every Content-Range that is read means what it says.

#![no_main]

use gannet_core::Headers;
use gannet_core::field::ContentRange;
use gannet_core::resume::{Partial, Step, Validator, decide};
use libfuzzer_sys::fuzz_target;

const STATUSES: [u16; 8] = [200, 204, 206, 206, 304, 404, 416, 503];

fuzz_target!(|data: &[u8]| {
    let [status, options, length, total, rest @ ..] = data else { return };
    let mut headers = Headers::new();
    for line in rest.split(|&byte| byte == 0xff) {
        let at = line.iter().position(|&byte| byte == b'=').unwrap_or(line.len());
        let Ok(name) = std::str::from_utf8(&line[..at]) else { continue };
        let _ = headers.append(name, line.get(at + 1..).unwrap_or_default());
    }
    let range = headers.get_bytes("content-range").and_then(ContentRange::parse);
    if let Some(range) = &range {
        check_range(headers.get_bytes("content-range").unwrap_or_default(), range);
    }
    if let Some(validator) = Validator::of(&headers) {
        check_validator(&headers, &validator);
    }
    let validator = match options & 1 {
        0 => Validator::Etag("\"v1\"".to_owned()),
        _ => Validator::LastModified("Sun, 06 Nov 1994 08:49:37 GMT".to_owned()),
    };
    let length = 1 + u64::from(*length);
    let total = (options & 2 == 0).then(|| length + u64::from(*total));
    let partial = Partial { length, validator, total };
    let status = STATUSES[usize::from(status % 8)];
    match decide(Some(&partial), status, &headers) {
        Step::Append { total: whole, end } => {
            let range = range.expect("a part says where it stands");
            assert_eq!((status, range.part.map(|(first, _)| first)), (206, Some(length)));
            assert!(range.total.or(total) == Some(whole) && total.is_none_or(|total| total == whole) && whole > length);
            assert!(range.part.map(|(_, last)| last + 1) == Some(end) && (length + 1..=whole).contains(&end));
            assert!(!is_other(&headers, &partial.validator));
        }
        Step::Whole => {
            assert_eq!((status, range.and_then(|range| range.total)), (416, Some(length)));
            assert!(total.is_none_or(|total| total == length) && !is_other(&headers, &partial.validator));
        }
        Step::StartOver => assert!(matches!(status, 200 | 204)),
        Step::AskAgain => assert!(matches!(status, 206 | 416)),
        Step::Fail => assert!(status > 299 && status != 416),
    }
    // Nothing was asked for: no part of anything is taken for the whole.
    let plain = decide(None, status, &headers);
    assert_eq!(plain, if matches!(status, 200 | 204) { Step::StartOver } else { Step::Fail });
});

/// Whether the answer names another version.
fn is_other(headers: &Headers, validator: &Validator) -> bool {
    let name = if matches!(validator, Validator::Etag(_)) { "ETag" } else { "Last-Modified" };
    headers.get_bytes(name).is_some_and(|value| value != validator.if_range().as_bytes())
}

fn check_range(value: &[u8], range: &ContentRange) {
    let total = range.total.map_or("*".to_owned(), |total| total.to_string());
    let written = match range.part {
        Some((first, last)) => {
            assert!(first <= last && range.total.is_none_or(|total| last < total));
            format!("bytes {first}-{last}/{total}")
        }
        None => format!("bytes */{total}"),
    };
    assert_eq!(ContentRange::parse(written.as_bytes()), Some(*range));
    // Its digits are the field's, but for zeros in front.
    let numbers = |text: &[u8]| -> Vec<u64> {
        let digits = text.split(|byte| !byte.is_ascii_digit()).filter(|part| !part.is_empty());
        digits.map(|digits| std::str::from_utf8(digits).unwrap_or_default().parse().unwrap_or(0)).collect()
    };
    assert_eq!(numbers(value), numbers(written.as_bytes()));
}

fn check_validator(headers: &Headers, validator: &Validator) {
    let value = validator.if_range();
    assert!(Headers::new().append("If-Range", value).is_ok());
    match validator {
        Validator::Etag(tag) => {
            assert_eq!(headers.get("etag"), Some(&tag[..]));
            assert!(tag.len() >= 2 && tag.starts_with('"') && tag.ends_with('"') && tag.matches('"').count() == 2);
        }
        Validator::LastModified(date) => {
            assert_eq!((headers.get("etag"), headers.get("last-modified")), (None, Some(&date[..])));
        }
    }
}
