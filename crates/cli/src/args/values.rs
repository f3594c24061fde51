//! The values of options: how a length of time, a number of bytes, a header or a `k=v` pair is written.
//! Every parser says what it cannot read and how to write it; clap adds the option's name.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gannet::{Headers, NoProxy, ProxyUrl};

use super::stdin;
use crate::exit::usage;

/// A time limit; `None` for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeLimit(pub(crate) Option<Duration>);

/// A header field of the command line, or a file of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HeaderArg {
    /// `-H 'K: V'`, or `-H 'K;'` for one without a value.
    Field(String, String),
    /// `-H 'K:'`: one that would be sent by itself is not.
    Without(String),
    /// `-H @file`: one `K: V` a line; all of them are secret.
    File(PathBuf),
}

/// The proxy to use; `None` for none, whatever the environment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProxyArg(pub(crate) Option<ProxyUrl>);

/// A text of the command line, or what holds it: a file (`@file`) or stdin (`@-`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TextArg {
    Here(String),
    Stdin,
    File(PathBuf),
}

/// Cookies of the command line, or a file of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CookieArg {
    /// As they stand in the Cookie field.
    Data(String),
    File(PathBuf),
}

impl CookieArg {
    pub(crate) fn data(&self) -> Option<&str> {
        match self {
            CookieArg::Data(data) => Some(data),
            CookieArg::File(_) => None,
        }
    }

    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            CookieArg::Data(_) => None,
            CookieArg::File(path) => Some(path),
        }
    }
}

/// Reads `1.5`, `2s`, `500ms`, `2m` or `1h`.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let refused = || format!("{text:?} is no length of time: write seconds (1.5) or 500ms, 2s, 5m, 1h");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit.trim() {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(refused()),
    };
    let number: f64 = number.parse().map_err(|_| refused())?;
    let length = Duration::try_from_secs_f64(number * scale).map_err(|_| refused())?;
    // What is longer would overflow the clock when it is added to now.
    if length > YEAR * 100 { Err(refused()) } else { Ok(length) }
}

/// As [`seconds`], or `none`. Zero is refused: it would expire before anything can be sent.
pub(crate) fn time_limit(text: &str) -> Result<TimeLimit, String> {
    if text == "none" {
        return Ok(TimeLimit(None));
    }
    match seconds(text)? {
        Duration::ZERO => Err("0 would fail every request at once: write none for no limit".to_owned()),
        length => Ok(TimeLimit(Some(length))),
    }
}

/// Reads `1000`, `10M`, `32MiB` or `5MB`: K, M and G alone are powers of 1024.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let refused = || format!("{text:?} is no number of bytes: write 1000, 64K, 10M, 32MiB or 5MB");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return Err(refused()),
    };
    if let Ok(number) = number.parse::<u64>() {
        return number.checked_mul(scale).ok_or_else(refused);
    }
    let number: f64 = number.parse().map_err(|_| refused())?;
    Ok((number * scale as f64) as u64)
}

/// A number of bytes from 1 on.
pub(crate) fn some_bytes(text: &str) -> Result<u64, String> {
    match bytes(text)? {
        0 => Err("0 bytes leave no room for any body: write 1 or more".to_owned()),
        bytes => Ok(bytes),
    }
}

/// A count from 1 on.
pub(crate) fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1 is needed".to_owned()),
        Ok(count) => Ok(count),
        Err(_) => Err(format!("{text:?} is no whole number")),
    }
}

/// Reads `K: V`, `K;`, `K:` or `@file`, as curl does.
pub(crate) fn header(text: &str) -> Result<HeaderArg, String> {
    match text.strip_prefix('@') {
        Some(path) => Ok(HeaderArg::File(file_name(path)?)),
        None => field(text),
    }
}

/// What is sent by itself and can be left out, and Expect, which curl's users have learnt to leave out.
const LEFT_OUT: [&str; 5] = ["Accept", "Accept-Encoding", "Content-Type", "Expect", "User-Agent"];

/// Fields that say where a body ends.
const FRAMING: [&str; 2] = ["Content-Length", "Transfer-Encoding"];
const FRAMED: &str = "says how the body is framed, and that is gannet's to write: leave it out";

