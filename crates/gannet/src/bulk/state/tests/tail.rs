//! Rows of a packed output that were finished and not packed when the run was killed.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::bulk::prior::Fate;
use crate::bulk::sink::{Entry, Level, Pace, RowWriter};

const TURNS: Option<u64> = Some(1 << 20);
const NAMES: [&str; 2] = ["rows.jsonl.gz", "rows.jsonl.zst"];

/// Finished, and not packed yet.
fn keep(writer: &mut dyn BatchWriter, rows: &[u64]) {
    writer.write(&mut batch(rows, 1), 1).1.unwrap();
}

/// Rows 0 and 2 are packed, 1, 3 and 4 are not.
fn killed(place: &Place, turns: Option<u64>) {
    let mut writer = begun(place.open(turns).state);
    write(&mut *writer, batch(&[0, 2], 1));
    let mut started = Batch::default();
    started.entries.extend([Entry::Started(3), Entry::Started(5)]);
    write(&mut *writer, started);
    keep(&mut *writer, &[1, 3, 4]);
}

#[test]
fn rows_that_were_not_packed_yet_are_adopted_and_none_of_them_is_in_doubt() {
    for name in NAMES {
        let place = Place::new(name);
        killed(&place, None);
        let tail = place.beside("tail");
        assert_eq!((indices(&place.rows()), indices(&rows_in(&tail))), (vec![0, 2], vec![1, 3, 4]));
        assert_eq!(tail.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let mut file = File::options().append(true).open(&tail).unwrap();
        std::io::Write::write_all(&mut file, b"{\"index\":7,\"url\":\"http").unwrap();
        let opened = place.open(None);
        assert_eq!(done(&opened, 8), [0, 1, 2, 3, 4], "{name}");
        assert_eq!(opened.prior.fate(5), Fate::InDoubt { attempts: 0 }, "it had no answer");
        assert!(opened.notes[0].contains("3 rows that the last run wrote"), "{:?}", opened.notes);
        assert_eq!((indices(&place.rows()), tail.metadata().unwrap().len()), (vec![0, 2, 1, 3, 4], 0));
        begun(opened.state).finish().unwrap();
        assert!(!tail.exists());
        let status = place.status();
        assert_eq!((status.done, status.started, place.count("held")), (5, 1, 0));
    }
}

#[test]
fn in_order_they_wait_for_their_turn_like_others() {
    let place = Place::new("rows.jsonl.gz");
    killed(&place, TURNS);
    assert_eq!((indices(&place.rows()), place.count("held")), (vec![0], 1));
    let opened = place.open(TURNS);
    assert_eq!(done(&opened, 8), [0, 1, 2, 3, 4]);
    assert_eq!((indices(&place.rows()), place.count("held")), (vec![0], 4));
    let mut writer = begun(opened.state);
    keep(&mut *writer, &[6]);
    drop(writer);
    begun(place.open(TURNS).state).finish().unwrap();
    assert_eq!((indices(&place.rows()), place.count("held")), (vec![0, 1, 2, 3, 4], 1));
}

#[test]
fn a_kill_between_any_two_steps_doubles_none() {
    for (name, turns) in [("rows.jsonl.gz", None), ("rows.jsonl.zst", TURNS)] {
        let place = Place::new(name);
        killed(&place, turns);
        let tail = std::fs::read(place.beside("tail")).unwrap();
        let before = place.save();
        // Adopted, and the file is not emptied yet.
        drop(place.open(turns));
        std::fs::write(place.beside("tail"), &tail).unwrap();
        drop(place.open(turns));
        begun(place.open(turns).state).finish().unwrap();
        let mut rows = indices(&place.rows());
        rows.sort_unstable();
        assert_eq!(rows, [0, 1, 2, 3, 4], "{name}");
        // Packed by the run itself, likewise; committed or not.
        for is_committed in [true, false] {
            place.restore(&before);
            std::fs::write(place.beside("tail"), b"").unwrap();
            let state = std::fs::read(path_of(&place.out)).unwrap();
            let mut writer = begun(place.open(turns).state);
            write(&mut *writer, batch(&[1, 3, 4], 1));
            drop(writer);
            std::fs::write(place.beside("tail"), &tail).unwrap();
            if !is_committed {
                std::fs::write(path_of(&place.out), &state).unwrap();
            }
            let opened = place.open(turns);
            assert_eq!(done(&opened, 8), [0, 1, 2, 3, 4], "{name} {is_committed}");
            begun(opened.state).finish().unwrap();
            let mut rows = indices(&place.rows());
            rows.sort_unstable();
            assert_eq!(rows, [0, 1, 2, 3, 4], "{name} {is_committed}");
        }
    }
}

#[test]
fn what_a_restart_of_the_machine_took_from_the_output_is_adopted_where_it_still_stands() {
    let place = Place::new("rows.jsonl.gz");
    killed(&place, None);
    let mut tail = std::fs::read(place.beside("tail")).unwrap();
    let last = rendered(&[1, 3]).len();
    tail[last..].fill(0);
    drop(place.open(None));
    std::fs::write(place.beside("tail"), tail).unwrap();
    place.cut(0);
    place.sql("UPDATE run SET value = 'another' WHERE name = 'boot'");
    let opened = place.open(None);
    let fates = [0, 1, 2, 3, 4].map(|index| opened.prior.fate(index));
    let lost = Fate::InDoubt { attempts: 0 };
    assert_eq!(fates, [lost, Fate::Skip, lost, Fate::Skip, lost]);
}

#[test]
fn a_run_that_starts_over_adopts_nothing_of_another() {
    let place = Place::new("rows.jsonl.gz");
    killed(&place, None);
    let tail = std::fs::read(place.beside("tail")).unwrap();
    let begin = || Opening::begin(&place.out, Durability::Os, true).unwrap();
    assert!(done(&begin().run(&Identity::default(), None).unwrap(), 8).is_empty());
    // Killed when the state was new and the rest not yet gone.
    std::fs::write(place.beside("tail"), &tail).unwrap();
    place.sql("UPDATE run SET value = 1 WHERE name = 'empty_output'");
    assert!(done(&place.open(None), 8).is_empty());
    // Its output and state were removed by hand.
    std::fs::write(place.beside("tail"), &tail).unwrap();
    for path in [&place.out, &path_of(&place.out)] {
        std::fs::remove_file(path).unwrap();
    }
    assert!(place.begin().run(&Identity::default(), None).is_err());
    assert!(done(&begin().run(&Identity::default(), None).unwrap(), 8).is_empty());
}

#[test]
fn a_file_of_that_name_which_is_somebody_elses_is_never_touched_unless_it_may_be_replaced() {
    let begin = |place: &Place| Opening::begin(&place.out, Durability::Os, true).unwrap();
    let run = |opening: Opening| opening.run(&Identity::default(), None);
    let text = b"my own tail\n";
    // A plain output has none.
    let place = Place::new("rows.jsonl");
    let tail = place.beside("tail");
    std::fs::write(&tail, text).unwrap();
    place.complete(&[&[0, 1]]);
    run(begin(&place)).unwrap();
    place.complete(&[&[0, 1]]);
    drop(place.retry(Some("not ok")));
    assert_eq!(std::fs::read(&tail).unwrap(), text);

    for name in NAMES {
        let place = Place::new(name);
        let tail = place.beside("tail");
        let refused = || {
            let refused = place.begin().run(&Identity::default(), None).unwrap_err();
            assert_eq!(refused.reason(), Reason::Alone);
            assert!(refused.to_string().contains(".tail: it exists already"), "{refused}");
            assert_eq!(std::fs::read(&tail).unwrap(), text, "{name}");
        };
        std::fs::write(&tail, text).unwrap();
        refused();
        refused();
        assert!(!place.out.exists());
        std::fs::remove_file(&tail).unwrap();
        place.complete(&[&[0, 1]]);
        // The run is done and has none any more.
        std::fs::write(&tail, text).unwrap();
        refused();
        assert_eq!(place.begin().retry(Some("not ok")).unwrap_err().reason(), Reason::Alone);
        assert_eq!(std::fs::read(&tail).unwrap(), text, "{name}");
        std::fs::remove_file(&tail).unwrap();
        drop(place.retry(Some("not ok")));
        std::fs::write(&tail, text).unwrap();
        assert_eq!(place.begin().retry(None).unwrap_err().reason(), Reason::Alone);
        // Who says so has it replaced.
        assert!(done(&run(begin(&place)).unwrap(), 2).is_empty());
        assert_eq!(tail.metadata().unwrap().len(), 0);
    }
}

#[test]
fn files_under_the_names_of_a_retry_are_not_a_new_runs_to_remove() {
    for suffix in ["retry", "merge"] {
        let place = Place::new("rows.jsonl");
        std::fs::write(place.beside(suffix), b"mine").unwrap();
        assert_eq!(place.begin().run(&Identity::default(), None).unwrap_err().reason(), Reason::Alone);
        assert_eq!(std::fs::read(place.beside(suffix)).unwrap(), b"mine");
        let opening = Opening::begin(&place.out, Durability::Os, true).unwrap();
        opening.run(&Identity::default(), None).unwrap();
        assert!(!place.beside(suffix).exists());
    }
}

/// As the command runs it: with the thread that writes.
fn started(place: &Place, durability: Durability) -> (RowWriter, u64) {
    let opening = Opening::begin(&place.out, durability, false).unwrap();
    let writer = opening.run(&Identity::default(), None).unwrap().state.into_writer();
    let writer = RowWriter::start(writer, Pace::default()).unwrap();
    let number = writer.push_batch(true, |batch| push(batch, &outcome(0, 1))).unwrap();
    (writer, number)
}

/// Has the next commit panic: a host that is longer than all names.
fn spoil(writer: &RowWriter) -> u64 {
    let number = writer.push_batch(true, |batch| {
        push(batch, &outcome(1, 1));
        batch.names.clear();
    });
    number.unwrap()
}

#[tokio::test]
async fn a_panic_of_the_thread_that_commits_is_told_to_whoever_waits_for_a_commit() {
    for name in ["rows.jsonl", "rows.jsonl.gz"] {
        let place = Place::new(name);
        let (writer, number) = started(&place, Durability::Row);
        writer.mark(number, Level::Committed).await.unwrap();
        let number = spoil(&writer);
        let told = tokio::time::timeout(Duration::from_secs(20), writer.mark(number, Level::Committed)).await;
        let told = told.expect("it is told at all").unwrap_err();
        assert!(told.to_string().contains("the thread that commits the state panicked"), "{name}: {told}");
        assert!(writer.push(|_| ()).is_err(), "{name}");
    }
}

#[test]
fn a_retry_has_them_too_unless_they_wait_for_their_turn() {
    let place = Place::new("rows.jsonl.zst");
    killed(&place, None);
    let mut writer = begun(place.retry(Some("not ok")).state);
    write(&mut *writer, batch(&[1, 4], 2));
    writer.finish().unwrap();
    drop(writer);
    assert_eq!(place.rows(), [(0, 1), (2, 1), (1, 2), (3, 1), (4, 2)]);
    assert!(!place.beside("tail").exists());

    let place = Place::new("rows.jsonl.zst");
    killed(&place, TURNS);
    let refused = place.begin().retry(Some("not ok")).unwrap_err();
    assert!(refused.to_string().contains("finish the run first"), "{refused}");
    assert_eq!(done(&place.open(TURNS), 8), [0, 1, 2, 3, 4]);
}

#[test]
fn a_hold_is_not_known_before_the_row_that_brought_it_and_a_start_does_not_wait_for_any() {
    let place = Place::new("rows.jsonl.gz");
    let mut writer = begun(place.open(None).state);
    let mut started = batch(&[0], 1);
    started.entries.push(Entry::Started(1));
    writer.write(&mut started, 1).1.unwrap();
    assert_eq!((place.size(), writer.due().is_some()), (0, true));
    let mut held = batch(&[1], 1);
    held.entries.push(Entry::Hold("slow.test".into(), Duration::from_secs(30), std::time::SystemTime::now()));
    writer.write(&mut held, 2).1.unwrap();
    assert!(writer.due().is_none());
    assert_eq!(indices(&place.rows()), [0, 1]);
    drop(writer);
    let status = place.status();
    assert_eq!((status.done, status.started, status.held_hosts.len()), (2, 0, 1));
}

#[test]
fn a_group_is_packed_when_it_is_large_and_in_pieces_if_one_row_brings_much() {
    let place = Place::new("rows.jsonl.gz");
    let mut writer = begun(place.open(None).state);
    let many: Vec<u64> = (0..4000).collect();
    for rows in many.chunks(1000) {
        keep(&mut *writer, rows);
    }
    assert!(writer.due().unwrap() > std::time::Instant::now());
    let mut number = 4000;
    while writer.due().unwrap() > std::time::Instant::now() {
        keep(&mut *writer, &(number..number + 1000).collect::<Vec<_>>());
        number += 1000;
    }
    assert_eq!(place.size(), 0, "it is acknowledged first");
    let (bytes, result) = writer.on_due(1);
    result.unwrap();
    assert_eq!((bytes, writer.due()), (place.size(), None));
    assert_eq!(place.beside("tail").metadata().unwrap().len(), 0);
    assert_eq!(indices(&place.rows()), (0..number).collect::<Vec<_>>());
}
