use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use gannet_core::ErrorKind;
use proptest::prelude::*;

use super::*;

const CODINGS: [&str; 6] = ["gzip", "x-gzip", "deflate", "bare", "br", "zstd"];

fn encode(coding: &str, body: &[u8]) -> Vec<u8> {
    let level = Compression::default();
    match coding {
        "gzip" | "x-gzip" => {
            let mut writer = GzEncoder::new(Vec::new(), level);
            writer.write_all(body).unwrap();
            writer.finish().unwrap()
        }
        "deflate" => {
            let mut writer = ZlibEncoder::new(Vec::new(), level);
            writer.write_all(body).unwrap();
            writer.finish().unwrap()
        }
        "bare" => {
            let mut writer = DeflateEncoder::new(Vec::new(), level);
            writer.write_all(body).unwrap();
            writer.finish().unwrap()
        }
        "br" => {
            let mut out = Vec::new();
            let mut writer = brotli::CompressorWriter::new(&mut out, 4096, 5, 20);
            writer.write_all(body).unwrap();
            drop(writer);
            out
        }
        "zstd" => zstd::bulk::compress(body, 3).unwrap(),
        other => panic!("no encoder for {other}"),
    }
}

/// The name on the wire: bare deflate goes by the same one.
fn wire_name(coding: &str) -> &str {
    if coding == "bare" { "deflate" } else { coding }
}

fn decoder(codings: &str, limits: DecodeLimits) -> ContentDecoder {
    ContentDecoder::for_codings([codings.as_bytes()], limits).unwrap().expect("a coding")
}

/// Calls until a piece is taken and nothing is pending.
fn push_all(decoder: &mut ContentDecoder, mut piece: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    loop {
        piece = &piece[decoder.push(piece, out)?..];
        if piece.is_empty() && !decoder.has_pending() {
            return Ok(());
        }
    }
}

fn decode_in(pieces: usize, codings: &str, body: &[u8], limits: DecodeLimits) -> Result<Vec<u8>, DecodeError> {
    let mut decoder = decoder(codings, limits);
    let mut out = Vec::new();
    for piece in body.chunks(pieces.max(1)) {
        push_all(&mut decoder, piece, &mut out)?;
    }
    decoder.finish()?;
    assert_eq!(decoder.sizes(), (body.len() as u64, out.len() as u64));
    Ok(out)
}

fn decode(codings: &str, body: &[u8]) -> Result<Vec<u8>, DecodeError> {
    decode_in(body.len(), codings, body, DecodeLimits::default())
}

fn sample() -> Vec<u8> {
    (0..40_000u32).flat_map(|n| (n.wrapping_mul(2_654_435_761) >> (n % 29)).to_le_bytes()).collect()
}

#[test]
fn every_coding_round_trips_in_pieces_of_any_size() {
    let body = sample();
    for coding in CODINGS {
        let sent = encode(coding, &body);
        for pieces in [1, 2, 3, 1000, sent.len()] {
            let got = decode_in(pieces, wire_name(coding), &sent, DecodeLimits::default()).unwrap();
            assert!(got == body, "{coding} in pieces of {pieces}");
        }
        assert_eq!(decode(wire_name(coding), &encode(coding, b"")).unwrap(), b"", "{coding}");
    }
}

#[test]
fn output_far_larger_than_its_input_comes_out_whole() {
    let body = vec![b'x'; 3_000_000];
    for coding in CODINGS {
        let sent = encode(coding, &body);
        for pieces in [1, sent.len()] {
            let got = decode_in(pieces, wire_name(coding), &sent, DecodeLimits::default()).unwrap();
            assert!(got == body, "{coding}");
        }
    }
}

