use std::fs::OpenOptions;
use std::io::Write as _;

use super::*;
use crate::bulk::source::input::tests::{dir, file};
use crate::bulk::source::{Input, InputOptions};

fn open(inputs: &[Input]) -> InputSource {
    InputSource::open(inputs.to_vec(), InputOptions::default()).unwrap()
}

fn prints(inputs: &[Input]) -> Vec<InputPrint> {
    open(inputs).fingerprints().unwrap()
}

fn path(input: &Input) -> &Path {
    match input {
        Input::File(path) => path,
        other => panic!("no file: {other:?}"),
    }
}

fn append(input: &Input, more: &[u8]) {
    OpenOptions::new().append(true).open(path(input)).unwrap().write_all(more).unwrap();
}

#[track_caller]
fn assert_differs(inputs: &[Input], known: &[InputPrint], says: &str) {
    match open(inputs).compare(known).unwrap() {
        Change::Differs { why } => assert!(why.contains(says), "{why}"),
        other => panic!("{other:?} where it should say {says:?}"),
    }
}

#[test]
fn inputs_are_known_by_digests_and_never_by_their_urls() {
    let dir = dir();
    let abc = file(&dir, "abc.txt", "abc");
    let inputs = [Input::Url("http://h/?key=secret".into()), abc.clone(), Input::Stdin, file(&dir, "none.txt", "")];
    let prints = prints(&inputs);
    let stored = serde_json::to_string(&prints).unwrap();
    assert!(!stored.contains("secret") && !stored.contains("http"), "{stored}");
    assert_eq!(serde_json::from_str::<Vec<InputPrint>>(&stored).unwrap(), prints);
    // FIPS 180-4's own example.
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let name = Some(path(&abc).display().to_string());
    let expected = InputPrint { kind: PrintKind::File, name, size: 3, digest: digest.into(), ends_line: false };
    assert_eq!(prints[1], expected);
    let kinds: Vec<_> = prints.iter().map(|print| (print.kind, print.size, print.ends_line)).collect();
    let (url, stream, empty) = ((PrintKind::Url, 20, false), (PrintKind::Stream, 0, true), (PrintKind::File, 0, true));
    assert_eq!(kinds, [url, (PrintKind::File, 3, false), stream, empty]);
    assert_eq!(open(&inputs).compare(&prints).unwrap(), Change::Same);
}

#[test]
fn a_file_is_the_same_wherever_it_was_moved() {
    let dir = dir();
    let content = "http://h/\n".repeat(100_000);
    let (old, new) = (file(&dir, "a.txt", &content), file(&dir, "b.txt", &content));
    assert_eq!(open(&[new]).compare(&prints(&[old])).unwrap(), Change::Same);
}

#[test]
fn a_file_may_grow_by_lines() {
    for (before, more) in [("a\n", "b\n"), ("a\n", "b"), ("", "a\n"), ("a", "\nb\n"), ("a", "\r\nb"), ("a\r\n", "b")] {
        let dir = dir();
        let inputs = [Input::Url("http://h/".into()), file(&dir, "urls.txt", before)];
        let known = prints(&inputs);
        append(&inputs[1], more.as_bytes());
        assert_eq!(
            open(&inputs).compare(&known).unwrap(),
            Change::Grown { by: more.len() as u64 },
            "{before:?} {more:?}"
        );
    }
}

#[test]
fn anything_else_differs_and_is_named() {
    let dir = dir();
    let one = [file(&dir, "urls.txt", "http://h/1\nhttp://h/2")];
    let known = prints(&one);
    append(&one[0], b"3\n");
    assert_differs(&one, &known, "urls.txt is not as it was when this run began: the line that was its last");
    std::fs::write(path(&one[0]), "http://h/1\nhttp://h/3").unwrap();
    assert_differs(&one, &known, "its bytes are not the same");
    std::fs::write(path(&one[0]), "http://h/9\nhttp://h/2\nhttp://h/3").unwrap();
    assert_differs(&one, &known, "its first 21 bytes are not the same");
    std::fs::write(path(&one[0]), "http://h/1\n").unwrap();
    assert_differs(&one, &known, "it has 11 bytes now, and had 21");
    assert_differs(&[Input::Stdin], &known, "input 1 was a file, and now it is standard input or a pipe");
    assert_differs(&[one[0].clone(), Input::Stdin], &known, "began with 1 inputs, and now they are 2");
    let url = |key: &str| [Input::Url(format!("http://h/?key={key}"))];
    assert_differs(&url("other"), &prints(&url("first")), "input 1 is another URL now");
}

#[test]
fn only_the_last_input_may_grow() {
    let dir = dir();
    let inputs = [file(&dir, "a.txt", "a\n"), file(&dir, "b.txt", "b\n")];
    let known = prints(&inputs);
    append(&inputs[0], b"c\n");
    assert_differs(&inputs, &known, "a.txt has grown, which only the last input may");
}

#[test]
fn a_compressed_file_may_not_grow() {
    let dir = dir();
    let mut bytes = Vec::new();
    let codec = crate::bulk::sink::Codec::Gzip;
    codec.encode(b"http://h/1\n", &mut bytes).unwrap();
    let inputs = [file(&dir, "urls.txt.gz", &bytes)];
    let known = prints(&inputs);
    assert_eq!(known[0].size, bytes.len() as u64, "compressed bytes");
    assert_eq!(open(&inputs).compare(&known).unwrap(), Change::Same);
    bytes.clear();
    codec.encode(b"http://h/2\n", &mut bytes).unwrap();
    append(&inputs[0], &bytes);
    assert_differs(&inputs, &known, "it has grown, which a compressed file may not");
}

#[test]
fn a_file_that_shrank_meanwhile_is_an_error() {
    let dir = dir();
    let inputs = [file(&dir, "a.txt", "http://h/1\nhttp://h/2\n")];
    let source = open(&inputs);
    std::fs::write(path(&inputs[0]), "http://h/1\n").unwrap();
    let error = source.fingerprints().unwrap_err();
    assert!(error.to_string().ends_with("a.txt: shorter than when it was opened"), "{error}");
}
