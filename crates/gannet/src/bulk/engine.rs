//! The state of a run, under one lock: schedule, source, sink and counters. It turns what the schedule says into
//! rows to start, and what came of them into outcomes pushed, each exactly once. Nothing here waits.

mod counts;
mod rows;

use std::collections::HashMap;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use gannet_core::ErrorKind;
use gannet_core::retry::RetryPolicy;
use gannet_core::schedule::{self, Action, Pause, Schedule, ScheduleOptions, Ticket, Verdict};
use tokio::time::Instant;
use url::{Position, Url};

use self::counts::Counts;
use super::attempt::{Attempt, Ended};
use super::copies::Lost;
use super::prior::Prior;
use super::run::End;
use super::sink::Mark;
use super::{BulkOptions, Fetched, Learnt, Outcome, Row, Sink, Source};
use crate::request::Request;

pub(super) struct Engine<S, K> {
    pub(super) schedule: Schedule,
    source: S,
    /// Taken out at the end.
    sink: Option<K>,
    /// What earlier runs came to.
    prior: Prior,
    /// The row read last: it is usually the one that starts next.
    in_hand: Option<Row>,
    /// Rows that wait and whose body can be had only once, so that they cannot be read again.
    kept: HashMap<u64, Row>,
    /// Wakes the coordinator when the source has more or the sink has room.
    waker: Waker,
    counts: Counts,
    /// Why the run ends before all rows are done.
    pub(super) end: Option<End>,
    fail_fast: bool,
    retry: RetryPolicy,
    batched: bool,
    /// When the coordinator will look again by itself.
    pub(super) timer: Option<Instant>,
    /// Rows that a worker found startable beside its own.
    pub(super) extra: Vec<Attempt>,
}

/// Rows read before others get a turn: looking for a host that is free may read the whole input, at about a
/// microsecond a row.
const READS_AT_ONCE: u32 = 256;

/// What there is to do next.
pub(super) enum Next {
    Start(Box<Attempt>),
    /// Nothing before this moment or an event.
    Wait(Option<Instant>),
    /// More to read: ask again, after others had a turn.
    Again,
    Done,
}

impl<S: Source, K: Sink> Engine<S, K> {
    pub(super) fn new(source: S, sink: K, options: &BulkOptions, waker: Waker) -> Self {
        let rules = ScheduleOptions {
            limits: options.limits.clone(),
            retry: options.retry.clone(),
            polite: options.polite.clone(),
            batch: options.batch,
            deadline: options.deadline,
            max_parked: [source.max_parked(), sink.max_parked()].into_iter().flatten().min(),
        };
        Engine {
            schedule: Schedule::new(rules, fastrand::u64(..)),
            source,
            sink: Some(sink),
            prior: Prior::default(),
            in_hand: None,
            kept: HashMap::new(),
            waker,
            counts: Counts::default(),
            end: None,
            fail_fast: options.fail_fast,
            retry: options.retry.clone(),
            batched: options.batch.is_some(),
            timer: None,
            extra: Vec::new(),
        }
    }

    /// The next row to start, or what to wait for.
    pub(super) fn next(&mut self, memory_full: bool, now: Instant) -> Next {
        let mut reads = 0;
        loop {
            self.look_for_room(memory_full);
            match self.schedule.poll(now.into_std()) {
                Action::Start(start) => match self.row(start.row) {
                    Ok(row) => {
                        let mark = self.mark(&row, start.attempt);
                        return Next::Start(Box::new(Attempt { row, start, mark }));
                    }
                    Err(error) => {
                        // The attempt counts as in flight; its end has to be told for the run to end.
                        self.stop(End::InputFailed(error));
                        let gone = schedule::Outcome::failure(ErrorKind::Closed);
                        let _ = self.schedule.on_outcome(start.ticket, gone, now.into_std());
                    }
                },
                Action::Read if reads == READS_AT_ONCE => return Next::Again,
                Action::Read => {
                    reads += 1;
                    self.read(now);
                }
                Action::Expired { row, attempts } => self.expire(row, attempts),
                Action::BatchDone { number, rows } => {
                    if self.batched
                        && let Err(error) = self.sink().on_batch(number, rows)
                    {
                        self.stop(End::OutputFailed(error));
                    }
                }
                Action::WaitUntil(at) => return Next::Wait(Some(Instant::from_std(at))),
                Action::WaitForEvent => return Next::Wait(None),
                Action::Done => return Next::Done,
            }
        }
    }

    /// An attempt is over: the row is finished, or will be started again. Where the row is to be safe before another
    /// takes its place, its slot is held until what is given is ready; see [`Engine::on_safe`]. `row` is what the sink's
    /// [`RowMaker`](super::sink::RowMaker) made of the outcome, should it be the row's last.
    pub(super) fn on_ended(&mut self, ended: Ended, row: Option<&[u8]>, now: Instant) -> Option<Mark> {
        let Ended { ticket, facts, outcome, share } = ended;
        let held = self.hold(outcome.response.as_ref(), &facts, now);
        let (index, attempt) = (ticket.row().index, ticket.attempt());
        let mut mark = None;
        match self.schedule.on_outcome(ticket, facts, now.into_std()) {
            Verdict::Finished => {
                self.sink().hold(share);
                self.finish(outcome, row);
                mark = self.sink().on_pushed();
                if mark.is_some() {
                    self.schedule.hold_slot();
                }
            }
            Verdict::Retry { .. } => self.sink().on_retry(index, attempt),
            // It was never sent.
            Verdict::Requeued => self.sink().on_retry(index, attempt - 1),
        }
        // Behind the row's own entry: who learns of the hold learns of the attempt that brought it.
        if let Some((host, delay)) = held {
            self.sink().on_hold(&host, delay);
        }
        mark
    }

