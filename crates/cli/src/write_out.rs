//! `get -w FORMAT`: what is told of a transfer when it is over, in curl's words. A format is read whole before
//! anything is sent, so that a variable nobody knows is an error of the command line and not of the transfer.

mod facts;

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use gannet::{Headers, Request, Response};

use crate::exit::{Exit, usage};
use facts::{Counting, Counts, Facts};

/// A format that has been read.
#[derive(Debug)]
pub(crate) struct WriteOut(Vec<Piece>);

/// A transfer that is to be told of.
pub(crate) struct Telling {
    format: WriteOut,
    facts: Facts,
    counts: Arc<Counts>,
    started: Instant,
}

impl Telling {
    /// Of this request, whose body goes to this file; it is counted from now on.
    pub(crate) fn begin(format: WriteOut, request: &mut Request, file: Option<&Path>) -> Self {
        let counts = Arc::<Counts>::default();
        request.watch(Counting(counts.clone()));
        let facts = Facts::new(request, file.map(|file| file.to_string_lossy()).as_deref());
        Telling { format, facts, counts, started: Instant::now() }
    }

    /// Its body went to this file.
    pub(crate) fn on_saved(&mut self, file: &Path) {
        self.facts.on_file(&file.to_string_lossy());
    }

    /// Tells of it: with the response, where one was handed out, and why it failed, if it did.
    ///
    /// # Errors
    /// As [`WriteOut::tell`].
    pub(crate) fn end(mut self, response: Option<&Response>, exit: Exit, error: Option<String>) -> io::Result<()> {
        let elapsed = response.and_then(|response| response.timings().total).unwrap_or_else(|| self.started.elapsed());
        let headers = match response {
            Some(response) => {
                self.facts.on_response(response, elapsed);
                Some(response.headers().clone())
            }
            None => self.counts.headers(),
        };
        self.facts.on_counts(&self.counts, elapsed, response.is_some());
        self.facts.on_end(exit as i32, error);
        self.format.tell(&self.facts, headers.as_ref())
    }
}

#[derive(Debug, PartialEq)]
enum Piece {
    Text(String),
    Variable(&'static str),
    /// `%header{name}`.
    Header(String),
    /// `%{json}`: all variables.
    Json,
    /// `%{header_json}`: the fields of the last response.
    HeaderJson,
    /// `%{onerror}`: what follows is for failures only.
    OnError,
    /// `%{stderr}` and `%{stdout}`: where what follows goes.
    To(Stream),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stream {
    Out,
    Err,
}

impl WriteOut {
    /// Reads the format of `-w`: a text, `@FILE`, or `@-` for stdin.
    ///
    /// # Errors
    /// Usage: a variable that is none, named; a file that cannot be read.
    pub(crate) fn read(format: &str) -> anyhow::Result<Self> {
        let unreadable = |error: io::Error| usage(format!("--write-out: cannot read {}: {error}", &format[1..]));
        let text = match format.strip_prefix('@') {
            None => format.to_owned(),
            Some("-") => io::read_to_string(io::stdin()).map_err(unreadable)?,
            Some(path) => std::fs::read_to_string(path).map_err(unreadable)?,
        };
        parse(&text).map(WriteOut).map_err(|error| usage(format!("--write-out: {error}")))
    }

    /// Writes it.
    ///
    /// # Errors
    /// What stdout said. Nobody is left to be told that stderr failed.
    fn tell(&self, facts: &Facts, headers: Option<&Headers>) -> io::Result<()> {
        let mut stream = Stream::Out;
        for piece in &self.0 {
            let text = match piece {
                Piece::Text(text) => text.clone(),
                Piece::Variable(name) => facts.get(name).map(|value| value.to_string()).unwrap_or_default(),
                Piece::Header(name) => headers.and_then(|headers| headers.get(name)).unwrap_or("").to_owned(),
                Piece::Json => facts.json().to_string(),
                Piece::HeaderJson => facts::header_json(headers).to_string(),
                Piece::OnError if facts.failed() => continue,
                Piece::OnError => break,
                Piece::To(to) => {
                    stream = *to;
                    continue;
                }
            };
            match stream {
                Stream::Out => io::stdout().write_all(text.as_bytes())?,
                Stream::Err => drop(io::stderr().write_all(text.as_bytes())),
            }
        }
        io::stdout().flush()
    }
}

fn parse(format: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = format;
    while let Some(at) = rest.find(['%', '\\']) {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        let (piece, taken) =
            if from.starts_with('\\') { (None, escape(from, &mut text)) } else { percent(from, &mut text)? };
        if let Some(piece) = piece {
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            pieces.push(piece);
        }
        rest = &from[taken..];
    }
    text.push_str(rest);
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

/// `\n`, `\r` and `\t`; every other backslash stands for itself. How many bytes that was.
fn escape(from: &str, text: &mut String) -> usize {
    let known = match from.as_bytes().get(1) {
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        _ => {
            text.push('\\');
            return 1;
        }
    };
    text.push(known);
    2
}

/// `%{name}`, `%header{name}` or `%%`; every other percent sign stands for itself.
fn percent(from: &str, text: &mut String) -> Result<(Option<Piece>, usize), String> {
    let braced = |prefix: &str| {
        let name = from.strip_prefix(prefix)?.split_once('}')?.0;
        Some((name, prefix.len() + name.len() + 1))
    };
    if let Some((name, taken)) = braced("%{") {
        return Ok((Some(variable(name)?), taken));
    }
    if let Some((name, taken)) = braced("%header{") {
        return Ok((Some(Piece::Header(name.to_owned())), taken));
    }
    text.push('%');
    Ok((None, if from.starts_with("%%") { 2 } else { 1 }))
}

/// What is no fact of the transfer, but written like one.
const OTHERS: [(&str, Piece); 5] = [
    ("json", Piece::Json),
    ("header_json", Piece::HeaderJson),
    ("onerror", Piece::OnError),
    ("stdout", Piece::To(Stream::Out)),
    ("stderr", Piece::To(Stream::Err)),
];

fn variable(name: &str) -> Result<Piece, String> {
    let fact = facts::NAMES.iter().find(|known| **known == name).map(|known| Piece::Variable(known));
    let other = || OTHERS.into_iter().find(|(known, _)| *known == name).map(|(_, piece)| piece);
    fact.or_else(other).ok_or_else(|| {
        let known: Vec<_> = facts::NAMES.iter().copied().chain(OTHERS.map(|(name, _)| name)).collect();
        format!("no variable is called %{{{name}}}; known are {}, and %header{{name}}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    #[test]
    fn variables_escapes_and_what_looks_like_them() {
        let read = parse(r"a%{http_code}\t%%\n%{stderr}%header{X-A}100% \x %{json").unwrap();
        let wanted = [
            text("a"),
            Piece::Variable("http_code"),
            text("\t%\n"),
            Piece::To(Stream::Err),
            Piece::Header("X-A".to_owned()),
            text("100% \\x %{json"),
        ];
        assert_eq!(read, wanted);
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn an_unknown_variable_is_named() {
        let error = parse("%{http_code} %{time_travel}").unwrap_err();
        for known in ["%{time_travel}", "time_total", "header_json", "onerror", "stdout", "stderr", "%header{name}"] {
            assert!(error.contains(known), "{known}: {error}");
        }
        for (name, piece) in OTHERS {
            assert_eq!(parse(&format!("%{{{name}}}")).unwrap(), [piece]);
        }
    }
}
