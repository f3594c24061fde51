//! The bulk engine's doors for Rust: a list in, outcomes in input order, or a stream of them; a map; batches.

use std::collections::HashMap;
use std::future::{Future, IntoFuture};
use std::num::NonZeroU64;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::task::JoinHandle;

use super::sink::{BatchSink, ChannelSink, CollectSink, OutcomeReceiver};
use super::source::{ListSource, StreamSource, Target};
use super::{BulkOptions, Control, End, Fetched, Outcome, Run, Source};
use crate::error::{Error, Result};
use crate::session::Session;

/// Outcomes that may be finished and not yet taken from a stream, per `limits.concurrency`.
const STREAM_BOUND_FACTOR: usize = 2;

impl Session {
    /// Fetches all of them concurrently. Awaiting it gives one [`Outcome`] for each, in input order, failures
    /// among them as values: one never stops the others.
    ///
    /// ```no_run
    /// # async fn example(session: gannet::Session) {
    /// for outcome in session.fetch_all(["http://a.example/", "http://b.example/"]).await {
    ///     match outcome.into_result() {
    ///         Ok(fetched) => println!("{} {}", fetched.final_url, fetched.body.len()),
    ///         Err(error) => println!("{error}"),
    ///     }
    /// }
    /// # }
    /// ```
    pub fn fetch_all<T: Into<Target>>(&self, targets: impl IntoIterator<Item = T>) -> FetchAll {
        let targets = targets.into_iter().map(Into::into).collect();
        FetchAll { session: self.clone(), targets, options: BulkOptions::default() }
    }

    /// Fetches everything a source gives, in bounded memory: a stream of outcomes as they finish, or in input
    /// order. Anything that iterates over URLs or requests is made a source by [`Session::fetch_iter`].
    pub fn fetch(&self, source: impl Source + 'static) -> Fetch {
        let start =
            |session: &Session, options: BulkOptions, ordered: bool| Outcomes::start(session, source, options, ordered);
        Fetch { session: self.clone(), options: BulkOptions::default(), ordered: false, start: Box::new(start) }
    }

    /// As [`Session::fetch`], from a stream of URLs or requests; it is read only as far as there is room.
    pub fn fetch_stream<T>(&self, targets: impl Stream<Item = T> + Send + Unpin + 'static) -> Fetch
    where
        T: Into<Target> + Send + 'static,
    {
        self.fetch(StreamSource::new(self.base().cloned(), targets))
    }

    /// As [`Session::fetch`], from anything that iterates over URLs or requests.
    pub fn fetch_iter<T, I>(&self, targets: I) -> Fetch
    where
        T: Into<Target> + Send + 'static,
        I: IntoIterator<Item = T>,
        I::IntoIter: Send + Unpin + 'static,
    {
        self.fetch_stream(futures_util::stream::iter(targets))
    }

    /// The parallel fetch in one call: url → the response, or why there is none. Equal URLs are fetched once.
    pub async fn fetch_map<U: Into<String>>(
        &self,
        urls: impl IntoIterator<Item = U>,
        options: BulkOptions,
    ) -> HashMap<String, Result<Fetched>> {
        let mut known = std::collections::HashSet::new();
        let urls: Vec<String> =
            urls.into_iter().map(Into::into).filter(|url: &String| known.insert(url.clone())).collect();
        drop(known);
        let outcomes = self.fetch_all(urls.iter()).options(options).outcomes().await;
        // By index: a run that ends early has no outcome for some.
        let name = |outcome: &Outcome| urls[outcome.index as usize].clone();
        outcomes.into_iter().map(|outcome| (name(&outcome), outcome.into_result())).collect()
    }

    /// Fetches in batches of `size`: the next starts when the last row of the one before is done. `on_batch` is
    /// called after each with its outcomes in input order.
    pub async fn fetch_batches<T: Into<Target>>(
        &self,
        targets: impl IntoIterator<Item = T>,
        size: NonZeroU64,
        options: BulkOptions,
        on_batch: impl FnMut(Vec<Outcome>) + Send + 'static,
    ) {
        let targets: Vec<Target> = targets.into_iter().map(Into::into).collect();
        let source = ListSource::new(self.base().cloned(), targets);
        let sink = BatchSink::new(on_batch);
        let options = BulkOptions { batch: Some(size), ..options };
        Run::new(self, source, sink, options).drive().await;
    }
}

/// What both builders below let one choose.
macro_rules! option_setters {
    () => {
        /// All options of the run.
        pub fn options(mut self, options: BulkOptions) -> Self {
            self.options = options;
            self
        }

        /// How many requests run at once.
        pub fn concurrency(mut self, most: usize) -> Self {
            self.options.limits.concurrency = most;
            self
        }

        /// How many run at once to one host.
        pub fn per_host(mut self, most: usize) -> Self {
            self.options.limits.per_host = Some(most);
            self
        }
    };
}

/// Many requests whose outcomes are wanted together; see [`Session::fetch_all`].
#[must_use = "nothing is sent before `await`"]
#[derive(Debug)]
pub struct FetchAll {
    session: Session,
    targets: Vec<Target>,
    options: BulkOptions,
}

impl FetchAll {
    option_setters!();

