//! A request's body on its way out over a stream, as far as the windows allow, polled beside the response. What the
//! stream has taken is not with the socket yet: h2 keeps it, and lets go of a piece when that is written.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use gannet_core::{ErrorKind, Phase};
use h2::SendStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Http2;
use crate::body::{Kind, Source};
use crate::error::Error;
use crate::exchange::Failed;
use crate::http2::SEND_BUFFER;

/// A body on its way out.
pub(super) struct Outgoing {
    stream: SendStream<Bytes>,
    pub(super) source: Source,
    /// What came from the source last and waits for room.
    piece: Bytes,
    /// Nothing comes from the source any more.
    ended: bool,
    /// The source has nothing now.
    is_waiting: bool,
    pub(super) held: Option<Pin<Box<Sleep>>>,
}

impl Outgoing {
    pub(super) fn new(stream: SendStream<Bytes>, body: &mut Kind, held: Option<Instant>) -> Self {
        let held = held.map(|until| Box::pin(sleep_until(until)));
        let (source, piece, ended) = match body {
            // Sent from where it is.
            Kind::Bytes(bytes) => (Source::done(), bytes.clone(), true),
            body => (Source::new(body), Bytes::new(), false),
        };
        Outgoing { stream, source, piece, ended, is_waiting: false, held }
    }
}

/// The piece that was handed over last, by what is left of it.
#[derive(Default)]
pub(super) struct Unwritten(Weak<()>);

impl Unwritten {
    /// The same bytes; they count until nobody has them any more.
    fn watch(&mut self, piece: Bytes) -> Bytes {
        let alive = Arc::new(());
        self.0 = Arc::downgrade(&alive);
        Bytes::from_owner(Watched { piece, _alive: alive })
    }

    fn is_written(&self) -> bool {
        self.0.strong_count() == 0
    }
}

struct Watched {
    piece: Bytes,
    _alive: Arc<()>,
}

impl AsRef<[u8]> for Watched {
    fn as_ref(&self) -> &[u8] {
        &self.piece
    }
}

impl Http2 {
    /// Sends what the windows allow. That the server takes no more is no failure: its answer counts. Only a body that
    /// cannot be read on our side ends the exchange at once.
    pub(super) fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), Failed> {
        while let Some(out) = &mut self.outgoing {
            if let Some(held) = &mut out.held {
                if held.as_mut().poll(cx).is_pending() {
                    return Ok(());
                }
                out.held = None;
                self.clock.moved = Instant::now();
            }
            if out.piece.is_empty() {
                let mut piece = Vec::new();
                match out.source.poll_piece(cx, &mut piece) {
                    Poll::Ready(Ok(true)) => out.piece = piece.into(),
                    Poll::Ready(Ok(false)) => {
                        let _ = out.stream.send_data(Bytes::new(), true);
                        self.outgoing = None;
                        self.moved();
                        self.watch.on_sent(self.clock.moved);
                    }
                    Poll::Ready(Err(error)) => {
                        let error =
                            Error::new(ErrorKind::Request, Phase::Send, "the request's body").with_source(error);
                        return Err(Failed { error, unanswered: false });
                    }
                    Poll::Pending => {
                        out.is_waiting = true;
                        return Ok(());
                    }
                }
                if let Some(out) = self.outgoing.as_mut().filter(|out| out.is_waiting) {
                    out.is_waiting = false;
                    self.clock.moved = Instant::now();
                }
                continue;
            }
            out.stream.reserve_capacity(reserved(out.piece.len()));
            let mut room = out.stream.capacity();
            if room == 0 {
                match out.stream.poll_capacity(cx) {
                    Poll::Ready(Some(Ok(more))) => room = more,
                    Poll::Ready(Some(Err(_)) | None) => {
                        self.outgoing = None;
                        return Ok(());
                    }
                    Poll::Pending => return Ok(()),
                }
            }
            let piece = out.piece.split_to(room.min(out.piece.len()));
            let (last, length) = (out.piece.is_empty() && out.ended, piece.len());
            if out.stream.send_data(self.unwritten.watch(piece), last).is_err() || last {
                self.outgoing = None;
            }
            self.moved();
            self.watch.on_body_sent(length as u64);
            if last {
                self.watch.on_sent(self.clock.moved);
            }
        }
        Ok(())
    }

    /// Whether the server has all there is of the body, and more has to come from our side first.
    pub(super) fn is_starved(&self) -> bool {
        self.outgoing.as_ref().is_some_and(|out| out.is_waiting) && self.unwritten.is_written()
    }

    /// Before the answer comes, a body is on its way as long as the socket takes bytes: what h2 has of it moves on with
    /// them.
    pub(super) fn note_written(&mut self) {
        if self.response.is_none() || self.is_sent {
            return;
        }
        // In this order: what is written in between is seen by one of them.
        let is_written = self.unwritten.is_written();
        self.is_sent = self.outgoing.is_none() && is_written;
        // Of what others have written nothing is ours, where nothing of ours was to be written.
        if let Some(muxed) = self.lease.muxed().filter(|_| self.was_unwritten) {
            self.clock.moved = self.clock.moved.max(muxed.wrote_at());
        }
        self.was_unwritten = !is_written;
    }
}

/// How much to ask for: no more than is taken at once, which h2 counts in 32 bits.
fn reserved(left: usize) -> usize {
    left.min(SEND_BUFFER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_any_size_asks_for_what_32_bits_can_count() {
        assert_eq!(
            [0, 1, SEND_BUFFER, 1 << 32, usize::MAX].map(reserved),
            [0, 1, SEND_BUFFER, SEND_BUFFER, SEND_BUFFER]
        );
    }

    #[test]
    fn a_piece_counts_as_unwritten_until_the_last_who_has_of_it_lets_go() {
        let mut unwritten = Unwritten::default();
        assert!(unwritten.is_written());
        let mut piece = unwritten.watch(Bytes::from_static(b"piece"));
        let rest = piece.split_off(2);
        drop(piece);
        assert!(!unwritten.is_written());
        drop(rest);
        assert!(unwritten.is_written());
    }
}
