//! A run with faults: 20,000 requests to an origin that fails 5% of attempts in passing, 1% of rows for good, and
//! leaves a few hanging. The plan is known, so that what came of it can be checked row by row.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Parser;
use serde::Deserialize;

use crate::args::{Cli, Command};
use crate::commands::fetch;
use crate::exit::Exit;
use crate::progress::grouped;

/// Rows that answer 404, that never answer, and that fail at times.
const MISSING: u64 = 200;
const HANGING: u64 = 10;
const FLAKY: u64 = 19_790;
/// With this seed every flaky row succeeds within three attempts.
const SEED: u64 = 6;

/// Runs it, then reads the rows again and compares them with the plan.
pub(super) fn run(origin: &str) -> anyhow::Result<Exit> {
    let out = fresh_name().context("no place for the rows")?;
    let words = words(origin, &out);
    let mut stdout = io::stdout();
    writeln!(
        stdout,
        "20,000 requests: 5% of attempts fail in passing, {MISSING} rows for good, {HANGING} never answer.\n"
    )?;
    writeln!(stdout, "  {}\n", shown(&words))?;
    let Command::Fetch(args) = Cli::try_parse_from(&words)?.command else {
        bail!("invariant: the command is fetch");
    };
    let exit = fetch::run(&args, &[])?;
    let counted = Counted::read(&out).with_context(|| format!("cannot read {}", out.display()))?;
    write!(stdout, "\n{}", table(&counted))?;
    writeln!(stdout, "\nthe rows are in {}", out.display())?;
    match exit {
        // Some rows have to fail.
        Exit::RowsFailed if counted.as_planned() => Ok(Exit::Success),
        Exit::RowsFailed | Exit::Success => bail!("the run did not go as planned"),
        other => Ok(other),
    }
}

fn words(origin: &str, out: &Path) -> Vec<String> {
    let mut words: Vec<String> = ["gannet", "fetch"].map(str::to_owned).into();
    // Those that hang first: they take their time beside the others.
    words.push(format!("{origin}/hang?n={{1..{HANGING}}}"));
    words.push(format!("{origin}/status/404?n={{1..{MISSING}}}"));
    words.push(format!("{origin}/flaky?p=0.05&seed={SEED}&n={{1..{FLAKY}}}"));
    let options = "--per-host 64 --backoff 0.2 --timeout-read 2 -o";
    words.extend(options.split(' ').map(str::to_owned));
    words.push(out.display().to_string());
    words
}

fn shown(words: &[String]) -> String {
    let quoted =
        words.iter().map(|word| if word.contains(['{', '?', '&', ' ']) { format!("'{word}'") } else { word.clone() });
    quoted.collect::<Vec<_>>().join(" ")
}

/// A name that is not taken, here or among the temporary files.
fn fresh_name() -> io::Result<PathBuf> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for dir in [PathBuf::new(), std::env::temp_dir()] {
        for number in 1..1000 {
            let path = dir.join(format!("gannet-demo-{number}.jsonl"));
            match File::create_new(&path) {
                // It was only to see whether one can be made.
                Ok(_) => return std::fs::remove_file(&path).map(|()| path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    last = error;
                    break;
                }
            }
        }
    }
    Err(last)
}

/// What the file of rows says.
#[derive(Default)]
struct Counted {
    rows: u64,
    /// Distinct places in the input.
    distinct: u64,
    ok: u64,
    repeated: u64,
    failed: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Line {
    index: u64,
    ok: bool,
    attempts: u64,
    status: Option<u16>,
    error: Option<LineError>,
}

#[derive(Deserialize)]
struct LineError {
    kind: String,
}

impl Counted {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let mut counted = Counted::default();
        let mut seen = vec![false; (MISSING + HANGING + FLAKY) as usize];
        for line in BufReader::new(File::open(path)?).lines() {
            let line: Line = serde_json::from_str(&line?)?;
            counted.rows += 1;
            if let Some(seen) = seen.get_mut(line.index as usize) {
                counted.distinct += u64::from(!std::mem::replace(seen, true));
            }
            counted.ok += u64::from(line.ok);
            counted.repeated += line.attempts.saturating_sub(1);
            if let Some(error) = line.error {
                let name = line.status.map_or(error.kind, |status| format!("status {status}"));
                *counted.failed.entry(name).or_insert(0) += 1;
            }
        }
        Ok(counted)
    }

    fn failed(&self, name: &str) -> u64 {
        self.failed.get(name).copied().unwrap_or_default()
    }

    fn as_planned(&self) -> bool {
        plan(self).iter().all(|(_, planned, counted)| planned == counted)
    }
}

fn plan(counted: &Counted) -> [(&'static str, u64, u64); 5] {
    [
        ("rows", MISSING + HANGING + FLAKY, counted.rows),
        ("distinct rows", MISSING + HANGING + FLAKY, counted.distinct),
        ("ok", FLAKY, counted.ok),
        ("status 404", MISSING, counted.failed("status 404")),
        ("timeout.read", HANGING, counted.failed("timeout.read")),
    ]
}

fn table(counted: &Counted) -> String {
    let mut text = format!("{:<18}{:>10}{:>10}\n", "", "planned", "counted");
    for (name, planned, counted) in plan(counted) {
        text += &format!("{name:<18}{:>10}{:>10}\n", grouped(planned), grouped(counted));
    }
    text += &format!("{:<18}{:>10}{:>10}\n", "attempts repeated", "", grouped(counted.repeated));
    text
}
