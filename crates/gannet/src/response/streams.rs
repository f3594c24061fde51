//! A body as a stream: of pieces, of lines, of server-sent events.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use gannet_core::events::{Event, EventError, EventLimits, EventParser};
use gannet_core::{ErrorKind, Phase};

use super::Response;
use super::body::decode_error;
use crate::error::{Error, Result};
use crate::lines::Lines;

/// The longest line that [`Response::lines`] puts together.
const MAX_LINE: usize = 16 << 20;

impl Response {
    /// The body as a stream of pieces.
    pub fn bytes_stream(self) -> Chunks {
        Chunks { response: self, ended: false }
    }

    /// The body as lines of text (UTF-8, what does not decode as U+FFFD), without their line ends. A line of more than
    /// 16 MiB is an error of the kind `too_large`, behind which nothing more comes.
    pub fn lines(self) -> ResponseLines {
        ResponseLines { response: self, lines: Lines::new(MAX_LINE), ended: false }
    }

    /// The body as server-sent events (WHATWG HTML §9.2), lines up to 4 MiB and events up to 16 MiB. Status and
    /// content type are the caller's to look at; [`crate::RequestBuilder::event_source`] does, and connects again.
    ///
    /// ```no_run
    /// # async fn example(session: gannet::Session) -> gannet::Result<()> {
    /// let response = session.get("https://example.com/news").header("accept", "text/event-stream").send().await?;
    /// let mut events = response.error_for_status()?.events();
    /// while let Some(event) = events.next_event().await {
    ///     let event = event?;
    ///     println!("{}: {}", event.event, event.data);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn events(self) -> Events {
        self.events_with(EventParser::new(EventLimits::default()))
    }

    /// As [`Response::events`], read by a parser of the caller's: with other bounds, or behind an event known.
    pub fn events_with(self, parser: EventParser) -> Events {
        Events { response: self, parser, ended: false }
    }
}

/// The body of a response as a stream of pieces. Dropping it before its end closes the connection or, over
/// HTTP/2, resets its stream.
#[derive(Debug)]
pub struct Chunks {
    response: Response,
    ended: bool,
}

impl Stream for Chunks {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let next = ready!(self.response.poll_chunk(cx)).transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        Poll::Ready(next)
    }
}

/// The body of a response as a stream of lines. Dropping it before its end closes the connection or, over
/// HTTP/2, resets its stream.
#[derive(Debug)]
pub struct ResponseLines {
    response: Response,
    lines: Lines,
    ended: bool,
}

impl ResponseLines {
    /// The next line; `None` at the end.
    pub async fn next_line(&mut self) -> Option<Result<String>> {
        poll_fn(|cx| self.poll_line(cx)).await
    }

    /// Nothing more comes, and a line that was cut off is not given out as one.
    fn fail(&mut self) {
        self.ended = true;
        self.lines = Lines::new(MAX_LINE);
    }

    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<String>>> {
        loop {
            match self.lines.next_line() {
                Ok(Some(line)) => return Poll::Ready(Some(Ok(String::from_utf8_lossy(&line).into_owned()))),
                Ok(None) if self.ended => {
                    let rest = self.lines.finish().map_err(|error| self.response.told(decode_error(error)));
                    let rest = rest.transpose().map(|line| line.map(|l| String::from_utf8_lossy(&l).into_owned()));
                    return Poll::Ready(rest);
                }
                Ok(None) => {}
                Err(error) => {
                    self.fail();
                    return Poll::Ready(Some(Err(self.response.told(decode_error(error)))));
                }
            }
            match ready!(self.response.poll_chunk(cx)) {
                Ok(Some(piece)) => self.lines.push(&piece),
                Ok(None) => self.ended = true,
                Err(error) => {
                    self.fail();
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

impl Stream for ResponseLines {
    type Item = Result<String>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_line(cx)
    }
}

/// The body of a response as a stream of server-sent events. Dropping it before its end closes the connection or, over
/// HTTP/2, resets its stream.
#[derive(Debug)]
pub struct Events {
    response: Response,
    parser: EventParser,
    ended: bool,
}

impl Events {
    /// The next event; `None` at the end, where an event that was cut off is not given out. Dropping the future
    /// loses nothing.
    ///
    /// # Errors
    /// As [`Response::bytes`]; kind `too_large` for a line or an event over its bound. Then nothing more comes.
    pub async fn next_event(&mut self) -> Option<Result<Event>> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// The ID to send as Last-Event-ID when connecting again; empty for none.
    pub fn last_id(&self) -> &str {
        self.parser.last_id()
    }

    /// How long the server wants to be left alone before connecting again, where it said so.
    pub fn retry(&self) -> Option<std::time::Duration> {
        self.parser.retry()
    }

    /// The response, its body as far as it is not read.
    pub fn response(&self) -> &Response {
        &self.response
    }

    /// The response again; events that came and were not taken are lost.
    pub fn into_response(self) -> Response {
        self.response
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event>>> {
        while !self.ended {
            match self.parser.next_event() {
                Ok(Some(event)) => return Poll::Ready(Some(Ok(event))),
                Ok(None) => {}
                Err(error) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(self.response.told(too_large(error)))));
                }
            }
            match ready!(self.response.poll_chunk(cx)) {
                Ok(Some(piece)) => self.parser.push(&piece),
                Ok(None) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        Poll::Ready(None)
    }
}

impl Stream for Events {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_event(cx)
    }
}

fn too_large(error: EventError) -> Error {
    Error::new(ErrorKind::TooLarge, Phase::Body, error.to_string())
}
