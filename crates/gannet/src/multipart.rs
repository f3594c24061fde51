//! Writes forms as multipart/form-data, and other multipart bodies (RFC 7578, with names escaped as browsers do it, WHATWG HTML §4.10.21.8):
//! fields, bytes and files in, a list of segments out. Bytes are shared and files named, not read, so that a
//! form of any size costs its heads alone and can be sent again.
//! Refused: NUL in names and filenames, header values that break their line, paths that are not files.

mod parts;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use gannet_core::Headers;
use gannet_core::multipart::{attachment, write_nameless_part_head, write_part_head};

pub use self::parts::Parts;

/// Shorter bytes are copied between the heads around them: one segment instead of three.
const SHARED_FROM: usize = 4 * 1024;

/// A form to be sent as multipart/form-data. Parts go out in the order they were added; names may repeat.
///
/// What is wrong with a part is reported when the request is built.
#[derive(Clone, Debug)]
pub struct Form {
    boundary: String,
    parts: Vec<(String, Part)>,
}

impl Default for Form {
    fn default() -> Self {
        Form::new()
    }
}

impl Form {
    /// An empty form with a random boundary.
    pub fn new() -> Self {
        Form::with_seed(fastrand::u64(..))
    }

    /// An empty form whose boundary follows from `seed`, so that the same form is the same bytes.
    ///
    /// The boundary has 128 bits and is not looked for in the parts: choose the seed at random where others
    /// choose the content.
    pub fn with_seed(seed: u64) -> Self {
        Form { boundary: boundary(seed), parts: Vec::new() }
    }

    /// Adds a text field.
    #[must_use]
    pub fn text(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.part(name, Part::text(value))
    }

    /// Adds bytes as a file of this name and media type.
    #[must_use]
    pub fn bytes(
        self,
        name: impl Into<String>,
        filename: impl Into<String>,
        content_type: impl Into<String>,
        bytes: impl Into<Bytes>,
    ) -> Self {
        self.part(name, Part::bytes(bytes).filename(filename).content_type(content_type))
    }

    /// Adds a file, read when it is sent, under its own name and as `application/octet-stream`.
    #[must_use]
    pub fn file(self, name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        self.part(name, Part::file(path))
    }

    /// Adds a part made by hand.
    #[must_use]
    pub fn part(mut self, name: impl Into<String>, part: Part) -> Self {
        self.parts.push((name.into(), part));
        self
    }

    /// The Content-Type of the request, boundary included.
    pub fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }

    /// Writes the heads and looks up the sizes of files, which touches the file system but reads no content.
    ///
    /// # Errors
    /// [`FormError`]: a name, filename or header that cannot be written, a path that is no readable file.
    pub(crate) fn encode(self) -> Result<Encoded, FormError> {
        let content_type = self.content_type();
        let mut writer = Writer::default();
        for (name, part) in self.parts {
            part.write_head(&self.boundary, &name, &mut writer.tail)?;
            part.write_content(&mut writer)?;
        }
        writer.tail.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        Ok(writer.encoded(content_type))
    }
}

/// 128 bits of it follow from the seed.
fn boundary(seed: u64) -> String {
    format!("gannet-{:032x}", fastrand::Rng::with_seed(seed).u128(..))
}

/// One part of a [`Form`] or of [`Parts`].
#[derive(Clone)]
pub struct Part {
    content: Content,
    filename: Option<String>,
    content_type: Option<String>,
    headers: Vec<(String, String)>,
}

#[derive(Clone)]
enum Content {
    Bytes(Bytes),
    File(PathBuf),
    Parts(Box<Parts>),
}

impl Part {
    /// Text, without filename and media type: a plain field, in UTF-8.
    pub fn text(value: impl Into<String>) -> Self {
        Part::of(Content::Bytes(value.into().into()))
    }

