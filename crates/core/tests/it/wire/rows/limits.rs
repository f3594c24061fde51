//! Bounds: of one head, of interim responses with it, of trailers and chunk extensions.

use gannet_core::h1::ProtocolError::{ChunkSize, Field, HeadTooLarge, StatusLine, TooManyFields};

use crate::wire::row::{Row, answer, refused};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = bytes();
    rows.extend(interim());
    rows.extend(fields());
    rows.extend(trailers());
    rows.extend(extensions());
    rows
}

const PLAIN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const KIB_64: usize = 64 << 10;

/// A head of exactly this many bytes, with a body of two.
fn head_of(bytes: usize) -> String {
    let value = "v".repeat(bytes - PLAIN.len() - "X: \r\n".len());
    format!("HTTP/1.1 200 OK\r\nX: {value}\r\nContent-Length: 2\r\n\r\nok")
}

fn bytes() -> Vec<Row> {
    vec![
        answer("a head as large as its limit", head_of(200), 200, "ok").limits(200, 10),
        refused("a head one byte over its limit", head_of(201), HeadTooLarge).limits(200, 10),
        refused("a head far over its limit", head_of(2000), HeadTooLarge).limits(200, 10),
        refused("a status line without end", format!("HTTP/1.1 200 {}", "a".repeat(500)), HeadTooLarge).limits(200, 10),
        refused("a field without end", format!("HTTP/1.1 200 OK\r\nA: {}", "a".repeat(500)), HeadTooLarge)
            .limits(200, 10),
        refused("a name without end", format!("HTTP/1.1 200 OK\r\n{}", "a".repeat(500)), HeadTooLarge).limits(200, 10),
        refused("empty lines without end", "\r\n".repeat(200), HeadTooLarge).limits(200, 10),
        refused("empty lines count", format!("{}{PLAIN}ok", "\r\n".repeat(90)), HeadTooLarge).limits(200, 10),
        refused("no HTTP, over the limit", format!("{}\r\n", "hello".repeat(100)), StatusLine).limits(200, 10),
        refused("no HTTP and no line, over the limit", "hello".repeat(100), StatusLine).limits(200, 10),
        refused(
            "a bad field inside the limit, no line end in it",
            format!("HTTP/1.1 200 OK\r\nA: \0{}", "a".repeat(500)),
            Field,
        )
        .limits(200, 10),
        refused(
            "a bad field behind the limit",
            format!("HTTP/1.1 200 OK\r\nA: {}\0\r\n\r\n", "a".repeat(500)),
            HeadTooLarge,
        )
        .limits(200, 10),
        refused(
            "too many fields behind the limit",
            format!("HTTP/1.1 200 OK\r\nA: {}\r\nB: c\r\nD: e\r\nF: g\r\n\r\n", "a".repeat(200)),
            HeadTooLarge,
        )
        .limits(200, 3),
        answer("a head as large as the default limit", head_of(KIB_64), 200, "ok"),
        refused("a head one byte over the default limit", head_of(KIB_64 + 1), HeadTooLarge).hyper_not_asked(),
        refused(
            "a name longer than any limit on names",
            format!("HTTP/1.1 200 OK\r\n{}: b\r\nContent-Length: 0\r\n\r\n", "a".repeat(KIB_64 + 4)),
            HeadTooLarge,
        )
        .limits(KIB_64 * 4, 10),
    ]
}

fn interim() -> Vec<Row> {
    // 25 bytes each; the final head has 38.
    let interims = |count: usize| "HTTP/1.1 100 Continue\r\n\r\n".repeat(count);
    vec![
        answer("interim responses up to the limit", format!("{}{PLAIN}ok", interims(6)), 200, "ok").limits(188, 10),
        refused("interim responses count towards the limit", format!("{}{PLAIN}ok", interims(6)), HeadTooLarge)
            .limits(187, 10),
        refused("interim responses without end", interims(40), HeadTooLarge).limits(200, 10),
        refused(
            "one interim response over the limit",
            format!("HTTP/1.1 103 {}\r\n\r\n", "a".repeat(300)),
            HeadTooLarge,
        )
        .limits(200, 10),
        refused(
            "interim responses over the default limit",
            format!("{}{PLAIN}ok", interims(KIB_64 / 25)),
            HeadTooLarge,
        )
        .hyper_differs("it has no bound on interim responses"),
    ]
}

fn fields() -> Vec<Row> {
    let lines = |count: usize| "A: b\r\n".repeat(count);
    vec![
        answer("as many fields as allowed", format!("HTTP/1.1 200 OK\r\n{}\r\n", lines(3)), 200, "")
            .head()
            .limits(200, 3),
        refused("one field too many", format!("HTTP/1.1 200 OK\r\n{}\r\n", lines(4)), TooManyFields).limits(200, 3),
        refused("fields without end", format!("HTTP/1.1 200 OK\r\n{}", lines(30)), TooManyFields).limits(200, 3),
        answer("100 fields", format!("HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n", lines(99)), 200, ""),
        refused("101 fields", format!("HTTP/1.1 200 OK\r\n{}\r\n", lines(101)), TooManyFields),
        refused(
            "more than 100 fields, whatever the limit",
            format!("HTTP/1.1 200 OK\r\n{}\r\n", lines(101)),
            TooManyFields,
        )
        .limits(KIB_64, 1000),
        refused(
            "one interim field too many",
            format!("HTTP/1.1 103 Hints\r\n{}\r\n{PLAIN}ok", lines(4)),
            TooManyFields,
        )
        .limits(200, 3),
    ]
}

fn trailers() -> Vec<Row> {
    let value = |bytes: usize| "t".repeat(bytes);
    let trailer = |bytes: usize| format!("{CHUNKED}0\r\nT: {}\r\n\r\n", value(bytes));
    vec![
        refused("trailers over 16 KiB", trailer(16 << 10), HeadTooLarge).hyper_not_asked(),
        refused("a trailer without end", format!("{CHUNKED}0\r\nT: {}", value(20_000)), HeadTooLarge).hyper_not_asked(),
        refused("101 trailers", format!("{CHUNKED}0\r\n{}\r\n", "A: b\r\n".repeat(101)), TooManyFields)
            .hyper_not_asked(),
        refused("trailers count towards the head's bytes", trailer(200), HeadTooLarge).limits(200, 10),
        refused(
            "trailers keep to the head's count",
            format!("{CHUNKED}0\r\n{}\r\n", "A: b\r\n".repeat(4)),
            TooManyFields,
        )
        .limits(200, 3),
    ]
}

fn extensions() -> Vec<Row> {
    let long = |bytes: usize| format!("{CHUNKED}1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(bytes));
    vec![
        answer("a long extension", long(1000), 200, "x"),
        refused("extensions over 16 KiB", long((16 << 10) + 1), ChunkSize),
        refused("an extension without end", format!("{CHUNKED}1;{}", "e".repeat(20_000)), ChunkSize),
        refused(
            "many extensions over 16 KiB",
            format!("{CHUNKED}{}0\r\n\r\n", format!("1;{}\r\nx\r\n", "e".repeat(1000)).repeat(17)),
            ChunkSize,
        ),
        refused("blanks behind a size without end", format!("{CHUNKED}1{}", " ".repeat(20_000)), ChunkSize),
    ]
}
