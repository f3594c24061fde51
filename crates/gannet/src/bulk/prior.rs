//! What earlier runs over the same input came to: which rows are done, which had attempts, which were under way and
//! must not be sent twice. Asked by the engine for each row it reads; read from a run's state.

use std::collections::HashMap;
use std::time::Duration;

use gannet_core::ErrorKind;

/// What is known of earlier runs; nothing by default.
#[derive(Debug, Default)]
pub struct Prior {
    pub(super) done: Bits,
    /// Only these rows are asked for; all by default.
    pub(super) wanted: Option<Bits>,
    pub(super) pending: HashMap<u64, Pending>,
    /// Rows that were done and whose outcome is gone: sent, and not to be sent twice unless they may be.
    pub(super) lost: Bits,
    /// Hosts that asked to be left alone, for how long from now.
    pub(super) holds: Vec<(String, Duration)>,
    /// Rows that are done and ok.
    pub(super) ok: u64,
    /// Rows that are done and failed, by what went wrong.
    pub(super) failed: Vec<(ErrorKind, u64)>,
    /// Rows that were under way are sent again, whatever their method.
    pub(super) resend_in_doubt: bool,
}

/// A row that was read and is not done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pending {
    /// Attempts that ended.
    pub(super) attempts: u32,
    /// Another was under way, of a request that must not be sent twice.
    pub(super) in_doubt: bool,
}

/// What is to become of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing: it is done, or not asked for.
    Skip,
    /// Another attempt began after so many: it is finished as in doubt if it must not be sent twice, else sent.
    InDoubt { attempts: u32 },
    /// It is sent, after so many attempts.
    Send { attempts: u32 },
}

impl Prior {
    /// Whether the row is to be asked, and after how many attempts.
    pub(super) fn fate(&self, index: u64) -> Fate {
        if self.done.has(index) || self.wanted.as_ref().is_some_and(|wanted| !wanted.has(index)) {
            return Fate::Skip;
        }
        let Pending { attempts, in_doubt } = self.pending.get(&index).copied().unwrap_or_default();
        if (in_doubt || self.lost.has(index)) && !self.resend_in_doubt {
            return Fate::InDoubt { attempts };
        }
        Fate::Send { attempts }
    }

    /// Rows that are done.
    pub fn done(&self) -> u64 {
        self.done.len()
    }

    /// Rows among those to be asked that were under way at the end of an earlier run and must not be sent twice.
    pub fn in_doubt(&self) -> u64 {
        let in_doubt = self.pending.iter().filter(|(_, pending)| pending.in_doubt);
        in_doubt.filter(|(index, _)| self.fate(**index) != Fate::Skip).count() as u64
    }

    /// Hosts that asked to be left alone, and still do.
    pub fn held_hosts(&self) -> usize {
        self.holds.len()
    }

    /// The rows that are asked for, where those are not all.
    pub fn wanted(&self) -> Option<u64> {
        self.wanted.as_ref().map(Bits::len)
    }

    /// Rows in doubt are sent again, at the risk of doing their work twice; off.
    pub fn set_resend_in_doubt(&mut self, on: bool) {
        self.resend_in_doubt = on;
    }
}

/// A set of indices, a bit for each up to the largest.
#[derive(Clone, Debug, Default)]
pub(super) struct Bits {
    words: Vec<u64>,
    len: u64,
}

impl Bits {
    pub(super) fn has(&self, index: u64) -> bool {
        let word = usize::try_from(index / 64).ok().and_then(|at| self.words.get(at));
        word.is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Adds it; whether it was not there.
    #[cfg(any(feature = "state", test))]
    pub(super) fn insert(&mut self, index: u64) -> bool {
        let at = usize::try_from(index / 64).expect("invariant: an index counts rows that were read");
        if at >= self.words.len() {
            self.words.resize(at + 1, 0);
        }
        let bit = 1 << (index % 64);
        let is_new = self.words[at] & bit == 0;
        self.words[at] |= bit;
        self.len += u64::from(is_new);
        is_new
    }

    /// Takes it out; whether it was there.
    #[cfg(feature = "state")]
    pub(super) fn remove(&mut self, index: u64) -> bool {
        let was_there = self.has(index);
        if was_there {
            self.words[(index / 64) as usize] &= !(1 << (index % 64));
            self.len -= 1;
        }
        was_there
    }

    /// Its members, the smallest first.
    #[cfg(feature = "state")]
    pub(super) fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        let words = (0u64..).zip(&self.words);
        words.flat_map(|(at, &word)| (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at * 64 + bit))
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_has_the_fate_that_is_known_of_it() {
        let mut prior = Prior::default();
        for index in [0, 64, 1000] {
            assert!(prior.done.insert(index));
            assert!(!prior.done.insert(index));
        }
        prior.pending.insert(1, Pending { attempts: 2, in_doubt: false });
        prior.pending.insert(2, Pending { attempts: 1, in_doubt: true });
        let fates = |prior: &Prior| [0, 1, 2, 3, 64, 999, 1000, u64::MAX].map(|index| prior.fate(index));
        let send = |attempts| Fate::Send { attempts };
        let mut wanted =
            [Fate::Skip, send(2), Fate::InDoubt { attempts: 1 }, send(0), Fate::Skip, send(0), Fate::Skip, send(0)];
        assert_eq!(fates(&prior), wanted);
        assert_eq!((prior.done(), prior.in_doubt()), (3, 1));
        prior.set_resend_in_doubt(true);
        wanted[2] = send(1);
        assert_eq!(fates(&prior), wanted);
        prior.set_resend_in_doubt(false);
        prior.lost.insert(3);
        assert_eq!(prior.fate(3), Fate::InDoubt { attempts: 0 });
        assert_eq!(prior.in_doubt(), 1, "it was not under way");
        let mut only = Bits::default();
        only.insert(3);
        prior.wanted = Some(only);
        assert_eq!(fates(&prior).iter().filter(|fate| **fate != Fate::Skip).count(), 1);
    }
}
