//! Inputs of lines: cuts them, and reads one URL per line. Blank lines and `#` comments are skipped. A line over
//! its bound is a row that cannot be read, and is not held.

use std::borrow::Cow;
use std::io;
use std::task::{Context, Poll, ready};

use memchr::memchr;

use super::Draft;
use super::blocks::Blocks;
use super::defaults::{Own, Plan};
use super::feed::Intake;
use super::template::{Names, Value, Values};

/// The longest line of a text input, in bytes.
pub(super) const LONGEST_URL: usize = 1 << 20;
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

/// Where a line stands, and its bytes at the front of the intake: without LF; `None` where it was too long.
pub(super) struct Line {
    pub(super) place: u64,
    pub(super) number: u64,
    pub(super) length: Option<usize>,
}

/// Cuts an input into lines.
pub(super) struct Lines {
    max: usize,
    /// The lines that ended so far.
    ended: u64,
    /// How much of the intake the line given last takes up.
    given: usize,
    /// How much of the intake is known to hold no LF.
    searched: usize,
    /// A line that is too long, being skipped: where it begins, and whether it is a comment.
    skipping: Option<(u64, bool)>,
}

impl Lines {
    pub(super) fn new(max: usize) -> Self {
        Lines { max, ended: 0, given: 0, searched: 0, skipping: None }
    }

    /// The longest line there may be, in bytes.
    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// The next line; the one before is gone then.
    ///
    /// # Errors
    /// The input's.
    pub(super) fn poll_line(
        &mut self,
        cx: &mut Context<'_>,
        intake: &mut Intake,
        blocks: &mut Blocks,
    ) -> Poll<io::Result<Option<Line>>> {
        intake.consume(std::mem::take(&mut self.given));
        loop {
            let rest = intake.rest();
            let found = memchr(b'\n', &rest[self.searched..]).map(|at| self.searched + at);
            let is_last = found.is_none() && intake.has_ended();
            if is_last && rest.is_empty() && self.skipping.is_none() {
                return Poll::Ready(Ok(None));
            }
            let length = found.unwrap_or(rest.len());
            if length > self.max && self.skipping.is_none() {
                let is_comment = rest.trim_ascii_start().starts_with(b"#");
                self.skipping = Some((intake.place(), is_comment));
            }
            if found.is_some() || is_last {
                self.searched = 0;
                self.ended += 1;
                let taken = length + usize::from(found.is_some());
                match self.skipping.take() {
                    None => {
                        self.given = taken;
                        return Poll::Ready(Ok(Some(self.line(intake.place(), Some(length)))));
                    }
                    Some((place, is_comment)) => {
                        intake.consume(taken);
                        if !is_comment {
                            return Poll::Ready(Ok(Some(self.line(place, None))));
                        }
                        continue;
                    }
                }
            }
            self.searched = length;
            if self.skipping.is_some() {
                intake.consume(length);
                self.searched = 0;
            }
            ready!(intake.poll_more(cx, blocks))?;
        }
    }

    fn line(&self, place: u64, length: Option<usize>) -> Line {
        Line { place, number: self.ended, length }
    }
}

/// The line without byte order mark, line end and surrounding whitespace.
pub(super) fn trimmed(line: &[u8], place: u64) -> &[u8] {
    let line = if place == 0 { line.strip_prefix(BOM).unwrap_or(line) } else { line };
    line.trim_ascii()
}

/// The row of a line that was too long.
pub(super) fn too_long(max: usize) -> Draft {
    Draft::refused(None, String::new(), format!("the line is longer than {} MiB", max >> 20))
}

/// The row of a trimmed line; `None` where there is none in it.
pub(super) fn draft(plan: &Plan, line: &[u8], index: u64) -> Option<Draft> {
    if line.is_empty() || line[0] == b'#' {
        return None;
    }
    let Ok(line) = std::str::from_utf8(line) else {
        let url = String::from_utf8_lossy(line).into_owned();
        return Some(Draft::refused(None, url, "the line is not UTF-8"));
    };
    Some(line_draft(plan, line, index))
}

/// The row of a URL given as it is.
pub(super) fn line_draft(plan: &Plan, line: &str, index: u64) -> Draft {
    plan.draft(None, Some(line), Own::default(), &LineValues { line, index })
}

struct LineValues<'a> {
    line: &'a str,
    index: u64,
}

impl Values for LineValues<'_> {
    fn value(&self, name: usize) -> Result<Value<'_>, String> {
        match name {
            Names::INDEX => Ok(Value { text: Cow::Owned(self.index.to_string()), json: None }),
            Names::LINE | Names::URL => Ok(Value { text: Cow::Borrowed(self.line), json: None }),
            // Checked when the input was opened.
            _ => Err("the input is lines of text, without names".to_owned()),
        }
    }
}
