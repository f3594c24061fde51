use std::io::{Cursor, Read};
use std::os::unix::fs::PermissionsExt;

use gannet_core::ErrorKind;
use tempfile::TempDir;

use super::*;
use crate::bulk::source::input::tests::{all, dir, next};
use crate::bulk::source::{Input, InputOptions, InputSource, Source};

fn text(count: usize) -> String {
    (0..count).map(|number| format!("http://h/{number}\n")).collect()
}

fn open(dir: &TempDir, stdin: impl Read + Send + 'static, first: Option<u64>) -> InputSource {
    let spool = Some(dir.path().join("stdin"));
    InputSource::open_with(vec![Input::Stdin], InputOptions { spool, first, ..Default::default() }, stdin).unwrap()
}

fn urls(source: &mut InputSource) -> Vec<String> {
    let rows = all(source);
    for row in rows.iter().rev() {
        assert_eq!(source.recall(row.index, row.place).unwrap().url, row.url);
    }
    rows.into_iter().map(|row| row.url).collect()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn kept(dir: &TempDir, name: &str) -> Option<String> {
    std::fs::read_to_string(dir.path().join(name)).ok()
}

/// Reads rows until the input fails, and says why.
fn failure(mut source: InputSource) -> String {
    let mut cx = Context::from_waker(std::task::Waker::noop());
    loop {
        match source.poll_next(&mut cx) {
            Poll::Ready(Ok(Some(_))) => {}
            Poll::Ready(Ok(None)) => panic!("it was read to its end"),
            Poll::Ready(Err(error)) => return error.to_string(),
            Poll::Pending => std::thread::yield_now(),
        }
    }
}

/// Nobody may read from it.
struct Untouched;

impl Read for Untouched {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("standard input was read")
    }
}

#[test]
fn what_was_read_to_its_end_is_kept_and_read_from_there() {
    let (dir, text) = (dir(), text(50_000));
    assert_eq!(urls(&mut open(&dir, Cursor::new(text.clone()), None)), lines(&text));
    assert!(kept(&dir, "stdin").as_deref() == Some(&text) && kept(&dir, "stdin.part").is_none());
    let mode = std::fs::metadata(dir.path().join("stdin")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut again = open(&dir, Untouched, None);
    assert_eq!(urls(&mut again), lines(&text));
    assert_eq!(again.progress_bytes(), Some((text.len() as u64, text.len() as u64)));
}

#[test]
fn an_empty_standard_input_is_kept_too() {
    let dir = dir();
    assert!(urls(&mut open(&dir, io::empty(), None)).is_empty());
    assert!(urls(&mut open(&dir, Untouched, None)).is_empty());
}

#[test]
fn what_was_read_in_part_must_come_again_and_goes_on() {
    let (dir, text) = (dir(), text(50_000));
    let mut source = open(&dir, Cursor::new(text.clone()), Some(10_000));
    assert_eq!(urls(&mut source).len(), 10_000);
    let part = kept(&dir, "stdin.part").unwrap();
    assert!(text.starts_with(&part) && part.len() < text.len() && kept(&dir, "stdin").is_none());
    assert_eq!(urls(&mut open(&dir, Cursor::new(text.clone()), None)), lines(&text));
    assert!(kept(&dir, "stdin").as_deref() == Some(&text));
}

#[test]
fn a_part_that_a_crash_tore_anywhere_does_no_harm() {
    let text = text(8);
    for cut in 0..=text.len() {
        for zeros in [0, 1, 3000] {
            let dir = dir();
            let mut torn = text.as_bytes()[..cut].to_vec();
            torn.resize(cut + zeros, 0);
            std::fs::write(dir.path().join("stdin.part"), torn).unwrap();
            assert_eq!(urls(&mut open(&dir, Cursor::new(text.clone()), None)), lines(&text));
            assert!(kept(&dir, "stdin").as_deref() == Some(&text), "{cut} {zeros}");
        }
    }
}

#[test]
fn another_standard_input_is_refused() {
    let (dir, text) = (dir(), text(20));
    std::fs::write(dir.path().join("stdin.part"), &text).unwrap();
    for at in [0, 7, text.len() - 1] {
        let mut other = text.clone().into_bytes();
        other[at] ^= 1;
        let why = failure(open(&dir, Cursor::new(other), None));
        let says = format!("standard input: it is not the one this run began with: it differs at byte {};", at + 1);
        assert!(why.starts_with(&says) && why.contains("--fresh"), "{why}");
    }
    let why = failure(open(&dir, Cursor::new(text[..100].to_owned()), None));
    assert!(why.contains(&format!("it ends after 100 bytes, and {} were read of it", text.len())), "{why}");
    assert_eq!(kept(&dir, "stdin.part"), Some(text), "what was read is still there");
}

#[test]
fn rows_come_while_standard_input_is_still_open() {
    let dir = dir();
    let (reader, mut writer) = io::pipe().unwrap();
    let mut source = open(&dir, reader, None);
    io::Write::write_all(&mut writer, b"http://h/1\nhttp://h/2\n").unwrap();
    assert_eq!(next(&mut source).unwrap().url, "http://h/1");
    assert_eq!(kept(&dir, "stdin.part").unwrap(), "http://h/1\nhttp://h/2\n", "kept before it is given");
    drop(writer);
    assert_eq!(next(&mut source).unwrap().url, "http://h/2");
    assert!(next(&mut source).is_none());
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let dir = dir();
    let spool = Some(dir.path().join("no/such/stdin"));
    let options = InputOptions { spool, ..Default::default() };
    let error = InputSource::open_with(vec![Input::Stdin], options, Untouched).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.message().contains("no/such/stdin.part"), "{}", error.message());
}
