//! Transfer-Encoding that two readers could read differently (RFC 9112 §6.1, §6.3 and §11.2).

use gannet_core::h1::ProtocolError::{BothLengths, ContentLength, Field, TransferEncoding};

use crate::wire::row::{Row, answer, refused};

const CHUNKS: &str = "2\r\nok\r\n0\r\n\r\n";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = both();
    rows.extend(codings());
    rows.extend(disguised());
    rows
}

fn with(name: &'static str, lines: &str, error: gannet_core::h1::ProtocolError) -> Row {
    refused(name, format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n{CHUNKS}"), error)
}

fn both() -> Vec<Row> {
    const TAKES_CHUNKS: &str = "it leaves the length out and reads chunks";
    let both = |name, lines: &str| with(name, lines, BothLengths).hyper_differs(TAKES_CHUNKS);
    vec![
        both("a length, then chunks", "Content-Length: 12\r\nTransfer-Encoding: chunked"),
        both("chunks, then a length", "Transfer-Encoding: chunked\r\nContent-Length: 12"),
        both("chunks and length 0", "Transfer-Encoding: chunked\r\nContent-Length: 0"),
        both("chunks and close and a length", "Connection: close\r\nTransfer-Encoding: chunked\r\nContent-Length: 3"),
        with("chunks and a bad length", "Transfer-Encoding: chunked\r\nContent-Length: x", ContentLength)
            .hyper_differs(TAKES_CHUNKS),
        refused(
            "chunks and a length in HTTP/1.0",
            format!("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 12\r\n\r\n{CHUNKS}"),
            BothLengths,
        ),
    ]
}

fn codings() -> Vec<Row> {
    const TO_THE_END: &str = "it reads up to the end, as if no coding were named";
    const LAST_COUNTS: &str = "it looks at the last coding only";
    let coding = |name, value: &str| with(name, &format!("Transfer-Encoding: {value}"), TransferEncoding);
    let twice = |name, lines: &str| with(name, lines, TransferEncoding);
    vec![
        coding("gzip alone", "gzip").hyper_differs(TO_THE_END),
        coding("identity", "identity").hyper_differs(TO_THE_END),
        coding("an unknown coding", "foo").hyper_differs(TO_THE_END),
        coding("chunks that are not last", "chunked, gzip").hyper_differs(TO_THE_END),
        coding("chunks, then identity", "chunked, identity").hyper_differs(TO_THE_END),
        coding("an empty coding", "").hyper_differs(TO_THE_END),
        coding("an empty list of codings", " , ").hyper_differs(TO_THE_END),
        coding("a coding that ends in chunked", "xchunked").hyper_differs(TO_THE_END),
        coding("a coding that begins with chunked", "chunkedx").hyper_differs(TO_THE_END),
        coding("chunked with a parameter", "chunked;a=b").hyper_differs(TO_THE_END),
        coding("chunked in quotes", "\"chunked\"").hyper_differs(TO_THE_END),
        coding("chunked in two words", "chun ked").hyper_differs(TO_THE_END),
        coding("two words without a comma", "identity chunked").hyper_differs(TO_THE_END),
        coding("a tab inside chunked", "chun\tked").hyper_differs(TO_THE_END),
        coding("a no-break space before chunked", "\u{a0}chunked").hyper_differs(TO_THE_END),
        coding("gzip and chunked, which nobody offered", "gzip, chunked").hyper_differs(LAST_COUNTS),
        coding("chunked twice in a list", "chunked, chunked").hyper_differs(LAST_COUNTS),
        twice("chunked twice in two fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")
            .hyper_differs(LAST_COUNTS),
        twice("chunked, then identity in two fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity")
            .hyper_differs(TO_THE_END),
        twice("identity, then chunked in two fields", "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked")
            .hyper_differs(LAST_COUNTS),
        twice("another coding and a length", "Transfer-Encoding: gzip\r\nContent-Length: 12").hyper_differs(TO_THE_END),
        refused(
            "chunks in HTTP/1.0",
            format!("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{CHUNKS}"),
            TransferEncoding,
        ),
        refused(
            "chunks in HTTP/1.0 with keep-alive",
            format!("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n{CHUNKS}"),
            TransferEncoding,
        ),
    ]
}

/// A field that one reader takes for Transfer-Encoding and another does not.
fn disguised() -> Vec<Row> {
    let length = |lines: &str| format!("Content-Length: 12\r\n{lines}");
    vec![
        with("chunks with a blank before the colon", &length("Transfer-Encoding : chunked"), Field),
        with("chunks on a folded line", &length("Transfer-Encoding:\r\n chunked"), Field),
        with("chunks behind a fold", &length("A: b\r\n Transfer-Encoding: chunked"), Field),
        with("chunks with a vertical tab", &length("Transfer-Encoding: \x0bchunked"), Field),
        with("chunks with NUL", &length("Transfer-Encoding: chunked\0"), Field),
        with("chunks behind a bare CR", &length("A: b\rTransfer-Encoding: chunked"), Field),
        with("chunks in a name with NUL", &length("Transfer-Encoding\0: chunked"), Field),
        with("a line of its own before chunks", &length("\rTransfer-Encoding: chunked"), Field),
        // A bare LF is a line's end, so this is a second field, and both lengths are seen.
        with("chunks behind a bare LF", &length("A: b\nTransfer-Encoding: chunked"), BothLengths)
            .hyper_differs("it leaves the length out and reads chunks"),
        answer(
            "chunks as a field of another name",
            format!("HTTP/1.1 200 OK\r\nContent-Length: 12\r\nX-Transfer-Encoding: chunked\r\n\r\n{CHUNKS}"),
            200,
            CHUNKS,
        ),
        answer(
            "a content coding is no transfer coding",
            format!("HTTP/1.1 200 OK\r\nContent-Length: 12\r\nContent-Encoding: chunked\r\n\r\n{CHUNKS}"),
            200,
            CHUNKS,
        ),
    ]
}
