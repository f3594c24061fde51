//! The work every compared client does: N connections, one task each, requests one after another on it.
//!
//! A client's binary gives only what differs: how a task makes its requests. Arguments, the runtime
//! (one thread, since a client is given one core), the count of what succeeded and the report are here.
//! A response counts only with status 200 and the whole body, so a client cannot look fast by failing.

use std::fmt::Display;
use std::future::Future;
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;

/// The size of the body the benchmark's nginx serves, in bytes.
pub const BODY_LEN: usize = 210;

/// What `URL CONNECTIONS REQUESTS` on the command line said.
#[derive(Debug, Clone)]
pub struct Args {
    /// The one URL all requests go to; `http`, with a port.
    pub url: String,
    /// How many tasks, and so connections, work at once.
    pub connections: usize,
    /// How many requests in all, shared evenly between the tasks.
    pub requests: usize,
}

impl Args {
    fn from_command_line() -> Option<Self> {
        let mut words = std::env::args().skip(1);
        let args = Self {
            url: words.next()?,
            connections: words.next()?.parse().ok().filter(|&n| n > 0)?,
            requests: words.next()?.parse().ok()?,
        };
        words.next().is_none().then_some(args)
    }

    /// `host:port` of the URL, as the Host header wants it. Panics on a URL that is not `http://`.
    pub fn authority(&self) -> &str {
        let rest = self.url.strip_prefix("http://").expect("the URL must begin with http://");
        rest.split('/').next().expect("invariant: split yields at least one piece")
    }

    /// The path part of the URL, `/` when there is none.
    pub fn path(&self) -> &str {
        let after = "http://".len() + self.authority().len();
        Some(&self.url[after..]).filter(|path| !path.is_empty()).unwrap_or("/")
    }

    /// The server's address. Panics when the authority has no port or does not resolve.
    pub fn address(&self) -> SocketAddr {
        let mut found =
            self.authority().to_socket_addrs().expect("the URL needs a host and a port");
        found.next().expect("the URL's host has no address")
    }

    /// How many requests task `index` makes: an even share, the first tasks one more if it does not divide.
    fn share(&self, index: usize) -> usize {
        self.requests / self.connections + usize::from(index < self.requests % self.connections)
    }
}

/// What became of a task's requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Status 200 and the whole body.
    pub ok: usize,
    /// Everything else.
    pub failed: usize,
}

impl Tally {
    /// Counts one request by the status and body length it got. The first failure of a task is told on stderr.
    pub fn count<E: Display>(&mut self, result: Result<(u16, usize), E>) {
        match result {
            Ok((200, BODY_LEN)) => self.ok += 1,
            Ok((status, len)) => self.fail(&format!("status {status}, {len} bytes")),
            Err(error) => self.fail(&error),
        }
    }

    /// Counts the requests of a task that never got its connection.
    pub fn lost(requests: usize, error: &dyn Display) -> Self {
        let mut tally = Self::default();
        tally.fail(error);
        tally.failed = requests;
        tally
    }

    fn fail(&mut self, reason: &dyn Display) {
        if self.failed == 0 {
            eprintln!("failed: {reason}");
        }
        self.failed += 1;
    }
}

/// Runs a client: one task for each connection, all on one thread, then one line of JSON on stdout.
///
/// `prepare` makes what the tasks share, such as a session; it runs inside the runtime. `task` makes as many
/// requests as it is told. The exit code is a failure when any request failed, or the arguments are wrong.
pub fn drive<S, P, T, F>(prepare: P, task: T) -> ExitCode
where
    S: Clone,
    P: FnOnce(&Args) -> S,
    T: Fn(S, usize) -> F,
    F: Future<Output = Tally> + Send + 'static,
{
    let Some(args) = Args::from_command_line() else {
        eprintln!("usage: CLIENT URL CONNECTIONS REQUESTS");
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a tokio runtime can be made");
    let tally = runtime.block_on(async {
        let shared = prepare(&args);
        let spawn = |index| tokio::spawn(task(shared.clone(), args.share(index)));
        let tasks: Vec<_> = (0..args.connections).map(spawn).collect();
        let mut sum = Tally::default();
        for (index, task) in tasks.into_iter().enumerate() {
            let tally = task.await.unwrap_or_else(|panic| Tally::lost(args.share(index), &panic));
            sum.ok += tally.ok;
            sum.failed += tally.failed;
        }
        sum
    });
    println!("{{\"ok\":{},\"failed\":{}}}", tally.ok, tally.failed);
    if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(url: &str, connections: usize, requests: usize) -> Args {
        Args { url: url.to_owned(), connections, requests }
    }

    #[test]
    fn shares_add_up_to_all_requests_and_differ_by_at_most_one() {
        let args = args("http://127.0.0.1:1/item", 64, 20_003);
        let shares: Vec<_> = (0..64).map(|index| args.share(index)).collect();
        assert_eq!(shares.iter().sum::<usize>(), 20_003);
        assert!(shares.iter().all(|share| (312..=313).contains(share)));
    }

    #[test]
    fn a_url_is_split_into_authority_and_path() {
        let with_path = args("http://127.0.0.1:8080/item", 1, 1);
        assert_eq!((with_path.authority(), with_path.path()), ("127.0.0.1:8080", "/item"));
        assert_eq!(args("http://127.0.0.1:8080", 1, 1).path(), "/");
    }

    #[test]
    fn only_a_whole_200_counts_as_ok() {
        let mut tally = Tally::default();
        tally.count(Ok::<_, String>((200, BODY_LEN)));
        tally.count(Ok::<_, String>((200, BODY_LEN - 1)));
        tally.count(Ok::<_, String>((404, BODY_LEN)));
        tally.count(Err("reset"));
        assert_eq!(tally, Tally { ok: 1, failed: 3 });
    }
}
