//! What holds for any bytes of a proxy and any text of a user.

use ::url::Host;
use proptest::prelude::*;

use super::*;
use crate::headers::Headers;

fn opening(kind: usize) -> Handshake {
    let target = Target { host: Host::Domain("a.test"), port: 443 };
    let who = ProxyCredentials { user: "me".to_owned(), password: "pw".to_owned() };
    let made = match kind {
        0 => Handshake::connect(&target, &Headers::new()),
        1 => Handshake::socks(ProxyScheme::Socks5h, &target, None).unwrap(),
        2 => Handshake::socks(ProxyScheme::Socks5h, &target, Some(&who)).unwrap(),
        _ => Handshake::socks(ProxyScheme::Socks4a, &target, None).unwrap(),
    };
    made.unwrap()
}

/// Where in the answer the tunnel was open; the bytes come in pieces of these sizes, and then no more.
fn played(kind: usize, answer: &[u8], sizes: &[usize]) -> Result<usize, TunnelError> {
    let mut handshake = opening(kind);
    let mut sizes = sizes.iter().cycle();
    let (mut start, mut end) = (0, 0);
    loop {
        while handshake.poll_output().is_some() {}
        let (consumed, open) = handshake.on_bytes(&answer[start..end])?;
        assert!(consumed <= end - start, "consumed what was not there");
        start += consumed;
        match (open, consumed) {
            (true, _) => {
                assert_eq!(start, end, "more came behind the answer");
                return Ok(start);
            }
            (false, 0) if end == answer.len() => return Err(handshake.on_eof(&answer[start..])),
            (false, 0) => end = (end + sizes.next().unwrap()).min(answer.len()),
            (false, _) => {}
        }
    }
}

/// Answers that are nearly right come further than noise.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    const PARTS: [&[u8]; 14] = [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 407 No\r\n",
        b"HTTP/1.1 103 Early\r\n\r\n",
        b"A: b\r\n",
        b"\r\n",
        b"\n",
        &[5, 0],
        &[5, 2],
        &[1, 0],
        &[5, 0, 0, 1],
        &[5, 0, 0, 3, 2],
        &[0, 90],
        &[0, 0, 0, 0, 0, 0],
        &[5],
    ];
    let part = prop_oneof![
        4 => prop::sample::select(PARTS.to_vec()).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(part, 0..7).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn how_an_answer_is_cut_does_not_decide_what_it_says(
        kind in 0usize..4,
        answer in answers(),
        sizes in prop::collection::vec(1usize..9, 1..6),
    ) {
        let whole = played(kind, &answer, &[answer.len().max(1)]);
        for parts in [played(kind, &answer, &[1]), played(kind, &answer, &sizes)] {
            match (whole, parts) {
                // In pieces it may be open before the surplus comes, which then is the tunnel's.
                (Err(TunnelError::Surplus), Ok(at)) => prop_assert!(at < answer.len()),
                _ => prop_assert_eq!(whole, parts),
            }
        }
    }

    #[test]
    fn what_was_read_reads_back_as_it_is_shown(
        text in "(https?://|socks(4a?|5|5h)://)?([a-z]{1,3}(:[a-z%4]{0,3})?@)?[\\[\\]a-zA-Z0-9.:*/%_-]{0,20}(:[0-9]{0,5})?/?",
    ) {
        if let Ok(proxy) = text.parse::<ProxyUrl>() {
            let shown = proxy.to_string();
            let again: ProxyUrl = shown.parse().unwrap();
            prop_assert_eq!((again.to_string(), again.port()), (shown, proxy.port()));
        }
        let lenient = NoProxy::lenient(&text);
        prop_assert_eq!(&lenient.to_string().parse::<NoProxy>().unwrap(), &lenient);
        if let Ok(strict) = text.parse::<NoProxy>() {
            prop_assert_eq!(strict, lenient);
        }
    }
}
