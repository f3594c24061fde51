//! Opens the state that belongs to an output: a new run, one that goes on, or rows that are asked again. Says what
//! keeps it from going on, and what the user should know.

use std::path::Path;

use gannet::Session;
use gannet::bulk::sink::{OrderedOptions, RowFormat, RowSink};
use gannet::bulk::source::{Change, InputSource, PrintKind};
use gannet::bulk::state::{Identity, Opened, Opening, Reason, Setting, StateError};
use gannet::bulk::{Prior, Source};

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
}

/// Opens it; `None` where no row is to be asked again.
pub(crate) fn open(
    args: &FetchArgs,
    settings: &[Setting],
    (out, job): (&Path, Job<'_>),
    source: &InputSource,
    session: &Session,
) -> anyhow::Result<Option<Stated>> {
    let opening = Opening::begin(out, args.state.durability, args.output.fresh).map_err(refused)?;
    let identity = Identity { settings: settings.to_vec(), inputs: source.fingerprints()? };
    if let Some(known) = opening.known() {
        check_same(args, known, &identity, source, out)?;
    }
    if !args.state.spool && identity.inputs.iter().any(|input| input.kind == PrintKind::Stream) {
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
    for note in notes.iter().filter(|_| !args.output.quiet) {
        tell(note);
    }
    if prior.done() > 0 && !args.output.quiet {
        let total = source.total().map_or_else(String::new, |total| format!(" of {total}"));
        let are = if prior.done() == 1 { "row is" } else { "rows are" };
        tell(&format!("resuming {}: {}{total} {are} done", out.display(), prior.done()));
    }
    state.keep_cookies(session).map_err(refused)?;
    let sink = RowSink::with_state(state, row_format(args))?;
    Ok(Some(Stated { sink, prior }))
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
    if changes.is_empty() && !args.state.spool && known.inputs.iter().any(|input| input.kind == PrintKind::Stream) {
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
