//! The body of a reply: whole, in pieces, in pieces at a pace, or cut short.
//! It carries the request's [`Flight`], so a request counts as in flight until
//! its last byte has been handed to the connection or the connection is gone.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::time::Sleep;

use crate::stats::Flight;
use crate::wire::{Cut, Ending};

/// The body of one reply.
pub(crate) struct Body {
    content: Content,
    on_sent: Option<OnSent>,
    flight: Option<Flight>,
}

/// What to do when the last byte has been handed to the connection.
pub(crate) type OnSent = Box<dyn FnOnce() + Send>;

type Pieces = Box<dyn Iterator<Item = Bytes> + Send>;

enum Content {
    Whole(Bytes),
    Pieces { pieces: Pieces, left: Option<u64>, pace: Option<Pace> },
    Cut { data: Bytes, then: Option<(Arc<Cut>, Ending)> },
    Done,
}

/// A beat for the pieces. One that comes late is no reason for the next to be late: the whole takes what it should.
struct Pace {
    first: Duration,
    interval: Duration,
    /// From the first time the body is asked for.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Body {
    /// All of it at once.
    pub(crate) fn whole(data: impl Into<Bytes>) -> Body {
        Body::of(Content::Whole(data.into()))
    }

    /// Piece by piece; with `len` it has a Content-Length, without it is chunked.
    pub(crate) fn pieces(pieces: impl Iterator<Item = Bytes> + Send + 'static, len: Option<u64>) -> Body {
        Body::of(Content::Pieces { pieces: Box::new(pieces), left: len, pace: None })
    }

    /// The first piece at once, each of the others this long after the one before. No effect on other bodies.
    pub(crate) fn paced(self, interval: Duration) -> Body {
        self.at_pace(Duration::ZERO, interval)
    }

    /// So many pieces, evenly: the last one is due at the end of this time. No effect on other bodies.
    pub(crate) fn spread(self, pieces: u32, over: Duration) -> Body {
        let interval = over / pieces.max(1);
        self.at_pace(interval, interval)
    }

    fn at_pace(mut self, first: Duration, interval: Duration) -> Body {
        if let Content::Pieces { pace, .. } = &mut self.content
            && !interval.is_zero()
        {
            *pace = Some(Pace { first, interval, sleep: None });
        }
        self
    }

    /// This data, and then the connection is cut, or with `None` nothing more comes.
    pub(crate) fn cut(data: impl Into<Bytes>, then: Option<(Arc<Cut>, Ending)>) -> Body {
        Body::of(Content::Cut { data: data.into(), then })
    }

    /// Calls this once the whole body has been handed over; not if it never is.
    pub(crate) fn on_sent(mut self, call: OnSent) -> Body {
        self.on_sent = Some(call);
        self
    }

    /// Ties the request's flight to the life of this body.
    pub(crate) fn carrying(mut self, flight: Option<Flight>) -> Body {
        self.flight = flight;
        self
    }

    fn of(content: Content) -> Body {
        Body { content, on_sent: None, flight: None }
    }

    fn finish(&mut self) {
        self.content = Content::Done;
        self.flight = None;
        if let Some(call) = self.on_sent.take() {
            call();
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let body = &mut *self;
        match &mut body.content {
            Content::Whole(data) => {
                let data = std::mem::take(data);
                body.finish();
                Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data))))
            }
            Content::Pieces { pieces, left, pace } => {
                if let Some(pace) = pace {
                    let sleep = pace.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(pace.first)));
                    std::task::ready!(sleep.as_mut().poll(cx));
                    let next = sleep.deadline() + pace.interval;
                    sleep.as_mut().reset(next);
                }
                let Some(piece) = pieces.next() else {
                    body.finish();
                    return Poll::Ready(None);
                };
                if let Some(left) = left {
                    *left = left.saturating_sub(piece.len() as u64);
                    if *left == 0 {
                        body.finish();
                    }
                }
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Content::Cut { data, .. } if !data.is_empty() => Poll::Ready(Some(Ok(Frame::data(std::mem::take(data))))),
            Content::Cut { then, .. } => {
                // hyper flushes after a pending body: that flush sets the cut off.
                if let Some((cut, ending)) = then.take() {
                    cut.once_flushed(ending);
                }
                Poll::Pending
            }
            Content::Done => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(data) => data.is_empty(),
            Content::Pieces { left, .. } => *left == Some(0),
            Content::Cut { .. } => false,
            Content::Done => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(data) => SizeHint::with_exact(data.len() as u64),
            Content::Pieces { left: Some(left), .. } => SizeHint::with_exact(*left),
            Content::Done => SizeHint::with_exact(0),
            Content::Pieces { .. } | Content::Cut { .. } => SizeHint::default(),
        }
    }
}
