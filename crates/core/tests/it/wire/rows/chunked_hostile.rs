//! Chunked bodies that are refused: where two readers could disagree on a chunk's end, nobody guesses.

use gannet_core::h1::ProtocolError::{ChunkEnd, ChunkSize, EofInBody, Trailer};

use crate::wire::row::{Row, refused};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = sizes();
    rows.extend(ends());
    rows.extend(trailers());
    rows.extend(short());
    rows
}

const HEAD: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

fn sizes() -> Vec<Row> {
    let size = |name, line: &str| refused(name, format!("{HEAD}{line}\r\nhello\r\n0\r\n\r\n"), ChunkSize);
    const ANYTHING: &str = "it lets any byte but CR and LF stand in an extension";
    vec![
        size("no size", ""),
        size("a size of letters", "five"),
        size("a size with 0x", "0x5"),
        size("a size with a plus", "+5"),
        size("a negative size", "-5"),
        size("a blank before a size", " 5"),
        size("a size with an underscore", "0_5"),
        size("two sizes on a line", "5 5"),
        size("a size with a point", "5.0"),
        size("a size in quotes", "\"5\""),
        size("a size with a comma", "5,a"),
        size("a vertical tab behind a size", "5\x0b"),
        size("NUL behind a size", "5\0"),
        size("a size above 64 bits", "10000000000000005"),
        size("a size of seventeen digits", "00000000000000005").hyper_differs("it takes any number of zeros"),
        size("a size of forty digits", "ffffffffffffffffffffffffffffffffffffffff"),
        size("NUL in an extension", "5;a\0").hyper_differs(ANYTHING),
        size("ESC in an extension", "5;\x1b").hyper_differs(ANYTHING),
        size("DEL in an extension", "5;\x7f").hyper_differs(ANYTHING),
        size("a bare CR in an extension", "5;a\rb"),
        size("a bare CR behind a size", "5\rb"),
        size("two CRs behind a size", "5\r"),
        size("a bare LF in an extension", "5;a\nb"),
        refused("a bare LF behind a size", format!("{HEAD}5\nhello\r\n0\r\n\r\n"), ChunkSize),
        refused("a bare LF behind the last size", format!("{HEAD}0\n\r\n"), ChunkSize),
        refused("a bare LF behind an extension", format!("{HEAD}5;a\nhello\r\n0\r\n\r\n"), ChunkSize),
        refused("a body that is not chunked at all", format!("{HEAD}<html>"), ChunkSize),
        refused("an empty line between chunks", format!("{HEAD}2\r\nok\r\n\r\n0\r\n\r\n"), ChunkSize),
    ]
}

fn ends() -> Vec<Row> {
    let end = |name, chunks: &str| refused(name, format!("{HEAD}{chunks}"), ChunkEnd);
    vec![
        end("a chunk longer than its size", "4\r\nhello\r\n0\r\n\r\n"),
        end("a chunk shorter than its size", "6\r\nhello\r\n0\r\n\r\n"),
        end("a bare LF behind a chunk", "5\r\nhello\n0\r\n\r\n"),
        end("a bare CR behind a chunk", "5\r\nhello\r0\r\n\r\n"),
        end("no line end behind a chunk", "5\r\nhello0\r\n\r\n"),
        end("two CRs behind a chunk", "5\r\nhello\r\r\n0\r\n\r\n"),
    ]
}

fn trailers() -> Vec<Row> {
    let trailer = |name, lines: &str| refused(name, format!("{HEAD}2\r\nok\r\n0\r\n{lines}\r\n"), Trailer);
    vec![
        trailer("a trailer without a colon", "A\r\n"),
        trailer("a trailer without a name", ": 1\r\n"),
        trailer("a blank before a trailer's colon", "A : 1\r\n"),
        trailer("a folded trailer", "A: 1\r\n 2\r\n"),
        trailer("a trailer that begins with a blank", " A: 1\r\n"),
        trailer("a bare LF behind a trailer", "A: 1\nB: 2\r\n"),
        trailer("a bare CR in a trailer", "A: 1\rB: 2\r\n"),
        trailer("NUL in a trailer", "A: \0\r\n"),
        trailer("a letter above ASCII in a trailer's name", "ä: 1\r\n"),
        trailer("another response for a trailer", "HTTP/1.1 200 OK\r\n"),
        refused("a bare LF for the last line", format!("{HEAD}0\r\n\n"), Trailer),
        refused("a CR alone on the last line", format!("{HEAD}0\r\n\rx"), Trailer),
        refused("a chunk behind the last one", format!("{HEAD}0\r\n2\r\nok\r\n0\r\n\r\n"), Trailer),
    ]
}

fn short() -> Vec<Row> {
    let short = |name, chunks: &str| refused(name, format!("{HEAD}{chunks}"), EofInBody).closes();
    vec![
        short("the end before any chunk", ""),
        short("the end inside a size", "5"),
        short("the end inside an extension", "5;a"),
        short("the end inside a size's line end", "5\r"),
        short("the end behind a size", "5\r\n"),
        short("the end inside a chunk", "5\r\nhel"),
        short("the end behind a chunk's bytes", "5\r\nhello"),
        short("the end behind a chunk", "5\r\nhello\r\n"),
        short("the end inside the last size", "5\r\nhello\r\n0"),
        short("the end behind the last size", "5\r\nhello\r\n0\r\n"),
        short("the end inside the last line", "5\r\nhello\r\n0\r\n\r"),
        short("the end inside a trailer", "5\r\nhello\r\n0\r\nA: "),
        short("the end behind a trailer", "5\r\nhello\r\n0\r\nA: 1\r\n"),
        short("the end inside the largest chunk there is", "ffffffffffffffff\r\nhello"),
    ]
}
