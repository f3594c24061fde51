//! What each kind of end leaves, and what the next run makes of it.

use std::os::unix::fs::PermissionsExt;
use std::time::SystemTime;

use super::*;
use crate::bulk::prior::Fate;
use crate::bulk::sink::Entry;
use crate::{Options, Session};

const TURNS: Option<u64> = Some(1 << 20);

#[test]
fn rows_that_reached_the_output_and_not_the_state_are_adopted_and_a_torn_one_is_cut_off() {
    for name in ["rows.jsonl", "rows.jsonl.gz", "rows.jsonl.zst"] {
        let place = Place::new(name);
        let mut writer = begun(place.open(None).state);
        write(&mut *writer, batch(&[0, 2, 4], 1));
        drop(writer);
        let mut packed = Vec::new();
        Codec::of(&place.out).encode(&rendered(&[1, 5]), &mut packed).unwrap();
        place.append(&packed);
        if name == "rows.jsonl" {
            place.append(&rendered(&[3])[..30]);
        }
        let opened = place.open(None);
        assert_eq!(done(&opened, 8), [0, 1, 2, 4, 5], "{name}");
        assert!(opened.notes[0].contains("2 rows that the last run wrote"), "{:?}", opened.notes);
        drop(opened);
        assert_eq!(indices(&place.rows()), [0, 2, 4, 1, 5]);
        let status = place.status();
        assert_eq!((status.done, status.ok, status.failed_by_kind["closed"]), (5, 3, 2), "{name}");
        assert_eq!(status.failed_by_host[0].host, "host-0.test");
        assert!(place.open(None).notes.is_empty(), "what was adopted is told once");
    }
}

#[test]
fn the_whole_rows_of_a_torn_member_are_kept_also_if_that_is_interrupted() {
    for name in ["rows.jsonl.gz", "rows.jsonl.zst"] {
        let place = Place::new(name);
        let mut writer = begun(place.open(None).state);
        write(&mut *writer, batch(&[0], 1));
        drop(writer);
        let before = place.save();
        // Larger than what zstd packs as one block, of which nothing can be had before its end.
        let many: Vec<u64> = (1..4000).collect();
        let mut writer = begun(place.open(None).state);
        write(&mut *writer, batch(&many, 1));
        drop(writer);
        let torn = std::fs::read(&place.out).unwrap();
        let torn = &torn[..torn.len() - 40];
        place.restore(&before);
        std::fs::write(&place.out, torn).unwrap();
        let whole = indices(&place.rows());
        assert!(whole.len() > 100 && whole.len() < 4000, "{}", whole.len());
        let killed = place.save();
        let opened = place.open(None);
        assert_eq!(done(&opened, 4000), whole);
        drop(opened);
        assert_eq!(indices(&place.rows()), whole);

        // Killed when the torn member was cut off, and when its rows were half written again.
        place.restore(&killed);
        let rows: Vec<u8> = rendered(&whole[1..]);
        let hex: String = rows.iter().map(|byte| format!("{byte:02x}")).collect();
        let end = before[&place.out].len() as u64;
        place.sql(&format!("INSERT INTO run VALUES ('salvaged', X'{hex}'), ('salvaged_at', {end})"));
        for length in [end, end + 100] {
            place.cut(length);
            assert_eq!(done(&place.open(None), 4000), whole);
            assert_eq!(indices(&place.rows()), whole);
            place.restore(&killed);
            place.sql(&format!("INSERT INTO run VALUES ('salvaged', X'{hex}'), ('salvaged_at', {end})"));
        }
        // And when they were written, and that was all that was missing.
        assert_eq!(done(&place.open(None), 4000), whole);
        place.sql(&format!("INSERT INTO run VALUES ('salvaged', X'{hex}'), ('salvaged_at', {end})"));
        assert_eq!(done(&place.open(None), 4000), whole);
        assert_eq!(indices(&place.rows()), whole);
    }
}

#[test]
fn a_row_whose_turn_had_come_when_the_run_was_killed_holds_up_none_behind_it() {
    let place = Place::new("rows.jsonl");
    let mut writer = begun(place.open(TURNS).state);
    write(&mut *writer, batch(&[1, 2], 1));
    drop(writer);
    assert_eq!(place.count("held"), 2);
    // Rows 0 to 2 were written and not committed.
    place.append(&rendered(&[0, 1, 2]));
    for upto in 3..6 {
        let opened = place.open(TURNS);
        assert_eq!(done(&opened, 9), (0..upto).collect::<Vec<_>>());
        let mut writer = begun(opened.state);
        write(&mut *writer, batch(&[upto], 1));
        writer.finish().unwrap();
        drop(writer);
        assert_eq!(place.count("held"), 0);
        assert_eq!(indices(&place.rows()), (0..=upto).collect::<Vec<_>>());
    }
}