    /// The outcomes in input order; the same as awaiting it. Dropping the future aborts everything in flight.
    pub async fn outcomes(self) -> Vec<Outcome> {
        let source = ListSource::new(self.session.base().cloned(), self.targets);
        let finished = Run::new(&self.session, source, CollectSink::default(), self.options).drive().await;
        finished.sink.into_outcomes()
    }

    /// Stops at the first failure: all responses in input order, or the first error; everything else in flight is
    /// then dropped.
    ///
    /// # Errors
    /// The first failure.
    pub async fn fail_fast(mut self) -> Result<Vec<Fetched>> {
        self.options.fail_fast = true;
        self.outcomes().await.into_iter().try_fold(Vec::new(), |mut all, outcome| {
            all.push(outcome.into_result()?);
            Ok(all)
        })
    }
}

impl IntoFuture for FetchAll {
    type Output = Vec<Outcome>;
    type IntoFuture = Pin<Box<dyn Future<Output = Vec<Outcome>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.outcomes())
    }
}

type StartFn = Box<dyn FnOnce(&Session, BulkOptions, bool) -> Outcomes + Send>;

/// A stream of outcomes to be; see [`Session::fetch`].
#[must_use = "nothing is sent before `outcomes`"]
pub struct Fetch {
    session: Session,
    options: BulkOptions,
    ordered: bool,
    start: StartFn,
}

impl Fetch {
    option_setters!();

    /// Outcomes in input order instead of as they finish. At most four times `limits.concurrency` outcomes wait
    /// for their turn; beyond that nothing new is read, so one slow row holds back the input.
    pub fn ordered(mut self) -> Self {
        self.ordered = true;
        self
    }

    /// Starts the run on the current tokio runtime.
    pub fn outcomes(self) -> Outcomes {
        (self.start)(&self.session, self.options, self.ordered)
    }
}

/// The outcomes of a run as a stream. Dropping it aborts the run and everything in flight.
pub struct Outcomes {
    receiver: OutcomeReceiver,
    control: Control,
    driver: JoinHandle<End>,
    end: Option<End>,
}

impl Outcomes {
    fn start(session: &Session, source: impl Source + 'static, options: BulkOptions, ordered: bool) -> Self {
        let bound = options.limits.concurrency.max(1) * STREAM_BOUND_FACTOR;
        let (sink, receiver) = ChannelSink::new(bound, ordered);
        let run = Run::new(session, source, sink, options);
        let control = run.control();
        let driver = tokio::spawn(async move { run.drive().await.end });
        Outcomes { receiver, control, driver, end: None }
    }

    /// To stop the run or look at it.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The next outcome; `None` when the run is over.
    pub async fn next(&mut self) -> Option<Outcome> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// How the run ended, once the stream has; an input that could not be read to its end is an error here.
    ///
    /// # Errors
    /// Kind `input`.
    pub fn result(&self) -> Result<()> {
        match &self.end {
            Some(End::InputFailed(error)) => Err(Error::new(
                gannet_core::ErrorKind::Input,
                gannet_core::Phase::Prepare,
                format!("the input cannot be read any further: {error}"),
            )),
            _ => Ok(()),
        }
    }
}

impl Stream for Outcomes {
    type Item = Outcome;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Outcome>> {
        if self.end.is_some() {
            return Pin::new(&mut self.receiver).poll_next(cx);
        }
        if let Poll::Ready(Some(outcome)) = Pin::new(&mut self.receiver).poll_next(cx) {
            return Poll::Ready(Some(outcome));
        }
        // Also while the receiver is pending: a source that panics ends the driver, not the channel.
        match Pin::new(&mut self.driver).poll(cx) {
            Poll::Ready(Ok(end)) => {
                self.end = Some(end);
                // The last outcomes may have come between the two looks; the channel has ended by now.
                Pin::new(&mut self.receiver).poll_next(cx)
            }
            Poll::Ready(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Poll::Ready(Err(_)) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Outcomes {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
