//! The options of `fetch` and `get` that say who asks: cookies and credentials.

use std::path::PathBuf;

use clap::Args;

use super::values::{self, CookieArg, TextArg};

/// Who asks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cookies & credentials")]
pub(crate) struct WhoArgs {
    /// Cookies, 'name=value; name2=value2'; or, without an =, a file of them: cookies.txt, or gannet's own JSON
    #[arg(short = 'b', long = "cookie", value_name = "DATA|FILE", value_parser = values::cookie)]
    pub(crate) cookies: Vec<CookieArg>,

    /// Write all cookies here in the end, for your eyes only: cookies.txt, or gannet's own JSON if the name ends in
    /// .json
    #[arg(short = 'c', long, value_name = "FILE")]
    pub(crate) cookie_jar: Option<PathBuf>,

    /// Leave out the cookies of -b FILE that have no end of their own, as after closing a browser
    #[arg(short = 'j', long)]
    pub(crate) junk_session_cookies: bool,

    /// Keep no cookies that servers set and send none back, so that rows do not act on each other; what -H says of them
    /// is sent
    #[arg(long, conflicts_with_all = ["cookies", "cookie_jar", "junk_session_cookies"])]
    pub(crate) no_cookies: bool,

    /// Name and password, shown as --basic, --digest or --anyauth say; they stand in the process list, those in
    /// --netrc or -H @FILE do not
    #[arg(short, long, value_name = "NAME:PASSWORD", value_parser = values::credentials)]
    pub(crate) user: Option<(String, String)>,

    /// Show the password at once, readable by whoever reads the request [default]
    #[arg(long, conflicts_with_all = ["digest", "anyauth"])]
    pub(crate) basic: bool,

    /// Answer the server's challenge by Digest, and by nothing else
    #[arg(long, conflicts_with = "anyauth")]
    pub(crate) digest: bool,

    /// Answer by what the server asks for: Digest if it can be, else Basic
    #[arg(long)]
    pub(crate) anyauth: bool,

    /// A bearer token, or @FILE, @- for stdin
    #[arg(long, value_name = "TOKEN", value_parser = values::text, conflicts_with_all = ["user", "digest", "anyauth"])]
    pub(crate) oauth2_bearer: Option<TextArg>,

    /// Look names and passwords up in $NETRC or ~/.netrc
    #[arg(short = 'n', long)]
    pub(crate) netrc: bool,

    /// Look them up in this file
    #[arg(long, value_name = "FILE")]
    pub(crate) netrc_file: Option<PathBuf>,
}