#[test]
fn a_run_that_is_forced_out_of_order_or_into_it_loses_no_row() {
    let place = Place::new("rows.jsonl");
    let mut writer = begun(place.open(TURNS).state);
    write(&mut *writer, batch(&[0, 4, 2], 1));
    drop(writer);
    assert_eq!(indices(&place.rows()), [0]);
    drop(place.open(None));
    assert_eq!(indices(&place.rows()), [0, 2, 4], "what waited for its turn waits no more");
    assert_eq!(place.count("held"), 0);
    let opened = place.open(TURNS);
    assert_eq!(done(&opened, 9), [0, 2, 4]);
    let mut writer = begun(opened.state);
    write(&mut *writer, batch(&[3, 6], 1));
    write(&mut *writer, batch(&[1, 5], 1));
    writer.finish().unwrap();
    assert_eq!(indices(&place.rows()), [0, 2, 4, 1, 3, 5, 6]);
}

#[test]
fn rows_that_wait_for_one_leave_no_url_behind_and_come_piece_by_piece() {
    let place = Place::new("rows.jsonl.gz");
    let mut writer = begun(place.open(Some(10_000)).state);
    let late: Vec<u64> = (1..30_000).collect();
    for rows in late.chunks(5000) {
        write(&mut *writer, batch(rows, 1));
    }
    assert_eq!(place.size(), 0);
    write(&mut *writer, batch(&[0], 1));
    drop(writer);
    assert_eq!(indices(&place.rows()), (0..30_000).collect::<Vec<_>>());
    let mut reader = RowReader::new(File::open(&place.out).unwrap(), Codec::Gzip, 0);
    let (mut rows, mut members) = (Vec::new(), 0);
    while reader.next_batch(&mut rows).unwrap().is_some() {
        assert!(rows.len() < 2 << 20, "{}", rows.len());
        members += 1;
    }
    assert!(members > 3, "{members}");
    let bytes = std::fs::read(path_of(&place.out)).unwrap();
    for secret in ["sesame", "http://", "id-1"] {
        assert!(memchr::memmem::find(&bytes, secret.as_bytes()).is_none(), "{secret}");
    }
}

#[test]
fn what_the_output_has_lost_is_asked_again_and_not_sent_twice() {
    let place = Place::new("rows.jsonl");
    place.complete(&[&[0, 1, 2], &[3, 4]]);
    let length = rendered(&[0, 1, 2]).len() as u64;
    place.cut(length - 1);
    let opened = place.open(None);
    assert_eq!(done(&opened, 5), [0, 1]);
    assert_eq!(opened.prior.fate(3), Fate::InDoubt { attempts: 0 });
    assert_eq!(opened.prior.fate(5), Fate::Send { attempts: 0 });
    assert_eq!(opened.notes.len(), 2, "{:?}", opened.notes);
    assert!(opened.notes[0].contains("3 rows are missing from it"), "{:?}", opened.notes);
    let mut writer = begun(opened.state);
    write(&mut *writer, batch(&[3], 1));
    let mut again = Batch::default();
    again.entries.push(Entry::Waiting(4, 1));
    write(&mut *writer, again);
    drop(writer);
    let opened = place.open(None);
    let fates = [2, 3, 4].map(|index| opened.prior.fate(index));
    assert_eq!(fates, [Fate::InDoubt { attempts: 0 }, Fate::Skip, Fate::Send { attempts: 1 }]);
}