fn is_one_of(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn field(text: &str) -> Result<HeaderArg, String> {
    let without_value = text.trim_end().strip_suffix(';').filter(|name| !name.contains(':')).map(|name| (name, ""));
    let (name, value) = without_value
        .or_else(|| text.split_once(':'))
        .ok_or("a header is written 'Name: value', or @file to read it from a file")?;
    let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
    // Refused here, so that no row is sent with half of the headers.
    Headers::new().append(&name, &value).map_err(|error| format!("header {name:?}: {error}"))?;
    if is_one_of(&FRAMING, &name) {
        return Err(format!("{name} {FRAMED}"));
    }
    if !value.is_empty() || without_value.is_some() {
        return Ok(HeaderArg::Field(name, value));
    }
    if !is_one_of(&LEFT_OUT, &name) {
        let known = LEFT_OUT.join(", ");
        return Err(format!(
            "'{name}:' leaves out nothing: that goes for {known}; '{name};' is a field without a value"
        ));
    }
    Ok(HeaderArg::Without(name))
}

/// What a header field can have as its value.
pub(crate) fn field_value(text: &str) -> Result<String, String> {
    Headers::new().append("value", text).map_err(|error| error.to_string())?;
    Ok(text.trim().to_owned())
}

/// The value of a Referer.
pub(crate) fn referer(text: &str) -> Result<String, String> {
    if text.ends_with(";auto") {
        return Err("that of a redirect is not set by itself: leave ;auto out".to_owned());
    }
    field_value(text)
}

/// Reads `0-99`, `500-`, `-500`, or several of them behind commas (RFC 9110 §14.1.2), for the field Range.
pub(crate) fn range(text: &str) -> Result<String, String> {
    // A sign would be read too.
    let number = |text: &str| text.parse::<u64>().ok().filter(|_| !text.starts_with('+'));
    let is_range = |part: &str| match part.trim().split_once('-') {
        Some(("", number_of)) => number(number_of).is_some(),
        Some((first, "")) => number(first).is_some(),
        Some((first, last)) => number(first).is_some_and(|first| number(last).is_some_and(|last| first <= last)),
        None => false,
    };
    match text.split(',').all(is_range) {
        true => Ok(format!("bytes={text}")),
        false => Err(format!("{text:?} is no range of bytes: write 0-99, 500- or -500")),
    }
}

/// Reads `name=value`; the value may be empty and may hold further `=`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write name=value".to_owned()),
    }
}

/// Reads `NAME:PASSWORD`.
pub(crate) fn credentials(text: &str) -> Result<(String, String), String> {
    let (name, password) = text.split_once(':').ok_or("write NAME:PASSWORD, or NAME: for an empty password")?;
    Ok((name.to_owned(), password.to_owned()))
}

/// The URL of a proxy, or nothing.
pub(crate) fn proxy(text: &str) -> Result<ProxyArg, String> {
    let url = (!text.is_empty()).then(|| text.parse().map_err(|error: gannet::ProxyUrlError| error.to_string()));
    url.transpose().map(ProxyArg)
}

/// The address of a name server, with or without its port.
pub(crate) fn name_server(text: &str) -> Result<SocketAddr, String> {
    const PORT: u16 = 53;
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let with_port = text.parse().or_else(|_| bare.parse().map(|ip: IpAddr| (ip, PORT).into()));
    with_port.map_err(|_| format!("{text:?} is no name server: write an IP address, or ADDRESS:PORT"))
}

/// Hosts that are asked directly.
pub(crate) fn no_proxy(text: &str) -> Result<NoProxy, String> {
    text.parse().map_err(|error: gannet::NoProxyError| error.to_string())
}

/// Cookies as they stand in the Cookie field, or a file's name: what holds no `=` is one.
pub(crate) fn cookie(text: &str) -> Result<CookieArg, String> {
    if !text.contains('=') {
        return file_name(text).map(CookieArg::File);
    }
    let data = text.trim().trim_end_matches(';');
    for part in data.split(';') {
        pair(part.trim_start())?;
    }
    Headers::new().append("cookie", data).map_err(|error| error.to_string())?;
    Ok(CookieArg::Data(data.to_owned()))
}

