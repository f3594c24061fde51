//! Server-sent events (WHATWG HTML §9.2.6): bytes of a `text/event-stream` in, events out. Sans-io; the response's
//! body drives it. Lines end with LF, CR or CRLF; a byte order mark at the front is skipped; what is not UTF-8
//! becomes U+FFFD; an event without data is none, and one that the stream ends within is not given out.
//! Refused: lines and events over their bounds, so that a server cannot fill the memory.

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The last event ID when it was dispatched: its own, or that of an earlier one; empty where there was none.
    pub id: String,
    /// Its type; `message` where none was given.
    pub event: String,
    /// Its data, lines joined by a line feed.
    pub data: String,
    /// The reconnection time that stood with it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "millis")]
    pub retry: Option<Duration>,
}

fn millis<S: serde::Serializer>(retry: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    retry.map(|retry| u64::try_from(retry.as_millis()).unwrap_or(u64::MAX)).serialize(serializer)
}

/// How large lines and events may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventLimits {
    /// Bytes of one line; 4 MiB.
    pub max_line: usize,
    /// Bytes of data of one event; 16 MiB.
    pub max_event: usize,
}

impl Default for EventLimits {
    fn default() -> Self {
        EventLimits { max_line: 4 << 20, max_event: 16 << 20 }
    }
}

/// A line or an event is over its bound. The stream is of no further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventError {
    /// A line is longer than [`EventLimits::max_line`].
    Line {
        /// The bound.
        max: usize,
    },
    /// An event's data is longer than [`EventLimits::max_event`].
    Event {
        /// The bound.
        max: usize,
    },
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EventError::Line { max } => write!(f, "a line of the event stream is longer than {max} bytes"),
            EventError::Event { max } => write!(f, "an event is longer than {max} bytes"),
        }
    }
}

impl std::error::Error for EventError {}

/// Reads an event stream. Give it a piece with [`EventParser::push`] and take events until there is none; at the
/// stream's end there is nothing to do, what is not finished is no event.
#[derive(Debug, Default)]
pub struct EventParser {
    limits: EventLimits,
    /// What has come and is not read: at most one line and one piece.
    buffer: Vec<u8>,
    /// Where reading goes on in `buffer`.
    at: usize,
    /// How far the unread is known to hold no line end.
    searched: usize,
    /// Something of the stream was read: the byte order mark stands at its front only.
    begun: bool,
    /// The last line ended with CR: an LF right behind it belongs to it.
    after_cr: bool,
    data: String,
    has_data: bool,
    event: String,
    event_retry: Option<Duration>,
    /// The ID that the next event will have; it counts as seen once that is dispatched.
    id: String,
    last_id: String,
    retry: Option<Duration>,
}

impl EventParser {
    /// A parser with these bounds.
    pub fn new(limits: EventLimits) -> Self {
        EventParser { limits, ..EventParser::default() }
    }

    /// The same, going on behind an event of this ID.
    #[must_use]
    pub fn with_last_id(self, last_id: impl Into<String>) -> Self {
        let last_id = last_id.into();
        EventParser { id: last_id.clone(), last_id, ..self }
    }

    /// The ID to send as Last-Event-ID when connecting again: that of the last event that was whole; empty for none.
    pub fn last_id(&self) -> &str {
        &self.last_id
    }

    /// How long the server wants to be left alone before connecting again, where it said so. Years are what it gets
    /// to ask for at most: 136.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Takes in the next piece of the stream.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.drain(..self.at);
        self.searched -= self.at;
        self.at = 0;
        self.buffer.extend_from_slice(piece);
    }

    /// The next event, or `None` until more has come.
    ///
    /// # Errors
    /// [`EventError`].
    pub fn next_event(&mut self) -> Result<Option<Event>, EventError> {
        while let Some((start, end)) = self.next_line()? {
            let line = String::from_utf8_lossy(&self.buffer[start..end]).into_owned();
            if line.is_empty() {
                if let Some(event) = self.dispatch() {
                    return Ok(Some(event));
                }
            } else {
                self.on_line(&line)?;
            }
        }
        Ok(None)
    }

    /// The next whole line, as a place in the buffer.
    fn next_line(&mut self) -> Result<Option<(usize, usize)>, EventError> {
        if self.after_cr && self.at < self.buffer.len() {
            self.after_cr = false;
            if self.buffer[self.at] == b'\n' {
                self.skip(1);
            }
        }
        if !self.begun && !self.skip_mark() {
            return Ok(None);
        }
        let Some(found) = self.buffer[self.searched..].iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
            self.searched = self.buffer.len();
            return self.within(self.searched - self.at).map(|()| None);
        };
        let (start, end) = (self.at, self.searched + found);
        self.within(end - start)?;
        self.after_cr = self.buffer[end] == b'\r';
        self.at = end + 1;
        self.searched = self.at;
        Ok(Some((start, end)))
    }

    /// Whether the front of the stream is known, a byte order mark skipped.
    fn skip_mark(&mut self) -> bool {
        const MARK: &[u8] = b"\xEF\xBB\xBF";
        let front = &self.buffer[self.at..];
        if front.len() < MARK.len() && MARK.starts_with(front) {
            return false;
        }
        if front.starts_with(MARK) {
            self.skip(MARK.len());
        }
        self.begun = true;
        true
    }

    fn skip(&mut self, count: usize) {
        self.at += count;
        self.searched = self.searched.max(self.at);
    }

    fn within(&self, length: usize) -> Result<(), EventError> {
        let max = self.limits.max_line;
        if length > max { Err(EventError::Line { max }) } else { Ok(()) }
    }

    fn on_line(&mut self, line: &str) -> Result<(), EventError> {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "data" => {
                let max = self.limits.max_event;
                if self.data.len() + value.len() + 1 > max {
                    return Err(EventError::Event { max });
                }
                if self.has_data {
                    self.data.push('\n');
                }
                self.data.push_str(value);
                self.has_data = true;
            }
            "event" => value.clone_into(&mut self.event),
            "id" if !value.contains('\0') => value.clone_into(&mut self.id),
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                // Only too many digits can fail here.
                let longest = Duration::from_secs(u64::from(u32::MAX));
                let retry = value.parse().map_or(longest, Duration::from_millis).min(longest);
                (self.retry, self.event_retry) = (Some(retry), Some(retry));
            }
            // A comment (an empty name) keeps the connection alive; other fields have no meaning.
            _ => {}
        }
        Ok(())
    }

    /// An empty line: the event is whole. Without data it is none, but its ID and retry count.
    fn dispatch(&mut self) -> Option<Event> {
        let (data, event) = (std::mem::take(&mut self.data), std::mem::take(&mut self.event));
        let retry = self.event_retry.take();
        self.id.clone_into(&mut self.last_id);
        if !std::mem::take(&mut self.has_data) {
            return None;
        }
        let event = if event.is_empty() { "message".to_owned() } else { event };
        Some(Event { id: self.last_id.clone(), event, data, retry })
    }
}
