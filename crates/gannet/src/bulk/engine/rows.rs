//! Rows on their way in: read from the source, or had again when their turn comes. What earlier runs finished is skipped,
//! what must not be sent twice is reported in doubt, what cannot be read is finished at once; a row whose body can be
//! had only once is kept until it starts.

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use gannet_core::schedule::RowRef;
use gannet_core::{ErrorKind, Phase};
use tokio::time::Instant;

use super::{Engine, host_key};
use crate::bulk::prior::Fate;
use crate::bulk::run::End;
use crate::bulk::{Outcome, Row, Sink, Source};
use crate::error::Error;

impl<S: Source, K: Sink> Engine<S, K> {
    pub(super) fn read(&mut self, now: Instant) {
        let mut cx = Context::from_waker(&self.waker);
        let row = match self.source.poll_next(&mut cx) {
            Poll::Pending => return self.schedule.on_input_pending(),
            Poll::Ready(Ok(None)) => {
                let rows = self.counts.read;
                self.sink().on_end_of_input(rows);
                return self.schedule.on_end_of_input();
            }
            Poll::Ready(Err(error)) => return self.stop(End::InputFailed(error)),
            Poll::Ready(Ok(Some(row))) => row,
        };
        self.counts.read += 1;
        let fate = self.prior.fate(row.index);
        match (&row.request, fate) {
            (_, Fate::Skip) => {
                self.schedule.on_unreadable(row.index);
                self.source.on_finished(row.index);
            }
            (Ok(request), Fate::InDoubt { attempts }) if !request.is_repeatable() => {
                self.schedule.on_unreadable(row.index);
                let message = "it was under way when an earlier run was killed and must not be sent twice; \
                               --resend-in-doubt sends it again";
                let error = Error::new(ErrorKind::InDoubt, Phase::Prepare, message);
                self.finish(unsent(row, attempts.saturating_add(1), Some(error)), None);
            }
            (Ok(request), Fate::Send { attempts } | Fate::InDoubt { attempts }) => {
                let place = RowRef { index: row.index, place: row.place };
                // The attempt that was under way at a kill may have been the last: the row is owed an outcome.
                let attempts = attempts.min(self.retry.attempts.saturating_sub(1));
                self.schedule.on_row_again(place, host_key(request.url()), attempts, now.into_std());
                self.put_in_hand(row);
            }
            (Err(_), _) => {
                self.schedule.on_unreadable(row.index);
                self.finish(unsent(row, 0, None), None);
            }
        }
    }

    pub(super) fn row(&mut self, wanted: RowRef) -> io::Result<Row> {
        match self.in_hand.take() {
            Some(row) if row.index == wanted.index => return Ok(row),
            other => self.in_hand = other,
        }
        match self.kept.remove(&wanted.index) {
            Some(row) => Ok(row),
            None => self.source.recall(wanted.index, wanted.place),
        }
    }

    fn put_in_hand(&mut self, row: Row) {
        let Some(parked) = self.in_hand.replace(row) else { return };
        if parked.request.as_ref().is_ok_and(|request| !request.body().is_replayable()) {
            self.kept.insert(parked.index, parked);
        }
    }

    pub(super) fn expire(&mut self, row: RowRef, attempts: u32) {
        match self.row(row) {
            Ok(row) => {
                let message = "the row's deadline passed while it waited for another attempt";
                let error = Error::new(ErrorKind::TimeoutDeadline, Phase::Prepare, message);
                self.finish(unsent(row, attempts, Some(error)), None);
            }
            Err(error) => self.stop(End::InputFailed(error)),
        }
    }
}

/// The outcome of a row that is finished without (another) attempt.
fn unsent(row: Row, attempts: u32, error: Option<Error>) -> Outcome {
    let error = error.or_else(|| row.request.err()).map(|error| error.with_attempts(attempts));
    Outcome {
        index: row.index,
        line: row.line,
        id: row.id,
        url: row.url,
        attempts,
        elapsed: Duration::ZERO,
        response: None,
        error,
    }
}
