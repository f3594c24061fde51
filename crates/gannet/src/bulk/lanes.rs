//! The threads that a run's requests are on. A lane is a runtime on one thread with connections of its own, so that
//! the way of a request is one thread's alone; what lanes share (limits, schedule, input, output) is behind the
//! engine's lock, which a row takes for a moment when it ends and when the next begins. The first lane is the caller's
//! own runtime, the others live as long as the run. So that what source and sink start does not end with a lane, they
//! are called in the caller's runtime, on whichever thread.

use std::future::Future;
use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet};

use super::BulkOptions;
use super::attempt::Sender;
use super::memory::Memory;
use super::sink::RowMaker;
use crate::session::Session;

/// Dropping it aborts every worker and ends the threads, which it waits for: that is soon, each ends its poll and
/// leaves what blocks to itself.
pub(super) struct Lanes {
    workers: JoinSet<usize>,
    lanes: Vec<Lane>,
    threads: Vec<Thread>,
}

struct Lane {
    runtime: Handle,
    sender: Arc<Sender>,
    /// Workers that were started on it and are not known to have ended.
    busy: usize,
}

struct Thread {
    /// Ends the runtime when it is dropped.
    alive: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Lanes {
    /// As many lanes as asked for: fewer where the session may not have as many connections, or the machine not as
    /// many threads. To be called on a tokio runtime.
    pub(super) fn open(
        session: &Session,
        options: &Arc<BulkOptions>,
        memory: &Arc<Memory>,
        maker: Option<RowMaker>,
    ) -> Self {
        let most = session.settings().connections.most_shards();
        let wanted = options.threads.map_or(1, NonZeroUsize::get).min(most).min(options.limits.concurrency.max(1));
        let (mut runtimes, mut threads) = (vec![Handle::current()], Vec::new());
        for number in 1..wanted {
            // What can be done with fewer threads is done with fewer.
            let Ok((runtime, thread)) = Thread::start(number) else { break };
            runtimes.push(runtime);
            threads.push(thread);
        }
        let count = runtimes.len();
        if count > 1 {
            // The shards have the whole of the caps.
            session.inner.pool.evict_idle();
        }
        let lanes = runtimes.into_iter().enumerate().map(|(number, runtime)| {
            let session = if count == 1 { session.clone() } else { session.shard(number, count) };
            let home = (number > 0).then(Handle::current);
            let sender = Arc::new(Sender { session, options: options.clone(), memory: memory.clone(), maker, home });
            Lane { runtime, sender, busy: 0 }
        });
        Lanes { workers: JoinSet::new(), lanes: lanes.collect(), threads }
    }

    /// Starts a worker where the fewest are; on the first lane of them, so that what one thread can do is done by one
    /// as long as it is little.
    pub(super) fn spawn<F>(&mut self, work: impl FnOnce(Arc<Sender>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        while let Some(ended) = self.workers.try_join_next() {
            self.on_ended(ended);
        }
        let least = self.lanes.iter().enumerate().min_by_key(|(_, lane)| lane.busy);
        let (number, _) = least.expect("invariant: there is always the caller's lane");
        let lane = &mut self.lanes[number];
        lane.busy += 1;
        let work = work(lane.sender.clone());
        self.workers.spawn_on(
            async move {
                work.await;
                number
            },
            &lane.runtime,
        );
    }

    /// Ready when a worker has ended; never where there is none. A worker's panic goes on here.
    pub(super) async fn one_ended(&mut self) {
        match self.workers.join_next().await {
            Some(ended) => self.on_ended(ended),
            None => std::future::pending().await,
        }
    }

    /// Aborts all workers, and returns when the last is gone.
    pub(super) async fn abort(&mut self) {
        self.workers.abort_all();
        while let Some(ended) = self.workers.join_next().await {
            self.on_ended(ended);
        }
    }

    fn on_ended(&mut self, ended: Result<usize, JoinError>) {
        match ended {
            Ok(number) => self.lanes[number].busy -= 1,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // Aborted: nothing is started after that.
            Err(_) => {}
        }
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.workers.abort_all();
        // All of them told first, then waited for.
        for thread in &mut self.threads {
            thread.alive = None;
        }
    }
}

impl Thread {
    fn start(number: usize) -> io::Result<(Handle, Thread)> {
        let (alive, ended) = oneshot::channel::<()>();
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::Builder::new().name(format!("gannet-run-{number}")).spawn(move || {
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(sender.send(Err(error))),
            };
            if sender.send(Ok(runtime.handle().clone())).is_ok() {
                // An error is the end: the sender is gone.
                let _ = runtime.block_on(ended);
            }
            runtime.shutdown_background();
        })?;
        let runtime = receiver.recv().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))?;
        Ok((runtime, Thread { alive: Some(alive), thread: Some(thread) }))
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.alive = None;
        if let Some(thread) = self.thread.take() {
            // A panic outside a worker would have been the runtime's.
            let _ = thread.join();
        }
    }
}
