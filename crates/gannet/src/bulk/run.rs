//! A bulk run: the coordinator and its workers. A worker is a task that sends one attempt after another: when one
//! is over it takes the next from the engine itself, so that in full swing no task wakes another. The coordinator
//! starts workers on the run's lanes, keeps the timer, and drains or aborts. Dropping the run's future aborts
//! everything it started.

mod control;

use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use gannet_core::schedule::Ticket;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use self::control::{Asked, Controlled, Signal};
use super::attempt::{Attempt, Sender};
use super::copies::{Copies, Lost};
use super::engine::{Engine, Next};
use super::lanes::Lanes;
use super::memory::Memory;
use super::{BulkOptions, Learnt, Limits, Prior, ReceiptSummary, Sink, Source};
use crate::alarm::later;
use crate::buffer;
use crate::session::Session;

pub use self::control::{Control, Snapshot};

/// How long the output of an aborted run may take to write what it holds.
const ABORT_GRACE: Duration = Duration::from_millis(300);

/// A bulk run that is ready to go.
pub struct Run<S, K> {
    shared: Arc<Shared<S, K>>,
}

/// How a run ended.
#[derive(Debug)]
pub enum End {
    /// Every row is done.
    Complete,
    /// It was stopped by [`Control::stop`] or [`Control::abort`].
    Stopped,
    /// A row failed, and `fail_fast` was on.
    FailFast,
    /// The input could not be read any further.
    InputFailed(io::Error),
    /// The output could not be written any further.
    OutputFailed(io::Error),
}

/// What is left of a run.
#[derive(Debug)]
pub struct Finished<K> {
    /// The sink, with every outcome that was pushed.
    pub sink: K,
    /// How it ended.
    pub end: End,
    /// The last figures.
    pub snapshot: Snapshot,
    /// What was done to each host.
    pub receipt: ReceiptSummary,
    /// What was learnt about hosts, for [`Run::teach`].
    pub learnt: Vec<(String, Learnt)>,
}

struct Shared<S, K> {
    /// Held for one decision at a time, never across an await.
    engine: Mutex<Engine<S, K>>,
    session: Session,
    options: Arc<BulkOptions>,
    memory: Arc<Memory>,
    signal: Arc<Signal>,
}

impl<S: Source + 'static, K: Sink + 'static> Run<S, K> {
    /// A run over all rows of the source. Nothing happens before [`Run::drive`].
    pub fn new(session: &Session, source: S, sink: K, options: BulkOptions) -> Self {
        let signal = Arc::new(Signal::default());
        let engine = Engine::new(source, sink, &options, Waker::from(signal.clone()));
        let memory = Memory::new(options.memory, Waker::from(signal.clone()));
        let engine = Mutex::new(engine);
        let (session, options) = (session.clone(), Arc::new(options));
        Run { shared: Arc::new(Shared { engine, session, options, memory, signal }) }
    }

    /// Goes on where earlier runs over the same input ended. To be called before [`Run::drive`].
    #[must_use]
    pub fn resume(self, prior: Prior) -> Self {
        self.shared.lock().resume(prior, Instant::now());
        self
    }

    /// Begins with what earlier runs learnt about hosts. To be called before [`Run::drive`].
    #[must_use]
    pub fn teach(self, hosts: impl IntoIterator<Item = (String, Learnt)>) -> Self {
        let now = Instant::now().into_std();
        let mut engine = self.shared.lock();
        for (host, learnt) in hosts {
            engine.schedule.teach(&host, learnt, now);
        }
        drop(engine);
        self
    }

    /// A handle to stop the run, to look at it and to change its limits.
    pub fn control(&self) -> Control {
        Control { run: self.shared.clone() }
    }

