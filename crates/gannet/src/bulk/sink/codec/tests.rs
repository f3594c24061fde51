use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::process::{Command, Stdio};

use flate2::read::MultiGzDecoder;
use proptest::prelude::*;

use super::reader::{Batch, Ending};
use super::*;

const ALL: [Codec; 3] = [Codec::Plain, Codec::Gzip, Codec::Zstd];
const PACKED: [Codec; 2] = [Codec::Gzip, Codec::Zstd];

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn encoded(codec: Codec, rows: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    codec.encode(rows, &mut out).unwrap();
    out
}

/// Rows that do not pack to nothing.
fn rows(from: u64, count: u64) -> Vec<u8> {
    let row =
        |index: u64| format!("{{\"index\":{index},\"x\":\"{:x}\"}}\n", (index + 7).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    (from..from + count).flat_map(|index| row(index).into_bytes()).collect()
}

/// What a file was found to hold.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    whole: Vec<u8>,
    torn: Vec<u8>,
    end: u64,
    is_torn: bool,
    ending: Ending,
}

fn read_from(bytes: &[u8], codec: Codec, from: u64) -> Found {
    let mut reader = RowReader::new(file(bytes), codec, from);
    let mut found = Found { whole: Vec::new(), torn: Vec::new(), end: from, is_torn: false, ending: Ending::Whole };
    let mut batch_rows = Vec::new();
    while let Some(batch) = reader.next_batch(&mut batch_rows).unwrap() {
        assert!(batch_rows.is_empty() || batch_rows.ends_with(b"\n"));
        assert!(batch.end >= found.end && batch.end <= bytes.len() as u64);
        found.torn.append(&mut batch_rows);
        found.is_torn = !batch.whole;
        if batch.whole {
            found.whole.append(&mut found.torn);
        }
        found.end = batch.end;
    }
    assert!(reader.next_batch(&mut batch_rows).unwrap().is_none(), "the end stays the end");
    found.ending = reader.ending();
    assert_eq!(found.ending != Ending::Whole, found.is_torn);
    found
}

fn read(bytes: &[u8], codec: Codec) -> Found {
    read_from(bytes, codec, 0)
}

#[test]
fn the_suffix_tells_how_rows_are_packed() {
    let named = [("a.jsonl.gz", Codec::Gzip), ("a.GZ", Codec::Gzip), ("b.zst", Codec::Zstd), ("b.jsonl", Codec::Plain)];
    for (name, codec) in named {
        assert_eq!(Codec::of(Path::new(name)), codec, "{name}");
    }
    assert_eq!(Codec::of(Path::new("gz")), Codec::Plain);
}

