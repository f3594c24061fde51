//! `gannet fetch`: the main job. Opens input and output, runs the engine with signals and progress beside it, and
//! says in the end what became of the rows.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use anyhow::Context;
use gannet::bulk::sink::{BodyFormat, Mark, OrderedOptions, Output, RowMaker, RowSink};
use gannet::bulk::source::{BodyTemplate, Format, Input, InputOptions, InputSource, RequestDefaults};
use gannet::bulk::state::Setting;
use gannet::bulk::{BulkOptions, End, Finished, Learnt, Outcome, Prior, ReceiptSummary, Run, Share, Sink};
use gannet::{PoolCounters, Session, Url};

use super::runtime;
use super::stated::{self, Job, Stated};
use crate::args::{BodyArg, FetchArgs, FormatArg, InputFormatArg, RequestArgs};
use crate::exit::{Exit, usage};
use crate::learned::Learned;
use crate::progress::Progress;
use crate::signals::Signals;
use crate::{identity, limits, settings, signals, summary, tell, who};

/// What became of a run.
pub(crate) struct Report {
    pub(crate) end: End,
    pub(crate) sink: RowSink,
    pub(crate) elapsed: Duration,
    pub(crate) resume: Resume,
    /// Options that its state keeps no value of.
    pub(crate) withheld: Vec<String>,
    /// What was done to each host.
    pub(crate) receipt: ReceiptSummary,
    /// What was learnt of each host, and whether that is kept.
    pub(crate) learnt: (Vec<(String, Learnt)>, bool),
    /// What the session did with its connections.
    pub(crate) connections: PoolCounters,
}

/// How it goes on, should it have ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    /// By the same command.
    Fetch,
    /// By `retry` without a condition.
    Retry,
    /// There is no state, or no copy of its input.
    Never,
}

/// Runs it and tells what came of it. `settings` are what the run is known by.
pub(crate) fn run(args: &FetchArgs, settings: &[Setting]) -> anyhow::Result<Exit> {
    let Some(report) = fetch(args, settings, Job::Fetch)? else { return Ok(Exit::Success) };
    finish(args, report)
}

/// Tells what came of it.
pub(crate) fn finish(args: &FetchArgs, report: Report) -> anyhow::Result<Exit> {
    summary::tell_all(args, &report);
    match report.end {
        // Standard input is not what the copy kept of it begins with.
        End::InputFailed(error) if args.state.spool && error.kind() == io::ErrorKind::InvalidData => {
            Err(usage(error.to_string()))
        }
        End::InputFailed(error) => Err(error).context("the input cannot be read any further"),
        _ => Ok(report.exit()),
    }
}

impl Report {
    /// The process's exit code. An input that failed is an error of its own.
    pub(crate) fn exit(&self) -> Exit {
        match self.end {
            End::Complete if self.failed() == 0 => Exit::Success,
            End::Complete => Exit::RowsFailed,
            End::Stopped | End::FailFast | End::OutputFailed(_) => Exit::Stopped,
            End::InputFailed(_) => Exit::Failed,
        }
    }

    /// Rows that are not ok, those among them that only the output's form made fail.
    pub(crate) fn failed(&self) -> u64 {
        self.sink.stats().failed()
    }
}

/// Runs it, with progress on stderr; `None` where there was nothing to do.
///
/// # Errors
/// What keeps it from starting. What ends it early stands in the report.
pub(crate) fn fetch(args: &FetchArgs, settings: &[Setting], job: Job<'_>) -> anyhow::Result<Option<Report>> {
    let runtime = runtime().context("cannot start the runtime")?;
    let guard = runtime.enter();
    // Without it that limit ends the process, as before.
    let _ = signals::survive_file_size_limit();
    drop(guard);
    let options = settings::bulk(args);
    let session = session(args, &options)?;
    let out = args.output.file().filter(|out| args.output.format == FormatArg::Jsonl && !is_special(out));
    if out.is_none() && (args.state.spool || args.state.force || args.state.resend_in_doubt) {
        return Err(usage(
            "--spool, --force and --resend-in-doubt need a run with a state: -o with the name of a file, and rows in it",
        ));
    }
    // The copy of stdin is guarded by the state's lock.
    let spool = out.filter(|_| args.state.spool).map(|out| stated::guard_spool(args, out)).transpose()?;
    let (spool, opening) = spool.unzip();
    // The input first: an unreadable one must not leave an empty output behind.
    let source = open_input(args, spool, &session)?;
    let (sink, prior, resume) = match out {
        None => (open_output(args)?, Prior::default(), Resume::Never),
        Some(out) => {
            check_inputs(args, out)?;
            let opening = opening.map_or_else(|| stated::begin(args, out), Ok)?;
            match stated::open(args, settings, (opening, job), &source, &session)? {
                Some(Stated { sink, prior, resume }) => (sink, prior, resume),
                None => return Ok(None),
            }
        }
    };
    let learned = Learned::open(args.limits.learned.as_deref().or(args.limits.no_adapt.then_some(Path::new("none"))))?;
    let started = Instant::now();
    let drain = options.drain.as_secs();
    let finished = runtime.block_on(async {
        let progress = Arc::new(Progress::new(args.output.quiet, args.input.first));
        let sink = BatchTeller { sink, progress: progress.clone(), quiet: args.output.quiet };
        let run = Run::new(&session, source, sink, options).resume(prior).teach(learned.hosts());
        Box::pin(drive(run, drain, &progress, &learned)).await
    });
    // A lookup that hangs must not hold the process.
    runtime.shutdown_background();
    learned.save(finished.learnt.clone());
    // The rows are written: this changes nothing about them.
    if let Err(error) = who::save(&session, &args.request.who) {
        tell(&format!("warning: {error}"));
    }
    let (receipt, learnt) = (finished.receipt, (finished.learnt, learned.is_kept()));
    let (sink, withheld) = (finished.sink.sink, identity::withheld(settings));
    let (end, elapsed, connections) = (finished.end, started.elapsed(), session.pool_counters());
    Ok(Some(Report { end, sink, elapsed, resume, withheld, receipt, learnt, connections }))
}

