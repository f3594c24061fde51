//! What reached the origin: requests per route and per URL, the most that ran at
//! once, connections, and starts per second; in all and per listening address.
//! Requests to `/stats` are not counted; connections are, whatever they carry.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

/// The origin's figures since it started or since they were last reset.
///
/// `GET /stats` gives the same as JSON, under the same names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Requests whose head arrived.
    pub requests: u64,
    /// Requests whose head arrived and whose reply has not been written yet. Quick
    /// endpoints are hardly ever seen together: to show overlap, ask for a delay.
    pub in_flight: u64,
    /// The most that were in flight at one moment.
    pub max_in_flight: u64,
    /// Connections open now.
    pub connections: u64,
    /// The most connections open at one moment.
    pub max_connections: u64,
    /// Connections accepted.
    pub connections_total: u64,
    /// Those of them that resumed a TLS session of an earlier one.
    pub tls_resumed: u64,
    /// Requests per route, by its pattern, such as `/items/{id}`; those to no
    /// route are under `(unknown)`.
    pub paths: BTreeMap<String, u64>,
    /// Requests per path and query as sent. At most 10,000 distinct ones unless
    /// [`Builder::keep_urls`](crate::Builder::keep_urls) says otherwise.
    pub urls: BTreeMap<String, u64>,
    /// Requests that are not in `urls` because it was full.
    pub urls_left_off: u64,
    /// The figures of each listening address, by `ip:port`.
    pub hosts: BTreeMap<String, HostStats>,
    /// Request starts over time, on all addresses together.
    pub per_second: PerSecond,
    /// What `/limited` did.
    pub limited: LimitedStats,
}

/// The figures of one listening address.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct HostStats {
    /// Requests whose head arrived.
    pub requests: u64,
    /// Requests not yet answered in full.
    pub in_flight: u64,
    /// The most that were in flight at one moment.
    pub max_in_flight: u64,
    /// Connections open now.
    pub connections: u64,
    /// The most connections open at one moment.
    pub max_connections: u64,
    /// Connections accepted.
    pub connections_total: u64,
    /// Request starts over time.
    pub per_second: PerSecond,
}

/// Request starts over time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct PerSecond {
    /// The most starts in any span of one second, wherever it begins.
    pub max: u64,
    /// Starts in each second since the start or reset; the first hour only.
    pub starts: Vec<u64>,
}

/// What `/limited` did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct LimitedStats {
    /// Requests answered with 200.
    pub allowed: u64,
    /// Requests answered with 429.
    pub refused: u64,
    /// Requests that arrived after a 429 had been sent for their key and before
    /// its Retry-After had passed. Some may have been on their way already.
    pub early: u64,
    /// Those of `early` that arrived more than 50 ms after that 429 had been
    /// sent: a client that heeds Retry-After has none, on any ordinary machine.
    pub early_after_grace: u64,
}

/// The counters behind [`Stats`], shared by all connections.
#[derive(Debug)]
pub(crate) struct Recorder {
    figures: Mutex<Figures>,
    keep_urls: usize,
}

#[derive(Debug)]
struct Figures {
    since: Instant,
    all: Host,
    hosts: Vec<Host>,
    paths: HashMap<&'static str, u64>,
    urls: HashMap<String, u64>,
    urls_left_off: u64,
    tls_resumed: u64,
}

/// One address, or all of them together.
#[derive(Debug, Default)]
struct Host {
    name: String,
    stats: HostStats,
    /// The starts of the last second, oldest first.
    recent: VecDeque<Instant>,
}

impl Recorder {
    /// `hosts` names the listening addresses; they are meant by their index from here on.
    pub(crate) fn new(hosts: Vec<String>, keep_urls: usize) -> Recorder {
        let host = |name| Host { name, ..Host::default() };
        let figures = Figures {
            since: Instant::now(),
            all: Host::default(),
            hosts: hosts.into_iter().map(host).collect(),
            paths: HashMap::new(),
            urls: HashMap::new(),
            urls_left_off: 0,
            tls_resumed: 0,
        };
        Recorder { figures: Mutex::new(figures), keep_urls }
    }

