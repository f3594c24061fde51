use std::io::Write;
use std::task::Waker;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;
use crate::bulk::sink::Codec as Packing;
use crate::bulk::source::input::tests::{brief, dir, file, refusal, rows, rows_of};
use crate::bulk::source::{Input, InputOptions, InputSource, RequestDefaults, Source};

const BOTH: [(Packing, &str); 2] = [(Packing::Gzip, "gz"), (Packing::Zstd, "zst")];

fn packed(codec: Packing, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        codec.encode(part, &mut out).unwrap();
    }
    out
}

/// Brings what it is given in blocks of this size, with a wait before each.
struct Slow {
    bytes: Vec<u8>,
    block: usize,
    at: usize,
    is_ready: bool,
}

impl Feed for Slow {
    fn poll_feed(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<()>> {
        self.is_ready = !self.is_ready;
        if self.is_ready {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let end = self.bytes.len().min(self.at + self.block);
        into.extend_from_slice(&self.bytes[self.at..end]);
        self.at = end;
        Poll::Ready(Ok(()))
    }
}

/// What comes out, and the error with which it ends.
fn unpacked(codec: Packing, bytes: Vec<u8>, block: usize) -> (Vec<u8>, Option<io::Error>) {
    let feed = Slow { bytes, block, at: 0, is_ready: false };
    let mut unpack = Unpack::new(Box::new(feed), codec.decoder().unwrap().unwrap());
    let mut cx = Context::from_waker(Waker::noop());
    let mut out = Vec::new();
    loop {
        let before = out.len();
        match unpack.poll_feed(&mut cx, &mut out) {
            Poll::Pending => {}
            Poll::Ready(Err(error)) => return (out, Some(error)),
            Poll::Ready(Ok(())) if out.len() == before => return (out, None),
            Poll::Ready(Ok(())) => assert!(out.len() - before <= LARGEST, "memory and time of a call are bounded"),
        }
    }
}

#[test]
fn every_format_is_read_compressed_too() {
    let fill = || InputOptions {
        defaults: RequestDefaults { url: Some("http://h/{id}".into()), ..Default::default() },
        ..Default::default()
    };
    for (codec, suffix) in BOTH {
        let plain = InputOptions::default;
        for (name, content, options) in [
            ("urls.txt", "http://h/1\n# no\nhttp://h/2\nnot a url", plain()),
            ("urls", "http://h/1\nhttp://h/2", plain()),
            ("rows.jsonl", "{\"url\":\"http://h/1\",\"id\":7}\n\n{\"url\":\"http://h/2\"}\n", plain()),
            ("rows.NDJSON", "{\"url\":\"http://h/1\"}\n", plain()),
            ("x.csv", "id,name\n1,\"a\nb\"\n2,c\n", fill()),
            ("x.tsv", "id\tname\n1\ta\n2\tb\n", fill()),
        ] {
            let expected = rows(name, content, options.clone());
            let (head, tail) = content.as_bytes().split_at(content.len() / 2);
            let found = rows(&format!("{name}.{suffix}"), packed(codec, &[head, tail]), options);
            assert!(!expected.is_empty());
            assert_eq!(brief(&found), brief(&expected), "{name}.{suffix}");
        }
    }
}

#[test]
fn rows_of_a_large_file_are_recalled_from_its_copy() {
    let dir = dir();
    let text: String = (0..100_000).map(|number| format!("http://h/{}/{number}\n", number * 7919 % 100_003)).collect();
    for (codec, suffix) in BOTH {
        let input = file(&dir, &format!("urls.txt.{suffix}"), packed(codec, &[text.as_bytes()]));
        let rows = rows_of(vec![input], InputOptions::default());
        assert!(rows.iter().map(|row| &*row.url).eq(text.lines()));
        assert_eq!(rows.last().unwrap().line, Some(100_000));
    }
}

#[test]
fn progress_counts_compressed_bytes() {
    let dir = dir();
    let text: String = (0..100_000).map(|number| format!("http://h/{number}\n")).collect();
    for (codec, suffix) in BOTH {
        let bytes = packed(codec, &[text.as_bytes()]);
        let size = bytes.len() as u64;
        let input = file(&dir, &format!("urls.txt.{suffix}"), bytes);
        let mut source = InputSource::open(vec![input], InputOptions::default()).unwrap();
        assert_eq!(source.progress_bytes(), Some((0, size)));
        let mut cx = Context::from_waker(Waker::noop());
        let mut last = 0;
        while let Poll::Ready(Ok(Some(_))) = source.poll_next(&mut cx) {
            let (done, of) = source.progress_bytes().unwrap();
            assert!(done >= last && done <= size && of == size);
            last = done;
        }
        assert_eq!(source.progress_bytes(), Some((size, size)));
    }
}

#[test]
fn the_header_of_a_compressed_file_is_checked_when_it_is_opened() {
    let dir = dir();
    for (codec, suffix) in BOTH {
        let name = format!("x.csv.{suffix}");
        let why = refusal(vec![file(&dir, &name, packed(codec, &[b"id,name\n1,a\n"]))], InputOptions::default());
        assert!(why.contains(&name) && why.contains("it has no column \"url\""), "{why}");
        let why = refusal(vec![file(&dir, &name, "id,name\n1,a\n")], InputOptions::default());
        assert!(why.contains(&name) && why.contains("at about byte 0 of the file"), "{why}");
    }
}

#[test]
fn what_is_not_read_is_refused_by_its_name() {
    for (name, says) in [
        ("x.json.gz", "(gzip -dc x.json.gz | jq -c '.[]' > rows.jsonl)"),
        ("x.json", "(jq -c '.[]' x.json > rows.jsonl)"),
        ("x.tar.gz", ".tar is not read"),
        ("x.gz.zst", ".gz is not read"),
        ("x.bz2", ".bz2 is not read"),
    ] {
        let why = refusal(vec![Input::File(name.into())], InputOptions::default());
        assert!(why.contains(says), "{why}");
    }
}

#[test]
fn damage_is_told_with_the_file_and_the_place_after_the_rows_before_it() {
    let dir = dir();
    let text: String =
        (0..200_000_u64).map(|n| format!("http://h/{:x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    for (codec, suffix) in BOTH {
        let mut bytes = packed(codec, &[text.as_bytes()]);
        let (at, size) = (bytes.len() / 2, bytes.len());
        bytes[at..at + 64].fill(0xff);
        let name = format!("urls.txt.{suffix}");
        let mut source = InputSource::open(vec![file(&dir, &name, bytes)], InputOptions::default()).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        let mut count = 0;
        let error = loop {
            match source.poll_next(&mut cx) {
                Poll::Ready(Ok(Some(_))) => count += 1,
                Poll::Ready(Err(error)) => break error.to_string(),
                other => panic!("{other:?}"),
            }
        };
        assert!(error.contains(&format!("{name}: at about byte ")) && error.contains("is damaged"), "{error}");
        let told: usize = error.split(' ').find_map(|word| word.parse().ok()).unwrap();
        // Gzip may notice it at the end of the member only, by the check sum.
        let latest = if codec == Packing::Gzip { size } else { at + (300 << 10) };
        assert!((at - STEP..=latest).contains(&told), "{error}, not {at}");
        assert!(count > 10_000, "{count}");
    }
}

#[test]
fn an_early_end_is_told_wherever_it_is() {
    let text = b"http://h/1\nhttp://h/2\n";
    for (codec, _) in BOTH {
        let (whole, both) = (packed(codec, &[text]), packed(codec, &[text, text]));
        for cut in 1..both.len() {
            let (out, error) = unpacked(codec, both[..cut].to_vec(), 1000);
            if cut == whole.len() {
                assert!(error.is_none() && out == text, "the end of a member is one of a file");
                continue;
            }
            let error = error.unwrap();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
            assert!(error.to_string().contains(&format!("data ends early, after {cut} bytes")), "{error}");
            assert!([&text[..], text].concat().starts_with(&out));
        }
        assert_eq!(unpacked(codec, Vec::new(), 1).0, b"");
    }
}

#[test]
fn a_file_of_nearly_nothing_that_grows_large_is_given_piece_by_piece() {
    let zeros = vec![b'\n'; 8 << 20];
    for (codec, _) in BOTH {
        let (out, error) = unpacked(codec, packed(codec, &[&zeros]), 64 << 10);
        assert!(error.is_none() && out == zeros);
    }
}

#[test]
fn zeros_may_pad_a_gzip_file_and_nothing_else_may_follow() {
    let whole = packed(Packing::Gzip, &[b"http://h/1\n"]);
    assert!(unpacked(Packing::Gzip, [&whole[..], &[0; 600]].concat(), 100).1.is_none());
    let error = unpacked(Packing::Gzip, [&whole[..], b"more"].concat(), 100).1.unwrap();
    assert!(error.to_string().contains("something follows the end of the gzip stream"), "{error}");
}

#[test]
fn windows_of_zstd_are_read_up_to_128_mebibytes() {
    let frame = |log: u32| {
        let mut writer = zstd::Encoder::new(Vec::new(), 1).unwrap();
        writer.window_log(log).unwrap();
        writer.write_all(b"http://h/1\n").unwrap();
        writer.flush().unwrap();
        writer.finish().unwrap()
    };
    assert_eq!(unpacked(Packing::Zstd, frame(27), 100).0, b"http://h/1\n");
    let error = unpacked(Packing::Zstd, frame(28), 100).1.unwrap();
    assert!(error.to_string().contains("too much memory"), "{error}");
}

#[test]
fn names_in_a_gzip_header_are_skipped() {
    let mut member =
        flate2::GzBuilder::new().filename("urls.txt").comment("made by hand").write(Vec::new(), Compression::best());
    member.write_all(b"http://h/1\n").unwrap();
    assert_eq!(unpacked(Packing::Gzip, member.finish().unwrap(), 7).0, b"http://h/1\n");
    let empty = GzEncoder::new(Vec::new(), Compression::best()).finish().unwrap();
    assert_eq!(unpacked(Packing::Gzip, empty, 7).0, b"");
}

proptest! {
    #[test]
    fn whatever_the_blocks_what_comes_out_is_what_went_in(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 0..5),
        block in 1..2000_usize,
        (codec, _) in prop::sample::select(&BOTH),
    ) {
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let (out, error) = unpacked(codec, packed(codec, &parts), block);
        prop_assert!(error.is_none());
        prop_assert_eq!(out, parts.concat());
    }
}
