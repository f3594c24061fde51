use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;
use std::time::Duration;

use futures_util::StreamExt;

use super::*;

#[derive(Default)]
struct Counted(AtomicUsize);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn outcome(index: u64) -> Outcome {
    Outcome {
        index,
        line: None,
        id: None,
        url: String::new(),
        attempts: 1,
        elapsed: Duration::ZERO,
        response: None,
        error: None,
    }
}

fn has_room(sink: &mut ChannelSink, waker: &Waker) -> bool {
    sink.poll_room(&mut Context::from_waker(waker)).is_ready()
}

#[test]
fn collected_outcomes_lie_at_their_index() {
    let mut sink = CollectSink::with_capacity(2);
    for index in [3, 0] {
        sink.push(outcome(index)).unwrap();
    }
    let slots: Vec<_> = sink.outcomes.iter().map(|slot| slot.as_ref().map(|outcome| outcome.index)).collect();
    assert_eq!(slots, [Some(0), None, None, Some(3)]);
    assert_eq!(sink.into_outcomes().iter().map(|outcome| outcome.index).collect::<Vec<_>>(), [0, 3]);
}

#[tokio::test]
async fn a_stream_gives_outcomes_as_they_come_or_in_order_and_ends() {
    for (ordered, expected) in [(false, [2, 0, 4, 1]), (true, [0, 1, 2, 4])] {
        let (mut sink, receiver) = ChannelSink::new(10, ordered);
        for index in [2, 0, 4, 1] {
            sink.push(outcome(index)).unwrap();
        }
        poll_fn(|cx| sink.poll_finish(cx)).await.unwrap();
        let indices: Vec<_> = receiver.map(|outcome| outcome.index).collect().await;
        assert_eq!(indices, expected, "ordered {ordered}, the row 3 never finished");
    }
}

#[test]
fn in_order_nothing_comes_before_its_turn() {
    let (mut sink, mut receiver) = ChannelSink::new(10, true);
    let reads = Arc::new(Counted::default());
    let waker = Waker::from(Arc::clone(&reads));
    let mut cx = Context::from_waker(&waker);
    sink.push(outcome(1)).unwrap();
    assert!(pin!(receiver.recv()).poll(&mut cx).is_pending());
    sink.push(outcome(2)).unwrap();
    assert_eq!(reads.0.load(Ordering::Relaxed), 0, "nobody is woken for nothing");
    sink.push(outcome(0)).unwrap();
    assert_eq!(reads.0.load(Ordering::Relaxed), 1);
    for index in 0..3 {
        assert!(matches!(receiver.poll_recv(&mut cx), Poll::Ready(Some(outcome)) if outcome.index == index));
    }
    assert!(receiver.poll_recv(&mut cx).is_pending());
    drop(sink);
    assert_eq!(reads.0.load(Ordering::Relaxed), 2);
    assert!(matches!(receiver.poll_recv(&mut cx), Poll::Ready(None)));
}

#[test]
fn there_is_no_room_while_the_bound_is_unread() {
    for ordered in [false, true] {
        let (mut sink, mut receiver) = ChannelSink::new(2, ordered);
        let rooms = Arc::new(Counted::default());
        let waker = Waker::from(Arc::clone(&rooms));
        let mut cx = Context::from_waker(Waker::noop());
        // In order, both wait for row 0, and count.
        sink.push(outcome(1)).unwrap();
        assert!(has_room(&mut sink, &waker));
        sink.push(outcome(2)).unwrap();
        assert!(!has_room(&mut sink, &waker));
        // What was in flight is taken nevertheless.
        sink.push(outcome(0)).unwrap();
        assert!(receiver.poll_recv(&mut cx).is_ready());
        assert_eq!(rooms.0.load(Ordering::Relaxed), 0, "two are still unread");
        assert!(receiver.poll_recv(&mut cx).is_ready());
        assert_eq!(rooms.0.load(Ordering::Relaxed), 1);
        assert!(has_room(&mut sink, &waker));
    }
}

#[test]
fn in_order_with_all_waiting_for_a_turn_the_sink_says_so_and_is_woken() {
    let (mut sink, mut receiver) = ChannelSink::new(2, true);
    let rooms = Arc::new(Counted::default());
    let waker = Waker::from(Arc::clone(&rooms));
    for index in [0, 2, 3] {
        sink.push(outcome(index)).unwrap();
    }
    assert!(!has_room(&mut sink, &waker));
    assert!(!sink.awaits_turns(), "the reader is behind");
    assert!(receiver.poll_recv(&mut Context::from_waker(Waker::noop())).is_ready());
    assert_eq!(rooms.0.load(Ordering::Relaxed), 1);
    assert!(!has_room(&mut sink, &waker));
    assert!(sink.awaits_turns(), "only row 1 makes room");
    assert!(!ChannelSink::new(1, false).0.awaits_turns());
}

#[test]
fn a_dropped_receiver_fails_the_sink_and_wakes_it() {
    let (mut sink, receiver) = ChannelSink::new(1, false);
    let rooms = Arc::new(Counted::default());
    let waker = Waker::from(Arc::clone(&rooms));
    sink.push(outcome(0)).unwrap();
    assert!(!has_room(&mut sink, &waker));
    drop(receiver);
    assert_eq!(rooms.0.load(Ordering::Relaxed), 1);
    assert_eq!(sink.push(outcome(1)).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    let room = sink.poll_room(&mut Context::from_waker(&waker));
    assert!(matches!(room, Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe));
}
