//! What was learnt of hosts that were forgotten otherwise: bounded, those not heard of for longest go first.
//! Two generations: what is kept or asked for is in the young one; when that is full it becomes the old one, and what
//! is left of the old one goes.

use std::collections::HashMap;

use super::names::Seed;
use crate::limit::Learnt;

#[derive(Debug)]
pub(super) struct Memory {
    young: HashMap<Box<str>, Learnt, Seed>,
    old: HashMap<Box<str>, Learnt, Seed>,
}

impl Memory {
    pub(super) fn new(seed: u64) -> Self {
        Memory { young: HashMap::with_hasher(Seed(seed)), old: HashMap::with_hasher(Seed(seed)) }
    }

    /// Remembers this of a host.
    pub(super) fn keep(&mut self, host: Box<str>, learnt: Learnt) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::replace(&mut self.young, HashMap::with_hasher(*self.old.hasher()));
        }
        self.old.remove(&host);
        self.young.insert(host, learnt);
    }

    /// What is remembered of a host, which from now on its slot remembers.
    pub(super) fn take(&mut self, host: &str) -> Option<Learnt> {
        if self.young.is_empty() && self.old.is_empty() {
            return None;
        }
        self.young.remove(host).or_else(|| self.old.remove(host))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Learnt)> {
        self.young.iter().chain(&self.old).map(|(host, learnt)| (&**host, *learnt))
    }
}

/// Half of the hosts that are remembered: 65,536 of them, at about 150 bytes.
const GENERATION: usize = 32_768;

#[cfg(test)]
mod tests {
    use super::*;

    fn learnt(rate: f64) -> Learnt {
        Learnt { rate: Some(rate), ..Learnt::default() }
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_newest_stay() {
        let mut memory = Memory::new(1);
        for host in 0..200_000u32 {
            memory.keep(host.to_string().into(), learnt(f64::from(host)));
        }
        let kept = memory.iter().count();
        assert!((32_768..=65_536).contains(&kept), "{kept}");
        assert_eq!(memory.take("199999"), Some(learnt(199_999.0)));
        assert_eq!(memory.take("199999"), None);
        assert_eq!(memory.take("7"), None);
    }

    #[test]
    fn a_host_is_remembered_once_with_the_latest_word() {
        let mut memory = Memory::new(1);
        memory.keep("a".into(), learnt(1.0));
        for host in 0..40_000u32 {
            memory.keep(host.to_string().into(), learnt(0.5));
        }
        memory.keep("a".into(), learnt(2.0));
        let all: Vec<_> = memory.iter().filter(|(host, _)| *host == "a").collect();
        assert_eq!(all, [("a", learnt(2.0))]);
    }
}
