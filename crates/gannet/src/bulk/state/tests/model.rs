//! Any run, killed anywhere, its output cut anywhere: what is whole in the output is done and nothing else is, and in
//! the end each row stands in it once.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// What a kill leaves.
#[derive(Clone, Debug)]
struct Kill {
    /// How many of the rows that were left are written before it.
    rows: usize,
    /// How many of these the state did not learn of.
    uncommitted: usize,
    /// How many more are finished and, where the output is packed, not packed.
    unpacked: usize,
    /// How much of the output is there, of 1000.
    part: u32,
    /// Whether a piece of a row follows.
    is_torn: bool,
}

fn kill() -> impl Strategy<Value = Kill> {
    let part = prop_oneof![3 => Just(1000), 2 => 900u32..1000, 1 => 0u32..1000];
    (0usize..12, 0usize..5, 0usize..4, part, any::<bool>())
        .prop_map(|(rows, uncommitted, unpacked, part, is_torn)| Kill { rows, uncommitted, unpacked, part, is_torn })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_is_whole_in_the_output_is_done_and_every_row_stands_there_once(
        order in Just((0u64..30).collect::<Vec<_>>()).prop_shuffle(),
        kills in proptest::collection::vec(kill(), 1..6),
        size in 1usize..6,
        (name, is_ordered) in (prop_oneof![Just("rows.jsonl"), Just("rows.gz"), Just("rows.zst")], any::<bool>()),
    ) {
        let place = Place::new(name);
        let turns = is_ordered.then_some(400);
        for kill in kills {
            let opened = place.open(turns);
            let done: BTreeSet<u64> = done(&opened, 30).into_iter().collect();
            let left: Vec<u64> = order.iter().copied().filter(|index| !done.contains(index)).take(kill.rows).collect();
            let (committed, more) = left.split_at(left.len().saturating_sub(kill.uncommitted));
            drop(run(opened, committed, size));
            let known = place.save();
            drop(run(place.open(turns), more, size));
            let mut files = place.save();
            files.insert(path_of(&place.out), known[&path_of(&place.out)].clone());
            let out = files.get_mut(&place.out).unwrap();
            out.truncate(out.len() * kill.part as usize / 1000);
            place.restore(&files);
            if kill.is_torn && name == "rows.jsonl" && kill.part == 1000 {
                place.append(b"{\"index\":29,\"url\":\"http");
            } else if name != "rows.jsonl" {
                let opened = place.open(turns);
                let done: BTreeSet<u64> = super::done(&opened, 30).into_iter().collect();
                let left = order.iter().copied().filter(|index| !done.contains(index));
                let mut writer = begun(opened.state);
                writer.write(&mut batch(&left.take(kill.unpacked).collect::<Vec<_>>(), 1), 1).1.unwrap();
            }
            check(&place, turns);
        }
        let opened = place.open(turns);
        let done: BTreeSet<u64> = done(&opened, 30).into_iter().collect();
        let left: Vec<u64> = order.iter().copied().filter(|index| !done.contains(index)).collect();
        run(opened, &left, size).finish().unwrap();
        let mut rows = indices(&place.rows());
        if !is_ordered {
            rows.sort_unstable();
        }
        prop_assert_eq!(rows, (0..30).collect::<Vec<_>>());
        prop_assert_eq!(place.status().done, 30);
    }
}

fn run(opened: Opened, rows: &[u64], size: usize) -> Box<dyn BatchWriter> {
    let mut writer = begun(opened.state);
    for rows in rows.chunks(size) {
        write(&mut *writer, batch(rows, 1));
    }
    writer
}

/// The rows that are whole, and those that wait for their turn, are done; no others.
fn check(place: &Place, turns: Option<u64>) {
    let whole: BTreeSet<u64> = whole_rows(&place.out);
    let held: BTreeSet<u64> = held(place);
    let tail = place.beside("tail");
    let kept: BTreeSet<u64> =
        if tail.exists() { indices(&rows_in(&tail)).into_iter().collect() } else { BTreeSet::new() };
    let opened = place.open(turns);
    let done: BTreeSet<u64> = done(&opened, 30).into_iter().collect();
    drop(opened);
    assert_eq!(done, whole.union(&held).chain(&kept).copied().collect::<BTreeSet<_>>());
    // Not torn any more, and no row twice.
    let rows = place.rows();
    assert_eq!(rows.len(), whole.len() + if turns.is_some() { 0 } else { kept.len() });
    assert_eq!(place.status().done, done.len() as u64);
}

fn whole_rows(path: &Path) -> BTreeSet<u64> {
    if Codec::of(path) != Codec::Plain {
        return indices(&rows_in(path)).into_iter().collect();
    }
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["index"].as_u64().unwrap()).collect()
}

fn held(place: &Place) -> BTreeSet<u64> {
    let db = rusqlite::Connection::open(path_of(&place.out)).unwrap();
    let mut statement = db.prepare("SELECT \"index\" FROM held").unwrap();
    let rows = statement.query_map([], |row| row.get::<_, u64>(0)).unwrap();
    rows.map(Result::unwrap).collect()
}
