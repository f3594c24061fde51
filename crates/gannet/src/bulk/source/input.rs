//! What the command is given as INPUT, as one source: URLs with ranges, files, standard input, one after the other.
//! Everything is read as it is needed. A row's place is the number of its input and its offset there (for URLs its
//! number), in one u64; recalling it reads that line again and nothing else.
//!
//! Standard input, other pipes and compressed files are copied, decompressed, to an unlinked temporary file as they are
//! read, because their rows may be asked for again: it grows with the input.

#[cfg(test)]
pub(super) mod tests;

use std::io::{self, Read};
use std::path::Path;
use std::task::{Context, Poll, Waker, ready};

use gannet_core::ErrorKind;

use super::blocks::Blocks;
use super::csv::Csv;
use super::defaults::Plan;
use super::expand::Expansion;
use super::feed::Intake;
use super::given::{Format, Input, InputOptions};
use super::open::{Kept, Opened};
use super::print::Origin;
use super::template::Names;
use super::text::{Line, Lines, trimmed};
use super::{Draft, Source, jsonl, open, text, unreadable};
use crate::bulk::Row;
use crate::error::Result;

/// The rows of the inputs, in their order.
pub struct InputSource {
    inputs: Vec<Reading>,
    origins: Vec<Origin>,
    blocks: Blocks,
    plan: Plan,
    first: Option<u64>,
    current: usize,
    next: u64,
    /// How many bits of a place are the offset.
    offset_bits: u32,
    total: Option<u64>,
}

enum Reading {
    Urls { urls: Expansion, next: u64 },
    Bytes { intake: Intake, form: Form, size: Option<u64> },
}

enum Form {
    Text(Lines),
    Jsonl(Lines),
    Csv(Box<Csv>),
}

/// A row, and where in its input it stands.
struct Found {
    offset: u64,
    line: Option<u64>,
    draft: Draft,
}

impl InputSource {
    /// Opens the inputs and checks them as far as that goes without waiting: that they are there, that templates
    /// name columns a CSV file has, that a JSON template becomes JSON. Files stay open for as long as this lives.
    ///
    /// # Errors
    /// Kind `input`, naming the input and what to do about it.
    pub fn open(inputs: Vec<Input>, options: InputOptions) -> Result<Self> {
        InputSource::open_with(inputs, options, io::stdin())
    }

    pub(super) fn open_with(
        inputs: Vec<Input>,
        options: InputOptions,
        stdin: impl Read + Send + 'static,
    ) -> Result<Self> {
        let plan = Plan::new(&options.defaults, options.base)?;
        // At least one bit is the input's, so that shifting by the offset's never overflows.
        let offset_bits = 63 - inputs.len().max(1).ilog2();
        let mut source = InputSource {
            inputs: Vec::with_capacity(inputs.len()),
            origins: Vec::with_capacity(inputs.len()),
            blocks: Blocks::default(),
            plan,
            first: options.first,
            current: 0,
            next: 0,
            offset_bits,
            total: None,
        };
        let mut stdin = Some(stdin);
        for input in inputs {
            let reading = source.open_one(input, options.format, options.spool.as_deref(), &mut stdin)?;
            source.inputs.push(reading);
        }
        source.total = source.total_of_urls();
        Ok(source)
    }

    fn open_one(
        &mut self,
        input: Input,
        format: Option<Format>,
        spool: Option<&Path>,
        stdin: &mut Option<impl Read + Send + 'static>,
    ) -> Result<Reading> {
        let name = input.name();
        let number = self.inputs.len();
        let Opened { feed, kept, size, format, origin } = match input {
            Input::Url(url) => {
                self.check_names(&name, &[Names::INDEX, Names::LINE, Names::URL])?;
                let urls = Expansion::parse(&url).map_err(unreadable)?;
                if urls.count() > 1 << self.offset_bits {
                    return Err(unreadable(format!("{name} stands for more URLs than can be counted")));
                }
                self.blocks.add_none(name);
                self.origins.push(Origin::Url(url));
                return Ok(Reading::Urls { urls, next: 0 });
            }
            Input::Stdin => {
                let stdin = stdin.take().ok_or_else(|| unreadable("standard input can be read once only"))?;
                open::stdin(stdin, format, spool)?
            }
            Input::File(path) => open::file(&path, format)?,
        };
        match kept {
            Kept::File(file) => self.blocks.add_file(name.clone(), file),
            Kept::Copy => self.blocks.add_stream(name.clone()),
        }
        self.origins.push(origin);
        let mut intake = Intake::new(feed, number);
        let form = self.form_of(format, &name, size.is_some(), &mut intake)?;
        Ok(Reading::Bytes { intake, form, size })
    }

