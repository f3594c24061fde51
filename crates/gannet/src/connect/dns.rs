//! Name lookups, by the system's resolver or one that the session was given: one lookup per name at a time however
//! many ask, answers kept for a while and bounded in number, and given on as they come. What the options say of a
//! name comes before all. Nobody's giving up takes anything from others who wait for the same name.

mod cache;
mod custom;
mod overrides;
mod system;

use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use gannet_core::{ErrorKind, Phase};
use tokio::sync::watch;
use tokio::time::timeout_at;

use crate::alarm::later;
use crate::error::{Error, Result, is_exhaustion};
use crate::options::Dns;
use crate::resolve::Resolve;
use cache::{Answer, Cache};
use custom::{Custom, Task};
use overrides::Overrides;

/// A failed lookup is believed this long, so that thousands of rows of a dead name cost one lookup a second.
const NEGATIVE_TTL: Duration = Duration::from_secs(1);
/// How long an answer is kept that nobody waited for to its end.
const HALF_ANSWER: Duration = Duration::from_secs(1);
/// Beyond a day an answer is not worth believing, whatever the options say.
const LONGEST_TTL: Duration = Duration::from_secs(24 * 3600);

/// Why a lookup failed; with the system's error where this machine was to blame.
#[derive(Clone)]
pub(crate) struct Failure {
    message: Arc<str>,
    exhausted: Option<i32>,
}

/// How far a lookup has come, as those who wait for it see it.
#[derive(Default)]
pub(crate) struct Progress {
    /// It is being made, no longer queued.
    started: bool,
    addresses: Vec<IpAddr>,
    /// The shortest that those who answered so far gave.
    ttl: Option<Duration>,
    end: Option<std::result::Result<(), Failure>>,
}

pub(crate) struct Resolver {
    shared: Arc<Shared>,
    overrides: Overrides,
}

struct Shared {
    options: Dns,
    /// In place of the system's.
    custom: Option<Custom>,
    /// Held for a few instructions; lookups run outside it.
    state: Mutex<State>,
    /// For the threads of the system's resolver.
    work: Condvar,
}

struct State {
    cache: Cache<Flight>,
    queue: system::Queue,
    closed: bool,
}

/// A lookup under way.
struct Flight {
    progress: Arc<watch::Sender<Progress>>,
    /// Its task, where it has one.
    _task: Option<Task>,
}

/// What somebody who asked for a name waits with. Dropping it disturbs nobody else.
pub(crate) enum Lookup {
    Known(Option<Answer>),
    Asked { progress: watch::Receiver<Progress>, given: usize, until: Option<Limit> },
    Unable(Option<std::io::Error>),
}

/// When the wait for addresses ends, and how long it then was.
type Limit = (tokio::time::Instant, Duration);

impl Lookup {
    /// Whether it was answered without asking anybody.
    pub(crate) fn is_known(&self) -> bool {
        matches!(self, Lookup::Known(_))
    }

    /// Returns when the lookup is being made, no longer queued; from then on it may take so long.
    pub(crate) async fn started(&mut self, limit: Option<Duration>) {
        if let Lookup::Asked { progress, until, .. } = self {
            // An error means that it is over already.
            let _ = progress.wait_for(|progress| progress.started || progress.end.is_some()).await;
            *until = limit.map(|limit| (later(tokio::time::Instant::now(), limit), limit));
        }
    }

    /// The next addresses, as they come; `None` when there were some and no more will come, or be waited for. Safe to
    /// drop and ask again.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<IpAddr>>> {
        match self {
            Lookup::Known(answer) => match answer.take() {
                None => Ok(None),
                Some(Ok(addresses)) => Ok(Some(addresses.to_vec())),
                Some(Err(failure)) => Err(failure.into_error()),
            },
            Lookup::Unable(error) => {
                let error = error.take().unwrap_or_else(|| std::io::ErrorKind::Other.into());
                let error = Error::io(ErrorKind::Resources, Phase::Dns, "cannot start a lookup", error);
                Err(error.with_kind(ErrorKind::Resources))
            }
            Lookup::Asked { progress, given, until } => loop {
                {
                    let progress = progress.borrow_and_update();
                    if let Some(more) = progress.addresses.get(*given..).filter(|more| !more.is_empty()) {
                        *given = progress.addresses.len();
                        return Ok(Some(more.to_vec()));
                    }
                    match &progress.end {
                        Some(Ok(())) => return Ok(None),
                        Some(Err(failure)) => return Err(failure.clone().into_error()),
                        None => {}
                    }
                }
                let changed = match *until {
                    None => progress.changed().await,
                    Some((at, limit)) => match timeout_at(at, progress.changed()).await {
                        Ok(changed) => changed,
                        Err(_) if *given > 0 => return Ok(None),
                        Err(_) => return Err(Error::timeout(ErrorKind::TimeoutConnect, Phase::Dns, limit)),
                    },
                };
                // The session is gone.
                changed.map_err(|_| Error::closed())?;
            },
        }
    }

    /// All addresses.
    pub(crate) async fn all(mut self) -> Result<Vec<IpAddr>> {
        let mut all = Vec::new();
        while let Some(addresses) = self.next().await? {
            all.extend(addresses);
        }
        Ok(all)
    }
}

