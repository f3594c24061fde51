//! States that are built as runs build them, damaged as kills and losses of power leave them, and opened again.

mod merging;
mod model;
mod recovery;
mod tail;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::bulk::Outcome;
use crate::bulk::sink::{Batch, BatchWriter, Codec, Report, RowFormat, RowReader};

/// A directory with an output.
struct Place {
    dir: TempDir,
    out: PathBuf,
}

/// The files beside an output, as they were at one moment.
type Files = BTreeMap<PathBuf, Vec<u8>>;

impl Place {
    fn new(name: &str) -> Place {
        // In memory where that can be: SQLite syncs whenever a state is closed.
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let out = dir.path().join(name);
        Place { dir, out }
    }

    fn begin(&self) -> Opening {
        Opening::begin(&self.out, Durability::Os, false).unwrap()
    }

    fn open(&self, turns: Option<u64>) -> Opened {
        self.begin().run(&Identity::default(), turns).unwrap()
    }

    fn retry(&self, condition: Option<&str>) -> Opened {
        self.begin().retry(condition).unwrap().unwrap()
    }

    /// A whole run over these rows, in batches; every third row fails.
    fn complete(&self, batches: &[&[u64]]) {
        let mut writer = begun(self.open(None).state);
        for rows in batches {
            write(&mut *writer, batch(rows, 1));
        }
        writer.finish().unwrap();
    }

    /// What is known of its rows, in the order of the file.
    fn rows(&self) -> Vec<(u64, u64)> {
        rows_in(&self.out)
    }

    fn status(&self) -> Status {
        Status::read(&self.out).unwrap()
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        beside(&self.out, suffix)
    }

    /// To be called when nobody has the state open.
    fn sql(&self, sql: &str) {
        rusqlite::Connection::open(path_of(&self.out)).unwrap().execute_batch(sql).unwrap();
    }

    fn count(&self, table: &str) -> u64 {
        let db = rusqlite::Connection::open(path_of(&self.out)).unwrap();
        db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }

    fn save(&self) -> Files {
        let entries = self.dir.path().read_dir().unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    }

    /// Only these are there then.
    fn restore(&self, files: &Files) {
        for entry in self.dir.path().read_dir().unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        for (path, bytes) in files {
            std::fs::write(path, bytes).unwrap();
        }
    }

    fn cut(&self, length: u64) {
        File::options().write(true).open(&self.out).unwrap().set_len(length).unwrap();
    }

    fn append(&self, bytes: &[u8]) {
        std::io::Write::write_all(&mut File::options().append(true).open(&self.out).unwrap(), bytes).unwrap();
    }

    fn size(&self) -> u64 {
        self.out.metadata().unwrap().len()
    }
}

/// Row `index`, of which every third failed at first.
fn outcome(index: u64, attempts: u32) -> Outcome {
    let failed = index % 3 == 1 && attempts == 1;
    let error = failed.then(|| crate::Error::closed().with_attempts(attempts));
    Outcome {
        index,
        line: None,
        id: Some(format!("id-{index}-{}", "x".repeat((index * 37 % 101) as usize))),
        url: format!("http://host-{}.test/rows/{index}?token=sesame", index % 4),
        attempts,
        elapsed: Duration::from_millis(index),
        response: None,
        error,
    }
}

fn batch(rows: &[u64], attempts: u32) -> Batch {
    let mut batch = Batch::default();
    for index in rows {
        push(&mut batch, &outcome(*index, attempts));
    }
    batch
}

fn push(batch: &mut Batch, outcome: &Outcome) {
    let mut row = Vec::new();
    RowFormat::default().render(outcome, &mut row);
    batch.push_row(outcome, &row);
}

fn rendered(rows: &[u64]) -> Vec<u8> {
    batch(rows, 1).rows
}

/// What writes, with its thread.
fn begun(state: RunState) -> Box<dyn BatchWriter> {
    let mut writer = state.into_writer();
    writer.begin(Report::to_nobody()).unwrap();
    writer
}

#[track_caller]
fn write(writer: &mut dyn BatchWriter, mut batch: Batch) {
    // Numbers count from 1; these tests wait for each by itself.
    writer.write(&mut batch, 1).1.unwrap();
    writer.settle();
}

/// Index and attempts of each row that can be read, in the order of the file; of a torn member too.
fn rows_in(path: &Path) -> Vec<(u64, u64)> {
    let mut reader = RowReader::new(File::open(path).unwrap(), Codec::of(path), 0);
    let (mut rows, mut all) = (Vec::new(), Vec::new());
    while reader.next_batch(&mut rows).unwrap().is_some() {
        for line in rows.split_inclusive(|&byte| byte == b'\n') {
            let row: serde_json::Value = serde_json::from_slice(line).unwrap();
            all.push((row["index"].as_u64().unwrap(), row["attempts"].as_u64().unwrap()));
        }
    }
    all
}

fn indices(rows: &[(u64, u64)]) -> Vec<u64> {
    rows.iter().map(|(index, _)| *index).collect()
}

fn done(opened: &Opened, upto: u64) -> Vec<u64> {
    (0..upto).filter(|index| opened.prior.fate(*index) == crate::bulk::prior::Fate::Skip).collect()
}
