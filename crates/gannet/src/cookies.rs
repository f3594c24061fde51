//! The session's jar and files: read whole, written whole or not at all, and for nobody's eyes but the owner's. What
//! stands in a file, and what of it is believed, is [`gannet_core::cookie`]'s to say.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use gannet_core::cookie::{Format, MAX_FILE};
use gannet_core::headers::Headers;

use crate::error::{Error, Result};
use crate::session::Session;

/// Its owner may read and write it.
const OWNERS: u32 = 0o600;

impl Session {
    /// Takes in the cookies of a file, our own or cookies.txt: which it is shows in it. Beside those of the jar, in
    /// place of those of the same name, domain and path; how many. Blocks for as long as the file takes to read.
    ///
    /// What has expired, and what no server could have set, is left out.
    ///
    /// # Errors
    /// Kind `request`, naming file, line and remedy: it cannot be read, is larger than 16 MiB, or holds what is no
    /// cookie. The jar is then unchanged.
    pub fn load_cookies(&self, path: impl AsRef<Path>) -> Result<usize> {
        let path = path.as_ref();
        let bad = |why: &dyn std::fmt::Display| Error::request(format!("cookie file {}: {why}", path.display()));
        let text = read_bounded(path).map_err(|error| bad(&error))?;
        self.cookies().read(&text, SystemTime::now()).map_err(|error| bad(&error))
    }

    /// Writes the jar to a file, cookies without an end included. Whoever has the file has the cookies: only its owner
    /// may read it. One that is there is replaced in one step, by a file that is not open to more; a symbolic link
    /// stays, what it leads to is replaced. A device or pipe is written to. Blocks until it is on disk.
    ///
    /// # Errors
    /// Kind `request`, or `resources` for want of space or descriptors; what was there then stays as it was.
    pub fn save_cookies(&self, path: impl AsRef<Path>, format: Format) -> Result<()> {
        let path = path.as_ref();
        let text = self.cookies().write(format);
        write_private(path, text.as_bytes()).map_err(|error| {
            use gannet_core::{ErrorKind, Phase};
            Error::io(ErrorKind::Request, Phase::Prepare, "cookies cannot be saved", error)
                .with_message(format!("cookies cannot be saved to {}", path.display()))
        })
    }
}

/// The Cookie field of the caller and the jar's, joined: what the caller names is not sent twice.
pub(crate) fn joined(own: &Headers, jar: &str) -> String {
    let own: Vec<&str> = own.get_all("cookie").filter_map(|value| std::str::from_utf8(value).ok()).collect();
    let mut all = own.join("; ");
    let name = |pair: &str| pair.split_once('=').map(|(name, _)| name.trim().to_owned());
    let named: Vec<_> = all.split(';').filter(|pair| !pair.trim().is_empty()).map(name).collect();
    for pair in jar.split("; ") {
        if !named.contains(&name(pair)) {
            if !all.is_empty() {
                all.push_str("; ");
            }
            all.push_str(pair);
        }
    }
    all
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::other("it is larger than 16 MiB, and so no file of cookies"));
    }
    Ok(text)
}

/// Beside its place first, then into it: at no moment is there half a file, or one for more eyes than before.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mode = match fs::metadata(&path) {
        Ok(there) if !there.is_file() => return File::options().write(true).open(&path)?.write_all(bytes),
        Ok(there) => there.permissions().mode() & OWNERS,
        Err(_) => OWNERS,
    };
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .map_or_else(|| PathBuf::from("."), Path::to_owned);
    // Made with mode 0600.
    let mut file = tempfile::Builder::new().prefix(".gannet-cookies-").tempfile_in(&folder)?;
    file.write_all(bytes)?;
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    // The name too; where a folder cannot be synced, the file itself is whole all the same.
    let _ = File::open(&folder).and_then(|folder| folder.sync_all());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_caller_names_is_not_sent_twice() {
        for (own, jar, expected) in [
            (&["a=1"][..], "b=2", "a=1; b=2"),
            (&["a=1; b=own", "c=3"], "b=2; d=4", "a=1; b=own; c=3; d=4"),
            (&["bare"], "other; a=1", "bare; a=1"),
            (&[""], "a=1", "a=1"),
            (&[], "bare; a=1", "bare; a=1"),
        ] {
            let mut headers = Headers::new();
            for value in own {
                headers.append("Cookie", value).unwrap();
            }
            assert_eq!(joined(&headers, jar), expected, "{own:?} {jar}");
        }
    }
}
