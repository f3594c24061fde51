//! Keeps standard input for a later run. While it is read its copy is called `<path>.part`; once it has ended, the
//! copy is on disk and called `<path>`, and a later run reads that and leaves standard input alone.
//!
//! Where an earlier run left a `.part`, standard input must begin with what is in it, and is refused where it
//! differs: rows would get other requests than they had. Only what comes behind is added, so a `.part` that a crash
//! has cut short does no harm.

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::blocks::read_at;
use super::feed::Feed;

const CHUNK: u64 = 64 << 10;

/// What is there of standard input.
pub(super) enum Spool {
    /// All of it, and its size.
    Whole(File, u64),
    Part(Part),
}

impl Spool {
    /// Opens what an earlier run kept, or begins to keep it, for its owner's eyes only (mode 0600).
    ///
    /// # Errors
    /// The file cannot be opened or made; it is named.
    pub(super) fn open(path: &Path) -> io::Result<Spool> {
        match File::open(path).and_then(|file| file.metadata().map(|meta| (file, meta.len()))) {
            Ok((file, size)) => Ok(Spool::Whole(file, size)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Part::open(path).map(Spool::Part),
            Err(error) => Err(named(path, &error)),
        }
    }
}

/// The copy of a standard input that has not ended.
pub(super) struct Part {
    file: Arc<File>,
    path: PathBuf,
    part: PathBuf,
    /// How many bytes an earlier run left.
    known: u64,
    /// How many bytes of standard input were taken in.
    at: u64,
    /// What an earlier run left of the bytes that are taken in.
    before: Vec<u8>,
}

impl Part {
    fn open(path: &Path) -> io::Result<Part> {
        let mut part = OsString::from(path);
        part.push(".part");
        let part = PathBuf::from(part);
        let mut options = OpenOptions::new();
        let opened = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&part);
        let opened = opened.and_then(|file| {
            let known = written(&file)?;
            file.set_len(known)?;
            Ok((file, known))
        });
        let (file, known) = opened.map_err(|error| named(&part, &error))?;
        Ok(Part { file: Arc::new(file), path: path.to_owned(), part, known, at: 0, before: Vec::new() })
    }

    /// The copy, for reading rows again.
    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// These are the next bytes of standard input.
    fn take_in(&mut self, bytes: &[u8]) -> io::Result<()> {
        let named = |error: io::Error| named(&self.part, &error);
        let again = bytes.len().min(usize::try_from(self.known.saturating_sub(self.at)).unwrap_or(usize::MAX));
        let (again, new) = bytes.split_at(again);
        self.before.clear();
        if !again.is_empty() {
            read_at(&self.file, self.at, again.len(), &mut self.before).map_err(named)?;
        }
        if self.before != again {
            let same = self.before.iter().zip(again).take_while(|(before, now)| before == now).count() as u64;
            return Err(another(&format!("it differs at byte {}", self.at + same + 1)));
        }
        self.at += again.len() as u64;
        self.file.write_all_at(new, self.at).map_err(named)?;
        self.at += new.len() as u64;
        Ok(())
    }

    /// Standard input has ended: its copy is whole.
    fn finish(&mut self) -> io::Result<()> {
        if self.at < self.known {
            return Err(another(&format!("it ends after {} bytes, and {} were read of it", self.at, self.known)));
        }
        let renamed = self.file.sync_all().and_then(|()| std::fs::rename(&self.part, &self.path)).and_then(|()| {
            let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(dir)?.sync_all()
        });
        renamed.map_err(|error| named(&self.path, &error))
    }
}

/// The length without zeros at the end: a crash may have left them in the place of bytes that did not reach the disk,
/// and if they were read they are read again.
fn written(file: &File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut chunk = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(CHUNK);
        chunk.clear();
        read_at(file, start, (end - start) as usize, &mut chunk)?;
        if let Some(last) = chunk.iter().rposition(|&byte| byte != 0) {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

fn another(why: &str) -> io::Error {
    let message =
        format!("it is not the one this run began with: {why}; give the same again, or --fresh to begin anew");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("the copy of standard input in {}: {error}", path.display()))
}

/// Standard input, kept as it is read.
pub(super) struct SpoolFeed<F> {
    feed: F,
    part: Part,
}

impl<F: Feed> SpoolFeed<F> {
    pub(super) fn new(feed: F, part: Part) -> Self {
        SpoolFeed { feed, part }
    }
}

impl<F: Feed> Feed for SpoolFeed<F> {
    fn poll_feed(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<()>> {
        let before = into.len();
        ready!(self.feed.poll_feed(cx, into))?;
        Poll::Ready(if into.len() == before { self.part.finish() } else { self.part.take_in(&into[before..]) })
    }
}