    /// Of a request and its copy, one is over. A hold that it brought holds at once.
    pub(super) fn on_copied(&mut self, ticket: &Ticket, lost: Option<Lost>, now: Instant) {
        let (facts, answered) = lost.map_or((None, None), |lost| (Some(lost.facts), lost.answered));
        let held = facts.as_ref().and_then(|facts| self.hold(answered.as_ref(), facts, now));
        self.schedule.on_hedge_done(ticket, facts.as_ref(), now.into_std());
        if let Some((host, delay)) = held {
            self.sink().on_hold(&host, delay);
        }
    }

    /// What an answer says of leaving its host alone; where it came from behind a redirect, that is not the row's host.
    fn hold(
        &mut self,
        answered: Option<&Fetched>,
        facts: &schedule::Outcome,
        now: Instant,
    ) -> Option<(String, Duration)> {
        let (answered, delay) = answered.zip(self.retry.hold(facts))?;
        let host = host_key(&answered.final_url);
        if answered.redirected {
            self.schedule.on_hold(host, delay, now.into_std());
        }
        Some((host.to_owned(), delay))
    }

    /// A row whose slot was held is safe.
    pub(super) fn on_safe(&mut self) {
        self.schedule.release_slot();
    }

    /// The rows that earlier runs finished are not asked again.
    pub(super) fn resume(&mut self, prior: Prior, now: Instant) {
        for (host, delay) in &prior.holds {
            self.schedule.on_hold(host, *delay, now.into_std());
        }
        self.counts.ok += prior.ok;
        for (kind, count) in &prior.failed {
            self.counts.count_failed(*kind, *count);
        }
        self.prior = prior;
    }

    /// No more rows are started or read.
    pub(super) fn stop(&mut self, why: End) {
        self.schedule.stop();
        self.end.get_or_insert(why);
    }

    pub(super) fn learnt(&self) -> Vec<(String, Learnt)> {
        self.schedule.learnt().map(|(host, learnt)| (host.to_owned(), learnt)).collect()
    }

    pub(super) fn sink(&mut self) -> &mut K {
        self.sink.as_mut().expect("invariant: the sink is taken at the end only")
    }

    /// The sink, when all is over.
    pub(super) fn take_sink(&mut self) -> K {
        self.sink.take().expect("invariant: the sink is taken at the end only")
    }

    /// What a request that must not be sent twice has to wait for. Others only have their attempts counted, from the
    /// second on: a kill must not grant a free one.
    fn mark(&mut self, row: &Row, attempt: u32) -> Option<Mark> {
        if !row.request.as_ref().is_ok_and(Request::is_repeatable) {
            return self.sink().on_start(row.index);
        }
        if attempt > 1 {
            self.sink().on_retry(row.index, attempt);
        }
        None
    }

    fn look_for_room(&mut self, memory_full: bool) {
        let mut cx = Context::from_waker(&self.waker);
        let sink = self.sink.as_mut().expect("invariant: the sink is taken at the end only");
        let turns = sink.awaits_turns();
        let full = match sink.poll_room(&mut cx) {
            Poll::Ready(Ok(())) => false,
            Poll::Pending => true,
            Poll::Ready(Err(error)) => {
                self.stop(End::OutputFailed(error));
                return;
            }
        };
        self.schedule.pause(Pause::Output, full && !turns);
        self.schedule.pause(Pause::Memory, memory_full && !turns);
        self.schedule.pause(Pause::Input, (full || memory_full) && turns);
    }

    /// `row` is what the sink's [`RowMaker`](super::sink::RowMaker) made of it.
    fn finish(&mut self, outcome: Outcome, row: Option<&[u8]>) {
        if matches!(self.end, Some(End::OutputFailed(_))) {
            return;
        }
        let (index, kind) = (outcome.index, outcome.error_kind());
        match kind {
            None => self.counts.ok += 1,
            Some(kind) => self.counts.count_failed(kind, 1),
        }
        let pushed = match row {
            Some(row) => self.sink().push_row(outcome, row),
            None => self.sink().push(outcome),
        };
        if let Err(error) = pushed {
            self.stop(End::OutputFailed(error));
        }
        self.source.on_finished(index);
        if self.fail_fast && kind.is_some() {
            self.stop(End::FailFast);
        }
    }
}

/// Name or address and port, where 80 and 443 of one name are one host.
fn host_key(url: &Url) -> &str {
    let host = &url[Position::BeforeHost..Position::AfterPort];
    match url.port() {
        Some(80) => host.trim_end_matches(":80"),
        Some(443) => host.trim_end_matches(":443"),
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_is_name_and_port_with_80_and_443_as_one() {
        let key = |url: &str| host_key(&Url::parse(url).unwrap()).to_owned();
        assert_eq!(key("http://a.example/x"), "a.example");
        assert_eq!(key("https://user:pw@a.example:80/x"), "a.example");
        assert_eq!(key("http://a.example:443/x"), "a.example");
        assert_eq!(key("http://a.example:8080/x"), "a.example:8080");
        assert_eq!(key("http://[::1]:9/"), "[::1]:9");
    }
}
