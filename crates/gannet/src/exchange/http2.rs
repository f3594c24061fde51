//! One request and its response as a stream of a connection of HTTP/2 that others share. The connection has a task of
//! its own; upload, download and deadlines are driven here, in the request's own future. Dropping the exchange before
//! its end resets the stream (CANCEL) and leaves the connection to the others.

mod failure;
mod outgoing;

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use gannet_core::h1::{BodyFraming, HeadLimits, ProtocolError, RequestKind, ResponseHead, Version};
use gannet_core::{ErrorKind, Headers, Phase};
use h2::RecvStream;
use h2::client::ResponseFuture;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use crate::alarm::Alarm;
use crate::body::{Body, Kind, Source};
use crate::error::{Error, Note, Result};
use crate::exchange::{Clock, Failed, Watch, cut_off};
use crate::http2::{Seat, from_map};
use crate::pool::{Lease, Why};
use crate::timings::Marks;
use outgoing::{Outgoing, Unwritten};

pub(crate) struct Http2 {
    response: Option<ResponseFuture>,
    body: Option<RecvStream>,
    outgoing: Option<Outgoing>,
    unwritten: Unwritten,
    /// The whole body, if there is one, is with the socket.
    is_sent: bool,
    /// The connection had bytes of the body that were not with the socket, when that was last looked at.
    was_unwritten: bool,
    /// A body that was not begun when the answer came.
    unsent: Option<Source>,
    /// What came last and was handed on.
    piece: Bytes,
    trailers: Option<Headers>,
    done: bool,
    kind: RequestKind,
    /// Bytes of the body that were read since the window last grew for it.
    taken: u64,
    /// What heads may still take of their limit: interim ones, the head itself and trailers together.
    room: usize,
    clock: Clock,
    pub(crate) watch: Watch,
    /// An error that came while nobody could be told.
    broken: Option<Failed>,
    /// Some until it is dropped.
    seat: Option<Seat>,
    /// Last: the stream is over before another may take its place.
    lease: Lease,
}

/// What is asked: the head, and the body that goes with it.
pub(crate) struct Asked<'a> {
    pub(crate) head: http::Request<()>,
    pub(crate) body: &'a mut Body,
    /// Until when the body waits to be asked for (RFC 9110 §10.1.1).
    pub(crate) held: Option<Instant>,
}

impl Http2 {
    /// Opens a stream.
    ///
    /// # Errors
    /// The request was not sent, not even in part.
    pub(crate) fn start(
        lease: Lease,
        asked: Asked<'_>,
        limits: HeadLimits,
        clock: Clock,
        mut watch: Watch,
    ) -> Result<Self, Failed> {
        let Some(muxed) = lease.muxed().cloned() else {
            return Err(Failed { error: Error::closed(), unanswered: false });
        };
        let kind = RequestKind { head: asked.head.method() == http::Method::HEAD, upgrade: false };
        let size = if watch.is_traced() { size_of(asked.head.headers()) } else { 0 };
        let is_empty = asked.body.length() == Some(0);
        let sent = muxed.sender().send_request(asked.head, is_empty);
        let (response, stream) = match sent {
            Ok(sent) => sent,
            Err(error) if error.is_io() || error.is_go_away() || error.is_reset() => {
                lease.retire(Why::Ended);
                let message = "the connection takes no more requests";
                let error = Error::new(ErrorKind::Connection, Phase::Send, message).with_source(error);
                return Err(Failed { error: error.with_note(Note::Unprocessed), unanswered: false });
            }
            Err(error) => {
                // Stream numbers run out after a billion requests; then the connection has to go.
                lease.retire(Why::Ended);
                let error = Error::request("the request cannot be sent over HTTP/2").with_source(error);
                return Err(Failed { error, unanswered: false });
            }
        };
        let seat = muxed.enter().unwrap_or_else(|| Seat { alarm: Alarm::default(), cut: lease.watch() });
        // Taken only now: a stream that can be sent once is still there for another connection before.
        let outgoing = (!is_empty).then(|| Outgoing::new(stream, &mut asked.body.kind, asked.held));
        watch.on_head_sent(size);
        if is_empty {
            watch.on_sent(clock.moved);
        }
        Ok(Http2 {
            response: Some(response),
            body: None,
            outgoing,
            unwritten: Unwritten::default(),
            is_sent: is_empty,
            was_unwritten: false,
            unsent: None,
            piece: Bytes::new(),
            trailers: None,
            done: false,
            kind,
            taken: 0,
            room: limits.max_bytes,
            clock,
            watch,
            broken: None,
            seat: Some(seat),
            lease,
        })
    }

    pub(crate) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Failed>> {
        self.poll_upload(cx)?;
        if let Poll::Ready(result) = self.poll_response(cx) {
            return Poll::Ready(result);
        }
        self.poll_deadlines(cx, Phase::Head).map(Err)
    }

    fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Failed>> {
        let Some(response) = &mut self.response else { return Poll::Pending };
        let mut asked_for = false;
        // Taken one by one: an endless row of them is an endless head.
        let last = loop {
            let interim = match response.poll_informational(cx) {
                Poll::Ready(Some(Ok(interim))) => interim,
                // Asked for now, the head would let an interim response that comes meanwhile fall.
                Poll::Pending => break false,
                Poll::Ready(_) => break true,
            };
            if let Some(muxed) = self.lease.muxed() {
                muxed.on_interim();
            }
            if from_map(interim.headers(), &mut self.room).is_err() || take(&mut self.room, STATUS_LINE).is_err() {
                return Poll::Ready(Err(self.broke_rule(ProtocolError::HeadTooLarge, Phase::Head)));
            }
            if interim.status() == StatusCode::CONTINUE
                && let Some(out) = &mut self.outgoing
            {
                asked_for |= out.held.take().is_some();
            }
            self.clock.moved = Instant::now();
            self.watch.on_first_byte(self.clock.moved);
        };
        if !last {
            if asked_for {
                self.poll_upload(cx)?;
            }
            return Poll::Pending;
        }
        match ready!(Pin::new(response).poll(cx)) {
            Ok(response) => {
                self.response = None;
                self.moved();
                self.watch.on_first_byte(self.clock.moved);
                if let Some(out) = self.outgoing.take_if(|out| out.held.is_some()) {
                    self.unsent = Some(out.source);
                }
                let head = self.on_head(response);
                Poll::Ready(head.map_err(|error| self.broke_rule(error, Phase::Head)))
            }
            Err(error) => Poll::Ready(Err(self.failed(error, Phase::Head))),
        }
    }

    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Range<usize>>>> {
        if self.done {
            return Poll::Ready(Ok(None));
        }
        if let Some(failed) = self.broken.take() {
            return Poll::Ready(Err(failed.error));
        }
        // Also of a body that always has something at hand, and never waits.
        if self.seat.as_ref().is_some_and(|seat| seat.cut.is_cut()) {
            return Poll::Ready(Err(cut_off(Phase::Body).error));
        }
        match self.poll_upload(cx).and_then(|()| self.poll_body(cx)) {
            Ok(Poll::Ready(Some(length))) => Poll::Ready(Ok(Some(0..length))),
            Ok(Poll::Ready(None)) => Poll::Ready(Ok(None)),
            Ok(Poll::Pending) => self.poll_deadlines(cx, Phase::Body).map(|failed| Err(failed.error)),
            Err(failed) => Poll::Ready(Err(failed.error)),
        }
    }