async fn drive(
    run: Run<InputSource, BatchTeller>,
    drain: u64,
    progress: &Progress,
    learned: &Learned,
) -> Finished<BatchTeller> {
    let control = run.control();
    let signals = async {
        match Signals::catch() {
            Ok(signals) => signals.watch(&control, drain, |line| progress.say(line)).await,
            Err(error) => {
                progress.say(&format!("warning: Ctrl-C will end this at once: {error}"));
                std::future::pending().await
            }
        }
    };
    let finished = tokio::select! {
        // In this order, so that the handlers are there before the first request.
        biased;
        never = signals => match never {},
        finished = run.drive() => finished,
        never = progress.show(&control) => match never {},
        never = learned.keep(&control) => match never {},
    };
    progress.finish();
    finished
}

fn session(args: &FetchArgs, bulk: &BulkOptions) -> anyhow::Result<Session> {
    let mut options = settings::session(&args.timeouts, &args.network, &args.request)?;
    let lookups = if args.network.connect.asks_servers() { options.dns.max_lookups } else { 0 };
    let (connections, warning) = limits::connections(limits::raise_open_files(), lookups, bulk.limits.concurrency);
    if let Some(warning) = warning {
        tell(&warning);
    }
    options.connections.max = connections;
    settings::decode(&args.decode, &mut options);
    let who = &args.request.who;
    if who.cookie_jar.as_deref() == Some(Path::new("-")) {
        return Err(usage("--cookie-jar: name a file; stdout is for rows"));
    }
    who::options(&mut options, who)?;
    let session = settings::open(options, &args.network)?;
    who::load(&session, who)?;
    Ok(session)
}

fn open_input(args: &FetchArgs, spool: Option<PathBuf>, session: &Session) -> anyhow::Result<InputSource> {
    let base = args.input.base_url.as_deref().map(base_url).transpose()?;
    let has_base = base.is_some();
    let inputs = args.input.inputs.iter().map(|arg| Input::from_arg(arg, has_base)).collect();
    let format = args.input.input_format.map(|format| match format {
        InputFormatArg::Text => Format::Text,
        InputFormatArg::Jsonl => Format::Jsonl,
        InputFormatArg::Csv => Format::Csv,
        InputFormatArg::Tsv => Format::Tsv,
    });
    let timeouts = session.settings().timeouts.clone();
    // The rows may be a stranger's where the addresses are looked at.
    let own_proxies = !args.network.connect.deny_private;
    let defaults = RequestDefaults { timeouts, url: args.input.url.clone(), own_proxies, ..defaults(&args.request)? };
    let options = InputOptions { base, first: args.input.first, format, spool, defaults };
    InputSource::open(inputs, options).map_err(|error| {
        // A file that cannot be read is no mistake of the command line; a template that cannot be filled is.
        let unreadable = args.input.inputs.iter().any(|arg| is_unreadable(&Input::from_arg(arg, has_base)));
        if unreadable { anyhow::anyhow!(error.message()) } else { usage(error.message()) }
    })
}

fn is_unreadable(input: &Input) -> bool {
    let Input::File(path) = input else { return false };
    match path.metadata() {
        // Opened only where that takes nothing away from anybody: not a named pipe.
        Ok(there) => there.is_dir() || (there.is_file() && std::fs::File::open(path).is_err()),
        Err(_) => true,
    }
}

fn base_url(text: &str) -> anyhow::Result<Url> {
    let url =
        Url::parse(text).map_err(|error| usage(format!("--base-url {text}: {error}; write https://host/path/")))?;
    if matches!(url.scheme(), "http" | "https") {
        return Ok(url);
    }
    Err(usage(format!("--base-url {text}: the scheme is neither http nor https")))
}

