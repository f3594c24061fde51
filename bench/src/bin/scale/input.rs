//! The input files: every row another URL, the hosts in turn or one after another.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use gannet::bulk::source::{Input, InputOptions, InputSource, RequestDefaults};

use crate::{AnyError, Case, Size};

/// How the input is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A URL a line.
    Text,
    /// Two columns, and a template of the URL.
    Csv,
}

/// How rows follow one another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Each host once before any comes again.
    Robin,
    /// All rows of a host, then those of the next.
    Sorted,
}

/// Writes the input of this case.
pub(crate) fn write(dir: &Path, case: &Case, size: Size) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path(dir, case))?);
    if case.form == Form::Csv {
        writeln!(out, "host,id")?;
    }
    for index in 0..size.rows {
        let host = match case.order {
            Order::Robin => index % size.hosts,
            Order::Sorted => index / size.rows_per_host,
        };
        match case.form {
            Form::Text => writeln!(out, "https://host-{host}.example.com/items/{index}")?,
            Form::Csv => writeln!(out, "host-{host}.example.com,{index}")?,
        }
    }
    out.flush()
}

/// Opens it as the command does.
pub(crate) fn open(dir: &Path, case: &Case) -> Result<InputSource, AnyError> {
    let url = (case.form == Form::Csv).then(|| "https://{host}/items/{id}".to_owned());
    let defaults = RequestDefaults { url, ..RequestDefaults::default() };
    Ok(InputSource::open(vec![Input::File(path(dir, case))], InputOptions { defaults, ..InputOptions::default() })?)
}

fn path(dir: &Path, case: &Case) -> PathBuf {
    dir.join(if case.form == Form::Csv { "input.csv" } else { "input.txt" })
}
