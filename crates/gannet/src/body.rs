//! What a request sends: nothing, bytes, a form with files, or a stream. Decides whether it can be sent again,
//! which redirects and retries ask.

mod coding;
mod reader;
mod source;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;

use crate::error::{Error, Result};
use crate::multipart::{Encoded, Segment};

pub use self::coding::Coding;
pub(crate) use self::source::Source;

/// A stream of pieces of a body.
pub type BodyStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// A request's body. Made by `into()` from bytes and text, or by one of the functions here.
pub struct Body {
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    Empty,
    Bytes(Bytes),
    /// Pieces and files, opened anew each time they are sent.
    Segments {
        segments: Arc<[Segment]>,
        length: Option<u64>,
        replayable: bool,
        /// It was begun; what a pipe has given is gone, though it could be opened again.
        begun: bool,
    },
    /// Once sent it is gone.
    Once {
        stream: Option<BodyStream>,
        length: Option<u64>,
    },
    Again {
        make: Arc<dyn Fn() -> BodyStream + Send + Sync>,
        length: Option<u64>,
    },
}

impl Kind {
    /// Takes back what was taken out to be sent, and was not begun.
    pub(crate) fn put_back(&mut self, source: Source) {
        match self {
            Kind::Once { stream, .. } => *stream = source.into_stream(),
            Kind::Segments { begun, .. } => *begun = false,
            Kind::Empty | Kind::Bytes(_) | Kind::Again { .. } => {}
        }
    }
}

impl Body {
    /// No body.
    pub const fn empty() -> Self {
        Body { kind: Kind::Empty }
    }

    /// A stream that can be sent only once: a redirect or retry that would need it again is an error, never an
    /// empty body. Without a length it is sent in chunks; with one, sending more or less is an error.
    pub fn stream(stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static, length: Option<u64>) -> Self {
        Body { kind: Kind::Once { stream: Some(Box::pin(stream)), length } }
    }

    /// A stream that can be made again for each sending.
    pub fn replayable(make: impl Fn() -> BodyStream + Send + Sync + 'static, length: Option<u64>) -> Self {
        Body { kind: Kind::Again { make: Arc::new(make), length } }
    }

    /// A file's content, read while it is sent, and again for each sending.
    ///
    /// # Errors
    /// Kind `request` if the file is not there.
    pub fn file(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let meta = std::fs::metadata(&path)
            .map_err(|error| Error::request(format!("body file {}", path.display())).with_source(error))?;
        let length = meta.is_file().then_some(meta.len());
        let segments = Arc::from([Segment::File { path, length }]);
        Ok(Body { kind: Kind::Segments { segments, length, replayable: length.is_some(), begun: false } })
    }

    pub(crate) fn multipart(form: Encoded) -> Self {
        let Encoded { segments, length, replayable, .. } = form;
        Body { kind: Kind::Segments { segments: segments.into(), length, replayable, begun: false } }
    }

    /// The number of bytes, where it is known before sending.
    pub fn length(&self) -> Option<u64> {
        match &self.kind {
            Kind::Empty => Some(0),
            Kind::Bytes(bytes) => Some(bytes.len() as u64),
            Kind::Segments { length, .. } | Kind::Once { length, .. } | Kind::Again { length, .. } => *length,
        }
    }

    /// The bytes, where the body is held whole in memory.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match &self.kind {
            Kind::Empty => Some(&[]),
            Kind::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.kind, Kind::Empty)
    }

    /// Whether it can still be sent.
    pub(crate) fn is_available(&self) -> bool {
        !matches!(self.kind, Kind::Once { stream: None, .. } | Kind::Segments { replayable: false, begun: true, .. })
    }

    /// Whether it can be sent once only, and was not.
    pub(crate) fn is_unspent(&self) -> bool {
        matches!(self.kind, Kind::Once { stream: Some(_), .. } | Kind::Segments { replayable: false, begun: false, .. })
    }

    /// Whether it can be sent once more after a sending.
    pub(crate) fn is_replayable(&self) -> bool {
        !matches!(self.kind, Kind::Once { .. } | Kind::Segments { replayable: false, .. })
    }

    /// The same body again, where it is replayable.
    pub fn try_clone(&self) -> Option<Body> {
        let kind = match &self.kind {
            Kind::Empty => Kind::Empty,
            Kind::Bytes(bytes) => Kind::Bytes(bytes.clone()),
            Kind::Segments { segments, length, replayable: true, .. } => {
                Kind::Segments { segments: segments.clone(), length: *length, replayable: true, begun: false }
            }
            Kind::Again { make, length } => Kind::Again { make: make.clone(), length: *length },
            Kind::Once { .. } | Kind::Segments { .. } => return None,
        };
        Some(Body { kind })
    }
}

impl Default for Body {
    fn default() -> Self {
        Body::empty()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.kind, self.length()) {
            (Kind::Empty, _) => f.write_str("Body(empty)"),
            (_, Some(length)) => write!(f, "Body({length} bytes)"),
            (_, None) => f.write_str("Body(stream)"),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Body { kind: Kind::Bytes(bytes) }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes::from_static(bytes).into()
    }
}
