//! Content-Length (RFC 9112 §6.2 and §6.3, RFC 9110 §8.6) and the body that only the connection's end ends.

use gannet_core::h1::ProtocolError::{ContentLength, ContentLengthsDiffer, EofInBody};

use crate::wire::row::{Row, answer, refused};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = read();
    rows.extend(until_close());
    rows.extend(short());
    rows.extend(malformed());
    rows
}

fn with(name: &'static str, fields: &str, body: &str) -> Row {
    answer(name, format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{body}"), 200, body)
}

fn read() -> Vec<Row> {
    let every_byte: Vec<u8> = (0..=255).collect();
    let raw = [b"HTTP/1.1 200 OK\r\nContent-Length: 256\r\n\r\n", &every_byte[..]].concat();
    vec![
        with("length 0", "Content-Length: 0", ""),
        with("length 1", "Content-Length: 1", "x"),
        with("a length in small letters", "content-length: 5", "hello"),
        with("a length in capitals", "CONTENT-LENGTH: 5", "hello"),
        with("blanks around a length", "Content-Length: \t 5 \t", "hello"),
        with("a length with leading zeros", "Content-Length: 0005", "hello"),
        with("the same length twice", "Content-Length: 5\r\nContent-Length: 5", "hello"),
        with("the same length in one list", "Content-Length: 5, 5", "hello"),
        with("the same length as list and field", "Content-Length: 5,5 , 5\r\nContent-Length: 5", "hello"),
        with("a body that looks like a head", "Content-Length: 19", "HTTP/1.1 500 \r\n\r\n\r\n"),
        with("a body of line ends", "Content-Length: 8", "\r\n\r\n\n\n\r\r"),
        answer("a body of every byte", raw, 200, every_byte),
        answer(
            "a length of four digits",
            format!("HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n{}", "b".repeat(2000)),
            200,
            "b".repeat(2000),
        ),
        answer("a 206", "HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\n\r\nabc", 206, "abc"),
        with("a length, then the end", "Content-Length: 5", "hello").closes(),
        answer("more than the length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!", 200, "hello").surplus(1),
        answer("more than length 0", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nhello", 200, "").surplus(5),
        answer("more than the length, then the end", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokok", 200, "ok")
            .closes()
            .surplus(2),
    ]
}

fn until_close() -> Vec<Row> {
    vec![
        answer("a body up to the end", "HTTP/1.1 200 OK\r\nServer: a\r\n\r\nhello", 200, "hello").until_close(),
        answer("an empty body up to the end", "HTTP/1.1 200 OK\r\nServer: a\r\n\r\n", 200, "").until_close(),
        answer("an error page up to the end", "HTTP/1.1 502 Bad Gateway\r\n\r\nno\r\n", 502, "no\r\n").until_close(),
        answer(
            "two heads in a body up to the end",
            "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            200,
            "HTTP/1.1 200 OK\r\n\r\n",
        )
        .until_close(),
    ]
}

fn short() -> Vec<Row> {
    let short = |name, head: &str| refused(name, format!("HTTP/1.1 200 OK\r\n{head}"), EofInBody).closes();
    vec![
        short("no byte of the body", "Content-Length: 5\r\n\r\n"),
        short("one byte short", "Content-Length: 5\r\n\r\nhell"),
        short("the largest length there is", "Content-Length: 18446744073709551615\r\n\r\nhello"),
        short("a length of 2^63", "Content-Length: 9223372036854775808\r\n\r\nhello"),
        short("short though close is announced", "Connection: close\r\nContent-Length: 5\r\n\r\nhell"),
    ]
}

fn malformed() -> Vec<Row> {
    let value = |name, value: &str| {
        refused(name, format!("HTTP/1.1 200 OK\r\nContent-Length: {value}\r\n\r\nhello"), ContentLength)
    };
    let differ =
        |name, fields: &str| refused(name, format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\nhello"), ContentLengthsDiffer);
    vec![
        value("a length with a plus", "+5"),
        value("a negative length", "-5"),
        value("a length with a fraction", "5.0"),
        value("a length in hex", "0x5"),
        value("a length in hex digits", "a"),
        value("a length with an exponent", "1e1"),
        value("a length with an underscore", "5_0"),
        value("a length with a parameter", "5;a=b"),
        value("a length with a blank inside", "5 5"),
        value("a length in words", "five"),
        value("a length in quotes", "\"5\""),
        value("a length in Arabic digits", "٥"),
        value("a length one too large for 64 bits", "18446744073709551616"),
        value("a length of forty digits", "9999999999999999999999999999999999999999"),
        value("an empty length", ""),
        value("an empty list of lengths", ","),
        value("a list of lengths that ends empty", "5,"),
        value("a list of lengths that begins empty", ",5"),
        refused(
            "a good length and a bad one",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: x\r\n\r\nhello",
            ContentLength,
        ),
        differ("two lengths in one list", "Content-Length: 5, 6"),
        differ("two lengths in two fields", "Content-Length: 5\r\nContent-Length: 6"),
        differ("two lengths, fields between", "Content-Length: 5\r\nA: b\r\ncontent-length: 0"),
        differ("lengths that differ by a tenfold", "Content-Length: 5\r\nContent-Length: 50"),
    ]
}