/// A method: any token.
pub(crate) fn method(text: &str) -> Result<gannet::Method, String> {
    gannet::Method::from_bytes(text.as_bytes()).map_err(|_| format!("{text:?} is no method: write GET, POST, …"))
}

/// A text, `@file`, or `@-` for stdin.
pub(crate) fn text(text: &str) -> Result<TextArg, String> {
    Ok(match text.strip_prefix('@') {
        Some("-") => TextArg::Stdin,
        Some(path) => TextArg::File(file_name(path)?),
        None => TextArg::Here(text.to_owned()),
    })
}

pub(super) fn file_name(path: &str) -> Result<PathBuf, String> {
    if path.is_empty() { Err("a file's name is missing".to_owned()) } else { Ok(PathBuf::from(path)) }
}

impl TextArg {
    /// The text; that of a file or of stdin without its last line end.
    pub(crate) fn read(&self, option: &str) -> anyhow::Result<String> {
        let mut text = match self {
            TextArg::Here(text) => return Ok(text.clone()),
            TextArg::Stdin => {
                let text = str::from_utf8(stdin::read(option)?);
                text.map_err(|error| usage(format!("{option}: stdin is no text: {error}")))?.to_owned()
            }
            TextArg::File(path) => read_file(path, option)?,
        };
        if let Some(line) = text.strip_suffix('\n') {
            text.truncate(line.strip_suffix('\r').unwrap_or(line).len());
        }
        Ok(text)
    }

    /// The bytes as they are, a file's last line end included.
    pub(crate) fn read_bytes(&self, option: &str) -> anyhow::Result<Vec<u8>> {
        match self {
            TextArg::Here(text) => Ok(text.clone().into_bytes()),
            TextArg::Stdin => stdin::read(option).map(<[u8]>::to_vec),
            TextArg::File(path) => read_file_bytes(path, option),
        }
    }
}

/// The header fields of all these arguments. Those of files are secret.
pub(crate) fn headers(args: &[HeaderArg]) -> anyhow::Result<Headers> {
    let mut headers = Headers::new();
    for arg in args {
        match arg {
            HeaderArg::Field(name, value) => headers.append(name, value)?,
            HeaderArg::Without(_) => {}
            HeaderArg::File(path) => {
                let text = read_file(path, "-H")?;
                for (number, line) in text.lines().enumerate() {
                    if line.trim().is_empty() || line.starts_with('#') {
                        continue;
                    }
                    // The line itself is not shown: it is secret.
                    let refused = |why: &str| usage(format!("-H @{}: line {} {why}", path.display(), number + 1));
                    let name = line.split(':').next().unwrap_or_default().trim();
                    match field(line) {
                        Ok(HeaderArg::Field(name, value)) => headers.append_secret(&name, &value)?,
                        Err(_) if is_one_of(&FRAMING, name) => return Err(refused(FRAMED)),
                        _ => return Err(refused("is not 'Name: value'")),
                    }
                }
            }
        }
    }
    Ok(headers)
}

/// Whether the field of this name is not to be sent by itself.
pub(crate) fn leaves_out(args: &[HeaderArg], name: &str) -> bool {
    args.iter().any(|arg| matches!(arg, HeaderArg::Without(left) if left.eq_ignore_ascii_case(name)))
}

/// The names of fields that are not to be sent by themselves.
pub(crate) fn left_out(args: &[HeaderArg]) -> Vec<String> {
    let names = args.iter().filter_map(|arg| match arg {
        HeaderArg::Without(name) => Some(name.clone()),
        HeaderArg::Field(..) | HeaderArg::File(_) => None,
    });
    names.collect()
}

/// A file that an option names, as text.
pub(crate) fn read_file(path: &Path, option: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(path).map_err(|error| unreadable(path, option, &error))
}

/// The same, as bytes.
pub(crate) fn read_file_bytes(path: &Path, option: &str) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| unreadable(path, option, &error))
}

fn unreadable(path: &Path, option: &str, error: &std::io::Error) -> anyhow::Error {
    usage(format!("{option}: cannot read {}: {error}", path.display()))
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

#[cfg(test)]
mod tests;