#[test]
fn members_are_read_back_one_by_one_with_their_ends() {
    for codec in ALL {
        let (mut bytes, mut ends, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        for (from, count) in [(0, 1), (1, 300), (301, 5000), (5301, 2)] {
            codec.encode(&rows(from, count), &mut bytes).unwrap();
            ends.push(bytes.len() as u64);
            expected.push(rows(from, count));
        }
        let mut reader = RowReader::new(file(&bytes), codec, 0);
        let (mut found, mut batch_rows) = (Vec::new(), Vec::new());
        while let Some(batch) = reader.next_batch(&mut batch_rows).unwrap() {
            assert!(batch.whole);
            if codec != Codec::Plain {
                assert_eq!(batch.end, ends[found.len()]);
                assert_eq!(batch_rows, expected[found.len()]);
            }
            found.push(batch_rows.clone());
        }
        assert_eq!(found.concat(), expected.concat());
        assert_eq!(read_from(&bytes, codec, ends[1]).whole, expected[2..].concat(), "from a member's beginning");
        assert_eq!(read_from(&bytes, codec, *ends.last().unwrap()).whole, b"");
    }
}

/// What the command-line tool makes of the bytes, where it is installed.
fn by_tool(tool: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut input = file(bytes);
    input.seek(SeekFrom::Start(0)).unwrap();
    let output = Command::new(tool).arg("-dc").stdin(input).stderr(Stdio::inherit()).output().ok()?;
    assert!(output.status.success());
    Some(output.stdout)
}

#[test]
fn other_readers_take_the_members_for_one_file() {
    let expected = rows(0, 700);
    for codec in PACKED {
        let bytes = [encoded(codec, &rows(0, 400)), encoded(codec, &rows(400, 300))].concat();
        let (tool, mut by_crate) = match codec {
            Codec::Gzip => ("gzip", Box::new(MultiGzDecoder::new(&bytes[..])) as Box<dyn Read>),
            _ => ("zstd", Box::new(zstd::Decoder::new(&bytes[..]).unwrap()) as Box<dyn Read>),
        };
        let mut decoded = Vec::new();
        by_crate.read_to_end(&mut decoded).unwrap();
        assert_eq!(decoded, expected);
        assert!(bytes.len() < expected.len());
        if let Some(decoded) = by_tool(tool, &bytes) {
            assert_eq!(decoded, expected, "{tool}");
        }
    }
}

#[test]
fn a_large_member_is_read_in_pieces() {
    let expected = rows(0, 400_000);
    assert!(expected.len() > 10 << 20);
    for codec in PACKED {
        let bytes = encoded(codec, &expected);
        let mut reader = RowReader::new(file(&bytes), codec, 0);
        let (mut batch_rows, mut pieces) = (Vec::new(), 0);
        while reader.next_batch(&mut batch_rows).unwrap().is_some() {
            assert!(batch_rows.len() < 5 << 20, "memory is bounded");
            pieces += 1;
        }
        assert!(pieces > 2, "{pieces}");
        let found = read(&bytes, codec);
        assert_eq!((found.whole == expected, found.end), (true, bytes.len() as u64), "{codec:?}");
        let torn = read(&bytes[..bytes.len() - 1], codec);
        assert_eq!((torn.whole.len(), torn.end, torn.is_torn), (0, 0, true));
        assert!(expected.starts_with(&torn.torn) && torn.torn.len() > 8 << 20);
    }
}

#[test]
fn a_row_may_be_longer_than_anything_read_at_once() {
    let long = format!("{{\"text\":\"{}\"}}\n", "x".repeat(6 << 20)).into_bytes();
    let expected = [rows(0, 3), long, rows(3, 3)].concat();
    for codec in ALL {
        let found = read(&encoded(codec, &expected), codec);
        assert!(found.whole == expected && !found.is_torn, "{codec:?}");
    }
}

#[test]
fn members_that_end_within_a_row_count_as_one() {
    let expected = rows(0, 10);
    for codec in PACKED {
        let (head, tail) = expected.split_at(155);
        let bytes = [encoded(codec, head), encoded(codec, tail)].concat();
        assert_eq!(read(&bytes, codec).whole, expected);
        let torn = read(&bytes[..bytes.len() - 30], codec);
        assert_eq!((torn.end, &*torn.whole), (0, &b""[..]));
        assert!(expected.starts_with(&torn.torn) && !torn.torn.is_empty());
    }
}

#[test]
fn no_rows_are_a_member_too_and_give_no_batch() {
    for codec in PACKED {
        let (none, some) = (encoded(codec, b""), encoded(codec, &rows(0, 3)));
        assert!(!none.is_empty() && read(&none, codec).whole.is_empty() && !read(&none, codec).is_torn);
        let mut reader = RowReader::new(file(&[&none[..], &some, &none].concat()), codec, 0);
        let mut batch_rows = Vec::new();
        let end = (none.len() + some.len()) as u64;
        assert_eq!(reader.next_batch(&mut batch_rows).unwrap(), Some(Batch { end, whole: true }));
        assert_eq!(batch_rows, rows(0, 3));
        assert_eq!(reader.next_batch(&mut batch_rows).unwrap(), None);
    }
}

/// Three members; where each ends, in the file and in the rows.
fn three(codec: Codec) -> (Vec<u8>, Vec<u8>, [(usize, usize); 4]) {
    let (mut bytes, mut text, mut ends) = (Vec::new(), Vec::new(), [(0, 0); 4]);
    for (number, (from, count)) in [(0, 4), (4, 6), (10, 5)].into_iter().enumerate() {
        codec.encode(&rows(from, count), &mut bytes).unwrap();
        text.extend(rows(from, count));
        ends[number + 1] = (bytes.len(), text.len());
    }
    (bytes, text, ends)
}

#[test]
fn whatever_byte_is_damaged_the_members_before_it_are_whole() {
    for codec in PACKED {
        let (bytes, text, ends) = three(codec);
        let (mut unnoticed, mut hidden) = (0, 0);
        for at in ends[1].0..bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                let found = read(&damaged, codec);
                let before = ends.iter().rposition(|end| end.0 <= at).unwrap();
                hidden += usize::from(matches!(found.ending, Ending::Unended | Ending::Zeros));
                let expected = if found.is_torn { ends[before] } else { ends[3] };
                unnoticed += usize::from(!found.is_torn);
                assert_eq!(found.whole, text[..expected.1], "{codec:?} {at} {flip}");
                assert_eq!(found.end, expected.0 as u64, "{codec:?} {at} {flip}");
            }
        }
        // Of a gzip member the date and the system it was made on, and the bits behind its last block.
        assert!(unnoticed <= 2 * (3 * 6 + 2), "{codec:?}: {unnoticed}");
        // A length that became larger than what follows, or an end of file that is met in a head.
        assert!(hidden < bytes.len() / 4, "{codec:?}: {hidden}");
    }
}

