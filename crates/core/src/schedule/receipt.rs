//! What a run did to each host, as evidence that it was polite: the most requests at once, the most starts in any
//! second, and starts during a Retry-After that was known.
//!
//! Counted from starts, ends and holds alone, and never from what the schedule decided, so that a fault of the schedule
//! shows here. A host's figures ([`Receipt`]) stand beside the host; when the host is forgotten they go to
//! [`Receipts`], which keeps the busiest hosts whole and of the others 16 bytes, and gives them back if the host returns.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// The figures of one host. 32 bytes, and 72 more once two starts came within a second or the host asked to be left
/// alone.
#[derive(Clone, Debug, Default)]
pub struct Receipt {
    recent: Option<Box<Recent>>,
    starts: u64,
    /// The newest slot of time with a start; `None` before the first.
    slot: Option<Slot>,
    in_flight: u32,
    most_at_once: u32,
    most_per_second: u32,
}

/// What most hosts never have.
#[derive(Clone, Debug, Default)]
struct Recent {
    /// Until when the host has asked to be left alone, the latest of all it has said.
    hold: Option<Instant>,
    retry_after_violations: u32,
    /// Starts in each slot, newest first; without them there is one, in the newest. `sum` is that of all.
    slots: [u16; SLOTS],
    sum: u32,
}

impl Recent {
    fn count(starts: u16) -> Self {
        let mut slots = [0; SLOTS];
        slots[0] = starts;
        Recent { slots, sum: starts.into(), ..Recent::default() }
    }

    /// A start, in a slot so many after the newest.
    fn on_start(&mut self, passed: usize) {
        if passed > 0 {
            self.sum -= self.slots[SLOTS - passed..].iter().map(|starts| u32::from(*starts)).sum::<u32>();
            self.slots.copy_within(..SLOTS - passed, passed);
            self.slots[..passed].fill(0);
        }
        let room = self.slots[0] < u16::MAX;
        self.slots[0] += u16::from(room);
        self.sum += u32::from(room);
    }
}

/// A span of [`SLOT_MILLIS`] by its number from 1 on, since the run's first start.
type Slot = NonZeroU32;

impl Receipt {
    /// The host has asked to be left alone until then. Never shortens what it has asked before.
    pub fn on_hold(&mut self, until: Instant) {
        let hold = &mut self.recent().hold;
        *hold = (*hold).max(Some(until));
    }

    /// A request starts. Whether that broke a hold. To be called by [`Receipts::on_start`], which counts the total.
    fn on_start(&mut self, slot: Slot, now: Instant) -> bool {
        self.starts += 1;
        self.in_flight += 1;
        self.most_at_once = self.most_at_once.max(self.in_flight);
        self.most_per_second = self.most_per_second.max(self.count_slot(slot));
        let Some(recent) = &mut self.recent else { return false };
        let broke = recent.hold.is_some_and(|until| now < until);
        recent.retry_after_violations += u32::from(broke);
        broke
    }

    fn on_end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Starts in the slots that the second up to now touches, this one included: what the second holds and up to
    /// a slot more, never less.
    fn count_slot(&mut self, slot: Slot) -> u32 {
        let passed = self.slot.map_or(SLOTS, |newest| slot.get().saturating_sub(newest.get()) as usize);
        if passed >= SLOTS {
            self.slot = Some(slot);
            self.recent = self.recent.take().filter(|recent| recent.hold.is_some());
            if let Some(recent) = &mut self.recent {
                let Recent { slots, sum, .. } = Recent::count(1);
                (recent.slots, recent.sum) = (slots, sum);
            }
            return 1;
        }
        let recent = self.recent();
        recent.on_start(passed);
        let sum = recent.sum;
        self.slot = self.slot.max(Some(slot));
        sum
    }

    fn recent(&mut self) -> &mut Recent {
        let starts = u16::from(self.slot.is_some());
        self.recent.get_or_insert_with(|| Box::new(Recent::count(starts)))
    }

    /// Whether later figures do not depend on anything but the totals. `slot` is that of `now`.
    fn is_settled(&self, slot: Slot, now: Instant) -> bool {
        let quiet = |newest: Slot| slot.get().saturating_sub(newest.get()) as usize >= SLOTS;
        let hold = self.recent.as_ref().and_then(|recent| recent.hold);
        self.in_flight == 0 && hold.is_none_or(|until| until <= now) && self.slot.is_none_or(quiet)
    }

