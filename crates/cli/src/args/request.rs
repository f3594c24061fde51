//! The options that `fetch` and `get` share: what is sent, how long it may take, and over what network.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use gannet::Coding;

use super::values::{self, HeaderArg, TextArg, TimeLimit};
use super::{ConnectArgs, ProxyArgs, WhoArgs};

/// What is sent.
#[derive(Debug, Args)]
#[command(next_help_heading = "Request")]
pub(crate) struct RequestArgs {
    /// The method [default: GET; POST when there is a body]
    #[arg(short = 'X', long, alias = "request", value_name = "METHOD", value_parser = values::method)]
    pub(crate) method: Option<gannet::Method>,

    /// A header field, 'Name: value'; 'Name;' has no value, 'Accept:', 'Accept-Encoding:', 'Content-Type:' and
    /// 'User-Agent:' leave theirs out; or @FILE, one field a line, kept out of the process list and never shown
    #[arg(short = 'H', long = "header", value_name = "FIELD", value_parser = values::header)]
    pub(crate) headers: Vec<HeaderArg>,

    /// The User-Agent, if -H says none; '' leaves it out
    #[arg(short = 'A', long, value_name = "TEXT", value_parser = values::field_value)]
    pub(crate) user_agent: Option<String>,

    /// The Referer, if -H says none; '' is none
    #[arg(short = 'e', long, value_name = "URL", value_parser = values::referer)]
    pub(crate) referer: Option<String>,

    /// A query parameter, percent-encoded for you
    #[arg(long, value_name = "NAME=VALUE", value_parser = values::pair)]
    pub(crate) query: Vec<(String, String)>,

    /// A JSON body, or @FILE, @- for stdin
    #[arg(long, value_name = "JSON", value_parser = values::text, conflicts_with_all = ["form", "data", "data_raw"])]
    pub(crate) json: Option<TextArg>,

    /// A field of a form body (application/x-www-form-urlencoded)
    #[arg(
        long, alias = "data-urlencode", value_name = "NAME=VALUE", value_parser = values::pair,
        conflicts_with_all = ["data", "data_raw"]
    )]
    pub(crate) form: Vec<(String, String)>,

    /// A body as it is, or @FILE, @- for stdin; its Content-Type is application/x-www-form-urlencoded unless -H says
    /// otherwise. Several are joined by &
    #[arg(short, long, aliases = ["data-binary", "data-ascii"], value_name = "TEXT", value_parser = values::text)]
    pub(crate) data: Vec<TextArg>,

    /// The same, and an @ is no more than that; behind what -d says
    #[arg(long, value_name = "TEXT")]
    pub(crate) data_raw: Vec<String>,

    /// Compress the body on its way: gzip, deflate, br or zstd; the server has to understand it
    #[arg(long, value_name = "CODING")]
    pub(crate) compress: Option<Coding>,

    /// Ask before the body is sent (Expect: 100-continue), and send it all the same after so long
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds)]
    pub(crate) expect100_timeout: Option<Duration>,

    #[command(flatten)]
    pub(crate) who: WhoArgs,
}

impl RequestArgs {
    /// What of it takes stdin.
    pub(crate) fn stdin_takers(&self) -> impl Iterator<Item = &'static str> {
        let (json, bearer) = (self.json.iter(), self.who.oauth2_bearer.iter());
        let texts = json.map(|text| ("--json @-", text)).chain(self.data.iter().map(|text| ("-d @-", text)));
        let texts = texts.chain(bearer.map(|text| ("--oauth2-bearer @-", text)));
        texts.filter(|(_, text)| **text == TextArg::Stdin).map(|(name, _)| name)
    }

    /// The body of `-d` and `--data-raw`: the bytes of all of them, if there are any.
    pub(crate) fn data(&self) -> anyhow::Result<Option<Vec<u8>>> {
        let mut texts: Vec<_> = self.data.iter().map(|text| text.read_bytes("--data")).collect::<Result<_, _>>()?;
        texts.extend(self.data_raw.iter().map(|text| text.clone().into_bytes()));
        Ok(self.has_data().then(|| texts.join(&b'&')))
    }

    /// Whether there is a body of `-d` or `--data-raw`.
    pub(crate) fn has_data(&self) -> bool {
        !self.data.is_empty() || !self.data_raw.is_empty()
    }

    /// Whether `-H 'Name:'` leaves out the field of this name.
    pub(crate) fn leaves_out(&self, name: &str) -> bool {
        values::leaves_out(&self.headers, name)
    }

    /// How long the body waits to be asked for.
    pub(crate) fn expect(&self) -> Option<Duration> {
        self.expect100_timeout.filter(|_| !self.leaves_out("expect"))
    }
}

