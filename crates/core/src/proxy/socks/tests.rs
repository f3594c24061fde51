use super::*;
use crate::error::ErrorKind;
use crate::proxy::{Handshake, ProxyScheme};

fn target<'a>(host: &'a str, port: u16) -> Target<'a> {
    let host = match host.parse() {
        Ok(IpAddr::V4(ip)) => Host::Ipv4(ip),
        Ok(IpAddr::V6(ip)) => Host::Ipv6(ip),
        Err(_) => Host::Domain(host),
    };
    Target { host, port }
}

fn person(user: &str, password: &str) -> ProxyCredentials {
    ProxyCredentials { user: user.to_owned(), password: password.to_owned() }
}

fn handshake(scheme: ProxyScheme, host: &str, who: Option<&ProxyCredentials>) -> Result<Handshake, TunnelError> {
    Handshake::socks(scheme, &target(host, 443), who).unwrap()
}

/// Plays a dialogue: what we say, what the proxy answers, in pieces of this many bytes.
fn played(mut handshake: Handshake, dialogue: &[(&[u8], &[u8])], piece: usize) -> Result<bool, TunnelError> {
    let mut open = false;
    for (said, answer) in dialogue {
        assert_eq!(handshake.poll_output().as_deref(), Some(*said));
        assert_eq!(handshake.poll_output(), None);
        let mut unread: Vec<u8> = Vec::new();
        for bytes in answer.chunks(piece) {
            assert!(!open, "more was wanted after the end");
            unread.extend_from_slice(bytes);
            let consumed;
            (consumed, open) = handshake.on_bytes(&unread)?;
            unread.drain(..consumed);
        }
        assert!(unread.is_empty() || !open);
    }
    assert_eq!(handshake.poll_output(), None);
    Ok(open)
}

const V5: ProxyScheme = ProxyScheme::Socks5h;
const NAMED: &[u8] = b"\x05\x01\x00\x03\x06a.test\x01\xbb";
const HELLO: (&[u8], &[u8]) = (&[5, 1, 0], &[5, 0]);

#[test]
fn names_and_addresses_are_asked_for_in_their_forms() {
    let six: &[u8] = &[5, 1, 0, 4, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 1, 0xbb];
    for (host, request) in [("a.test", NAMED), ("10.1.2.3", &[5, 1, 0, 1, 10, 1, 2, 3, 1, 0xbb]), ("2001:db8::7", six)]
    {
        for answer in [
            &[5, 0, 0, 1, 127, 0, 0, 1, 0x1f, 0x90][..],
            &[5, 0, 0, 3, 4, b'h', b'o', b's', b't', 0, 80],
            &[5, 0, 0, 3, 0, 0, 80],
            &[5, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80],
        ] {
            for piece in [1, 2, 3, 64] {
                let made = handshake(V5, host, None).unwrap();
                assert_eq!(played(made, &[HELLO, (request, answer)], piece), Ok(true), "{host} {answer:?}");
            }
            for cut in 0..answer.len() {
                let made = handshake(V5, host, None).unwrap();
                assert_eq!(played(made, &[HELLO, (request, &answer[..cut])], 64), Ok(false), "{answer:?} at {cut}");
            }
        }
    }
}

