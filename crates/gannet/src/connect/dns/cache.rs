//! What is known of names: answers with their end, and lookups under way. Bounded; the oldest answer goes first,
//! which costs no search.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Failure;

pub(super) type Answer = std::result::Result<Arc<[IpAddr]>, Failure>;

/// `F` is a lookup under way.
pub(super) struct Cache<F> {
    names: HashMap<Arc<str>, Entry<F>>,
    /// Answers by age; one whose number is not the entry's any more is of an answer that was replaced.
    by_age: VecDeque<(Arc<str>, u64)>,
    max: usize,
    next: u64,
}

enum Entry<F> {
    Flying(F),
    Known { answer: Answer, until: Instant, number: u64 },
}

impl<F> Cache<F> {
    /// Lookups under way are beside this bound: there are no more of them than requests that wait for one.
    pub(super) fn new(max: usize) -> Self {
        Cache { names: HashMap::new(), by_age: VecDeque::new(), max: max.max(1), next: 0 }
    }

    /// A fresh answer.
    pub(super) fn known(&self, name: &str, now: Instant) -> Option<&Answer> {
        match self.names.get(name) {
            Some(Entry::Known { answer, until, .. }) if now < *until => Some(answer),
            _ => None,
        }
    }

    /// The lookup under way for it.
    pub(super) fn flight(&self, name: &str) -> Option<&F> {
        match self.names.get(name) {
            Some(Entry::Flying(flight)) => Some(flight),
            _ => None,
        }
    }

    /// A lookup begins.
    pub(super) fn take_off(&mut self, name: Arc<str>, flight: F) {
        self.names.insert(name, Entry::Flying(flight));
    }

    /// A lookup is over; its answer is kept so long. Gives the lookup back, to tell those who wait.
    pub(super) fn land(&mut self, name: &Arc<str>, answer: Answer, ttl: Duration, now: Instant) -> Option<F> {
        let Some(Entry::Flying(flight)) = self.names.remove(name) else { return None };
        if !ttl.is_zero() {
            self.make_room();
            let number = self.next;
            self.next += 1;
            self.names.insert(name.clone(), Entry::Known { answer, until: now + ttl, number });
            self.by_age.push_back((name.clone(), number));
        }
        Some(flight)
    }

    /// A lookup is over without an answer.
    pub(super) fn abandon(&mut self, name: &str) -> Option<F> {
        self.flight(name)?;
        match self.names.remove(name) {
            Some(Entry::Flying(flight)) => Some(flight),
            _ => None,
        }
    }

    /// Forgets every answer; lookups under way go on.
    pub(super) fn clear(&mut self) {
        self.names.retain(|_, entry| matches!(entry, Entry::Flying(_)));
        self.by_age.clear();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    fn make_room(&mut self) {
        while self.names.len() >= self.max {
            let Some((name, number)) = self.by_age.pop_front() else { break };
            if self.is_current(&name, number) {
                self.names.remove(&name);
            }
        }
        // A few names that are asked again and again leave their replaced answers behind.
        if self.by_age.len() > 2 * self.names.len() + 16 {
            let by_age = std::mem::take(&mut self.by_age);
            self.by_age = by_age.into_iter().filter(|(name, number)| self.is_current(name, *number)).collect();
        }
    }

    fn is_current(&self, name: &str, number: u64) -> bool {
        matches!(self.names.get(name), Some(Entry::Known { number: current, .. }) if *current == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(cache: &mut Cache<()>, name: &str, now: Instant) {
        let name: Arc<str> = name.into();
        cache.take_off(name.clone(), ());
        cache.land(&name, Ok(Arc::new([])), Duration::from_secs(30), now);
    }

    #[test]
    fn item_32_it_is_bounded_and_the_oldest_answer_goes_first() {
        let (mut cache, now) = (Cache::new(3), Instant::now());
        for name in ["a", "b", "c", "a", "d"] {
            learn(&mut cache, name, now);
        }
        let known = ["a", "b", "c", "d"].map(|name| cache.known(name, now).is_some());
        assert_eq!(known, [true, false, true, true], "a was learnt anew");
        for number in 0..10_000 {
            learn(&mut cache, &number.to_string(), now);
            learn(&mut cache, "again", now);
            assert!(cache.len() <= 3 && cache.by_age.len() <= 2 * 3 + 17);
        }
    }

    #[test]
    fn an_answer_ends_and_one_of_no_length_is_not_kept() {
        let (mut cache, now) = (Cache::new(3), Instant::now());
        learn(&mut cache, "a", now);
        assert!(cache.known("a", now + Duration::from_secs(29)).is_some());
        assert!(cache.known("a", now + Duration::from_secs(30)).is_none());
        let name: Arc<str> = "b".into();
        cache.take_off(name.clone(), ());
        assert_eq!(cache.land(&name, Ok(Arc::new([])), Duration::ZERO, now), Some(()));
        assert!(cache.known("b", now).is_none() && cache.flight("b").is_none());
    }
}
