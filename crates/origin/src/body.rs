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
use tokio::time::{Instant, Sleep};

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

struct Pace {
    interval: Duration,
    sleep: Pin<Box<Sleep>>,
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

    /// Waits this long before every piece after the first. No effect on other bodies.
    pub(crate) fn paced(mut self, interval: Duration) -> Body {
        if let Content::Pieces { pace, .. } = &mut self.content
            && !interval.is_zero()
        {
            *pace = Some(Pace { interval, sleep: Box::pin(tokio::time::sleep(Duration::ZERO)) });
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
                    std::task::ready!(pace.sleep.as_mut().poll(cx));
                    pace.sleep.as_mut().reset(Instant::now() + pace.interval);
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