#[test]
fn one_call_on_a_bomb_yields_a_chunk_and_all_of_it_comes_in_the_end() {
    // No whole number of chunks, and not all the same: what is lost or doubled shows.
    let body: Vec<u8> = (0..50_000_001u32).map(|n| (n >> 20) as u8).collect();
    for codings in ["gzip", "deflate", "br", "zstd", "zstd,gzip", "gzip,br,zstd"] {
        let sent = codings.split(',').fold(body.clone(), |body, coding| encode(coding, &body));
        let mut decoder = decoder(codings, DecodeLimits { max_ratio: None, ..DecodeLimits::default() });
        let (mut left, mut at, mut out) = (&sent[..], 0, Vec::new());
        while !left.is_empty() || decoder.has_pending() {
            out.clear();
            left = &left[decoder.push(left, &mut out).unwrap()..];
            assert!(out.len() <= CHUNK && out.capacity() <= 2 * CHUNK, "{codings}: {}", out.capacity());
            assert!(decoder.layers.iter().all(|layer| layer.between.capacity() <= 2 * CHUNK), "{codings}");
            assert!(body[at..].starts_with(&out), "{codings} at {at}");
            at += out.len();
        }
        decoder.finish().unwrap();
        assert_eq!(at, body.len(), "{codings}");
    }
}

#[test]
fn a_chunk_that_ends_with_the_input_leaves_the_rest_pending() {
    // One small piece holds all of it: only calls without input bring the rest.
    let body = vec![7u8; 10 * CHUNK];
    for coding in ["br", "zstd"] {
        let sent = encode(coding, &body);
        let (mut decoder, mut out) = (decoder(coding, DecodeLimits::default()), Vec::new());
        let mut taken = 0;
        let mut idle = 0;
        while taken < sent.len() || decoder.has_pending() {
            let before = taken;
            taken += decoder.push(&sent[taken..], &mut out).unwrap();
            idle += usize::from(before == sent.len());
        }
        decoder.finish().unwrap();
        assert!(out == body && idle > 0, "{coding}: {idle} calls without input");
    }
}

#[test]
fn codings_are_undone_in_the_opposite_order_across_headers() {
    let body = sample();
    let sent = encode("br", &encode("gzip", &encode("zstd", &body)));
    let values = [&b"zstd, IDENTITY"[..], b" GZIP ,", b"Br"];
    for pieces in [1, sent.len()] {
        let mut decoder = ContentDecoder::for_codings(values, DecodeLimits::default()).unwrap().unwrap();
        let mut out = Vec::new();
        for piece in sent.chunks(pieces) {
            push_all(&mut decoder, piece, &mut out).unwrap();
        }
        decoder.finish().unwrap();
        assert!(out == body);
    }
}

#[test]
fn headers_say_whether_and_what_to_decode() {
    let limits = DecodeLimits::default();
    for none in [&[][..], &[&b""[..]], &[&b"identity"[..]], &[&b" , Identity"[..], &b","[..]]] {
        assert!(ContentDecoder::for_codings(none.iter().copied(), limits).unwrap().is_none());
    }
    let unknown = ContentDecoder::for_codings([&b"gzip, sdch"[..]], limits).err().unwrap();
    assert_eq!((unknown.kind, unknown.message.as_ref()), (ErrorKind::Decode, "unknown content coding \"sdch\""));
    let five = ["gzip"; 5].map(str::as_bytes);
    assert!(ContentDecoder::for_codings(five, limits).is_ok());
    for six in [&["gzip"; 6][..], &["gzip,gzip,gzip", "gzip,gzip,gzip"], &["identity"; 6]] {
        let error = ContentDecoder::for_codings(six.iter().map(|v| v.as_bytes()), limits).err();
        assert_eq!(error.map(|e| e.kind), Some(ErrorKind::Decode), "{six:?}");
    }
}

#[test]
fn a_body_without_bytes_is_fine_whatever_its_coding() {
    for codings in ["gzip", "deflate", "br", "zstd", "gzip, br"] {
        let mut decoder = decoder(codings, DecodeLimits::default());
        let mut out = Vec::new();
        push_all(&mut decoder, b"", &mut out).unwrap();
        decoder.finish().unwrap();
        assert!(out.is_empty());
    }
}