    /// Runs until every row is done or the run is stopped. Needs a tokio runtime. Dropping the future aborts what
    /// is in flight; rows finished by then are with the sink, which is dropped too.
    pub async fn drive(self) -> Finished<K> {
        let shared = self.shared;
        let maker = shared.lock().sink().row_maker();
        let mut lanes = Lanes::open(&shared.session, &shared.options, &shared.memory, maker);
        let mut drain_until = None;
        loop {
            // Asked first: what was stopped starts nothing more.
            let asked = shared.signal.asked();
            if asked == Asked::Stop && drain_until.is_none() {
                drain_until = Some(later(Instant::now(), shared.options.drain));
                shared.lock().stop(End::Stopped);
            }
            if asked == Asked::Abort {
                break;
            }
            let wait = start_workers(&shared, &mut lanes);
            // Asked after: looking for room may have found that the output failed.
            if shared.must_end_now() {
                break;
            }
            let until = match wait {
                Next::Done => break,
                Next::Again => {
                    tokio::task::yield_now().await;
                    continue;
                }
                Next::Wait(at) => [at, drain_until].into_iter().flatten().min(),
                Next::Start(_) => continue,
            };
            tokio::select! {
                () = shared.signal.notify.notified() => {}
                () = lanes.one_ended() => {}
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {}
            }
            if drain_until.is_some_and(|at| Instant::now() >= at) {
                break;
            }
        }
        lanes.abort().await;
        drop(lanes);
        conclude(&shared, drain_until).await
    }
}

impl<S: Source, K: Sink> Controlled for Shared<S, K> {
    fn ask(&self, what: Asked) {
        self.signal.ask(what);
    }

    fn snapshot(&self) -> Snapshot {
        self.lock().snapshot(Instant::now())
    }

    fn learnt(&self) -> Vec<(String, Learnt)> {
        self.lock().learnt()
    }

    fn limits(&self) -> Limits {
        self.lock().schedule.limits().clone()
    }

    fn set_limits(&self, limits: Limits) {
        let mut engine = self.lock();
        // Behind the lock: the schedule's time goes on only.
        engine.schedule.set_limits(limits, Instant::now().into_std());
        drop(engine);
        // There may be room for more workers than those that run.
        self.signal.notify.notify_one();
    }
}

impl<S: Source, K: Sink> Shared<S, K> {
    fn lock(&self) -> MutexGuard<'_, Engine<S, K>> {
        // A source or sink of the user's may panic here; the coordinator passes that on, and nobody else should.
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is in flight is of no use to anybody.
    fn must_end_now(&self) -> bool {
        matches!(self.lock().end, Some(End::FailFast | End::OutputFailed(_)))
    }
}

impl<S: Source, K: Sink> Copies for Shared<S, K> {
    fn may_copy(&self, ticket: &Ticket) -> bool {
        self.lock().schedule.hedge(ticket, Instant::now().into_std())
    }

    fn on_copied(&self, ticket: &Ticket, lost: Option<Lost>) {
        let goes_on = lost.is_some();
        let mut engine = self.lock();
        engine.on_copied(ticket, lost, Instant::now());
        drop(engine);
        if goes_on {
            // A slot is free, and no worker to take it.
            self.signal.notify.notify_one();
        }
    }
}

/// Starts a worker for every row that may start now, and says what to wait for.
fn start_workers<S: Source + 'static, K: Sink + 'static>(shared: &Arc<Shared<S, K>>, lanes: &mut Lanes) -> Next {
    let mut engine = shared.lock();
    engine.schedule.on_input_ready();
    for attempt in std::mem::take(&mut engine.extra) {
        lanes.spawn(|sender| work(shared.clone(), sender, Box::new(attempt)));
    }
    loop {
        match engine.next(shared.memory.is_full(), Instant::now()) {
            Next::Start(attempt) => lanes.spawn(|sender| work(shared.clone(), sender, attempt)),
            Next::Wait(at) => {
                engine.timer = at;
                return Next::Wait(at);
            }
            other => return other,
        }
    }
}

