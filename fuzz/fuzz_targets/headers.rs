//! Any fields, one a line as `name=value`, put into a list and written out as a request: what was taken is found
//! again, and a parser that is not ours reads the written head back as exactly those fields.

#![no_main]

use gannet_core::Headers;
use gannet_core::h1::{RequestBody, RequestHead, write_head};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut headers = Headers::new();
    let mut taken: Vec<(String, Vec<u8>)> = Vec::new();
    // Lines end in 0xff here, so that CR, LF and NUL can stand in names and values.
    for line in data.split(|&byte| byte == 0xff) {
        let at = line.iter().position(|&byte| byte == b'=').unwrap_or(line.len());
        let Ok(name) = std::str::from_utf8(&line[..at]) else { continue };
        let value = line.get(at + 1..).unwrap_or_default();
        match line.len() % 5 {
            0 => {
                headers.remove(name);
                taken.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            }
            1 => {
                if headers.set(name, value).is_ok() {
                    taken.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
                    taken.push((name.to_owned(), trimmed(value)));
                }
            }
            _ => {
                if headers.append(name, value).is_ok() {
                    taken.push((name.to_owned(), trimmed(value)));
                }
            }
        }
    }
    check_list(&headers, &taken);
    check_written(&headers, &taken);
});

fn check_list(headers: &Headers, taken: &[(String, Vec<u8>)]) {
    assert!(headers.iter().eq(taken.iter().map(|(name, value)| (&name[..], &value[..]))));
    for (name, _) in taken {
        let same = |(known, _): &&(String, Vec<u8>)| known.eq_ignore_ascii_case(name);
        let first = taken.iter().find(same).map(|(_, value)| &value[..]);
        assert_eq!(headers.get_bytes(&name.to_ascii_uppercase()), first);
        assert_eq!(headers.get_all(name).count(), taken.iter().filter(same).count());
    }
}

fn check_written(headers: &Headers, taken: &[(String, Vec<u8>)]) {
    let head = RequestHead {
        method: "GET",
        target: ("/", None),
        host: ("h", None),
        headers,
        block: b"",
        body: RequestBody::Length(1),
    };
    let mut out = Vec::new();
    write_head(&mut out, &head);
    let mut fields = vec![httparse::EMPTY_HEADER; taken.len() + 2];
    let mut request = httparse::Request::new(&mut fields);
    assert_eq!(request.parse(&out), Ok(httparse::Status::Complete(out.len())));
    let host = headers.get_bytes("host").unwrap_or(b"h");
    let own = taken.iter().filter(|(name, _)| !is_framing(name));
    let expected = std::iter::once(("host", host))
        .chain(own.map(|(name, value)| (&name[..], &value[..])))
        .chain([("content-length", &b"1"[..])]);
    assert!(request.headers.iter().map(|field| (field.name, field.value)).eq(expected));
}

fn is_framing(name: &str) -> bool {
    ["host", "content-length", "transfer-encoding"].iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn trimmed(value: &[u8]) -> Vec<u8> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |at| at + 1);
    value[start..end].to_vec()
}
