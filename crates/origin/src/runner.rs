//! Where a server runs: as a task of the caller's runtime, or on a thread of its
//! own. Either way dropping the [`Runner`] stops it; on a thread, and is waited for.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Closes when the server has to stop; nothing is ever sent on it.
pub(crate) type Stop = watch::Receiver<()>;

/// A bound server, ready to run.
pub(crate) trait Serve: Send + 'static {
    /// Runs until `stop` closes, then ends every task it started and returns.
    fn run(self, stop: Stop) -> impl Future<Output = ()> + Send;
}

/// Accepts at one address until told to stop, then ends what it accepted.
pub(crate) async fn accept<F>(listener: TcpListener, mut stop: Stop, mut serve: impl FnMut(TcpStream, SocketAddr) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut open = JoinSet::new();
    loop {
        // Stop first, so that a flood of connections cannot keep a dropped server alive.
        tokio::select! {
            biased;
            _ = stop.changed() => break,
            Some(_) = open.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    open.spawn(serve(stream, peer));
                }
                // Out of descriptors, most likely: some come back when connections end.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
        }
    }
    drop(listener);
    open.shutdown().await;
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Runner {
    stop: Option<watch::Sender<()>>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Task(Option<JoinHandle<()>>),
    Thread(Option<thread::JoinHandle<()>>),
}

impl Runner {
    /// Runs it on the current tokio runtime.
    pub(crate) fn here(server: impl Serve) -> Runner {
        let (stop, stopped) = watch::channel(());
        // Owned through `stop`: the task ends when its sender is dropped.
        let task = tokio::spawn(server.run(stopped));
        Runner { stop: Some(stop), place: Place::Task(Some(task)) }
    }

    /// Runs it on a new thread with a runtime of its own; returns once it is bound.
    ///
    /// `bind` runs on that thread and gives the server and what the caller keeps of it.
    pub(crate) fn on_thread<S, T, B>(bind: B) -> io::Result<(T, Runner)>
    where
        S: Serve,
        T: Send + 'static,
        B: Future<Output = io::Result<(T, S)>> + Send + 'static,
    {
        let (ready, wait) = std::sync::mpsc::sync_channel(1);
        let (stop, stopped) = watch::channel(());
        let body = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => {
                    let _ = ready.send(Err(error));
                    return;
                }
            };
            runtime.block_on(async move {
                match bind.await {
                    Ok((kept, server)) => {
                        let _ = ready.send(Ok(kept));
                        server.run(stopped).await;
                    }
                    Err(error) => {
                        let _ = ready.send(Err(error));
                    }
                }
            });
        };
        let thread = thread::Builder::new().name("gannet-origin".to_owned()).spawn(body)?;
        let runner = Runner { stop: Some(stop), place: Place::Thread(Some(thread)) };
        let kept = wait.recv().map_err(|_| io::Error::other("the server's thread ended before it was bound"))??;
        Ok((kept, runner))
    }

    /// Stops the server and waits until all it owned is gone.
    pub(crate) async fn shutdown(mut self) {
        self.stop = None;
        if let Place::Task(task) = &mut self.place
            && let Some(task) = task.take()
        {
            let _ = task.await;
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.stop = None;
        if let Place::Thread(thread) = &mut self.place
            && let Some(thread) = thread.take()
        {
            let _ = thread.join();
        }
    }
}
