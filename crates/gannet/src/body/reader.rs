//! A body read from anything that can be read, on a thread of its own: what blocks must not hold the requests that
//! run beside it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use tokio::sync::mpsc;

use super::Body;

const PIECE: usize = 64 << 10;
/// Pieces read ahead of the connection.
const AHEAD: usize = 4;

impl Body {
    /// What this reader gives, as it gives it (a pipe, stdin), sent once: with a length in one body of that size,
    /// without in chunks. It is read on a thread of its own, at most 256 KiB ahead; a read that blocks for ever keeps
    /// that thread after the request is gone.
    pub fn reader(reader: impl Read + Send + 'static, length: Option<u64>) -> Self {
        Body::stream(pieces(reader), length)
    }
}

/// What the reader gives, read on a thread of its own.
pub(super) fn pieces(reader: impl Read + Send + 'static) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let (sender, pieces) = mpsc::channel(AHEAD);
    let failed = sender.clone();
    let begun = std::thread::Builder::new().name("gannet-body".to_owned()).spawn(move || pump(reader, &sender));
    if let Err(error) = begun {
        // There is room for it: nothing was sent yet.
        let _ = failed.try_send(Err(error));
    }
    Pieces(pieces)
}

/// Something by a name that is no regular file: opened when it is first read, which may wait as every read may.
pub(super) struct Pipe {
    path: PathBuf,
    file: Option<File>,
}

impl Pipe {
    pub(super) fn at(path: &Path) -> Self {
        Pipe { path: path.to_owned(), file: None }
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => file.read(buffer),
            None => self.file.insert(File::open(&self.path)?).read(buffer),
        }
    }
}

fn pump(mut reader: impl Read, pieces: &mpsc::Sender<io::Result<Bytes>>) {
    let mut buffer = vec![0; PIECE];
    loop {
        let piece = match reader.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => Ok(Bytes::copy_from_slice(&buffer[..count])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let failed = piece.is_err();
        if pieces.blocking_send(piece).is_err() || failed {
            return;
        }
    }
}

struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}
