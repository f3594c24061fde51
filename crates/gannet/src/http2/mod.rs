//! One connection of HTTP/2, shared by many requests. The frames are the `h2` crate's; here stands how a connection is
//! set up, who drives it ([`drive`]) and what the pool and the requests need to know of it.
//!
//! A task of its own drives each connection. It is owned by the pool: [`Muxed::close`] closes the socket at once,
//! whatever the task is doing, and ends the task.

mod drive;
mod fields;
mod heads;
mod io;
mod ping;
mod window;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use gannet_core::{ErrorKind, Phase};
use h2::client::{Connection, SendRequest};
use http::uri::Authority;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use url::Url;

use crate::alarm::Alarm;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::pool::{self, Cut, Place, Pool, Why};
use crate::timings::Opened;
use drive::Drive;
pub(crate) use fields::{Target, from_map, request_fields, uri};
pub(crate) use io::Fault;
use io::{Heard, ReadAhead};
use ping::Pings;
use window::Window;

/// What a server is taken to allow until it says so. No server says just this, so that its SETTINGS are seen to have
/// come when it changes.
const ASSUMED_STREAMS: usize = 101;
/// All streams together may have so much on its way to us: each is held by its own window, and one that is not read
/// stops none of the others.
const CONNECTION_WINDOW: u32 = 1 << 30;
/// What one request's body may have on its way out.
pub(crate) const SEND_BUFFER: usize = 256 << 10;
/// Frames for streams that we gave up are ignored for so many of them, and so long: a server that answers late is no
/// reason to end the connection.
const FORGOTTEN_STREAMS: usize = 1024;
/// Small DATA frames that nobody reads may cost so much beyond their content (RUSTSEC-2026-0258).
const SMALL_FRAMES: usize = 4 << 20;

type Conn = Connection<ReadAhead, Bytes>;

/// A connection and what its requests share.
pub(crate) struct Muxed {
    sender: SendRequest<Bytes>,
    authority: Authority,
    scheme_is_https: bool,
    opened: Arc<Opened>,
    born: Instant,
    /// None once it is over. Held while the connection is driven, and to close it.
    conn: Mutex<Option<Box<Conn>>>,
    task: OnceLock<AbortHandle>,
    heard: Arc<Heard>,
    /// Requests on it now, and ever.
    streams: AtomicUsize,
    served: AtomicU32,
    /// How many requests it carried when it broke.
    lost: AtomicUsize,
    /// Why it is closed, where it was not just used up.
    why: OnceLock<Why>,
    /// The server's SETTINGS have come.
    settled: AtomicBool,
    pub(crate) window: Window,
    pings: Option<(Duration, Duration)>,
    /// Of requests that are over.
    seats: Mutex<Vec<Seat>>,
}

/// What one request after another uses on a connection, since both are costly to make: the timer, set anew only when it
/// fires too early, and the place among those that are cut off when the session's time is over.
pub(crate) struct Seat {
    pub(crate) alarm: Alarm,
    pub(crate) cut: Arc<Cut>,
}

impl Muxed {
    /// Speaks HTTP/2 on this connection: sends the preface, and waits for nothing.
    ///
    /// # Errors
    /// Kind `connect` where the connection was lost meanwhile.
    pub(crate) async fn open(conn: pool::Conn, url: &Url, options: &Options) -> Result<Arc<Self>> {
        let target = Target::of(url)?;
        let heard = Arc::new(Heard::new());
        let io = ReadAhead::new(conn.stream, heard.clone());
        let head = u32::try_from(options.response.max_head).unwrap_or(u32::MAX);
        let window = Window::new(&options.http);
        let handshake = h2::client::Builder::new()
            .enable_push(false)
            .initial_max_send_streams(ASSUMED_STREAMS)
            .initial_window_size(window.wanted())
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(head)
            .max_send_buffer_size(SEND_BUFFER)
            .max_concurrent_reset_streams(FORGOTTEN_STREAMS)
            .data_frame_budget(SMALL_FRAMES)
            .handshake(io);
        let (sender, connection) = handshake.await.map_err(|error| {
            let message = "connection lost before the first request";
            Error::new(ErrorKind::Connect, Phase::Connect, message).with_source(error)
        })?;
        Ok(Arc::new(Muxed {
            sender,
            authority: target.authority,
            scheme_is_https: url.scheme() == "https",
            opened: conn.opened,
            born: conn.born,
            conn: Mutex::new(Some(Box::new(connection))),
            task: OnceLock::new(),
            heard,
            streams: AtomicUsize::new(0),
            served: AtomicU32::new(0),
            lost: AtomicUsize::new(0),
            why: OnceLock::new(),
            settled: AtomicBool::new(false),
            window,
            pings: options.http.ping_interval.map(|interval| (interval, options.http.ping_timeout)),
            seats: Mutex::default(),
        }))
    }

