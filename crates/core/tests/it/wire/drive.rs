//! Drives a reader over pieces of bytes the way a connection does, and checks its contract at every step.

use gannet_core::h1::{BodyFraming, Event, HeadLimits, ProtocolError, RequestKind, ResponseHead, ResponseReader};

/// What one reading came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    Done(Done),
    /// The connection is open and the response not whole.
    Waiting,
    Failed(ProtocolError),
}

/// A response that was read to its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) status: u16,
    pub(super) http11: bool,
    pub(super) reason: Option<String>,
    pub(super) fields: Vec<(String, Vec<u8>)>,
    pub(super) framing: BodyFraming,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Vec<(String, Vec<u8>)>,
    pub(super) reuse: bool,
    pub(super) surplus: usize,
}

/// Reads one response from these pieces; with `eof` the connection ends behind them.
pub(super) fn read<'a>(
    request: RequestKind,
    limits: HeadLimits,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    eof: bool,
) -> Read {
    let mut drive = Drive {
        reader: ResponseReader::new(request, limits),
        buffer: Vec::new(),
        head: None,
        body: Vec::new(),
        ended: false,
    };
    match drive.run(pieces, eof) {
        Err(error) => {
            drive.check_stays_failed(error);
            Read::Failed(error)
        }
        Ok(()) if drive.ended => Read::Done(drive.done()),
        Ok(()) => {
            assert!(!drive.reader.may_reuse(0), "reusable before the response is whole");
            Read::Waiting
        }
    }
}

struct Drive {
    reader: ResponseReader,
    /// What is not consumed yet.
    buffer: Vec<u8>,
    head: Option<ResponseHead>,
    body: Vec<u8>,
    ended: bool,
}

impl Drive {
    fn run<'a>(&mut self, pieces: impl IntoIterator<Item = &'a [u8]>, eof: bool) -> Result<(), ProtocolError> {
        for piece in pieces {
            self.buffer.extend_from_slice(piece);
            self.pump()?;
        }
        self.pump()?;
        if eof {
            self.reader.on_eof(&self.buffer)?;
            assert!(self.reader.is_done(), "an end that is no error ends the response");
            self.pump()?;
            assert!(self.ended, "behind the end comes the event for it");
        }
        Ok(())
    }

    fn pump(&mut self) -> Result<(), ProtocolError> {
        while !self.ended {
            let (consumed, event) = self.reader.read(&self.buffer)?;
            assert!(consumed <= self.buffer.len(), "more consumed than there was");
            let waits = matches!(event, Event::NeedMore);
            match event {
                Event::NeedMore => {}
                Event::Head(head) => {
                    assert!(self.head.replace(head).is_none(), "one final head only");
                }
                Event::Data(range) => {
                    assert!(self.head.is_some(), "no body before its head");
                    assert!(!range.is_empty() && range.end <= consumed, "{range:?} of {consumed}");
                    self.body.extend_from_slice(&self.buffer[range]);
                }
                Event::End => self.ended = true,
            }
            self.buffer.drain(..consumed);
            if waits {
                break;
            }
        }
        Ok(())
    }

    fn check_stays_failed(&mut self, error: ProtocolError) {
        assert_eq!(self.reader.read(b"HTTP/1.1 204 \r\n\r\n").map(|_| ()), Err(error));
        assert_eq!(self.reader.on_eof(b""), Err(error));
        assert!(!self.reader.is_done() && !self.reader.may_reuse(0), "reusable after {error:?}");
    }

    fn done(mut self) -> Done {
        let again = self.reader.read(&self.buffer);
        assert!(matches!(again, Ok((0, Event::End))), "the end stays the end: {again:?}");
        let head = self.head.take().expect("a response that ended had a head");
        let surplus = self.buffer.len();
        let own = |(name, value): (&str, &[u8])| (name.to_owned(), value.to_vec());
        Done {
            status: head.status.as_u16(),
            http11: head.version == gannet_core::h1::Version::Http11,
            reason: head.reason.map(String::from),
            fields: head.headers.iter().map(own).collect(),
            framing: head.framing,
            body: self.body,
            trailers: self.reader.trailers().into_iter().flat_map(gannet_core::Headers::iter).map(own).collect(),
            reuse: self.reader.may_reuse(surplus),
            surplus,
        }
    }
}
