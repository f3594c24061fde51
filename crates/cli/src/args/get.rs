//! The options that `get` alone has: what is uploaded, where the body goes, and what is shown meanwhile.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use gannet::bulk::StatusSet;

use super::part::{self, PartArg};
use super::{CurlArgs, DecodeArgs, NetworkArgs, RequestArgs, TimeoutArgs};
use super::{stdin, values};

/// Send one request: the body to stdout
///
/// Redirects are followed and content codings decoded, unless told not to. The body is written as it comes.
/// Many options understand curl's names too; its -L, -S, -N and --compressed are what is done anyway.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GetArgs {
    /// What to ask for, http or https
    #[arg(value_name = "URL")]
    pub(crate) url: String,

    #[command(flatten)]
    pub(crate) request: RequestArgs,

    /// Put what -d, --data-raw and --form say behind the URL, as its query, and ask with GET
    #[arg(
        short = 'G', long, help_heading = "Request",
        conflicts_with_all = ["json", "upload_file", "parts", "form_string", "compress", "expect100_timeout"]
    )]
    pub(crate) get: bool,

    /// Ask for these bytes alone, as in 0-99, 500- or -500 for the last ones; a server may send all of it
    #[arg(
        short, long, value_name = "RANGE", value_parser = values::range, allow_hyphen_values = true,
        help_heading = "Request", conflicts_with_all = ["continue_at", "remote_name", "remote_header_name"]
    )]
    pub(crate) range: Option<String>,

    #[command(flatten)]
    pub(crate) upload: UploadArgs,

    #[command(flatten)]
    pub(crate) timeouts: TimeoutArgs,

    #[command(flatten)]
    pub(crate) network: NetworkArgs,

    /// Write the response's head before the body
    #[arg(short, long, help_heading = "Output")]
    pub(crate) include: bool,

    /// Ask for the head alone, by HEAD, and write it
    #[arg(
        short = 'I', long, help_heading = "Output",
        conflicts_with_all = ["method", "json", "form", "data", "data_raw", "upload_file", "parts", "form_string"]
    )]
    pub(crate) head: bool,

    /// Write the head of the last response to this file, - for stdout, as -i writes it
    #[arg(short = 'D', long, value_name = "FILE", help_heading = "Output")]
    pub(crate) dump_header: Option<PathBuf>,

    /// Write no body of a status of 400 or more, and leave a file as it was: what is piped on is never an error page
    #[arg(short, long, help_heading = "Output")]
    pub(crate) fail: bool,

    /// Write it, with the exit code that says so; the default
    #[arg(long, help_heading = "Output", conflicts_with = "fail")]
    pub(crate) fail_with_body: bool,

    /// Show the exchange on stderr: request, redirects, response head, timing; secrets are blanked
    #[arg(short, long, help_heading = "Output")]
    pub(crate) verbose: bool,

    #[command(flatten)]
    pub(crate) save: SaveArgs,

    /// What to tell of the transfer when it is over, in curl's variables: '%{http_code} %{time_total}\n', '%{json}';
    /// @FILE reads it from a file
    #[arg(short = 'w', long, value_name = "FORMAT", help_heading = "Output")]
    pub(crate) write_out: Option<String>,

    #[command(flatten)]
    pub(crate) decode: DecodeArgs,

    /// The largest body, decoded; a larger one is an error: to stdout goes what came until then, into a file nothing [default: any]
    #[arg(long, value_name = "BYTES", value_parser = values::bytes, help_heading = "Output")]
    pub(crate) max_filesize: Option<u64>,

    /// Read the body as server-sent events and write each as a line of JSON
    #[arg(long, help_heading = "Output", conflicts_with_all = ["include", "head", "to_file"])]
    pub(crate) events: bool,

    #[command(flatten)]
    pub(crate) curl: CurlArgs,
}

/// Bodies that `fetch` has no use for.
#[derive(Debug, Args)]
#[command(next_help_heading = "Upload")]
pub(crate) struct UploadArgs {
    /// Send this file, - for stdin, with PUT unless -X says otherwise; behind a URL that ends with / goes its name
    #[arg(short = 'T', long, value_name = "FILE", conflicts_with_all = ["json", "form", "data", "data_raw", "parts", "form_string"])]
    pub(crate) upload_file: Option<PathBuf>,

    /// A part of a multipart/form-data body: name=text, name=@FILE for a file, name=<FILE for a text from a file; each
    /// may end with ;type=TYPE, and that of a file with ;filename=NAME
    #[arg(
        short = 'F', long = "multipart", value_name = "NAME=CONTENT", value_parser = part::part,
        conflicts_with_all = ["json", "form", "data", "data_raw"]
    )]
    pub(crate) parts: Vec<PartArg>,

    /// A text of a multipart/form-data body as it stands, whatever it begins with; behind those of -F
    #[arg(
        long, value_name = "NAME=TEXT", value_parser = values::pair,
        conflicts_with_all = ["json", "form", "data", "data_raw"]
    )]
    pub(crate) form_string: Vec<(String, String)>,
}

