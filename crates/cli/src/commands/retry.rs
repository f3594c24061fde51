//! `gannet retry`: asks some rows of a run again. The arguments of `fetch` are put together from what the state keeps
//! and what is given now, so that the rows are asked as they were.

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches};
use gannet::bulk::End;
use gannet::bulk::source::{InputPrint, PrintKind};
use gannet::bulk::state::{Durability, Identity, Opening, Status};

use super::fetch;
use super::stated::{Job, refused};
use crate::args::{Cli, Command, RetryArgs};
use crate::exit::{Exit, usage};
use crate::identity::{self, Given};
use crate::{quoted, tell};

/// Runs it and tells what came of it.
pub(crate) fn run(args: &RetryArgs) -> anyhow::Result<Exit> {
    let known = known(args)?;
    let arguments = arguments(args, &known)?;
    let matches = Cli::command()
        .try_get_matches_from(&arguments)
        .map_err(|error| usage(format!("the arguments after -- and those of the run do not fit: {error}")))?;
    let Command::Fetch(fetch_args) = Cli::from_arg_matches(&matches)?.command else {
        return Err(usage("after -- only arguments of fetch can stand"));
    };
    let (_, fetch_matches) = matches.subcommand().context("the command has no arguments")?;
    if fetch_args.output.fresh {
        return Err(usage("--fresh would leave nothing to ask again; to start over, give it to gannet fetch"));
    }
    fetch_args.check_stdin()?;
    let settings = identity::settings(fetch_matches)?;
    let job = Job::Retry(args.condition.as_deref());
    let Some(mut report) = fetch::fetch(&fetch_args, &settings, job)? else {
        tell("no row is asked again: the condition holds for none");
        return dataset_exit(args);
    };
    // The input ended before the last of them came: with --first, or because it has become shorter.
    if matches!(report.end, End::Complete)
        && let Some(again) = Status::read(&args.output).map_err(refused)?.retry
    {
        tell(&format!("the input had {} of the {} rows that are asked again", again.done, again.rows));
        report.end = End::Stopped;
    }
    match fetch::finish(&fetch_args, report)? {
        Exit::Success | Exit::RowsFailed => dataset_exit(args),
        early => Ok(early),
    }
}

/// What the run is known by; it is locked for no longer than that takes.
fn known(args: &RetryArgs) -> anyhow::Result<Identity> {
    // Also says so where there is none.
    Status::read(&args.output).map_err(refused)?;
    let opening = Opening::begin(&args.output, Durability::Group, false).map_err(refused)?;
    opening.known().cloned().ok_or_else(|| usage(format!("{}: it has no run yet", args.output.display())))
}

/// The exit code of the dataset as it is now.
fn dataset_exit(args: &RetryArgs) -> anyhow::Result<Exit> {
    let status = Status::read(&args.output).map_err(refused)?;
    if !status.complete {
        tell("the run itself is not done: the command that began it goes on with it");
    }
    Ok(if status.failed > 0 { Exit::RowsFailed } else { Exit::Success })
}

fn arguments(args: &RetryArgs, known: &Identity) -> anyhow::Result<Vec<String>> {
    let output = args.output.to_str().ok_or_else(|| usage("OUT: its name is not UTF-8"))?;
    let mut arguments: Vec<String> = ["gannet", "fetch", "-o", output].map(str::to_owned).into();
    let given = Given::of(output, &args.rest).map_err(|error| {
        let error = error.to_string();
        usage(format!("after --: {}", error.trim_start_matches("error: ")))
    })?;
    check_given(args, known, &given)?;
    arguments.extend(identity::arguments(&known.settings, &given));
    arguments.extend(args.rest.iter().cloned());
    if !given.inputs {
        arguments.push("--".to_owned());
        arguments.extend(known.inputs.iter().map(input));
    }
    Ok(arguments)
}

/// What the state does not keep is there.
fn check_given(args: &RetryArgs, known: &Identity, given: &Given) -> anyhow::Result<()> {
    let mut needed = Vec::new();
    // Of URLs nothing is kept: all inputs are then to be given.
    if !given.inputs && known.inputs.iter().any(|input| input.kind == PrintKind::Url) {
        needed.push("URLs".to_owned());
    }
    if !given.has("force") {
        let options = known.settings.iter().filter(|setting| setting.fixed && !given.has(&setting.name));
        needed.extend(options.filter(|setting| setting.values.is_none()).map(|setting| format!("--{}", setting.name)));
    }
    if needed.is_empty() {
        return Ok(());
    }
    Err(usage(format!(
        "the state of {} keeps no secrets and no URLs; give again, after --, what the run had as: {}\n  {}",
        args.output.display(),
        needed.join(", "),
        example(args, &needed)
    )))
}

/// The command to type, each thing that is needed in its place.
fn example(args: &RetryArgs, needed: &[String]) -> String {
    let mut words = vec!["gannet".to_owned(), "retry".to_owned(), quoted(&args.output.to_string_lossy())];
    words.extend(args.condition.iter().map(|condition| format!("--where {}", quoted(condition))));
    words.push("--".to_owned());
    // What was given now may be secret.
    words.extend((!args.rest.is_empty()).then(|| "…".to_owned()));
    words.extend(needed.iter().map(|name| if name == "URLs" { "INPUT…".to_owned() } else { format!("{name} …") }));
    words.join(" ")
}

fn input(print: &InputPrint) -> String {
    match (&print.kind, &print.name) {
        (PrintKind::File, Some(name)) => name.clone(),
        _ => "-".to_owned(),
    }
}
