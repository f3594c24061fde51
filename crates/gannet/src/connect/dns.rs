//! Name lookups by the system's resolver (hosts file and nsswitch as everywhere on the machine): on a bounded set
//! of our own threads, one lookup per name at a time however many ask, answers kept for a while.
//!
//! The threads are started when needed and end when they have had nothing to do for a few seconds or the session
//! is gone. A lookup that nobody waits for any more still finishes, for the cache; it holds nothing of the runtime.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use gannet_core::{ErrorKind, Phase};
use tokio::sync::oneshot;

use crate::error::{Error, Result, is_exhaustion};
use crate::options::Dns;

/// A failed lookup is believed this long, so that thousands of rows of a dead name cost one lookup a second.
const NEGATIVE_TTL: Duration = Duration::from_secs(1);
/// Beyond a day an answer is not worth believing, whatever the options say.
const LONGEST_TTL: Duration = Duration::from_secs(24 * 3600);
/// How long an idle thread waits for work.
const THREAD_IDLE: Duration = Duration::from_secs(5);

type Answer = std::result::Result<Arc<[IpAddr]>, Failure>;

/// Why a lookup failed; with the system's error where this machine was to blame.
#[derive(Clone)]
pub(crate) struct Failure {
    message: Arc<str>,
    exhausted: Option<i32>,
}

pub(crate) struct Resolver {
    shared: Arc<Shared>,
}

struct Shared {
    options: Dns,
    /// Held for a few instructions; lookups run outside it.
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    names: HashMap<Box<str>, Entry>,
    queue: VecDeque<Box<str>>,
    threads: usize,
    idle_threads: usize,
    closed: bool,
}

enum Entry {
    /// In the queue or being looked up; whoever asks meanwhile waits along.
    Pending {
        started: bool,
        waiters: Vec<Waiter>,
    },
    Known {
        answer: Answer,
        until: Instant,
    },
}

struct Waiter {
    started: Option<oneshot::Sender<()>>,
    answer: oneshot::Sender<Answer>,
}

/// A lookup under way. Dropping it disturbs nobody else who waits for the same name.
pub(crate) enum Pending {
    Known(Answer),
    Asked { started: oneshot::Receiver<()>, answer: oneshot::Receiver<Answer> },
    Unable(std::io::Error),
}

impl Pending {
    /// Whether it was answered from the cache.
    pub(crate) fn is_known(&self) -> bool {
        matches!(self, Pending::Known(_))
    }

    /// Returns when the lookup is being made, no longer queued.
    pub(crate) async fn started(&mut self) {
        if let Pending::Asked { started, .. } = self {
            // An error means that it is over already.
            let _ = started.await;
        }
    }

    pub(crate) async fn addresses(self) -> Result<Vec<IpAddr>> {
        let answer = match self {
            Pending::Known(answer) => answer,
            Pending::Asked { answer, .. } => answer.await.map_err(|_| Error::closed())?,
            Pending::Unable(error) => {
                return Err(Error::io(ErrorKind::Resources, Phase::Dns, "cannot start a resolver thread", error)
                    .with_kind(ErrorKind::Resources));
            }
        };
        match answer {
            Ok(addresses) => Ok(addresses.to_vec()),
            Err(Failure { exhausted: Some(code), .. }) => {
                let error = std::io::Error::from_raw_os_error(code);
                Err(Error::io(ErrorKind::Dns, Phase::Dns, "cannot look the host up", error))
            }
            Err(Failure { message, .. }) => Err(Error::new(ErrorKind::Dns, Phase::Dns, message.to_string())),
        }
    }
}

impl Resolver {
    pub(crate) fn new(options: Dns) -> Self {
        let shared = Shared { options, state: Mutex::default(), work: Condvar::new() };
        Resolver { shared: Arc::new(shared) }
    }

    /// Asks for a name's addresses: from the cache, from a lookup under way, or by a new one.
    pub(crate) fn lookup(&self, name: &str) -> Pending {
        let mut state = self.shared.lock();
        let (started_sender, started) = oneshot::channel();
        let (answer_sender, answer) = oneshot::channel();
        let mut waiter = Waiter { started: Some(started_sender), answer: answer_sender };
        match state.names.get_mut(name) {
            Some(Entry::Known { answer, until }) if *until > Instant::now() => return Pending::Known(answer.clone()),
            Some(Entry::Pending { started: under_way, waiters }) => {
                if *under_way {
                    waiter.started = None;
                }
                waiters.push(waiter);
            }
            Some(Entry::Known { .. }) | None => {
                state.make_room(self.shared.options.cache_max);
                state.names.insert(name.into(), Entry::Pending { started: false, waiters: vec![waiter] });
                state.queue.push_back(name.into());
                if let Err(error) = self.shared.clone().ensure_thread(&mut state) {
                    state.names.remove(name);
                    state.queue.pop_back();
                    return Pending::Unable(error);
                }
                self.shared.work.notify_one();
            }
        }
        Pending::Asked { started, answer }
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.queue.clear();
        state.names.clear();
        drop(state);
        self.shared.work.notify_all();
    }
}

