//! A sink for Rust callers who work batch by batch: each batch's outcomes together, in the order of the input.

use std::fmt;
use std::io;
use std::task::{Context, Poll};

use super::{Outcome, Sink};

/// Calls `on_batch` after each batch with its outcomes in the order of the input. Holds one batch in memory.
///
/// Of a run that was stopped within a batch, what did finish comes last, as a batch that is not whole.
pub struct BatchSink<F> {
    on_batch: F,
    outcomes: Vec<Outcome>,
}

impl<F: FnMut(Vec<Outcome>) + Send> BatchSink<F> {
    /// Nothing collected.
    pub fn new(on_batch: F) -> Self {
        BatchSink { on_batch, outcomes: Vec::new() }
    }

    fn hand_on(&mut self) {
        let mut outcomes = std::mem::take(&mut self.outcomes);
        outcomes.sort_unstable_by_key(|outcome| outcome.index);
        (self.on_batch)(outcomes);
    }
}

impl<F: FnMut(Vec<Outcome>) + Send> Sink for BatchSink<F> {
    fn push(&mut self, outcome: Outcome) -> io::Result<()> {
        self.outcomes.push(outcome);
        Ok(())
    }

    fn on_batch(&mut self, _number: u64, _rows: u64) -> io::Result<()> {
        self.hand_on();
        Ok(())
    }

    fn poll_finish(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.outcomes.is_empty() {
            self.hand_on();
        }
        Poll::Ready(Ok(()))
    }
}

impl<F> fmt::Debug for BatchSink<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchSink").field("outcomes", &self.outcomes.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_batch_comes_in_input_order_and_the_torn_one_last() {
        let mut batches: Vec<Vec<u64>> = Vec::new();
        let mut sink = BatchSink::new(|outcomes: Vec<Outcome>| {
            batches.push(outcomes.iter().map(|outcome| outcome.index).collect());
        });
        let push = |sink: &mut dyn Sink, index| {
            let (url, elapsed) = (String::new(), Duration::ZERO);
            let outcome =
                Outcome { index, line: None, id: None, url, attempts: 1, elapsed, response: None, error: None };
            sink.push(outcome).unwrap();
        };
        for index in [2, 0, 1] {
            push(&mut sink, index);
        }
        sink.on_batch(1, 3).unwrap();
        push(&mut sink, 5);
        push(&mut sink, 3);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..2 {
            assert!(sink.poll_finish(&mut cx).is_ready());
        }
        drop(sink);
        assert_eq!(batches, [vec![0, 1, 2], vec![3, 5]]);
    }
}
