//! The status line (RFC 9112 §4).

use gannet_core::h1::ProtocolError::{EofInHead, StatusLine};

use crate::wire::row::{Row, answer, refused};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = read();
    rows.extend(odd());
    rows.extend(not_http());
    rows.extend(malformed());
    rows
}

fn read() -> Vec<Row> {
    vec![
        answer("a plain 200", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello").reason(None),
        answer("a 404 with a body", "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone", 404, "gone")
            .reason(None),
        answer("a 500", "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", 500, "").reason(Some("Oops")),
        answer("status 299", "HTTP/1.1 299 Odd\r\nContent-Length: 1\r\n\r\nx", 299, "x"),
        answer("status 599", "HTTP/1.1 599 Far\r\nContent-Length: 1\r\n\r\nx", 599, "x"),
        answer("status 999, read as the 5xx it stands for", "HTTP/1.1 999 No\r\nContent-Length: 1\r\n\r\nx", 999, "x"),
        answer("a reason of several words", "HTTP/1.1 200 all is well\r\nContent-Length: 0\r\n\r\n", 200, "")
            .reason(Some("all is well")),
        answer("a reason with a tab", "HTTP/1.1 200 a\tb\r\nContent-Length: 0\r\n\r\n", 200, "").reason(Some("a\tb")),
        answer("an empty reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", 200, "").reason(None),
        answer("a reason above ASCII is dropped", b"HTTP/1.1 200 gr\xfc\xdf\r\nContent-Length: 0\r\n\r\n", 200, "")
            .reason(None),
        answer("a redirect", "HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n", 302, ""),
    ]
}

/// Against the grammar, harmless, and frequent enough to be read.
fn odd() -> Vec<Row> {
    vec![
        answer("no blank behind the status", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200, "ok").reason(None),
        answer("an empty line first", "\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
        answer("two empty lines first", "\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
        // RFC 9112 §2.2: a recipient may take a single LF for the end of a line.
        answer("bare LF all through", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, "ok"),
        answer("bare LF and CRLF mixed", "HTTP/1.1 200 OK\r\nContent-Length: 2\nA: b\r\n\nok", 200, "ok"),
    ]
}

fn not_http() -> Vec<Row> {
    vec![
        refused("no byte at all", "", EofInHead { empty: true }).closes(),
        refused("one letter", "H", EofInHead { empty: false }).closes(),
        refused("half a status line", "HTTP/1.1 20", EofInHead { empty: false }).closes(),
        refused("only empty lines", "\r\n\r\n", EofInHead { empty: false }).closes(),
        refused("another protocol's greeting", "SSH-2.0-OpenSSH_9.6\r\n", StatusLine),
        refused("another protocol's greeting, then the end", "220 mail ready", StatusLine).closes(),
        refused("a TLS alert", b"\x15\x03\x03\x00\x02\x02\x28", StatusLine).closes(),
        refused("a page without a head", "<html>\n<body>hello</body></html>\n", StatusLine).closes(),
        refused("a request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", StatusLine),
        refused("a SHOUTcast answer", "ICY 200 OK\r\nContent-Length: 1\r\n\r\nx", StatusLine),
        refused("the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", StatusLine),
        refused("NUL bytes", b"\0\0\0\0\r\n\r\n", StatusLine),
    ]
}

fn malformed() -> Vec<Row> {
    const REST: &str = "\r\nContent-Length: 0\r\n\r\n";
    let line = |name, line: &str| refused(name, format!("{line}{REST}"), StatusLine);
    vec![
        line("HTTP/0.9 by name", "HTTP/0.9 200 OK"),
        line("HTTP/1.2", "HTTP/1.2 200 OK"),
        line("HTTP/2.0", "HTTP/2.0 200 OK"),
        line("HTTP/1.10", "HTTP/1.10 200 OK"),
        line("no minor version", "HTTP/1 200 OK"),
        line("the protocol in small letters", "http/1.1 200 OK"),
        line("a blank first", " HTTP/1.1 200 OK"),
        line("a blank inside the version", "HTTP/ 1.1 200 OK"),
        line("two blanks before the status", "HTTP/1.1  200 OK"),
        line("a tab before the status", "HTTP/1.1\t200 OK"),
        line("no status", "HTTP/1.1 "),
        line("a status of two digits", "HTTP/1.1 20 OK"),
        line("a status of four digits", "HTTP/1.1 2000 OK"),
        line("a status of letters", "HTTP/1.1 two OK"),
        line("a negative status", "HTTP/1.1 -20 OK"),
        line("a reason glued to the status", "HTTP/1.1 200OK"),
        line("status 099", "HTTP/1.1 099 Low"),
        line("status 000", "HTTP/1.1 000 Nothing"),
        line("NUL in the reason", "HTTP/1.1 200 O\0K"),
        line("ESC in the reason", "HTTP/1.1 200 \x1b[31mOK"),
        line("a bare CR in the reason", "HTTP/1.1 200 O\rK"),
        line("two CRs behind the status", "HTTP/1.1 200\r"),
    ]
}
