//! One dataset: an origin of its own that counts requests per row, an input file, an output, and the options it is
//! fetched with. It runs to its end, or is killed, and is held against what every row has to come to.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use gannet::bulk::sink::{Codec, RowReader};
use gannet_origin::Origin;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use crate::gannet::{Place, Ran, Running, command, wait_until};

/// A dataset and what it is fetched with; quietly, and without adapting, so that what is under way can be told.
pub struct Job {
    pub origin: Origin,
    pub place: Place,
    /// The path and query of each row, all different.
    paths: Vec<String>,
    input: String,
    options: Vec<String>,
    /// Where the output is, if not in `place`.
    dir: Option<PathBuf>,
    /// Its suffix says how it is compressed.
    name: &'static str,
}

/// What a run that ended before its time has left.
#[derive(Debug, Clone)]
pub struct Left {
    /// The rows that stand whole in the output.
    pub held: BTreeSet<usize>,
    /// How often each row had been asked for.
    asked: Vec<u64>,
}

impl Left {
    /// Requests whose rows are not in the output: those are asked again.
    pub fn lost(&self) -> u64 {
        self.asked.iter().sum::<u64>() - self.held.len() as u64
    }
}

impl Job {
    /// These rows, one URL a line.
    pub fn new(paths: impl IntoIterator<Item = String>) -> Job {
        let job = Job::without_input(paths);
        let lines: String = job.paths.iter().map(|path| job.origin.url(path) + "\n").collect();
        job.place.file("urls.txt", &lines);
        Job { input: job.place.name("urls.txt"), ..job }
    }

    /// These rows as JSON lines, each made from its URL.
    pub fn of_requests(paths: impl IntoIterator<Item = String>, line: impl Fn(usize, &str) -> Value) -> Job {
        let job = Job::without_input(paths);
        let line = |(n, path): (usize, &String)| line(n, &job.origin.url(path)).to_string() + "\n";
        let lines: String = job.paths.iter().enumerate().map(line).collect();
        job.place.file("rows.jsonl", &lines);
        Job { input: job.place.name("rows.jsonl"), ..job }
    }

    /// Rows of which every tenth is answered with 404, each after this many seconds.
    pub fn mixed(rows: usize, delay: f64) -> Job {
        Job::new((0..rows).map(|n| match n % 10 {
            9 => format!("/status/404?n={n}"),
            _ => format!("/items/{n}?delay={delay}"),
        }))
    }

    fn without_input(paths: impl IntoIterator<Item = String>) -> Job {
        let paths: Vec<String> = paths.into_iter().collect();
        let origin = Origin::builder().keep_urls(paths.len() + 1000).start_blocking().unwrap();
        Job {
            origin,
            place: Place::new(),
            paths,
            input: String::new(),
            options: vec!["--quiet".to_owned(), "--no-adapt".to_owned()],
            dir: None,
            name: "out.jsonl",
        }
    }

