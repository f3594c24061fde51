//! `gannet get`: one request, its body to stdout as it comes, or to a file. A status of 400 or more still has its body
//! written, unless `-f` says otherwise; what went wrong goes to stderr. Retries only where they are asked for: `fetch` is for them.

mod bar;
mod dump;
mod save;
mod upload;

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use gannet::{ErrorKind, Request, Response, SaveAs, Session};

use self::bar::Bar;
use self::dump::Dump;
use super::runtime;
use crate::args::GetArgs;
use crate::exit::Exit;
use crate::write_out::{Telling, WriteOut};
use crate::{exchange, settings, tell, who};

/// Sends the request and writes what comes back.
pub(crate) fn run(args: &GetArgs) -> anyhow::Result<Exit> {
    args.check_stdin()?;
    let runtime = runtime().context("cannot start the runtime")?;
    let result = runtime.block_on(get(args));
    // A lookup that hangs must not hold the process.
    runtime.shutdown_background();
    result
}

async fn get(args: &GetArgs) -> anyhow::Result<Exit> {
    let session = session(args)?;
    let exit = ask(&session, args).await;
    // However it ended: what the server has set is set.
    who::save(&session, &args.request.who)?;
    exit
}

async fn ask(session: &Session, args: &GetArgs) -> anyhow::Result<Exit> {
    let format = args.write_out.as_deref().map(WriteOut::read).transpose()?;
    let bar = Bar::new(args);
    let mut request = upload::request(session, args, &bar)?;
    let target = save::target(args, &request)?;
    if args.verbose {
        if let Some(proxy) = session.proxy_for(request.url()) {
            tell(&format!("* through the proxy {proxy}"));
        }
        request.watch(exchange::Shown::default());
    }
    let dump = Dump::begin(args, &mut request)?;
    let file = match &target {
        Some(SaveAs::File(path)) => Some(path.clone()),
        // The response names it.
        Some(SaveAs::Folder(_)) => None,
        None => args.file(),
    };
    let telling = format.map(|format| Telling::begin(format, &mut request, file.as_deref()));
    let beside = Beside { bar, dump, telling };
    match target {
        Some(target) => download(session, request, target, args, beside).await,
        None => stream(session, request, args, beside).await,
    }
}

/// What is told of a transfer beside its body.
struct Beside {
    bar: Bar,
    dump: Option<Dump>,
    telling: Option<Telling>,
}

async fn download(
    session: &Session,
    request: Request,
    target: SaveAs,
    args: &GetArgs,
    Beside { bar, dump, mut telling }: Beside,
) -> anyhow::Result<Exit> {
    let saved = save::download(session, request, target, args, &bar).await;
    dump.map_or(Ok(()), Dump::write)?;
    match saved {
        Ok(saved) => {
            if let Some(telling) = &mut telling {
                telling.on_saved(&saved.path);
            }
            ended(telling, None, Exit::Success, None)
        }
        Err(error) if error.kind() == ErrorKind::Request => not_made(telling, None, &error),
        Err(error) if error.kind() == ErrorKind::Status => {
            tell(&error.message());
            ended(telling, None, Exit::RowsFailed, Some(error.message()))
        }
        Err(error) => ended(telling, None, not_whole(&error), Some(error.message())),
    }
}

/// Writes the body as it comes.
async fn stream(
    session: &Session,
    request: Request,
    args: &GetArgs,
    Beside { bar, dump, telling }: Beside,
) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let sent = session.execute_retrying(request, &save::retry(&args.save)).await;
    let dumped = dump.map_or(Ok(()), Dump::write);
    if sent.is_err() || dumped.is_err() {
        bar.finish();
    }
    dumped?;
    let response = match sent {
        Ok(response) => response,
        Err(error) => return ended(telling, None, not_whole(&error), Some(error.message())),
    };
    let (response, written, outcome) = write(args, response).await;
    bar.finish();
    let tells = args.verbose || outcome.is_err() || !response.ok();
    if tells && written.is_within_line && args.file().is_none() && io::stdout().is_terminal() {
        // What is told must not stand behind the body's last line.
        tell("");
    }
    let exit = match outcome {
        Ok(()) => of_status(args, &response),
        Err(Broken::Response(error)) if error.kind() == ErrorKind::Request => {
            return not_made(telling, Some(&response), &error);
        }
        Err(Broken::Response(error)) => {
            return ended(telling, Some(&response), not_whole(&error), Some(error.message()));
        }
        Err(Broken::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            tell("stopped: stdout was closed before the end of the body");
            return Ok(Exit::Stopped);
        }
        Err(Broken::Output(error)) => {
            let name = output_name(args);
            ended(telling, Some(&response), Exit::Failed, Some(format!("{name}: {error}")))?;
            return Err(error).context(name);
        }
    };
    if args.verbose {
        tell(&timing(response.elapsed(), started.elapsed(), written.length));
    }
    let error = response.error_for_status_ref().filter(|_| args.fail);
    ended(telling, Some(&response), exit, error.map(|error| error.message()))
}

