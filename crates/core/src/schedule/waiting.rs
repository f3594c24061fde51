//! Rows between two attempts, and the instants something is due at. A row is named by a key that dies with it,
//! so that timers and queues may keep keys of rows long gone.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use super::RowRef;

/// A row with the attempt that is under way, or will be next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Try {
    pub(super) row: RowRef,
    pub(super) host: u32,
    pub(super) attempt: u32,
    pub(super) deadline: Option<Instant>,
    /// Since when this machine has been too short of resources for it.
    pub(super) short_since: Option<Instant>,
}

impl Try {
    /// Whether a start at this instant would be at or past the deadline.
    pub(super) fn is_late(&self, at: Instant) -> bool {
        self.deadline.is_some_and(|deadline| at >= deadline)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    slot: u32,
    stamp: u32,
}

/// The rows that wait for another attempt.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    stamp: u32,
    held: Option<Try>,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn insert(&mut self, held: Try) -> Key {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { stamp: 0, held: None });
            u32::try_from(self.slots.len() - 1).expect("invariant: fewer than 2^32 rows wait at once")
        });
        let place = &mut self.slots[slot as usize];
        place.held = Some(held);
        Key { slot, stamp: place.stamp }
    }

    pub(super) fn get(&self, key: Key) -> Option<Try> {
        self.slots.get(key.slot as usize).filter(|slot| slot.stamp == key.stamp)?.held
    }

    pub(super) fn take(&mut self, key: Key) -> Option<Try> {
        let slot = self.slots.get_mut(key.slot as usize).filter(|slot| slot.stamp == key.stamp)?;
        let held = slot.held.take()?;
        slot.stamp = slot.stamp.wrapping_add(1);
        self.free.push(key.slot);
        Some(held)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wake {
    /// The host may start again.
    Host(u32),
    /// The row's backoff is over.
    Due(Key),
    /// The row, whose backoff is over, must not start any more. Stale once it has started.
    Deadline(Key),
}

/// What is due when, the earliest first. 24 bytes each, where an `Instant` would make it 32.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// What the nanoseconds in the heap count from: the first instant there was.
    base: Option<Instant>,
    heap: BinaryHeap<Reverse<(i64, Wake)>>,
    stale: usize,
}

impl Timers {
    pub(super) fn push(&mut self, at: Instant, wake: Wake) {
        let base = *self.base.get_or_insert(at);
        let nanos = |passed: Duration| i64::try_from(passed.as_nanos()).unwrap_or(i64::MAX);
        let since = at.checked_duration_since(base).map_or_else(|| -nanos(base.duration_since(at)), nanos);
        self.heap.push(Reverse((since, wake)));
    }

    pub(super) fn next(&self) -> Option<Instant> {
        let Reverse((since, _)) = *self.heap.peek()?;
        let (base, passed) = (self.base?, Duration::from_nanos(since.unsigned_abs()));
        if since < 0 { base.checked_sub(passed) } else { base.checked_add(passed) }
    }

    #[inline]
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Wake> {
        if self.heap.is_empty() || self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, wake))| wake)
    }

    /// A row started before its deadline: its timer is stale. When as many became so since the last sweep as half
    /// of all timers, they are swept out, so that long deadlines cost no memory for rows long finished.
    pub(super) fn on_stale(&mut self, waiting: &Waiting) {
        self.stale += 1;
        if self.stale > 64 && self.stale * 2 > self.heap.len() {
            self.heap.retain(|Reverse((_, wake))| !matches!(wake, Wake::Deadline(key) if waiting.get(*key).is_none()));
            self.stale = 0;
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}
