//! The engine's loop with its own schedule, source and sink, and requests that are answered without a network: a
//! random one of those in flight each time the schedule waits. The schedule's clock goes on by a fixed step for each,
//! so that rates mean what they say; the output's thread works on the machine's.

use std::fs::OpenOptions;
use std::future::{Future, poll_fn};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gannet::bulk::sink::{OrderedOptions, RowFormat, RowSink};
use gannet::bulk::source::InputSource;
use gannet::bulk::state::{Durability, Identity, Opened, Opening};
use gannet::bulk::{BulkOptions, Fetched, Limits, Outcome, Rate, Row, Run, Sink, Source};
use gannet::{Headers, Options, Session, StatusCode, Url};
use gannet_core::retry;
use gannet_core::schedule::{Action, Pause, RowRef, Schedule, ScheduleOptions, Ticket, Verdict};

use crate::{AnyError, Case, Size, input};

/// How far the schedule's clock goes on for each answer: 100,000 rows a second.
const STEP: Duration = Duration::from_micros(10);

/// Every row of the input, as a run from the beginning.
pub(crate) fn run(dir: &Path, case: &Case, size: Size) -> Result<(), AnyError> {
    let source = input::open(dir, case)?;
    let Opened { state, .. } = opened(dir, case, true)?;
    let sink = RowSink::with_state(state, RowFormat::default())?;
    let ok = Simulation::new(case, source, sink)?.run()?;
    if ok == size.rows { Ok(()) } else { Err(format!("{ok} of {} rows are done", size.rows).into()) }
}

/// What is done becomes known.
pub(crate) fn open(dir: &Path, case: &Case, size: Size) -> Result<(), AnyError> {
    let done = opened(dir, case, false)?.prior.done();
    if done == size.rows { Ok(()) } else { Err(format!("{done} of {} rows are known", size.rows).into()) }
}