/// Where the body goes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
#[group(id = "to_file", args = ["output", "remote_name", "remote_header_name"], multiple = true)]
pub(crate) struct SaveArgs {
    /// Write the body to this file instead of stdout; one that is there is replaced once the body is whole
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["remote_name", "remote_header_name"])]
    pub(crate) output: Option<PathBuf>,

    /// Write the body to a file named as the last part of the URL's path; one that is there is kept, unless --clobber
    #[arg(short = 'O', long)]
    pub(crate) remote_name: bool,

    /// Write the body to a file named by the response's Content-Disposition, or else as with -O; never replaces one
    #[arg(short = 'J', long, conflicts_with_all = ["clobber", "continue_at"])]
    pub(crate) remote_header_name: bool,

    /// The folder for -o, -O and -J
    #[arg(long, value_name = "FOLDER", requires = "to_file")]
    pub(crate) output_dir: Option<PathBuf>,

    /// Let -O replace a file that is there
    #[arg(long, requires = "remote_name")]
    pub(crate) clobber: bool,

    /// Go on with what an earlier download of the URL left in FILE.part; the only value is -, which asks the server
    /// whether it is still the same
    #[arg(short = 'C', long, value_name = "-", value_parser = ["-"], allow_hyphen_values = true, requires = "to_file")]
    pub(crate) continue_at: Option<String>,

    /// Try again up to N times, going on where a download broke off; without a file, as long as nothing was written
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) retry: u32,

    /// The statuses worth another attempt, as in 429,5xx or 520-524 [default: 408,429,500,502,503,504]
    #[arg(long, value_name = "STATUSES", requires = "retry")]
    pub(crate) retry_on: Option<StatusSet>,

    /// Retry POST and PATCH like the others, at the risk of doing their work twice
    #[arg(long, requires = "retry")]
    pub(crate) retry_unsafe: bool,

    /// The longest wait before the first retry; chance makes it half of that to all of it, and it doubles with each
    /// one after
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = values::seconds)]
    pub(crate) retry_delay: Duration,

    /// Show how far the body is on stderr, where that is a terminal; a body that goes to a file shows it anyway
    #[arg(short = '#', long)]
    pub(crate) progress_bar: bool,

    /// Show no progress
    #[arg(short, long, conflicts_with = "progress_bar")]
    pub(crate) silent: bool,
}

impl GetArgs {
    /// Refuses to give stdin to more than one.
    pub(crate) fn check_stdin(&self) -> anyhow::Result<()> {
        let upload = self.upload.upload_file.as_deref() == Some(Path::new("-"));
        let format = self.write_out.as_deref() == Some("@-");
        let others =
            [("-T -", upload), ("-w @-", format)].into_iter().filter(|(_, takes)| *takes).map(|(name, _)| name);
        stdin::check(self.request.stdin_takers().chain(others))
    }

    /// Whether the head goes before the body.
    pub(crate) fn writes_head(&self) -> bool {
        self.include || self.head
    }

    /// The file to write to that `-o` names; none for stdout, which `-` means too.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        let file = self.save.output.as_deref().filter(|path| *path != Path::new("-"))?;
        Some(self.save.in_folder(file))
    }
}

impl SaveArgs {
    /// Whether the file may be gone on with, within this call or from an earlier one.
    pub(crate) fn goes_on(&self) -> bool {
        self.remote_name
            || self.remote_header_name
            || self.continue_at.is_some()
            || (self.retry > 0 && self.output.is_some())
    }

    /// A path in the folder that was given.
    pub(crate) fn in_folder(&self, path: &Path) -> PathBuf {
        self.output_dir.as_ref().map_or_else(|| path.to_owned(), |folder| folder.join(path))
    }
}

const EXAMPLES: &str = "\
Examples:
  gannet get -i https://example.com/
  gannet get -o /dev/null -w '%{http_code} in %{time_total} s\\n' https://example.com/
  gannet get --query page=2 -H 'Accept: application/json' https://api.example.com/users
  gannet get --json '{\"name\":\"Ada\"}' -H @token.txt https://api.example.com/users
  gannet get --digest -n -b cookies.txt -c cookies.txt https://example.com/private
  gannet get -O -C - --retry 5 https://example.com/large.iso
  gannet get -F 'photo=@cat.jpg;type=image/jpeg' -F title=Cat https://example.com/upload

Exit codes: 0 a whole response with a status below 400; 1 the tool itself failed; 2 usage; 3 no whole response, or \
a status of 400 or more (its body is still written, but not with -f, into a file with -C or --retry, or under a name \
that the server or URL chose); 4 stdout was closed, or Ctrl-C on the way into a file; 130 Ctrl-C elsewhere.";
