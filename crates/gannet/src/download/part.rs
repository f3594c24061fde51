//! The file that a download grows in, and the note beside it that says of which version it is. One download at a time
//! has it: it is locked. The note is written before the first byte that it speaks of and after the last of another
//! version is gone, so that no kill leaves a part with a wrong note.
//!
//! Where the name is the server's choice, so would be those of part and note, and what is there of the same name may be
//! anybody's: such a part has a name of its own and no note, and goes with its download.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use gannet_core::resume::{Partial, Validator};
use gannet_core::{ErrorKind, Phase};
use serde::{Deserialize, Serialize};
use tempfile::TempPath;

use super::DownloadOptions;
use crate::error::{Error, Result, is_exhaustion};

/// The largest note that is read.
const MAX_NOTE: u64 = 64 << 10;

pub(super) struct Part {
    path: PathBuf,
    part: PathBuf,
    /// None where no later download goes on with the part.
    note: Option<PathBuf>,
    /// Takes the part away where it is dropped.
    passing: Option<TempPath>,
    /// Nothing is to be taken away: what came of it is decided, or what is there is none of ours yet.
    is_settled: bool,
    file: File,
    overwrite: bool,
    sync: bool,
    /// What the download is of.
    key: String,
    pub(super) length: u64,
    /// How long the whole will be, where that is known.
    pub(super) total: Option<u64>,
    /// Of which version the bytes are; without one they are of no use to a later download.
    validator: Option<Validator>,
}

/// What stands in the note. The URL is a digest: it may hold secrets.
#[derive(Serialize, Deserialize)]
struct Note {
    url: String,
    validator: Validator,
    total: Option<u64>,
}

impl Part {
    /// Opens or makes the part of this path, for a download of what `key` says.
    ///
    /// # Errors
    /// Kind `request`: the path is taken, the part cannot be written, or another download is at it.
    pub(super) fn open(path: &Path, options: &DownloadOptions, key: String) -> Result<Self> {
        check_target(path, options.overwrite)?;
        let path = &resolved(path, options.overwrite).map_err(|error| failed("cannot read", path, error))?;
        let (part, note) = (with_suffix(path, ".part"), with_suffix(path, ".part.json"));
        if fs::symlink_metadata(&part).is_ok_and(|meta| !meta.is_file()) {
            return Err(Error::request(format!("{} is no file", part.display())));
        }
        let file = open_file(&part, options.mode).map_err(|error| unopened(&part, error))?;
        let busy = || Error::request(format!("another download writes to {}", part.display()));
        match file.try_lock() {
            Ok(()) if is_still(&file, &part) => {}
            Ok(()) | Err(TryLockError::WouldBlock) => return Err(busy()),
            // File systems without locks have no other download to fear than those of the same user's making.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(failed("cannot lock", &part, error)),
        }
        let mut part = Part {
            path: path.to_owned(),
            part,
            note: Some(note),
            passing: None,
            is_settled: false,
            file,
            overwrite: options.overwrite,
            sync: options.sync,
            key,
            length: 0,
            total: None,
            validator: None,
        };
        let had = part.recall(options.resume)?;
        // What another download left stays until a body takes its place.
        part.is_settled = had > 0 && part.partial().is_none();
        Ok(part)
    }

    /// A part beside this path that is none of another's, whatever is there; it never replaces what has the path.
    ///
    /// # Errors
    /// Kind `request`: the path is taken, or the folder cannot be written to.
    pub(super) fn open_apart(path: &Path, options: &DownloadOptions) -> Result<Self> {
        check_target(path, false)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let prefix = with_suffix(Path::new(path.file_name().unwrap_or_default()), ".");
        let mut naming = tempfile::Builder::new();
        naming.prefix(prefix.as_os_str()).suffix(".part");
        #[cfg(unix)]
        naming.permissions(std::os::unix::fs::PermissionsExt::from_mode(options.mode.unwrap_or(0o666)));
        let made = naming.tempfile_in(folder).map_err(|error| unopened(path, error))?;
        let (file, passing) = made.into_parts();
        Ok(Part {
            path: path.to_owned(),
            part: passing.to_path_buf(),
            note: None,
            passing: Some(passing),
            is_settled: false,
            file,
            overwrite: false,
            sync: options.sync,
            key: String::new(),
            length: 0,
            total: None,
            validator: None,
        })
    }

    /// What is there to go on with.
    pub(super) fn partial(&self) -> Option<Partial> {
        let validator = self.validator.clone().filter(|_| self.length > 0)?;
        Some(Partial { length: self.length, validator, total: self.total })
    }

    /// Forgets what is there.
    pub(super) fn forget(&mut self) {
        (self.validator, self.length) = (None, 0);
        // It was good for something, and may be again.
        self.is_settled = true;
    }

