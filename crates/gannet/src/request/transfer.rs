//! How the bodies of one request travel: compressed, announced first, counted. Kept as wishes while the request is
//! built and carried out by [`prepare`] once its body is known; `send` takes the meters and the wait.

use std::time::Duration;

use super::{Request, RequestBuilder, append, set_missing};
use crate::body::Coding;
use crate::error::Result;
use crate::progress::{Meter, Meters, OnProgress, Progress};
use crate::session::Session;

/// How the bodies of one request travel. One pointer in a request that has no wishes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transfer {
    /// Not done yet: done when the request is built.
    compress: Option<Coding>,
    pub(crate) expect: Option<Duration>,
    on_upload: Option<OnProgress>,
    on_download: Option<OnProgress>,
}

impl Transfer {
    /// One that nobody watches; none where there is nothing to wish for.
    pub(crate) fn wish(compress: Option<Coding>, expect: Option<Duration>) -> Option<Self> {
        let wishes = compress.is_some() || expect.is_some();
        wishes.then(|| Transfer { compress, expect, ..Transfer::default() })
    }

    /// What counts an exchange, for a body of this length.
    pub(crate) fn meters(&self, length: Option<u64>) -> Option<Box<Meters>> {
        if self.on_upload.is_none() && self.on_download.is_none() {
            return None;
        }
        let up = self.on_upload.clone().map(|on| Meter::new(on, length));
        Some(Box::new(Meters { up, down: None, on_download: self.on_download.clone() }))
    }
}

impl<S: AsRef<Session>> RequestBuilder<S> {
    /// Compresses the body on its way and says so in Content-Encoding. A body in memory of up to 256 KiB is compressed
    /// at once and has a length; every other one while it is sent, in chunks. What can be sent again still can.
    /// An empty body stays as it is. The server has to understand the coding, and cannot be asked.
    pub fn compress(self, coding: Coding) -> Self {
        self.change_transfer(|transfer| transfer.compress = Some(coding))
    }

    /// Sends the head with `Expect: 100-continue` and the body once the server asks for it (RFC 9110 §10.1.1), or
    /// after this wait: many servers never ask; 1 s is usual. A server that refuses is so spared the body, and the
    /// body can be sent elsewhere; over HTTP/1.1 the connection is then closed, since the server may still wait for it.
    /// A 417 is repeated without. Without effect on a request that has no body.
    pub fn expect_continue(self, wait: Duration) -> Self {
        self.change_transfer(|transfer| transfer.expect = Some(wait))
    }

    /// Tells this function how far the body is on its way out, each time that some of it has gone: bytes of the body
    /// handed to the system, without the framing of chunks; with [`RequestBuilder::compress`] bytes compressed so far. It begins anew when the body is sent again. It is called while the request is driven,
    /// and should return at once.
    pub fn on_upload(self, tell: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.change_transfer(|transfer| transfer.on_upload = Some(OnProgress::new(tell)))
    }

    /// As [`RequestBuilder::on_upload`], of the response's body as it comes: bytes before decoding, redirects' bodies
    /// not counted.
    pub fn on_download(self, tell: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.change_transfer(|transfer| transfer.on_download = Some(OnProgress::new(tell)))
    }

    fn change_transfer(self, change: impl FnOnce(&mut Transfer)) -> Self {
        self.change(|request| {
            change(request.own.transfer.get_or_insert_default());
            Ok(())
        })
    }
}

/// What has to wait until the body is known: its coding, and whether there is one to ask for.
pub(super) fn prepare(request: &mut Request) -> Result<()> {
    let Some(transfer) = request.own.transfer.as_mut().filter(|_| !request.body.is_empty()) else { return Ok(()) };
    if let Some(coding) = transfer.compress.take() {
        let body = std::mem::take(&mut request.body);
        // What is compressed on the way is counted where it goes in; what is compressed already, where it goes out.
        let meter = transfer.on_upload.clone().map(|on| Meter::new(on, body.length()));
        request.body = body.compressed(coding, meter)?;
        if request.body.length().is_none() {
            transfer.on_upload = None;
        }
        append(&mut request.headers, "content-encoding", coding.as_str().as_bytes(), false)?;
    }
    if transfer.expect.is_some() && request.body.length() != Some(0) {
        set_missing(&mut request.headers, "expect", "100-continue")?;
    }
    Ok(())
}