async fn work<S: Source, K: Sink>(shared: Arc<Shared<S, K>>, sender: Arc<Sender>, mut attempt: Box<Attempt>) {
    loop {
        let mut ended = sender.perform(*attempt, &*shared).await;
        let mut row = buffer::take_write();
        let made = sender.maker.map(|maker| maker.make(&mut ended.outcome, &mut row));
        let (mark, may_start) = {
            let _home = sender.home.as_ref().map(Handle::enter);
            let mut engine = shared.lock();
            let mark = engine.on_ended(ended, made.map(|()| row.as_slice()), Instant::now());
            (mark, engine.schedule.has_free_slot())
        };
        buffer::give_write(row);
        if let Some(mark) = mark {
            // Only its slot of the concurrency is held: a row of the same host may start meanwhile.
            if may_start {
                shared.signal.notify.notify_one();
            }
            // A failure is told by the sink itself.
            let _ = mark.await;
            shared.lock().on_safe();
        }
        let _home = sender.home.as_ref().map(Handle::enter);
        let mut engine = shared.lock();
        // Behind the lock: the schedule's time goes on only.
        let now = Instant::now();
        if matches!(engine.end, Some(End::FailFast | End::OutputFailed(_))) {
            shared.signal.notify.notify_one();
            return;
        }
        let own = engine.next(shared.memory.is_full(), now);
        // One end may allow more than one start (a batch is done, memory is free): the others are the coordinator's.
        let may_start_more = engine.schedule.has_free_slot();
        let beside = match &own {
            Next::Start(_) if may_start_more => engine.next(shared.memory.is_full(), now),
            _ => Next::Done,
        };
        // The coordinator looks by itself when its timer ends or this task does; it must hear of anything earlier.
        let timer = engine.timer;
        let is_earlier = |at: Option<Instant>| at.is_some_and(|at| timer.is_none_or(|timer| at < timer));
        let is_news = match (&own, beside) {
            (_, Next::Start(extra)) => {
                engine.extra.push(*extra);
                true
            }
            (_, Next::Again) => true,
            (_, Next::Wait(at)) | (&Next::Wait(at), _) => is_earlier(at),
            _ => false,
        };
        if is_news {
            shared.signal.notify.notify_one();
        }
        match own {
            Next::Start(next) => attempt = next,
            // The end of this task wakes the coordinator.
            Next::Wait(_) | Next::Again | Next::Done => return,
        }
    }
}

/// Waits until the output has everything; a stopped run no longer than its drain, an aborted one not at all: whoever
/// reads the output may have stopped reading.
async fn finish_output<S: Source, K: Sink>(
    shared: &Arc<Shared<S, K>>,
    mut drain_until: Option<Instant>,
) -> io::Result<()> {
    let mut finish = std::pin::pin!(poll_fn(|cx| shared.lock().sink().poll_finish(cx)));
    loop {
        let asked = shared.signal.asked();
        if asked == Asked::Stop && drain_until.is_none() {
            drain_until = Some(later(Instant::now(), shared.options.drain));
        }
        let late = asked == Asked::Abort || drain_until.is_some_and(|at| Instant::now() >= at);
        let grace = later(Instant::now(), ABORT_GRACE);
        let until = if late { Some(grace) } else { drain_until };
        tokio::select! {
            biased;
            finished = &mut finish => return finished,
            () = sleep_until(until.unwrap_or(grace)), if until.is_some() => {
                if late {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "the output takes no more; not all of it is written"));
                }
            }
            () = shared.signal.notify.notified() => {}
        }
    }
}

/// Everything pushed reaches the output.
async fn conclude<S: Source, K: Sink>(shared: &Arc<Shared<S, K>>, drain_until: Option<Instant>) -> Finished<K> {
    let finished = finish_output(shared, drain_until).await;
    let mut engine = shared.lock();
    // Also for a run that was stopped: that rows did not reach the output is what its user has to know.
    if let Err(error) = finished
        && !matches!(engine.end, Some(End::OutputFailed(_)))
    {
        engine.end = Some(End::OutputFailed(error));
    }
    let snapshot = engine.snapshot(Instant::now());
    let stopped = shared.signal.asked() != Asked::Nothing;
    let end = engine.end.take().unwrap_or(if stopped { End::Stopped } else { End::Complete });
    let (receipt, learnt) = (engine.schedule.receipt(), engine.learnt());
    Finished { sink: engine.take_sink(), end, snapshot, receipt, learnt }
}