    /// Empties it, for a body of this version and length.
    pub(super) fn restart(&mut self, validator: Option<Validator>, total: Option<u64>) -> Result<()> {
        let emptied = self.empty(validator.as_ref(), total);
        emptied.map_err(|error| failed("cannot write", &self.part, error))?;
        (self.length, self.validator, self.total) = (0, validator, total);
        self.is_settled = false;
        Ok(())
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| failed("cannot write", &self.part, error))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// It is whole: it gets its name. Waits for the disk if that was wanted.
    pub(super) fn finish(mut self) -> Result<PathBuf> {
        // Whatever goes wrong from here on, the bytes are all there and stay.
        self.is_settled = true;
        let synced = if self.sync { self.file.sync_all() } else { Ok(()) };
        synced.and_then(|()| self.take_mode()).map_err(|error| failed("cannot write", &self.part, error))?;
        if self.overwrite {
            fs::rename(&self.part, &self.path).map_err(|error| failed("cannot replace", &self.path, error))?;
        } else if let Some(passing) = self.passing.take() {
            passing.persist_noclobber(&self.path).map_err(|refused| unplaced(&self.path, refused.error))?;
        } else {
            rename_to_free(&self.part, &self.path)?;
        }
        if let Some(note) = &self.note {
            // Without its part it says nothing.
            let _ = fs::remove_file(note);
        }
        if self.sync {
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let synced = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
            synced.map_err(|error| failed("cannot sync the folder of", &self.path, error))?;
        }
        Ok(self.path.clone())
    }

    /// Takes up what an earlier download left, if it is of the same URL; how long what is there is.
    fn recall(&mut self, resume: bool) -> Result<u64> {
        let length = self.file.metadata().map_err(|error| failed("cannot read", &self.part, error))?.len();
        let note = if resume && length > 0 { self.read_note() } else { None };
        let Some(note) = note.filter(|note| note.url == self.key && note.total.is_none_or(|total| length <= total))
        else {
            return Ok(length);
        };
        self.file.seek(SeekFrom::End(0)).map_err(|error| failed("cannot read", &self.part, error))?;
        (self.length, self.validator, self.total) = (length, Some(note.validator), note.total);
        Ok(length)
    }

    fn read_note(&self) -> Option<Note> {
        let mut text = String::new();
        File::open(self.note.as_ref()?).ok()?.take(MAX_NOTE).read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    fn empty(&mut self, validator: Option<&Validator>, total: Option<u64>) -> io::Result<()> {
        let had = self.file.metadata()?.len() > 0;
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        let Some(note) = &self.note else { return Ok(()) };
        let Some(validator) = validator else {
            return match fs::remove_file(note) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        };
        if had {
            // Also after a power cut the old bytes must not stand beside the new note.
            self.file.sync_all()?;
        }
        let says = Note { url: self.key.clone(), validator: validator.clone(), total };
        fs::write(note, serde_json::to_vec(&says)?)
    }

    /// A file that is replaced hands on its permissions.
    fn take_mode(&self) -> io::Result<()> {
        match fs::metadata(&self.path) {
            Ok(old) if self.overwrite => self.file.set_permissions(old.permissions()),
            _ => Ok(()),
        }
    }
}

/// It broke off. What nothing can be made of later goes.
impl Drop for Part {
    fn drop(&mut self) {
        if let Some(note) = self.note.as_ref().filter(|_| !self.is_settled && self.partial().is_none()) {
            let _ = fs::remove_file(&self.part);
            let _ = fs::remove_file(note);
        }
    }
}

/// Refused before anything is sent: what is there and is to stay, and what is no file at all.
fn check_target(path: &Path, overwrite: bool) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(_) if !overwrite => Err(taken(path)),
        Ok(meta) if meta.is_file() || fs::metadata(path).is_ok_and(|meta| meta.is_file()) => Ok(()),
        Ok(_) => Err(Error::request(format!("{} is no file that could be replaced", path.display()))),
        Err(_) if path.file_name().is_none() => Err(Error::request(format!("{:?} names no file", path.display()))),
        Err(_) => Ok(()),
    }
}

/// A link that is written through: the file it leads to is replaced, and the link stays.
fn resolved(path: &Path, overwrite: bool) -> io::Result<PathBuf> {
    let is_link = overwrite && fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink());
    if is_link { fs::canonicalize(path) } else { Ok(path.to_owned()) }
}

/// Renames where nothing of that name is, in one step: what came to be there meanwhile is kept.
fn rename_to_free(part: &Path, path: &Path) -> Result<()> {
    let held = tempfile::TempPath::try_from_path(part).map_err(|error| failed("cannot rename", part, error))?;
    held.persist_noclobber(path).map_err(|refused| {
        // The part stays, whatever becomes of it.
        let _ = refused.path.keep();
        unplaced(path, refused.error)
    })
}

fn unplaced(path: &Path, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::AlreadyExists { taken(path) } else { failed("cannot write", path, error) }
}

fn open_file(part: &Path, mode: Option<u32>) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    if let Some(mode) = mode {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    }
    options.open(part)
}

/// Whether the file that was opened is still the one of that name: another download may have finished it meanwhile.
#[cfg(unix)]
fn is_still(file: &File, part: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::symlink_metadata(part)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_still(_file: &File, _part: &Path) -> bool {
    true
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn unopened(path: &Path, error: io::Error) -> Error {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    match folder {
        Some(folder) => Error::request(format!("there is no folder {}", folder.display())),
        None => failed("cannot open", path, error),
    }
}

fn taken(path: &Path) -> Error {
    Error::request(format!("{} is there already and is kept", path.display()))
}

fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    let kind = if is_exhaustion(&error) { ErrorKind::Resources } else { ErrorKind::Request };
    Error::new(kind, Phase::Body, format!("{what} {}: {error}", path.display())).with_source(error)
}
