//! Any bytes as what a proxy says while a tunnel is opened. The first byte says which kind of proxy and whether there are
//! credentials, the second how many of the next bytes are sizes of pieces. One go, pieces and single bytes must come to
//! the same, and a tunnel is open behind a whole answer that says so, and nothing else.

#![no_main]

use gannet_core::Headers;
use gannet_core::proxy::{Handshake, ProxyCredentials, ProxyScheme, Target, TunnelError};
use gannet_fuzz::pieces;
use libfuzzer_sys::fuzz_target;
use url::Host;

/// What was written, how much was read, and whether that opened the tunnel.
type Opened = (Vec<u8>, Result<usize, TunnelError>);

fuzz_target!(|data: &[u8]| {
    let [options, cuts, rest @ ..] = data else { return };
    let (sizes, raw) = rest.split_at(usize::from(cuts & 15).min(rest.len()));
    let whole = open(*options, [raw]);
    assert_eq!(open(*options, pieces(raw, sizes)), whole);
    assert_eq!(open(*options, raw.chunks(1)), whole);
    if let (written, Ok(read)) = whole {
        // Bytes behind the answer would be taken for the server's.
        assert_eq!(read, raw.len());
        match options & 3 {
            0 | 1 => check_connect(raw),
            2 => assert!(raw.len() == 8 && raw[..2] == [0, 90]),
            _ => check_socks5(raw, &written, options & 4 != 0),
        }
    }
});

fn open<'a>(options: u8, pieces: impl IntoIterator<Item = &'a [u8]>) -> Opened {
    let mut handshake = start(options);
    let mut written = handshake.poll_output().expect("the client speaks first");
    let (mut buffer, mut read, mut open) = (Vec::new(), 0, false);
    for piece in pieces {
        if open && !piece.is_empty() {
            return (written, Err(TunnelError::Surplus));
        }
        buffer.extend_from_slice(piece);
        while !open {
            let consumed = match handshake.on_bytes(&buffer) {
                Ok((consumed, is_open)) => {
                    open = is_open;
                    consumed
                }
                Err(error) => return (written, Err(error)),
            };
            assert!(consumed <= buffer.len(), "more consumed than there was");
            read += consumed;
            buffer.drain(..consumed);
            written.extend(handshake.poll_output().unwrap_or_default());
            if consumed == 0 {
                break;
            }
        }
    }
    let end = if open { Ok(read) } else { Err(handshake.on_eof(&buffer)) };
    (written, end)
}

fn start(options: u8) -> Handshake {
    let target = Target { host: Host::Domain("test.com"), port: 443 };
    let credentials = ProxyCredentials { user: "me".to_owned(), password: "pw".to_owned() };
    let made = match options & 3 {
        0 | 1 => Some(Handshake::connect(&target, &Headers::new())),
        2 => Handshake::socks(ProxyScheme::Socks4a, &target, None),
        _ => Handshake::socks(ProxyScheme::Socks5h, &target, (options & 4 != 0).then_some(&credentials)),
    };
    made.expect("these speak SOCKS").expect("such a target can be told")
}

/// The last head is a 2xx, all before it are interim, and it ends with the bytes.
fn check_connect(raw: &[u8]) {
    let mut rest = raw;
    loop {
        let mut fields = [httparse::EMPTY_HEADER; 100];
        let mut response = httparse::Response::new(&mut fields);
        let Ok(httparse::Status::Complete(length)) = response.parse(rest) else { panic!("no head") };
        rest = &rest[length..];
        match response.code {
            Some(200..=299) => return assert!(rest.is_empty()),
            Some(100 | 102..=199) => {}
            other => panic!("{other:?} opens no tunnel"),
        }
    }
}

/// Method, perhaps the verdict on the credentials, then the reply (RFC 1928 §6), to its last byte.
fn check_socks5(raw: &[u8], written: &[u8], has_credentials: bool) {
    let asked = b"\x05\x01\x00\x03\x08test.com\x01\xbb";
    let (reply, told) = match raw {
        [5, 0, reply @ ..] => (reply, &b""[..]),
        [5, 2, 1 | 5, 0, reply @ ..] if has_credentials => (reply, &b"\x01\x02me\x02pw"[..]),
        _ => panic!("no method that was offered: {raw:?}"),
    };
    let methods: &[u8] = if has_credentials { &[5, 2, 0, 2] } else { &[5, 1, 0] };
    assert_eq!(written, [methods, told, asked].concat());
    let address = match reply {
        [5, 0, _, 1, ..] => 4,
        [5, 0, _, 3, length, ..] => 1 + usize::from(*length),
        [5, 0, _, 4, ..] => 16,
        _ => panic!("no reply: {reply:?}"),
    };
    assert_eq!(reply.len(), 4 + address + 2);
}
