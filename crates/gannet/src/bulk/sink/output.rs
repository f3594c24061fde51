//! Where the bytes of a run go: a file, standard output, any writer, or nowhere. Refuses to overwrite a file that is
//! there unless told to. A file whose name ends in `.gz` or `.zst` gets each piece as one gzip member or zstd frame.
//! After a failed write a regular file is cut back to its last whole row, or member.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::codec::Codec;

/// An output, opened. The rows reach it through [`super::RowWriter`].
pub struct Output {
    target: Option<Target>,
    dir: Option<PathBuf>,
}

impl Output {
    /// A new file, compressed if its name ends in `.gz` or `.zst`. With `fresh`, one that is there is emptied. What is
    /// there and is no regular file (a device, a named pipe) is written to either way.
    ///
    /// # Errors
    /// The file is there already, or cannot be made; the path is named.
    pub fn file(path: impl AsRef<Path>, fresh: bool) -> io::Result<Self> {
        let path = path.as_ref();
        let mut options = OpenOptions::new();
        options.write(true);
        match path.metadata() {
            Ok(there) if !there.is_file() => {}
            _ if fresh => {
                options.create(true).truncate(true);
            }
            _ => {
                options.create_new(true);
            }
        }
        let named = |error: io::Error| {
            let why = match error.kind() {
                io::ErrorKind::AlreadyExists => "it exists already; --fresh overwrites it".to_owned(),
                _ => error.to_string(),
            };
            io::Error::new(error.kind(), format!("cannot write {}: {why}", path.display()))
        };
        let file = options.open(path).map_err(named)?;
        let target = Target::file(file, Codec::of(path)).map_err(named)?;
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(Output { target: Some(target), dir: Some(dir.to_owned()) })
    }

    /// Standard output, without the line buffer of `std`; never compressed.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn stdout() -> io::Result<Self> {
        #[cfg(unix)]
        let target = {
            use std::os::fd::AsFd;
            Target::file(File::from(io::stdout().as_fd().try_clone_to_owned()?), Codec::Plain)?
        };
        #[cfg(not(unix))]
        let target = Target::new(Box::new(io::stdout()), None, Codec::Plain);
        Ok(Output { target: Some(target), dir: None })
    }

    /// Any writer. It is flushed after each piece, and dropped on the thread that writes.
    pub fn writer(write: impl Write + Send + 'static) -> Self {
        Output { target: Some(Target::new(Box::new(write), None, Codec::Plain)), dir: None }
    }

    /// Nowhere: rows are counted and not rendered.
    pub fn discard() -> Self {
        Output { target: None, dir: None }
    }

    /// Whether rows go nowhere.
    pub fn is_discard(&self) -> bool {
        self.target.is_none()
    }

    /// The directory the output lies in, where it is a file.
    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    pub(super) fn into_target(self) -> Option<Target> {
        self.target
    }

    #[cfg(test)]
    pub(super) fn from_target(target: Target) -> Self {
        Output { target: Some(target), dir: None }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("discard", &self.is_discard()).field("dir", &self.dir).finish()
    }
}

/// What is written to, and the same file once more where it can be cut back. Dropped without rows, it writes an empty
/// member where it packs: no tool takes an empty file for one of its format.
pub(super) struct Target {
    write: Box<dyn Write + Send>,
    file: Option<File>,
    codec: Codec,
    packed: Vec<u8>,
    has_rows: bool,
}

impl Target {
    pub(super) fn new(write: Box<dyn Write + Send>, file: Option<File>, codec: Codec) -> Self {
        Target { write, file, codec, packed: Vec::new(), has_rows: false }
    }

    fn file(file: File, codec: Codec) -> io::Result<Self> {
        let same = file.try_clone()?;
        Ok(Target::new(Box::new(file), Some(same), codec))
    }

    /// Writes whole rows, packed as one member where they are packed. Gives how many bytes of what is whole came to
    /// be in the output, also beside an error.
    pub(super) fn write_rows(&mut self, rows: &[u8]) -> (usize, io::Result<()>) {
        if self.codec == Codec::Plain || rows.is_empty() {
            return self.write_whole(rows);
        }
        self.has_rows = true;
        let mut packed = std::mem::take(&mut self.packed);
        packed.clear();
        let done = match self.codec.encode(rows, &mut packed) {
            Ok(()) => self.write_whole(&packed),
            Err(error) => (0, Err(error)),
        };
        packed.shrink_to(KEPT);
        self.packed = packed;
        done
    }

    fn write_whole(&mut self, bytes: &[u8]) -> (usize, io::Result<()>) {
        let mut written = 0;
        let result = loop {
            if written == bytes.len() {
                break self.write.flush();
            }
            match self.write.write(&bytes[written..]) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Standard output may share a descriptor that another program made non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(RETRY),
                Err(error) => break Err(error),
            }
        };
        if result.is_ok() {
            return (written, result);
        }
        let whole = match self.codec {
            _ if written == bytes.len() => written,
            Codec::Plain => bytes[..written].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1),
            Codec::Gzip | Codec::Zstd => 0,
        };
        // The first error tells why; that what is torn then stays is told by nothing better.
        let _ = self.cut((written - whole) as u64);
        (whole, result)
    }

    /// Takes the last bytes off a regular file, unless someone else has written behind them.
    fn cut(&mut self, torn: u64) -> io::Result<()> {
        let Some(file) = self.file.as_mut().filter(|_| torn > 0) else {
            return Ok(());
        };
        let there = file.metadata()?;
        let end = file.stream_position()?;
        if there.is_file() && there.len() == end && end >= torn {
            file.set_len(end - torn)?;
            file.seek(SeekFrom::Start(end - torn))?;
        }
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let mut packed = Vec::new();
        if self.codec != Codec::Plain && !self.has_rows && self.codec.encode(&[], &mut packed).is_ok() {
            // There is nobody left to tell, and no row is lost.
            let _ = self.write_whole(&packed);
        }
    }
}

/// A buffer that one large batch blew up to more than this is not kept.
const KEPT: usize = 1 << 20;
const RETRY: Duration = Duration::from_millis(5);
