//! Faults by strace: a signal or an error at the nth call of a thread. A call has to be traced to be tampered with,
//! and calls are counted for each thread by itself.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use super::job::{Job, bounded};
use crate::gannet::Ran;

/// What strace does to a run.
#[derive(Debug, Clone, Default)]
pub struct Tamper {
    args: Vec<OsString>,
}

impl Tamper {
    /// Kills at entry of the nth call of any thread: what it would have done is not done.
    pub fn kill(call: &str, nth: u64) -> Tamper {
        Tamper::default().inject(call, &format!("signal=SIGKILL:when={nth}"))
    }

    /// These calls fail with this error; `when` as strace has it: `3` the third, `3+` all from it on.
    pub fn fail(calls: &str, error: &str, when: &str) -> Tamper {
        Tamper::default().inject(calls, &format!("error={error}:when={when}"))
    }

    /// Only where they are about this file.
    pub fn on(mut self, path: &Path) -> Tamper {
        self.args.extend(["-P".into(), path.into()]);
        self
    }

    fn inject(mut self, calls: &str, what: &str) -> Tamper {
        let args = ["-e", &format!("trace={calls}"), "-e", &format!("inject={calls}:{what}")];
        self.args.extend(args.map(OsString::from));
        self
    }

    /// The command under it, its trace thrown away.
    pub fn command(&self, args: &[String]) -> Command {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null"]).args(&self.args);
        command.arg(env!("CARGO_BIN_EXE_gannet")).args(args).env("COLUMNS", "110").stdin(Stdio::null());
        command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
        command
    }

    /// Runs the job under it.
    #[track_caller]
    pub fn run(&self, job: &Job) -> Ran {
        bounded(self.command(&job.args()))
    }
}

/// So many places of each of these calls, from the first that a whole run of this job makes to its last.
pub fn places(job: &Job, calls: &str, each: u64) -> Vec<(String, u64)> {
    let spread = |(call, most): (String, u64)| {
        let mut places: Vec<u64> = (0..each).map(|n| 1 + n * (most - 1) / (each - 1).max(1)).collect();
        places.dedup();
        places.into_iter().map(move |nth| (call.clone(), nth))
    };
    rehearse(job, &job.args(), calls).into_iter().flat_map(spread).collect()
}

/// How often the busiest thread makes each of these calls in a whole run with these arguments.
pub fn rehearse(job: &Job, args: &[String], calls: &str) -> BTreeMap<String, u64> {
    let trace = job.place.path("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(&trace).args(["-e", &format!("trace={calls}")]);
    command.arg(env!("CARGO_BIN_EXE_gannet")).args(args).stdin(Stdio::null());
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    let ran = bounded(command);
    assert!([0, 3].contains(&ran.code), "{ran:?}");
    let trace = std::fs::read_to_string(&trace).unwrap();
    let mut threads: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for line in trace.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        // The rest of an interrupted call has no parenthesis behind its name.
        if let Some((call, _)) =
            rest.trim_start().split_once('(').filter(|(call, _)| calls.split(',').any(|one| one == *call))
        {
            *threads.entry((thread, call)).or_default() += 1;
        }
    }
    let mut most = BTreeMap::new();
    for ((_, call), count) in threads {
        let entry = most.entry(call.to_owned()).or_insert(0);
        *entry = count.max(*entry);
    }
    most
}
