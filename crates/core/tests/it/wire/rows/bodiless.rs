//! Responses without a body whatever their fields say: to HEAD, 204, 304 (RFC 9112 §6.3 point 1); and 205.

use gannet_core::h1::ProtocolError::{BothLengths, ContentLength, ContentLengthsDiffer, TransferEncoding};

use crate::wire::row::{Row, answer, refused};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = to_head();
    rows.extend(by_status());
    rows
}

fn to_head() -> Vec<Row> {
    let head = |name, lines: &str| answer(name, format!("HTTP/1.1 200 OK\r\n{lines}\r\n"), 200, "").head();
    let bad = |name, lines: &str, error| refused(name, format!("HTTP/1.1 200 OK\r\n{lines}\r\n"), error).head();
    const NOT_READ: &str = "it does not look at the lengths of an answer to HEAD";
    vec![
        head("HEAD with a length", "Content-Length: 5\r\n"),
        head("HEAD without a length", ""),
        head("HEAD chunked", "Transfer-Encoding: chunked\r\n"),
        head("HEAD with close", "Content-Length: 5\r\nConnection: close\r\n").no_reuse(),
        head("HEAD, then the end", "Content-Length: 5\r\n").closes(),
        answer("HEAD of a 404", "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n", 404, "").head(),
        answer("HEAD in HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n", 200, "").head().no_reuse(),
        answer("HEAD, and a body all the same", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "")
            .head()
            .surplus(5),
        answer(
            "HEAD, and chunks all the same",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            200,
            "",
        )
        .head()
        .surplus(5),
        bad("HEAD with both lengths", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", BothLengths)
            .hyper_differs(NOT_READ),
        bad("HEAD with lengths that differ", "Content-Length: 5\r\nContent-Length: 6\r\n", ContentLengthsDiffer)
            .hyper_differs(NOT_READ),
        bad("HEAD with a bad length", "Content-Length: x\r\n", ContentLength).hyper_differs(NOT_READ),
        bad("HEAD with another coding", "Transfer-Encoding: gzip\r\n", TransferEncoding).hyper_differs(NOT_READ),
    ]
}

fn by_status() -> Vec<Row> {
    let with =
        |name, status: u16, lines: &str| answer(name, format!("HTTP/1.1 {status} Fine\r\n{lines}\r\n"), status, "");
    const ANNOUNCED: &str = "it keeps a connection whose 204 announced a body";
    vec![
        with("a plain 204", 204, ""),
        with("204 with length 0", 204, "Content-Length: 0\r\n"),
        // RFC 9110 §8.6 and RFC 9112 §6.1 forbid both; a body may follow, or not.
        with("204 that announces a length", 204, "Content-Length: 5\r\n").no_reuse().hyper_differs(ANNOUNCED),
        with("204 that announces chunks", 204, "Transfer-Encoding: chunked\r\n").no_reuse().hyper_differs(ANNOUNCED),
        answer("204, and a body all the same", "HTTP/1.1 204 Fine\r\nContent-Length: 2\r\n\r\nok", 204, "").surplus(2),
        with("204 with close", 204, "Connection: close\r\n").no_reuse(),
        answer("204 in HTTP/1.0", "HTTP/1.0 204 Fine\r\n\r\n", 204, "").no_reuse(),
        refused(
            "204 with lengths that differ",
            "HTTP/1.1 204 Fine\r\nContent-Length: 0, 1\r\n\r\n",
            ContentLengthsDiffer,
        )
        .hyper_differs("it does not look at the lengths of a 204"),
        with("a plain 304", 304, "ETag: \"a\"\r\n"),
        with("304 with the length there would be", 304, "Content-Length: 500\r\n"),
        with("304 with the coding there would be", 304, "Transfer-Encoding: chunked\r\n"),
        answer("304, and a body all the same", "HTTP/1.1 304 Fine\r\nContent-Length: 2\r\n\r\nok", 304, "").surplus(2),
        with("304, then the end", 304, "").closes(),
        with("205 with length 0", 205, "Content-Length: 0\r\n"),
        answer("205 without a length is read to the end", "HTTP/1.1 205 Fine\r\n\r\nx", 205, "x").until_close(),
        answer("205 with a body is read", "HTTP/1.1 205 Fine\r\nContent-Length: 2\r\n\r\nok", 205, "ok"),
    ]
}
