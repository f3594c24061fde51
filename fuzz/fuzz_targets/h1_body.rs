//! Any bytes as a body. The first byte chooses the framing, the second how many of the next bytes are sizes of
//! pieces. One go, pieces and single bytes must agree; a body by length is checked against its length, and a chunked one
//! that is whole against a plainer reading of RFC 9112 §7.1.

#![no_main]

use gannet_core::h1::{HeadLimits, ProtocolError, RequestKind};
use gannet_fuzz::{Outcome, pieces, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [framing, cuts, rest @ ..] = data else { return };
    let (sizes, body) = rest.split_at(usize::from(cuts & 15).min(rest.len()));
    let length = usize::from(framing >> 2);
    let head = match framing & 3 {
        0 => format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"),
        1 => "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
        _ => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
    };
    let drive = |body: Vec<&[u8]>| {
        let raw = std::iter::once(head.as_bytes()).chain(body);
        read(RequestKind::default(), HeadLimits::default(), raw)
    };
    let whole = drive(vec![body]);
    assert_eq!(drive(pieces(body, sizes)), whole);
    assert_eq!(drive(body.chunks(1).collect()), whole);
    match framing & 3 {
        0 => check_length(&whole, body, length),
        1 => assert_eq!((&whole.body[..], whole.end), (body, Ok((false, 0)))),
        _ => check_chunks(&whole, body),
    }
});

fn check_chunks(whole: &Outcome, body: &[u8]) {
    assert!(whole.body.len() <= body.len());
    if let Ok((_, surplus)) = whole.end {
        let read = chunks(body);
        assert_eq!(read.map(|(data, rest)| (data, rest.len())), Some((whole.body.clone(), surplus)));
    }
}

/// The data of all chunks, and what stands behind the trailers.
fn chunks(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut data = Vec::new();
    loop {
        let size = line(&mut rest)?.split(|byte| b"; \t".contains(byte)).next()?;
        let size = size.iter().all(u8::is_ascii_hexdigit).then(|| std::str::from_utf8(size).ok())??;
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            break;
        }
        data.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
    while !line(&mut rest)?.is_empty() {}
    Some((data, rest))
}

/// Takes a line up to its CRLF away from the front.
fn line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    let line = &rest[..end];
    *rest = &rest[end + 2..];
    Some(line)
}

fn check_length(whole: &Outcome, body: &[u8], length: usize) {
    assert_eq!(whole.body, body[..length.min(body.len())]);
    let end = match body.len().checked_sub(length) {
        Some(surplus) => Ok((surplus == 0, surplus)),
        None => Err(ProtocolError::EofInBody),
    };
    assert_eq!(whole.end, end);
}
