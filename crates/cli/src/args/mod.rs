//! The command line: every option has one definition, here or in the group it belongs to, from which parsing,
//! help, the man page and the shell completions come. Nothing is decided here but what can be read at all;
//! [`crate::settings`] turns it into options of the library.

mod bulk;
mod connect;
mod proxy;
mod request;
mod state;
pub(crate) mod values;

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use bulk::{BodyArg, FetchArgs, FormatArg, InputFormatArg, SummaryArg};
pub(crate) use connect::ConnectArgs;
pub(crate) use proxy::ProxyArgs;
pub(crate) use request::{NetworkArgs, RequestArgs, TimeoutArgs};
pub(crate) use state::{RetryArgs, StateArgs, StatusArgs};

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

/// Send one request: the body to stdout
///
/// Redirects are followed and content codings decoded, unless told not to. The body is written as it comes.
#[derive(Debug, Args)]
#[command(after_help = GET_EXAMPLES)]
pub(crate) struct GetArgs {
    /// What to ask for, http or https
    #[arg(value_name = "URL")]
    pub(crate) url: String,

    #[command(flatten)]
    pub(crate) request: RequestArgs,

    #[command(flatten)]
    pub(crate) timeouts: TimeoutArgs,

    #[command(flatten)]
    pub(crate) network: NetworkArgs,

    /// Write the response's head before the body
    #[arg(short, long, help_heading = "Output")]
    pub(crate) include: bool,

    /// Show the exchange on stderr: request, redirects, response head, timing; secrets are blanked
    #[arg(short, long, help_heading = "Output")]
    pub(crate) verbose: bool,

    /// Write the body to this file instead of stdout; one that is there is replaced
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,

    /// Ask for no content coding, and write the body as it came
    #[arg(long, help_heading = "Output")]
    pub(crate) no_decode: bool,
}

impl GetArgs {
    /// The file to write to; none for stdout, which `-` means too.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.output.as_deref().filter(|path| *path != Path::new("-"))
    }
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

const GET_EXAMPLES: &str = "\
Examples:
  gannet get -i https://example.com/
  gannet get --query page=2 -H 'Accept: application/json' https://api.example.com/users
  gannet get --json '{\"name\":\"Ada\"}' -H @token.txt https://api.example.com/users

Exit codes: 0 a whole response with a status below 400; 1 the tool itself failed; 2 usage; 3 a status of 400
or more (its body is still written) or no whole response; 4 stdout was closed.";

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
