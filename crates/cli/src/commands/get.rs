//! `gannet get`: one request, its body to stdout as it comes. A status of 400 or more still has its body written;
//! what went wrong goes to stderr. No retries: that is what `fetch` is for.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::Context;
use gannet::{Method, Request, Response, Session};

use super::runtime;
use crate::args::{GetArgs, RequestArgs};
use crate::exit::{Exit, usage};
use crate::{exchange, settings, tell};

/// Sends the request and writes what comes back.
pub(crate) fn run(args: &GetArgs) -> anyhow::Result<Exit> {
    let runtime = runtime().context("cannot start the runtime")?;
    let result = runtime.block_on(get(args));
    // A lookup that hangs must not hold the process.
    runtime.shutdown_background();
    result
}

async fn get(args: &GetArgs) -> anyhow::Result<Exit> {
    let session = session(args)?;
    let request = request(&session, args)?;
    if args.verbose {
        if let Some(proxy) = session.proxy_for(request.url()) {
            tell(&format!("* through the proxy {proxy}"));
        }
        tell(&exchange::request(&request, session.default_headers()));
    }
    let started = Instant::now();
    let mut response = match session.execute(request).await {
        Ok(response) => response,
        Err(error) => return Ok(not_whole(&error)),
    };
    if args.verbose {
        for redirected in response.history() {
            tell(&exchange::redirect(redirected));
        }
        tell(&exchange::response(&response));
    }
    let mut written = Written::default();
    let outcome = write_out(args, &mut response, &mut written).await;
    let tells = args.verbose || outcome.is_err() || !response.ok();
    if tells && written.is_within_line && args.file().is_none() && io::stdout().is_terminal() {
        // What is told must not stand behind the body's last line.
        tell("");
    }
    let exit = match outcome {
        Ok(()) => of_status(args, &response),
        Err(Broken::Response(error)) => return Ok(not_whole(&error)),
        Err(Broken::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            tell("stopped: stdout was closed before the end of the body");
            return Ok(Exit::Stopped);
        }
        Err(Broken::Output(error)) => return Err(error).context(output_name(args)),
    };
    if args.verbose {
        tell(&timing(response.elapsed(), started.elapsed(), written.length));
    }
    Ok(exit)
}

fn session(args: &GetArgs) -> anyhow::Result<Session> {
    let mut options = settings::session(&args.timeouts, &args.network)?;
    options.timeouts.total = args.timeouts.timeout.and_then(|limit| limit.0);
    options.decode.enabled = !args.no_decode;
    settings::open(options)
}

/// # Errors
/// Usage: a URL, method, header or body that cannot be sent.
fn request(session: &Session, args: &GetArgs) -> anyhow::Result<Request> {
    let asked = &args.request;
    let (body, content_type) = body(asked)?;
    let method = match (&asked.method, &body) {
        (Some(method), _) => method.clone(),
        (None, Some(_)) => Method::POST,
        (None, None) => Method::GET,
    };
    let mut headers = settings::headers(asked)?;
    if let Some(content_type) = content_type.filter(|_| !headers.contains("content-type")) {
        headers.append("content-type", content_type)?;
    }
    let mut builder = session.request(method, &args.url).headers(&headers).query(&asked.query);
    if let Some(body) = body {
        builder = builder.body(body);
    }
    builder.build().map_err(|error| usage(error.to_string()))
}

/// The body and its content type.
fn body(args: &RequestArgs) -> anyhow::Result<(Option<Vec<u8>>, Option<&'static str>)> {
    if let Some(json) = &args.json {
        let text = json.read("--json")?;
        serde_json::from_str::<serde::de::IgnoredAny>(&text).map_err(|error| usage(format!("--json: {error}")))?;
        return Ok((Some(text.into_bytes()), Some("application/json")));
    }
    if !args.form.is_empty() {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&args.form).finish();
        return Ok((Some(form.into_bytes()), Some("application/x-www-form-urlencoded")));
    }
    let data = args.data.as_ref().map(|data| data.read_bytes("--data")).transpose()?;
    Ok((data, None))
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

/// Writes head and body, each piece as it comes.
async fn write_out(args: &GetArgs, response: &mut Response, written: &mut Written) -> Result<(), Broken> {
    let mut out: Box<dyn Write> = match args.file() {
        Some(path) => Box::new(File::create(path)?),
        None => Box::new(io::stdout()),
    };
    if args.include {
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
