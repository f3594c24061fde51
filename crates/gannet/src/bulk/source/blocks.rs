//! Reads inputs again, by position: files as they are, streams and what was decompressed from the copy kept of it. A
//! few blocks stay in memory (1 MiB for all inputs together), so that rows recalled in order cost no system call each.
//!
//! Line numbers are found again by counting within one block: for each block of 32 KiB the number of lines before
//! it is kept, 8 bytes, which is a hundredth of a byte for a row of 50 bytes.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use memchr::{memchr, memchr_iter};

use super::named;

const BLOCK: u64 = 32 << 10;
const KEPT: usize = 32;

/// What was read of the inputs, by the number of the input.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    stores: Vec<Store>,
    kept: Vec<Kept>,
    /// The block used last, in `kept`: most often the next one too.
    last: usize,
    clock: u64,
    /// A line that stands in more than one block.
    line: Vec<u8>,
}

#[derive(Debug)]
struct Store {
    name: String,
    backing: Backing,
    lines: LineCount,
}

#[derive(Debug)]
enum Backing {
    Nothing,
    File(Arc<File>),
    /// The copy of a stream, in an unlinked temporary file made when the first bytes come.
    Copy(Option<File>),
}

#[derive(Debug)]
struct Kept {
    input: usize,
    block: u64,
    bytes: Vec<u8>,
    used: u64,
    /// Where lines were counted up to, and how many stand before.
    counted: (usize, u64),
}

/// How many lines end before each block.
#[derive(Debug, Default)]
struct LineCount {
    before: Vec<u64>,
    length: u64,
    ends: u64,
}

impl Blocks {
    /// Adds an input with nothing to read again.
    pub(super) fn add_none(&mut self, name: String) {
        self.add(name, Backing::Nothing);
    }

    pub(super) fn add_file(&mut self, name: String, file: Arc<File>) {
        self.add(name, Backing::File(file));
    }

    /// Adds an input that is kept as it is read, in the directory for temporary files.
    pub(super) fn add_stream(&mut self, name: String) {
        self.add(name, Backing::Copy(None));
    }

    fn add(&mut self, name: String, backing: Backing) {
        self.stores.push(Store { name, backing, lines: LineCount::default() });
    }

    /// How the input is called in messages.
    pub(super) fn name(&self, input: usize) -> &str {
        &self.stores[input].name
    }

    /// These are the next bytes of the input.
    ///
    /// # Errors
    /// The copy of a stream cannot be written.
    pub(super) fn on_read(&mut self, input: usize, bytes: &[u8]) -> io::Result<()> {
        let store = &mut self.stores[input];
        store.lines.on_read(bytes);
        let Backing::Copy(copy) = &mut store.backing else { return Ok(()) };
        let name = || format!("the copy of {} in {}", store.name, std::env::temp_dir().display());
        let file = match copy {
            Some(file) => file,
            None => copy.insert(tempfile::tempfile().map_err(|error| named(&name(), &error))?),
        };
        file.write_all(bytes).map_err(|error| named(&name(), &error))
    }

    /// The line that begins at `place`, without its LF; `None` where it is longer than `max`.
    ///
    /// # Errors
    /// The input cannot be read there any more.
    pub(super) fn line(&mut self, input: usize, place: u64, max: usize) -> io::Result<Option<&[u8]>> {
        let (slot, from) = self.slot_of(input, place)?;
        if from == self.kept[slot].bytes.len() {
            return Err(self.gone(input));
        }
        if let Some(length) = memchr(b'\n', &self.kept[slot].bytes[from..]) {
            return Ok((length <= max).then(|| &self.kept[slot].bytes[from..from + length]));
        }
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        let is_whole = self.gather(input, place, max, &mut line);
        self.line = line;
        Ok(is_whole?.then_some(&self.line))
    }

    /// The number of the line, from 1, in which `place` stands.
    ///
    /// # Errors
    /// The input cannot be read there any more.
    pub(super) fn line_number(&mut self, input: usize, place: u64) -> io::Result<u64> {
        let (slot, upto) = self.slot_of(input, place)?;
        let block = (place / BLOCK) as usize;
        let kept = &mut self.kept[slot];
        let (from, ends) = match kept.counted {
            (from, ends) if from > 0 && from <= upto => (from, ends),
            _ => (0, self.stores[input].lines.before.get(block).copied().unwrap_or(0)),
        };
        let ends = ends + memchr_iter(b'\n', &kept.bytes[from..upto]).count() as u64;
        kept.counted = (upto, ends);
        Ok(ends + 1)
    }

