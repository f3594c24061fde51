//! `-D`: the head of the last response in a place of its own, whatever becomes of the body.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use gannet::Request;

use crate::args::GetArgs;
use crate::exchange::LastHead;

/// Where the head goes.
pub(super) struct Dump {
    path: PathBuf,
    out: Box<dyn Write>,
    head: LastHead,
}

impl Dump {
    /// Makes the file, so that one that cannot be written is told before anything is sent; it is empty until there is
    /// a head.
    pub(super) fn begin(args: &GetArgs, request: &mut Request) -> anyhow::Result<Option<Self>> {
        let Some(path) = args.dump_header.clone() else { return Ok(None) };
        let out: Box<dyn Write> = match path.to_str() {
            Some("-") => Box::new(io::stdout()),
            _ => Box::new(File::create(&path).with_context(|| format!("cannot write {}", path.display()))?),
        };
        let head = LastHead::default();
        request.watch(head.clone());
        Ok(Some(Dump { path, out, head }))
    }

    /// Writes it, if one has come.
    pub(super) fn write(mut self) -> anyhow::Result<()> {
        let head = self.head.take().unwrap_or_default();
        let written = self.out.write_all(&head).and_then(|()| self.out.flush());
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}