    fn retry_after_violations(&self) -> u32 {
        self.recent.as_ref().map_or(0, |recent| recent.retry_after_violations)
    }

    /// What is shown first: hosts that were wronged, then the busiest.
    fn rank(&self) -> (u32, u64) {
        (self.retry_after_violations(), self.starts)
    }

    fn named(&self, host: &str) -> HostReceipt {
        HostReceipt {
            host: host.to_owned(),
            most_at_once: self.most_at_once,
            most_per_second: self.most_per_second,
            starts: self.starts,
            retry_after_violations: self.retry_after_violations(),
        }
    }
}

/// The totals of a run, and the figures of hosts that were forgotten since.
#[derive(Debug)]
pub struct Receipts {
    /// Where the slots of time count from.
    began: Option<Instant>,
    in_flight: u64,
    most_at_once: u64,
    retry_after_violations: u64,
    /// Forgotten hosts, whole.
    kept: BTreeMap<Box<str>, Receipt>,
    /// Forgotten hosts that had fewer starts than those, by the hash of their name.
    merged: HashMap<u64, Merged, BuildHasherDefault<DefaultHasher>>,
    merge_above: usize,
}

impl Receipts {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Receipts {
            began: None,
            in_flight: 0,
            most_at_once: 0,
            retry_after_violations: 0,
            kept: BTreeMap::new(),
            merged: HashMap::default(),
            merge_above: 2 * LISTED,
        }
    }

    /// A request to this host starts.
    pub fn on_start(&mut self, host: &mut Receipt, now: Instant) {
        self.in_flight += 1;
        self.most_at_once = self.most_at_once.max(self.in_flight);
        self.began.get_or_insert(now);
        self.retry_after_violations += u64::from(host.on_start(self.slot(now), now));
    }

    /// A request to this host ended, however it did.
    pub fn on_end(&mut self, host: &mut Receipt) {
        self.in_flight = self.in_flight.saturating_sub(1);
        host.on_end();
    }

    /// The figures of a host that comes, or comes again: they go on where they were given up.
    pub fn resume(&mut self, host: &str) -> Receipt {
        if self.kept.is_empty() && self.merged.is_empty() {
            return Receipt::default();
        }
        let merged = |receipts: &mut Self| receipts.merged.remove(&receipts.merged.hasher().hash_one(host));
        self.kept.remove(host).or_else(|| merged(self).map(Merged::into_receipt)).unwrap_or_default()
    }

    /// The host is forgotten; its figures are kept here.
    pub fn retire(&mut self, host: &str, receipt: Receipt, now: Instant) {
        if receipt.starts == 0 && receipt.is_settled(self.slot(now), now) {
            return;
        }
        self.kept.insert(host.into(), receipt);
        if self.kept.len() > self.merge_above {
            self.merge(now);
            // Hosts that are not settled yet stay as well; twice as many before the next merge make it O(1) a host.
            self.merge_above = (2 * self.kept.len()).max(2 * LISTED);
        }
    }

    /// The whole account; `live` are the hosts that are not retired. O(hosts).
    pub fn summary<'a>(&'a self, live: impl Iterator<Item = (&'a str, &'a Receipt)>) -> ReceiptSummary {
        let mut listed = Vec::new();
        let mut hosts_total = self.merged.len() as u64;
        let mut most_per_second = self.merged.values().map(|merged| u32::from(merged.most_per_second)).max();
        for (host, receipt) in live.chain(self.kept.iter().map(|(host, receipt)| (&**host, receipt))) {
            if receipt.starts > 0 {
                hosts_total += 1;
                most_per_second = most_per_second.max(Some(receipt.most_per_second));
                listed.push((Reverse(receipt.rank()), host, receipt));
            }
            if listed.len() >= 2 * LISTED {
                keep_first(&mut listed);
            }
        }
        keep_first(&mut listed);
        listed.sort_unstable_by_key(|(rank, host, _)| (*rank, *host));
        ReceiptSummary {
            hosts: listed.into_iter().map(|(_, host, receipt)| receipt.named(host)).collect(),
            most_at_once: self.most_at_once,
            most_per_second: most_per_second.unwrap_or(0),
            retry_after_violations: self.retry_after_violations,
            hosts_total,
        }
    }

    /// The slot that `now` is in. They last six years; after that all starts are of one second.
    fn slot(&self, now: Instant) -> Slot {
        let passed = self.began.map_or(Duration::ZERO, |began| now.saturating_duration_since(began));
        let slots = passed.as_secs().saturating_mul(SLOTS_A_SECOND) + u64::from(passed.subsec_millis() / SLOT_MILLIS);
        u32::try_from(slots).map_or(Slot::MAX, |slots| Slot::MIN.saturating_add(slots))
    }

    /// Merges what is not among the first and no longer needed whole.
    fn merge(&mut self, now: Instant) {
        let slot = self.slot(now);
        let mut order: Vec<_> = self.kept.iter().map(|(host, receipt)| (Reverse(receipt.rank()), host)).collect();
        let (_, (rank, host), _) = order.select_nth_unstable(LISTED - 1);
        let (last_rank, last_host, merged) = (*rank, host.clone(), &mut self.merged);
        self.kept.retain(|host, receipt| {
            let is_listed = (Reverse(receipt.rank()), host) <= (last_rank, &last_host);
            let stays = is_listed || receipt.retry_after_violations() > 0 || !receipt.is_settled(slot, now);
            if !stays {
                merged.insert(merged.hasher().hash_one(&**host), Merged::of(receipt));
            }
            stays
        });
    }
}

