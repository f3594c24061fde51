//! How the process ends: the exit codes, and the error that means the user's command line is at fault.
//! Every command returns an [`Exit`]; nothing else calls `process::exit`.

use std::fmt;
use std::process::ExitCode;

/// The exit codes, the same for every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: every row is ok; `get`: a whole response with a status below 400.
    Success = 0,
    /// 1: the tool itself failed: input unreadable, output not to be created.
    Failed = 1,
    /// 2: the command line cannot be obeyed as it stands.
    Usage = 2,
    /// 3: finished, and some rows failed; `get`: a status of 400 or more, or no whole response.
    RowsFailed = 3,
    /// 4: stopped early (Ctrl-C, `--fail-fast`, output full or closed); what is written is whole.
    Stopped = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// What the user asked for cannot be done as asked; the text names the option and the remedy. Exit code 2.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// [`Usage`] as the error of a command.
pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    Usage(message.into()).into()
}

/// The code for an error that ended a command.
pub(crate) fn of_error(error: &anyhow::Error) -> Exit {
    if error.is::<Usage>() {
        return Exit::Usage;
    }
    match error.downcast_ref::<std::io::Error>() {
        Some(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Stopped,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_code_of_its_kind() {
        let pipe = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert_eq!(of_error(&usage("no")), Exit::Usage);
        assert_eq!(of_error(&anyhow::Error::from(pipe).context("cannot write")), Exit::Stopped);
        assert_eq!(of_error(&anyhow::anyhow!("broken")), Exit::Failed);
    }
}
