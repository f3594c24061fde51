//! A dataset that was ended half-way, its files kept so that many harms can be tried on the same one.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;

use super::job::Job;
use crate::gannet::{Ran, wait_until};

/// 40 rows of which 30 came at once and four more were on their way when the end came.
pub struct Halfway {
    pub job: Job,
    files: Vec<(PathBuf, Vec<u8>)>,
    /// The rows that stand in the output.
    pub held: BTreeSet<usize>,
}

impl Halfway {
    /// Ended by this signal: after SIGTERM the four are finished and the state is committed.
    pub fn by(signal: Signal, options: &[&'static str]) -> Halfway {
        // A busy machine may be late with the signal: then it is tried again.
        (0..9).find_map(|_| Halfway::try_by(signal, options)).expect("one of nine tries is in time")
    }

    fn try_by(signal: Signal, options: &[&'static str]) -> Option<Halfway> {
        let rows = (0..ROWS).map(|n| match n {
            SLOW..MORE => format!("/items/{n}?delay=0.25"),
            _ => format!("/items/{n}"),
        });
        let limits = ["--concurrency", "4", "--body", "none", "--durability", "row"];
        let job = Job::new(rows).with(limits.into_iter().chain(options.iter().copied()));
        let running = job.start();
        wait_until("the first are written", || job.lines() >= SLOW);
        wait_until("four are on their way", || job.asked_rows().len() >= MORE);
        running.signal(signal);
        let ran = running.end();
        let held: BTreeSet<usize> = job.standing().into_iter().collect();
        let wanted = if signal == Signal::KILL { SLOW } else { MORE };
        if held.len() > wanted || ran.code == 0 {
            return None;
        }
        assert_eq!(ran.code, if signal == Signal::KILL { -1 } else { 4 }, "{}", ran.err);
        assert_eq!(held, (0..wanted).collect(), "{}", ran.err);
        let files = files(&job).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        Some(Halfway { job, files, held })
    }

    /// All as it was left, and the origin's figures at nothing. The files stay the same ones.
    pub fn restore(&self) {
        for path in files(&self.job) {
            if !self.files.iter().any(|(kept, _)| *kept == path) {
                fs::remove_file(path).unwrap();
            }
        }
        for (path, bytes) in &self.files {
            fs::write(path, bytes).unwrap();
        }
        self.job.origin.reset_stats();
    }

    /// As it was left, with one of its files changed.
    pub fn restore_but(&self, path: &PathBuf, change: impl FnOnce(&mut Vec<u8>)) {
        self.restore();
        let mut bytes = fs::read(path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    }

    /// As it was left, and the machine was started again since.
    pub fn restore_after_restart(&self) {
        self.restore();
        let db = rusqlite::Connection::open(self.job.beside(".state")).unwrap();
        assert_eq!(db.execute("UPDATE run SET value = 'another' WHERE name = 'boot'", []).unwrap(), 1);
        db.close().unwrap();
    }

    /// The bytes of the output as it was left.
    pub fn out(&self) -> Vec<u8> {
        let (_, bytes) = self.files.iter().find(|(path, _)| *path == self.job.out()).unwrap();
        bytes.clone()
    }

    pub fn run(&self) -> Ran {
        self.job.run()
    }

    /// Resumes it to its end, where all is well; gives the rows that were asked for, each once.
    #[track_caller]
    pub fn resume(&self) -> BTreeSet<usize> {
        self.job.finish();
        assert_eq!(self.job.again(), 0, "a row was asked for twice in one run");
        self.job.asked_rows()
    }

    /// The rows that are missing where these stand.
    pub fn missing(&self, standing: &BTreeSet<usize>) -> BTreeSet<usize> {
        (0..self.job.rows()).filter(|row| !standing.contains(row)).collect()
    }
}

fn files(job: &Job) -> Vec<PathBuf> {
    let dir = fs::read_dir(job.place.path("")).unwrap().map(|entry| entry.unwrap().path());
    dir.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("out.jsonl")).collect()
}

pub const ROWS: usize = 40;
/// The first row that is slow, and the first after those.
pub const SLOW: usize = 30;
pub const MORE: usize = 34;
