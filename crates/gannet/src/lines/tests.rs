use gannet_core::ErrorKind;
use proptest::prelude::*;

use super::*;

fn split(stream: &[u8], pieces: usize, max: usize) -> Result<Vec<Vec<u8>>, DecodeError> {
    let mut lines = Lines::new(max);
    let mut found = Vec::new();
    for piece in stream.chunks(pieces.max(1)) {
        lines.push(piece);
        while let Some(line) = lines.next_line()? {
            found.push(line.to_vec());
        }
    }
    found.extend(lines.finish()?.map(|line| line.to_vec()));
    assert!(lines.next_line()?.is_none() && lines.finish()?.is_none(), "nothing is left");
    Ok(found)
}

#[test]
fn lines_end_with_lf_or_crlf_and_the_last_one_needs_no_end() {
    for (stream, expected) in [
        (&b""[..], &[][..]),
        (b"one", &["one"]),
        (b"one\n", &["one"]),
        (b"one\r\ntwo\nthree", &["one", "two", "three"]),
        (b"\n\r\n\n", &["", "", ""]),
        (b"a\rb\r\r\nc\r", &["a\rb\r", "c\r"]),
        ("é\nü".as_bytes(), &["é", "ü"]),
    ] {
        for pieces in [1, 2, 3, 100] {
            let found = split(stream, pieces, 10).unwrap();
            let expected: Vec<Vec<u8>> = expected.iter().map(|line| line.as_bytes().to_vec()).collect();
            assert_eq!(found, expected, "{stream:?} in pieces of {pieces}");
        }
    }
}

#[test]
fn a_line_over_the_bound_is_refused_and_one_of_its_length_is_not() {
    for (stream, fine) in [
        (&b"12345\n12345\r\n12345"[..], true),
        (b"1\n123456\n", false),
        (b"123456\r\n", false),
        (b"123456", false),
        (b"12345\r", false),
        (b"1234\r\r\n", true),
    ] {
        for pieces in [1, 4, 100] {
            let kind = split(stream, pieces, 5).map(|_| ()).map_err(|error| error.kind);
            assert_eq!(kind, if fine { Ok(()) } else { Err(ErrorKind::TooLarge) }, "{stream:?} {pieces}");
        }
    }
}

#[test]
fn a_line_without_end_is_refused_before_it_is_held() {
    let mut lines = Lines::new(1000);
    let error = (0..100).find_map(|_| {
        lines.push(&[b'x'; 100]);
        assert!(lines.buffer.len() <= 1100);
        lines.next_line().err()
    });
    assert_eq!(error.map(|error| error.kind), Some(ErrorKind::TooLarge));
    assert!(lines.buffer.is_empty());
}

proptest! {
    #[test]
    fn pieces_make_no_difference(stream in "[ab\r\n]{0,60}", pieces in 1usize..20) {
        let whole = split(stream.as_bytes(), stream.len(), 100).unwrap();
        prop_assert_eq!(split(stream.as_bytes(), pieces, 100).unwrap(), whole);
    }

    #[test]
    fn lines_are_those_of_the_standard_library(stream in "[ab\r\n]{0,60}") {
        let found = split(stream.as_bytes(), 7, 100).unwrap();
        let expected: Vec<Vec<u8>> = stream.lines().map(|line| line.as_bytes().to_vec()).collect();
        prop_assert_eq!(found, expected);
    }
}
