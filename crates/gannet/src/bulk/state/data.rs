//! The file the rows go to: appended to in whole rows, packed by its codec, synced before the state learns of it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::bulk::sink::Codec;

/// An output that a state belongs to.
#[derive(Debug)]
pub(super) struct DataFile {
    file: File,
    path: PathBuf,
    codec: Codec,
    /// How long it is, in whole rows; what is appended stands here.
    end: u64,
    packed: Vec<u8>,
}

impl DataFile {
    /// Opens it, or makes it.
    pub(super) fn open(path: &Path, codec: Codec) -> io::Result<Self> {
        DataFile::open_as(path, codec, 0o666)
    }

    /// Opens it, or makes it for its owner alone: a file beside the output, whose mode says who may read rows.
    pub(super) fn open_private(path: &Path, codec: Codec) -> io::Result<Self> {
        DataFile::open_as(path, codec, 0o600)
    }

    fn open_as(path: &Path, codec: Codec, mode: u32) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(mode).open(path)?;
        Ok(DataFile { file, path: path.to_owned(), codec, end: 0, packed: Vec::new() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn codec(&self) -> Codec {
        self.codec
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// The same file once more, to be read.
    pub(super) fn reader(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// It ends here: what follows is cut off.
    pub(super) fn end_at(&mut self, end: u64) -> io::Result<()> {
        if self.len()? != end {
            self.file.set_len(end)?;
        }
        self.end = end;
        Ok(())
    }

    /// Appends whole rows; as one member, where they are packed. After an error the whole rows that were written
    /// stay, and no torn one.
    pub(super) fn append(&mut self, rows: &[u8]) -> io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        self.packed.clear();
        let bytes = match self.codec {
            Codec::Plain => rows,
            Codec::Gzip | Codec::Zstd => {
                self.codec.encode(rows, &mut self.packed)?;
                &self.packed
            }
        };
        let (written, result) = write_at(&self.file, bytes, self.end);
        let whole = match (&result, self.codec) {
            (Ok(()), _) => written,
            (Err(_), Codec::Plain) => bytes[..written].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1),
            (Err(_), _) => 0,
        };
        self.end += whole as u64;
        if written > whole {
            // The first error tells why. A torn row that stays is cut off by the next run.
            let _ = self.file.set_len(self.end);
        }
        result
    }

    /// A packed output without rows gets an empty member: tools refuse an empty file. Whether it did.
    pub(super) fn end_empty(&mut self) -> io::Result<bool> {
        let is_empty = self.end == 0 && self.codec != Codec::Plain;
        if is_empty {
            let mut member = Vec::new();
            self.codec.encode(&[], &mut member)?;
            write_at(&self.file, &member, 0).1?;
            self.end = member.len() as u64;
        }
        Ok(is_empty)
    }

    /// What was appended survives a loss of power.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Writes all of it; gives how much was written, also beside an error.
fn write_at(file: &File, bytes: &[u8], at: u64) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match file.write_at(&bytes[written..], at + written as u64) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

/// New names in the directory survive a loss of power.
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir)?.sync_all()
}
