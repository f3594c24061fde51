//! How much of one response may be on its way or unread. It begins with what the options say, and grows when a body
//! larger than that is read as fast as it comes: a window holds a download to its size per round trip. It shrinks when
//! more streams come: each that is not read may hold its window's size in memory.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::options::Http;

/// What all streams under way may hold together, where the first window leaves a choice.
const TOGETHER: u32 = 64 << 20;
/// RFC 9113 §6.9.1.
const LARGEST: u32 = (1 << 31) - 1;

pub(crate) struct Window {
    wanted: AtomicU32,
    first: u32,
    max: u32,
}

impl Window {
    pub(super) fn new(options: &Http) -> Self {
        let first = options.stream_window.clamp(1, LARGEST);
        Window { wanted: AtomicU32::new(first), first, max: options.stream_window_max.clamp(first, LARGEST) }
    }

    /// What the server is to be told.
    pub(super) fn wanted(&self) -> u32 {
        self.wanted.load(Ordering::Relaxed)
    }

    /// A stream has taken so many bytes, and waits for more; it is one of `streams`. Whether that gave all of them a
    /// larger window, so that its count begins anew.
    pub(crate) fn on_caught_up(&self, taken: u64, streams: usize) -> bool {
        let now = self.wanted();
        if taken < u64::from(now) || now == self.max {
            return false;
        }
        let next = self.max.min(share(streams));
        next > now && self.wanted.compare_exchange(now, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// One more stream is under way, so that there are `streams`. Halved, so that the server is not told of every one.
    pub(super) fn on_entered(&self, streams: usize) {
        let shrunk = |now: u32| {
            let mut next = now;
            while next > self.first && next > share(streams) {
                next = (next / 2).max(self.first);
            }
            (next < now).then_some(next)
        };
        let _ = self.wanted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, shrunk);
    }
}

/// What each of so many may have.
fn share(streams: usize) -> u32 {
    TOGETHER / u32::try_from(streams.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn window(first: u32, max: u32) -> Window {
        Window::new(&Http { stream_window: first, stream_window_max: max, ..Http::default() })
    }

    #[test]
    fn it_grows_to_its_largest_when_a_body_has_taken_as_much_as_it_is() {
        let window = window(2 << 20, 12 << 20);
        assert!(!window.on_caught_up(2 * MIB - 1, 1));
        assert!(window.on_caught_up(2 * MIB, 1));
        assert_eq!(window.wanted(), 12 << 20);
        assert!(!window.on_caught_up(1000 * MIB, 1));
    }

    #[test]
    fn many_streams_share_their_bound() {
        let window = window(2 << 20, 16 << 20);
        assert!(!window.on_caught_up(100 * MIB, 32));
        assert!(window.on_caught_up(100 * MIB, 16));
        assert_eq!(window.wanted(), 4 << 20);
        assert!(!window.on_caught_up(100 * MIB, 16));
        assert!(window.on_caught_up(100 * MIB, 3));
        assert_eq!(window.wanted(), 16 << 20);
    }

    #[test]
    fn it_shrinks_by_halves_for_those_who_come_and_never_below_its_first() {
        let window = window(2 << 20, 16 << 20);
        assert!(window.on_caught_up(100 * MIB, 1));
        window.on_entered(4);
        assert_eq!(window.wanted(), 16 << 20);
        window.on_entered(5);
        assert_eq!(window.wanted(), 8 << 20);
        window.on_entered(31);
        assert_eq!(window.wanted(), 2 << 20);
        window.on_entered(1000);
        assert_eq!(window.wanted(), 2 << 20);
    }

    #[test]
    fn one_that_is_as_large_as_it_may_be_stays() {
        let window = window(1 << 20, 1 << 10);
        assert!(!window.on_caught_up(100 * MIB, 1));
        assert_eq!(window.wanted(), 1 << 20);
    }
}
