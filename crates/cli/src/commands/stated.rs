//! Opens the state that belongs to an output: a new run, one that goes on, or rows that are asked again. Says what
//! keeps it from going on, and what the user should know.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use gannet::Session;
use gannet::bulk::sink::{OrderedOptions, RowFormat, RowSink};
use gannet::bulk::source::{Change, InputSource, PrintKind};
use gannet::bulk::state::{Identity, Opened, Opening, Reason, Setting, StateError};
use gannet::bulk::{Prior, Source};

use super::fetch::Resume;
use crate::args::FetchArgs;
use crate::exit::usage;
use crate::tell;

/// What a command does with a state.
#[derive(Clone, Copy)]
pub(crate) enum Job<'a> {
    /// Begins a run, or goes on with it.
    Fetch,
    /// Asks those rows again for which the condition holds, or goes on with such a retry.
    Retry(Option<&'a str>),
}

/// A run with state, ready to go.
pub(crate) struct Stated {
    pub(crate) sink: RowSink,
    pub(crate) prior: Prior,
    pub(crate) resume: Resume,
}

/// Locks the state.
pub(crate) fn begin(args: &FetchArgs, out: &Path) -> anyhow::Result<Opening> {
    Opening::begin(out, args.state.durability, args.output.fresh).map_err(refused)
}

/// Locks the state, and gives the name of the copy of stdin: there if the run goes on, gone if it begins.
pub(crate) fn guard_spool(args: &FetchArgs, out: &Path) -> anyhow::Result<(PathBuf, Opening)> {
    let is_pipe = |input: &&String| Path::new(input).metadata().is_ok_and(|there| !there.is_file() && !there.is_dir());
    if let Some(pipe) = args.input.inputs.iter().find(is_pipe) {
        return Err(usage(format!(
            "--spool keeps a copy of stdin alone; give {pipe} as stdin: gannet fetch - < {pipe}"
        )));
    }
    let opening = begin(args, out)?;
    let (spool, part) = (opening.beside("spool"), opening.beside("spool.part"));
    match opening.known() {
        None => {
            for path in [&spool, &part] {
                match std::fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(error).with_context(|| path.display().to_string());
                    }
                    _ => {}
                }
            }
        }
        Some(known) if !args.state.force && has_stream(known) && !spool.exists() && !part.exists() => {
            return Err(usage(format!(
                "{}: the copy of the stdin it began with is gone; put it back, or start over with --fresh",
                spool.display()
            )));
        }
        Some(_) => {}
    }
    if spool.exists() && !args.output.quiet {
        tell(&format!("note: stdin is not read: {} has all of it", spool.display()));
    }
    Ok((spool, opening))
}

fn has_stream(identity: &Identity) -> bool {
    identity.inputs.iter().any(|input| input.kind == PrintKind::Stream)
}

/// Opens it; `None` where no row is to be asked again.
pub(crate) fn open(
    args: &FetchArgs,
    settings: &[Setting],
    (opening, job): (Opening, Job<'_>),
    source: &InputSource,
    session: &Session,
) -> anyhow::Result<Option<Stated>> {
    let out = &opening.output().to_owned();
    let identity = Identity { settings: settings.to_vec(), inputs: source.fingerprints()? };
    if let Some(known) = opening.known() {
        check_same(args, known, &identity, source, out)?;
    }
    let is_lost = !args.state.spool && has_stream(&identity);
    if is_lost {
        tell("note: a run over stdin or a pipe cannot be resumed; --spool keeps a copy of it, so that it can");
    }
    let opened = match job {
        Job::Fetch if opening.has_retry().map_err(refused)? => {
            return Err(usage(format!(
                "a retry of rows is under way; finish it first: gannet retry {}",
                out.display()
            )));
        }
        Job::Fetch => {
            let turns = args.output.ordered.then(|| OrderedOptions::default().memory);
            Some(opening.run(&identity, turns).map_err(refused)?)
        }
        Job::Retry(condition) => opening.retry(condition).map_err(refused)?,
    };
    let Some(Opened { mut state, mut prior, notes }) = opened else { return Ok(None) };
    prior.set_resend_in_doubt(args.state.resend_in_doubt);
    if !args.output.quiet {
        notes.iter().for_each(|note| tell(note));
        tell_prior(args, &prior, source, out);
    }
    state.keep_cookies(session).map_err(refused)?;
    let sink = RowSink::with_state(state, row_format(args))?;
    let resume = match job {
        _ if is_lost => Resume::Never,
        Job::Fetch => Resume::Fetch,
        Job::Retry(_) => Resume::Retry,
    };
    Ok(Some(Stated { sink, prior, resume }))
}

/// What earlier runs left, as far as it matters to this one.
fn tell_prior(args: &FetchArgs, prior: &Prior, source: &InputSource, out: &Path) {
    match prior.in_doubt() {
        0 => {}
        rows if args.state.resend_in_doubt => {
            tell(&format!("rows in doubt that are sent again, as --resend-in-doubt says: {rows}"));
        }
        rows => tell(&format!(
            "rows that were under way when the last run was killed and must not be sent twice: {rows}; they are \
             reported as in-doubt (--resend-in-doubt sends them again)"
        )),
    }
    match prior.held_hosts() {
        0 => {}
        1 => tell("a host asked to be left alone (Retry-After), and still is"),
        hosts => tell(&format!("{hosts} hosts asked to be left alone (Retry-After), and still are")),
    }
    if prior.done() > 0 {
        let (done, total) = (prior.done(), prior.wanted().or(source.total()));
        let are = if total.unwrap_or(done) == 1 { "row is" } else { "rows are" };
        let total = total.map_or_else(String::new, |total| format!(" of {total}"));
        tell(&format!("resuming {}: {done}{total} {are} done", out.display()));
    }
}

/// How rows are written.
pub(crate) fn row_format(args: &FetchArgs) -> RowFormat {
    RowFormat { body: args.output.body.into(), headers: args.output.with_headers }
}

/// Refuses to go on with what is another run.
fn check_same(
    args: &FetchArgs,
    known: &Identity,
    now: &Identity,
    source: &InputSource,
    out: &Path,
) -> anyhow::Result<()> {
    if args.state.force {
        return Ok(());
    }
    let mut changes = known.changes(now);
    if let Change::Differs { why } = source.compare(&known.inputs)? {
        changes.push(why);
    }
    if changes.is_empty() && !args.state.spool && has_stream(known) {
        changes.push("its rows came from stdin or a pipe, of which no copy was kept (--spool keeps one)".to_owned());
    }
    if changes.is_empty() {
        return Ok(());
    }
    Err(usage(format!(
        "{} is of a run that cannot go on like this:\n  {}\nGive what the run began with, or start over with --fresh, \
         or go on all the same with --force",
        out.display(),
        changes.join("\n  ")
    )))
}

/// An error of the state as the command's: what the user can mend by another command line is usage.
pub(crate) fn refused(error: StateError) -> anyhow::Error {
    match error.reason() {
        Reason::Busy | Reason::Alone | Reason::Changed | Reason::CannotLock | Reason::Refused => {
            usage(error.to_string())
        }
        _ => anyhow::anyhow!(error),
    }
}
