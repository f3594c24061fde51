//! Any bytes as a multipart body. The first byte says how tight the bounds are and which boundary it has, the second how
//! many of the next bytes are sizes of pieces. One go, pieces and single bytes must give the same parts and the same end;
//! and where there are parts, written anew they are read as the same.

#![no_main]

use gannet_core::Headers;
use gannet_core::multipart::{MultipartError, MultipartLimits, MultipartParser, PartEvent};
use gannet_fuzz::{Fields, pieces};
use libfuzzer_sys::fuzz_target;

type Read = (Vec<(Fields, Vec<u8>)>, Result<(), MultipartError>);

fuzz_target!(|data: &[u8]| {
    let [options, cuts, rest @ ..] = data else { return };
    let (sizes, raw) = rest.split_at(usize::from(cuts & 15).min(rest.len()));
    let limits = match options & 1 {
        0 => MultipartLimits::default(),
        _ => MultipartLimits { max_head: 24, max_fields: 2, max_preamble: 12 },
    };
    let boundary = if options & 2 == 0 { "b" } else { "-- b" };
    let whole = read(limits, boundary, [raw]);
    assert_eq!(read(limits, boundary, pieces(raw, sizes)), whole);
    assert_eq!(read(limits, boundary, raw.chunks(1)), whole);
    assert!(whole.0.iter().all(|(fields, _)| fields.len() <= limits.max_fields));
    let content: usize = whole.0.iter().map(|(_, content)| content.len()).sum();
    assert!(content <= raw.len(), "content from nowhere");
    if whole.1.is_ok() {
        assert_eq!(read(MultipartLimits::default(), boundary, [&written(&whole.0, boundary)[..]]), whole);
    }
});

fn written(parts: &[(Fields, Vec<u8>)], boundary: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for (fields, content) in parts {
        body.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
        for (name, value) in fields {
            body.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        body.extend_from_slice(b"\r\n");
        body.extend_from_slice(content);
    }
    body.extend_from_slice(format!("\r\n--{boundary}--").as_bytes());
    body
}

fn read<'a>(limits: MultipartLimits, boundary: &str, pieces: impl IntoIterator<Item = &'a [u8]>) -> Read {
    let mut parser = MultipartParser::new(boundary, limits).expect("a boundary that fits");
    let mut parts = Vec::new();
    let end = run(&mut parser, &mut parts, pieces);
    if let Err(error) = end {
        assert_eq!(parser.read(b"x").map(|_| ()), Err(error));
        assert_eq!(parser.on_end(), Err(error));
    }
    (parts, end)
}

fn run<'a>(
    parser: &mut MultipartParser,
    parts: &mut Vec<(Fields, Vec<u8>)>,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(), MultipartError> {
    let (mut buffer, mut within) = (Vec::new(), false);
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let (consumed, event) = parser.read(&buffer)?;
            assert!(consumed <= buffer.len(), "more consumed than there was");
            let goes_on = consumed > 0 && !matches!(event, PartEvent::End);
            match event {
                PartEvent::NeedMore | PartEvent::End => {}
                PartEvent::Head(headers) => {
                    assert!(!std::mem::replace(&mut within, true), "a part within a part");
                    parts.push((own(&headers), Vec::new()));
                }
                PartEvent::Data(range) => {
                    assert!(within && !range.is_empty() && range.end <= consumed);
                    let (_, content) = parts.last_mut().expect("content behind its head");
                    content.extend_from_slice(&buffer[range]);
                }
                PartEvent::PartEnd => assert!(std::mem::replace(&mut within, false), "an end without a part"),
            }
            buffer.drain(..consumed);
            if !goes_on {
                break;
            }
        }
    }
    parser.on_end()
}

fn own(headers: &Headers) -> Fields {
    headers.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
}
