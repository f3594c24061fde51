//! What a power loss leaves: an output shorter than the state believes, a tail that is torn or all zeros, a state whose
//! last commits are gone. What is lost is fetched again, and nothing else.

use std::collections::BTreeSet;

use rustix::process::Signal;

use super::halfway::Halfway;

#[test]
fn rows_the_output_lost_are_fetched_again_and_no_others() {
    let left = Halfway::by(Signal::TERM, &[]);
    let out = left.out();
    for lines in [33, 32, 20, 1] {
        let (end, standing) = (end_of(&out, lines), first(&out, lines));
        left.restore_but(&left.job.out(), |bytes| bytes.truncate(end));
        assert_eq!(left.resume(), left.missing(&standing), "{lines} lines were left");
    }
}

#[test]
fn an_output_that_lost_everything_but_its_name_is_fetched_again() {
    let left = Halfway::by(Signal::TERM, &[]);
    left.restore_but(&left.job.out(), Vec::clear);
    assert_eq!(left.resume(), left.missing(&BTreeSet::new()));
}

#[test]
fn ordered_rows_the_output_lost_come_back_to_their_places() {
    let left = Halfway::by(Signal::TERM, &["--ordered"]);
    let out = left.out();
    for lines in [33, 10] {
        let (end, standing) = (end_of(&out, lines), first(&out, lines));
        left.restore_but(&left.job.out(), |bytes| bytes.truncate(end + 20));
        assert_eq!(left.resume(), left.missing(&standing), "{lines} lines were left");
        assert!(left.job.standing().is_sorted(), "{:?}", left.job.standing());
    }
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_to_its_last_whole_row() {
    tear(&[Halfway::by(Signal::TERM, &[]), Halfway::by(Signal::KILL, &[])], 31);
}

/// Tears the last three rows at every `step`th byte, and around each row's end.
pub fn tear(all: &[Halfway], step: usize) -> u64 {
    let mut cuts = 0;
    for left in all {
        let out = left.out();
        let from = end_of(&out, left.held.len() - 3);
        for end in from..out.len() {
            let near_an_end = out[end - 1] == b'\n' || out[end] == b'\n' || out.get(end + 1) == Some(&b'\n');
            if !near_an_end && !(end - from).is_multiple_of(step) {
                continue;
            }
            left.restore_but(&left.job.out(), |bytes| bytes.truncate(end));
            let whole = out[..end].iter().filter(|&&byte| byte == b'\n').count();
            assert_eq!(left.resume(), left.missing(&first(&out, whole)), "cut at {end} of {}", out.len());
            cuts += 1;
        }
    }
    cuts
}

#[test]
fn a_torn_row_behind_what_is_committed_is_cut_off() {
    let left = Halfway::by(Signal::TERM, &[]);
    for torn in ["{", "{\"index\":34,\"url\":\"http://127.0.0.1/\"", "{\"index\":34}", "\n"] {
        // A whole line that is no row of this dataset is nothing that Gannet wrote.
        let torn = torn.trim_end_matches('\n');
        left.restore_but(&left.job.out(), |bytes| bytes.extend_from_slice(torn.as_bytes()));
        assert_eq!(left.resume(), left.missing(&left.held), "{torn:?} behind the last row");
    }
}

#[test]
fn zeros_at_the_end_of_the_output_are_no_rows() {
    for signal in [Signal::TERM, Signal::KILL] {
        let left = Halfway::by(signal, &[]);
        for zeros in [1, 512, 4096] {
            left.restore_but(&left.job.out(), |bytes| bytes.resize(bytes.len() + zeros, 0));
            assert_eq!(left.resume(), left.missing(&left.held), "{zeros} zeros");
        }
    }
}

#[test]
fn zeros_in_place_of_rows_are_fetched_again() {
    let left = Halfway::by(Signal::TERM, &[]);
    let out = left.out();
    for zeros in [1, 512, 4096] {
        let from = out.len() - zeros.min(out.len());
        let whole = out[..from].iter().filter(|&&byte| byte == b'\n').count();
        // Only a loss of power leaves this, and then the machine was started again.
        left.restore_after_restart();
        std::fs::write(left.job.out(), [&out[..from], &vec![0; out.len() - from]].concat()).unwrap();
        assert_eq!(left.resume(), left.missing(&first(&out, whole)), "{zeros} zeros");
    }
}

#[test]
fn after_a_restart_rows_lost_in_the_middle_are_told_by_their_offset_and_fetched_again_when_it_is_cut_there() {
    let left = Halfway::by(Signal::TERM, &[]);
    let out = left.out();
    let (from, to) = (end_of(&out, 10), end_of(&out, 12) - 1);
    left.restore_after_restart();
    let mut holed = out.clone();
    holed[from..to].fill(0);
    std::fs::write(left.job.out(), &holed).unwrap();
    // Whole rows follow, which a commit had told: nothing is thrown away unasked.
    let ran = left.run();
    assert!([1, 2].contains(&ran.code), "{ran:?}");
    ran.assert_says(&format!("damaged at byte {from} of {}", out.len())).assert_says(&format!("truncate -s {from}"));
    assert_eq!(left.job.origin.stats().requests, 0);
    assert!(std::fs::read(left.job.out()).unwrap() == holed, "the output was changed");
    std::fs::write(left.job.out(), &holed[..from]).unwrap();
    assert_eq!(left.resume(), left.missing(&first(&out, 10)));
}

#[test]
fn a_state_that_lost_its_last_commits_adopts_the_rows_that_stand_in_the_output() {
    let left = Halfway::by(Signal::KILL, &[]);
    let wal = left.job.beside(".state-wal");
    let len = std::fs::metadata(&wal).expect("a killed run leaves its log").len() as usize;
    let mut adopted = false;
    let ends: Vec<usize> = (0..=24).map(|n| len * n / 24).collect();
    for &end in &ends {
        left.restore_but(&wal, |bytes| bytes.truncate(end));
        let ran = left.run();
        if !adopted && [1, 2].contains(&ran.code) {
            // So early that there is no state yet: said, and nothing harmed.
            ran.assert_says("out.jsonl.state").assert_says("--fresh");
            assert_eq!(left.job.origin.stats().requests, 0);
            assert!(std::fs::read(left.job.out()).unwrap() == left.out());
            continue;
        }
        assert_eq!(ran.code, 0, "cut at {end} of {len}: {}", ran.err);
        left.job.assert_complete();
        assert_eq!(left.job.asked_rows(), left.missing(&left.held), "cut at {end} of {len}");
        adopted = true;
    }
    assert!(adopted, "even the whole log was refused");
}

#[test]
fn a_log_with_damage_late_in_it_counts_up_to_the_damage() {
    let left = Halfway::by(Signal::KILL, &[]);
    let wal = left.job.beside(".state-wal");
    let len = std::fs::metadata(&wal).expect("a killed run leaves its log").len() as usize;
    for at in [len - 2 * FRAME, len - FRAME + 30, len - 100, len - 1] {
        left.restore_but(&wal, |bytes| bytes[at] ^= 0x10);
        assert_eq!(left.resume(), left.missing(&left.held), "damaged at {at} of {len}");
    }
}

/// A page and its head in SQLite's log.
const FRAME: usize = 4096 + 24;

/// Where the nth line ends.
fn end_of(out: &[u8], lines: usize) -> usize {
    let ends = out.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    ends.map(|(at, _)| at + 1).nth(lines - 1).unwrap()
}

/// The indices of the first lines.
fn first(out: &[u8], lines: usize) -> BTreeSet<usize> {
    let text = std::str::from_utf8(&out[..if lines == 0 { 0 } else { end_of(out, lines) }]).unwrap();
    crate::gannet::rows(text).iter().map(|row| row["index"].as_u64().unwrap() as usize).collect()
}
