//! A request's head on its way out: one buffer, so that head and a small body leave in one write.

use std::ops::Range;

use crate::decimal::write_decimal;
use crate::headers::Headers;

/// How the request's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestBody {
    /// None; no length is written.
    None,
    /// None, but the method gives a body meaning (POST, PUT, PATCH): `Content-Length: 0` is written
    /// (RFC 9110 §8.6).
    Empty,
    /// This many bytes follow.
    Length(u64),
    /// Chunks follow, made by [`write_chunk`] and [`write_last_chunk`].
    Chunked,
}

/// What stands in a request's head. Method, target and host are the caller's to check: they go out as they are.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    /// The method, a token.
    pub method: &'a str,
    /// Origin form (`/path?query`) or absolute form.
    pub target: (&'a str, Option<&'a str>),
    /// The Host field's value, in two parts so that it need not be put together: name, and port if not the default.
    pub host: (&'a str, Option<u16>),
    /// The request's own fields; a `Host` among them takes the place of `host`.
    /// Content-Length and Transfer-Encoding are left out: `body` decides them.
    pub headers: &'a Headers,
    /// A block of ready field lines, each with its CRLF: a session's defaults that no own field replaces.
    pub block: &'a [u8],
    /// How the body is framed.
    pub body: RequestBody,
}

/// Appends the head to `out`, the empty line included.
pub fn write_head(out: &mut Vec<u8>, head: &RequestHead<'_>) {
    out.extend_from_slice(head.method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(head.target.0.as_bytes());
    if let Some(query) = head.target.1 {
        out.push(b'?');
        out.extend_from_slice(query.as_bytes());
    }
    out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
    match head.headers.get_bytes("host") {
        Some(own) => out.extend_from_slice(own),
        None => {
            out.extend_from_slice(head.host.0.as_bytes());
            if let Some(port) = head.host.1 {
                out.push(b':');
                write_decimal(out, u64::from(port));
            }
        }
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(head.block);
    for (name, value) in head.headers.iter() {
        if is_framing_field(name) {
            continue;
        }
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    match head.body {
        RequestBody::None => {}
        RequestBody::Empty => out.extend_from_slice(b"content-length: 0\r\n"),
        RequestBody::Length(length) => {
            out.extend_from_slice(b"content-length: ");
            write_decimal(out, length);
            out.extend_from_slice(b"\r\n");
        }
        RequestBody::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends one chunk (RFC 9112 §7.1); where the data then stands in `out`. Empty data is left out: an empty chunk would
/// end the body.
pub fn write_chunk(out: &mut Vec<u8>, data: &[u8]) -> Range<usize> {
    if data.is_empty() {
        return out.len()..out.len();
    }
    out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
    let start = out.len();
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
    start..start + data.len()
}

/// Appends the end of a chunked body, without trailers.
pub fn write_last_chunk(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n\r\n");
}

fn is_framing_field(name: &str) -> bool {
    match name.len() {
        4 => name.eq_ignore_ascii_case("host"),
        14 => name.eq_ignore_ascii_case("content-length"),
        17 => name.eq_ignore_ascii_case("transfer-encoding"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(headers: &Headers, body: RequestBody) -> String {
        let mut out = Vec::new();
        let target = ("/a", Some("b=c"));
        let head =
            RequestHead { method: "POST", target, host: ("h", Some(8080)), headers, block: b"accept: */*\r\n", body };
        write_head(&mut out, &head);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_head_is_line_host_block_fields_framing() {
        let mut headers = Headers::new();
        headers.append("X-A", "1").unwrap();
        assert_eq!(
            written(&headers, RequestBody::Length(120)),
            "POST /a?b=c HTTP/1.1\r\nhost: h:8080\r\naccept: */*\r\nX-A: 1\r\ncontent-length: 120\r\n\r\n"
        );
    }

    #[test]
    fn own_host_replaces_and_own_framing_is_left_out() {
        let mut headers = Headers::new();
        headers.append("Host", "other").unwrap();
        headers.append("Content-Length", "7").unwrap();
        headers.append("Transfer-Encoding", "chunked").unwrap();
        assert_eq!(
            written(&headers, RequestBody::Empty),
            "POST /a?b=c HTTP/1.1\r\nhost: other\r\naccept: */*\r\ncontent-length: 0\r\n\r\n"
        );
    }

    #[test]
    fn chunks_are_hex_sized_and_never_empty() {
        let mut out = Vec::new();
        write_chunk(&mut out, &[b'x'; 26]);
        write_chunk(&mut out, b"");
        write_last_chunk(&mut out);
        assert_eq!(out, [b"1a\r\n".as_slice(), &[b'x'; 26], b"\r\n0\r\n\r\n"].concat());
    }
}
