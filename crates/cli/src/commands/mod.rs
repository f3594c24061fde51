//! One module per command. Each takes its arguments and returns how the process ends; errors end it with code 1,
//! or 2 where the command line is at fault.

pub(crate) mod demo;
pub(crate) mod fetch;
pub(crate) mod get;
pub(crate) mod origin;
pub(crate) mod retry;
pub(crate) mod shell;
pub(crate) mod stated;
pub(crate) mod status;

/// A runtime on this thread.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
