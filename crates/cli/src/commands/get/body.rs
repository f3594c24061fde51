//! Where the response of `get` goes: to stdout or a device piece by piece, to a file when it is whole, as events line
//! by line. What a terminal cannot show is not written to one unasked.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use gannet::{Response, StatusCode};

use super::save;
use crate::args::GetArgs;
use crate::exchange;

/// Why the body did not reach its end.
pub(super) enum Broken {
    Response(gannet::Error),
    Output(io::Error),
    /// It is none of events; what it is.
    NoEvents(String),
    /// It is not for a terminal.
    Binary,
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Broken::Output(error)
    }
}

/// What is out of a body.
#[derive(Default)]
pub(super) struct Written {
    pub(super) length: u64,
    /// The last byte was no line break.
    pub(super) is_within_line: bool,
}

/// Writes the response, as events or as it is; how much is out is told also where it breaks off.
pub(super) async fn write(args: &GetArgs, mut response: Response) -> (Response, Written, Result<(), Broken>) {
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
    let is_shown = args.save.output.is_none() && io::stdout().is_terminal();
    if args.writes_head() {
        out.write_all(&exchange::head(response))?;
    }
    while let Some(piece) = response.chunk().await.map_err(Broken::Response)? {
        if is_shown && written.length == 0 && is_binary(&piece) {
            return Err(Broken::Binary);
        }
        out.write_all(&piece)?;
        written.length += piece.len() as u64;
        written.is_within_line = piece.last().map_or(written.is_within_line, |last| *last != b'\n');
        // A slow body is seen as it comes.
        out.flush()?;
    }
    out.flush()?;
    Ok(())
}

/// Whether a body that begins so is for a terminal: no text has a NUL, and nearly everything else has one soon.
fn is_binary(piece: &[u8]) -> bool {
    piece.contains(&0)
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
    if let Some(other) = other_than_events(&response) {
        // What is told of a bad status is that.
        let outcome = if response.ok() { Err(Broken::NoEvents(other)) } else { Ok(()) };
        return (response, outcome);
    }
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

/// What the body is, where it is no stream of events. No content is a stream that has ended.
fn other_than_events(response: &Response) -> Option<String> {
    let is_stream = response.content_type().is_some_and(|media| media.essence == "text/event-stream");
    if is_stream || response.status() == StatusCode::NO_CONTENT {
        return None;
    }
    let is = response.headers().get("content-type").unwrap_or("none");
    let is = is.replace(char::is_control, "\u{fffd}");
    Some(format!("this is no stream of events: its content type is {is}, not text/event-stream"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_nul_in_it_is_not_for_a_terminal() {
        for (piece, wanted) in [
            (&b""[..], false),
            (b"text\twith \x1b[31mcolour\r\n", false),
            ("Gru\u{df}".as_bytes(), false),
            (b"latin \xe9", false),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", true),
            (b"text and then \0", true),
        ] {
            assert_eq!(is_binary(piece), wanted, "{piece:?}");
        }
    }
}
