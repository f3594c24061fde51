//! Frames of HTTP/2 (RFC 9113 section 6) as bytes, for scripts: right ones and
//! wrong ones. Nothing is checked, nothing is remembered: a header block is made
//! of literals only (RFC 7541 section 6.2.2), so that it fits any connection.

/// What a client sends before its first frame.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The length of a frame's head.
pub const HEAD: usize = 9;

/// DATA.
pub const DATA: u8 = 0x0;
/// HEADERS.
pub const HEADERS: u8 = 0x1;
/// RST_STREAM.
pub const RST_STREAM: u8 = 0x3;
/// SETTINGS.
pub const SETTINGS: u8 = 0x4;
/// PUSH_PROMISE.
pub const PUSH_PROMISE: u8 = 0x5;
/// PING.
pub const PING: u8 = 0x6;
/// GOAWAY.
pub const GOAWAY: u8 = 0x7;
/// WINDOW_UPDATE.
pub const WINDOW_UPDATE: u8 = 0x8;
/// CONTINUATION.
pub const CONTINUATION: u8 = 0x9;

/// The flag for an acknowledgement, and for the end of a stream.
pub const END_STREAM: u8 = 0x1;
/// The flag for the end of a header block.
pub const END_HEADERS: u8 = 0x4;

/// The setting for how many streams may be open at once.
pub const MAX_CONCURRENT_STREAMS: u16 = 0x3;
/// The setting for a new stream's window.
pub const INITIAL_WINDOW_SIZE: u16 = 0x4;

/// No error.
pub const NO_ERROR: u32 = 0x0;
/// The rules were broken.
pub const PROTOCOL_ERROR: u32 = 0x1;
/// Something went wrong within.
pub const INTERNAL_ERROR: u32 = 0x2;
/// The stream was not looked at.
pub const REFUSED_STREAM: u32 = 0x7;
/// The stream is not wanted any more.
pub const CANCEL: u32 = 0x8;
/// Too much was asked.
pub const ENHANCE_YOUR_CALM: u32 = 0xb;
/// HTTP/1.1 is wanted.
pub const HTTP_1_1_REQUIRED: u32 = 0xd;

/// Any frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// The server's SETTINGS, without anything or with these.
pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let pair = |&(name, value): &(u16, u32)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
    frame(SETTINGS, 0, 0, &values.iter().flat_map(pair).collect::<Vec<u8>>())
}

/// A whole header block in one frame; `flags` beside END_HEADERS.
pub fn headers(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, flags | END_HEADERS, stream, &block(fields))
}

/// A piece of a body.
pub fn data(stream: u32, flags: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    frame(DATA, flags, stream, bytes.as_ref())
}

/// A status and this body, and the end of the stream.
pub fn answer(stream: u32, status: &str, body: &str) -> Vec<u8> {
    [headers(stream, 0, &[(":status", status)]), data(stream, END_STREAM, body)].concat()
}

/// The end of a stream.
pub fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

/// The end of a connection: `last` is the last stream that was looked at.
pub fn goaway(last: u32, code: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
}

/// A header block.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            integer(&mut bytes, text.len());
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

/// An integer behind a prefix of seven bits (RFC 7541 section 5.1).
fn integer(bytes: &mut Vec<u8>, value: usize) {
    if value < 127 {
        bytes.push(value as u8);
        return;
    }
    bytes.push(127);
    let mut rest = value - 127;
    while rest >= 128 {
        bytes.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    bytes.push(rest as u8);
}