/// A file that cannot be made is no failure of the server's.
fn not_made(telling: Option<Telling>, response: Option<&Response>, error: &gannet::Error) -> anyhow::Result<Exit> {
    ended(telling, response, Exit::Failed, Some(error.message()))?;
    Err(anyhow::anyhow!("{}", error.message()))
}

/// What is to be told of the transfer is told, however it ended.
fn ended(
    telling: Option<Telling>,
    response: Option<&Response>,
    exit: Exit,
    error: Option<String>,
) -> anyhow::Result<Exit> {
    match telling.map_or(Ok(()), |telling| telling.end(response, exit, error)) {
        Ok(()) => Ok(exit),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Stopped),
        Err(error) => Err(error).context("cannot write to stdout"),
    }
}

fn session(args: &GetArgs) -> anyhow::Result<Session> {
    let mut options = settings::session(&args.timeouts, &args.network, &args.request)?;
    options.timeouts.total = args.timeouts.timeout.and_then(|limit| limit.0);
    settings::decode(&args.decode, &mut options);
    options.response.max_body = args.max_filesize;
    who::options(&mut options, &args.request.who)?;
    let session = settings::open(settings::builder(options, &args.network)?)?;
    who::load(&session, &args.request.who)?;
    Ok(session)
}

/// Why the body did not reach its end.
enum Broken {
    Response(gannet::Error),
    Output(io::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Broken::Output(error)
    }
}

/// What is out of a body.
#[derive(Default)]
struct Written {
    length: u64,
    /// The last byte was no line break.
    is_within_line: bool,
}

/// Writes the response, as events or as it is; how much is out is told also where it breaks off.
async fn write(args: &GetArgs, mut response: Response) -> (Response, Written, Result<(), Broken>) {
    let mut written = Written::default();
    if args.fail && !response.ok() {
        // A head on stdout was asked for; a file is not touched.
        let is_shown = args.writes_head() && args.file().is_none();
        let outcome = if is_shown { io::stdout().write_all(&exchange::head(&response)) } else { Ok(()) };
        return (response, written, outcome.map_err(Broken::Output));
    }
    if args.events {
        let (response, outcome) = write_events(response).await;
        return (response, written, outcome);
    }
    let outcome = write_out(args, &mut response, &mut written).await;
    (response, written, outcome)
}

/// Writes head and body, each piece as it comes; to a file, all of it at once when it is whole.
async fn write_out(args: &GetArgs, response: &mut Response, written: &mut Written) -> Result<(), Broken> {
    let mut out: Box<dyn Write> = match args.file() {
        Some(path) if args.writes_head() || save::is_special(&path) => Box::new(File::create(path)?),
        Some(path) => return save_whole(args, response, written, path).await,
        None => Box::new(io::stdout()),
    };
    if args.writes_head() {
        out.write_all(&exchange::head(response))?;
    }
    while let Some(piece) = response.chunk().await.map_err(Broken::Response)? {
        out.write_all(&piece)?;
        written.length += piece.len() as u64;
        written.is_within_line = piece.last().map_or(written.is_within_line, |last| *last != b'\n');
        // A slow body is seen as it comes.
        out.flush()?;
    }
    out.flush()?;
    Ok(())
}

async fn save_whole(
    args: &GetArgs,
    response: &mut Response,
    written: &mut Written,
    path: PathBuf,
) -> Result<(), Broken> {
    let saved = response.save_to(path, &save::options(args)).await;
    written.length = saved.map_err(Broken::Response)?;
    Ok(())
}

/// Writes each event as a line of JSON, as it comes.
async fn write_events(response: Response) -> (Response, Result<(), Broken>) {
    let mut out = io::stdout();
    let mut events = response.events();
    let mut outcome = Ok(());
    while let Some(event) = events.next_event().await {
        let written = event.map_err(Broken::Response).and_then(|event| {
            let mut line = serde_json::to_vec(&event).map_err(io::Error::from)?;
            line.push(b'\n');
            out.write_all(&line)?;
            Ok(out.flush()?)
        });
        if written.is_err() {
            outcome = written;
            break;
        }
    }
    (events.into_response(), outcome)
}

fn of_status(args: &GetArgs, response: &Response) -> Exit {
    if response.ok() {
        return Exit::Success;
    }
    if !args.verbose {
        tell(&format!("{} {}", response.status().as_u16(), response.reason()));
    }
    Exit::RowsFailed
}

/// No whole response came.
fn not_whole(error: &gannet::Error) -> Exit {
    tell(&format!("error: {}: {error}", error.kind()));
    Exit::RowsFailed
}

fn output_name(args: &GetArgs) -> String {
    match args.file() {
        Some(path) => format!("cannot write {}", path.display()),
        None => "cannot write to stdout".to_owned(),
    }
}

fn timing(head: Duration, all: Duration, length: u64) -> String {
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    format!("* head after {:.1} ms, all after {:.1} ms, {length} bytes of body", millis(head), millis(all))
}
