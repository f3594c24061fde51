//! One request and its response, whichever version of HTTP the connection speaks. Upload and download progress in
//! the same poll; dropping an exchange gives up what it holds of the connection.

mod clock;
mod http1;
mod http2;
mod watch;

use std::ops::Range;
use std::task::{Context, Poll};
use std::time::Duration;

use gannet_core::h1::ResponseHead;
use gannet_core::{ErrorKind, Headers, Phase};

pub(crate) use clock::Clock;
pub(crate) use http1::Http1;
pub(crate) use http2::{Asked, Http2};
pub(crate) use watch::Watch;

use crate::body::Kind;
use crate::error::{Error, Result};
use crate::timings::Marks;
use crate::upgrade::Switched;

#[expect(clippy::large_enum_variant, reason = "the large one is the usual one, and lives where it is made")]
pub(crate) enum Exchange {
    Http1(Http1),
    /// Boxed: the room it takes would be carried by every request of HTTP/1.1.
    Http2(Box<Http2>),
}

/// A failed exchange; `unanswered` where not one byte of a response had come and the connection was at fault.
pub(crate) struct Failed {
    pub(crate) error: Error,
    pub(crate) unanswered: bool,
}

/// The session was closed, and did not wait any longer.
fn cut_off(phase: Phase) -> Failed {
    let error = Error::new(ErrorKind::Closed, phase, "the session was closed before this was done");
    Failed { error, unanswered: false }
}

impl Exchange {
    /// The response's head.
    pub(crate) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Failed>> {
        match self {
            Exchange::Http1(exchange) => exchange.poll_head(cx),
            Exchange::Http2(exchange) => exchange.poll_head(cx),
        }
    }

    /// The next piece of the body, as a place in [`Exchange::data`]; `None` at its end.
    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Range<usize>>>> {
        match self {
            Exchange::Http1(exchange) => exchange.poll_data(cx),
            Exchange::Http2(exchange) => exchange.poll_data(cx),
        }
    }

    /// Whether the answer came before the body was begun, which waited to be asked for; a one-time stream is then
    /// back in the body.
    pub(crate) fn reclaim(&mut self, body: &mut Kind) -> bool {
        match self {
            Exchange::Http1(exchange) => exchange.reclaim(body),
            Exchange::Http2(exchange) => exchange.reclaim(body),
        }
    }

    /// The body that comes is the one that was asked for, of this length where it is known.
    pub(crate) fn expect_body(&mut self, length: Option<u64>) {
        match self {
            Exchange::Http1(exchange) => exchange.watch.expect_body(length),
            Exchange::Http2(exchange) => exchange.watch.expect_body(length),
        }
    }

    /// How many bytes have come that nobody has looked at yet, at the most.
    pub(crate) fn at_hand(&self) -> usize {
        match self {
            Exchange::Http1(exchange) => exchange.at_hand(),
            Exchange::Http2(exchange) => exchange.at_hand(),
        }
    }

    /// A piece of body that is at hand already, without reading more.
    pub(crate) fn data_at_hand(&mut self) -> Option<Range<usize>> {
        match self {
            Exchange::Http1(exchange) => exchange.data_at_hand(),
            Exchange::Http2(exchange) => exchange.data_at_hand(),
        }
    }

    /// The bytes of a piece; valid until the next poll.
    pub(crate) fn data(&self, range: Range<usize>) -> &[u8] {
        match self {
            Exchange::Http1(exchange) => exchange.data(range),
            Exchange::Http2(exchange) => exchange.data(range),
        }
    }

    /// Whether the response is whole.
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Exchange::Http1(exchange) => exchange.is_done(),
            Exchange::Http2(exchange) => exchange.is_done(),
        }
    }

    /// The fields that came behind the body.
    pub(crate) fn trailers(&self) -> Option<&Headers> {
        match self {
            Exchange::Http1(exchange) => exchange.trailers(),
            Exchange::Http2(exchange) => exchange.trailers(),
        }
    }

    /// The caller itself did not want to read for so long: restarts `read`, and moves `total` on if asked to.
    pub(crate) fn excuse(&mut self, waited: Duration, move_total: bool) {
        match self {
            Exchange::Http1(exchange) => exchange.excuse(waited, move_total),
            Exchange::Http2(exchange) => exchange.excuse(waited, move_total),
        }
    }

    /// What was noted so far.
    pub(crate) fn marks(&self) -> &Marks {
        match self {
            Exchange::Http1(exchange) => &exchange.watch.marks,
            Exchange::Http2(exchange) => &exchange.watch.marks,
        }
    }

    /// Ends the exchange, its response unread: no other request is sent on this connection.
    pub(crate) fn abandon(self) {
        if let Exchange::Http2(exchange) = self {
            exchange.retire();
        }
    }

    /// Ends the exchange at a 101: its connection is another protocol's from now on.
    pub(crate) fn switch(self) -> Option<Switched> {
        match self {
            Exchange::Http1(exchange) => Some(exchange.switch()),
            Exchange::Http2(_) => None,
        }
    }

    /// Ends the exchange, its response being whole: what it holds of the connection goes back to the pool, if another
    /// request may use it. What was noted is handed out.
    pub(crate) fn finish(self) -> Marks {
        match self {
            Exchange::Http1(exchange) => exchange.finish(),
            Exchange::Http2(exchange) => exchange.finish(),
        }
    }
}
