//! The thread that commits, so that rows reach the output without waiting for a disk to sync: it takes what was
//! written since its last commit, syncs the output and commits all of it at once. Commits run back to back, with at
//! least a twentieth of a second between two that nobody waits for. A failed sync is final: the kernel may have dropped
//! what it could not write, so the output is read as a whole by the next run.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::error::as_io;
use super::journal::{Journal, Page, Table, put};
use crate::bulk::sink::Report;
use crate::session::Session;

/// What the thread works with.
#[derive(Debug)]
pub(super) struct Commits {
    pub(super) journal: Journal,
    pub(super) table: Table,
    /// The output; none where it is not synced.
    pub(super) synced: Option<(File, PathBuf)>,
    pub(super) cookies: Option<Cookies>,
}

/// The cookies of the session, written down when they change.
#[derive(Debug)]
pub(super) struct Cookies {
    pub(super) session: Session,
    pub(super) changes: u64,
    /// None where they are to be written however soon.
    pub(super) written: Option<Instant>,
}

/// A handle to the thread. Dropping it has the thread commit what was handed to it, and waits for that.
#[derive(Debug)]
pub(super) struct Committer {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<Journal>>,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<Queued>,
    /// For the thread: there is something to do.
    work: Condvar,
    /// From the thread: something was committed, or it has ended.
    done: Condvar,
}

#[derive(Debug, Default)]
struct Queued {
    pages: Vec<Page>,
    /// Entries in them.
    entries: usize,
    is_urgent: bool,
    /// The thread has taken pages and not committed them yet.
    is_busy: bool,
    is_closing: bool,
    has_ended: bool,
}

impl Committer {
    /// Starts the thread.
    pub(super) fn start(commits: Commits, report: Report) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let ours = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("gannet-state".into()).spawn(move || {
            let ending = Ending { queue: ours, report };
            ending.queue.run(commits, &ending.report)
        })?;
        Ok(Committer { queue, thread: Some(thread) })
    }

    /// Hands a page on; waits while the thread is too far behind.
    pub(super) fn push(&self, page: Page, is_urgent: bool) {
        let mut state = self.queue.lock();
        while state.entries > MOST_ENTRIES && !state.has_ended {
            state = self.queue.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.entries += page.batch.entries.len();
        state.pages.push(page);
        state.is_urgent |= is_urgent;
        drop(state);
        self.queue.work.notify_one();
    }

    /// Waits until everything handed on is committed, or the thread has failed; whether it is committed.
    pub(super) fn flush(&self) -> bool {
        let mut state = self.queue.lock();
        state.is_urgent = true;
        self.queue.work.notify_one();
        while (state.is_busy || !state.pages.is_empty()) && !state.has_ended {
            state = self.queue.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.is_busy && state.pages.is_empty()
    }

    /// Commits what is left and gives the journal back; none where the thread panicked.
    pub(super) fn finish(&mut self) -> Option<Journal> {
        let thread = self.thread.take()?;
        self.queue.lock().is_closing = true;
        self.queue.work.notify_one();
        thread.join().ok()
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Queued> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut commits: Commits, report: &Report) -> Journal {
        let mut last = None;
        while let Some(pages) = self.next_pages(last) {
            if let Err(error) = commits.commit(&pages) {
                report.failed(&error);
                break;
            }
            last = Some(Instant::now());
            report.committed(pages.iter().map(|page| page.number).max().unwrap_or_default());
            self.lock().is_busy = false;
            self.done.notify_all();
        }
        commits.journal
    }

    /// Waits until it is time; `None` when all is done.
    fn next_pages(&self, last: Option<Instant>) -> Option<Vec<Page>> {
        let mut state = self.lock();
        loop {
            let rest = last.map_or(Duration::ZERO, |at| GATHER.saturating_sub(at.elapsed()));
            if state.pages.is_empty() {
                if state.is_closing {
                    return None;
                }
                state.is_urgent = false;
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else if rest.is_zero() || state.is_urgent || state.is_closing {
                break;
            } else {
                state = self.work.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        (state.is_urgent, state.is_busy, state.entries) = (false, true, 0);
        Some(std::mem::take(&mut state.pages))
    }
}

impl Commits {
    fn commit(&mut self, pages: &[Page]) -> io::Result<()> {
        let is_closing = pages.iter().any(|page| page.number == CLOSING);
        if let Some(cookies) = self.cookies.as_mut().filter(|_| is_closing) {
            cookies.written = None;
        }
        let has_rows = pages.iter().any(|page| page.has_rows);
        if let Some((file, path)) = self.synced.as_ref().filter(|_| has_rows)
            && let Err(error) = file.sync_data()
        {
            // What the kernel could not write it may believe written (Rebello et al., ATC 2020).
            let table = self.table;
            let _ = self.journal.transaction(|db| put(db, table.suspect(), &true));
            return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())));
        }
        let cookies = self.cookies.as_mut().and_then(Cookies::changed);
        let committed = self.journal.commit(self.table, pages, cookies.as_deref());
        committed.map_err(|error| as_io(self.journal.path(), &error))
    }
}

impl Cookies {
    /// The jar as it is now, if it has changed; a large one at most once a second.
    fn changed(&mut self) -> Option<String> {
        let jar = self.session.cookies();
        let is_soon = self.written.is_some_and(|at| at.elapsed() < COOKIES_EVERY);
        if jar.changes() == self.changes || (is_soon && jar.len() > MANY_COOKIES) {
            return None;
        }
        self.changes = jar.changes();
        self.written = Some(Instant::now());
        serde_json::to_string(&jar.iter().collect::<Vec<_>>()).ok()
    }
}

/// Says on drop that the thread has ended, however it did; of a panic it tells whoever waits for a commit.
struct Ending {
    queue: Arc<Queue>,
    report: Report,
}

impl Drop for Ending {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.report.failed(&io::Error::other("the thread that commits the state panicked"));
        }
        self.queue.lock().has_ended = true;
        self.queue.done.notify_all();
    }
}

/// The number of the page that closes a run; batches count from 1.
pub(super) const CLOSING: u64 = 0;

/// How long at least between two commits that nobody waits for.
const GATHER: Duration = Duration::from_millis(50);
/// With more entries than this waiting, the writer waits too.
const MOST_ENTRIES: usize = 1 << 16;
const COOKIES_EVERY: Duration = Duration::from_secs(1);
/// A jar of so many is written in well under a millisecond.
const MANY_COOKIES: usize = 200;
