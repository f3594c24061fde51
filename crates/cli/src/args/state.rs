//! The options of what keeps, looks at and mends a run's state.

use std::path::PathBuf;

use clap::Args;
use gannet::bulk::state::Durability;

/// How the run is kept beside OUT, in OUT.state, so that the same command resumes it.
#[derive(Debug, Args)]
#[command(next_help_heading = "State & resume")]
pub(crate) struct StateArgs {
    /// Resume although options or input are not those the run began with
    #[arg(long, requires = "output", conflicts_with = "fresh")]
    pub(crate) force: bool,

    /// Send POST and PATCH again that were under way when an earlier run was killed, at the risk of doing their work
    /// twice
    #[arg(long, requires = "output")]
    pub(crate) resend_in_doubt: bool,

    /// What a commit survives: row or group, a loss of power (each row by itself, or many at once); os, the end of
    /// the process
    #[arg(long, value_name = "WHAT", default_value = "group", value_parser = durability, requires = "output")]
    pub(crate) durability: Durability,

    /// Keep a copy of stdin in OUT.spool, without which a run over it cannot be resumed
    #[arg(long, requires = "output")]
    pub(crate) spool: bool,
}

/// Show what a run has come to, also while it runs
///
/// Done and failed rows, by kind and host, and what remains.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The file that was given to fetch as -o
    #[arg(value_name = "OUT")]
    pub(crate) output: PathBuf,

    /// As one JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

/// Ask some rows of a run again: the newest outcome takes the old one's place
///
/// OUT keeps one row for each row of the input at every moment. Inputs and options are those of the run; what
/// its state does not keep, URLs and what may be secret, is to be given again after --.
#[derive(Debug, Args)]
#[command(after_help = RETRY_EXAMPLES)]
pub(crate) struct RetryArgs {
    /// The file that was given to fetch as -o
    #[arg(value_name = "OUT")]
    pub(crate) output: PathBuf,

    /// Which rows: an SQL condition over idx, ok, status, error_kind, attempts, elapsed_ms, bytes and host
    /// [default: go on with a retry that was stopped]
    #[arg(long = "where", value_name = "CONDITION")]
    pub(crate) condition: Option<String>,

    /// Inputs and options of fetch, for this time
    #[arg(last = true, value_name = "FETCH ARGUMENTS")]
    pub(crate) rest: Vec<String>,
}

fn durability(text: &str) -> Result<Durability, String> {
    text.parse()
}

const RETRY_EXAMPLES: &str = "\
Examples:
  gannet retry rows.jsonl --where 'not ok'
  gannet retry rows.jsonl --where \"status = 429 or error_kind like 'timeout%'\" -- --per-host 4
  gannet retry users.jsonl --where 'status >= 500' -- -H 'Authorization: Bearer …'

Exit codes: 0 every row of OUT is ok; 1 the tool itself failed; 2 usage; 3 some rows of OUT failed; 4 stopped early.";