    /// Starts the task that drives it.
    pub(crate) fn drive(self: &Arc<Self>, pool: Weak<Pool>, place: Place) {
        let pings = self.pings.and_then(|(interval, timeout)| {
            let pingpong = self.lock().as_mut()?.ping_pong()?;
            Some(Pings::new(pingpong, interval, timeout))
        });
        let task = tokio::spawn(Drive::new(self.clone(), pool, place, pings));
        let _ = self.task.set(task.abort_handle());
    }

    /// Closes the socket, at once.
    pub(crate) fn disconnect(&self) {
        let conn = self.lock().take();
        drop(conn);
    }

    /// Closes the socket and ends the task.
    pub(crate) fn close(&self) {
        self.disconnect();
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    pub(crate) fn sender(&self) -> SendRequest<Bytes> {
        self.sender.clone()
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    pub(crate) fn is_https(&self) -> bool {
        self.scheme_is_https
    }

    /// How many requests it is taken to carry at once.
    pub(crate) fn limit(&self) -> usize {
        ASSUMED_STREAMS - 1
    }

    /// Counts one more request: how many there were before.
    pub(crate) fn count_request(&self) -> u32 {
        self.served.fetch_add(1, Ordering::Relaxed)
    }

    /// How the connection came to be.
    pub(crate) fn opened(&self) -> &Arc<Opened> {
        &self.opened
    }

    /// When it was opened.
    pub(crate) fn born(&self) -> Instant {
        self.born
    }

    pub(crate) fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }

    /// Counts one more request under way, and gives it what an earlier one has left.
    pub(crate) fn enter(&self) -> Option<Seat> {
        self.heard.heads.on_request();
        let streams = self.streams.fetch_add(1, Ordering::Relaxed) + 1;
        self.window.on_entered(streams);
        self.seats.lock().ok()?.pop()
    }

    /// The request is over.
    pub(crate) fn leave(&self, seat: Seat) {
        let left = self.streams.fetch_sub(1, Ordering::Relaxed) - 1;
        self.heard.heads.on_end(left);
        seat.cut.forget();
        if let Ok(mut seats) = self.seats.lock() {
            seats.push(seat);
        }
    }

    /// For how long nothing has come on the connection, for whichever request.
    pub(crate) fn silent_for(&self) -> Duration {
        self.heard.silent_for()
    }

    /// When the socket last took more than control frames, for whichever request.
    pub(crate) fn wrote_at(&self) -> Instant {
        self.heard.wrote_at()
    }

    /// Whether a broken rule can be held against the one request that saw it: there was no other, or the server
    /// never spoke HTTP/2.
    pub(crate) fn is_alone(&self) -> bool {
        !self.settled.load(Ordering::Relaxed) || self.lost.load(Ordering::Relaxed).max(self.streams()) <= 1
    }

    /// The first reason counts.
    pub(crate) fn ends_because(&self, why: Why) {
        let _ = self.why.set(why);
    }

    /// Why it is closed, for the counters.
    pub(crate) fn why(&self) -> Why {
        self.why.get().copied().unwrap_or(Why::Ended)
    }

    /// A request has taken an interim response.
    pub(crate) fn on_interim(&self) {
        self.heard.heads.on_taken();
    }

    /// The request on this stream ends before its response is whole.
    pub(crate) fn give_up(&self, stream: u32) {
        self.heard.heads.on_given_up(stream);
    }

    /// Why it ended, where that is more than a broken connection.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.heard.fault()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<Conn>>> {
        self.conn.lock().expect("invariant: nothing panics while a connection is driven")
    }
}
