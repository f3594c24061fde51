//! The figures of a run, and what they are at one moment.

use gannet_core::ErrorKind;
use gannet_core::schedule;
use tokio::time::Instant;

use super::Engine;
use crate::bulk::run::Snapshot;
use crate::bulk::{Sink, Source};

#[derive(Default)]
pub(super) struct Counts {
    pub(super) read: u64,
    pub(super) ok: u64,
    pub(super) failed: u64,
    pub(super) by_kind: [u64; ErrorKind::ALL.len()],
}

impl Counts {
    pub(super) fn count_failed(&mut self, kind: ErrorKind, rows: u64) {
        self.failed += rows;
        if let Some(at) = ErrorKind::ALL.iter().position(|known| *known == kind) {
            self.by_kind[at] += rows;
        }
    }
}

impl<S: Source, K: Sink> Engine<S, K> {
    pub(in crate::bulk) fn snapshot(&self, now: Instant) -> Snapshot {
        let limited_by = match self.schedule.limited_by(now.into_std()) {
            schedule::LimitedBy::Nothing => String::new(),
            limit => limit.to_string(),
        };
        let kinds = ErrorKind::ALL.into_iter().zip(self.counts.by_kind);
        Snapshot {
            read: self.counts.read,
            done: self.counts.ok + self.counts.failed,
            ok: self.counts.ok,
            failed: self.counts.failed,
            failed_by_kind: kinds.filter(|(_, count)| *count > 0).collect(),
            in_flight: self.schedule.in_flight(),
            parked: self.schedule.parked() as u64,
            retrying: self.schedule.waiting_retry(),
            total: self.prior.wanted().or(self.source.total()),
            progress_bytes: self.source.progress_bytes(),
            limited_by,
        }
    }
}
