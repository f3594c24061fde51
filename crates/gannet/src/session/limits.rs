//! The caps on open sockets, changed while requests are under way: of the session, and of the parts of it that a bulk
//! run's threads have.

use super::{Inner, Session};
use crate::options::Connections;
use crate::pool::Pool;

/// The caps on open sockets: `connections.max` and `connections.max_per_host`, which [`Options`](crate::Options) begin
/// with and [`Session::set_connection_limits`] changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Sockets open at once, over all hosts, idle ones included; one at least.
    pub max: usize,
    /// Sockets open at once to one scheme, host and port; none is no cap.
    pub max_per_host: Option<usize>,
}

impl Session {
    /// The caps that hold now.
    pub fn connection_limits(&self) -> ConnectionLimits {
        self.inner.pool.limits()
    }

    /// Changes the caps, for all clones. Raised, they let requests that wait open connections at once, first come, first
    /// served. Lowered, idle connections beyond them are closed at once and busy ones when their request is over;
    /// no request under way is disturbed. Connections of HTTP/2 beyond the caps take no new requests, but each host
    /// keeps one.
    ///
    /// A bulk run on several threads divides them: each thread keeps one connection at least.
    pub fn set_connection_limits(&self, limits: ConnectionLimits) {
        // Held over both: threads that begin meanwhile have their part of the new ones.
        let shards = self.inner.shards();
        self.inner.pool.set_limits(limits);
        for shard in shards.iter() {
            if let Some(inner) = shard.inner.upgrade() {
                inner.pool.set_limits(limits.part(shard.number, shard.count));
            }
        }
    }
}

impl Inner {
    /// The pool of part `number` (from 0) of `count`, under the caps that hold now.
    pub(super) fn part_of_pool(&self, number: usize, count: usize) -> std::sync::Arc<Pool> {
        Pool::new(self.pool.limits().part(number, count), &self.options.connections)
    }
}

impl ConnectionLimits {
    /// Those that a session begins with.
    pub(crate) fn of(options: &Connections) -> Self {
        ConnectionLimits { max: options.max, max_per_host: options.max_per_host }
    }

    /// Those of part `number` (from 0) of `count`. All parts together are the whole.
    fn part(self, number: usize, count: usize) -> Self {
        let part = |whole: usize| whole / count + usize::from(number < whole % count);
        ConnectionLimits { max: part(self.max), max_per_host: self.max_per_host.map(part) }
    }
}
