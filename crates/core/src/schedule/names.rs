//! Hosts by their names: a name is kept once, in place where it is short, and found again by a table of numbers.

use std::fmt;
use std::hash::{BuildHasher, Hasher};

use hashbrown::HashTable;

/// A name in 24 bytes, on the heap only if it is longer than 22 of them.
pub(super) enum Name {
    Short(u8, [u8; SHORT]),
    Long(Box<str>),
}

impl Name {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Name::Short(..) => str::from_utf8(self.as_bytes()).expect("invariant: a name was made from a text"),
            Name::Long(name) => name,
        }
    }

    /// Cheaper than the text where it is only compared.
    fn as_bytes(&self) -> &[u8] {
        match self {
            Name::Short(len, bytes) => &bytes[..usize::from(*len)],
            Name::Long(name) => name.as_bytes(),
        }
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..name.len()), u8::try_from(name.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(name.as_bytes());
                Name::Short(len, bytes)
            }
            _ => Name::Long(name.into()),
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// The numbers of the hosts that have one, by the hash of a name: five bytes a place. The names stand with the hosts.
#[derive(Debug)]
pub(super) struct Index {
    table: HashTable<u32>,
    seed: Seed,
}

impl Index {
    pub(super) fn new(seed: Seed) -> Self {
        Index { table: HashTable::new(), seed }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// The number under this name, if there is one.
    pub(super) fn get<'a>(&self, name: &str, name_of: impl Fn(u32) -> &'a Name) -> Option<u32> {
        let is_it = |id: &u32| name_of(*id).as_bytes() == name.as_bytes();
        self.table.find(self.seed.hash(name.as_bytes()), is_it).copied()
    }

    /// Whether the next one makes it grow: then [`Index::rebuild`] does that in the order of the numbers, where the
    /// table by itself would look up the names in its own order, and each would be a miss of the processor's caches.
    pub(super) fn is_full(&self) -> bool {
        self.table.len() == self.table.capacity()
    }

    /// A table of twice the size for these, all there are.
    pub(super) fn rebuild<'a>(&mut self, all: impl Iterator<Item = (u32, &'a Name)>) {
        self.table = HashTable::with_capacity(2 * self.table.len().max(LEAST));
        for (id, name) in all {
            self.insert(id, name);
        }
    }

    /// Adds a number under a name that has none. The caller has asked [`Index::is_full`].
    pub(super) fn insert(&mut self, id: u32, name: &Name) {
        let grown = |_: &u32| unreachable!("invariant: a full index is rebuilt before another name comes");
        self.table.insert_unique(self.seed.hash(name.as_bytes()), id, grown);
    }

    pub(super) fn remove(&mut self, id: u32, name: &Name) {
        if let Ok(entry) = self.table.find_entry(self.seed.hash(name.as_bytes()), |other| *other == id) {
            entry.remove();
        }
    }
}

/// Hashes names by folded multiplication, eight bytes at a time: each row is looked up once, so it had better be cheap.
/// Seeded, so that no input collides in every run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seed(pub(super) u64);

impl Seed {
    fn hash(self, name: &[u8]) -> u64 {
        let mut hasher = self.build_hasher();
        hasher.write(name);
        hasher.finish()
    }
}

impl BuildHasher for Seed {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        Folded(self.0 ^ FOLD)
    }
}

pub(super) struct Folded(u64);

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
        self.write_u64(bytes.len() as u64);
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * u128::from(FOLD);
        self.0 = (product as u64) ^ (product >> 64) as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

const FOLD: u64 = 0x9E37_79B9_7F4A_7C15;

const SHORT: usize = 22;

/// Hosts for which there is room from the first one on.
const LEAST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_length_come_back_and_short_ones_touch_no_heap() {
        for length in [0, 1, SHORT - 1, SHORT, SHORT + 1, 300] {
            let text = "ä".repeat(length / 2) + &"x".repeat(length % 2);
            let name = Name::from(text.as_str());
            assert_eq!(name.as_str(), text);
            assert_eq!(matches!(name, Name::Short(..)), length <= SHORT);
        }
        assert!(size_of::<Name>() <= 24);
    }

    #[test]
    fn each_name_has_its_number_until_it_is_removed() {
        let names: Vec<Name> = (0..10_000).map(|n| Name::from(format!("host-{n}").as_str())).collect();
        let mut index = Index::new(Seed(1));
        for (id, name) in (0u32..).zip(&names) {
            if index.is_full() {
                index.rebuild((0..id).map(|id| (id, &names[id as usize])));
            }
            index.insert(id, name);
        }
        let find = |index: &Index, n: u32| index.get(&format!("host-{n}"), |id| &names[id as usize]);
        assert!((0..10_000).all(|n| find(&index, n) == Some(n)));
        (0..10_000).filter(|n| n % 3 == 0).for_each(|id| index.remove(id, &names[id as usize]));
        assert!((0..10_000).all(|n| find(&index, n) == (n % 3 > 0).then_some(n)));
        assert_eq!((index.len(), find(&index, 10_000)), (6_666, None));
    }
}