/// How far a response is taken, and its body undone.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct DecodeArgs {
    /// Ask for no content coding, and leave the body as it came
    #[arg(long)]
    pub(crate) no_decode: bool,

    /// How many times its compressed size a body may grow, once past 100 MiB; 0 for any
    #[arg(long, value_name = "N", default_value_t = 250)]
    pub(crate) max_ratio: u32,

    /// The largest head of a response, interim ones and trailers included; a larger one is an error [default: 64K]
    #[arg(long, value_name = "BYTES", value_parser = values::some_bytes)]
    pub(crate) max_head: Option<u64>,
}

/// How long it may take. Every value in seconds (1.5), or with a unit (500ms, 2m), or `none`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Timeouts")]
pub(crate) struct TimeoutArgs {
    /// One attempt from its start to the last byte, redirects included [default: 300 in fetch, none in get]
    #[arg(short = 'm', long, alias = "max-time", value_name = "SECONDS", value_parser = values::time_limit)]
    pub(crate) timeout: Option<TimeLimit>,

    /// The name lookup alone [default: none, --timeout-connect holds it]
    #[arg(long, value_name = "SECONDS", value_parser = values::time_limit)]
    pub(crate) dns_timeout: Option<TimeLimit>,

    /// Name lookup, TCP and TLS together [default: 10]
    #[arg(long, alias = "connect-timeout", value_name = "SECONDS", value_parser = values::time_limit)]
    pub(crate) timeout_connect: Option<TimeLimit>,

    /// The longest gap between bytes, the wait for the head included [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = values::time_limit)]
    pub(crate) timeout_read: Option<TimeLimit>,
}

/// Redirects and TLS.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS & network")]
pub(crate) struct NetworkArgs {
    /// Redirects followed for one request; one more is an error
    #[arg(long, alias = "max-redirs", value_name = "N", default_value_t = 10)]
    pub(crate) max_redirects: u32,

    /// Refuse a redirect from https to http
    #[arg(long)]
    pub(crate) no_downgrade: bool,

    /// Take a redirect as the response
    #[arg(long, conflicts_with = "max_redirects")]
    pub(crate) no_follow: bool,

    /// Speak HTTP/1.1 only
    #[arg(long = "http1.1")]
    pub(crate) http1: bool,

    /// Offer HTTP/2 over https, and take HTTP/1.1 too: as without an option
    #[arg(long, overrides_with = "http1")]
    pub(crate) http2: bool,

    /// Speak HTTP/2 only, over http too, without asking
    #[arg(long, conflicts_with_all = ["http1", "http2"])]
    pub(crate) http2_prior_knowledge: bool,

    /// Where nothing comes on a connection of HTTP/2 that carries requests, ask after so long whether the server is
    /// still there [default: never]
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds, conflicts_with = "http1")]
    pub(crate) http2_ping_interval: Option<Duration>,

    /// How long the answer to that may take; then the requests of the connection fail [default: 20]
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds, requires = "http2_ping_interval")]
    pub(crate) http2_ping_timeout: Option<Duration>,

    /// Accept any certificate: anyone on the way can read and change everything
    #[arg(short = 'k', long)]
    pub(crate) insecure: bool,

    /// Trust the certificates of this PEM file too
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,

    #[command(flatten)]
    pub(crate) proxy: ProxyArgs,
}