impl State {
    /// Bounded: what has expired goes first, then whatever comes to hand. Lookups under way stay.
    fn make_room(&mut self, max: usize) {
        if self.names.len() < max.max(1) {
            return;
        }
        let now = Instant::now();
        self.names.retain(|_, entry| !matches!(entry, Entry::Known { until, .. } if *until <= now));
        if self.names.len() >= max.max(1) {
            let known = self.names.iter().find(|(_, entry)| matches!(entry, Entry::Known { .. }));
            if let Some(name) = known.map(|(name, _)| name.clone()) {
                self.names.remove(&name);
            }
        }
    }

    fn on_started(&mut self, name: &str) {
        if let Some(Entry::Pending { started, waiters }) = self.names.get_mut(name) {
            *started = true;
            for waiter in waiters {
                if let Some(started) = waiter.started.take() {
                    let _ = started.send(());
                }
            }
        }
    }

    fn on_answer(&mut self, name: &str, answer: &Answer, ttl: Duration) {
        if self.closed {
            return;
        }
        let ttl = match answer {
            Ok(_) => ttl,
            Err(Failure { exhausted: Some(_), .. }) => Duration::ZERO,
            Err(_) => NEGATIVE_TTL.min(ttl),
        };
        let entry = Entry::Known { answer: answer.clone(), until: Instant::now() + ttl.min(LONGEST_TTL) };
        let Some(Entry::Pending { waiters, .. }) = self.names.insert(name.into(), entry) else { return };
        for waiter in waiters {
            let _ = waiter.answer.send(answer.clone());
        }
        if ttl.is_zero() {
            self.names.remove(name);
        }
    }
}

impl Shared {
    fn ensure_thread(self: Arc<Self>, state: &mut State) -> std::io::Result<()> {
        if state.idle_threads >= state.queue.len() || state.threads >= self.options.max_lookups.max(1) {
            return Ok(());
        }
        let (shared, alone) = (Arc::downgrade(&self), state.threads == 0);
        match std::thread::Builder::new().name("gannet-dns".into()).spawn(move || run(&shared)) {
            Ok(_) => state.threads += 1,
            // With others at work this one is not needed.
            Err(error) if alone => return Err(error),
            Err(_) => {}
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("invariant: nothing panics under the resolver's lock")
    }
}

fn run(shared: &Weak<Shared>) {
    while let Some(shared) = shared.upgrade() {
        let Some(name) = next_name(&shared) else { return };
        let answer = look_up(&name);
        shared.lock().on_answer(&name, &answer, shared.options.ttl);
    }
}

/// The next name to look up; `None` when this thread should end, which it is counted out for under the same lock.
fn next_name(shared: &Shared) -> Option<Box<str>> {
    let mut state = shared.lock();
    loop {
        if let Some(name) = state.queue.pop_front() {
            state.on_started(&name);
            return Some(name);
        }
        if state.closed {
            state.threads -= 1;
            return None;
        }
        state.idle_threads += 1;
        let (woken, timeout) =
            shared.work.wait_timeout(state, THREAD_IDLE).expect("invariant: nothing panics under the resolver's lock");
        state = woken;
        state.idle_threads -= 1;
        if timeout.timed_out() && state.queue.is_empty() {
            state.threads -= 1;
            return None;
        }
    }
}

fn look_up(name: &str) -> Answer {
    let found = (name, 0u16).to_socket_addrs().map_err(|error| Failure {
        message: error.to_string().into(),
        exhausted: error.raw_os_error().filter(|_| is_exhaustion(&error)),
    })?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address.ip()) {
            addresses.push(address.ip());
        }
    }
    if addresses.is_empty() {
        return Err(Failure { message: "the name has no address".into(), exhausted: None });
    }
    Ok(addresses.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn many_askers_share_one_lookup_and_the_answer_is_kept() {
        let resolver = Resolver::new(Dns::default());
        let asked: Vec<_> = (0..50).map(|_| resolver.lookup("localhost")).collect();
        assert_eq!(resolver.shared.lock().names.len(), 1);
        for pending in asked {
            assert!(pending.addresses().await.unwrap().iter().all(IpAddr::is_loopback));
        }
        assert!(matches!(resolver.lookup("localhost"), Pending::Known(Ok(_))));
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_a_dns_error() {
        let resolver = Resolver::new(Dns::default());
        let error = resolver.lookup("no-such-host.invalid").addresses().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Dns);
    }

    #[tokio::test]
    async fn an_asker_that_gives_up_takes_nothing_from_the_others() {
        let resolver = Resolver::new(Dns { max_lookups: 1, ..Dns::default() });
        let first = resolver.lookup("localhost");
        let second = resolver.lookup("localhost");
        drop(first);
        assert!(second.addresses().await.is_ok());
    }

    #[tokio::test]
    async fn the_cache_is_bounded() {
        let resolver = Resolver::new(Dns { cache_max: 3, ..Dns::default() });
        for number in 0..20 {
            let _ = resolver.lookup(&format!("127.0.0.{number}")).addresses().await;
        }
        assert!(resolver.shared.lock().names.len() <= 3);
    }
}
