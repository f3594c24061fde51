//! What a pool holds at one moment, in all and of each host; sums over the pools of a session's threads.

use serde::Serialize;

/// A pool at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PoolStats {
    /// Sockets open or being opened.
    pub open: usize,
    /// Those of them that carry no request. One of HTTP/2 that carries a hundred counts as one.
    pub idle: usize,
    /// Requests that wait for a connection.
    pub waiting: usize,
}

impl PoolStats {
    /// Sockets that carry a request, or are being opened for one.
    pub fn in_use(&self) -> usize {
        self.open - self.idle
    }
}

/// What a pool holds of one host at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HostStats {
    /// Scheme, host and port, as in `https://example.com:443`; with the proxy, if there is one on the way, or the
    /// proxy alone where it forwards requests to any host. Connections over https for upgrades stand apart, as in
    /// `https://example.com:443 upgrade`, where the session offers HTTP/2.
    pub host: String,
    /// Sockets open or being opened to it.
    pub open: usize,
    /// Those of them that carry no request. One of HTTP/2 that carries a hundred counts as one that is not idle.
    pub idle: usize,
    /// Requests that wait for a connection to it.
    pub waiting: usize,
}

impl std::ops::Add for PoolStats {
    type Output = PoolStats;

    fn add(self, other: PoolStats) -> PoolStats {
        PoolStats { open: self.open + other.open, idle: self.idle + other.idle, waiting: self.waiting + other.waiting }
    }
}

impl HostStats {
    pub(crate) fn add(&mut self, other: &HostStats) {
        self.open += other.open;
        self.idle += other.idle;
        self.waiting += other.waiting;
    }
}
