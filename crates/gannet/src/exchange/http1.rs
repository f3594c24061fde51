//! One request and its response on a connection of HTTP/1.1, driven in place: no task, no channel. Upload and
//! download progress in the same poll. It holds the lease until the response is whole; then the connection goes back
//! to the pool or is closed. Dropping an exchange closes the connection.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use gannet_core::h1::{Event, ProtocolError, ResponseHead, ResponseReader};
use gannet_core::{ErrorKind, Phase};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

use crate::body::Kind;
use crate::buffer::ReadBuffer;
use crate::error::{Error, Result, is_tls_refusal};
use crate::exchange::{Clock, Failed, Watch, cut_off};
use crate::pool::{Lease, Why};
use crate::timings::Marks;
use crate::upgrade::Switched;
use crate::upload::{Sent, Upload, is_body_error};

pub(crate) struct Http1 {
    lease: Lease,
    upload: Upload,
    reader: ResponseReader,
    /// Bytes read and not consumed yet are `buffer[start..end]`. Lent: empty while nothing is at hand.
    buffer: ReadBuffer,
    start: usize,
    end: usize,
    clock: Clock,
    /// A write failed; what the server had to say may still be readable, and says more.
    broken: Option<io::Error>,
    /// A response byte has been seen.
    answered: bool,
    /// The request told the server to close the connection, and no other may follow on it (RFC 9112 §9.6).
    pub(crate) closes: bool,
    pub(crate) watch: Watch,
}

impl Http1 {
    pub(crate) fn new(lease: Lease, upload: Upload, reader: ResponseReader, clock: Clock, watch: Watch) -> Self {
        Http1 {
            lease,
            upload,
            reader,
            buffer: ReadBuffer::default(),
            start: 0,
            end: 0,
            clock,
            broken: None,
            answered: false,
            closes: false,
            watch,
        }
    }

    /// The response's head.
    pub(crate) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Failed>> {
        let head = ready!(self.poll_for_head(cx));
        if head.is_err() {
            self.lease.because(Why::Failed);
        }
        Poll::Ready(head)
    }