impl Failure {
    fn of(error: &std::io::Error) -> Self {
        let exhausted = error.raw_os_error().filter(|_| is_exhaustion(error));
        Failure { message: error.to_string().into(), exhausted }
    }

    fn into_error(self) -> Error {
        match self.exhausted {
            Some(code) => {
                let error = std::io::Error::from_raw_os_error(code);
                Error::io(ErrorKind::Dns, Phase::Dns, "cannot look the host up", error)
            }
            None => Error::new(ErrorKind::Dns, Phase::Dns, self.message.to_string()),
        }
    }
}

impl Resolver {
    /// # Errors
    /// Kind `request`: an override that names no host.
    pub(crate) fn new(options: &Dns, custom: Option<Arc<dyn Resolve>>) -> Result<Self> {
        let overrides = Overrides::new(&options.overrides)?;
        let custom = custom.map(|resolver| Custom::new(resolver, options.max_lookups));
        let state = State { cache: Cache::new(options.cache_max), queue: system::Queue::default(), closed: false };
        let shared = Shared { options: options.clone(), custom, state: Mutex::new(state), work: Condvar::new() };
        Ok(Resolver { shared: Arc::new(shared), overrides })
    }

    /// Forgets every answer; lookups under way go on, and theirs are kept.
    pub(crate) fn clear(&self) {
        self.shared.lock().cache.clear();
    }

    /// Asks for a name's addresses: from the options, the cache, a lookup under way, or by a new one.
    pub(crate) fn lookup(&self, name: &str, port: u16) -> Lookup {
        if let Some(addresses) = self.overrides.get(name, port) {
            return Lookup::Known(Some(Ok(addresses)));
        }
        let mut state = self.shared.lock();
        if let Some(answer) = state.cache.known(name, Instant::now()) {
            return Lookup::Known(Some(answer.clone()));
        }
        if let Some(flight) = state.cache.flight(name) {
            return Lookup::Asked { progress: flight.progress.subscribe(), given: 0, until: None };
        }
        let name: Arc<str> = name.into();
        let (sender, progress) = watch::channel(Progress::default());
        let sender = Arc::new(sender);
        let started = match &self.shared.custom {
            Some(custom) => custom.start(&self.shared, name.clone(), sender.clone()).map(Some),
            None => system::enqueue(&self.shared, &mut state, name.clone()).map(|()| None),
        };
        match started {
            Ok(task) => {
                state.cache.take_off(name, Flight { progress: sender, _task: task });
                Lookup::Asked { progress, given: 0, until: None }
            }
            Err(error) => Lookup::Unable(Some(error)),
        }
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.queue.names.clear();
        let cache = std::mem::replace(&mut state.cache, Cache::new(1));
        drop(state);
        // Outside the lock: lookups end here, and may come for it.
        drop(cache);
        self.shared.work.notify_all();
    }
}

impl State {
    fn on_started(&mut self, name: &str) {
        if let Some(flight) = self.cache.flight(name) {
            flight.progress.send_modify(|progress| progress.started = true);
        }
    }
}

impl Shared {
    /// A lookup is over: those who wait are told, and what it found is kept for a while.
    fn on_end(&self, name: &Arc<str>, found: std::result::Result<Vec<IpAddr>, Failure>, ttl: Duration) {
        let found = match found {
            Ok(found) if found.is_empty() => {
                Err(Failure { message: "the name has no address".into(), exhausted: None })
            }
            found => found.map(|found| unique(&found)),
        };
        let ttl = match &found {
            Ok(_) => ttl.min(LONGEST_TTL),
            Err(Failure { exhausted: Some(_), .. }) => Duration::ZERO,
            Err(_) => ttl.min(NEGATIVE_TTL),
        };
        let answer: Answer = found.map(Arc::from);
        let mut state = self.lock();
        let flight = state.cache.land(name, answer.clone(), ttl, Instant::now());
        drop(state);
        let Some(flight) = flight else { return };
        flight.progress.send_modify(|progress| {
            progress.end = Some(answer.map(|addresses| {
                // Unless they were given as they came.
                if progress.addresses.is_empty() {
                    progress.addresses = addresses.to_vec();
                }
            }));
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("invariant: nothing panics under the resolver's lock")
    }
}

impl Progress {
    fn on_answer(&mut self, answer: crate::resolve::Answer) {
        self.ttl = [self.ttl, answer.ttl].into_iter().flatten().min();
        self.addresses.extend(answer.addresses);
    }
}

fn unique(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let mut seen = std::collections::HashSet::with_capacity(addresses.len());
    addresses.iter().copied().filter(|address| seen.insert(*address)).collect()
}

#[cfg(test)]
mod tests;