    /// The next piece into `self.piece`, and its length; `None` at the end of body and trailers.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Result<Poll<Option<usize>>, Failed> {
        loop {
            let Some(body) = &mut self.body else { return Ok(Poll::Ready(None)) };
            match body.poll_data(cx) {
                Poll::Ready(Some(Ok(piece))) => {
                    // Whoever asked has room for it: more may come in its place.
                    let _ = body.flow_control().release_capacity(piece.len());
                    self.clock.on_received(Phase::Body).map_err(|error| Failed { error, unanswered: false })?;
                    if piece.is_empty() {
                        continue;
                    }
                    self.watch.on_received(piece.len());
                    self.taken += piece.len() as u64;
                    self.piece = piece;
                    return Ok(Poll::Ready(Some(self.piece.len())));
                }
                Poll::Ready(Some(Err(error))) => return Err(self.failed(error, Phase::Body)),
                Poll::Ready(None) => {}
                Poll::Pending => {
                    if let Some(muxed) = self.lease.muxed()
                        && muxed.window.on_caught_up(self.taken, muxed.streams())
                    {
                        self.taken = 0;
                    }
                    return Ok(Poll::Pending);
                }
            }
            let trailers = match body.poll_trailers(cx) {
                Poll::Ready(Ok(trailers)) => trailers,
                Poll::Ready(Err(error)) => return Err(self.failed(error, Phase::Body)),
                Poll::Pending => return Ok(Poll::Pending),
            };
            if let Some(map) = trailers {
                let trailers = from_map(&map, &mut self.room).map_err(|error| self.broke_rule(error, Phase::Body))?;
                self.trailers = Some(without_framing(trailers));
            }
            self.done = true;
            return Ok(Poll::Ready(None));
        }
    }

    /// A piece of body that is at hand already. An error is told by the next poll that may wait.
    pub(crate) fn data_at_hand(&mut self) -> Option<Range<usize>> {
        if self.done || self.broken.is_some() {
            return None;
        }
        match self.poll_body(&mut Context::from_waker(Waker::noop())) {
            Ok(Poll::Ready(length)) => length.map(|length| 0..length),
            Ok(Poll::Pending) => None,
            Err(failed) => {
                self.broken = Some(failed);
                None
            }
        }
    }

    /// What is at hand is known only piece by piece: a small body is looked for.
    pub(crate) fn at_hand(&self) -> usize {
        SMALL_BODY
    }

    pub(crate) fn data(&self, range: Range<usize>) -> &[u8] {
        &self.piece[range]
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    pub(crate) fn trailers(&self) -> Option<&Headers> {
        self.trailers.as_ref()
    }

    /// Whether the answer came before the body was begun; a one-time stream is then back in the body.
    pub(crate) fn reclaim(&mut self, body: &mut Kind) -> bool {
        let Some(source) = self.unsent.take() else { return false };
        body.put_back(source);
        true
    }

    pub(crate) fn excuse(&mut self, waited: Duration, move_total: bool) {
        self.clock.excuse(waited, move_total);
    }

    /// The connection takes no further request; those under way go on.
    pub(crate) fn retire(&self) {
        self.lease.retire(Why::Ended);
    }

    /// Ends the exchange: the place on the connection is free for another.
    pub(crate) fn finish(mut self) -> Marks {
        self.watch.finish(self.clock.moved)
    }

    fn on_head(&mut self, response: http::Response<RecvStream>) -> Result<ResponseHead, ProtocolError> {
        let (parts, body) = response.into_parts();
        take(&mut self.room, STATUS_LINE)?;
        let headers = from_map(&parts.headers, &mut self.room)?;
        let status = parts.status;
        let framing = if self.kind.head || status == 204 || status == 304 {
            BodyFraming::None
        } else if body.is_end_stream() {
            BodyFraming::Length(0)
        } else {
            length(&parts.headers).map_or(BodyFraming::Chunked, BodyFraming::Length)
        };
        // What comes behind such a head is nobody's: the stream is reset with it.
        self.done = framing == BodyFraming::None || body.is_end_stream();
        self.body = (!self.done).then_some(body);
        Ok(ResponseHead { version: Version::Http2, status, reason: None, headers, framing, persists: true })
    }

    fn moved(&mut self) {
        self.clock.moved = Instant::now();
    }

    fn poll_deadlines(&mut self, cx: &mut Context<'_>, phase: Phase) -> Poll<Failed> {
        self.note_written();
        let is_starved = self.is_starved();
        let Some(seat) = &mut self.seat else { return Poll::Pending };
        if seat.cut.poll(cx) {
            return Poll::Ready(cut_off(phase));
        }
        // While the body waits to be asked for, that wait takes the place of `read`; and a server that waits for more of
        // it is not late.
        let is_held = self.outgoing.as_ref().is_some_and(|out| out.held.is_some());
        let read = self.clock.read.filter(|_| !is_held && !is_starved);
        let error = match (Clock { read, ..self.clock }).poll(&mut seat.alarm, cx, phase) {
            Poll::Ready(error) => error,
            Poll::Pending => return Poll::Pending,
        };
        // Hardly a byte for anyone in all that time: the next ones should not wait for it too.
        let limit = self.clock.read.unwrap_or_default();
        let silent = self.lease.muxed().is_some_and(|muxed| muxed.silent_for() >= limit / 2);
        if error.kind() == ErrorKind::TimeoutRead && silent {
            self.lease.retire(Why::Failed);
        }
        Poll::Ready(Failed { error, unanswered: false })
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        if let (Some(muxed), Some(seat)) = (self.lease.muxed(), self.seat.take()) {
            let response = self.response.as_ref().map(ResponseFuture::stream_id);
            let stream = response.or_else(|| Some(self.body.as_ref().filter(|_| !self.done)?.stream_id()));
            if let Some(stream) = stream {
                muxed.give_up(stream.as_u32());
            }
            muxed.leave(seat);
        }
    }
}

/// Bodies up to this size are looked for together with their head.
const SMALL_BODY: usize = 64 << 10;
/// A status line of HTTP/1.1 would take about so much of a head.
const STATUS_LINE: usize = 16;

fn take(room: &mut usize, size: usize) -> Result<(), ProtocolError> {
    *room = room.checked_sub(size).ok_or(ProtocolError::HeadTooLarge)?;
    Ok(())
}

/// The announced length; that repeated ones agree the frames' reader has seen to.
fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn size_of(fields: &HeaderMap) -> u64 {
    fields.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>() as u64
}

/// RFC 9110 §6.5.1: what a trailer may not say.
fn without_framing(mut trailers: Headers) -> Headers {
    trailers.retain(|name, _| !["content-length", "transfer-encoding"].contains(&name));
    trailers
}
