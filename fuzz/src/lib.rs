//! Drives a response reader over pieces of bytes the way a connection does, for the targets to compare what comes
//! out. It checks the reader's contract at every step: nothing is consumed that was not there, an end stays the
//! end, an error stays the error, and no connection is reusable before its response is whole.

use gannet_core::h1::{BodyFraming, Event, HeadLimits, ProtocolError, RequestKind, ResponseHead, ResponseReader};

/// What one reading came to, in terms that can be compared.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Status, framing, reason, fields: what the head said, where there was one.
    pub head: Option<Head>,
    /// The body as far as it came.
    pub body: Vec<u8>,
    /// The trailers.
    pub trailers: Fields,
    /// Whether the connection may be used again, and how many bytes stand behind the response; or what went wrong.
    pub end: Result<(bool, usize), ProtocolError>,
}

/// The parts of a head that can be compared.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// Where the body ends.
    pub framing: BodyFraming,
    /// Whether the connection persists.
    pub persists: bool,
    /// The reason phrase, where it is not the usual one.
    pub reason: Option<String>,
    /// The fields in order.
    pub fields: Fields,
}

/// Names and values in order.
pub type Fields = Vec<(String, Vec<u8>)>;

/// Reads one response from these pieces, with the connection's end behind them.
pub fn read<'a>(request: RequestKind, limits: HeadLimits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut reader = ResponseReader::new(request, limits);
    let mut seen = Seen::default();
    let end = run(&mut reader, &mut seen, pieces);
    if let Err(error) = end {
        assert_eq!(reader.read(b"HTTP/1.1 204 \r\n\r\n").map(|_| ()), Err(error));
        assert_eq!(reader.on_eof(b""), Err(error));
        assert!(!reader.may_reuse(0));
    }
    let trailers = reader.trailers().map(fields).unwrap_or_default();
    Outcome { head: seen.head.map(comparable), body: seen.body, trailers, end }
}

/// Cuts `raw` into pieces whose sizes these bytes say; what is left is the last piece.
pub fn pieces<'a>(raw: &'a [u8], sizes: &[u8]) -> Vec<&'a [u8]> {
    let mut rest = raw;
    let mut pieces = Vec::new();
    for &size in sizes {
        let (piece, behind) = rest.split_at(usize::from(size).min(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    pieces.push(rest);
    pieces
}

#[derive(Default)]
struct Seen {
    head: Option<ResponseHead>,
    body: Vec<u8>,
    buffer: Vec<u8>,
    ended: bool,
}

fn run<'a>(
    reader: &mut ResponseReader,
    seen: &mut Seen,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(bool, usize), ProtocolError> {
    for piece in pieces {
        seen.buffer.extend_from_slice(piece);
        pump(reader, seen)?;
    }
    let reuse = (reader.may_reuse(seen.buffer.len()), seen.buffer.len());
    assert!(seen.ended || !reuse.0, "reusable before the response is whole");
    reader.on_eof(&seen.buffer)?;
    pump(reader, seen)?;
    assert!(seen.ended && reader.is_done(), "an end that is no error ends the response");
    assert!(!reader.may_reuse(0), "an ended connection is not reusable");
    Ok(reuse)
}

fn pump(reader: &mut ResponseReader, seen: &mut Seen) -> Result<(), ProtocolError> {
    while !seen.ended {
        let (consumed, event) = reader.read(&seen.buffer)?;
        assert!(consumed <= seen.buffer.len(), "more consumed than there was");
        let waits = matches!(event, Event::NeedMore);
        match event {
            Event::NeedMore => {}
            Event::Head(head) => assert!(seen.head.replace(head).is_none(), "one final head only"),
            Event::Data(range) => {
                assert!(!range.is_empty() && range.end <= consumed);
                seen.body.extend_from_slice(&seen.buffer[range]);
            }
            Event::End => seen.ended = true,
        }
        seen.buffer.drain(..consumed);
        if waits {
            break;
        }
    }
    Ok(())
}

fn comparable(head: ResponseHead) -> Head {
    Head {
        status: head.status.as_u16(),
        framing: head.framing,
        persists: head.persists,
        reason: head.reason.map(String::from),
        fields: fields(&head.headers),
    }
}

fn fields(headers: &gannet_core::Headers) -> Fields {
    headers.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
}
