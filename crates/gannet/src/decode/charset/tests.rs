use gannet_core::ErrorKind;
use proptest::prelude::*;

use super::*;

#[test]
fn the_charset_is_found_in_a_content_type() {
    for (content_type, expected) in [
        ("text/html; charset=utf-8", Some("utf-8")),
        ("text/html;charset=UTF-8", Some("UTF-8")),
        ("text/html; CharSet = \"iso-8859-1\" ", Some("iso-8859-1")),
        ("text/html; charset='utf-8'", Some("utf-8")),
        ("text/html; a=\"x; charset=no\\\"; b\"; charset=yes", Some("yes")),
        ("text/html; boundary=x;; charset=\"a\\b\"; more", Some("ab")),
        ("text/html; charset=a; charset=b", Some("a")),
        ("text/html; charset=; charset=b", Some("b")),
        ("text/html; charset", None),
        ("text/html; xcharset=a", None),
        ("text/html; charset=\"unclosed", Some("unclosed")),
        ("charset=utf-8", None),
        ("text/html", None),
        ("", None),
    ] {
        assert_eq!(charset_of(content_type).as_deref(), expected, "{content_type}");
    }
}

#[test]
fn text_is_read_by_mark_then_header_then_utf_8() {
    let utf16le: Vec<u8> = "\u{feff}é".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16be: Vec<u8> = "\u{feff}é".encode_utf16().flat_map(u16::to_be_bytes).collect();
    for (body, content_type, expected, charset, lossy) in [
        ("é".as_bytes(), None, "é", "UTF-8", false),
        (b"", Some("text/plain; charset=koi8-r"), "", "KOI8-R", false),
        (b"caf\xe9", Some("text/plain; charset=ISO-8859-1"), "café", "windows-1252", false),
        (b"\x83e\x83X\x83g", Some("text/plain; charset=\"Shift_JIS\""), "テスト", "Shift_JIS", false),
        (b"caf\xe9", Some("text/plain"), "caf\u{fffd}", "UTF-8", true),
        (b"caf\xe9", Some("text/plain; charset=nonsense"), "caf\u{fffd}", "UTF-8", true),
        (b"\xef\xbb\xbf\xc3\xa9", Some("text/plain; charset=latin1"), "é", "UTF-8", false),
        (b"\xef\xbb\xbf\xff", None, "\u{fffd}", "UTF-8", true),
        (&utf16le, None, "é", "UTF-16LE", false),
        (&utf16be, Some("text/plain; charset=utf-8"), "é", "UTF-16BE", false),
        (b"\x82", Some("text/plain; charset=shift_jis"), "\u{fffd}", "Shift_JIS", true),
    ] {
        let got = text(body, content_type);
        assert_eq!((got.text.as_str(), got.charset, got.lossy), (expected, charset, lossy), "{content_type:?}");
        let strict = text_strict(body, content_type);
        if lossy {
            assert_eq!(strict.unwrap_err().kind, ErrorKind::Decode, "{content_type:?}");
        } else {
            assert_eq!(strict.unwrap(), got, "{content_type:?}");
        }
    }
}

#[test]
fn the_strict_reading_says_what_is_wrong_and_where() {
    for (body, content_type, message) in [
        (&b"ab\xff"[..], None, "the body is not UTF-8: no character at byte 2"),
        (b"\xef\xbb\xbfab\xff", None, "the body is not UTF-8: no character at byte 5"),
        (b"ab\xe2\x82", Some("text/plain"), "the body is not UTF-8: no character at byte 2"),
        (b"ab\x82", Some("a/b; charset=shift_jis"), "the body is not Shift_JIS: no character at byte 2"),
        (b"ab\x81\x20c", Some("a/b; charset=shift_jis"), "the body is not Shift_JIS: no character at byte 2"),
        (b"ok", Some("a/b; charset=klingon"), "unknown charset \"klingon\""),
        (b"ok", Some("a/b; charset=iso-2022-kr"), "unknown charset \"iso-2022-kr\""),
    ] {
        let error = text_strict(body, content_type).unwrap_err();
        assert_eq!((error.kind, error.message.as_ref()), (ErrorKind::Decode, message));
    }
}

#[test]
fn plain_utf_8_keeps_its_allocation() {
    let body = "plain".repeat(100).into_bytes();
    let at = body.as_ptr();
    assert_eq!(text(body, None).text.as_ptr(), at);
}

proptest! {
    #[test]
    fn any_header_reads_without_panic(content_type in "\\PC{0,40}", tail in "[;= \"\\\\a-c]{0,30}") {
        let content_type = format!("{content_type};{tail}");
        let _ = (charset_of(&content_type), text(b"x", Some(&content_type)));
    }

    #[test]
    fn strict_and_lossy_agree_on_what_is_whole(
        body in proptest::collection::vec(any::<u8>(), 0..60),
        charset in prop::sample::select(vec!["utf-8", "shift_jis", "gb18030", "euc-kr", "utf-16le", "big5"]),
    ) {
        let content_type = format!("text/plain; charset={charset}");
        let lossy = text(&body, Some(&content_type));
        match text_strict(&body, Some(&content_type)) {
            Ok(strict) => prop_assert_eq!(strict, lossy),
            Err(_) => prop_assert!(lossy.lossy),
        }
    }
}