#[test]
fn a_stream_that_ends_early_is_an_error_at_every_byte() {
    let body = b"the quick brown fox jumps over the lazy dog, the quick brown fox";
    for coding in CODINGS {
        let sent = encode(coding, body);
        for end in 1..sent.len() {
            for pieces in [1, end] {
                let got = decode_in(pieces, wire_name(coding), &sent[..end], DecodeLimits::default());
                assert_eq!(got.map_err(|e| e.kind), Err(ErrorKind::Decode), "{coding} cut at {end}");
            }
        }
    }
    let both = encode("br", &encode("gzip", body)[..20]);
    assert!(decode("gzip, br", &both).is_err(), "the inner stream ends early");
}

#[test]
fn several_gzip_members_and_zstd_frames_are_one_body() {
    for coding in ["gzip", "zstd"] {
        let parts: [&[u8]; 4] = [b"one ", b"", b"two ", b"three"];
        let sent: Vec<u8> = parts.iter().flat_map(|part| encode(coding, part)).collect();
        let first = encode(coding, parts[0]).len();
        for pieces in [1, 7, first, sent.len()] {
            let got = decode_in(pieces, coding, &sent, DecodeLimits::default()).unwrap();
            assert_eq!(got, b"one two three", "{coding} in pieces of {pieces}");
        }
        let cut = decode(coding, &sent[..first + 3]);
        assert!(cut.is_err(), "{coding}: the second one ends early");
    }
}

#[test]
fn zeros_may_follow_a_stream_and_nothing_else() {
    for coding in ["gzip", "deflate", "bare", "br"] {
        let sent = encode(coding, b"body");
        for (tail, fine) in [(&[0u8; 600][..], true), (b"\0\0x", false), (b"garbage", false), (b"\0\x1f\x8b", false)] {
            let whole = [&sent[..], tail].concat();
            for pieces in [1, sent.len(), whole.len()] {
                let got = decode_in(pieces, wire_name(coding), &whole, DecodeLimits::default());
                assert_eq!(got.is_ok_and(|body| body == b"body"), fine, "{coding} then {tail:?}");
            }
        }
    }
    assert!(decode("zstd", &[&encode("zstd", b"body")[..], b"garbage"].concat()).is_err());
    assert!(decode("gzip", &[&encode("gzip", b"body")[..], b"\x1f\x8c"].concat()).is_err());
}

#[test]
fn damaged_and_foreign_bytes_are_refused() {
    for coding in CODINGS {
        let error = decode(wire_name(coding), b"<html>not compressed at all</html>").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Decode, "{coding}");
    }
    // A checksum that does not fit.
    for coding in ["gzip", "deflate"] {
        let mut sent = encode(coding, b"body body body");
        let at = sent.len() - if coding == "gzip" { 5 } else { 1 };
        sent[at] ^= 1;
        assert!(decode(coding, &sent).is_err(), "{coding}");
    }
}

#[test]
fn the_output_cap_holds_within_a_byte_and_lets_its_own_size_pass() {
    let body = vec![0u8; 1_000_000];
    for coding in CODINGS {
        let sent = encode(coding, &body);
        for pieces in [1, sent.len()] {
            let capped = |max| DecodeLimits { max_output: Some(max), ..DecodeLimits::default() };
            let mut decoder = decoder(wire_name(coding), capped(999_999));
            let mut out = Vec::new();
            let failed = sent.chunks(pieces).find_map(|piece| push_all(&mut decoder, piece, &mut out).err());
            assert_eq!(failed.map(|e| e.kind), Some(ErrorKind::TooLarge), "{coding}");
            assert!(out.len() <= 1_000_000 && out.capacity() < 3_000_000, "{coding} {}", out.capacity());
            let whole = decode_in(pieces, wire_name(coding), &sent, capped(1_000_000));
            assert_eq!(whole.map(|body| body.len()), Ok(1_000_000), "{coding}");
        }
    }
}

