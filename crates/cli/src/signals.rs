//! Ctrl-C and SIGTERM: the first drains the run, the second ends it at once.
//! SIGHUP is left alone, so that `nohup` keeps its meaning.

use std::convert::Infallible;
use std::future::pending;
use std::io;

use gannet::bulk::Control;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A limit on the size of files (`ulimit -f`) becomes an error of the write that hits it, instead of the end of the
/// process. Within a runtime.
///
/// # Errors
/// When the handler cannot be installed.
pub(crate) fn survive_file_size_limit() -> io::Result<()> {
    // Once a handler is there it stays, whatever becomes of the stream.
    signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).map(drop)
}

/// The signals that ask for the end, caught from the moment this is made.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

/// Ready when one of them comes; never where they cannot be caught, and end the process as usual.
pub(crate) async fn asked_to_end() {
    match Signals::catch() {
        Ok(mut signals) => signals.next().await,
        Err(_) => pending().await,
    }
}

impl Signals {
    /// Within a runtime.
    ///
    /// # Errors
    /// When the handlers cannot be installed; the signals then end the process as usual.
    pub(crate) fn catch() -> io::Result<Signals> {
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Signals { interrupt, terminate: signal(SignalKind::terminate())? })
    }

    /// The next of them.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            Some(()) = self.interrupt.recv() => {}
            Some(()) = self.terminate.recv() => {}
            else => pending().await,
        }
    }

    /// Stops the run at the first, aborts it at the second, and says so.
    pub(crate) async fn watch(mut self, control: &Control, drain_seconds: u64, say: impl Fn(&str)) -> Infallible {
        self.next().await;
        let in_flight = control.snapshot().in_flight;
        control.stop();
        say(&format!("stopping: {in_flight} in flight, up to {drain_seconds} s; again to stop at once"));
        self.next().await;
        control.abort();
        say("stopped at once");
        pending().await
    }
}
