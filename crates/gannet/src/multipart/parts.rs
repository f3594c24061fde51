//! Multipart bodies that are no forms (RFC 2046 §5.1): parts without names, each with its own fields; and such a body as
//! a part of another.

use super::{Encoded, FormError, Part, Writer, boundary};

/// A multipart body whose parts have no names: `multipart/mixed`, `multipart/related`, or another kind. Sent by
/// [`crate::RequestBuilder::parts`]; parts go out in the order they were added. One can be a part of another, or of a
/// form: [`Part::nested`].
///
/// What is wrong with a part is reported when the request is built.
///
/// ```
/// use gannet::{Part, Parts};
///
/// let metadata = Part::text("{\"name\":\"dive.mp4\"}").content_type("application/json; charset=UTF-8");
/// let upload = Parts::related().part(metadata).part(Part::bytes("…").content_type("video/mp4"));
/// # let _ = upload;
/// ```
#[derive(Clone, Debug)]
pub struct Parts {
    kind: String,
    boundary: String,
    parts: Vec<Part>,
}

impl Parts {
    /// Independent parts in an order: `multipart/mixed` (RFC 2046 §5.1.3).
    pub fn mixed() -> Self {
        Parts::of_kind("mixed")
    }

    /// Parts of one thing: `multipart/related` (RFC 2387). The first one is its root, and its content type is told with
    /// the body's.
    pub fn related() -> Self {
        Parts::of_kind("related")
    }

    /// Parts of another kind by its name: `alternative` makes `multipart/alternative`.
    pub fn of_kind(kind: impl Into<String>) -> Self {
        Parts::with_seed(kind, fastrand::u64(..))
    }

    /// The same, with a boundary that follows from `seed`, so that the same parts are the same bytes.
    pub fn with_seed(kind: impl Into<String>, seed: u64) -> Self {
        Parts { kind: kind.into(), boundary: boundary(seed), parts: Vec::new() }
    }

    /// Adds a part. Its file name is told as that of an attachment (RFC 6266), unless it has a Content-Disposition of its
    /// own.
    #[must_use]
    pub fn part(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }

    /// The Content-Type of the request, boundary included.
    pub fn content_type(&self) -> String {
        let root = self.parts.first().and_then(Part::media).filter(|_| self.kind == "related");
        // RFC 2387 §3.4: type and subtype, no parameter.
        let root = root.and_then(|root| Some(format!("; type=\"{}\"", root.split(';').next()?.trim())));
        format!("multipart/{}; boundary={}{}", self.kind, self.boundary, root.unwrap_or_default())
    }

    /// As [`super::Form::encode`].
    ///
    /// # Errors
    /// As there.
    pub(crate) fn encode(self) -> Result<Encoded, FormError> {
        let content_type = self.content_type();
        let mut writer = Writer::default();
        self.write(&mut writer)?;
        Ok(writer.encoded(content_type))
    }

    pub(super) fn write(self, writer: &mut Writer) -> Result<(), FormError> {
        for part in self.parts {
            part.write_nameless_head(&self.boundary, &mut writer.tail)?;
            part.write_content(writer)?;
        }
        writer.tail.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        Ok(())
    }
}
