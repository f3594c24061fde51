//! Any bytes as a whole connection. The first byte says whether the request was HEAD, whether it asked for another
//! protocol, and how tight the limits are, the second how many of the next bytes are sizes of pieces. One go, pieces and single bytes must agree.

#![no_main]

use gannet_core::h1::{HeadLimits, RequestKind};
use gannet_fuzz::{pieces, read};
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
    }
});
