//! Standard input, and whatever else can only be read by waiting for it (pipes, terminals): a thread of its own
//! reads, no further ahead than two blocks, so that an input without end takes no memory.
//!
//! The thread is detached, because a read cannot be interrupted: it ends at the end of the input, or at the first
//! block for which the receiver is gone.

use std::io::{self, Read};
use std::task::{Context, Poll, ready};

use tokio::sync::mpsc;

use super::feed::Feed;

const BLOCK: usize = 64 << 10;
const AHEAD: usize = 2;

/// A reader that blocks, read by a thread that starts when the first bytes are asked for.
pub(super) enum StreamFeed<R> {
    Fresh(Option<R>),
    /// An empty block is the end: without one the thread has died.
    Running(mpsc::Receiver<io::Result<Vec<u8>>>),
}

impl<R: Read + Send + 'static> StreamFeed<R> {
    pub(super) fn new(reader: R) -> Self {
        StreamFeed::Fresh(Some(reader))
    }

    fn start(&mut self) -> io::Result<&mut mpsc::Receiver<io::Result<Vec<u8>>>> {
        if let StreamFeed::Fresh(reader) = self {
            let reader = reader.take().ok_or_else(died)?;
            let (sender, receiver) = mpsc::channel(AHEAD);
            std::thread::Builder::new().name("gannet-input".into()).spawn(move || read(reader, &sender))?;
            *self = StreamFeed::Running(receiver);
        }
        match self {
            StreamFeed::Running(receiver) => Ok(receiver),
            StreamFeed::Fresh(_) => Err(died()),
        }
    }
}

impl<R: Read + Send + 'static> Feed for StreamFeed<R> {
    fn poll_feed(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<()>> {
        let receiver = self.start()?;
        let block = ready!(receiver.poll_recv(cx)).unwrap_or_else(|| Err(died()))?;
        into.extend_from_slice(&block);
        Poll::Ready(Ok(()))
    }
}

fn read(mut reader: impl Read, sender: &mpsc::Sender<io::Result<Vec<u8>>>) {
    let mut buffer = vec![0; BLOCK];
    loop {
        let block = match reader.read(&mut buffer) {
            Ok(count) => Ok(buffer[..count].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_last = block.as_ref().map_or(true, Vec::is_empty);
        if sender.blocking_send(block).is_err() || is_last {
            return;
        }
    }
}

fn died() -> io::Error {
    io::Error::other("the thread that reads it has died")
}
