//! How far a body has come, on its way out and on its way in, told to a function of the caller's.

use std::fmt;
use std::sync::Arc;

/// How far a body has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes so far.
    pub done: u64,
    /// Bytes in all, where that is known.
    pub total: Option<u64>,
}

/// Who is told. Called from within the request's own future: it should return at once.
#[derive(Clone)]
pub(crate) struct OnProgress(Arc<dyn Fn(Progress) + Send + Sync>);

impl OnProgress {
    pub(crate) fn new(tell: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        OnProgress(Arc::new(tell))
    }

    pub(crate) fn tell(&self, progress: Progress) {
        (self.0)(progress);
    }
}

impl fmt::Debug for OnProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnProgress")
    }
}

/// Counts for one who is told.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    on: OnProgress,
    progress: Progress,
}

impl Meter {
    pub(crate) fn new(on: OnProgress, total: Option<u64>) -> Self {
        Meter { on, progress: Progress { done: 0, total } }
    }

    /// So many bytes more.
    pub(crate) fn add(&mut self, count: u64) {
        self.progress.done += count;
        self.on.tell(self.progress);
    }
}

/// The meters of one exchange.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    pub(crate) up: Option<Meter>,
    pub(crate) down: Option<Meter>,
    /// Who is to be told of the body that comes, once it is known that it is no redirect's.
    pub(crate) on_download: Option<OnProgress>,
}

impl Meters {
    /// The body that comes now is the one that was asked for.
    pub(crate) fn expect(&mut self, length: Option<u64>) {
        self.down = self.on_download.take().map(|on| Meter::new(on, length));
    }
}
