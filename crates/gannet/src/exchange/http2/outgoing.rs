//! A request's body on its way out over a stream, as far as the windows allow, polled beside the response.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use gannet_core::{ErrorKind, Phase};
use h2::SendStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Http2;
use crate::body::{Kind, Source};
use crate::error::Error;
use crate::exchange::Failed;

/// A body on its way out.
pub(super) struct Outgoing {
    stream: SendStream<Bytes>,
    pub(super) source: Source,
    /// What came from the source last and waits for room.
    piece: Bytes,
    /// Nothing comes from the source any more.
    ended: bool,
    pub(super) held: Option<Pin<Box<Sleep>>>,
}

impl Outgoing {
    pub(super) fn new(stream: SendStream<Bytes>, body: &mut Kind, held: Option<Instant>) -> Self {
        let held = held.map(|until| Box::pin(sleep_until(until)));
        match body {
            // Sent from where it is.
            Kind::Bytes(bytes) => Outgoing { stream, source: Source::done(), piece: bytes.clone(), ended: true, held },
            body => Outgoing { stream, source: Source::new(body), piece: Bytes::new(), ended: false, held },
        }
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
                    Poll::Pending => return Ok(()),
                }
                continue;
            }
            out.stream.reserve_capacity(out.piece.len());
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
            if out.stream.send_data(piece, last).is_err() || last {
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
}