/// The same, and the engine itself goes on with the run: it reads the input to its end, and finds every row done.
pub(crate) fn skip(dir: &Path, case: &Case, size: Size) -> Result<(), AnyError> {
    let Opened { prior, state, .. } = opened(dir, case, false)?;
    let (source, sink) = (input::open(dir, case)?, RowSink::with_state(state, RowFormat::default())?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let finished = runtime.block_on(async {
        let session = Session::new(Options::default())?;
        let run = Run::new(&session, source, sink, BulkOptions::default()).resume(prior);
        Ok::<_, gannet::Error>(Box::pin(run.drive()).await)
    })?;
    let (read, ok) = (finished.snapshot.read, finished.snapshot.ok);
    if (read, ok) == (size.rows, size.rows) { Ok(()) } else { Err(format!("{read} rows were read").into()) }
}

/// The last row is cut off the output, as a loss of power may do: all of it is read.
pub(crate) fn reread(dir: &Path, case: &Case, size: Size) -> Result<(), AnyError> {
    let file = OpenOptions::new().write(true).open(out(dir))?;
    file.set_len(file.metadata()?.len() - 10)?;
    let done = opened(dir, case, false)?.prior.done();
    if done + 1 == size.rows { Ok(()) } else { Err(format!("{done} of {} rows are known", size.rows).into()) }
}

fn out(dir: &Path) -> PathBuf {
    dir.join("out.jsonl")
}

fn opened(dir: &Path, case: &Case, fresh: bool) -> Result<Opened, AnyError> {
    let durability = if case.os { Durability::Os } else { Durability::Group };
    let turns = case.ordered.then(|| OrderedOptions::default().memory);
    Ok(Opening::begin(&out(dir), durability, fresh)?.run(&Identity::default(), turns)?)
}

struct Simulation {
    source: InputSource,
    schedule: Schedule,
    sink: RowSink,
    in_hand: Option<Row>,
    in_flight: Vec<(Ticket, Outcome)>,
    /// The first row, where it is to be answered last.
    stalled: Option<(Ticket, Outcome)>,
    is_stalled: bool,
    now: Instant,
    rng: fastrand::Rng,
    waker: Waker,
    body: Bytes,
}

impl Simulation {
    fn new(case: &Case, source: InputSource, sink: RowSink) -> Result<Self, AnyError> {
        let rate = case.rate.map(Rate::per_second).transpose()?;
        let rules = ScheduleOptions {
            limits: Limits { rate, ..Limits::default() },
            max_parked: [source.max_parked(), sink.max_parked()].into_iter().flatten().min(),
            ..ScheduleOptions::default()
        };
        Ok(Simulation {
            source,
            schedule: Schedule::new(rules, 1),
            sink,
            in_hand: None,
            in_flight: Vec::new(),
            stalled: None,
            is_stalled: case.stalled,
            now: Instant::now(),
            rng: fastrand::Rng::with_seed(1),
            waker: Waker::from(Arc::new(Unpark(std::thread::current()))),
            body: Bytes::from(body()),
        })
    }

    /// Runs to the end; how many rows are done.
    fn run(mut self) -> Result<u64, AnyError> {
        let waker = self.waker.clone();
        let mut cx = Context::from_waker(&waker);
        loop {
            let turns = self.sink.awaits_turns();
            let full = self.sink.poll_room(&mut cx)?.is_pending();
            self.schedule.pause(Pause::Output, full && !turns);
            self.schedule.pause(Pause::Input, full && turns);
            match self.schedule.poll(self.now) {
                Action::Start(start) => {
                    let row = self.row(start.ticket.row())?;
                    let outcome = self.answer(row);
                    if self.is_stalled && outcome.index == 0 {
                        self.stalled = Some((start.ticket, outcome));
                    } else {
                        self.in_flight.push((start.ticket, outcome));
                    }
                }
                Action::Read => self.read(&mut cx)?,
                Action::WaitUntil(_) | Action::WaitForEvent if !self.in_flight.is_empty() => {
                    let at = self.rng.usize(..self.in_flight.len());
                    let answered = self.in_flight.swap_remove(at);
                    self.finish(answered)?;
                }
                Action::WaitUntil(at) if !full => self.now = at,
                Action::WaitUntil(_) | Action::WaitForEvent => match self.stalled.take_if(|_| !full) {
                    Some(last) => self.finish(last)?,
                    None => std::thread::park(),
                },
                Action::Done => break,
                Action::Expired { .. } | Action::BatchDone { .. } => return Err("nothing asked for this".into()),
            }
        }
        let mut finish = pin!(poll_fn(|cx| self.sink.poll_finish(cx)));
        while finish.as_mut().poll(&mut cx)?.is_pending() {
            std::thread::park();
        }
        Ok(self.sink.stats().ok)
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Result<(), AnyError> {
        let row = match self.source.poll_next(cx)? {
            Poll::Pending => return Err("a file never has to be waited for".into()),
            Poll::Ready(None) => {
                self.sink.on_end_of_input(self.schedule.finished() + self.schedule.unfinished());
                self.schedule.on_end_of_input();
                return Ok(());
            }
            Poll::Ready(Some(row)) => row,
        };
        let request = row.request.as_ref().map_err(|error| error.to_string())?;
        let host = request.url().host_str().ok_or("a URL without a host")?;
        self.schedule.on_row(RowRef { index: row.index, place: row.place }, host, self.now);
        self.in_hand = Some(row);
        Ok(())
    }

    /// The row read last, or one that waited, read again.
    fn row(&mut self, wanted: RowRef) -> std::io::Result<Row> {
        match self.in_hand.take() {
            Some(row) if row.index == wanted.index => Ok(row),
            other => {
                self.in_hand = other;
                self.source.recall(wanted.index, wanted.place)
            }
        }
    }

    fn answer(&mut self, row: Row) -> Outcome {
        let final_url = row.request.as_ref().map_or_else(|_| fallback(), |request| request.url().clone());
        let mut headers = Headers::new();
        headers.append("Content-Type", "application/json").expect("invariant: a header");
        let response =
            Fetched { status: StatusCode::OK, headers, final_url, redirected: false, body: self.body.clone() };
        let elapsed = Duration::from_micros(self.rng.u64(1_000..200_000));
        let Row { index, line, id, url, .. } = row;
        Outcome { index, line, id, url, attempts: 1, elapsed, response: Some(response), error: None }
    }

    fn finish(&mut self, (ticket, outcome): (Ticket, Outcome)) -> Result<(), AnyError> {
        self.now += STEP;
        let facts = retry::Outcome { status: Some(200), repeatable: true, ..retry::Outcome::default() };
        if self.schedule.on_outcome(ticket, facts, self.now) != Verdict::Finished {
            return Err("an answer of 200 finishes its row".into());
        }
        let index = outcome.index;
        self.sink.push(outcome)?;
        self.source.on_finished(index);
        Ok(())
    }
}

/// 210 bytes of JSON, as the benchmark's nginx serves them.
fn body() -> Vec<u8> {
    let (head, tail) = (r#"{"id":1,"name":"gannet","kind":"seabird","text":""#, r#""}"#);
    let fill = "x".repeat(gannet_bench::BODY_LEN - head.len() - tail.len());
    format!("{head}{fill}{tail}").into_bytes()
}

fn fallback() -> Url {
    Url::parse("http://localhost/").expect("invariant: a URL")
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
