//! What a client is told on its command line.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

/// The size of the body the benchmark's nginx serves, in bytes.
pub const BODY_LEN: usize = 210;

/// How to call a client.
pub(crate) const USAGE: &str = "usage: CLIENT URL CONNECTIONS REQUESTS [--http2] [--adaptive-window] [--ca FILE] [--body BYTES] \
                         [--save FILE] [--no-sync] [--latency]";

/// What `URL CONNECTIONS REQUESTS` and the options on the command line said. A client acts on those it knows.
#[derive(Debug, Clone)]
pub struct Args {
    /// The one URL all requests go to; with a port.
    pub url: String,
    /// How many tasks work at once, each on a connection, or on a stream of the one connection with `http2`.
    pub connections: usize,
    /// How many requests in all, shared evenly between the tasks.
    pub requests: usize,
    /// Speak HTTP/2 without asking, on one connection.
    pub http2: bool,
    /// reqwest alone: let the windows of HTTP/2 follow the round trips.
    pub adaptive_window: bool,
    /// The one certificate in PEM that is trusted.
    pub ca: Option<PathBuf>,
    /// How long each body must be; that of nginx's small one.
    pub body: usize,
    /// Where downloads write their body; none, it is counted and dropped.
    pub save: Option<PathBuf>,
    /// Whether what is written is synced to the disk before it counts; on.
    pub sync: bool,
    /// Whether the time of each request is kept, and their median and 99th percentile told.
    pub latency: bool,
}

impl Args {
    pub(crate) fn from_command_line() -> Option<Self> {
        Self::parse(std::env::args().skip(1))
    }

    fn parse(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let mut args = Self {
            url: words.next()?,
            connections: words.next()?.parse().ok().filter(|&n| n > 0)?,
            requests: words.next()?.parse().ok()?,
            http2: false,
            adaptive_window: false,
            ca: None,
            body: BODY_LEN,
            save: None,
            sync: true,
            latency: false,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--http2" => args.http2 = true,
                "--adaptive-window" => args.adaptive_window = true,
                "--ca" => args.ca = Some(words.next()?.into()),
                "--body" => args.body = words.next()?.parse().ok()?,
                "--save" => args.save = Some(words.next()?.into()),
                "--no-sync" => args.sync = false,
                "--latency" => args.latency = true,
                _ => return None,
            }
        }
        Some(args)
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
        let mut found = self.authority().to_socket_addrs().expect("the URL needs a host and a port");
        found.next().expect("the URL's host has no address")
    }

    /// The certificate that is trusted, in PEM. Panics when it cannot be read.
    pub fn ca_pem(&self) -> Option<String> {
        let read = |path| std::fs::read_to_string(path).expect("the file of --ca can be read");
        self.ca.as_ref().map(read)
    }

    /// How many requests task `index` makes: an even share, the first tasks one more if it does not divide.
    pub(crate) fn share(&self, index: usize) -> usize {
        self.requests / self.connections + usize::from(index < self.requests % self.connections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Option<Args> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn shares_add_up_to_all_requests_and_differ_by_at_most_one() {
        let args = args("http://127.0.0.1:1/item 64 20003").expect("it parses");
        let shares: Vec<_> = (0..64).map(|index| args.share(index)).collect();
        assert_eq!(shares.iter().sum::<usize>(), 20_003);
        assert!(shares.iter().all(|share| (312..=313).contains(share)));
    }

    #[test]
    fn a_url_is_split_into_authority_and_path() {
        let with_path = args("http://127.0.0.1:8080/item 1 1").expect("it parses");
        assert_eq!((with_path.authority(), with_path.path()), ("127.0.0.1:8080", "/item"));
        assert_eq!(args("http://127.0.0.1:8080 1 1").expect("it parses").path(), "/");
    }

    #[test]
    fn options_are_read_and_unknown_ones_refused() {
        let known = args("https://127.0.0.1:1/ 1 1 --http2 --ca ca.pem --body 5").expect("it parses");
        assert!(known.http2 && !known.latency);
        assert_eq!((known.ca, known.body), (Some(PathBuf::from("ca.pem")), 5));
        assert!(args("http://127.0.0.1:1/ 1 1 --http3").is_none());
        assert!(args("http://127.0.0.1:1/ 1 1 --ca").is_none());
        assert!(args("http://127.0.0.1:1/ 0 1").is_none());
    }
}
