//! The system's resolver (hosts file and nsswitch as everywhere on the machine), on a bounded set of our own threads.
//! They are started when needed, and end when they have had nothing to do for a few seconds or the session is gone.
//! They hold nothing of the runtime.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::{Failure, Shared, State};

/// How long an idle thread waits for work.
const THREAD_IDLE: Duration = Duration::from_secs(5);

/// Names to look up, and how many threads there are for it.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) names: VecDeque<Arc<str>>,
    pub(super) threads: usize,
    idle: usize,
}

/// Has a thread look this name up.
pub(super) fn enqueue(shared: &Arc<Shared>, state: &mut State, name: Arc<str>) -> std::io::Result<()> {
    let queue = &mut state.queue;
    queue.names.push_back(name);
    if queue.idle < queue.names.len() && queue.threads < shared.options.max_lookups.max(1) {
        let weak = Arc::downgrade(shared);
        match std::thread::Builder::new().name("gannet-dns".into()).spawn(move || run(&weak)) {
            Ok(_) => queue.threads += 1,
            // With others at work this one is not needed.
            Err(error) if queue.threads == 0 => {
                queue.names.pop_back();
                return Err(error);
            }
            Err(_) => {}
        }
    }
    shared.work.notify_one();
    Ok(())
}

fn run(shared: &Weak<Shared>) {
    while let Some(shared) = shared.upgrade() {
        let Some(name) = next_name(&shared) else { return };
        let found = look_up(&name);
        shared.on_end(&name, found, shared.options.ttl);
    }
}

/// The next name to look up; `None` when this thread should end, which it is counted out for under the same lock.
fn next_name(shared: &Shared) -> Option<Arc<str>> {
    let mut state = shared.lock();
    loop {
        if let Some(name) = state.queue.names.pop_front() {
            state.on_started(&name);
            return Some(name);
        }
        if state.closed {
            state.queue.threads -= 1;
            return None;
        }
        state.queue.idle += 1;
        let (woken, timeout) =
            shared.work.wait_timeout(state, THREAD_IDLE).expect("invariant: nothing panics under the resolver's lock");
        state = woken;
        state.queue.idle -= 1;
        if timeout.timed_out() && state.queue.names.is_empty() {
            state.queue.threads -= 1;
            return None;
        }
    }
}

fn look_up(name: &str) -> Result<Vec<IpAddr>, Failure> {
    let found = (name, 0u16).to_socket_addrs().map_err(|error| Failure::of(&error))?;
    Ok(link_local_last(found))
}

/// The addresses without what is beside them. A link-local one leads nowhere without the interface that it belongs to
/// (RFC 4007 §6), unless `connections.interface` names one: the others come first.
fn link_local_last(found: impl Iterator<Item = SocketAddr>) -> Vec<IpAddr> {
    let is_local = |ip: &IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    let (local, mut all): (Vec<_>, Vec<_>) = found.map(|address| address.ip()).partition(is_local);
    all.extend(local);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_addresses_come_behind_all_others() {
        let found = ["[fe80::1%2]:0", "10.0.0.1:0", "[2001:db8::1]:0"].map(|address| address.parse().unwrap());
        let wanted = ["10.0.0.1", "2001:db8::1", "fe80::1"].map(|ip| ip.parse::<IpAddr>().unwrap());
        assert_eq!(link_local_last(found.into_iter()), wanted);
    }
}