/// What every row has that does not say otherwise.
fn defaults(args: &RequestArgs) -> anyhow::Result<RequestDefaults> {
    if args.leaves_out("content-type") && (args.json.is_some() || !args.form.is_empty()) {
        return Err(usage("-H 'Content-Type:' goes with -d; the bodies of --json and --form have theirs"));
    }
    let body = if let Some(json) = &args.json {
        BodyTemplate::Json(json.read("--json")?)
    } else if !args.form.is_empty() {
        BodyTemplate::Form(args.form.clone())
    } else if let Some(data) = args.data()? {
        // Rows are filled into text alone.
        String::from_utf8(data).map_or_else(|error| BodyTemplate::Bytes(error.into_bytes().into()), BodyTemplate::Data)
    } else {
        BodyTemplate::None
    };
    let content_type = (!args.leaves_out("content-type")).then(|| settings::FORM.to_owned());
    let headers = settings::headers(args)?;
    let (method, query) = (args.method.clone(), args.query.clone());
    let (compress, expect_continue) = (args.compress, args.expect());
    Ok(RequestDefaults {
        method,
        headers,
        query,
        body,
        content_type,
        compress,
        expect_continue,
        ..RequestDefaults::default()
    })
}

fn open_output(args: &FetchArgs) -> anyhow::Result<RowSink> {
    let asked = &args.output;
    let output = match (asked.file(), asked.format) {
        (_, FormatArg::None) => Output::discard(),
        (None, FormatArg::Jsonl) => Output::stdout().context("stdout")?,
        (Some(path), FormatArg::Jsonl) => Output::file(path, asked.fresh).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => usage(format!("-o: {error}, another name keeps it")),
            _ => anyhow::anyhow!(error),
        })?,
    };
    let ordered = asked.ordered.then(OrderedOptions::default);
    RowSink::new(output, stated::row_format(args), ordered).context("cannot start writing")
}

impl From<BodyArg> for BodyFormat {
    fn from(body: BodyArg) -> BodyFormat {
        match body {
            BodyArg::Auto => BodyFormat::Auto,
            BodyArg::Json => BodyFormat::Json,
            BodyArg::Text => BodyFormat::Text,
            BodyArg::Base64 => BodyFormat::Base64,
            BodyArg::None => BodyFormat::None,
        }
    }
}

/// Whether it is there and no regular file: a device, a named pipe. It has no state.
fn is_special(out: &Path) -> bool {
    out.metadata().is_ok_and(|there| !there.is_file())
}

fn check_inputs(args: &FetchArgs, out: &Path) -> anyhow::Result<()> {
    if args.output.fresh && args.input.inputs.iter().any(|input| is_same_file(Path::new(input), out)) {
        return Err(usage(format!("-o: {} is an input too; --fresh would empty it", out.display())));
    }
    Ok(())
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    match (one.metadata(), other.metadata()) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()) && one.is_file(),
        _ => false,
    }
}

/// The rows' sink, which also tells when a batch is done.
struct BatchTeller {
    sink: RowSink,
    progress: Arc<Progress>,
    quiet: bool,
}

impl Sink for BatchTeller {
    fn row_maker(&self) -> Option<RowMaker> {
        self.sink.row_maker()
    }

    fn hold(&mut self, memory: Share) {
        self.sink.hold(memory);
    }

    fn push(&mut self, outcome: Outcome) -> io::Result<()> {
        self.sink.push(outcome)
    }

    fn push_row(&mut self, outcome: Outcome, row: &[u8]) -> io::Result<()> {
        self.sink.push_row(outcome, row)
    }

    fn poll_room(&mut self, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.sink.poll_room(cx)
    }

    fn awaits_turns(&self) -> bool {
        self.sink.awaits_turns()
    }

    fn on_start(&mut self, index: u64) -> Option<Mark> {
        self.sink.on_start(index)
    }

    fn on_pushed(&mut self) -> Option<Mark> {
        self.sink.on_pushed()
    }

    fn on_retry(&mut self, index: u64, attempts: u32) {
        self.sink.on_retry(index, attempts);
    }

    fn on_hold(&mut self, host: &str, delay: Duration) {
        self.sink.on_hold(host, delay);
    }

    fn on_end_of_input(&mut self, rows: u64) {
        self.sink.on_end_of_input(rows);
    }

    fn on_batch(&mut self, number: u64, rows: u64) -> io::Result<()> {
        if !self.quiet {
            let ok = self.sink.stats().ok;
            let failed = self.sink.stats().failed();
            self.progress.say(&format!("batch {number} done: {rows} rows; so far {ok} ok, {failed} failed"));
        }
        self.sink.on_batch(number, rows)
    }

    fn poll_finish(&mut self, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.sink.poll_finish(cx)
    }
}
