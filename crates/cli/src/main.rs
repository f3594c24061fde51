//! The command `gannet`: arguments, then options, then the library, then an exit code.
//! Everything it can do stands in [`commands`]; what the codes mean stands in [`exit`].

mod args;
mod commands;
mod exchange;
mod exit;
mod identity;
mod learned;
mod limits;
mod progress;
mod settings;
mod signals;
mod summary;
mod who;
mod write_out;

use std::io::Write;
use std::process::ExitCode;

use args::{Cli, Command};
use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, FromArgMatches};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let parsed = Cli::command().try_get_matches().and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    let (cli, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            // A closed pipe is the reader's choice: `gannet --help | head`.
            let _ = error.print();
            if let Some(url) = url_for_a_command(&error) {
                tell(&format!("\nTo ask for it: gannet get {}", quoted(url)));
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(exit::Exit::Usage as u8));
        }
    };
    let result = match cli.command {
        Command::Fetch(args) => fetch(&args, &matches),
        Command::Status(args) => commands::status::run(&args),
        Command::Retry(args) => commands::retry::run(&args),
        Command::Get(args) => commands::get::run(&args),
        Command::Demo(args) => commands::demo::run(&args),
        Command::Origin(args) => commands::origin::run(&args),
        Command::Completions(args) => commands::shell::completions(&args),
        Command::Man(args) => commands::shell::man(&args),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            tell(&format!("error: {error:#}"));
            exit::of_error(&error).into()
        }
    }
}

fn fetch(args: &args::FetchArgs, matches: &clap::ArgMatches) -> anyhow::Result<exit::Exit> {
    // Before a run's settings are read, which may be there.
    args.check_stdin()?;
    let settings = matches.subcommand().map_or_else(|| Ok(Vec::new()), |(_, matches)| identity::settings(matches))?;
    commands::fetch::run(args, &settings)
}

/// What stands where a command should, if that is a URL.
fn url_for_a_command(error: &clap::Error) -> Option<&str> {
    match error.get(ContextKind::InvalidSubcommand)? {
        ContextValue::String(text) if text.contains("://") => Some(text),
        _ => None,
    }
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~/:@%+=,".contains(c);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// A line on stderr. Where nobody can read it there is nobody to tell.
fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