#[test]
fn a_bomb_is_stopped_by_its_ratio() {
    let limits = DecodeLimits { max_output: None, max_ratio: Some(1100), ratio_from: 1 << 20 };
    let zeros = vec![0u8; 16 << 20];
    for codings in ["br", "zstd"] {
        let bomb = encode(codings, &zeros);
        let mut out = Vec::new();
        let error = push_all(&mut decoder(codings, limits), &bomb, &mut out).unwrap_err();
        assert_eq!(error.kind, ErrorKind::TooLarge, "{codings}");
        assert!(out.len() <= bomb.len() * 1100 + (1 << 20) + CHUNK, "{codings}: {}", out.len());
    }
    // gzip alone cannot exceed it, and gzip in gzip can.
    let once = encode("gzip", &zeros);
    assert_eq!(decode_in(once.len(), "gzip", &once, limits).map(|body| body.len()), Ok(zeros.len()));
    let twice = encode("gzip", &once);
    let error = decode_in(twice.len(), "gzip, gzip", &twice, limits).unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooLarge);
}

#[test]
fn a_bomb_between_two_codings_is_stopped_too() {
    // What lies between is 8 MiB of empty gzip members; the body itself is empty.
    let member = encode("gzip", b"");
    let between = member.repeat((8 << 20) / member.len());
    let sent = encode("zstd", &between);
    let limits = DecodeLimits { max_output: Some(1 << 20), ..DecodeLimits::default() };
    let error = decode_in(sent.len(), "gzip, zstd", &sent, limits).unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooLarge);
}

#[test]
fn zstd_windows_over_8_mib_are_refused() {
    let frame = |window: u32| {
        let mut writer = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        writer.window_log(window).unwrap();
        // In two writes, so that the frame does not name its size and with it a smaller window.
        writer.write_all(b"first").unwrap();
        writer.flush().unwrap();
        writer.write_all(b" second").unwrap();
        writer.finish().unwrap()
    };
    assert_eq!(decode("zstd", &frame(23)).unwrap(), b"first second");
    assert_eq!(decode("zstd", &frame(24)).unwrap_err().kind, ErrorKind::Decode);
}

#[test]
fn limits_read_from_a_partial_document() {
    let limits: DecodeLimits = serde_json::from_str(r#"{"max_output": 10}"#).unwrap();
    assert_eq!(limits, DecodeLimits { max_output: Some(10), ..DecodeLimits::default() });
}

proptest! {
    #[test]
    fn any_body_round_trips_through_any_codings(
        body in proptest::collection::vec(any::<u8>(), 0..3000),
        repeat in 1usize..40,
        codings in proptest::collection::vec(0usize..6, 1..=5),
        pieces in 1usize..5000,
    ) {
        let body = body.repeat(repeat);
        let names: Vec<&str> = codings.iter().map(|&at| CODINGS[at]).collect();
        let sent = names.iter().fold(body.clone(), |body, coding| encode(coding, &body));
        let header = names.iter().map(|name| wire_name(name)).collect::<Vec<_>>().join(",");
        prop_assert!(decode_in(pieces, &header, &sent, DecodeLimits::default()).unwrap() == body);
    }

    #[test]
    fn no_bytes_panic_or_pass_the_cap(
        start in 0usize..6,
        body in proptest::collection::vec(any::<u8>(), 0..400),
        flip in 0usize..400,
        pieces in 1usize..400,
    ) {
        let mut sent = encode(CODINGS[start], &body);
        let at = flip % sent.len();
        sent[at] ^= 0x55;
        let limits = DecodeLimits { max_output: Some(1000), ..DecodeLimits::default() };
        for input in [&sent, &body] {
            let mut decoder = decoder(wire_name(CODINGS[start]), limits);
            let mut out = Vec::new();
            for piece in input.chunks(pieces) {
                if push_all(&mut decoder, piece, &mut out).is_err() {
                    break;
                }
            }
            prop_assert!(out.len() <= 1001);
        }
    }
}