    /// How the input is cut into rows, checked against the templates; the header of a file is read for that.
    fn form_of(&mut self, format: Format, name: &str, is_file: bool, intake: &mut Intake) -> Result<Form> {
        let delimiter = match format {
            Format::Text => {
                self.check_names(name, &[Names::INDEX, Names::LINE, Names::URL])?;
                return Ok(Form::Text(Lines::new(text::LONGEST_URL)));
            }
            Format::Jsonl => {
                if !self.plan.has_url() {
                    self.check_names(name, &[Names::INDEX])?;
                }
                return Ok(Form::Jsonl(Lines::new(jsonl::LONGEST)));
            }
            Format::Csv => b',',
            Format::Tsv => b'\t',
        };
        let mut csv = Csv::new(delimiter);
        if is_file {
            let mut cx = Context::from_waker(Waker::noop());
            if let Poll::Ready(Err(error)) = csv.poll_header(&mut cx, intake, &mut self.blocks, &self.plan) {
                return Err(unreadable(error.to_string()));
            }
        }
        Ok(Form::Csv(Box::new(csv)))
    }

    /// Templates may use these names with this input.
    fn check_names(&self, input: &str, known: &[usize]) -> Result<()> {
        let names = &self.plan.names;
        let Some(unknown) = names.used().find(|name| !known.contains(name)) else { return Ok(()) };
        let known: Vec<_> = known.iter().map(|&name| format!("{{{}}}", names.name(name))).collect();
        let unknown = names.name(unknown);
        Err(unreadable(format!(
            "a template names {{{unknown}}}, but {input} gives only {}; write {{{{{unknown}}}}} for the text itself",
            known.join(", ")
        )))
    }

    pub(super) fn origins(&self) -> &[Origin] {
        &self.origins
    }

    fn total_of_urls(&self) -> Option<u64> {
        let counts = self.inputs.iter().map(|input| match input {
            Reading::Urls { urls, .. } => Some(urls.count()),
            Reading::Bytes { .. } => None,
        });
        let total = counts.sum::<Option<u64>>()?;
        Some(self.first.map_or(total, |first| first.min(total)))
    }

