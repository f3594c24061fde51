//! Results in the order of the input: what is finished before its turn waits here. Memory is bounded in bytes;
//! above the bound the entries whose turn is furthest away are handed out to be written to disk, and only where
//! they were written is remembered. The driver does the writing and reading; nothing here touches a file.

use std::collections::BTreeMap;

/// Where a spilled entry was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpillAt {
    /// The place of its first byte.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u32,
}

/// An entry whose turn has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready<T> {
    /// It was in memory.
    Held(T),
    /// It is on disk.
    Spilled(SpillAt),
}

/// Brings entries into the order of their indices. Every index from the first on is pushed exactly once, without gaps.
///
/// Use: `push`, then [`Reorder::pop_ready`] until `None`, then [`Reorder::over_budget`] until `None`. After that,
/// memory is within the bound. A spilled entry costs 24 bytes and its share of the map.
#[derive(Debug)]
pub struct Reorder<T> {
    next: u64,
    held: BTreeMap<u64, Held<T>>,
    spilled: BTreeMap<u64, SpillAt>,
    held_bytes: usize,
    bound: usize,
}

#[derive(Debug)]
struct Held<T> {
    entry: T,
    bytes: usize,
}

impl<T> Reorder<T> {
    /// Nothing held, the first turn being that of index `first`, with at most `bound` bytes in memory.
    pub fn new(first: u64, bound: usize) -> Self {
        Reorder { next: first, held: BTreeMap::new(), spilled: BTreeMap::new(), held_bytes: 0, bound }
    }

    /// Takes an entry that occupies `bytes` of memory.
    pub fn push(&mut self, index: u64, entry: T, bytes: usize) {
        debug_assert!(index >= self.next && !self.spilled.contains_key(&index), "index {index} came twice");
        self.held_bytes = self.held_bytes.saturating_add(bytes);
        let before = self.held.insert(index, Held { entry, bytes });
        debug_assert!(before.is_none(), "index {index} came twice");
    }

    /// The entry whose turn it is, if it is finished.
    pub fn pop_ready(&mut self) -> Option<(u64, Ready<T>)> {
        let index = self.next;
        let ready = if self.held.first_key_value().is_some_and(|(first, _)| *first == index) {
            let (_, held) = self.held.pop_first()?;
            self.held_bytes = self.held_bytes.saturating_sub(held.bytes);
            Ready::Held(held.entry)
        } else if self.spilled.first_key_value().is_some_and(|(first, _)| *first == index) {
            let (_, at) = self.spilled.pop_first()?;
            Ready::Spilled(at)
        } else {
            return None;
        };
        self.next += 1;
        Some((index, ready))
    }

    /// The entry whose turn it is needs no waiting: it was never pushed, and the next one's turn comes.
    pub fn skip(&mut self) {
        debug_assert!(!self.held.contains_key(&self.next) && !self.spilled.contains_key(&self.next));
        self.next += 1;
    }

    /// While more than the bound is held: the entry whose turn is furthest away, to be written to disk and
    /// reported by [`Reorder::on_spilled`]. Until then it is not ready. An entry whose turn it is is never given out.
    pub fn over_budget(&mut self) -> Option<(u64, T)> {
        if self.held_bytes <= self.bound {
            return None;
        }
        let last = self.held.last_entry().filter(|last| *last.key() != self.next)?;
        let (index, held) = last.remove_entry();
        self.held_bytes = self.held_bytes.saturating_sub(held.bytes);
        Some((index, held.entry))
    }

    /// An entry that [`Reorder::over_budget`] gave out was written.
    pub fn on_spilled(&mut self, index: u64, at: SpillAt) {
        self.spilled.insert(index, at);
    }

    /// Whether more than the bound is held, so that [`Reorder::over_budget`] may have something to give.
    pub fn is_over_budget(&self) -> bool {
        self.held_bytes > self.bound
    }

    /// The index whose turn it is.
    pub fn next_index(&self) -> u64 {
        self.next
    }

    /// Bytes in memory, as they were given to [`Reorder::push`].
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Entries in memory.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Entries on disk.
    pub fn spilled(&self) -> usize {
        self.spilled.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Does what a driver does after each push; gives out the indices whose turn came.
    fn drain(reorder: &mut Reorder<u64>, disk: &mut Vec<u64>) -> Vec<u64> {
        let mut out = Vec::new();
        while let Some((index, ready)) = reorder.pop_ready() {
            let entry = match ready {
                Ready::Held(entry) => entry,
                Ready::Spilled(at) => disk[at.offset as usize],
            };
            assert_eq!(entry, index * 10, "each index with its own entry");
            out.push(index);
        }
        while let Some((index, entry)) = reorder.over_budget() {
            let at = SpillAt { offset: disk.len() as u64, len: 1 };
            disk.push(entry);
            reorder.on_spilled(index, at);
        }
        out
    }

    #[test]
    fn the_entry_furthest_away_is_spilled_first() {
        let mut reorder = Reorder::new(0, 20);
        for index in [5, 2, 9, 1] {
            reorder.push(index, index, 10);
        }
        assert_eq!(reorder.over_budget(), Some((9, 9)));
        assert_eq!(reorder.over_budget(), Some((5, 5)));
        assert_eq!(reorder.over_budget(), None);
        assert_eq!(reorder.pop_ready(), None);
        assert_eq!((reorder.held(), reorder.held_bytes()), (2, 20));
    }

    #[test]
    fn an_entry_on_its_way_to_disk_is_not_ready_yet() {
        let mut reorder = Reorder::new(7, 0);
        reorder.push(8, 'b', 1);
        assert_eq!(reorder.over_budget(), Some((8, 'b')));
        reorder.push(7, 'a', 1);
        assert_eq!(reorder.over_budget(), None, "its turn has come: it goes out, not to disk");
        assert_eq!(reorder.pop_ready(), Some((7, Ready::Held('a'))));
        assert_eq!(reorder.pop_ready(), None);
        let at = SpillAt { offset: 3, len: 1 };
        reorder.on_spilled(8, at);
        assert_eq!(reorder.pop_ready(), Some((8, Ready::Spilled(at))));
        assert_eq!(reorder.next_index(), 9);
    }

    #[test]
    fn what_is_remembered_of_a_spilled_entry_is_small() {
        assert!(size_of::<u64>() + size_of::<SpillAt>() <= 24);
    }

    proptest! {
        #[test]
        fn every_index_comes_out_once_in_order_within_the_bound(
            order in Just((0..200u64).collect::<Vec<_>>()).prop_shuffle(),
            sizes in prop::collection::vec(0usize..50, 200),
            bound in 0usize..500,
            first in 0u64..1000,
        ) {
            let mut reorder = Reorder::new(first, bound);
            let (mut disk, mut out) = (Vec::new(), Vec::new());
            for (index, bytes) in order.into_iter().zip(sizes) {
                reorder.push(first + index, (first + index) * 10, bytes);
                out.extend(drain(&mut reorder, &mut disk));
                prop_assert!(reorder.held_bytes() <= bound);
            }
            prop_assert_eq!(out, (first..first + 200).collect::<Vec<_>>());
            prop_assert_eq!((reorder.held(), reorder.spilled(), reorder.held_bytes()), (0, 0, 0));
        }
    }
}
