//! The options of `gannet fetch` alone: input, limits, retries, output.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use gannet::bulk::{Rate, StatusSet};

use super::stdin;
use super::values::{self, TimeLimit};
use super::{CurlArgs, DecodeArgs, NetworkArgs, RequestArgs, StateArgs, TimeoutArgs};

/// Fetch every URL of the input: one row of output for each
///
/// INPUT is a URL, in which {1..20} and {a,b} expand; or a file: .txt with one URL a line, .jsonl with one request
/// a line, .csv or .tsv with a header, together with --url; or - for stdin. Files may be compressed (.txt.gz,
/// .jsonl.zst), and OUT is if its name ends in .gz or .zst.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct FetchArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) request: RequestArgs,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,

    #[command(flatten)]
    pub(crate) retries: RetryArgs,

    #[command(flatten)]
    pub(crate) timeouts: TimeoutArgs,

    /// A row with all its attempts and the waits between them [default: none]
    #[arg(long, value_name = "SECONDS", value_parser = values::time_limit, help_heading = "Timeouts")]
    pub(crate) deadline: Option<TimeLimit>,

    #[command(flatten)]
    pub(crate) output: OutputArgs,

    #[command(flatten)]
    pub(crate) decode: DecodeArgs,

    #[command(flatten)]
    pub(crate) state: StateArgs,

    #[command(flatten)]
    pub(crate) network: NetworkArgs,

    #[command(flatten)]
    pub(crate) curl: CurlArgs,
}

impl FetchArgs {
    /// Refuses to give stdin to more than one.
    pub(crate) fn check_stdin(&self) -> anyhow::Result<()> {
        let rows = self.input.inputs.iter().any(|input| input == "-").then_some("INPUT -");
        stdin::check(self.request.stdin_takers().chain(rows))
    }
}

/// Where rows come from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct InputArgs {
    /// URLs, files, or - for stdin
    #[arg(required = true, value_name = "INPUT", help_heading = clap::builder::Resettable::Reset)]
    pub(crate) inputs: Vec<String>,

    /// How files and stdin are read [default: by the file's name; stdin as text]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) input_format: Option<InputFormatArg>,

    /// The URL of each row, filled from it: 'https://api.example.com/users/{id}'. A name is a column of CSV or a
    /// key of JSONL; headers, query and body may hold some too
    #[arg(long, value_name = "TEMPLATE")]
    pub(crate) url: Option<String>,

    /// What relative URLs are resolved against
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,

    /// Take only the first N rows, to try
    #[arg(long, value_name = "N")]
    pub(crate) first: Option<u64>,
}

/// How much may run at once.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Requests at once
    #[arg(long, value_name = "N", default_value = "256", value_parser = values::count)]
    pub(crate) concurrency: usize,

    /// Requests at once to one host, at most: fewer where a host turns out to allow no more; 0 for no limit of its own
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub(crate) per_host: usize,

    /// Requests started per host, as in 50/s, 100/m or 10/h
    #[arg(long, value_name = "RATE")]
    pub(crate) rate: Option<Rate>,

    /// Keep to --per-host and --rate as they are: find out nothing about hosts, adapt to nothing but Retry-After
    #[arg(long)]
    pub(crate) no_adapt: bool,

    /// Where what was learnt about hosts is kept for the next run; none keeps nothing
    /// [default: gannet/learned.json in the user's cache folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) learned: Option<PathBuf>,

    /// Send a GET or HEAD that is slower than nearly all others a second time, and take the first answer; at most one
    /// in twenty, and none while the limits leave no room
    #[arg(long)]
    pub(crate) hedge: bool,

    /// Threads that the requests are on [default: one for each processor, eight at most]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,

    /// Rows per batch: the next starts when the last row of the one before is done
    #[arg(long, value_name = "N")]
    pub(crate) batch: Option<NonZeroU64>,

    /// Stop at the first row that fails
    #[arg(long)]
    pub(crate) fail_fast: bool,

    /// The largest body of a row, decoded; a larger one fails with the kind too_large
    #[arg(long, alias = "max-filesize", value_name = "BYTES", default_value = "32MiB", value_parser = values::bytes)]
    pub(crate) max_body: u64,

    /// Bodies held at once over all rows; above it nothing new starts
    #[arg(long, value_name = "BYTES", default_value = "256MiB", value_parser = values::some_bytes)]
    pub(crate) memory: u64,
}

/// What is tried again.
#[derive(Debug, Args)]
#[command(next_help_heading = "Retries")]
pub(crate) struct RetryArgs {
    /// Further attempts at a row after the first
    #[arg(long, alias = "retry", value_name = "N", default_value_t = 2)]
    pub(crate) retries: u32,

    /// The statuses worth another attempt, as in 429,5xx or 520-524 [default: 408,429,500,502,503,504]
    #[arg(long, value_name = "STATUSES")]
    pub(crate) retry_on: Option<StatusSet>,

    /// Retry POST and PATCH like the others, at the risk of doing their work twice
    #[arg(long)]
    pub(crate) retry_unsafe: bool,

    /// The longest wait before the second attempt; it doubles with each one after
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = values::seconds)]
    pub(crate) backoff: Duration,

    /// The longest wait before any attempt; a Retry-After may ask for more
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = values::seconds)]
    pub(crate) backoff_max: Duration,
}

/// Where rows go, and what is told meanwhile.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// Write the rows here [default: stdout]
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,

    /// Start over: OUT and its state are replaced
    #[arg(long, requires = "output")]
    pub(crate) fresh: bool,

    /// jsonl: one object a row; none: count only
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "jsonl")]
    pub(crate) format: FormatArg,

    /// How a body stands in its row: auto puts JSON under json as it came, other text under text, bytes under
    /// body_base64. Where json or text is asked for, a body that is not makes its row fail with the kind decode
    #[arg(long, value_enum, value_name = "FORM", default_value = "auto")]
    pub(crate) body: BodyArg,

    /// Put the response's headers into the row
    #[arg(long = "headers")]
    pub(crate) with_headers: bool,

    /// Write the rows in the order of the input
    #[arg(long)]
    pub(crate) ordered: bool,

    /// No progress, and no summary in text
    #[arg(short = 's', long, alias = "silent")]
    pub(crate) quiet: bool,

    /// The form of the summary on stderr
    #[arg(long, value_enum, value_name = "FORM", default_value = "text")]
    pub(crate) summary: SummaryArg,
}

impl OutputArgs {
    /// The file to write to; none for stdout, which `-` means too.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.output.as_deref().filter(|path| *path != Path::new("-"))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputFormatArg {
    Text,
    Jsonl,
    Csv,
    Tsv,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatArg {
    Jsonl,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BodyArg {
    Auto,
    Json,
    Text,
    Base64,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SummaryArg {
    Json,
    Text,
}

const EXAMPLES: &str = "\
Examples:
  gannet fetch urls.txt -o rows.jsonl
  gannet fetch 'https://api.example.com/items/{1..500}' --rate 50/s -o items.jsonl
  gannet fetch users.csv --url 'https://api.example.com/users/{id}' -H @token.txt -o users.jsonl
  cat urls.txt | gannet fetch - --first 10 | jq .

Exit codes: 0 every row ok; 1 the tool itself failed; 2 usage; 3 finished, some rows failed; 4 stopped early.";
