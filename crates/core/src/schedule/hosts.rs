//! The hosts of a run, by number and by name. A host costs a slot while it has something to remember; slots of others
//! are swept and used again, so that a million hosts one after another stay few.

use std::ops::{Index, IndexMut};
use std::time::Instant;

use super::host::Host;
use super::memory::Memory;
use super::names::{self, Name, Seed};
use super::receipt::Receipts;
use crate::limit::{Learnt, Pace};

/// The hosts by number and by name.
#[derive(Debug)]
pub(super) struct Hosts {
    slots: Slots,
    free: Vec<u32>,
    names: names::Index,
    sweep_at: usize,
    /// What was learnt of hosts that have no slot.
    memory: Memory,
    pub(super) receipts: Receipts,
}

impl Hosts {
    pub(super) fn new(seed: u64) -> Self {
        Hosts {
            slots: Slots::default(),
            free: Vec::new(),
            names: names::Index::new(Seed(seed)),
            sweep_at: FIRST_SWEEP,
            memory: Memory::new(seed),
            receipts: Receipts::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// The number of the host with this name.
    pub(super) fn intern(&mut self, name: &str, now: Instant) -> u32 {
        if let Some(id) = self.find(name) {
            return id;
        }
        if self.names.len() >= self.sweep_at {
            self.sweep(now);
        }
        let mut host = Host::new(Name::from(name), self.receipts.resume(name));
        if let Some(learnt) = self.memory.take(name) {
            host.set_pace(Pace::taught(&learnt, now));
        }
        if self.names.is_full() {
            self.names.rebuild(self.slots.iter().map(|(id, host)| (id, &host.name)));
        }
        let id = self.free.pop().unwrap_or_else(|| self.slots.add());
        self.names.insert(id, &host.name);
        *self.slots.get_mut(id) = Some(host);
        id
    }

    fn find(&self, name: &str) -> Option<u32> {
        self.names.get(name, |id| &self[id].name)
    }

    /// What is known of a host from before.
    pub(super) fn teach(&mut self, name: &str, learnt: Learnt, now: Instant) {
        match self.find(name) {
            Some(id) => self[id].set_pace(Pace::taught(&learnt, now)),
            None => self.memory.keep(name.into(), learnt),
        }
    }

    /// What was learnt, host by host.
    pub(super) fn learnt(&self) -> impl Iterator<Item = (&str, Learnt)> {
        let live = self.iter().filter_map(|host| Some((host.name.as_str(), host.pace()?.learnt()?)));
        live.chain(self.memory.iter())
    }

    /// Counts a start in the account of what was done to the hosts.
    pub(super) fn book_start(&mut self, id: u32, now: Instant) {
        if let Some(host) = self.slots.get_mut(id) {
            self.receipts.on_start(&mut host.receipt, now);
        }
    }

    /// Counts an end there.
    pub(super) fn book_end(&mut self, id: u32) {
        if let Some(host) = self.slots.get_mut(id) {
            self.receipts.on_end(&mut host.receipt);
        }
    }

    /// The host of this number, if it was not forgotten.
    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Host> {
        self.slots.get_mut(id).as_mut()
    }

    /// The numbers of all that are remembered.
    pub(super) fn ids(&self) -> Vec<u32> {
        self.slots.iter().map(|(id, _)| id).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Host> {
        self.slots.iter().map(|(_, host)| host)
    }

    /// Forgets hosts without anything to remember. The next sweep comes when there are twice as many as stayed,
    /// so that sweeping costs O(1) per new host.
    fn sweep(&mut self, now: Instant) {
        for (id, slot) in self.slots.iter_mut() {
            if slot.as_ref().is_some_and(|host| host.is_forgettable(now))
                && let Some(host) = slot.take()
            {
                self.names.remove(id, &host.name);
                self.free.push(id);
                let name = host.name.as_str();
                if let Some(learnt) = host.pace().and_then(Pace::learnt) {
                    self.memory.keep(name.into(), learnt);
                }
                self.receipts.retire(name, host.receipt, now);
            }
        }
        self.sweep_at = (self.names.len() * 2).max(FIRST_SWEEP);
    }
}

impl Index<u32> for Hosts {
    type Output = Host;

    fn index(&self, id: u32) -> &Host {
        self.slots.get(id).expect("invariant: a host with rows is not forgotten")
    }
}

impl IndexMut<u32> for Hosts {
    fn index_mut(&mut self, id: u32) -> &mut Host {
        self.get_mut(id).expect("invariant: a host with rows is not forgotten")
    }
}

/// Places for hosts, in chunks: a vector that doubles would hold all of them twice while it moves, and half of it empty
/// after that.
#[derive(Debug, Default)]
struct Slots {
    chunks: Vec<Vec<Option<Host>>>,
}

impl Slots {
    fn get(&self, id: u32) -> Option<&Host> {
        self.chunks[id as usize / CHUNK][id as usize % CHUNK].as_ref()
    }

    fn get_mut(&mut self, id: u32) -> &mut Option<Host> {
        &mut self.chunks[id as usize / CHUNK][id as usize % CHUNK]
    }

    /// Another place, empty.
    fn add(&mut self) -> u32 {
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            // The first one grows as it must: most runs have few hosts.
            let room = if self.chunks.is_empty() { 0 } else { CHUNK };
            self.chunks.push(Vec::with_capacity(room));
        }
        let before = (self.chunks.len() - 1) * CHUNK;
        let last = self.chunks.last_mut().expect("invariant: a chunk was just added");
        last.push(None);
        u32::try_from(before + last.len() - 1).expect("invariant: fewer than 2^32 hosts at once")
    }

    fn iter(&self) -> impl Iterator<Item = (u32, &Host)> {
        (0u32..).zip(self.chunks.iter().flatten()).filter_map(|(id, slot)| Some((id, slot.as_ref()?)))
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Option<Host>)> {
        (0u32..).zip(self.chunks.iter_mut().flatten())
    }
}

/// 64 KiB.
const CHUNK: usize = 512;

/// Hosts below this many are kept even if idle: most come again.
const FIRST_SWEEP: usize = 16_384;
