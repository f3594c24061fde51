//! A multipart body, part by part: `multipart/mixed`, `/byteranges`, `/form-data` and every other kind. Its bytes are read
//! by [`MultipartParser`]; here they come from the response and go out as heads and pieces, none held longer than it
//! takes to hand them on. Refuses what the parser refuses, and a part that is asked for as a whole when some was taken.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use gannet_core::field::{ContentDisposition, ContentRange, MediaType};
use gannet_core::multipart::{MultipartError, MultipartLimits, MultipartParser, PartEvent};
use gannet_core::{ErrorKind, Headers, Phase};

use super::Response;
use crate::decode::charset;
use crate::error::{Error, Result};

/// What may stand behind the last part for the connection to be used again.
const MAX_EPILOGUE: usize = 64 << 10;

impl Response {
    /// The body as parts, read one after the other (RFC 2046 §5.1): the ranges of a 206, a form, a batch of answers.
    /// Heads of parts are held to 16 KiB and 100 fields.
    ///
    /// ```no_run
    /// # async fn example(session: gannet::Session) -> gannet::Result<()> {
    /// let response = session.get("https://example.com/batch").send().await?;
    /// let mut parts = response.error_for_status()?.multipart()?;
    /// while let Some(part) = parts.next_part().await? {
    ///     println!("{:?}: {} bytes", part.content_type(), part.bytes().await?.len());
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Kind `decode`, where Content-Type is no multipart with a boundary.
    pub fn multipart(self) -> Result<Multipart> {
        self.multipart_with(MultipartLimits::default())
    }

    /// As [`Response::multipart`], under other bounds.
    ///
    /// # Errors
    /// As there.
    pub fn multipart_with(self, limits: MultipartLimits) -> Result<Multipart> {
        let content_type = self.headers.get_bytes("content-type").unwrap_or_default();
        match MultipartParser::for_content_type(content_type, limits) {
            Ok(parser) => Ok(Multipart { response: self, parser, buffer: BytesMut::new(), within: false, epilogue: 0 }),
            Err(error) => Err(self.told(malformed(error))),
        }
    }
}

/// The body of a response as parts. Dropping it before the last one has been read closes the connection or, over
/// HTTP/2, resets its stream.
#[derive(Debug)]
pub struct Multipart {
    response: Response,
    parser: MultipartParser,
    /// Bytes that have come and are not read.
    buffer: BytesMut,
    /// Within a part whose end has not come.
    within: bool,
    /// Bytes behind the last part.
    epilogue: usize,
}

/// One part of a body that comes in: its head, and its content, which can be read once. What is not read of it is passed
/// over by [`Multipart::next_part`].
#[derive(Debug)]
pub struct ReceivedPart<'a> {
    headers: Headers,
    parts: &'a mut Multipart,
    begun: bool,
}

impl Multipart {
    /// The next part; `None` behind the last one. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Kind `decode` for what is no multipart: a malformed head, one over its bounds, an end before the last boundary. As
    /// [`Response::bytes`] for the body itself.
    pub async fn next_part(&mut self) -> Result<Option<ReceivedPart<'_>>> {
        let headers = poll_fn(|cx| self.poll_head(cx)).await?;
        Ok(headers.map(|headers| ReceivedPart { headers, parts: self, begun: false }))
    }

    /// The response, its body as far as it is not read.
    pub fn response(&self) -> &Response {
        &self.response
    }

    /// Passes over what is left of a part that was begun.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Headers>>> {
        loop {
            match ready!(self.poll_event(cx))? {
                Found::Head(headers) => {
                    self.within = true;
                    return Poll::Ready(Ok(Some(headers)));
                }
                Found::Piece(_) => {}
                Found::PartEnd => self.within = false,
                Found::End => return Poll::Ready(Ok(None)),
            }
        }
    }

    /// The next piece of the part that was begun; `None` at its end.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        while self.within {
            match ready!(self.poll_event(cx))? {
                Found::Piece(piece) => return Poll::Ready(Ok(Some(piece))),
                _ => self.within = false,
            }
        }
        Poll::Ready(Ok(None))
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Found>> {
        loop {
            let (consumed, event) = self.parser.read(&self.buffer).map_err(|error| self.failed(error))?;
            let taken = self.buffer.split_to(consumed);
            match event {
                PartEvent::Head(headers) => return Poll::Ready(Ok(Found::Head(headers))),
                PartEvent::Data(range) => return Poll::Ready(Ok(Found::Piece(taken.freeze().slice(range)))),
                PartEvent::PartEnd => return Poll::Ready(Ok(Found::PartEnd)),
                PartEvent::End => {
                    self.epilogue += consumed;
                    if self.epilogue > MAX_EPILOGUE {
                        return Poll::Ready(Ok(Found::End));
                    }
                }
                // Something was passed over: what follows may be here already.
                PartEvent::NeedMore if consumed > 0 => continue,
                PartEvent::NeedMore => {}
            }
            match ready!(self.response.poll_chunk(cx))? {
                Some(piece) => self.buffer.extend_from_slice(&piece),
                None => {
                    self.parser.on_end().map_err(|error| self.failed(error))?;
                    return Poll::Ready(Ok(Found::End));
                }
            }
        }
    }

    fn failed(&self, error: MultipartError) -> Error {
        self.response.told(malformed(error))
    }
}

impl ReceivedPart<'_> {
    /// Its header fields, as they came.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// What its Content-Type says.
    pub fn content_type(&self) -> Option<MediaType> {
        self.headers.get_bytes("content-type").and_then(MediaType::parse)
    }

    /// What its Content-Disposition says: name and file name of a form's field.
    pub fn content_disposition(&self) -> Option<ContentDisposition> {
        self.headers.get_bytes("content-disposition").and_then(ContentDisposition::parse)
    }

    /// The name of a form's field, as it came: browsers write `"` as `%22`.
    pub fn name(&self) -> Option<String> {
        let disposition = self.content_disposition()?;
        disposition.parameters.into_iter().find(|(name, _)| name == "name").map(|(_, value)| value)
    }

    /// Which bytes of the whole it is, in `multipart/byteranges`.
    pub fn content_range(&self) -> Option<ContentRange> {
        self.headers.get_bytes("content-range").and_then(ContentRange::parse)
    }

    /// The next piece of its content; `None` at its end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// As [`Multipart::next_part`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        self.begun = true;
        poll_fn(|cx| self.parts.poll_piece(cx)).await
    }

    /// All of its content. It is as large as the server makes it: `response.max_body` bounds the body as a whole.
    ///
    /// # Errors
    /// As [`Multipart::next_part`]; kind `body` where pieces of it were taken already.
    pub async fn bytes(mut self) -> Result<Bytes> {
        if self.begun {
            let message = "the part was read already, at least in part: it can be read once";
            return Err(self.parts.response.told(Error::new(ErrorKind::Body, Phase::Body, message)));
        }
        let mut all = Vec::new();
        while let Some(piece) = self.chunk().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all.into())
    }

    /// All of its content as text, by the charset of its Content-Type, as [`Response::text`].
    ///
    /// # Errors
    /// As [`ReceivedPart::bytes`].
    pub async fn text(mut self) -> Result<String> {
        let headers = std::mem::take(&mut self.headers);
        let bytes = self.bytes().await?;
        Ok(charset::text(Vec::from(bytes), headers.get("content-type")).text)
    }
}

enum Found {
    Head(Headers),
    Piece(Bytes),
    PartEnd,
    End,
}

fn malformed(error: MultipartError) -> Error {
    Error::new(ErrorKind::Decode, Phase::Decode, "the body is no multipart as announced").with_source(error)
}
