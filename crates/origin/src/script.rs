//! Raw bytes on a socket, by script: for faults at or below the wire format.
//!
//! A [`Script`] is a list of steps that one connection goes through; a
//! [`ScriptedServer`] plays one script per connection and records what it
//! received. Nothing here waits for time to pass: tests order events with
//! [`Script::wait_for`], [`Script::signal`] and the server's `wait_for_*`.
//!
//! ```
//! use gannet_origin::script::{Script, ScriptedServer};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! let server = ScriptedServer::start([
//!     Script::new().expect_head().send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab").close(),
//!     Script::new().expect_head().reset(),
//! ])
//! .await?;
//! let url = server.url("/x");
//! # let _ = url; Ok(()) }
//! ```

pub mod frames;
mod play;
mod server;

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Barrier, Notify};

pub use server::ScriptedServer;

/// What to do with one connection, step by step.
///
/// After the last step the connection is closed, as by [`Script::close`]. When the
/// peer closes or resets while a step still needs it, the script ends there.
#[derive(Debug, Clone, Default)]
pub struct Script {
    steps: Vec<Step>,
    repeated: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Head,
    Frame(u8),
    Body(usize),
    End,
    Send(Bytes),
    SendSlowly(Bytes),
    Wait(Arc<Notify>),
    Signal(Arc<Notify>),
    Meet(Arc<Barrier>),
    ShutdownWrite,
    Close,
    Reset,
    Hang,
    HangUnread,
}

impl Script {
    /// A script that closes the connection at once.
    pub fn new() -> Script {
        Script::default()
    }

    /// Reads up to the empty line that ends a request's head. Bytes that came with
    /// it stay for the next step that reads.
    #[must_use]
    pub fn expect_head(self) -> Script {
        self.then(Step::Head)
    }

    /// Reads exactly this many bytes.
    #[must_use]
    pub fn expect_body(self, len: usize) -> Script {
        self.then(Step::Body(len))
    }

    /// Reads frames of HTTP/2 until one of this type has come ([`frames`]). The client's preface before the first
    /// one is passed over.
    #[must_use]
    pub fn expect_frame(self, kind: u8) -> Script {
        self.then(Step::Frame(kind))
    }

    /// Reads until the peer closes its side.
    #[must_use]
    pub fn expect_end(self) -> Script {
        self.then(Step::End)
    }

    /// Sends these bytes in one write and flushes.
    #[must_use]
    pub fn send(self, bytes: impl AsRef<[u8]>) -> Script {
        self.then(Step::Send(Bytes::copy_from_slice(bytes.as_ref())))
    }

    /// Sends these bytes one at a time, each written and flushed by itself with
    /// `TCP_NODELAY` on. A reader that is slow may still find several together.
    #[must_use]
    pub fn send_slowly(self, bytes: impl AsRef<[u8]>) -> Script {
        self.then(Step::SendSlowly(Bytes::copy_from_slice(bytes.as_ref())))
    }

    /// Goes on when notified. One `notify_one` before that is remembered.
    #[must_use]
    pub fn wait_for(self, go: &Arc<Notify>) -> Script {
        self.then(Step::Wait(Arc::clone(go)))
    }

    /// Calls `notify_one`, so that a test knows that the script has come this far.
    #[must_use]
    pub fn signal(self, done: &Arc<Notify>) -> Script {
        self.then(Step::Signal(Arc::clone(done)))
    }

    /// Goes on when all parties of the barrier are there, for example one script
    /// on each of several connections.
    #[must_use]
    pub fn meet(self, barrier: &Arc<Barrier>) -> Script {
        self.then(Step::Meet(Arc::clone(barrier)))
    }

    /// Closes the sending side: the peer reads to its end (with TLS after a
    /// close_notify), and may still send.
    #[must_use]
    pub fn shutdown_write(self) -> Script {
        self.then(Step::ShutdownWrite)
    }

    /// Closes the connection; with TLS without a close_notify. The kernel sends a
    /// RST instead of a FIN when bytes of the peer are unread, so read them before.
    #[must_use]
    pub fn close(self) -> Script {
        self.then(Step::Close)
    }

    /// Resets the connection: the peer gets `ECONNRESET`.
    #[must_use]
    pub fn reset(self) -> Script {
        self.then(Step::Reset)
    }

    /// Sends nothing more; reads and records until the peer closes.
    #[must_use]
    pub fn hang(self) -> Script {
        self.then(Step::Hang)
    }

    /// Sends and reads nothing more, so that the peer's writes come to a stop. Ends
    /// only with the server: the peer's close goes unseen.
    #[must_use]
    pub fn hang_unread(self) -> Script {
        self.then(Step::HangUnread)
    }

    /// Begins again from the first step after the last, until the peer closes: a
    /// keep-alive connection in one line. A script that never reads is not repeated.
    #[must_use]
    pub fn repeated(mut self) -> Script {
        self.repeated = true;
        self
    }

    fn then(mut self, step: Step) -> Script {
        self.steps.push(step);
        self
    }

    fn reads(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Head | Step::Frame(_) | Step::Body(1..)))
    }
}