#[test]
fn wherever_the_file_is_cut_its_whole_members_and_a_prefix_of_the_rest_are_read() {
    for codec in ALL {
        let (bytes, text, ends) = three(codec);
        let mut salvaged = 0;
        for cut in 0..=bytes.len() {
            for zeros in [0, 1, 600, 5000] {
                let mut torn = bytes[..cut].to_vec();
                torn.resize(cut + zeros, 0);
                let found = read(&torn, codec);
                let yielded = [&*found.whole, &found.torn].concat();
                assert!(text.starts_with(&yielded), "{codec:?} {cut} {zeros}");
                assert_ne!(found.ending, Ending::Damaged, "{codec:?} {cut} {zeros}");
                assert!(zeros < 600 || found.ending == Ending::Zeros, "{codec:?} {cut} {zeros}");
                salvaged += found.torn.len();
                if codec == Codec::Plain {
                    assert_eq!(found.end, found.whole.len() as u64);
                    assert!(cut - found.whole.len() < 40);
                    continue;
                }
                // A zero may be the very byte that was cut off.
                let there = ends.iter().rposition(|end| torn.starts_with(&bytes[..end.0])).unwrap();
                assert_eq!((found.end, &*found.whole), (ends[there].0 as u64, &text[..ends[there].1]), "{cut} {zeros}");
                assert_eq!(found.is_torn, torn.len() > ends[there].0);
            }
        }
        assert_eq!(salvaged > 0, codec != Codec::Plain, "{codec:?}");
    }
}

#[test]
fn rows_behind_a_hole_are_not_taken() {
    let text = rows(0, 20_000);
    for codec in ALL {
        let mut bytes = encoded(codec, &text);
        let hole = (bytes.len() / 2).next_multiple_of(512);
        bytes[hole..hole + 4096].fill(0);
        let found = read(&bytes, codec);
        let yielded = [found.whole, found.torn].concat();
        assert!(text.starts_with(&yielded) && found.ending == Ending::Damaged, "{codec:?}");
        assert!(!yielded.is_empty(), "what stands before it is");
    }
}

#[test]
fn what_is_no_member_is_torn() {
    for codec in PACKED {
        for tail in [&b"x"[..], b"\x1f", b"\x1f\x8b\x08", b"{\"index\":1}\n", b"note\n", b"\x28\xb5\x2f\xfd", b"\0"] {
            let whole = encoded(codec, &rows(0, 2));
            let found = read(&[&whole, tail].concat(), codec);
            let ending = match tail {
                b"\0" => Ending::Zeros,
                b"x" | b"{\"index\":1}\n" => Ending::Damaged,
                _ if encoded(codec, b"").starts_with(&tail[..1]) => Ending::Unended,
                _ => Ending::Damaged,
            };
            let expected =
                Found { whole: rows(0, 2), torn: Vec::new(), end: whole.len() as u64, is_torn: true, ending };
            assert_eq!(found, expected, "{codec:?} {tail:?}");
        }
        assert!(read(b"{\"index\":1}\n", codec).is_torn);
    }
}

proptest! {
    #[test]
    fn whatever_the_cut_recovery_yields_a_prefix_and_can_go_on(
        counts in prop::collection::vec(1..120_u64, 1..6),
        cut in any::<prop::sample::Index>(),
        zeros in 0..2000_usize,
        codec in prop::sample::select(&ALL),
    ) {
        let (mut bytes, mut text) = (Vec::new(), Vec::new());
        for count in counts {
            let next = rows(text.len() as u64, count);
            codec.encode(&next, &mut bytes).unwrap();
            text.extend(next);
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        bytes.resize(bytes.len() + zeros, 0);
        let found = read(&bytes, codec);
        let kept = [&*found.whole, &found.torn].concat();
        prop_assert!(text.starts_with(&kept));
        // Cut back, what the torn member yielded written again, and the rest behind it: as if nothing had happened.
        bytes.truncate(found.end as usize);
        codec.encode(&found.torn, &mut bytes).unwrap();
        codec.encode(&text[kept.len()..], &mut bytes).unwrap();
        let again = read(&bytes, codec);
        prop_assert_eq!(again.whole, text);
        prop_assert!(!again.is_torn);
    }
}
