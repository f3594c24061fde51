//! Rows that are asked again, and how their outcomes come to stand in the place of the older ones.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// A run of seven rows of which two failed, asked again; killed before the end is told. The second value is how it
/// would have gone on.
fn retried(place: &Place) -> (Files, Files) {
    place.complete(&[&[0, 6, 1], &[2, 3, 4, 5]]);
    let opened = place.retry(Some("error_kind = 'closed' and idx < 5"));
    assert_eq!((opened.prior.wanted(), opened.prior.done()), (Some(2), 0));
    let mut writer = begun(opened.state);
    write(&mut *writer, batch(&[4], 2));
    write(&mut *writer, batch(&[1], 2));
    drop(writer);
    let before = place.save();
    begun(place.retry(None).state).finish().unwrap();
    let after = place.save();
    place.restore(&before);
    (before, after)
}

const OLD: [(u64, u64); 7] = [(0, 1), (6, 1), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1)];
const NEW: [(u64, u64); 7] = [(0, 1), (6, 1), (1, 2), (2, 1), (3, 1), (4, 2), (5, 1)];

#[track_caller]
fn assert_merged(place: &Place) {
    assert_eq!(place.rows(), NEW);
    let status = place.status();
    assert_eq!((status.done, status.ok, status.failed, status.retry), (7, 7, 0, None));
    assert_eq!((place.count("again"), place.count("newer")), (0, 0));
    assert!(!place.beside("merge").exists());
}

#[test]
fn a_merge_that_is_killed_at_any_step_is_done_by_the_next_command() {
    for name in ["rows.jsonl", "rows.jsonl.gz", "rows.jsonl.zst"] {
        let place = Place::new(name);
        let (before, after) = retried(&place);
        let begin = || place.sql("INSERT OR REPLACE INTO run VALUES ('merging', 1)");
        let kills: [(&str, &dyn Fn()); 4] = [
            ("before a byte was written", &begin),
            ("while it was written", &|| {
                begin();
                std::fs::write(place.beside("merge"), &before[&place.out][..50]).unwrap();
            }),
            ("when it had its name", &|| {
                begin();
                std::fs::write(&place.out, &after[&place.out]).unwrap();
            }),
            ("before the rows gathered went", &|| {
                place.restore(&after);
                std::fs::write(place.beside("retry"), &before[&place.beside("retry")]).unwrap();
            }),
        ];
        for (when, kill) in kills {
            for job in ["fetch", "retry"] {
                place.restore(&before);
                kill();
                assert_eq!(indices(&place.rows()), indices(&OLD), "{name}, {when}: one row for each");
                if job == "fetch" {
                    let opening = place.begin();
                    assert!(!opening.has_retry().unwrap(), "{when}");
                    let opened = opening.run(&Identity::default(), None).unwrap();
                    assert_eq!(done(&opened, 8).len(), 7, "{name}, {when}");
                } else {
                    let none = place.begin().retry(Some("not ok")).unwrap();
                    assert!(none.is_none(), "{name}, {when}");
                }
                assert_merged(&place);
            }
        }
    }
}

#[test]
fn newer_rows_are_not_put_into_an_output_that_is_damaged() {
    for name in ["rows.jsonl.gz", "rows.jsonl.zst"] {
        let place = Place::new(name);
        let (before, _) = retried(&place);
        let mut damaged = before[&place.out].clone();
        let third = damaged.len() / 3;
        damaged[third] ^= 0x55;
        std::fs::write(&place.out, &damaged).unwrap();
        let refused = begun(place.retry(None).state).finish().unwrap_err();
        assert!(refused.to_string().contains("it is damaged at byte 0"), "{name}: {refused}");
        assert_eq!(std::fs::read(&place.out).unwrap(), damaged, "{name}");
        assert!(place.begin().run(&Identity::default(), None).is_err(), "{name}: it stays so");
        let refused = place.save();
        // Put back as it was.
        std::fs::write(&place.out, &before[&place.out]).unwrap();
        assert_eq!(done(&place.open(None), 8).len(), 7, "{name}");
        assert_merged(&place);
        // Or cut: what is lost is asked again.
        place.restore(&refused);
        place.cut(0);
        assert_eq!(done(&place.open(None), 8), [1, 4], "{name}");
        assert_eq!(place.rows(), [(1, 2), (4, 2)], "{name}");
    }
}

