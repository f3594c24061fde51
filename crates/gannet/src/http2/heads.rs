//! How many heads may lie about unread. A server may send interim responses without end, and the frames' library keeps
//! them until the request looks at them, which a request that nobody polls does not do. So heads are counted as they
//! pass, by their frames' own heads, and given back by the requests that take them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard};

/// Beyond two for each request, its head and its trailers. The largest head takes some 200 KB.
const SPARE: i64 = 100;
/// Two for each request.
const EACH: i64 = 2;
/// So many requests that were given up are remembered: what comes for them is thrown away, and not counted.
const GIVEN_UP: usize = 1024;
/// A frame's head (RFC 9113 §4.1).
const FRAME_HEAD: usize = 9;
/// HEADERS (§6.2).
pub(super) const HEADERS: u8 = 0x1;
/// GOAWAY (§6.8).
pub(super) const GOAWAY: u8 = 0x7;

/// What may still come before somebody has to look.
pub(super) struct Heads {
    left: AtomicI64,
    given_up: Mutex<BTreeSet<u32>>,
    any_given_up: AtomicBool,
}

impl Heads {
    pub(super) fn new() -> Self {
        Heads { left: AtomicI64::new(SPARE), given_up: Mutex::default(), any_given_up: AtomicBool::new(false) }
    }

    pub(super) fn on_request(&self) {
        self.left.fetch_add(EACH, Ordering::Relaxed);
    }

    /// A request has taken an interim response.
    pub(super) fn on_taken(&self) {
        self.left.fetch_add(1, Ordering::Relaxed);
    }

    /// A request is over, and `requests` are left.
    pub(super) fn on_end(&self, requests: usize) {
        let most = SPARE + EACH * i64::try_from(requests).unwrap_or(i64::MAX / EACH - SPARE);
        let bounded = |left: i64| if requests == 0 { SPARE } else { left.min(most) };
        let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(bounded(left)));
    }

    /// The request on this stream is given up: what still comes for it is kept by nobody.
    pub(super) fn on_given_up(&self, stream: u32) {
        let mut given_up = self.given_up();
        given_up.insert(stream);
        if given_up.len() > GIVEN_UP {
            given_up.pop_first();
        }
        self.any_given_up.store(true, Ordering::Release);
    }

    /// Counts a head on this stream. Whether it may come.
    pub(super) fn admit(&self, stream: u32) -> bool {
        if self.any_given_up.load(Ordering::Acquire) && self.given_up().contains(&stream) {
            return true;
        }
        self.left.fetch_sub(1, Ordering::Relaxed) > 0
    }

    fn given_up(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.given_up.lock().expect("invariant: nothing panics under the set's lock")
    }
}

/// Follows the frames in what comes, by their heads alone.
#[derive(Default)]
pub(super) struct Frames {
    head: [u8; FRAME_HEAD],
    /// How much of a head is there.
    have: usize,
    /// What is left of a frame's content.
    rest: usize,
}

impl Frames {
    /// Tells the type and the stream of every frame whose head is whole with these bytes.
    pub(super) fn pass(&mut self, mut bytes: &[u8], mut tell: impl FnMut(u8, u32)) {
        loop {
            let passed = self.rest.min(bytes.len());
            self.rest -= passed;
            bytes = &bytes[passed..];
            let more = (FRAME_HEAD - self.have).min(bytes.len());
            self.head[self.have..self.have + more].copy_from_slice(&bytes[..more]);
            self.have += more;
            bytes = &bytes[more..];
            if self.have < FRAME_HEAD {
                return;
            }
            let [a, b, c, kind, _, stream @ ..] = self.head;
            self.have = 0;
            self.rest = u32::from_be_bytes([0, a, b, c]) as usize;
            tell(kind, u32::from_be_bytes(stream) & (u32::MAX >> 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, stream: u8, length: u8) -> Vec<u8> {
        let mut bytes = vec![0, 0, length, kind, 4, 0, 0, 0, stream];
        bytes.resize(FRAME_HEAD + usize::from(length), HEADERS);
        bytes
    }

    /// Whether all of it may come.
    fn pass(frames: &mut Frames, bytes: &[u8], heads: &Heads) -> bool {
        let mut fits = true;
        frames.pass(bytes, |kind, stream| fits &= kind != HEADERS || heads.admit(stream));
        fits
    }

    fn left(heads: &Heads) -> i64 {
        heads.left.load(Ordering::Relaxed)
    }

    #[test]
    fn heads_are_counted_however_their_bytes_come() {
        let bytes = [frame(0, 1, 200), frame(HEADERS, 1, 0), frame(HEADERS, 3, 30), frame(4, 0, 0)].concat();
        for step in [1, 2, 8, 9, 10, 100, bytes.len()] {
            let (heads, mut frames) = (Heads::new(), Frames::default());
            assert!(bytes.chunks(step).all(|piece| pass(&mut frames, piece, &heads)));
            assert_eq!(left(&heads), SPARE - 2, "{step}");
        }
    }

    #[test]
    fn so_many_may_lie_unread_and_not_one_more() {
        let (heads, mut frames) = (Heads::new(), Frames::default());
        heads.on_request();
        for _ in 0..SPARE + EACH {
            assert!(pass(&mut frames, &frame(HEADERS, 1, 7), &heads));
        }
        heads.on_taken();
        assert!(pass(&mut frames, &frame(HEADERS, 1, 7), &heads));
        assert!(!pass(&mut frames, &frame(HEADERS, 1, 7), &heads));
    }

    #[test]
    fn what_a_request_leaves_over_does_not_add_up() {
        let (heads, mut frames) = (Heads::new(), Frames::default());
        heads.on_request();
        for stream in 0..200 {
            heads.on_request();
            assert!(pass(&mut frames, &frame(HEADERS, stream, 7), &heads));
            heads.on_end(1);
        }
        assert_eq!(left(&heads), SPARE + EACH);
        heads.on_end(0);
        assert_eq!(left(&heads), SPARE);
    }

    #[test]
    fn late_heads_of_requests_given_up_cost_nothing() {
        let (heads, mut frames) = (Heads::new(), Frames::default());
        heads.on_request();
        for stream in 0..200 {
            heads.on_request();
            heads.on_given_up(stream.into());
            heads.on_end(1);
            assert!(pass(&mut frames, &frame(HEADERS, stream, 7).repeat(3), &heads));
        }
        assert_eq!(left(&heads), SPARE + EACH);
        for stream in 0..3000 {
            heads.on_given_up(stream);
        }
        assert_eq!(heads.given_up().len(), GIVEN_UP);
    }
}