    /// Fetched with these options too.
    pub fn with<'a>(mut self, options: impl IntoIterator<Item = &'a str>) -> Job {
        self.options.extend(options.into_iter().map(str::to_owned));
        self
    }

    /// Finding out how much its host allows, as runs do unless told not to.
    pub fn adapting(mut self) -> Job {
        self.options.retain(|option| option != "--no-adapt");
        self
    }

    /// Saying all that it has to say.
    pub fn aloud(mut self) -> Job {
        self.options.retain(|option| option != "--quiet");
        self
    }

    /// With this input instead of the file.
    pub fn from(mut self, input: &str) -> Job {
        self.input = input.to_owned();
        self
    }

    /// With its output in this directory.
    pub fn to(mut self, dir: PathBuf) -> Job {
        self.dir = Some(dir);
        self
    }

    /// With its output under this name.
    pub fn named(mut self, name: &'static str) -> Job {
        self.name = name;
        self
    }

    pub fn rows(&self) -> usize {
        self.paths.len()
    }

    pub fn input(&self) -> &Path {
        Path::new(&self.input)
    }

    pub fn out(&self) -> PathBuf {
        self.beside("")
    }

    /// `OUT` and this behind it, such as `.state`.
    pub fn beside(&self, suffix: &str) -> PathBuf {
        let dir = self.dir.clone().unwrap_or_else(|| self.place.path(""));
        dir.join(format!("{}{suffix}", self.name))
    }

    /// The arguments of the command.
    pub fn args(&self) -> Vec<String> {
        self.args_to(&self.out())
    }

    /// The same with another output.
    pub fn args_to(&self, out: &Path) -> Vec<String> {
        let mut args = vec!["fetch".to_owned(), self.input.clone(), "-o".to_owned(), out.display().to_string()];
        args.extend(self.options.iter().cloned());
        args
    }

    /// The arguments of the command with these behind them.
    pub fn args_and(&self, more: &[&str]) -> Vec<String> {
        let mut args = self.args();
        args.extend(more.iter().map(|&arg| arg.to_owned()));
        args
    }

    /// Runs it to its end.
    pub fn run(&self) -> Ran {
        self.run_with(&[])
    }

    /// Runs it with these arguments behind its own.
    pub fn run_with(&self, more: &[&str]) -> Ran {
        bounded(command(self.args_and(more)))
    }

    pub fn start(&self) -> Running {
        Running::start(self.args())
    }

    pub fn start_with(&self, more: &[&str]) -> Running {
        Running::start(self.args_and(more))
    }

    /// Starts it and kills it this much later; what it ended with where it was over by then.
    pub fn kill_after(&self, moment: Duration) -> Result<(), Ran> {
        let mut running = self.start();
        // The moment is random on purpose: what it falls on is what is tried.
        std::thread::sleep(moment);
        if running.child.try_wait().unwrap().is_some() {
            return Err(running.end());
        }
        running.signal(Signal::KILL);
        running.end();
        Ok(())
    }

    /// Whole rows in the output now, by index, in the order they stand there; then those that stand beside it until
    /// they are packed. A torn last line is no row.
    pub fn standing(&self) -> Vec<usize> {
        let mut standing = whole_rows(&self.text().0);
        // A kill may come when a group stands in both.
        let packed: BTreeSet<usize> = standing.iter().copied().collect();
        let tail = whole_rows(&fs::read_to_string(self.beside(".tail")).unwrap_or_default());
        standing.extend(tail.into_iter().filter(|row| !packed.contains(row)));
        standing
    }

    /// Whole lines in the output now, without a look at what they say.
    pub fn lines(&self) -> usize {
        fs::read(self.out()).map_or(0, |bytes| bytes.iter().filter(|&&byte| byte == b'\n').count())
    }

    /// The output's rows as text, and whether all of it could be read.
    fn text(&self) -> (String, bool) {
        let Ok(file) = File::open(self.out()) else { return (String::new(), true) };
        if Codec::of(&self.out()) == Codec::Plain {
            return (fs::read_to_string(self.out()).unwrap(), true);
        }
        let (mut text, mut rows, mut is_whole) = (Vec::new(), Vec::new(), true);
        let mut reader = RowReader::new(file, Codec::of(&self.out()), 0);
        while let Some(batch) = reader.next_batch(&mut rows).unwrap() {
            is_whole &= batch.whole;
            text.append(&mut rows);
        }
        (String::from_utf8(text).unwrap(), is_whole)
    }

    /// What stands and what was asked, for later; once the origin has seen the end of the run.
    pub fn left(&self) -> Left {
        wait_until("the origin knows that its client is gone", || self.origin.stats().connections == 0);
        let standing = self.standing();
        let held: BTreeSet<usize> = standing.iter().copied().collect();
        assert_eq!(held.len(), standing.len(), "a row stands twice: {standing:?}");
        Left { held, asked: self.asked() }
    }

    /// How often each row was asked for, by index.
    pub fn asked(&self) -> Vec<u64> {
        let stats = self.origin.stats();
        assert_eq!(stats.urls_left_off, 0, "the origin lost count");
        self.paths.iter().map(|path| stats.urls.get(path).copied().unwrap_or(0)).collect()
    }

    /// The rows that were asked for at all.
    pub fn asked_rows(&self) -> BTreeSet<usize> {
        self.asked().iter().enumerate().filter(|(_, count)| **count > 0).map(|(n, _)| n).collect()
    }

    /// Requests beyond the first for each row.
    pub fn again(&self) -> u64 {
        self.asked().iter().map(|count| count.saturating_sub(1)).sum()
    }

    /// The rows of the output by index: whole lines, each index once, none missing, each with its own URL.
    #[track_caller]
    pub fn table(&self) -> Vec<Value> {
        let (text, is_whole) = self.text();
        assert!(is_whole, "the output is torn");
        let mut rows = crate::gannet::rows(&text);
        rows.sort_by_key(|row| row["index"].as_u64());
        let indices: Vec<_> = rows.iter().map(|row| row["index"].as_u64()).collect();
        let wanted: Vec<_> = (0..self.rows() as u64).map(Some).collect();
        if indices != wanted {
            panic!("not each row once: {}", difference(&indices, &wanted));
        }
        for (row, path) in rows.iter().zip(&self.paths) {
            assert_eq!(row["url"], self.origin.url(path), "{row}");
        }
        rows
    }

    /// Each row is there once and came to what it has to.
    #[track_caller]
    pub fn assert_complete(&self) {
        assert!(!self.beside(".tail").exists(), "what guarded rows that were not packed is still there");
        for (row, path) in self.table().iter().zip(&self.paths) {
            match path.strip_prefix("/items/") {
                Some(rest) => {
                    assert_eq!(row["ok"], true, "{row}");
                    let id: u64 = rest.split('?').next().unwrap().parse().unwrap();
                    assert!(row.get("json").is_none_or(|json| json["id"] == id), "a row has another's body: {row}");
                }
                None if path.starts_with("/status/404") => {
                    assert_eq!((&row["ok"], &row["status"]), (&false.into(), &404.into()), "{row}");
                }
                None => assert_eq!(row["ok"], true, "{row}"),
            }
        }
    }

    /// The exit code of a finished run of [`Job::mixed`] rows.
    pub fn code(&self) -> i32 {
        if self.paths.iter().any(|path| path.starts_with("/status/404")) { 3 } else { 0 }
    }

    /// Runs it to its end and holds it against all that must be.
    #[track_caller]
    pub fn finish(&self) {
        self.run().assert_code(self.code());
        self.assert_complete();
    }

    /// What stood in the output then was not asked for since.
    #[track_caller]
    pub fn assert_kept(&self, left: &Left) {
        let asked = self.asked();
        let again: Vec<_> = left.held.iter().filter(|&&row| asked[row] != left.asked[row]).collect();
        assert!(again.is_empty(), "rows that stood in the output were asked for again: {again:?}");
    }

    /// One run more asks nothing and exits by the whole dataset.
    #[track_caller]
    pub fn assert_over(&self) {
        let (requests, bytes) = (self.origin.stats().requests, fs::read(self.out()).unwrap());
        self.run().assert_code(self.code());
        assert_eq!(self.origin.stats().requests, requests, "a completed run asked again");
        assert!(fs::read(self.out()).unwrap() == bytes, "a completed run changed its output");
    }
}

