//! What INPUT means: a URL, standard input or a file, how it is written, and what is done with it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use url::Url;

use super::defaults::RequestDefaults;
use super::unreadable;
use crate::bulk::sink::Codec;
use crate::error::Result;

/// One INPUT of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A URL, in which `{1..20}` counts (down too, and padded: `{01..20}`) and `{a,b}` chooses. Several combine, the
    /// rightmost changing fastest.
    Url(String),
    /// Standard input, once.
    Stdin,
    /// A file, or a pipe by its name; compressed if its suffix is `.gz` or `.zst`.
    File(PathBuf),
}

impl Input {
    /// What an argument means: `-` is standard input, what holds `://` a URL, all else a file. With a base URL
    /// (`has_base`) what is no file that exists is a relative URL.
    pub fn from_arg(arg: &str, has_base: bool) -> Input {
        match arg {
            "-" => Input::Stdin,
            _ if arg.contains("://") => Input::Url(arg.to_owned()),
            _ if has_base && !Path::new(arg).exists() => Input::Url(arg.to_owned()),
            _ => Input::File(arg.into()),
        }
    }

    /// How it is called in messages.
    pub(super) fn name(&self) -> String {
        match self {
            Input::Url(url) => url.clone(),
            Input::Stdin => "standard input".to_owned(),
            Input::File(path) => path.display().to_string(),
        }
    }
}

/// How an input is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One URL per line; blank lines and `#` comments are skipped. A line is at most 1 MiB.
    Text,
    /// One request per line, at most 16 MiB:
    /// `{"id","url","method","headers","params","json"|"form"|"data"|"body_base64","timeout","proxy"}`.
    Jsonl,
    /// A header, then a row per record, by commas (RFC 4180).
    Csv,
    /// The same by tabs.
    Tsv,
}

impl Format {
    /// By the file's suffix, or the one before `.gz` or `.zst`: `.jsonl` and `.ndjson`, `.csv`, `.tsv`; text otherwise.
    ///
    /// # Errors
    /// Kind `input` for a suffix of what is not read: `.json`, archives, other compressed files.
    pub(super) fn of(path: &Path) -> Result<Format> {
        let shown = path.display();
        let (inner, unpack) = match Codec::of(path) {
            Codec::Plain => (path, None),
            Codec::Gzip => (Path::new(path.file_stem().unwrap_or_default()), Some("gzip")),
            Codec::Zstd => (Path::new(path.file_stem().unwrap_or_default()), Some("zstd")),
        };
        let suffix = inner.extension().map(|suffix| suffix.to_string_lossy().to_ascii_lowercase());
        match suffix.as_deref() {
            Some("jsonl" | "ndjson") => Ok(Format::Jsonl),
            Some("csv") => Ok(Format::Csv),
            Some("tsv") => Ok(Format::Tsv),
            Some("json") => {
                let made = match unpack {
                    Some(tool) => format!("{tool} -dc {shown} | jq -c '.[]'"),
                    None => format!("jq -c '.[]' {shown}"),
                };
                let message =
                    format!("{shown}: a JSON document is not read; give it as JSON lines ({made} > rows.jsonl)");
                Err(unreadable(message))
            }
            Some(suffix @ ("gz" | "zst" | "bz2" | "xz" | "zip" | "tar" | "tgz" | "parquet")) => {
                Err(unreadable(format!("{shown}: .{suffix} is not read; unpack it and pipe it in: … | gannet fetch -")))
            }
            _ => Ok(Format::Text),
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "text" | "txt" => Ok(Format::Text),
            "jsonl" | "ndjson" => Ok(Format::Jsonl),
            "csv" => Ok(Format::Csv),
            "tsv" => Ok(Format::Tsv),
            _ => Err(format!("not an input format: {name:?}; use text, jsonl, csv or tsv")),
        }
    }
}

/// How inputs are read.
#[derive(Clone, Debug, Default)]
pub struct InputOptions {
    /// What relative URLs are resolved against; none.
    pub base: Option<Url>,
    /// Take only this many rows, over all inputs; all.
    pub first: Option<u64>,
    /// The format of files and standard input; by default by the file's suffix, standard input as text.
    pub format: Option<Format>,
    /// Where standard input is kept for a later run, which then reads it from there; by default it is kept in an
    /// unlinked temporary file and gone with the run. While it is not whole, the file's name ends in `.part`.
    pub spool: Option<PathBuf>,
    /// What every row gets unless it says otherwise.
    pub defaults: RequestDefaults,
}

/// The file, and its size where it is a regular one.
pub(super) fn open_file(path: &Path) -> Result<(File, Option<u64>)> {
    let opened = File::open(path).and_then(|file| file.metadata().map(|meta| (file, meta)));
    let shown = path.display();
    let (file, meta) = opened.map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => "; if it is a URL, give it a scheme (https://…) or set --base-url",
            _ => "",
        };
        unreadable(format!("{shown}: {error}{remedy}"))
    })?;
    if meta.is_dir() {
        return Err(unreadable(format!("{shown}: it is a directory; name the files in it")));
    }
    let size = meta.is_file().then_some(meta.len());
    Ok((file, size))
}