    /// Bytes, without filename and media type until they are given.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Part::of(Content::Bytes(bytes.into()))
    }

    /// A file, read when it is sent, under the last part of its path and as `application/octet-stream`.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let filename = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Part::of(Content::File(path)).filename(filename).content_type("application/octet-stream")
    }

    /// Other parts, as one of these, with their own boundary. Their content type is theirs to say.
    pub fn nested(parts: Parts) -> Self {
        Part::of(Content::Parts(Box::new(parts)))
    }

    /// The filename the server is told.
    #[must_use]
    pub fn filename(self, filename: impl Into<String>) -> Self {
        Part { filename: Some(filename.into()), ..self }
    }

    /// The part's media type.
    #[must_use]
    pub fn content_type(self, content_type: impl Into<String>) -> Self {
        Part { content_type: Some(content_type.into()), ..self }
    }

    /// One more header of this part; Content-Disposition and Content-Type have their own ways.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    fn of(content: Content) -> Self {
        Part { content, filename: None, content_type: None, headers: Vec::new() }
    }

    fn write_head(&self, boundary: &str, name: &str, head: &mut BytesMut) -> Result<(), FormError> {
        let mut written = Vec::new();
        write_part_head(&mut written, boundary, name, self.filename.as_deref(), &self.checked_headers(name)?)
            .map_err(|error| FormError::of(error.to_string()))?;
        head.extend_from_slice(&written);
        Ok(())
    }

    /// As [`Part::write_head`], for a part without a name; `head` is left as it is if that fails.
    fn write_nameless_head(&self, boundary: &str, head: &mut BytesMut) -> Result<(), FormError> {
        let mut fields = Headers::new();
        let own = |known: &str| self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(known)).count();
        let has_media = usize::from(self.media().is_some());
        for (name, count) in
            [("Content-Type", own("content-type") + has_media), ("Content-Disposition", own("content-disposition"))]
        {
            if count > 1 {
                return Err(FormError::of(format!("a part sets {name} twice")));
            }
        }
        if let Some(filename) = &self.filename
            && !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-disposition"))
        {
            let disposition = attachment(filename).map_err(|error| FormError::of(error.to_string()))?;
            fields.append("Content-Disposition", disposition).map_err(|error| FormError::of(error.to_string()))?;
        }
        let content_type = self.media().into_iter().map(|media| ("Content-Type".to_owned(), media));
        for (name, value) in content_type.chain(self.headers.iter().cloned()) {
            fields.append(&name, &value).map_err(|error| FormError::of(format!("a part's {name:?}: {error}")))?;
        }
        let mut written = Vec::new();
        write_nameless_part_head(&mut written, boundary, &fields);
        head.extend_from_slice(&written);
        Ok(())
    }

    fn write_content(self, writer: &mut Writer) -> Result<(), FormError> {
        match self.content {
            Content::Bytes(bytes) => writer.bytes(bytes),
            Content::File(path) => {
                let length = file_length(&path)?;
                writer.file(path, length);
            }
            Content::Parts(parts) => parts.write(writer)?,
        }
        writer.tail.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Its media type, that of its own parts included.
    fn media(&self) -> Option<String> {
        match &self.content {
            Content::Parts(parts) => Some(parts.content_type()),
            Content::Bytes(_) | Content::File(_) => self.content_type.clone(),
        }
    }

    fn checked_headers(&self, part: &str) -> Result<Headers, FormError> {
        let mut headers = Headers::new();
        let media = self.media();
        let content_type = media.iter().map(|value| ("Content-Type", value.as_str()));
        let others = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in content_type.chain(others) {
            let own = ["content-disposition", "content-type"].iter().find(|own| own.eq_ignore_ascii_case(name));
            if own.is_some_and(|&own| own == "content-disposition" || headers.contains(own)) {
                return Err(FormError::of(format!("the part {part:?} sets {name} twice")));
            }
            headers.append(name, value).map_err(|error| FormError::of(format!("the part {part:?}: {error}")))?;
        }
        Ok(headers)
    }
}

/// Shows what kind of content, not the content.
impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Part");
        match &self.content {
            Content::Bytes(bytes) => shown.field("bytes", &bytes.len()),
            Content::File(path) => shown.field("file", path),
            Content::Parts(parts) => shown.field("parts", parts),
        };
        shown.field("filename", &self.filename).field("content_type", &self.content_type).finish_non_exhaustive()
    }
}

/// A form as it goes out.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The Content-Type of the request.
    pub content_type: String,
    /// What to send, in this order and with nothing between.
    pub segments: Vec<Segment>,
    /// How many bytes all segments have; `None` if a file cannot tell (a pipe).
    pub length: Option<u64>,
    /// Whether the segments can be sent once more: all bytes are held, all files can be opened again.
    pub replayable: bool,
}

/// A piece of an encoded form.
#[derive(Clone, Debug)]
pub enum Segment {
    /// Bytes as they are.
    Bytes(Bytes),
    /// The content of a file.
    File {
        /// Where it is.
        path: PathBuf,
        /// How many bytes it had when the form was encoded. Send as many: fewer is an error, more are left.
        length: Option<u64>,
    },
}

impl Segment {
    /// How many bytes it has, if that is known.
    pub fn length(&self) -> Option<u64> {
        match self {
            Segment::Bytes(bytes) => Some(bytes.len() as u64),
            Segment::File { length, .. } => *length,
        }
    }
}

/// Why a form cannot be sent.
#[derive(Debug)]
pub struct FormError {
    message: Cow<'static, str>,
    source: Option<io::Error>,
}

impl FormError {
    fn of(message: impl Into<Cow<'static, str>>) -> Self {
        FormError { message: message.into(), source: None }
    }
}

impl fmt::Display for FormError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for FormError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// Gathers heads and small bytes until something large stands between them.
#[derive(Default)]
struct Writer {
    segments: Vec<Segment>,
    tail: BytesMut,
    /// One of the files can be read once only.
    once: bool,
}

impl Writer {
    fn bytes(&mut self, bytes: Bytes) {
        if bytes.len() < SHARED_FROM {
            self.tail.extend_from_slice(&bytes);
        } else {
            self.cut();
            self.segments.push(Segment::Bytes(bytes));
        }
    }

    fn file(&mut self, path: PathBuf, length: Option<u64>) {
        self.cut();
        self.once |= length.is_none();
        self.segments.push(Segment::File { path, length });
    }

    fn encoded(mut self, content_type: String) -> Encoded {
        self.cut();
        let length = self.segments.iter().map(Segment::length).try_fold(0u64, |sum, len| sum.checked_add(len?));
        Encoded { content_type, segments: self.segments, length, replayable: !self.once }
    }

    fn cut(&mut self) {
        if !self.tail.is_empty() {
            self.segments.push(Segment::Bytes(self.tail.split().freeze()));
        }
    }
}

/// `None` for what is readable but has no size, such as a pipe.
fn file_length(path: &Path) -> Result<Option<u64>, FormError> {
    let found = std::fs::metadata(path).map_err(|error| FormError {
        message: format!("the file {} cannot be read: {error}", path.display()).into(),
        source: Some(error),
    })?;
    if found.is_dir() {
        return Err(FormError::of(format!("{} is a directory", path.display())));
    }
    Ok(found.is_file().then_some(found.len()))
}