    fn poll_for_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Failed>> {
        loop {
            if self.start < self.end {
                match self.parse() {
                    Ok(Event::Head(head)) => {
                        self.upload.on_answer();
                        return Poll::Ready(Ok(head));
                    }
                    Ok(_) => {}
                    Err(error) => return Poll::Ready(Err(self.failed(error, Phase::Head))),
                }
            }
            match self.poll_io(cx, Phase::Head) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(failed)) => return Poll::Ready(Err(failed)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// The next piece of the body, as a place in [`Http1::data`]; `None` at its end.
    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Range<usize>>>> {
        let data = ready!(self.poll_for_data(cx));
        if data.is_err() {
            self.lease.because(Why::Failed);
        }
        Poll::Ready(data)
    }

    fn poll_for_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Range<usize>>>> {
        loop {
            match self.parse() {
                Ok(Event::Data(range)) => {
                    self.watch.on_received(range.len());
                    return Poll::Ready(Ok(Some(range)));
                }
                Ok(Event::End) => return Poll::Ready(Ok(None)),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(self.failed(error, Phase::Body).error)),
            }
            match self.poll_io(cx, Phase::Body) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(failed)) => return Poll::Ready(Err(failed.error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Whether the answer came before the body was begun; a one-time stream is then back in the body.
    pub(crate) fn reclaim(&mut self, body: &mut Kind) -> bool {
        self.upload.reclaim(body)
    }

    /// How many bytes have come that nobody has looked at yet.
    pub(crate) fn at_hand(&self) -> usize {
        self.end - self.start
    }

    /// A piece of body that is at hand already, without reading more.
    pub(crate) fn data_at_hand(&mut self) -> Option<Range<usize>> {
        match self.parse() {
            Ok(Event::Data(range)) => {
                self.watch.on_received(range.len());
                Some(range)
            }
            // An error stays with the reader and is told by the next poll.
            _ => None,
        }
    }

    /// The bytes of a piece; valid until the next poll.
    pub(crate) fn data(&self, range: Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    /// Whether the response is whole.
    pub(crate) fn is_done(&self) -> bool {
        self.reader.is_done()
    }

    pub(crate) fn trailers(&self) -> Option<&gannet_core::Headers> {
        self.reader.trailers()
    }

    /// The caller itself did not want to read for so long: restarts `read`, and moves `total` on if asked to.
    pub(crate) fn excuse(&mut self, waited: Duration, move_total: bool) {
        self.clock.excuse(waited, move_total);
    }

    /// Ends the exchange, its response being whole: the connection goes back to the pool if it may carry another
    /// request. What was marked on the way is handed out.
    pub(crate) fn finish(mut self) -> Marks {
        let marks = self.watch.finish(self.clock.moved);
        let reusable = self.reader.may_reuse(self.end - self.start)
            && self.upload.is_done()
            && self.broken.is_none()
            && !self.closes;
        self.give_buffer();
        if reusable {
            self.lease.put_back();
        } else {
            self.lease.because(Why::Ended);
        }
        marks
    }

    /// Ends the exchange at a 101: the connection is another protocol's, with what has come of that.
    pub(crate) fn switch(mut self) -> Switched {
        let marks = self.watch.finish(self.clock.moved);
        let ahead = Bytes::copy_from_slice(&self.buffer[self.start..self.end]);
        let is_sent = self.upload.is_done() && self.broken.is_none();
        Switched { lease: self.lease, ahead, marks, is_sent }
    }

    /// What has left since so many bytes had, and so many of the body.
    fn note_sent(&mut self, (before, body): (u64, u64), sent: &Sent) {
        self.clock.moved = Instant::now();
        if matches!(sent, Sent::All) {
            self.watch.on_sent(self.clock.moved);
        }
        let (head, sent) = (self.upload.head(), self.upload.sent());
        if before < head && sent >= head {
            self.watch.on_head_sent(head);
        }
        let body = self.upload.body_sent() - body;
        if body > 0 {
            self.watch.on_body_sent(body);
        }
    }

    fn parse(&mut self) -> Result<Event, ProtocolError> {
        let (consumed, event) = self.reader.read(&self.buffer[self.start..self.end])?;
        let base = self.start;
        self.start += consumed;
        Ok(match event {
            Event::Data(range) => Event::Data(base + range.start..base + range.end),
            other => other,
        })
    }

    /// Moves bytes: out if some are left, in. Ready when something came in.
    fn poll_io(&mut self, cx: &mut Context<'_>, phase: Phase) -> Poll<Result<(), Failed>> {
        if self.upload.is_under_way() && self.broken.is_none() {
            if self.upload.held_until().is_some() && self.reader.is_continued() {
                self.upload.release();
            }
            self.poll_upload(cx)?;
        }
        if self.buffer.is_empty() {
            self.buffer.lend();
        } else {
            self.make_room();
        }
        let Some(conn) = self.lease.conn() else {
            return Poll::Ready(Err(cut_off(phase)));
        };
        if conn.cut.is_cut() {
            return Poll::Ready(Err(cut_off(phase)));
        }
        let mut free = ReadBuf::new(&mut self.buffer[self.end..]);
        match Pin::new(&mut conn.stream).poll_read(cx, &mut free) {
            Poll::Ready(Ok(())) => {
                let count = free.filled().len();
                if count == 0 {
                    return Poll::Ready(self.on_eof(phase));
                }
                self.end += count;
                if let Err(error) = self.clock.on_received(phase) {
                    return Poll::Ready(Err(Failed { error, unanswered: false }));
                }
                if !self.answered {
                    self.answered = true;
                    self.watch.on_first_byte(self.clock.moved);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => {
                let cause = match self.broken.take() {
                    Some(broken) if !is_tls_refusal(&error) => broken,
                    _ => error,
                };
                Poll::Ready(Err(self.broke(cause, phase)))
            }
            Poll::Pending => {
                let is_cut = conn.cut.poll(cx);
                if self.start == self.end {
                    self.give_buffer();
                }
                if is_cut {
                    return Poll::Ready(Err(cut_off(phase)));
                }
                self.poll_deadlines(cx, phase)
            }
        }
    }

    /// A failed write is kept for later: a server that refuses a body answers and closes, and its answer counts.
    /// Only a body that cannot be read on our side ends the exchange at once.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), Failed> {
        let Some(conn) = self.lease.conn() else { return Ok(()) };
        let before = (self.upload.sent(), self.upload.body_sent());
        let was_starved = self.upload.is_starved();
        match self.upload.poll(&mut conn.stream, cx) {
            Poll::Ready(Ok(sent)) => self.note_sent(before, &sent),
            Poll::Ready(Err(error)) if is_body_error(&error) => {
                let error = Error::new(ErrorKind::Request, Phase::Send, "the request's body").with_source(error);
                return Err(Failed { error, unanswered: false });
            }
            Poll::Ready(Err(error)) => self.broken = Some(error),
            // From now on it is the server that is waited for.
            Poll::Pending if was_starved && !self.upload.is_starved() => self.clock.moved = Instant::now(),
            Poll::Pending => {}
        }
        Ok(())
    }

    fn poll_deadlines(&mut self, cx: &mut Context<'_>, phase: Phase) -> Poll<Result<(), Failed>> {
        let Some(conn) = self.lease.conn() else { return Poll::Pending };
        if let Some(until) = self.upload.held_until() {
            // While the body waits to be asked for, that wait takes the place of `read`.
            let total = self.clock.total.map(|(at, _)| at);
            ready!(conn.alarm.poll(cx, Some(total.map_or(until, |at| at.min(until)))));
            if total.is_none_or(|at| until < at) {
                self.upload.release();
                self.clock.moved = Instant::now();
                return Poll::Ready(Ok(()));
            }
        }
        // While our own body has nothing to give, the server is not the one that is waited for.
        let read = self.clock.read.filter(|_| !self.upload.is_starved());
        let error = ready!((Clock { read, ..self.clock }).poll(&mut conn.alarm, cx, phase));
        Poll::Ready(Err(Failed { error, unanswered: false }))
    }

    fn on_eof(&mut self, phase: Phase) -> Result<(), Failed> {
        if let Some(error) = self.broken.take()
            && !self.answered
        {
            return Err(self.broke(error, Phase::Send));
        }
        match self.reader.on_eof(&self.buffer[self.start..self.end]) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.failed(error, phase)),
        }
    }

    fn broke(&self, error: io::Error, phase: Phase) -> Failed {
        let (kind, message) = match phase {
            _ if !self.answered && is_tls_refusal(&error) => (ErrorKind::Tls, "the server refused the TLS session"),
            Phase::Body => (ErrorKind::Body, "connection broken before the body was whole"),
            _ => (ErrorKind::Connection, "connection broken before the response"),
        };
        // Whatever this machine lacks by now: the request is on its way, and must not count as never sent.
        Failed { error: Error::new(kind, phase, message).with_source(error), unanswered: !self.answered }
    }

    fn failed(&self, error: ProtocolError, phase: Phase) -> Failed {
        let kind = match error {
            ProtocolError::EofInHead { .. } => ErrorKind::Connection,
            ProtocolError::EofInBody => ErrorKind::Body,
            _ => ErrorKind::Protocol,
        };
        let unanswered = error == ProtocolError::EofInHead { empty: true };
        Failed { error: Error::new(kind, phase, error.to_string()), unanswered }
    }

    /// Room behind the unconsumed bytes: moved to the front, and only a head that fills a whole buffer makes it grow.
    fn make_room(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            } else {
                let doubled = self.buffer.len() * 2;
                self.buffer.resize(doubled, 0);
            }
        }
    }

    fn give_buffer(&mut self) {
        self.buffer.give_back();
        (self.start, self.end) = (0, 0);
    }
}
