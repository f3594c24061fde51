//! A state file that is not what it was: refused by its name, never passed over, and `--fresh` is the way out.

use std::fs;

use rustix::process::Signal;

use super::halfway::Halfway;
use crate::gannet::Ran;

#[test]
fn a_state_that_is_none_any_more_is_refused() {
    let left = Halfway::by(Signal::TERM, &[]);
    let cases: [(&str, Harm); 6] = [
        ("empty", Vec::clear),
        ("ten bytes", |bytes| bytes.truncate(10)),
        ("another program's text", |bytes| *bytes = b"{\"done\": 12}\n".to_vec()),
        ("no header", |bytes| bytes[..100].fill(0)),
        ("cut in half", |bytes| bytes.truncate(bytes.len() / 2 / 512 * 512)),
        ("its first page gone", |bytes| bytes[..4096].fill(0xA5)),
    ];
    for (what, change) in cases {
        left.restore_but(&left.job.beside(".state"), change);
        assert_refused(&left, &left.run(), what);
        left.job.run_with(&["--fresh"]).assert_code(0);
        left.job.assert_complete();
    }
}

#[test]
fn a_damaged_state_is_refused_by_name_or_the_result_is_whole() {
    let left = Halfway::by(Signal::TERM, &[]);
    let state = left.job.beside(".state");
    let pages = fs::read(&state).unwrap().len() / 4096;
    assert!(pages >= 2, "the state has {pages} pages");
    let mut refused = 0;
    for page in 0..pages {
        for fill in [0x00, 0xA5] {
            left.restore_but(&state, |bytes| bytes[page * 4096..(page + 1) * 4096].fill(fill));
            refused += refused_or_whole(&left, &format!("page {page} of {pages} filled with {fill:#x}"));
        }
    }
    assert!(refused >= pages, "{refused} of {} damaged pages were refused", pages * 2);
}

#[test]
fn one_bit_less_in_the_state_never_costs_a_row() {
    let left = Halfway::by(Signal::TERM, &[]);
    let state = left.job.beside(".state");
    let len = fs::read(&state).unwrap().len();
    for n in 0..48 {
        // A prime step: all parts of pages are met.
        let at = (n * 7919 + 97 * (n / 7)) % len;
        left.restore_but(&state, |bytes| bytes[at] ^= 1 << (n % 8));
        refused_or_whole(&left, &format!("bit {} of byte {at} of {len}", n % 8));
    }
}

#[test]
fn a_state_of_another_version_is_refused_clearly() {
    let left = Halfway::by(Signal::TERM, &[]);
    // SQLite keeps a program's own version number here, big-endian.
    left.restore_but(&left.job.beside(".state"), |bytes| bytes[60..64].copy_from_slice(&9999_u32.to_be_bytes()));
    let ran = left.run();
    assert_refused(&left, &ran, "another version");
    assert!(ran.err.contains("version"), "{}", ran.err);
}

#[test]
fn lines_that_are_no_rows_are_moved_aside_and_no_row_is_lost() {
    let left = Halfway::by(Signal::TERM, &[]);
    let out = left.out();
    left.restore_but(&left.job.out(), |bytes| bytes.extend_from_slice(b"hello\n{\"index\":35}\nthere"));
    assert_eq!(left.resume(), left.missing(&left.held));
    assert!(fs::read(left.job.out()).unwrap().starts_with(&out));
    assert_eq!(fs::read(left.job.beside(".broken")).unwrap(), b"hello\n{\"index\":35}\nthere");
}

#[test]
fn a_row_that_something_wrote_a_second_time_is_refused() {
    let left = Halfway::by(Signal::TERM, &[]);
    left.restore_but(&left.job.out(), |bytes| {
        let end = bytes.iter().position(|&byte| byte == b'\n').unwrap();
        bytes.extend_from_within(..=end);
    });
    let ran = left.run();
    assert!([1, 2].contains(&ran.code), "{ran:?}");
    assert_eq!(left.job.origin.stats().requests, 0);
    ran.assert_says("out.jsonl").assert_says("twice").assert_says("--fresh");
}

#[track_caller]
fn assert_refused(left: &Halfway, ran: &Ran, what: &str) {
    assert!([1, 2].contains(&ran.code), "{what}: it ended with {}: {}", ran.code, ran.err);
    assert!(ran.err.contains("out.jsonl.state"), "{what}: its path is not said: {}", ran.err);
    assert!(ran.err.contains("--fresh"), "{what}: no way out is said: {}", ran.err);
    assert!(!ran.err.contains("panicked"), "{what}: {}", ran.err);
    assert_eq!(left.job.origin.stats().requests, 0, "{what}");
    assert!(fs::read(left.job.out()).unwrap() == left.out(), "{what}: the output was changed");
}

type Harm = fn(&mut Vec<u8>);

/// 1 if it was refused.
#[track_caller]
fn refused_or_whole(left: &Halfway, what: &str) -> usize {
    let ran = left.run();
    if ran.code == 0 {
        left.job.assert_complete();
        return 0;
    }
    // Damage may also be met while the run is on, and it may look like the state of another run: it ends, and says why.
    assert!([1, 2, 4].contains(&ran.code), "{what}: it ended with {}: {}", ran.code, ran.err);
    assert!(ran.err.contains("out.jsonl") && !ran.err.contains("panicked"), "{what}: {}", ran.err);
    if ran.code != 4 {
        assert!(ran.err.contains("--fresh"), "{what}: no way out is said: {}", ran.err);
        assert_eq!(left.job.origin.stats().requests, 0, "{what}");
        assert!(fs::read(left.job.out()).unwrap() == left.out(), "{what}: the output was changed");
    }
    1
}
