//! `gannet demo`: what concurrency does, offline. The origin and each of the ways that are compared run in
//! processes of their own, so that every figure is the client's alone.

mod compare;
mod faults;
mod measure;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};

use crate::args::DemoArgs;
use crate::exit::Exit;

/// Both parts, tables on stdout.
pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<Exit> {
    if let (Some(way), Some(origin)) = (args.only, &args.origin) {
        let figures = measure::measure(way, origin)?;
        writeln!(std::io::stdout(), "{}", serde_json::to_string(&figures)?)?;
        return Ok(Exit::Success);
    }
    let origin = OriginProcess::start()?;
    compare::run(&origin.url)?;
    faults::run(&origin.url)
}

/// The embedded origin in a process of its own; ended when this is dropped.
struct OriginProcess {
    child: Child,
    url: String,
}

impl OriginProcess {
    fn start() -> anyhow::Result<Self> {
        let child = Command::new(std::env::current_exe().context("where is this program?")?)
            .args(["origin", "--listen", "127.0.0.1:0", "--while-stdin"])
            // Held open by us alone: it ends with us, however that happens.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for the client: the origin has to answer while it drains.
            .process_group(0)
            .spawn()
            .context("cannot start the origin")?;
        let mut origin = OriginProcess { child, url: String::new() };
        let mut first = String::new();
        if let Some(stdout) = origin.child.stdout.as_mut() {
            BufReader::new(stdout).read_line(&mut first).context("the origin does not answer")?;
        }
        match first.trim_end().strip_prefix("listening on ") {
            Some(url) => origin.url = url.trim_end_matches('/').to_owned(),
            None => bail!("the origin did not start"),
        }
        Ok(origin)
    }
}

impl Drop for OriginProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