    /// What there is from `place` to the end of its block; empty at the end of the input.
    pub(super) fn at(&mut self, input: usize, place: u64) -> io::Result<&[u8]> {
        let (slot, from) = self.slot_of(input, place)?;
        Ok(&self.kept[slot].bytes[from..])
    }

    /// The input is shorter than it was.
    pub(super) fn gone(&self, input: usize) -> io::Error {
        let message = format!("{}: shorter than when it was first read", self.name(input));
        io::Error::new(io::ErrorKind::UnexpectedEof, message)
    }

    fn gather(&mut self, input: usize, mut place: u64, max: usize, line: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            let bytes = self.at(input, place)?;
            let end = memchr(b'\n', bytes);
            let taken = &bytes[..end.unwrap_or(bytes.len())];
            if line.len() + taken.len() > max {
                return Ok(false);
            }
            line.extend_from_slice(taken);
            if end.is_some() || taken.is_empty() {
                return Ok(true);
            }
            place += taken.len() as u64;
        }
    }

    /// The kept block that holds `place`, and where in it; read now if it is not there.
    fn slot_of(&mut self, input: usize, place: u64) -> io::Result<(usize, usize)> {
        let (block, within) = (place / BLOCK, (place % BLOCK) as usize);
        let is_it = |kept: &Kept| kept.input == input && kept.block == block;
        let found = match self.kept.get(self.last) {
            Some(kept) if is_it(kept) => Some(self.last),
            _ => self.kept.iter().position(is_it),
        };
        let slot = match found {
            // A block read when its input was shorter is read again where more is asked for.
            Some(slot) if within < self.kept[slot].bytes.len() => slot,
            Some(slot) => self.load(slot, input, block)?,
            None => {
                let slot = self.free_slot();
                self.load(slot, input, block)?
            }
        };
        self.clock += 1;
        self.kept[slot].used = self.clock;
        self.last = slot;
        Ok((slot, within.min(self.kept[slot].bytes.len())))
    }

    fn free_slot(&mut self) -> usize {
        if self.kept.len() < KEPT {
            self.kept.push(Kept { input: 0, block: 0, bytes: Vec::new(), used: 0, counted: (0, 0) });
            return self.kept.len() - 1;
        }
        let oldest = self.kept.iter().enumerate().min_by_key(|(_, kept)| kept.used);
        oldest.map_or(0, |(slot, _)| slot)
    }

    fn load(&mut self, slot: usize, input: usize, block: u64) -> io::Result<usize> {
        let store = &self.stores[input];
        let kept = &mut self.kept[slot];
        *kept = Kept { input, block, bytes: std::mem::take(&mut kept.bytes), used: 0, counted: (0, 0) };
        kept.bytes.clear();
        let file = match &store.backing {
            Backing::File(file) => file,
            Backing::Copy(Some(file)) => file,
            Backing::Copy(None) | Backing::Nothing => return Ok(slot),
        };
        read_at(file, block * BLOCK, BLOCK as usize, &mut kept.bytes).map_err(|error| named(&store.name, &error))?;
        Ok(slot)
    }
}

impl LineCount {
    fn on_read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.length.is_multiple_of(BLOCK) {
                self.before.push(self.ends);
            }
            let room = (BLOCK - self.length % BLOCK) as usize;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.ends += memchr_iter(b'\n', now).count() as u64;
            self.length += now.len() as u64;
            bytes = later;
        }
    }
}

/// Appends up to `most` bytes from `place` on; fewer only at the end of the file.
pub(in crate::bulk) fn read_at(file: &File, place: u64, most: usize, into: &mut Vec<u8>) -> io::Result<()> {
    let before = into.len();
    into.resize(before + most, 0);
    let mut filled = before;
    let result = loop {
        match file.read_at(&mut into[filled..], place + (filled - before) as u64) {
            Ok(0) => break Ok(()),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
        if filled == into.len() {
            break Ok(());
        }
    };
    into.truncate(filled);
    result
}
