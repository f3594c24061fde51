//! What was learnt about hosts, kept from one run to the next: a small JSON file in the user's cache folder, or where
//! `--learned` says. Without it a run finds out by itself; a file that cannot be read is told and replaced.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gannet::bulk::{Control, Learnt};
use serde::{Deserialize, Serialize};

use crate::exit::usage;
use crate::tell;

/// What is known of hosts, and where it is kept.
pub(crate) struct Learned {
    /// None where nothing is kept.
    path: Option<PathBuf>,
    hosts: BTreeMap<String, Known>,
}

#[derive(Default, Serialize, Deserialize)]
struct File {
    version: u32,
    hosts: BTreeMap<String, Known>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Known {
    #[serde(flatten)]
    learnt: Learnt,
    /// When it was last seen to hold, in seconds since 1970.
    seen: u64,
}

impl Learned {
    /// Reads the file that `--learned` names, or the one in the cache folder. `none` keeps nothing.
    ///
    /// # Errors
    /// Usage: the file that is named is there and no such file, so that it is not replaced.
    pub(crate) fn open(asked: Option<&Path>) -> anyhow::Result<Learned> {
        let path = match asked {
            Some(path) if path == Path::new("none") => None,
            Some(path) => Some(path.to_owned()),
            None => cache_folder().map(|folder| folder.join("gannet").join("learned.json")),
        };
        let hosts = match path.as_deref().map(|path| (path, read(path))) {
            None => BTreeMap::new(),
            Some((_, Ok(hosts))) => hosts,
            Some((path, Err(error))) if asked.is_some() => {
                let shown = path.display();
                return Err(usage(format!(
                    "--learned {shown}: it is not what an earlier run has written ({error}); name another file"
                )));
            }
            Some((path, Err(error))) => {
                tell(&format!("warning: {}: {error}; what hosts allow is found out anew", path.display()));
                BTreeMap::new()
            }
        };
        Ok(Learned { path, hosts })
    }

    /// What is known, for a run that begins.
    pub(crate) fn hosts(&self) -> Vec<(String, Learnt)> {
        let fresh = |known: &Known| now().saturating_sub(known.seen) < FORGOTTEN_AFTER.as_secs();
        self.hosts.iter().filter(|(_, known)| fresh(known)).map(|(host, known)| (host.clone(), known.learnt)).collect()
    }

    /// Whether what is learnt is written down for later runs.
    pub(crate) fn is_kept(&self) -> bool {
        self.path.is_some()
    }

    /// Writes down now and then what a run has learnt, until it is dropped.
    pub(crate) async fn keep(&self, control: &Control) -> std::convert::Infallible {
        if self.path.is_none() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(EVERY).await;
            self.save(control.learnt());
        }
    }

    /// Writes down what was learnt, beside what other runs have written meanwhile. Says so where it cannot.
    pub(crate) fn save(&self, learnt: Vec<(String, Learnt)>) {
        // What was only taught, and nothing new was seen of, gets no older and no newer by that.
        let is_news =
            |(host, learnt): &(String, Learnt)| self.hosts.get(host).is_none_or(|known| known.learnt != *learnt);
        let learnt: Vec<_> = learnt.into_iter().filter(is_news).collect();
        let Some(path) = self.path.as_deref().filter(|_| !learnt.is_empty()) else { return };
        if let Err(error) = write(path, learnt) {
            tell(&format!("warning: what was learnt about hosts is not kept: {}: {error}", path.display()));
        }
    }
}

fn read(path: &Path) -> io::Result<BTreeMap<String, Known>> {
    let text = match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        text => text?,
    };
    let file: File = serde_json::from_slice(&text)?;
    if file.version != VERSION {
        return Err(io::Error::other(format!("it is of version {}, not {VERSION}", file.version)));
    }
    Ok(file.hosts)
}

fn write(path: &Path, learnt: Vec<(String, Learnt)>) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let seen = now();
    // A file that cannot be read was told when it was opened.
    let mut hosts = read(path).unwrap_or_default();
    hosts.extend(learnt.into_iter().map(|(host, learnt)| (host, Known { learnt, seen })));
    if hosts.len() > MOST {
        let mut by_age: Vec<_> = hosts.into_iter().collect();
        by_age.sort_unstable_by_key(|(_, known)| std::cmp::Reverse(known.seen));
        by_age.truncate(MOST);
        hosts = by_age.into_iter().collect();
    }
    // Names of hosts are the user's own business: the file is made for its owner alone.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer(&mut file, &File { version: VERSION, hosts })?;
    file.flush()?;
    file.persist(path)?;
    Ok(())
}

fn cache_folder() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

const VERSION: u32 = 1;
/// How often it is written down while a run goes on.
const EVERY: Duration = Duration::from_secs(10);
/// What a host allowed longer ago than this is found out anew: a week.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);
/// Hosts that are kept.
const MOST: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Learned {
        Learned::open(Some(path)).unwrap()
    }

    fn learnt(rate: f64) -> Learnt {
        Learnt { rate: Some(rate), ..Learnt::default() }
    }

    #[test]
    fn what_one_run_learnt_the_next_one_knows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/learned.json");
        let first = open(&path);
        assert!(first.hosts().is_empty());
        first.save(Vec::new());
        assert!(!path.exists(), "nothing learnt, nothing written");
        first.save(vec![("a.test".to_owned(), learnt(5.0))]);
        open(&path).save(vec![("b.test".to_owned(), learnt(7.0))]);
        first.save(vec![("a.test".to_owned(), learnt(6.0))]);
        let before = std::fs::read(&path).unwrap();
        let taught = open(&path);
        taught.save(taught.hosts());
        assert_eq!(std::fs::read(&path).unwrap(), before, "nothing new was seen");
        let hosts = open(&path).hosts();
        assert_eq!(hosts, [("a.test".to_owned(), learnt(6.0)), ("b.test".to_owned(), learnt(7.0))]);
    }

    #[test]
    fn what_is_old_is_found_out_anew_and_what_is_none_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("learned.json");
        let known = Known { learnt: learnt(5.0), seen: now() - FORGOTTEN_AFTER.as_secs() };
        let file = File { version: VERSION, hosts: BTreeMap::from([("a.test".to_owned(), known)]) };
        std::fs::write(&path, serde_json::to_vec(&file).unwrap()).unwrap();
        assert!(open(&path).hosts().is_empty());
        std::fs::write(&path, "not ours").unwrap();
        assert!(Learned::open(Some(&path)).is_err(), "it is not replaced");
        assert_eq!(std::fs::read(&path).unwrap(), b"not ours");
        assert!(open(Path::new("none")).path.is_none());
    }
}
