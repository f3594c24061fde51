//! CSV and TSV (RFC 4180): a header, then one row per record. A record with another number of fields than the
//! header, or over 16 MiB, is a row that cannot be read. The column `id` names the row; the column `url` is its URL
//! where there is no template for it.

use std::borrow::Cow;
use std::io;
use std::task::{Context, Poll, ready};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::Draft;
use super::blocks::Blocks;
use super::defaults::{Own, Plan};
use super::feed::Intake;
use super::template::{Names, Value, Values};
use super::text::BOM;

const LONGEST: usize = 16 << 20;
const MOST_FIELDS: usize = 1 << 16;

/// Cuts an input into records and makes rows of them.
pub(super) struct Csv {
    reader: Reader,
    /// Reads records again.
    again: Reader,
    record: Record,
    /// Where the record that is being read begins: offset and line.
    begun: Option<(u64, u64)>,
    header: Option<Header>,
}

/// What the header says.
struct Header {
    columns: Vec<String>,
    id: Option<usize>,
    url: Option<usize>,
    /// For each name that templates use, its column.
    places: Vec<Option<usize>>,
}

/// One record, unquoted.
#[derive(Default)]
struct Record {
    bytes: Vec<u8>,
    filled: usize,
    ends: Vec<usize>,
    kept: usize,
    /// All fields, kept or not.
    fields: usize,
    is_too_long: bool,
}

enum Step {
    More,
    Record,
    End,
}

impl Csv {
    pub(super) fn new(delimiter: u8) -> Self {
        let build = || ReaderBuilder::new().delimiter(delimiter).build();
        Csv { reader: build(), again: build(), record: Record::default(), begun: None, header: None }
    }

    /// Reads the header, if that was not done yet, and holds the templates against it.
    ///
    /// # Errors
    /// The input's, and what is wrong with the header (kind `InvalidData`).
    pub(super) fn poll_header(
        &mut self,
        cx: &mut Context<'_>,
        intake: &mut Intake,
        blocks: &mut Blocks,
        plan: &Plan,
    ) -> Poll<io::Result<()>> {
        if self.header.is_some() {
            return Poll::Ready(Ok(()));
        }
        let found = ready!(self.poll_record(cx, intake, blocks))?;
        let header = match found {
            Some(_) => Header::new(&self.record, plan),
            None => Err("it has no header line, which CSV needs".to_owned()),
        };
        let name = || blocks.name(intake.input());
        let bad = |why| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", name()));
        self.header = Some(header.map_err(bad)?);
        Poll::Ready(Ok(()))
    }

    /// Reads the next record: its place and its line.
    ///
    /// # Errors
    /// The input's.
    pub(super) fn poll_record(
        &mut self,
        cx: &mut Context<'_>,
        intake: &mut Intake,
        blocks: &mut Blocks,
    ) -> Poll<io::Result<Option<(u64, u64)>>> {
        loop {
            if self.begun.is_none() {
                if intake.place() == 0 && intake.rest().len() < BOM.len() && !intake.has_ended() {
                    ready!(intake.poll_more(cx, blocks))?;
                    continue;
                }
                self.skip_blank_lines(intake);
                if intake.rest().is_empty() {
                    if !ready!(intake.poll_more(cx, blocks))? {
                        return Poll::Ready(Ok(None));
                    }
                    continue;
                }
                self.begun = Some((intake.place(), self.reader.line()));
                self.record.clear();
            }
            if intake.rest().is_empty() && ready!(intake.poll_more(cx, blocks))? {
                continue;
            }
            let (used, step) = self.record.take_in(&mut self.reader, intake.rest());
            intake.consume(used);
            match step {
                Step::More => {}
                Step::Record => return Poll::Ready(Ok(self.begun.take())),
                Step::End => {
                    self.begun = None;
                    return Poll::Ready(Ok(None));
                }
            }
        }
    }

    /// Reads the record that begins at `place` again.
    ///
    /// # Errors
    /// The input cannot be read there any more.
    pub(super) fn recall(&mut self, input: usize, place: u64, blocks: &mut Blocks) -> io::Result<()> {
        self.record.clear();
        self.again.reset();
        // A reader that has read nothing would take a byte order mark away, wherever the record stands.
        self.record.take_in(&mut self.again, b"\n");
        let mut at = place;
        loop {
            let bytes = blocks.at(input, at)?;
            let (used, step) = self.record.take_in(&mut self.again, bytes);
            at += used as u64;
            match step {
                Step::More => {}
                Step::Record => return Ok(()),
                Step::End => return Err(blocks.gone(input)),
            }
        }
    }

    /// The row of the record that was just read.
    pub(super) fn draft(&self, plan: &Plan, index: u64) -> Draft {
        let Some(header) = &self.header else {
            return Draft::refused(None, String::new(), "the header was not read");
        };
        let (record, field) = (&self.record, |at| self.record.lossy(at));
        if record.is_too_long {
            return Draft::refused(None, String::new(), format!("the record is longer than {} MiB", LONGEST >> 20));
        }
        let id = header.id.and_then(field).filter(|id| !id.is_empty()).map(Cow::into_owned);
        let url = header.url.and_then(field).unwrap_or_default();
        if let Some(why) = header.refuse(record) {
            return Draft::refused(id, url.into_owned(), why);
        }
        plan.draft(id, Some(url.trim()), Own::default(), &Fields { header, record, plan, index })
    }

