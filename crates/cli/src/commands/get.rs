//! `gannet get`: one request, its body to stdout as it comes, or to a file. A status of 400 or more still has its body
//! written, unless `-f` says otherwise; what went wrong goes to stderr. Retries only where they are asked for: `fetch` is
//! for them. Ctrl-C on the way into a file leaves of it what can be gone on with, and nothing else.

mod bar;
mod body;
mod dump;
mod hints;
mod save;
mod upload;

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use gannet::{ErrorKind, Method, RedactedUrl, Request, Response, SaveAs, Session};

use self::bar::Bar;
use self::body::Broken;
use self::dump::Dump;
use super::runtime;
use crate::args::GetArgs;
use crate::exit::Exit;
use crate::write_out::{Telling, WriteOut};
use crate::{exchange, settings, signals, tell, who};

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
    save::tell_waits(args, &mut request, &bar);
    let file = match &target {
        Some(SaveAs::File(path)) => Some(path.clone()),
        // The response names it.
        Some(SaveAs::Folder(_)) => None,
        None => args.file(),
    };
    let telling = format.map(|format| Telling::begin(format, &mut request, file.as_deref()));
    if let Some(path) = file.as_deref().filter(|path| save::is_whole(args, path)) {
        tell(&format!("{} is there, and no part of it: nothing is asked of the server", path.display()));
        return ended(telling, None, Exit::Success, None);
    }
    if let Some(missing) = save::missing_folder(args, file.as_deref()) {
        ended(telling, None, Exit::Failed, Some(missing.clone()))?;
        return Err(anyhow::anyhow!(missing));
    }
    let dump = Dump::begin(args, &mut request)?;
    // What writes to a pipe that nobody reads would not hear of a signal that is caught.
    let is_heard = target.is_some() || file.as_ref().is_some_and(|path| !save::is_special(path));
    let (left, shown) = (file.clone(), bar.clone());
    let beside = Beside { file, bar, dump, telling };
    let transfer = async {
        match target {
            Some(target) => download(session, request, target, args, beside).await,
            None => stream(session, request, args, beside).await,
        }
    };
    tokio::select! {
        exit = transfer => exit,
        () = signals::asked_to_end(), if is_heard => {
            shown.finish();
            tell("stopped");
            left.as_deref().inspect(|file| save::tell_kept(file));
            Ok(Exit::Stopped)
        }
    }
}

/// What is told of a transfer beside its body.
struct Beside {
    /// Where the body goes, if that is a file whose name is known.
    file: Option<PathBuf>,
    bar: Bar,
    dump: Option<Dump>,
    telling: Option<Telling>,
}

async fn download(
    session: &Session,
    request: Request,
    target: SaveAs,
    args: &GetArgs,
    Beside { file, bar, dump, mut telling }: Beside,
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
        Err(error) => {
            let exit = failed(&error);
            if let Some(file) = &file {
                save::tell_kept(file);
            }
            ended(telling, None, exit, Some(error.message()))
        }
    }
}

/// Writes the body as it comes.
async fn stream(
    session: &Session,
    request: Request,
    args: &GetArgs,
    Beside { file, bar, dump, telling }: Beside,
) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let is_whole_get = *request.method() == Method::GET && args.range.is_none();
    let sent = session.execute_retrying(request, &save::retry(&args.save)).await;
    let dumped = dump.map_or(Ok(()), Dump::write);
    if sent.is_err() || dumped.is_err() {
        bar.finish();
    }
    dumped?;
    let response = match sent {
        Ok(response) => response,
        Err(error) => return ended(telling, None, failed(&error), Some(error.message())),
    };
    let (response, written, outcome) = body::write(args, response).await;
    bar.finish();
    let tells = args.verbose || outcome.is_err() || !response.ok();
    if tells && written.is_within_line && file.is_none() && io::stdout().is_terminal() {
        // What is told must not stand behind the body's last line.
        tell("");
    }
    let bad = response.error_for_status_ref();
    let exit = match outcome {
        Ok(()) => bad.as_ref().map_or(Exit::Success, failed),
        Err(Broken::Response(error)) if error.kind() == ErrorKind::Request => {
            return not_made(telling, Some(&response), &error);
        }
        Err(Broken::Response(error)) => {
            let exit = failed(&error);
            if let Some(file) = file.filter(|_| is_whole_get) {
                save::tell_kept(&file);
            }
            return ended(telling, Some(&response), exit, Some(error.message()));
        }
        Err(Broken::NoEvents(why)) => {
            tell(&format!("error: {}: {why} ({})", ErrorKind::Decode, RedactedUrl::new(response.url())));
            return ended(telling, Some(&response), Exit::RowsFailed, Some(why));
        }
        Err(Broken::Binary) => {
            let why = "the body is binary: -o FILE saves it, -o - writes it to the terminal all the same";
            tell(&format!("error: {why}"));
            return ended(telling, Some(&response), Exit::Failed, Some(why.to_owned()));
        }
        Err(Broken::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            tell("stopped: stdout was closed before the end of the body");
            return Ok(Exit::Stopped);
        }
        Err(Broken::Output(error)) => {
            let name = output_name(file.as_deref());
            ended(telling, Some(&response), Exit::Failed, Some(format!("{name}: {error}")))?;
            return Err(error).context(name);
        }
    };
    if args.verbose {
        tell(&timing(response.elapsed(), started.elapsed(), written.length));
    }
    ended(telling, Some(&response), exit, bad.map(|error| error.message()))
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
    let session = settings::open(options, &args.network)?;
    who::load(&session, &args.request.who)?;
    Ok(session)
}

/// No whole response came, or one of a status of 400 or more.
fn failed(error: &gannet::Error) -> Exit {
    tell(&format!("error: {}: {error}", error.kind()));
    if let Some(hint) = hints::of(error) {
        tell(&format!("hint: {hint}"));
    }
    Exit::RowsFailed
}

fn output_name(file: Option<&Path>) -> String {
    match file {
        Some(path) => format!("cannot write {}", path.display()),
        None => "cannot write to stdout".to_owned(),
    }
}

fn timing(head: Duration, all: Duration, length: u64) -> String {
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    format!("* head after {:.1} ms, all after {:.1} ms, {length} bytes of body", millis(head), millis(all))
}
