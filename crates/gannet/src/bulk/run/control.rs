//! A run seen from outside: stopped or aborted, looked at, its limits changed. What is asked is written down and the coordinator woken, which
//! then does it; an abort stands above a stop and is never taken back.

use std::sync::{Arc, Mutex};
use std::task::Wake;

use gannet_core::ErrorKind;
use tokio::sync::Notify;

use crate::bulk::{Learnt, Limits};

/// Stops a run, looks at it and changes its limits, from anywhere.
#[derive(Clone)]
pub struct Control {
    pub(super) run: Arc<dyn Controlled>,
}

/// A run's figures at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Rows read from the input.
    pub read: u64,
    /// Rows finished.
    pub done: u64,
    /// Of them, ok.
    pub ok: u64,
    /// Of them, not ok.
    pub failed: u64,
    /// The failed ones by what went wrong.
    pub failed_by_kind: Vec<(ErrorKind, u64)>,
    /// Requests under way.
    pub in_flight: usize,
    /// Rows that were read and wait for their host.
    pub parked: u64,
    /// Rows that wait for another attempt.
    pub retrying: usize,
    /// Rows in all, where known.
    pub total: Option<u64>,
    /// Bytes of input read, and in all, where known.
    pub progress_bytes: Option<(u64, u64)>,
    /// What limits the throughput now, by the option's name; empty if nothing does.
    pub limited_by: String,
}

impl Control {
    /// Starts nothing more; what is in flight gets `drain` (30 s) to finish, then it is aborted.
    pub fn stop(&self) {
        self.run.ask(Asked::Stop);
    }

    /// Ends at once: requests in flight are dropped, and their rows have no outcome.
    pub fn abort(&self) {
        self.run.ask(Asked::Abort);
    }

    /// What was learnt about hosts so far.
    pub fn learnt(&self) -> Vec<(String, Learnt)> {
        self.run.learnt()
    }

    /// The limits that hold now.
    pub fn limits(&self) -> Limits {
        self.run.limits()
    }

    /// Other limits from now on: `limits.concurrency`, `limits.per_host`, `limits.rate`. Raised, they let rows start at
    /// once; but what was sized by the limits at the start stays: the threads of the run, and how many rows wait behind an
    /// earlier one where they come in order. Lowered, requests under way go on, and none starts before enough of them have
    /// ended. What is learnt of hosts holds below them as before. Sockets are the session's to bound
    /// ([`Session::set_connection_limits`](crate::Session::set_connection_limits)).
    pub fn set_limits(&self, limits: Limits) {
        self.run.set_limits(limits);
    }

    /// The figures of this moment.
    pub fn snapshot(&self) -> Snapshot {
        self.run.snapshot()
    }
}

/// A run without its types.
pub(super) trait Controlled: Send + Sync {
    fn ask(&self, what: Asked);
    fn snapshot(&self) -> Snapshot;
    fn learnt(&self) -> Vec<(String, Learnt)>;
    fn limits(&self) -> Limits;
    fn set_limits(&self, limits: Limits);
}

/// Wakes the coordinator.
#[derive(Default)]
pub(super) struct Signal {
    pub(super) notify: Notify,
    asked: Mutex<Asked>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd)]
pub(super) enum Asked {
    #[default]
    Nothing,
    Stop,
    Abort,
}

impl Signal {
    pub(super) fn ask(&self, what: Asked) {
        let mut asked = self.asked.lock().expect("invariant: nothing panics under this lock");
        if what > *asked {
            *asked = what;
        }
        drop(asked);
        self.notify.notify_one();
    }

    pub(super) fn asked(&self) -> Asked {
        *self.asked.lock().expect("invariant: nothing panics under this lock")
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.notify.notify_one();
    }
}