    /// Counts a request as begun; it ends when the returned value is dropped.
    pub(crate) fn begin(self: &Arc<Self>, host: usize, pattern: &'static str, url: &str, now: Instant) -> Flight {
        let mut figures = self.lock();
        let second = now.saturating_duration_since(figures.since).as_secs();
        figures.all.on_start(now, second);
        figures.hosts[host].on_start(now, second);
        *figures.paths.entry(pattern).or_insert(0) += 1;
        if let Some(count) = figures.urls.get_mut(url) {
            *count += 1;
        } else if figures.urls.len() < self.keep_urls {
            figures.urls.insert(url.to_owned(), 1);
        } else {
            figures.urls_left_off += 1;
        }
        Flight { recorder: Arc::clone(self), host }
    }

    /// Counts a connection as open until the returned value is dropped.
    pub(crate) fn connect(self: &Arc<Self>, host: usize) -> Connected {
        let mut figures = self.lock();
        figures.all.on_connect();
        figures.hosts[host].on_connect();
        Connected { recorder: Arc::clone(self), host }
    }

    /// A connection's TLS session was an earlier one's.
    pub(crate) fn on_resumed(&self) {
        self.lock().tls_resumed += 1;
    }

    /// The figures now, with `/limited`'s own.
    pub(crate) fn read(&self, limited: LimitedStats) -> Stats {
        let figures = self.lock();
        let all = &figures.all.stats;
        Stats {
            requests: all.requests,
            in_flight: all.in_flight,
            max_in_flight: all.max_in_flight,
            connections: all.connections,
            max_connections: all.max_connections,
            connections_total: all.connections_total,
            tls_resumed: figures.tls_resumed,
            paths: figures.paths.iter().map(|(path, n)| ((*path).to_owned(), *n)).collect(),
            urls: figures.urls.iter().map(|(url, n)| (url.clone(), *n)).collect(),
            urls_left_off: figures.urls_left_off,
            hosts: figures.hosts.iter().map(|h| (h.name.clone(), h.stats.clone())).collect(),
            per_second: all.per_second.clone(),
            limited,
        }
    }

    /// Starts again from nothing, except for what is open or in flight now.
    pub(crate) fn reset(&self, now: Instant) {
        let mut figures = self.lock();
        figures.since = now;
        figures.all.reset();
        figures.hosts.iter_mut().for_each(Host::reset);
        figures.paths.clear();
        figures.urls.clear();
        figures.urls_left_off = 0;
        figures.tls_resumed = 0;
    }

    fn lock(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host {
    fn on_start(&mut self, now: Instant, second: u64) {
        let stats = &mut self.stats;
        stats.requests += 1;
        stats.in_flight += 1;
        stats.max_in_flight = stats.max_in_flight.max(stats.in_flight);
        self.recent.push_back(now);
        while self.recent.front().is_some_and(|at| now.saturating_duration_since(*at) >= SECOND) {
            self.recent.pop_front();
        }
        let per_second = &mut stats.per_second;
        per_second.max = per_second.max.max(self.recent.len() as u64);
        if second < KEEP_SECONDS {
            let second = second as usize;
            if per_second.starts.len() <= second {
                per_second.starts.resize(second + 1, 0);
            }
            per_second.starts[second] += 1;
        }
    }

    fn on_connect(&mut self) {
        let stats = &mut self.stats;
        stats.connections += 1;
        stats.connections_total += 1;
        stats.max_connections = stats.max_connections.max(stats.connections);
    }

    fn reset(&mut self) {
        let HostStats { in_flight, connections, .. } = self.stats;
        self.stats = HostStats {
            in_flight,
            max_in_flight: in_flight,
            connections,
            max_connections: connections,
            ..HostStats::default()
        };
        self.recent.clear();
    }
}

/// A request that counts as in flight while this lives.
#[derive(Debug)]
pub(crate) struct Flight {
    recorder: Arc<Recorder>,
    host: usize,
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut figures = self.recorder.lock();
        figures.all.stats.in_flight -= 1;
        figures.hosts[self.host].stats.in_flight -= 1;
    }
}

/// A connection that counts as open while this lives.
#[derive(Debug)]
pub(crate) struct Connected {
    recorder: Arc<Recorder>,
    host: usize,
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut figures = self.recorder.lock();
        figures.all.stats.connections -= 1;
        figures.hosts[self.host].stats.connections -= 1;
    }
}

const SECOND: Duration = Duration::from_secs(1);
/// An hour's list is 28 KiB; longer runs keep their totals.
const KEEP_SECONDS: u64 = 3600;
