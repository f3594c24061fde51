//! What became of a batch: a mark waits until it is as safe as was asked for, a report is how whoever commits says so.
//! Made by the writer, waited for by the sink; what fails is told to every mark that is not safe yet.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::thread::Shared;

/// How safe a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// In the output: no kill of the process loses it.
    Written,
    /// In the state too.
    Committed,
}

/// Ready when what it stands for is safe. Dropping it changes nothing.
#[derive(Debug)]
pub struct Mark {
    pub(super) shared: Arc<Shared>,
    pub(super) batch: u64,
    pub(super) level: Level,
}

impl Future for Mark {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.shared.lock();
        if state.is_safe(self.level, self.batch) {
            return Poll::Ready(Ok(()));
        }
        if let Some(failure) = &state.failure {
            return Poll::Ready(Err(failure.to_error()));
        }
        if state.ended {
            return Poll::Ready(Err(io::Error::other("the output was closed before")));
        }
        state.marks.push((self.level, self.batch, cx.waker().clone()));
        Poll::Pending
    }
}

/// Tells what became of batches after they were written.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "state"), expect(dead_code, reason = "a state reports by it"))]
pub(crate) struct Report(pub(super) Arc<Shared>);

#[cfg(feature = "state")]
impl Report {
    /// The batches up to this one are committed.
    pub(crate) fn committed(&self, batch: u64) {
        let mut state = self.0.lock();
        state.committed = state.committed.max(batch);
        let marks = state.take_marks();
        drop(state);
        marks.for_each(std::task::Waker::wake);
    }

    /// Tells nobody.
    #[cfg(test)]
    pub(crate) fn to_nobody() -> Report {
        Report(Arc::default())
    }

    /// Nothing more can be committed.
    pub(crate) fn failed(&self, error: &io::Error) {
        let mut state = self.0.lock();
        state.fail(error);
        let waker = state.waker.take();
        let marks = std::mem::take(&mut state.marks);
        drop(state);
        waker.into_iter().chain(marks.into_iter().map(|(.., waker)| waker)).for_each(std::task::Waker::wake);
    }
}