#[test]
fn a_retry_that_is_killed_goes_on_and_nothing_else_does_meanwhile() {
    let place = Place::new("rows.jsonl");
    place.complete(&[&[0, 6, 1], &[2, 3, 4, 5]]);
    let mut writer = begun(place.retry(Some("not ok")).state);
    write(&mut *writer, batch(&[4], 2));
    writer.finish().unwrap();
    drop(writer);
    assert_eq!(place.rows(), OLD, "not all have come");
    assert_eq!(place.status().retry, Some(super::super::status::Again { rows: 2, done: 1 }));
    assert!(!place.status().complete);
    assert!(place.begin().has_retry().unwrap());
    let refused = place.begin().retry(Some("not ok")).unwrap_err();
    assert!(refused.to_string().contains("a retry of 2 rows is under way; without --where it goes on"), "{refused}");
    assert_eq!(place.beside("retry").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    // One more row came and was not committed, and another is torn.
    let mut file = File::options().append(true).open(place.beside("retry")).unwrap();
    std::io::Write::write_all(&mut file, &[&batch(&[1], 2).rows[..], b"{\"index\":"].concat()).unwrap();
    let opened = place.retry(None);
    assert_eq!((opened.prior.wanted(), opened.prior.done()), (Some(2), 2));
    begun(opened.state).finish().unwrap();
    assert_merged(&place);
    assert!(place.begin().retry(None).unwrap_err().to_string().contains("no retry is under way"));
}

#[test]
fn a_condition_is_sql_and_can_change_nothing() {
    let place = Place::new("rows.jsonl");
    place.complete(&[&[0, 1, 2, 3, 4]]);
    let before = std::fs::read(&place.out).unwrap();
    for (condition, why) in [
        ("stauts = 429", "no such column: stauts"),
        ("ok); DELETE FROM outcome; --", "columns idx, ok, status"),
        ("", "syntax error"),
    ] {
        let refused = place.begin().retry(Some(condition)).unwrap_err();
        assert_eq!(refused.reason(), Reason::Refused);
        assert!(refused.to_string().contains(why), "{refused}");
    }
    for condition in
        ["status = 429 or error_kind like 'timeout%'", "not ok and host = 'host-9.test'", "ok -- not\nand 0"]
    {
        assert!(place.begin().retry(Some(condition)).unwrap().is_none(), "{condition}");
    }
    assert_eq!(place.retry(Some("attempts = 1 and elapsed_ms >= 3 and bytes = 0")).prior.wanted(), Some(2));
    assert_eq!((place.status().done, std::fs::read(&place.out).unwrap()), (5, before));
}

#[test]
fn rows_that_wait_for_their_turn_come_before_a_retry() {
    let place = Place::new("rows.jsonl");
    let mut writer = begun(place.open(Some(1000)).state);
    write(&mut *writer, batch(&[0, 1, 3], 1));
    drop(writer);
    let refused = place.begin().retry(Some("not ok")).unwrap_err();
    assert!(refused.to_string().contains("finish the run first"), "{refused}");
    let mut writer = begun(place.open(Some(1000)).state);
    write(&mut *writer, batch(&[2], 1));
    writer.finish().unwrap();
    drop(writer);
    let mut writer = begun(place.retry(Some("not ok")).state);
    write(&mut *writer, batch(&[1], 2));
    writer.finish().unwrap();
    assert_eq!(place.rows(), [(0, 1), (1, 2), (2, 1), (3, 1)], "and the order stays");
}

#[test]
fn a_retry_of_a_run_that_is_not_whole_leaves_the_rest_to_it() {
    let place = Place::new("rows.jsonl");
    let mut writer = begun(place.open(None).state);
    write(&mut *writer, batch(&[0, 1, 5], 1));
    drop(writer);
    place.append(&rendered(&[4]));
    // Row 4 was not known to the state, and is one that failed.
    let mut writer = begun(place.retry(Some("not ok")).state);
    write(&mut *writer, batch(&[4, 1], 2));
    writer.finish().unwrap();
    drop(writer);
    assert_eq!(place.rows(), [(0, 1), (1, 2), (5, 1), (4, 2)]);
    let opened = place.open(None);
    assert_eq!(done(&opened, 8), [0, 1, 4, 5]);
    let mut writer = begun(opened.state);
    write(&mut *writer, batch(&[2, 3], 1));
    writer.finish().unwrap();
    assert_eq!(place.rows().len(), 6);
}

#[test]
fn a_merge_keeps_the_mode_of_the_output_and_the_link_that_leads_to_it() {
    let place = Place::new("rows.jsonl.gz");
    let real = place.dir.path().join("elsewhere");
    File::create(&real).unwrap().set_permissions(std::fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink(&real, &place.out).unwrap();
    drop(Opening::begin(&place.out, Durability::Os, true).unwrap().run(&Identity::default(), None).unwrap());
    place.complete(&[&[0, 1, 2]]);
    let mut writer = begun(place.retry(Some("not ok")).state);
    write(&mut *writer, batch(&[1], 2));
    writer.finish().unwrap();
    assert!(place.out.symlink_metadata().unwrap().is_symlink());
    assert_eq!(real.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(place.rows(), [(0, 1), (1, 2), (2, 1)]);
}

#[test]
fn all_that_lies_beside_an_output_goes_by_its_targets_name_so_that_any_of_its_names_goes_on() {
    for name in ["rows.jsonl", "rows.jsonl.gz"] {
        let place = Place::new(name);
        let real = place.dir.path().join("elsewhere");
        std::os::unix::fs::symlink(&real, &place.out).unwrap();
        let other = Place::new(name);
        std::os::unix::fs::symlink(&place.out, &other.out).unwrap();
        let mut writer = begun(place.open(None).state);
        writer.write(&mut batch(&[0, 1], 1), 1).1.unwrap();
        drop(writer);
        let names: Vec<_> = place.save().into_keys().map(|path| path.file_name().unwrap().to_owned()).collect();
        let is_one = |name: &std::ffi::OsString| name.to_string_lossy().starts_with("elsewhere");
        assert!(names.iter().filter(|found| *found != name).all(is_one), "{names:?}");
        assert_eq!(done(&other.open(None), 8), [0, 1], "{name}");
        begun(other.open(None).state).finish().unwrap();
        let mut writer = begun(place.retry(Some("not ok")).state);
        write(&mut *writer, batch(&[1], 2));
        drop(writer);
        assert!(real.with_extension("retry").exists());
        let opened = other.retry(None);
        assert_eq!(opened.prior.done(), 1);
        begun(opened.state).finish().unwrap();
        assert_eq!(place.rows(), [(0, 1), (1, 2)]);
        assert!(place.out.symlink_metadata().unwrap().is_symlink());
        // A name that would pack its rows otherwise is none of its names.
        if name != "rows.jsonl" {
            let refused = Opening::begin(&real, Durability::Os, false).unwrap();
            let refused = refused.run(&Identity::default(), None).unwrap_err();
            assert_eq!(refused.reason(), Reason::Refused);
            assert!(refused.to_string().contains("its rows would be plain, and they are gzip"), "{refused}");
        }
    }
}
