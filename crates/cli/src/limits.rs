//! What the machine allows: open files. Every connection is one, and the usual soft limit of 1024 is below what a
//! run may want.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files a run needs beside its connections: input, output, the runtime's own, lookups by the system's resolver.
const BESIDE: u64 = 64;

/// Sockets of a lookup whose server is silent: the question is sent three times for each family, and every sending
/// keeps its own open, so that an answer to an earlier one still counts.
const SOCKETS_PER_LOOKUP: u64 = 2 * 3;

/// Raises the soft limit on open files to the hard one, and says how many may be open; `None` is no limit.
pub(crate) fn raise_open_files() -> Option<u64> {
    let now = getrlimit(Resource::Nofile);
    if now.current == now.maximum {
        return now.current;
    }
    // Refused on systems whose real limit is below the hard one; then it stays as it was.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: now.maximum, maximum: now.maximum });
    if raised.is_ok() { now.maximum } else { now.current }
}

/// How many connections may be open at once, and what to tell the user if that is less than the concurrency asks for.
/// `lookups` is how many there are at once by sockets of our own.
pub(crate) fn connections(open_files: Option<u64>, lookups: usize, concurrency: usize) -> (usize, Option<String>) {
    // Room for idle connections of hosts that are done, so that busy ones need not be closed for new hosts.
    let wanted = 512.max(concurrency.saturating_add(64));
    // Where files are few, a lookup that gets none waits as a connection would.
    let sockets = |files: u64| (SOCKETS_PER_LOOKUP * lookups as u64).min(files / 4);
    let left = |files: u64| usize::try_from(files.saturating_sub(BESIDE + sockets(files))).unwrap_or(usize::MAX);
    let allowed = open_files.map_or(usize::MAX, left);
    let allowed = allowed.max(1);
    let warning = (allowed < concurrency).then(|| {
        format!(
            "warning: {} files may be open at once here, so that {allowed} requests run at once and not \
             --concurrency {concurrency}; `ulimit -Hn` shows the limit to raise",
            open_files.unwrap_or_default()
        )
    });
    (wanted.min(allowed), warning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_bounded_by_the_open_files_and_the_user_is_told_only_when_it_matters() {
        assert_eq!(connections(None, 256, 256), (512, None));
        assert_eq!(connections(Some(20_000), 256, 5000), (5064, None));
        assert_eq!(connections(Some(400), 0, 256), (336, None));
        assert_eq!((connections(Some(1024), 128, 256), connections(Some(1024), 500, 256)), ((512, None), (512, None)));
        assert_eq!((connections(Some(800), 20, 900).0, connections(Some(800), 500, 900).0), (616, 536));
        let (max, warning) = connections(Some(256), 0, 1000);
        assert_eq!(max, 192);
        assert!(warning.unwrap().contains("192 requests run at once and not --concurrency 1000"));
        assert_eq!(connections(Some(3), 0, 1000).0, 1);
    }
}