#[test]
fn after_a_restart_of_the_machine_both_the_output_and_a_retry_are_read_as_a_whole() {
    let place = Place::new("rows.jsonl");
    place.complete(&[&[0, 1, 2, 3, 4]]);
    let mut writer = begun(place.retry(Some("not ok")).state);
    write(&mut *writer, batch(&[1], 2));
    drop(writer);
    let mut bytes = std::fs::read(&place.out).unwrap();
    let third = rendered(&[0, 1]).len();
    bytes[third..].fill(0);
    std::fs::write(&place.out, &bytes).unwrap();
    let retried = std::fs::read(place.beside("retry")).unwrap();
    std::fs::write(place.beside("retry"), vec![0; retried.len()]).unwrap();
    assert_eq!(place.retry(None).prior.done(), 1, "nothing says yet that the disk has lost something");
    place.sql("UPDATE run SET value = 'another' WHERE name = 'boot'");
    let opened = place.retry(None);
    assert_eq!(opened.prior.done(), 0);
    let mut writer = begun(opened.state);
    write(&mut *writer, batch(&[1, 4], 2));
    writer.finish().unwrap();
    drop(writer);
    // Row 4 was lost and asked again; 2 and 3 are the run's to ask.
    assert_eq!(place.rows(), [(0, 1), (1, 2), (4, 2)]);
    assert_eq!(done(&place.open(None), 5), [0, 1, 4]);
}