/// The rows of whole lines.
fn whole_rows(text: &str) -> Vec<usize> {
    let whole = text.rfind('\n').map_or(0, |at| at + 1);
    text[..whole].lines().map(index_of).collect()
}

/// The index of a row, which stands first in it.
fn index_of(line: &str) -> usize {
    let digits = line.strip_prefix("{\"index\":").and_then(|rest| rest.split([',', '}']).next());
    let index = digits.and_then(|digits| digits.parse().ok());
    index.filter(|_| line.ends_with('}')).unwrap_or_else(|| panic!("this is no row: {line:?}"))
}

/// What differs, short.
fn difference(found: &[Option<u64>], wanted: &[Option<u64>]) -> String {
    let count = |of: &[Option<u64>], index: &Option<u64>| of.iter().filter(|one| *one == index).count();
    let missing: Vec<_> = wanted.iter().flatten().filter(|index| count(found, &Some(**index)) == 0).collect();
    let twice: BTreeSet<_> = found.iter().filter(|index| count(found, index) > 1).collect();
    format!("missing {missing:?}, more than once {twice:?}, {} rows of {}", found.len(), wanted.len())
}

/// Runs it to its end, which has to come within minutes: a run that hangs fails its test. A signal that ended it is a
/// negative code.
#[track_caller]
pub fn bounded(mut command: Command) -> Ran {
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    let place = Place::new();
    let (out, err) = (place.path("stdout"), place.path("stderr"));
    command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap()).process_group(0);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > BOUND {
            let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
            let _ = child.wait();
            panic!("it did not end: {command:?}: {}", fs::read_to_string(&err).unwrap_or_default());
        }
        std::thread::sleep(POLL);
    };
    Ran {
        code: status.code().unwrap_or_else(|| -status.signal().unwrap_or(0)),
        out: fs::read(&out).unwrap(),
        err: String::from_utf8_lossy(&fs::read(&err).unwrap()).into_owned(),
    }
}

/// Says what was tried when its test fails.
pub struct Trying(pub String);

impl Drop for Trying {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("it was tried with {}", self.0);
        }
    }
}

/// Does this for each, some at once, for what mostly waits.
pub fn at_once<T: Sync>(workers: usize, all: &[T], each: impl Fn(&T) + Sync) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    each(one);
                }
            });
        }
    });
}

const BOUND: Duration = Duration::from_secs(240);
const POLL: Duration = Duration::from_millis(2);