    /// The next row of the current input.
    fn poll_draft(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Found>>> {
        let index = self.next;
        let (plan, blocks) = (&self.plan, &mut self.blocks);
        let Some(Reading::Bytes { intake, form, .. }) = self.inputs.get_mut(self.current) else {
            return Poll::Ready(Ok(self.next_url(index)));
        };
        if let Form::Csv(csv) = form {
            ready!(csv.poll_header(cx, intake, blocks, plan))?;
            let found = ready!(csv.poll_record(cx, intake, blocks))?;
            return Poll::Ready(Ok(found.map(|(offset, line)| Found {
                offset,
                line: Some(line),
                draft: csv.draft(plan, index),
            })));
        }
        let is_text = matches!(form, Form::Text(_));
        let (Form::Text(lines) | Form::Jsonl(lines)) = form else { return Poll::Ready(Ok(None)) };
        loop {
            let Some(Line { place, number, length }) = ready!(lines.poll_line(cx, intake, blocks))? else {
                return Poll::Ready(Ok(None));
            };
            let line = length.map(|length| trimmed(&intake.rest()[..length], place));
            if let Some(draft) = line_draft(plan, is_text, line, index) {
                return Poll::Ready(Ok(Some(Found { offset: place, line: Some(number), draft })));
            }
        }
    }

    fn next_url(&mut self, index: u64) -> Option<Found> {
        let Some(Reading::Urls { urls, next }) = self.inputs.get_mut(self.current) else { return None };
        let number = *next;
        if number == urls.count() {
            return None;
        }
        *next += 1;
        Some(Found { offset: number, line: None, draft: text::line_draft(&self.plan, &urls.nth(number), index) })
    }

    fn recall_draft(&mut self, input: usize, offset: u64, index: u64) -> io::Result<(Option<u64>, Draft)> {
        let (plan, blocks) = (&self.plan, &mut self.blocks);
        let form = match self.inputs.get_mut(input) {
            Some(Reading::Urls { urls, .. }) if offset < urls.count() => {
                return Ok((None, text::line_draft(plan, &urls.nth(offset), index)));
            }
            Some(Reading::Bytes { form, .. }) => form,
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no row at this place")),
        };
        let line = blocks.line_number(input, offset)?;
        let is_text = matches!(form, Form::Text(_));
        let draft = match form {
            Form::Csv(csv) => {
                csv.recall(input, offset, blocks)?;
                Some(csv.draft(plan, index))
            }
            Form::Text(lines) | Form::Jsonl(lines) => {
                let bytes = blocks.line(input, offset, lines.max())?;
                line_draft(plan, is_text, bytes.map(|bytes| trimmed(bytes, offset)), index)
            }
        };
        draft.map(|draft| (Some(line), draft)).ok_or_else(|| blocks.gone(input))
    }

    /// With several inputs, an error says which one it is in.
    fn name_input(&self, input: usize, draft: &mut Draft) {
        if self.inputs.len() > 1
            && let Err(error) = &mut draft.request
            && error.kind() == ErrorKind::Input
        {
            let message = format!("{} (in {})", error.message(), self.blocks.name(input));
            *error = unreadable(message);
        }
    }

    fn finish(&mut self) {
        self.total = Some(self.next);
        for input in &mut self.inputs {
            if let Reading::Bytes { intake, .. } = input {
                intake.close();
            }
        }
    }
}

impl Source for InputSource {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Row>>> {
        while self.current < self.inputs.len() && self.first.is_none_or(|first| self.next < first) {
            if let Some(Found { offset, line, mut draft }) = ready!(self.poll_draft(cx))? {
                let index = self.next;
                self.next += 1;
                let place = (self.current as u64) << self.offset_bits | offset;
                self.name_input(self.current, &mut draft);
                return Poll::Ready(Ok(Some(draft.at(index, place, line))));
            }
            if let Some(Reading::Bytes { intake, .. }) = self.inputs.get_mut(self.current) {
                intake.close();
            }
            self.current += 1;
        }
        self.finish();
        Poll::Ready(Ok(None))
    }

    fn recall(&mut self, index: u64, place: u64) -> io::Result<Row> {
        let input = (place >> self.offset_bits) as usize;
        let offset = place & ((1 << self.offset_bits) - 1);
        let (line, mut draft) = self.recall_draft(input, offset, index)?;
        self.name_input(input, &mut draft);
        Ok(draft.at(index, place, line))
    }

    fn total(&self) -> Option<u64> {
        self.total
    }

    fn progress_bytes(&self) -> Option<(u64, u64)> {
        let mut sum = (0, 0);
        for input in &self.inputs {
            if let Reading::Bytes { intake, size, .. } = input {
                sum = (sum.0 + intake.done(), sum.1 + (*size)?);
            }
        }
        (sum.1 > 0).then_some(sum)
    }
}

fn line_draft(plan: &Plan, is_text: bool, line: Option<&[u8]>, index: u64) -> Option<Draft> {
    match (line, is_text) {
        (Some(line), true) => text::draft(plan, line, index),
        (Some(line), false) => jsonl::draft(plan, line, index),
        (None, true) => Some(text::too_long(text::LONGEST_URL)),
        (None, false) => Some(text::too_long(jsonl::LONGEST)),
    }
}