#[test]
fn an_output_that_something_else_has_changed_is_kept_aside_or_refused() {
    let place = Place::new("rows.jsonl");
    place.complete(&[&[0, 1]]);
    place.append(b"my own notes\n");
    let opened = place.open(None);
    assert!(opened.notes[0].contains("13 bytes at its end are no rows; they were moved to"), "{:?}", opened.notes);
    drop(opened);
    assert_eq!(std::fs::read(place.beside("broken")).unwrap(), b"my own notes\n");
    assert_eq!(place.beside("broken").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    place.append(&rendered(&[1]));
    let refused = place.begin().run(&Identity::default(), None).unwrap_err();
    assert_eq!(refused.reason(), Reason::Damaged);
    assert!(refused.to_string().contains("row 1 stands in it twice"), "{refused}");
    std::fs::remove_file(&place.out).unwrap();
    let refused = place.begin().run(&Identity::default(), None).unwrap_err();
    assert!(refused.to_string().contains("it is gone, but its state"), "{refused}");
}

/// Three batches of rows, each a member of its own where they are packed; where each ends.
fn three(place: &Place) -> [u64; 3] {
    let mut writer = begun(place.open(None).state);
    let ends = [[0, 1, 2], [3, 4, 5], [6, 7, 8]].map(|rows| {
        write(&mut *writer, batch(&rows, 1));
        place.size()
    });
    writer.finish().unwrap();
    ends
}

/// Damage in the first of three batches: of a packed one near its end, in its check sum.
fn damage(place: &Place, ends: [u64; 3], is_hole: bool) -> u64 {
    let mut bytes = std::fs::read(&place.out).unwrap();
    let first = ends[0] as usize;
    match Codec::of(&place.out) {
        Codec::Plain if is_hole => bytes[first - 40..first - 10].fill(0),
        Codec::Plain => bytes[rendered(&[0, 1]).len()] = b'<',
        Codec::Gzip => bytes[first - 8] ^= 4,
        Codec::Zstd => bytes[first - 4] ^= 4,
    }
    std::fs::write(&place.out, &bytes).unwrap();
    if Codec::of(&place.out) == Codec::Plain { rendered(&[0, 1]).len() as u64 } else { 0 }
}

#[test]
fn damage_in_front_of_intact_rows_is_refused_with_its_offset_and_nothing_is_cut() {
    for (name, is_hole) in
        [("rows.jsonl.gz", false), ("rows.jsonl.zst", false), ("rows.jsonl", true), ("rows.jsonl", false)]
    {
        for cause in ["restart", "shorter"] {
            let place = Place::new(name);
            let ends = three(&place);
            let before = std::fs::read(&place.out).unwrap();
            let at = damage(&place, ends, is_hole);
            if cause == "restart" {
                place.sql("UPDATE run SET value = 'another' WHERE name = 'boot'");
            } else {
                place.cut(ends[2] - 1);
            }
            let damaged = std::fs::read(&place.out).unwrap();
            for _ in 0..2 {
                let refused = place.begin().run(&Identity::default(), None).unwrap_err();
                assert_eq!(refused.reason(), Reason::Damaged, "{name}, {cause}");
                let text = format!("damaged at byte {at} of {}", damaged.len());
                assert!(refused.to_string().contains(&text), "{name}, {cause}: {refused}");
                assert!(refused.to_string().contains(&format!("truncate -s {at} ")), "{refused}");
                assert_eq!(std::fs::read(&place.out).unwrap(), damaged, "{name}, {cause}");
                assert!(!place.beside("broken").exists());
            }
            // Each way out that is told.
            let refused = place.save();
            std::fs::write(&place.out, &before).unwrap();
            assert_eq!(done(&place.open(None), 9), (0..9).collect::<Vec<_>>(), "{name}, {cause}");
            place.restore(&refused);
            place.cut(at);
            let opened = place.open(None);
            let left: Vec<u64> = if at == 0 { Vec::new() } else { vec![0, 1] };
            assert_eq!(done(&opened, 9), left, "{name}, {cause}");
            assert_eq!(opened.notes.len(), 1, "{:?}", opened.notes);
            assert!(opened.notes[0].contains("are missing from it and are asked again"), "{:?}", opened.notes);
        }
    }
}

#[test]
fn an_edit_that_moves_the_committed_end_into_a_row_is_not_cut_there() {
    for (name, line) in [("rows.jsonl", 2), ("rows.jsonl", 0), ("rows.jsonl.gz", 0), ("rows.jsonl.zst", 0)] {
        let place = Place::new(name);
        three(&place);
        let at = rendered(&(0..line).collect::<Vec<_>>()).len();
        let mut bytes = std::fs::read(&place.out).unwrap();
        bytes.splice(at..at, *b"# mine\n");
        std::fs::write(&place.out, &bytes).unwrap();
        let refused = place.begin().run(&Identity::default(), None).unwrap_err();
        assert!(refused.to_string().contains(&format!("damaged at byte {at} of")), "{name}: {refused}");
        assert_eq!(std::fs::read(&place.out).unwrap(), bytes, "{name}");
    }
    // Rows that are rows still.
    let place = Place::new("rows.jsonl");
    three(&place);
    let edited = String::from_utf8(std::fs::read(&place.out).unwrap()).unwrap().replace("\"index\":", "\"index\": ");
    std::fs::write(&place.out, &edited).unwrap();
    let opened = place.open(None);
    assert_eq!((done(&opened, 9), opened.notes.len()), ((0..9).collect::<Vec<_>>(), 0));
    assert_eq!(std::fs::read_to_string(&place.out).unwrap(), edited);
}

#[test]
fn a_length_that_is_damaged_does_not_pass_for_a_torn_member() {
    let place = Place::new("rows.jsonl.gz");
    let ends = three(&place);
    let mut bytes = std::fs::read(&place.out).unwrap();
    // A head that says that it has an extra field (RFC 1952 section 2.3.1), which is longer than all that follows.
    bytes[3] |= 4;
    bytes[10..12].fill(0xff);
    std::fs::write(&place.out, &bytes).unwrap();
    place.sql("UPDATE run SET value = 'another' WHERE name = 'boot'");
    let refused = place.begin().run(&Identity::default(), None).unwrap_err();
    assert!(refused.to_string().contains("damaged at byte 0 of"), "{refused}");
    assert_eq!(std::fs::read(&place.out).unwrap(), bytes);
    // Of a file that was cut nobody can tell; what is cut off is kept.
    place.cut(ends[2] - 1);
    let opened = place.open(None);
    assert!(done(&opened, 9).is_empty());
    assert!(opened.notes.iter().any(|note| note.contains("they were moved to")), "{:?}", opened.notes);
    assert_eq!(std::fs::read(place.beside("broken")).unwrap(), bytes[..bytes.len() - 1]);
}

#[test]
fn what_is_damaged_behind_the_committed_end_is_kept_aside_and_what_is_torn_is_not() {
    for name in ["rows.jsonl", "rows.jsonl.gz", "rows.jsonl.zst"] {
        let place = Place::new(name);
        let committed = three(&place)[2];
        let (before, codec) = (place.save(), Codec::of(&place.out));
        let member = |rows: &[u64]| {
            let mut packed = Vec::new();
            codec.encode(&rendered(rows), &mut packed).unwrap();
            packed
        };
        let (good, mut flipped) = (member(&[9]), member(&[10]));
        let last = flipped.len() - 6;
        flipped[last] ^= 0x55;
        let holed = [&rendered(&[10])[..20], &[0; 600], &rendered(&[11])].concat();
        let broken: Vec<Vec<u8>> = match codec {
            Codec::Plain => vec![b"note\n".to_vec(), holed],
            _ => vec![b"note\n".to_vec(), [flipped, member(&[11])].concat(), [vec![0; 600], member(&[11])].concat()],
        };
        for broken in broken {
            place.restore(&before);
            place.append(&good);
            place.append(&broken);
            let opened = place.open(None);
            assert_eq!(done(&opened, 12), (0..10).collect::<Vec<_>>(), "{name}");
            let text = format!("{} bytes at its end are no rows; they were moved to", broken.len());
            assert!(opened.notes[1].contains(&text), "{name}: {:?}", opened.notes);
            assert_eq!(std::fs::read(place.beside("broken")).unwrap(), broken, "{name}");
            assert_eq!(place.size(), committed + good.len() as u64);
        }
        let half = [&good[..good.len() - 6], &[0; 700]].concat();
        for torn in [&half[..good.len() - 6], &half, &[0; 700]] {
            place.restore(&before);
            place.append(torn);
            assert_eq!(done(&place.open(None), 9), (0..9).collect::<Vec<_>>(), "{name}");
            assert!(!place.beside("broken").exists(), "{name}");
        }
    }
}

#[test]
fn a_packed_output_without_rows_is_whole() {
    let place = Place::new("rows.jsonl.gz");
    place.complete(&[]);
    let size = place.size();
    assert!(size > 0);
    assert!(place.open(None).notes.is_empty());
    assert_eq!(place.size(), size);
}

#[test]
fn attempts_marks_and_holds_survive() {
    let place = Place::new("rows.jsonl");
    let mut writer = begun(place.open(None).state);
    let mut events = Batch::default();
    let hold = Duration::from_secs(30);
    events.entries.extend([
        Entry::Waiting(0, 2),
        Entry::Started(1),
        Entry::Waiting(2, 1),
        Entry::Started(2),
        Entry::Started(3),
        Entry::Waiting(3, 1),
        Entry::Started(4),
        Entry::Waiting(4, 0),
        Entry::Hold("slow.test".into(), hold, SystemTime::now()),
        Entry::Hold("slow.test".into(), Duration::from_secs(5), SystemTime::now()),
    ]);
    write(&mut *writer, events);
    drop(writer);
    let status = place.status();
    assert_eq!((status.waiting, status.started), (2, 2));
    assert_eq!(status.held_hosts, ["slow.test"]);
    let opened = place.open(None);
    let fates = [0, 1, 2, 3, 4].map(|index| opened.prior.fate(index));
    let (send, in_doubt) = (|attempts| Fate::Send { attempts }, |attempts| Fate::InDoubt { attempts });
    assert_eq!(fates, [send(2), in_doubt(0), in_doubt(1), send(1), send(0)]);
    let (host, left) = &opened.prior.holds[0];
    assert_eq!(host, "slow.test");
    assert!(*left > hold - Duration::from_secs(5), "{left:?}");
}

#[test]
fn the_last_cookies_are_written_when_a_run_ends_however_soon() {
    let place = Place::new("rows.jsonl");
    let url = "http://a.test/".parse().unwrap();
    let session = || Session::new(Options::default()).unwrap();
    for (name, is_large) in [("one", false), ("two", true)] {
        let (first, second) = (session(), session());
        let mut opened = place.open(None);
        opened.state.keep_cookies(&first).unwrap();
        let mut writer = begun(opened.state);
        for number in 0..if is_large { 400 } else { 1 } {
            let host = format!("http://h{number}.test/").parse().unwrap();
            first.cookies().set(&host, "name", "value").unwrap();
        }
        write(&mut *writer, Batch::default());
        first.cookies().set(&url, "name", name).unwrap();
        write(&mut *writer, Batch::default());
        if is_large {
            writer.finish().unwrap();
        }
        drop(writer);
        place.open(None).state.keep_cookies(&second).unwrap();
        let sent = second.cookies().header_for(&url, SystemTime::now());
        assert_eq!(sent.unwrap(), format!("name={name}"));
    }
}

#[test]
fn only_one_process_writes_and_the_state_is_its_owners() {
    let place = Place::new("rows.jsonl");
    let opened = place.open(None);
    let refused = Opening::begin(&place.out, Durability::Os, true).unwrap_err();
    assert_eq!(refused.reason(), Reason::Busy);
    assert!(place.status().done == 0, "it can be read meanwhile");
    for suffix in ["state", "state-wal", "state-shm"] {
        assert_eq!(place.beside(suffix).metadata().unwrap().permissions().mode() & 0o777, 0o600, "{suffix}");
    }
    drop(opened);
    place.begin();
}

#[test]
fn what_stands_without_its_state_or_is_none_is_refused_with_the_remedy() {
    let place = Place::new("rows.jsonl");
    let missing = Status::read(&place.out).unwrap_err();
    assert!(missing.to_string().contains("there is no such state; give the name that was given to -o"), "{missing}");
    std::fs::write(&place.out, b"{}\n").unwrap();
    let alone = Opening::begin(&place.out, Durability::Os, false).unwrap_err();
    assert!(alone.to_string().contains("--fresh overwrites it"), "{alone}");
    // A run that was killed before it wrote its tables.
    std::fs::write(path_of(&place.out), b"").unwrap();
    assert_eq!(Opening::begin(&place.out, Durability::Os, false).unwrap_err().reason(), Reason::Alone);
    std::fs::write(path_of(&place.out), vec![7; 9000]).unwrap();
    let damaged = Opening::begin(&place.out, Durability::Os, false).unwrap_err();
    assert_eq!(damaged.reason(), Reason::Damaged);
    assert!(damaged.to_string().contains("--fresh"), "{damaged}");
    drop(Opening::begin(&place.out, Durability::Os, true).unwrap().run(&Identity::default(), None).unwrap());
    assert_eq!(place.size(), 0);
    place.sql("PRAGMA user_version = 9");
    for refused in
        [Opening::begin(&place.out, Durability::Os, false).unwrap_err(), Status::read(&place.out).unwrap_err()]
    {
        assert!(refused.to_string().contains("another version"), "{refused}");
    }
}

#[test]
fn starting_over_empties_the_output_also_if_it_is_killed_before_that() {
    let place = Place::new("rows.jsonl");
    place.complete(&[&[0, 1]]);
    drop(place.retry(Some("not ok")));
    // The state is new, the output not yet empty.
    let old = std::fs::read(&place.out).unwrap();
    drop(Opening::begin(&place.out, Durability::Os, true).unwrap().run(&Identity::default(), None).unwrap());
    assert!(!place.beside("retry").exists());
    std::fs::write(&place.out, old).unwrap();
    place.sql("UPDATE run SET value = 1 WHERE name = 'empty_output'");
    let opened = place.open(None);
    assert_eq!((opened.prior.done(), place.size()), (0, 0));
}

#[test]
fn starting_over_needs_nothing_of_the_old_state_to_be_whole() {
    let place = Place::new("rows.jsonl");
    place.complete(&[&(0..600).collect::<Vec<_>>()]);
    let before = place.save();
    let state = path_of(&place.out);
    let pages = before[&state].len() / 4096;
    assert!(pages > 8, "{pages}");
    let mut refused = 0;
    for page in 0..pages {
        for fill in [0x00, 0xA5] {
            place.restore(&before);
            let mut damaged = before[&state].clone();
            damaged[page * 4096..(page + 1) * 4096].fill(fill);
            std::fs::write(&state, damaged).unwrap();
            refused += u32::from(Opening::begin(&place.out, Durability::Os, false).is_err());
            let opening = Opening::begin(&place.out, Durability::Os, true).unwrap();
            let opened = opening.run(&Identity::default(), None).unwrap();
            assert_eq!((opened.prior.done(), place.size()), (0, 0), "page {page} filled with {fill:#x}");
            let busy = Opening::begin(&place.out, Durability::Os, true).unwrap_err();
            assert_eq!(busy.reason(), Reason::Busy, "it is locked still");
            let mut writer = begun(opened.state);
            write(&mut *writer, batch(&[0, 1], 1));
            writer.finish().unwrap();
            drop(writer);
            assert_eq!((place.status().done, indices(&place.rows())), (2, vec![0, 1]));
        }
    }
    assert!(refused > 0);
}

#[test]
fn the_tables_of_a_new_state_are_in_the_file_itself() {
    let place = Place::new("rows.jsonl");
    let opened = place.open(None);
    // Its log gone, as its first damaged frame would make it.
    let copy = place.dir.path().join("copy");
    std::fs::write(&copy, std::fs::read(path_of(&place.out)).unwrap()).unwrap();
    let db = rusqlite::Connection::open(&copy).unwrap();
    let figure = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(figure("PRAGMA user_version"), super::super::schema::VERSION);
    assert_eq!(figure("SELECT count(*) FROM outcome"), 0);
    assert_eq!(figure("SELECT value FROM run WHERE name = 'end'"), 0);
    drop(opened);
}
