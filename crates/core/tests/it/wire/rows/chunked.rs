//! Chunked bodies and their trailers that are read (RFC 9112 §7.1).

use crate::wire::row::{Row, answer};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = sizes();
    rows.extend(extensions());
    rows.extend(trailers());
    rows
}

fn chunked(name: &'static str, chunks: &str, body: &str) -> Row {
    answer(name, format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"), 200, body)
}

fn sizes() -> Vec<Row> {
    let long = format!("7D0\r\n{}\r\n0\r\n\r\n", "c".repeat(2000));
    vec![
        chunked("one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello"),
        chunked("three chunks", "5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n", "hello world"),
        chunked("no chunk but the last", "0\r\n\r\n", ""),
        chunked("a size in small hex", "a\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        chunked("a size in large hex", "A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        chunked("a size of two digits", "1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n", "abcdefghijklmnopqrstuvwxyz"),
        chunked("a size of three digits", &long, &"c".repeat(2000)),
        chunked("a size with leading zeros", "0005\r\nhello\r\n0\r\n\r\n", "hello"),
        chunked("a size of sixteen digits", "0000000000000005\r\nhello\r\n0\r\n\r\n", "hello"),
        chunked("a last chunk of many zeros", "1\r\nx\r\n0000\r\n\r\n", "x"),
        chunked("chunks that look like framing", "7\r\n\r\n0\r\n\r\n\r\n2\r\n\r\n\r\n0\r\n\r\n", "\r\n0\r\n\r\n\r\n"),
        answer(
            "chunks of other bytes",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\0\xff\r\r\n0\r\n\r\n",
            200,
            b"\0\xff\r",
        ),
        answer(
            "the coding in capitals",
            "HTTP/1.1 200 OK\r\nTRANSFER-ENCODING: CHUNKED\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            200,
            "ok",
        ),
        answer(
            "empty members beside the coding",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: , chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            200,
            "ok",
        ),
        chunked("chunks, then the end", "2\r\nok\r\n0\r\n\r\n", "ok").closes(),
        chunked("more behind the last chunk", "2\r\nok\r\n0\r\n\r\n\r\n", "ok").surplus(2),
        answer(
            "an error page in chunks",
            "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbusy\r\n0\r\n\r\n",
            503,
            "busy",
        ),
    ]
}

fn extensions() -> Vec<Row> {
    vec![
        chunked("an extension", "2;a\r\nok\r\n0\r\n\r\n", "ok"),
        chunked("an extension with a value", "2;a=b\r\nok\r\n0\r\n\r\n", "ok"),
        chunked("an extension in quotes", "2;a=\"b;\\\"c\"\r\nok\r\n0\r\n\r\n", "ok"),
        chunked("several extensions", "2;a=b;c;d=e\r\nok\r\n0\r\n\r\n", "ok"),
        chunked("blanks around an extension", "2 \t; a = b \r\nok\r\n0\r\n\r\n", "ok"),
        chunked("an extension that looks like a size", "2;5\r\nok\r\n0\r\n\r\n", "ok"),
        chunked("an extension of the last chunk", "2\r\nok\r\n0;a=b\r\n\r\n", "ok"),
        chunked("UTF-8 in an extension", "2;ä\r\nok\r\n0\r\n\r\n", "ok"),
        // Against the grammar and harmless: the line's end is where everybody sees it.
        chunked("an empty extension", "2;\r\nok\r\n0\r\n\r\n", "ok"),
        chunked("blanks behind a size", "2 \t \r\nok\r\n0  \r\n\r\n", "ok"),
    ]
}

fn trailers() -> Vec<Row> {
    vec![
        chunked("a trailer", "2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n", "ok").trailers(&[("X-Sum", "1")]),
        chunked("several trailers", "2\r\nok\r\n0\r\nA: 1\r\nb: 2\r\nA: 3\r\n\r\n", "ok").trailers(&[
            ("A", "1"),
            ("b", "2"),
            ("A", "3"),
        ]),
        chunked("a trailer without a value", "0\r\nA:\r\n\r\n", "").trailers(&[("A", "")]),
        chunked("blanks around a trailer's value", "0\r\nA: \t1 \r\n\r\n", "").trailers(&[("A", "1")]),
        chunked("trailers and a surplus", "0\r\nA: 1\r\n\r\nxyz", "").trailers(&[("A", "1")]).surplus(3),
        chunked("trailers, then the end", "0\r\nA: 1\r\n\r\n", "").trailers(&[("A", "1")]).closes(),
        // RFC 9110 §6.5.1: these have no say behind the body.
        chunked(
            "trailers that frame, route or authenticate are dropped",
            "2\r\nok\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: gzip\r\nA: 1\r\nSet-Cookie: a=b\r\n\
             Authorization: x\r\nHost: h\r\nContent-Type: a/b\r\nTrailer: A\r\n\r\n",
            "ok",
        )
        .trailers(&[("A", "1")])
        .hyper_differs("it hands out every trailer"),
        chunked("only trailers that are dropped", "0\r\nContent-Length: 9\r\n\r\n", "")
            .hyper_differs("it hands out every trailer"),
    ]
}