    fn skip_blank_lines(&mut self, intake: &mut Intake) {
        if intake.place() == 0 && intake.rest().starts_with(BOM) {
            intake.consume(BOM.len());
        }
        let rest = intake.rest();
        let blank = rest.iter().take_while(|b| matches!(b, b'\r' | b'\n'));
        let (count, ends) = blank.fold((0, 0), |(count, ends), b| (count + 1, ends + u64::from(*b == b'\n')));
        intake.consume(count);
        self.reader.set_line(self.reader.line() + ends);
    }
}

impl Header {
    fn new(record: &Record, plan: &Plan) -> Result<Self, String> {
        if record.is_too_long || record.fields > record.kept {
            return Err("its header is too long".to_owned());
        }
        let columns: Vec<String> =
            (0..record.kept).map(|at| record.lossy(at).unwrap_or_default().trim().to_owned()).collect();
        let find = |name: &str| -> Result<Option<usize>, String> {
            let mut found = columns.iter().enumerate().filter(|(_, column)| *column == name).map(|(at, _)| at);
            match (found.next(), found.next()) {
                (_, Some(_)) => Err(format!("it has the column {name:?} twice")),
                (found, None) => Ok(found),
            }
        };
        let (id, url) = (find("id")?, find("url")?);
        let mut places = vec![None; plan.names.len()];
        for name in plan.names.used() {
            places[name] = find(plan.names.name(name))?;
            if places[name].is_none() && name != Names::INDEX {
                let name = plan.names.name(name);
                return Err(format!(
                    "a template names {{{name}}}, but the columns are {}; write {{{{{name}}}}} for the text itself",
                    columns.join(", ")
                ));
            }
        }
        if url.is_none() && !plan.has_url() {
            let (columns, first) = (columns.join(", "), columns.first().map_or("id", String::as_str));
            return Err(format!(
                "it has no column \"url\" (but {columns}); say how its rows become URLs: \
                 --url 'https://api.example.com/{{{first}}}'"
            ));
        }
        Ok(Header { columns, id, url, places })
    }

    /// What is wrong with the record as a whole.
    fn refuse(&self, record: &Record) -> Option<String> {
        let (here, wanted) = (record.fields, self.columns.len());
        if here != wanted {
            let lacking = self.columns.get(here).map(|column| format!("; there is none for {column:?}"));
            let plural = if here == 1 { "" } else { "s" };
            return Some(format!("{here} field{plural} where the header has {wanted}{}", lacking.unwrap_or_default()));
        }
        let broken = (0..record.kept).find(|&at| record.text(at).is_none())?;
        Some(format!("the column {:?} is not UTF-8", self.columns[broken]))
    }
}

impl Record {
    fn clear(&mut self) {
        (self.filled, self.kept, self.fields, self.is_too_long) = (0, 0, 0, false);
        if self.bytes.len() > LONGEST / 8 {
            self.bytes = Vec::new();
        }
    }

    /// Takes in more of the input (nothing: its end), and says how much of it was used.
    fn take_in(&mut self, reader: &mut Reader, input: &[u8]) -> (usize, Step) {
        let mut used = 0;
        loop {
            self.make_room();
            let (bytes, ends) = (&mut self.bytes[self.filled..], &mut self.ends[self.kept..]);
            let (result, read, written, ended) = reader.read_record(&input[used..], bytes, ends);
            used += read;
            self.filled += written;
            self.kept += ended;
            self.fields += ended;
            match result {
                ReadRecordResult::Record => return (used, Step::Record),
                ReadRecordResult::End => return (used, Step::End),
                ReadRecordResult::InputEmpty => return (used, Step::More),
                // An empty rest would be taken for the end of the input.
                _ if used == input.len() && used > 0 => return (used, Step::More),
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {}
            }
        }
    }

    /// Over the bounds what was kept is written over.
    fn make_room(&mut self) {
        if self.filled == self.bytes.len() {
            if self.filled >= LONGEST {
                self.is_too_long = true;
                self.filled = 0;
            } else {
                self.bytes.resize((self.filled * 2).max(4 << 10), 0);
            }
        }
        if self.kept == self.ends.len() {
            if self.kept >= MOST_FIELDS {
                self.kept -= 1;
            } else {
                self.ends.resize((self.kept * 2).max(64), 0);
            }
        }
    }

    fn field(&self, at: usize) -> Option<&[u8]> {
        let end = *self.ends[..self.kept].get(at)?;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        self.bytes.get(start..end)
    }

    fn text(&self, at: usize) -> Option<&str> {
        std::str::from_utf8(self.field(at)?).ok()
    }

    fn lossy(&self, at: usize) -> Option<Cow<'_, str>> {
        self.field(at).map(String::from_utf8_lossy)
    }
}

struct Fields<'a> {
    header: &'a Header,
    record: &'a Record,
    plan: &'a Plan,
    index: u64,
}

impl Values for Fields<'_> {
    fn value(&self, name: usize) -> Result<Value<'_>, String> {
        let text = match self.header.places[name] {
            Some(column) => self.record.text(column).map(Cow::Borrowed),
            None if name == Names::INDEX => Some(Cow::Owned(self.index.to_string())),
            None => None,
        };
        let text = text.ok_or_else(|| format!("no value for {:?}", self.plan.names.name(name)))?;
        Ok(Value { text, json: None })
    }
}
