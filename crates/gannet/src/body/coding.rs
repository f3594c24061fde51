//! A request's body in a content coding (RFC 9110 §8.4): small ones are compressed whole, so that their length is
//! known; all others while they are sent, in chunks. What a stream has given is not held back while it waits for more.

use std::io::{self, Write};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll};

use brotli::CompressorWriter;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use futures_core::Stream;
use serde::{Deserialize, Serialize};

use super::source::Source;
use super::{Body, BodyStream, Kind};
use crate::error::{Error, Result};
use crate::progress::Meter;

/// Up to this size a body in memory is compressed at once: milliseconds, and the server is told its length.
const WHOLE: usize = 256 << 10;
/// Pieces taken in one poll, so that a large file that compresses to nothing does not keep the task.
const PIECES_PER_POLL: usize = 16;

/// A content coding for a request's body.
///
/// Servers need not understand any; one that does not answers 415 with what it does in Accept-Encoding (RFC 7694).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Coding {
    /// `gzip`, the one that is understood most often.
    Gzip,
    /// `deflate`: zlib's format, as RFC 9110 §8.4.1.2 has it.
    Deflate,
    /// `br`, at quality 5.
    #[serde(alias = "br")]
    Brotli,
    /// `zstd`, at level 3.
    Zstd,
}

impl Coding {
    /// The name as it stands in Content-Encoding.
    pub const fn as_str(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
        }
    }
}

impl FromStr for Coding {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "gzip" => Ok(Coding::Gzip),
            "deflate" => Ok(Coding::Deflate),
            "br" | "brotli" => Ok(Coding::Brotli),
            "zstd" => Ok(Coding::Zstd),
            _ => Err(format!("{text:?} is no coding: gzip, deflate, br or zstd")),
        }
    }
}

impl Body {
    /// The same body in this coding, again for each sending where it was so before. `meter` counts what goes in.
    ///
    /// # Errors
    /// Kind `request` if the encoder cannot be set up.
    pub(crate) fn compressed(self, coding: Coding, meter: Option<Meter>) -> Result<Body> {
        let kind = match self.kind {
            Kind::Empty => Kind::Empty,
            Kind::Bytes(bytes) if bytes.len() <= WHOLE => {
                let whole = Encoder::new(coding).and_then(|mut encoder| {
                    encoder.write(&bytes)?;
                    encoder.finish()
                });
                Kind::Bytes(whole.map_err(failed)?.into())
            }
            Kind::Bytes(bytes) => again(move || Source::of_bytes(bytes.clone()), coding, meter),
            Kind::Segments { segments, replayable: true, .. } => {
                again(move || Source::of_segments(segments.clone()), coding, meter)
            }
            Kind::Again { make, length } => again(move || Source::of_stream(make(), length), coding, meter),
            mut once @ (Kind::Once { .. } | Kind::Segments { .. }) => {
                let stream = Compressed::new(Source::new(&mut once), coding, meter);
                Kind::Once { stream: Some(Box::pin(stream)), length: None }
            }
        };
        Ok(Body { kind })
    }
}

fn again(source: impl Fn() -> Source + Send + Sync + 'static, coding: Coding, meter: Option<Meter>) -> Kind {
    let make = move || Box::pin(Compressed::new(source(), coding, meter.clone())) as BodyStream;
    Kind::Again { make: Arc::new(make), length: None }
}

fn failed(error: io::Error) -> Error {
    Error::request("the body cannot be compressed").with_source(error)
}

/// A body on its way through an encoder.
struct Compressed {
    source: Source,
    /// `None` once it has ended or failed.
    encoder: Option<Encoder>,
    coding: Coding,
    begun: bool,
    piece: Vec<u8>,
    /// Something went in that may not have come out yet.
    held: bool,
    meter: Option<Meter>,
}

impl Compressed {
    fn new(source: Source, coding: Coding, meter: Option<Meter>) -> Self {
        Compressed { source, encoder: None, coding, begun: false, piece: Vec::new(), held: false, meter }
    }

    /// The next compressed bytes, which may be none; `None` at the end.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Vec<u8>>>> {
        if !self.begun {
            self.begun = true;
            self.encoder = Some(Encoder::new(self.coding)?);
        }
        let Some(encoder) = &mut self.encoder else { return Poll::Ready(Ok(None)) };
        self.piece.clear();
        match self.source.poll_piece(cx, &mut self.piece)? {
            Poll::Ready(true) => {
                encoder.write(&self.piece)?;
                self.held = true;
                if let Some(meter) = &mut self.meter {
                    meter.add(self.piece.len() as u64);
                }
                Poll::Ready(Ok(Some(encoder.take())))
            }
            Poll::Ready(false) => {
                let rest = self.encoder.take().map_or_else(|| Ok(Vec::new()), Encoder::finish)?;
                Poll::Ready(Ok(Some(rest)))
            }
            Poll::Pending if std::mem::take(&mut self.held) => {
                encoder.flush()?;
                Poll::Ready(Ok(Some(encoder.take())))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Stream for Compressed {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        for _ in 0..PIECES_PER_POLL {
            match std::task::ready!(self.poll_step(cx)) {
                Ok(Some(bytes)) if bytes.is_empty() => {}
                Ok(bytes) => return Poll::Ready(bytes.map(|bytes| Ok(bytes.into()))),
                Err(error) => {
                    (self.encoder, self.source) = (None, Source::done());
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Deflate(ZlibEncoder<Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Gzip => Encoder::Gzip(GzEncoder::new(Vec::new(), Compression::default())),
            Coding::Deflate => Encoder::Deflate(ZlibEncoder::new(Vec::new(), Compression::default())),
            // A window of 1 MiB, as servers use: more costs memory on both sides.
            Coding::Brotli => Encoder::Brotli(Box::new(CompressorWriter::new(Vec::new(), 4096, 5, 20))),
            Coding::Zstd => Encoder::Zstd(zstd::stream::write::Encoder::new(Vec::new(), 3)?),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer().write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer().flush()
    }

    /// What has come out so far.
    fn take(&mut self) -> Vec<u8> {
        std::mem::take(match self {
            Encoder::Gzip(gzip) => gzip.get_mut(),
            Encoder::Deflate(deflate) => deflate.get_mut(),
            Encoder::Brotli(brotli) => brotli.get_mut(),
            Encoder::Zstd(zstd) => zstd.get_mut(),
        })
    }

    /// The rest, the stream's end included.
    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Encoder::Gzip(gzip) => gzip.finish(),
            Encoder::Deflate(deflate) => deflate.finish(),
            Encoder::Brotli(brotli) => Ok(brotli.into_inner()),
            Encoder::Zstd(zstd) => zstd.finish(),
        }
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Encoder::Gzip(gzip) => gzip,
            Encoder::Deflate(deflate) => deflate,
            Encoder::Brotli(brotli) => brotli,
            Encoder::Zstd(zstd) => zstd,
        }
    }
}
