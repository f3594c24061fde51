//! The command line: every option has one definition, here or in the group it belongs to, from which parsing,
//! help, the man page and the shell completions come. Nothing is decided here but what can be read at all;
//! [`crate::settings`] turns it into options of the library.

mod bulk;
mod connect;
mod curl;
mod get;
pub(crate) mod part;
mod proxy;
mod request;
mod state;
pub(crate) mod stdin;
pub(crate) mod values;
mod who;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use bulk::{BodyArg, FetchArgs, FormatArg, InputFormatArg, SummaryArg};
pub(crate) use connect::ConnectArgs;
pub(crate) use curl::CurlArgs;
pub(crate) use get::{GetArgs, SaveArgs, UploadArgs};
pub(crate) use proxy::ProxyArgs;
pub(crate) use request::{DecodeArgs, NetworkArgs, RequestArgs, TimeoutArgs};
pub(crate) use state::{RetryArgs, StateArgs, StatusArgs};
pub(crate) use who::WhoArgs;

/// Very many HTTP requests, concurrently, cheaply and politely.
///
/// One failure never sinks the rest, and every row of the input is accounted for exactly once.
#[derive(Debug, Parser)]
#[command(name = "gannet", version, after_help = EXIT_CODES, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Fetch(Box<FetchArgs>),
    Status(StatusArgs),
    Retry(RetryArgs),
    Get(Box<GetArgs>),
    Demo(DemoArgs),
    Origin(OriginArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// See what concurrency does, offline, on the embedded origin
///
/// First the same 50 URLs one by one, by threads and concurrently, side by side; then 20,000 requests to an origin
/// that fails now and then. Takes about 20 seconds and needs no network.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Measure one way only, in this process, and print the figures as JSON
    #[arg(long, value_enum, hide = true, requires = "origin")]
    pub(crate) only: Option<Way>,

    /// The origin to measure against
    #[arg(long, value_name = "URL", hide = true)]
    pub(crate) origin: Option<String>,
}

/// One of the ways to fetch the same URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Way {
    Sequential,
    Threads,
    Concurrent,
}

/// Run the simulated origin, to practise and test against
///
/// It answers httpbin's endpoints, a few cheap JSON ones and a set of injected faults, until Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = endpoint_list())]
pub(crate) struct OriginArgs {
    /// Where to listen; port 0 takes any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8780")]
    pub(crate) listen: String,

    /// Listen for HTTPS too, on the next port, with a certificate made for the occasion
    #[arg(long)]
    pub(crate) https: bool,

    /// End when stdin is closed: with the process that started it
    #[arg(long, hide = true)]
    pub(crate) while_stdin: bool,
}

/// Print the completions of a shell
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Which shell
    pub(crate) shell: Shell,
}

/// Print the man page, or write all of them to a directory
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write gannet.1, gannet-fetch.1 and so on here
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// `/items/{id}` becomes `/items/ID`: clap takes `{n}` for a line break.
fn endpoint_list() -> String {
    let mut text = String::from("Endpoints:\n");
    for (path, about) in gannet_origin::endpoints() {
        let path: Vec<_> = path.split('/').map(shown_segment).collect();
        text.push_str(&format!("  {:<27} {about}\n", path.join("/")));
    }
    text
}

fn shown_segment(segment: &str) -> String {
    match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(name) => name.trim_end_matches('*').to_uppercase(),
        None => segment.to_owned(),
    }
}

const EXIT_CODES: &str = "\
Exit codes:
  0  every row is ok
  1  the tool itself failed
  2  the command line cannot be obeyed
  3  finished, and some rows failed; get: a status of 400 or more, or no whole response
  4  stopped early (Ctrl-C, --fail-fast, output full or closed); what is written is whole

Try it without a network: gannet demo";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_option_says_what_it_does() {
        let mut cli = Cli::command();
        cli.build();
        for command in cli.get_subcommands().filter(|command| command.get_name() != "help") {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for option in command.get_arguments() {
                assert!(option.get_help().is_some(), "{} {}", command.get_name(), option.get_id());
            }
        }
    }
}
