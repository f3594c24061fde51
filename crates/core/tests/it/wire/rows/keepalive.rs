//! Whether the connection persists (RFC 9112 §9.3 and §9.6), and bytes nobody asked for.

use crate::wire::row::{Row, answer};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = http11();
    rows.extend(http10());
    rows.extend(unasked());
    rows
}

fn http11() -> Vec<Row> {
    let with =
        |name, lines: &str| answer(name, format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 2\r\n\r\nok"), 200, "ok");
    vec![
        with("HTTP/1.1 persists", ""),
        with("close", "Connection: close\r\n").no_reuse(),
        with("Close in capitals", "CONNECTION: CLOSE\r\n").no_reuse(),
        with("close first in a list", "Connection: close, x\r\n").no_reuse(),
        with("close last in a list", "Connection: x , \tclose\r\n").no_reuse(),
        with("close in a second field", "Connection: x\r\nConnection: close\r\n").no_reuse(),
        with("close and keep-alive", "Connection: close, keep-alive\r\n").no_reuse(),
        with("keep-alive and close in two fields", "Connection: keep-alive\r\nConnection: close\r\n").no_reuse(),
        with("close, then keep-alive in two fields", "Connection: close\r\nConnection: keep-alive\r\n").no_reuse(),
        with("keep-alive", "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n"),
        with("a word that begins with close", "Connection: closed\r\n"),
        with("another option", "Connection: upgrade\r\n"),
        with("no option at all", "Connection:\r\n"),
        with("close in a field of the proxy's", "Proxy-Connection: close\r\n"),
        answer(
            "close with chunks",
            "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            200,
            "ok",
        )
        .no_reuse(),
        answer("close and the end", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 200, "ok")
            .closes(),
        answer("keep-alive without a length", "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\nok", 200, "ok")
            .until_close(),
        answer("close without a length", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok", 200, "ok").until_close(),
    ]
}

fn http10() -> Vec<Row> {
    let with =
        |name, lines: &str| answer(name, format!("HTTP/1.0 200 OK\r\n{lines}Content-Length: 2\r\n\r\nok"), 200, "ok");
    vec![
        with("HTTP/1.0 does not persist", "").no_reuse(),
        with("HTTP/1.0 with keep-alive", "Connection: keep-alive\r\n"),
        with("HTTP/1.0 with Keep-Alive in capitals", "Connection: Keep-Alive\r\n"),
        with("HTTP/1.0 with keep-alive in a list", "Connection: x, keep-alive\r\n"),
        with("HTTP/1.0 with keep-alive and close", "Connection: keep-alive, close\r\n").no_reuse(),
        with("HTTP/1.0 with the Keep-Alive field alone", "Keep-Alive: timeout=5\r\n").no_reuse(),
        with("HTTP/1.0 with close", "Connection: close\r\n").no_reuse(),
        answer("HTTP/1.0 up to the end", "HTTP/1.0 200 OK\r\n\r\nhello", 200, "hello").until_close(),
        answer(
            "HTTP/1.0 with keep-alive, without a length",
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nhello",
            200,
            "hello",
        )
        .until_close(),
        answer("304 in HTTP/1.0 with keep-alive", "HTTP/1.0 304 Same\r\nConnection: keep-alive\r\n\r\n", 304, ""),
    ]
}

/// Bytes behind a response belong to no request: the next one would be answered by them.
fn unasked() -> Vec<Row> {
    let behind = |name, surplus: &str| {
        let raw = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{surplus}");
        answer(name, raw, 200, "ok").surplus(surplus.len())
    };
    vec![
        behind("a second response behind the first", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong"),
        behind("a line end behind the body", "\r\n"),
        behind("one NUL behind the body", "\0"),
        answer(
            "a second response behind chunks",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 204 \r\n\r\n",
            200,
            "",
        )
        .surplus(17),
        answer("a second response behind 304", "HTTP/1.1 304 Same\r\n\r\nHTTP/1.1 204 \r\n\r\n", 304, "").surplus(17),
        answer("a second response behind 204", "HTTP/1.1 204 None\r\n\r\nHTTP/1.1 204 \r\n\r\n", 204, "").surplus(17),
    ]
}