impl Default for Receipts {
    fn default() -> Self {
        Receipts::new()
    }
}

/// A settled host that is no longer kept by name.
#[derive(Debug)]
struct Merged {
    starts: u32,
    most_at_once: u16,
    most_per_second: u16,
}

impl Merged {
    fn of(receipt: &Receipt) -> Self {
        let short = |count: u32| u16::try_from(count).unwrap_or(u16::MAX);
        Merged {
            starts: u32::try_from(receipt.starts).unwrap_or(u32::MAX),
            most_at_once: short(receipt.most_at_once),
            most_per_second: short(receipt.most_per_second),
        }
    }

    fn into_receipt(self) -> Receipt {
        Receipt {
            starts: u64::from(self.starts),
            most_at_once: u32::from(self.most_at_once),
            most_per_second: u32::from(self.most_per_second),
            ..Receipt::default()
        }
    }
}

/// What a run did to its hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptSummary {
    /// The 1,000 hosts with most starts, most first; before them hosts with violations, should there be any.
    pub hosts: Vec<HostReceipt>,
    /// The most requests in flight at once over all hosts.
    pub most_at_once: u64,
    /// The most starts in any second at any one host, of those too that are not listed.
    pub most_per_second: u32,
    /// Starts, at all hosts, while the host's Retry-After was not over. 0, unless there is a fault in Gannet.
    pub retry_after_violations: u64,
    /// Hosts with at least one start.
    pub hosts_total: u64,
}

/// What a run did to one host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReceipt {
    /// Name and port.
    pub host: String,
    /// The most requests in flight at once.
    pub most_at_once: u32,
    /// The most starts in any second: never too low, and too high by no more than the starts of the 50 ms before it.
    pub most_per_second: u32,
    /// Starts in all, repeated attempts among them.
    pub starts: u64,
    /// Starts while the host's Retry-After was known and not over.
    pub retry_after_violations: u32,
}

fn keep_first<T: Ord, U: Ord, V>(listed: &mut Vec<(T, U, V)>) {
    if listed.len() > LISTED {
        listed.select_nth_unstable_by(LISTED - 1, |one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
        listed.truncate(LISTED);
    }
}

/// Hosts that are listed by name.
const LISTED: usize = 1_000;

const SLOT_MILLIS: u32 = 50;
const SLOTS_A_SECOND: u64 = 1000 / SLOT_MILLIS as u64;

/// A second wherever it begins touches no more than these: twenty and one.
const SLOTS: usize = SLOTS_A_SECOND as usize + 1;

#[cfg(test)]
mod tests;
