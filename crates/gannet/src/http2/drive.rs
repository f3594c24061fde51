//! The task that drives one connection until it is over, and tells the pool what the server says of it.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::client::SendRequest;

use super::io::Fault;
use super::ping::Pings;
use super::{ASSUMED_STREAMS, Muxed};
use crate::pool::{Place, Pool, Why};

pub(super) struct Drive {
    muxed: Arc<Muxed>,
    pool: Weak<Pool>,
    place: Place,
    pings: Option<Pings>,
    sender: SendRequest<Bytes>,
    limit: usize,
    draining: bool,
    /// The window that the server was told.
    window: u32,
}

impl Drive {
    pub(super) fn new(muxed: Arc<Muxed>, pool: Weak<Pool>, place: Place, pings: Option<Pings>) -> Self {
        let sender = muxed.sender.clone();
        let window = muxed.window.wanted();
        Drive { muxed, pool, place, pings, sender, limit: ASSUMED_STREAMS, draining: false, window }
    }

    /// Looks whether the server has said something that the pool should know. Never called with the connection
    /// locked: the pool may close this very one.
    fn tell(&mut self, limit: usize, cx: &mut Context<'_>) {
        // After a GOAWAY nothing can be sent, and what is under way goes on.
        let draining = self.draining || matches!(self.sender.poll_ready(cx), Poll::Ready(Err(_)));
        if (limit, draining) == (self.limit, self.draining) {
            return;
        }
        (self.limit, self.draining) = (limit, draining);
        if limit != ASSUMED_STREAMS {
            self.muxed.settled.store(true, Ordering::Relaxed);
        }
        if let Some(pool) = self.pool.upgrade() {
            // A server that allows none for the moment is asked all the same: the request then waits in the
            // connection, under its own timeouts, and opens no further one.
            pool.shared_changed(self.place, limit.max(1), draining);
        }
    }
}

impl Future for Drive {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = &mut *self;
        let mut conn = me.muxed.lock();
        let Some(open) = conn.as_mut() else { return Poll::Ready(()) };
        let window = me.muxed.window.wanted();
        // Refused while the server has not acknowledged the one before: then at the next turn.
        if window != me.window && open.set_initial_window_size(window).is_ok() {
            me.window = window;
        }
        if Pin::new(&mut *open).poll(cx).is_ready() {
            let lost = me.muxed.streams();
            me.muxed.lost.store(lost, Ordering::Relaxed);
            me.muxed.ends_because(match lost {
                _ if me.muxed.heard.is_going_away() => Why::Ended,
                0 => Why::Stale,
                _ => Why::Failed,
            });
            return Poll::Ready(());
        }
        let limit = open.max_concurrent_send_streams();
        drop(conn);
        me.tell(limit, cx);
        if let Some(pings) = &mut me.pings
            && pings.poll(cx, me.muxed.heard.at(), me.muxed.streams() > 0).is_ready()
        {
            me.muxed.heard.blame(Fault::Silent);
            me.muxed.ends_because(Why::Failed);
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        // Closed before its slot is free for another.
        self.muxed.disconnect();
        if let Some(pool) = self.pool.upgrade() {
            pool.shared_lost(self.place);
        }
    }
}
