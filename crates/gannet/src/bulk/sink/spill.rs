//! Rows on disk that wait for their turn: appended to unlinked temporary files of bounded size. A file whose last row
//! was read back gives its space back: the newest is emptied and filled again, older ones are closed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use gannet_core::reorder::SpillAt;

/// Where rows are spilled to. Nothing is opened before the first; dropping it gives all space back.
#[derive(Debug)]
pub(super) struct Spill {
    dir: PathBuf,
    files: BTreeMap<u64, SpillFile>,
    /// The number of the file that is being filled.
    newest: u64,
    file_size: u64,
}

#[derive(Debug)]
struct SpillFile {
    file: File,
    len: u64,
    /// Where the file's own position is, so that rows in a sequence need no seek.
    at: u64,
    /// Rows that were not read back yet.
    live: u64,
}

impl Spill {
    pub(super) fn new(dir: PathBuf, file_size: u64) -> Self {
        Spill { dir, files: BTreeMap::new(), newest: 0, file_size }
    }

    /// Writes a row.
    pub(super) fn write(&mut self, row: &[u8]) -> io::Result<SpillAt> {
        let len = u32::try_from(row.len()).map_err(|_| {
            io::Error::new(io::ErrorKind::FileTooLarge, "a row that must wait for its turn is over 4 GiB")
        })?;
        if self.files.get(&self.newest).is_some_and(|spill| spill.len >= self.file_size) {
            self.newest += 1;
        }
        let spill = match self.files.entry(self.newest) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(gap) => {
                let file = tempfile::tempfile_in(&self.dir).map_err(|error| named(&self.dir, &error))?;
                gap.insert(SpillFile { file, len: 0, at: 0, live: 0 })
            }
        };
        let offset = spill.len;
        spill.write(row).map_err(|error| named(&self.dir, &error))?;
        Ok(SpillAt { offset: (self.newest << FILE_SHIFT) | offset, len })
    }

    /// Appends a row to `row`, and forgets it.
    pub(super) fn read(&mut self, at: SpillAt, row: &mut Vec<u8>) -> io::Result<()> {
        let number = at.offset >> FILE_SHIFT;
        let offset = at.offset & ((1 << FILE_SHIFT) - 1);
        let spill = self.files.get_mut(&number).expect("invariant: a file with live rows is kept");
        spill.read(offset, at.len as usize, row).map_err(|error| named(&self.dir, &error))?;
        let Some(spill) = self.files.get_mut(&number).filter(|spill| spill.live == 0) else {
            return Ok(());
        };
        if number == self.newest {
            spill.empty().map_err(|error| named(&self.dir, &error))?;
        } else {
            self.files.remove(&number);
        }
        Ok(())
    }

    /// Bytes on disk.
    #[cfg(test)]
    pub(super) fn size(&self) -> u64 {
        self.files.values().map(|spill| spill.file.metadata().unwrap().len()).sum()
    }
}

impl SpillFile {
    fn write(&mut self, row: &[u8]) -> io::Result<()> {
        self.seek(self.len)?;
        self.file.write_all(row)?;
        self.len += row.len() as u64;
        self.at = self.len;
        self.live += 1;
        Ok(())
    }

    fn read(&mut self, offset: u64, len: usize, row: &mut Vec<u8>) -> io::Result<()> {
        self.seek(offset)?;
        let start = row.len();
        row.resize(start + len, 0);
        self.file.read_exact(&mut row[start..])?;
        self.at = offset + len as u64;
        self.live -= 1;
        Ok(())
    }

    fn empty(&mut self) -> io::Result<()> {
        self.len = 0;
        self.file.set_len(0)
    }

    fn seek(&mut self, to: u64) -> io::Result<()> {
        if self.at != to {
            self.file.seek(SeekFrom::Start(to))?;
            self.at = to;
        }
        Ok(())
    }
}

fn named(dir: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("rows waiting for their turn, in {}: {error}", dir.display()))
}

/// A place is the file's number above these bits and an offset within it below: files are cut at `file_size`, far
/// smaller, and a row is under 4 GiB.
const FILE_SHIFT: u32 = 40;
