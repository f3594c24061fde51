//! What is made from the definitions of the options: shell completions and man pages.

use std::io::{self, Write};

use anyhow::Context;
use clap::CommandFactory;

use crate::args::{Cli, CompletionsArgs, ManArgs};
use crate::exit::Exit;

/// `gannet completions SHELL`.
pub(crate) fn completions(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    // Gathered first: the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "gannet", &mut script);
    io::stdout().write_all(&script).context("stdout")?;
    Ok(Exit::Success)
}

/// `gannet man [--dir DIR]`.
pub(crate) fn man(args: &ManArgs) -> anyhow::Result<Exit> {
    let command = Cli::command();
    match &args.dir {
        Some(dir) => {
            std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
            clap_mangen::generate_to(command, dir).with_context(|| format!("cannot write to {}", dir.display()))?;
        }
        None => clap_mangen::Man::new(command).render(&mut io::stdout()).context("stdout")?,
    }
    Ok(Exit::Success)
}
