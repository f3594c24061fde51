//! HTTP/1.1 framing (RFC 9112), client side, without I/O.
//!
//! [`write_head`] puts a request's head into a buffer; [`ResponseReader`] is given the bytes of a connection and
//! says what they are: a head, pieces of a body, its end, and whether the connection may carry another request.
//! It is strict where leniency lets two parties disagree about where a message ends (request smuggling): both
//! lengths at once, lengths that differ, unknown transfer codings, chunk lines without CRLF are errors, and an
//! early end is never taken for success. The session drives it from inside a request's own future.

mod body;
mod framing;
mod head;
mod reader;
mod request;

pub use body::BodyDecoder;
pub use framing::BodyFraming;
pub use head::{HeadLimits, RequestKind, ResponseHead, Version};
pub use reader::{Event, ResponseReader};
pub use request::{RequestBody, RequestHead, write_chunk, write_head, write_last_chunk};

use std::fmt;

/// How a response broke the rules. Every variant means: this connection carries no other request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// Not an HTTP/1.0 or 1.1 status line.
    StatusLine,
    /// A field line that is no `name: value`, is folded over two lines, or holds a control character.
    Field,
    /// More header fields than the limit.
    TooManyFields,
    /// Head, interim responses and trailers together are larger than the limit.
    HeadTooLarge,
    /// `101 Switching Protocols`, which was not asked for.
    UnexpectedUpgrade,
    /// Content-Length that is no plain decimal number, or overflows.
    ContentLength,
    /// Content-Length fields that differ.
    ContentLengthsDiffer,
    /// Transfer-Encoding together with Content-Length.
    BothLengths,
    /// A Transfer-Encoding other than one final `chunked`, or one in an HTTP/1.0 response.
    TransferEncoding,
    /// A chunk's size line is malformed, or its extensions are too long.
    ChunkSize,
    /// A chunk is not followed by CRLF.
    ChunkEnd,
    /// A malformed trailer field.
    Trailer,
    /// The connection ended before the head was whole; true where nothing at all had come.
    EofInHead {
        /// Whether not a single byte of the response had come.
        empty: bool,
    },
    /// The connection ended before the body was whole.
    EofInBody,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProtocolError::StatusLine => "the answer is not HTTP/1.0 or HTTP/1.1",
            ProtocolError::Field => "malformed header field",
            ProtocolError::TooManyFields => "too many header fields",
            ProtocolError::HeadTooLarge => "the response head is too large",
            ProtocolError::UnexpectedUpgrade => "the server switched protocols unasked",
            ProtocolError::ContentLength => "malformed Content-Length",
            ProtocolError::ContentLengthsDiffer => "Content-Length fields that differ",
            ProtocolError::BothLengths => "Transfer-Encoding together with Content-Length",
            ProtocolError::TransferEncoding => "a Transfer-Encoding other than chunked",
            ProtocolError::ChunkSize => "malformed chunk size",
            ProtocolError::ChunkEnd => "a chunk without its line end",
            ProtocolError::Trailer => "malformed trailer field",
            ProtocolError::EofInHead { empty: true } => "connection closed before any response",
            ProtocolError::EofInHead { empty: false } => "connection closed inside the response head",
            ProtocolError::EofInBody => "connection closed before the body was whole",
        })
    }
}

impl std::error::Error for ProtocolError {}

/// Largest size of all trailer fields together: what hyper allows too.
pub(crate) const MAX_TRAILER_BYTES: usize = 16 << 10;
