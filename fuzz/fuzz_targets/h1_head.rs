//! Any bytes as a whole connection. The first byte says whether the request was HEAD, whether it asked for another
//! protocol, and how tight the limits are, the second how many of the next bytes are sizes of pieces. One go, pieces and
//! single bytes must agree, and where the body ends must be what the head's fields say (RFC 9112 §6.3), read once more.

#![no_main]

use gannet_core::h1::{BodyFraming, HeadLimits, RequestKind};
use gannet_fuzz::{Head, pieces, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [options, cuts, rest @ ..] = data else { return };
    let (sizes, raw) = rest.split_at(usize::from(cuts & 15).min(rest.len()));
    let request = RequestKind { head: options & 1 != 0, upgrade: options & 8 != 0 };
    let limits = match options & 6 {
        0 => HeadLimits { max_bytes: 64, max_fields: 2 },
        2 => HeadLimits { max_bytes: 256 << 10, max_fields: 1000 },
        _ => HeadLimits::default(),
    };
    let whole = read(request, limits, [raw]);
    assert_eq!(read(request, limits, pieces(raw, sizes)), whole);
    assert_eq!(read(request, limits, raw.chunks(1)), whole);
    if let Some(head) = &whole.head {
        assert!((200..1000).contains(&head.status) || (request.upgrade && head.status == 101));
        assert!(head.fields.len() <= limits.max_fields.min(100));
        let clean = |byte: &u8| !matches!(byte, b'\r' | b'\n' | 0);
        assert!(head.fields.iter().all(|(_, value)| value.iter().all(clean)));
        let bytes: usize =
            head.fields.iter().chain(&whole.trailers).map(|(name, value)| name.len() + value.len()).sum();
        assert!(bytes <= limits.max_bytes && whole.trailers.len() <= limits.max_fields.min(100));
        check_framing(head, request);
        assert!(whole.end.is_ok() || head.framing != BodyFraming::UntilClose);
    }
});

fn check_framing(head: &Head, request: RequestKind) {
    let values = |wanted: &str| -> Vec<String> {
        let named = head.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        let parts = named.flat_map(|(_, value)| value.split(|&byte| byte == b','));
        parts.map(|part| String::from_utf8_lossy(part.trim_ascii()).to_ascii_lowercase()).collect()
    };
    let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
    let lengths: Vec<u64> = lengths.iter().map(|length| length.parse().expect("a length is a number")).collect();
    assert!(lengths.windows(2).all(|pair| pair[0] == pair[1]), "two lengths");
    assert!(lengths.is_empty() || codings.is_empty(), "two ways to end");
    let named: Vec<&String> = codings.iter().filter(|coding| !coding.is_empty()).collect();
    assert!(codings.is_empty() || named == ["chunked"], "a coding that nobody can undo");
    let expected = match (&lengths[..], &codings[..]) {
        _ if request.head || matches!(head.status, 101 | 204 | 304) => BodyFraming::None,
        (_, [_, ..]) => BodyFraming::Chunked,
        ([], []) => BodyFraming::UntilClose,
        ([0, ..], _) => BodyFraming::None,
        ([length, ..], _) => BodyFraming::Length(*length),
    };
    assert_eq!(head.framing, expected);
    let closes = values("connection").iter().any(|option| option == "close");
    assert!(!head.persists || !(closes || expected == BodyFraming::UntilClose));
}
