//! What curl has to be told and is done here anyway: taken, so that its command lines need no editing, and without
//! effect.

use clap::Args;

/// Flags that change nothing.
#[derive(Debug, Args)]
pub(crate) struct CurlArgs {
    /// Follow redirects; the default
    #[arg(short = 'L', long, hide = true, conflicts_with = "no_follow")]
    pub(crate) location: bool,

    /// Ask for content codings and undo them; the default
    #[arg(long, hide = true, conflicts_with = "no_decode")]
    pub(crate) compressed: bool,

    /// Tell what failed, with -s too; the default
    #[arg(short = 'S', long, hide = true)]
    pub(crate) show_error: bool,

    /// Write what comes as it comes; the default
    #[arg(short = 'N', long, hide = true)]
    pub(crate) no_buffer: bool,
}