#[test]
fn credentials_are_offered_and_told_only_when_asked_for() {
    let who = person("me", "pw");
    let hello: &[u8] = &[5, 2, 0, 2];
    let granted: (&[u8], &[u8]) = (NAMED, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    let told: &[u8] = b"\x01\x02me\x02pw";
    let made = || handshake(V5, "a.test", Some(&who)).unwrap();
    assert_eq!(played(made(), &[(hello, &[5, 2]), (told, &[1, 0]), granted], 1), Ok(true));
    assert_eq!(played(made(), &[(hello, &[5, 0]), granted], 1), Ok(true), "not asked for, not told");
    assert_eq!(played(made(), &[(hello, &[5, 2]), (told, &[1, 1])], 1), Err(TunnelError::CredentialsRefused));
    assert_eq!(played(made(), &[(hello, &[5, 0xff])], 1), Err(TunnelError::CredentialsRefused));
    let without = || handshake(V5, "a.test", None).unwrap();
    assert_eq!(played(without(), &[(HELLO.0, &[5, 0xff])], 1), Err(TunnelError::WantsCredentials));
    assert_eq!(played(without(), &[(HELLO.0, &[5, 2])], 1), Err(TunnelError::NotAProxy), "it was not offered");
    assert_eq!(played(made(), &[(hello, &[5, 1])], 1), Err(TunnelError::NotAProxy));
}

#[test]
fn every_refusal_has_its_kind() {
    for (code, kind) in [
        (1, ErrorKind::Connect),
        (2, ErrorKind::Proxy),
        (3, ErrorKind::Connect),
        (4, ErrorKind::Connect),
        (5, ErrorKind::Connect),
        (6, ErrorKind::Connect),
        (7, ErrorKind::Proxy),
        (8, ErrorKind::Proxy),
        (255, ErrorKind::Proxy),
    ] {
        let made = handshake(V5, "a.test", None).unwrap();
        let error = played(made, &[HELLO, (NAMED, &[5, code])], 1).unwrap_err();
        assert_eq!((error.kind(), error.status()), (kind, None), "{code}: {error}");
    }
}

#[test]
fn what_is_no_socks_or_more_than_an_answer_is_refused() {
    let made = || handshake(V5, "a.test", None).unwrap();
    assert_eq!(played(made(), &[(HELLO.0, b"HTTP/1.1 400 Bad Request\r\n\r\n")], 1), Err(TunnelError::NotAProxy));
    assert_eq!(played(made(), &[HELLO, (NAMED, &[4, 0])], 1), Err(TunnelError::NotAProxy));
    assert_eq!(played(made(), &[HELLO, (NAMED, &[5, 0, 0, 2])], 1), Err(TunnelError::NotAProxy));
    let more: &[u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0, b'x'];
    assert_eq!(played(made(), &[HELLO, (NAMED, more)], 64), Err(TunnelError::Surplus));
}

#[test]
fn item_19_names_and_credentials_that_do_not_fit_are_refused() {
    let long = "a".repeat(256);
    for host in ["", "a\r\nb", "a\0b", "a b", "é.test", &long] {
        for scheme in [V5, ProxyScheme::Socks4a] {
            let made = Handshake::socks(scheme, &Target { host: Host::Domain(host), port: 1 }, None).unwrap();
            assert_eq!(made.unwrap_err(), TunnelError::Target, "{host:?}");
        }
    }
    assert!(handshake(V5, &"a".repeat(255), Some(&person(&"u".repeat(255), &"p".repeat(255)))).is_ok());
    for who in [person(&long, "p"), person("u", &long)] {
        assert_eq!(handshake(V5, "a.test", Some(&who)).unwrap_err(), TunnelError::Credentials);
    }
    for who in [person("a\0b", ""), person("me", "pw")] {
        assert_eq!(handshake(ProxyScheme::Socks4a, "a.test", Some(&who)).unwrap_err(), TunnelError::Credentials);
    }
    assert!(Handshake::socks(ProxyScheme::Http, &target("a.test", 1), None).is_none());
}

#[test]
fn socks_4a_asks_once() {
    let v4 = ProxyScheme::Socks4a;
    let granted: &[u8] = &[0, 90, 0, 0, 0, 0, 0, 0];
    let named: &[u8] = b"\x04\x01\x01\xbb\x00\x00\x00\x01me\0a.test\0";
    for piece in [1, 3, 8] {
        let made = handshake(v4, "a.test", Some(&person("me", ""))).unwrap();
        assert_eq!(played(made, &[(named, granted)], piece), Ok(true));
    }
    let address: &[u8] = &[4, 1, 1, 0xbb, 10, 1, 2, 3, 0];
    assert_eq!(played(handshake(v4, "::ffff:10.1.2.3", None).unwrap(), &[(address, granted)], 1), Ok(true));
    assert_eq!(handshake(v4, "2001:db8::1", None).unwrap_err(), TunnelError::Target);
    for (code, wanted) in [
        (91, TunnelError::Refused(Refusal::Unreachable("rejected or failed"))),
        (92, TunnelError::CredentialsRefused),
        (93, TunnelError::CredentialsRefused),
        (0, TunnelError::NotAProxy),
    ] {
        let made = handshake(v4, "10.1.2.3", None).unwrap();
        assert_eq!(played(made, &[(address, &[0, code])], 1), Err(wanted));
    }
    assert_eq!(played(handshake(v4, "10.1.2.3", None).unwrap(), &[(address, b"HT")], 1), Err(TunnelError::NotAProxy));
}

#[test]
fn socks_4_is_told_addresses_of_ipv4_alone() {
    let v4 = ProxyScheme::Socks4;
    let granted: &[u8] = &[0, 90, 0, 0, 0, 0, 0, 0];
    let address: &[u8] = &[4, 1, 1, 0xbb, 10, 1, 2, 3, 0];
    assert_eq!(played(handshake(v4, "10.1.2.3", None).unwrap(), &[(address, granted)], 1), Ok(true));
    for host in ["a.test", "2001:db8::1"] {
        assert_eq!(handshake(v4, host, None).unwrap_err(), TunnelError::Target, "{host}");
    }
}
