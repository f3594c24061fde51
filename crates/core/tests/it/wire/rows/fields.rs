//! Header fields (RFC 9112 §5, RFC 9110 §5).

use gannet_core::h1::ProtocolError::{EofInHead, Field};

use crate::wire::row::{Row, answer, refused};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = kept();
    rows.extend(malformed());
    rows
}

fn kept() -> Vec<Row> {
    let with =
        |name, lines: &str| answer(name, format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 0\r\n\r\n"), 200, "");
    const LENGTH: (&str, &[u8]) = ("Content-Length", b"0");
    vec![
        answer("no field at all", "HTTP/1.1 200 OK\r\n\r\nrest", 200, "rest").until_close().fields(&[]),
        with("case, order and repeats are kept", "b: 1\r\nX-A: 2\r\nB: 3\r\n").fields(&[
            ("b", b"1"),
            ("X-A", b"2"),
            ("B", b"3"),
            LENGTH,
        ]),
        with("an empty value", "X:\r\n").fields(&[("X", b""), LENGTH]),
        with("a value of blanks", "X: \t \r\n").fields(&[("X", b""), LENGTH]),
        with("no blank behind the colon", "X:a\r\n").fields(&[("X", b"a"), LENGTH]),
        with("blanks around a value are cut", "X: \t a b \t\r\n").fields(&[("X", b"a b"), LENGTH]),
        with("a tab inside a value", "X: a\tb\r\n").fields(&[("X", b"a\tb"), LENGTH]),
        with("colons in a value", "X: a:b: c\r\n").fields(&[("X", b"a:b: c"), LENGTH]),
        with("UTF-8 in a value", "X: grün\r\n").fields(&[("X", "grün".as_bytes()), LENGTH]),
        with("every sign of a token in a name", "!#$%&'*+-.^_`|~09azAZ: x\r\n")
            .fields(&[("!#$%&'*+-.^_`|~09azAZ", b"x"), LENGTH]),
        answer("Latin-1 in a value", b"HTTP/1.1 200 OK\r\nX: \xfc\xff\r\nContent-Length: 0\r\n\r\n", 200, "")
            .fields(&[("X", b"\xfc\xff"), LENGTH]),
        with("an underscore names another field", "Content_Length: 7\r\nTransfer_Encoding: chunked\r\n"),
        with("a long value", &format!("X: {}\r\n", "v".repeat(2000))),
    ]
}

fn malformed() -> Vec<Row> {
    let lines =
        |name, lines: &str| refused(name, format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 2\r\n\r\nok"), Field);
    vec![
        lines("a blank before the colon", "X : a\r\n"),
        lines("a tab before the colon", "X\t: a\r\n"),
        lines("a length with a blank before its colon", "Content-Length : 9\r\n"),
        lines("an empty name", ": a\r\n"),
        lines("a line without a colon", "X\r\n"),
        // RFC 9112 §5.2 would have a user agent unfold it; nobody folds any more but to smuggle.
        lines("a folded value", "X: a\r\n b\r\n"),
        lines("a value folded with a tab", "X: a\r\n\tb\r\n"),
        lines("a folded empty value", "X:\r\n a\r\n"),
        lines("a blank before the first field", " X: a\r\n"),
        lines("NUL in a value", "X: a\0b\r\n"),
        lines("ESC in a value", "X: \x1b[2J\r\n"),
        lines("DEL in a value", "X: a\x7f\r\n"),
        lines("a vertical tab before a value", "X: \x0ba\r\n"),
        lines("a bare CR in a value", "X: a\rContent-Length: 9\r\n"),
        lines("a bare CR before a value", "X:\ra\r\n"),
        lines("two CRs at a line's end", "X: a\r\r\n"),
        lines("a CR alone on a line", "X: a\r\n\rY: b\r\n"),
        lines("a blank in a name", "X Y: a\r\n"),
        lines("a bracket in a name", "X(Y): a\r\n"),
        lines("an at sign in a name", "X@Y: a\r\n"),
        lines("a letter above ASCII in a name", "Xä: a\r\n"),
        lines("NUL in a name", "X\0: a\r\n"),
        refused("the end inside a name", "HTTP/1.1 200 OK\r\nConte", EofInHead { empty: false }).closes(),
        refused("the end inside a value", "HTTP/1.1 200 OK\r\nA: b", EofInHead { empty: false }).closes(),
        refused("the end before the empty line", "HTTP/1.1 200 OK\r\nA: b\r\n", EofInHead { empty: false }).closes(),
        refused("the end inside the empty line", "HTTP/1.1 200 OK\r\nA: b\r\n\r", EofInHead { empty: false }).closes(),
        refused("a bad value, then the end", "HTTP/1.1 200 OK\r\nA: b\0", Field).closes(),
    ]
}
