//! Runs the binary and holds what it said.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// What a run came to.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: Vec<u8>,
    pub err: String,
}

impl Ran {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }

    pub fn rows(&self) -> Vec<Value> {
        rows(self.text())
    }

    /// The only row.
    pub fn row(&self) -> Value {
        let mut rows = self.rows();
        assert_eq!(rows.len(), 1, "{self:?}");
        rows.remove(0)
    }

    #[track_caller]
    pub fn assert_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stderr: {}\nstdout: {}", self.err, String::from_utf8_lossy(&self.out));
        self
    }

    #[track_caller]
    pub fn assert_says(self, part: &str) -> Self {
        assert!(self.err.contains(part), "{part:?} is not in stderr: {}", self.err);
        self
    }
}

/// The binary with these arguments, its environment fixed.
pub fn command<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gannet"));
    command
        .args(args)
        .env("COLUMNS", "110")
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null());
    for name in ["http", "https", "all", "no"] {
        let name = format!("{name}_proxy");
        command.env_remove(name.to_uppercase()).env_remove(name);
    }
    command
}

/// Runs it to its end.
pub fn gannet<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Ran {
    ran(command(args))
}

/// The same with this on stdin.
pub fn with_stdin<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>, input: &str) -> Ran {
    let mut file = tempfile::tempfile().unwrap();
    write!(file, "{input}").unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let mut command = command(args);
    command.stdin(file);
    ran(command)
}

pub fn ran(mut command: Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        // -1 for a signal.
        code: output.status.code().unwrap_or(-1),
        out: output.stdout,
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The lines of a file of rows.
pub fn rows(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'), "the last row is torn: {text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

pub fn rows_in(path: &Path) -> Vec<Value> {
    rows(&std::fs::read_to_string(path).unwrap())
}

/// A directory for one test.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file with this in it.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The name of a file that is not there yet.
    pub fn name(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }
}

/// One that is running; killed when dropped.
pub struct Running {
    pub child: Child,
    err: BufReader<ChildStderr>,
    said: String,
}

impl Running {
    pub fn start<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Running {
        let mut child = command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let err = BufReader::new(child.stderr.take().unwrap());
        Running { child, err, said: String::new() }
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Reads stderr up to a line with this in it.
    #[track_caller]
    pub fn wait_for_line(&mut self, part: &str) {
        let mut line = String::new();
        while self.err.read_line(&mut line).unwrap() > 0 {
            self.said.push_str(&line);
            if line.contains(part) {
                return;
            }
            line.clear();
        }
        panic!("{part:?} was never said: {}", self.said);
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ran {
        let mut out = Vec::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            stdout.read_to_end(&mut out).unwrap();
        }
        self.err.read_to_string(&mut self.said).unwrap();
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        Ran { code, out, err: std::mem::take(&mut self.said) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks until it is so. For what another process does and nothing tells.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "never came to be: {what}");
        // A spinning test would take the processor from what it waits for.
        std::thread::sleep(Duration::from_millis(1));
    }
}
