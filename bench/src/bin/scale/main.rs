//! What a row costs the engine without a network, in short and in very long jobs over very many hosts: input read,
//! scheduled, its outcome rendered, written and recorded in the run state; only the request is simulated. Then the
//! state is opened again, as after a kill, and the whole input passed over.
//!
//! `scale [--rows N] [--few N] [--hosts N] [--dir DIR] [--only NAME,...]` prints Markdown. Each figure is of a process
//! of its own, this program started again, so that no peak memory is another's.

mod input;
mod simulate;
mod used;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use input::{Form, Order};
use used::Used;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// What is run, with the options of the command that would do it.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    name: &'static str,
    what: &'static str,
    form: Form,
    order: Order,
    /// Starts per second and host, on the simulation's clock.
    rate: Option<f64>,
    os: bool,
    ordered: bool,
    /// The first row is answered last.
    stalled: bool,
}

const PLAIN: Case = Case {
    name: "robin",
    what: "text, hosts in turn",
    form: Form::Text,
    order: Order::Robin,
    rate: None,
    os: false,
    ordered: false,
    stalled: false,
};

const CASES: [Case; 7] = [
    PLAIN,
    Case { name: "sorted", what: "text, sorted by host", order: Order::Sorted, ..PLAIN },
    Case { name: "csv", what: "CSV with a template, hosts in turn", form: Form::Csv, ..PLAIN },
    Case { name: "os", what: "text, hosts in turn, `--durability os`", os: true, ..PLAIN },
    Case { name: "ordered", what: "text, hosts in turn, `--ordered`", ordered: true, ..PLAIN },
    Case { name: "live", what: "text, hosts in turn, a rate that keeps every host live", rate: Some(0.05), ..PLAIN },
    Case {
        name: "stalled",
        what: "text, hosts in turn, `--ordered`, the first row answered last",
        ordered: true,
        stalled: true,
        ..PLAIN
    },
];

/// How large a job is.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    rows: u64,
    hosts: u64,
    /// How many rows in a row go to one host, where they are sorted.
    rows_per_host: u64,
}

struct Args {
    rows: u64,
    few: u64,
    hosts: u64,
    dir: PathBuf,
    only: Vec<String>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.first().map(String::as_str) {
        Some("child") => child(&words[1..]),
        _ => parse(&words).and_then(|args| compare(&args)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scale: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(words: &[String]) -> Result<Args, AnyError> {
    let mut args = Args {
        rows: 10_000_000,
        few: 100_000,
        hosts: 1_000_000,
        dir: std::env::temp_dir().join("gannet-scale"),
        only: ["robin", "sorted", "csv", "os", "ordered", "live"].map(str::to_owned).to_vec(),
    };
    for pair in words.chunks(2) {
        let [name, value] = pair else { return Err(format!("{} wants a value", pair[0]).into()) };
        match name.as_str() {
            "--rows" => args.rows = value.parse()?,
            "--few" => args.few = value.parse()?,
            "--hosts" => args.hosts = value.parse()?,
            "--dir" => args.dir = value.into(),
            "--only" => args.only = value.split(',').map(str::to_owned).collect(),
            _ => return Err(format!("no such option: {name}").into()),
        }
    }
    Ok(args)
}

/// Runs every case at both sizes, and prints a table line for each as it is done.
fn compare(args: &Args) -> Result<(), AnyError> {
    std::fs::create_dir_all(&args.dir)?;
    println!(
        "| job | rows | CPU µs/row | run thread | output thread | rows/s | peak MB | OUT MB | state MB | bytes/row of state |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let mut again = Vec::new();
    for case in CASES.iter().filter(|case| args.only.iter().any(|name| name == case.name)) {
        for rows in [args.few, args.rows] {
            let size = Size { rows, hosts: args.hosts, rows_per_host: (args.rows / args.hosts).max(1) };
            let dir = args.dir.join(format!("{}-{rows}", case.name));
            std::fs::create_dir_all(&dir)?;
            input::write(&dir, case, size)?;
            println!("{}", run_line(case, size, &measure("run", case, &dir, size)?));
            if case.name == PLAIN.name {
                for what in ["open", "skip", "reread"] {
                    again.push(again_line(what, size, &measure(what, case, &dir, size)?));
                }
            }
            std::fs::remove_dir_all(&dir)?;
        }
    }
    if !again.is_empty() {
        println!("\n| opened again | rows | seconds | CPU µs/row | peak MB |");
        println!("| --- | ---: | ---: | ---: | ---: |");
        again.iter().for_each(|line| println!("{line}"));
    }
    Ok(())
}

fn measure(what: &str, case: &Case, dir: &Path, size: Size) -> Result<Used, AnyError> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["child", what, case.name]).arg(dir);
    let output = command.args([size.rows, size.hosts, size.rows_per_host].map(|n| n.to_string())).output()?;
    let text = String::from_utf8(output.stdout)?;
    if !output.status.success() {
        return Err(format!("{what} {}: {}", case.name, String::from_utf8_lossy(&output.stderr)).into());
    }
    Used::from_text(&text)
}

fn run_line(case: &Case, size: Size, used: &Used) -> String {
    let rows = size.rows as f64;
    let per_row = |us: f64| us / rows;
    format!(
        "| {} | {} | {:.2} | {:.2} | {:.2} | {:.0} | {:.1} | {:.0} | {:.0} | {:.1} |",
        case.what,
        size.rows,
        per_row(used.cpu_us),
        per_row(used.own_cpu_us),
        per_row(used.cpu_us - used.own_cpu_us),
        rows / used.wall_us * 1e6,
        used.peak_kib * 1024.0 / 1e6,
        used.out / 1e6,
        used.state / 1e6,
        used.state / rows
    )
}

fn again_line(what: &str, size: Size, used: &Used) -> String {
    let what = match what {
        "open" => "state opened: what is done is known",
        "skip" => "and the whole input passed over, every row done",
        _ => "OUT shorter than the state says: all of it read",
    };
    format!(
        "| {what} | {} | {:.2} | {:.3} | {:.1} |",
        size.rows,
        used.wall_us / 1e6,
        used.cpu_us / size.rows as f64,
        used.peak_kib * 1024.0 / 1e6
    )
}

/// One measurement, in this process: `child WHAT CASE DIR ROWS HOSTS ROWS_PER_HOST`.
fn child(words: &[String]) -> Result<(), AnyError> {
    let [what, case, dir, rows, hosts, rows_per_host] = words else { return Err("a child wants six words".into()) };
    let case = CASES.iter().find(|known| known.name == case).ok_or("no such case")?;
    let size = Size { rows: rows.parse()?, hosts: hosts.parse()?, rows_per_host: rows_per_host.parse()? };
    let dir = Path::new(dir);
    let began = Used::begin();
    match what.as_str() {
        "run" => simulate::run(dir, case, size)?,
        "open" => simulate::open(dir, case, size)?,
        "skip" => simulate::skip(dir, case, size)?,
        "reread" => simulate::reread(dir, case, size)?,
        _ => return Err("no such measurement".into()),
    }
    print!("{}", began.end(dir)?.to_text());
    Ok(())
}
