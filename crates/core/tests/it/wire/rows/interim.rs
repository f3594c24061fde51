//! Interim responses (RFC 9110 §15.2): skipped, and their fields have no say about the final one.

use gannet_core::h1::ProtocolError::{EofInHead, Field, StatusLine, UnexpectedUpgrade};

use crate::wire::row::{Row, answer, refused};

const UPGRADE: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
const FINAL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = skipped();
    rows.extend(refusals());
    rows
}

fn skipped() -> Vec<Row> {
    let before = |name, interim: &str| answer(name, format!("{interim}{FINAL}"), 200, "ok");
    vec![
        before("100 first", "HTTP/1.1 100 Continue\r\n\r\n").fields(&[("Content-Length", b"2")]),
        before("102 first", "HTTP/1.1 102 Processing\r\n\r\n"),
        before("103 first", "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
            .fields(&[("Content-Length", b"2")]),
        before("an unknown interim response first", "HTTP/1.1 199 Odd\r\nA: b\r\n\r\n"),
        before("100 without a reason first", "HTTP/1.1 100\r\n\r\n"),
        before("100 in HTTP/1.0 first", "HTTP/1.0 100 Continue\r\n\r\n"),
        before("three interim responses first", &"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n".repeat(3)),
        before("100 and 103 first", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"),
        // RFC 9112 §6.3 point 1: an interim response ends with its empty line, whatever its fields.
        before("100 with a length first", "HTTP/1.1 100 Continue\r\nContent-Length: 7\r\n\r\n"),
        before("100 with chunks first", "HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n"),
        // RFC 9112 §9.6: whichever response says so, no other request goes out on this connection.
        before("100 with close first", "HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n")
            .no_reuse()
            .hyper_differs("it does not look at an interim response's fields"),
        before("an empty line between interim and final", "HTTP/1.1 100 Continue\r\n\r\n\r\n"),
        answer("100, then an answer to HEAD", format!("HTTP/1.1 100 Continue\r\n\r\n{}", &FINAL[..38]), 200, "").head(),
        answer("100, then 204", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 None\r\n\r\n", 204, ""),
        answer(
            "100, then an error",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n",
            417,
            "",
        ),
        answer(
            "100, then a body up to the end",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nrest",
            200,
            "rest",
        )
        .until_close(),
        answer("101 that was asked for", format!("{UPGRADE}hello"), 101, "").upgrade().surplus(5).hyper_not_asked(),
        answer(
            "101 with lengths, that was asked for",
            format!("{}hello", UPGRADE.replacen("\r\n", "\r\nContent-Length: 5\r\n", 1)),
            101,
            "",
        )
        .upgrade()
        .surplus(5)
        .hyper_not_asked(),
        answer("100, then 101 that was asked for", format!("HTTP/1.1 100 Continue\r\n\r\n{UPGRADE}"), 101, "")
            .upgrade()
            .no_reuse()
            .hyper_not_asked(),
        answer("an upgrade that was declined", FINAL, 200, "ok").upgrade(),
        answer(
            "103, then chunks",
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            200,
            "ok",
        ),
    ]
}

fn refusals() -> Vec<Row> {
    const UPGRADES: &str = "it hands the connection over, asked or not";
    vec![
        refused("100, then the end", "HTTP/1.1 100 Continue\r\n\r\n", EofInHead { empty: false }).closes(),
        refused("100, then half a head", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200", EofInHead { empty: false })
            .closes(),
        refused("half a 100", "HTTP/1.1 100 Continue\r\nA: ", EofInHead { empty: false }).closes(),
        refused("101 unasked", UPGRADE, UnexpectedUpgrade).hyper_differs(UPGRADES),
        refused("101 to HEAD", UPGRADE, UnexpectedUpgrade).head().hyper_differs(UPGRADES),
        refused("100, then 101", format!("HTTP/1.1 100 Continue\r\n\r\n{UPGRADE}"), UnexpectedUpgrade)
            .hyper_differs(UPGRADES),
        refused("101 in HTTP/1.0", UPGRADE.replace("/1.1", "/1.0"), UnexpectedUpgrade)
            .upgrade()
            .hyper_differs(UPGRADES),
        refused("100, then no HTTP", "HTTP/1.1 100 Continue\r\n\r\nhello world\r\n", StatusLine),
        refused("100 with a body", format!("HTTP/1.1 100 Continue\r\nContent-Length: 2\r\n\r\nok{FINAL}"), StatusLine),
        refused("100 with a malformed field", format!("HTTP/1.1 100 Continue\r\nA : b\r\n\r\n{FINAL}"), Field),
    ]
}
