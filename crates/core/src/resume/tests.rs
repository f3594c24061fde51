//! Validators, and every answer to a request for a rest.

use super::*;

fn headers(fields: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in fields {
        headers.append(name, value).unwrap();
    }
    headers
}

const NOON: &str = "Sun, 06 Nov 1994 12:00:00 GMT";
const SECOND_LATER: &str = "Sun, 06 Nov 1994 12:00:01 GMT";

#[test]
fn only_strong_validators_count() {
    let etag = |tag: &str| Some(Validator::Etag(tag.to_owned()));
    let modified = Some(Validator::LastModified(NOON.to_owned()));
    for (fields, wanted) in [
        (&[("etag", "\"a\"")][..], etag("\"a\"")),
        (&[("etag", "\"\"")], etag("\"\"")),
        (&[("etag", "W/\"a\"")], None),
        (&[("etag", "a")], None),
        (&[("etag", "\"a")], None),
        (&[("etag", "\"a\"b\"")], None),
        (&[("etag", "\"ü\"")], None),
        (&[("last-modified", NOON), ("date", SECOND_LATER)], modified.clone()),
        (&[("last-modified", NOON), ("date", NOON)], None),
        (&[("last-modified", SECOND_LATER), ("date", NOON)], None),
        (&[("last-modified", NOON)], None),
        // A weak tag says that the date is no better.
        (&[("etag", "W/\"a\""), ("last-modified", NOON), ("date", SECOND_LATER)], None),
        (&[], None),
    ] {
        assert_eq!(Validator::of(&headers(fields)), wanted, "{fields:?}");
    }
}

#[test]
fn a_part_is_appended_to_only_where_the_server_vouches_for_it() {
    let part = Partial { length: 10, validator: Validator::Etag("\"a\"".to_owned()), total: Some(100) };
    for (status, fields, wanted) in [
        (206, &[("content-range", "bytes 10-99/100"), ("etag", "\"a\"")][..], Step::Append { total: 100, end: 100 }),
        (206, &[("content-range", "bytes 10-99/100")], Step::Append { total: 100, end: 100 }),
        (206, &[("content-range", "bytes 10-49/*")], Step::Append { total: 100, end: 50 }),
        // Another version, place or length, or a part in a form that was not asked for.
        (206, &[("content-range", "bytes 10-99/100"), ("etag", "\"b\"")], Step::AskAgain),
        (206, &[("content-range", "bytes 10-99/100"), ("etag", "W/\"a\"")], Step::AskAgain),
        (206, &[("content-range", "bytes 0-99/100")], Step::AskAgain),
        (206, &[("content-range", "bytes 11-99/100")], Step::AskAgain),
        (206, &[("content-range", "bytes 10-109/110")], Step::AskAgain),
        (206, &[("content-range", "bytes 10-109/*")], Step::AskAgain),
        (206, &[("content-type", "multipart/byteranges; boundary=x")], Step::AskAgain),
        (200, &[("etag", "\"b\"")], Step::StartOver),
        (203, &[], Step::StartOver),
        (416, &[("content-range", "bytes */100")], Step::AskAgain),
        (416, &[("content-range", "bytes */10")], Step::AskAgain),
        (416, &[], Step::AskAgain),
        (404, &[], Step::Fail),
        (304, &[], Step::Fail),
        (500, &[], Step::Fail),
    ] {
        assert_eq!(decide(Some(&part), status, &headers(fields)), wanted, "{status} {fields:?}");
    }
    let unknown = Partial { total: None, ..part };
    assert_eq!(decide(Some(&unknown), 206, &headers(&[("content-range", "bytes 10-49/*")])), Step::AskAgain);
    assert_eq!(decide(None, 206, &headers(&[("content-range", "bytes 0-9/10")])), Step::Fail);
    assert_eq!(decide(None, 200, &headers(&[])), Step::StartOver);
    assert_eq!(decide(None, 416, &headers(&[])), Step::Fail);
}

#[test]
fn a_part_that_lacks_nothing_is_whole() {
    let whole = |total| Partial { length: 10, validator: Validator::LastModified(NOON.to_owned()), total };
    let at_end = headers(&[("content-range", "bytes */10")]);
    let more = headers(&[("content-range", "bytes 10-19/*")]);
    assert_eq!(decide(Some(&whole(Some(10))), 206, &more), Step::AskAgain, "there is no more of it");
    assert_eq!(decide(Some(&whole(Some(10))), 416, &at_end), Step::Whole);
    assert_eq!(decide(Some(&whole(None)), 416, &at_end), Step::Whole);
    let other = headers(&[("content-range", "bytes */10"), ("last-modified", SECOND_LATER)]);
    assert_eq!(decide(Some(&whole(None)), 416, &other), Step::AskAgain);
}

#[test]
fn a_validator_is_kept_and_read_back() {
    let tag = Validator::Etag("\"a\"".to_owned());
    let text = serde_json::to_string(&tag).unwrap();
    assert_eq!(text, r#"{"etag":"\"a\""}"#);
    assert_eq!(serde_json::from_str::<Validator>(&text).unwrap(), tag);
    assert_eq!(tag.if_range(), "\"a\"");
}
