//! Text with `{name}` in it, filled from a row. A name begins with a letter or `_` and goes on with letters,
//! digits, `_`, `-`, `.` and blanks; other braces are text, so that JSON can be written as it is. `{{name}}` is the
//! text `{name}`; in a URL any `{{` and `}}` are single braces, and a brace that is not closed is an error.
//!
//! How a value goes in depends on where it stands. In a URL it is percent-encoded, all but RFC 3986's unreserved
//! characters, and may not empty a path segment or make it `.` or `..`. In JSON, inside quotes it is escaped; bare
//! it becomes a JSON value: as it came from JSONL, or from text a number, `true`, `false` or `null` where the text
//! is one and a string otherwise. Elsewhere it goes in as it is.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a row has under a name.
pub(super) struct Value<'a> {
    pub(super) text: Cow<'a, str>,
    /// The value as JSON, where the row is JSON.
    pub(super) json: Option<&'a str>,
}

/// A row, asked by the number of a name in [`Names`].
pub(super) trait Values {
    /// # Errors
    /// Says that the row has no such value.
    fn value(&self, name: usize) -> Result<Value<'_>, String>;
}

/// The names that templates use, numbered.
#[derive(Debug)]
pub(super) struct Names {
    names: Vec<(String, bool)>,
}

impl Names {
    /// The row's place in the input, from 0.
    pub(super) const INDEX: usize = 0;
    /// The line of a text input.
    pub(super) const LINE: usize = 1;
    /// The same by another name.
    pub(super) const URL: usize = 2;

    pub(super) fn new() -> Self {
        Names { names: ["index", "line", "url"].map(|name| (name.to_owned(), false)).into() }
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn name(&self, number: usize) -> &str {
        &self.names[number].0
    }

    /// The number of a name some template uses.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|(known, used)| *used && known == name)
    }

    /// The numbers of the names that are used.
    pub(super) fn used(&self) -> impl Iterator<Item = usize> + '_ {
        self.names.iter().enumerate().filter(|(_, (_, used))| *used).map(|(number, _)| number)
    }

    fn number(&mut self, name: &str) -> usize {
        let number = self.names.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.names.push((name.to_owned(), false));
            self.names.len() - 1
        });
        self.names[number].1 = true;
        number
    }
}

/// What a template is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Without a base URL a placeholder at the very start goes in as it is: it holds the scheme and the host.
    Url {
        has_base: bool,
    },
    Json,
    Plain,
}

/// Text with placeholders.
#[derive(Debug)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Hole(usize, Style),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Plain,
    Percent,
    /// As `Percent`, alone between slashes.
    Segment,
    JsonText,
    JsonValue,
}

impl Template {
    /// A URL.
    ///
    /// # Errors
    /// Shows a brace that is not closed: a placeholder was meant, and every row would ask for it literally.
    pub(super) fn url(text: &str, has_base: bool, names: &mut Names) -> Result<Self, String> {
        let kind = Kind::Url { has_base };
        match unclosed(text, kind) {
            None => Ok(Template::parse(text, kind, names)),
            Some(at) => {
                // No further: the query may hold a secret.
                let shown = text[at..].split_inclusive(['/', '?', '&', '=', '#']).next().unwrap_or_default();
                let place = text[..at].chars().count() + 1;
                Err(format!("{shown:?} at character {place} has no closing brace; {{{{ stands for a brace itself"))
            }
        }
    }

    pub(super) fn parse(text: &str, kind: Kind, names: &mut Names) -> Self {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut place = Place { in_query: false, in_string: false, escaped: false };
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let hole = (c == '{').then(|| name_of(&rest[1..])).flatten();
            let (taken, shown) = match hole {
                Some(name) => {
                    let after = &rest[name.len() + 2..];
                    let style = place.style(kind, parts.is_empty().then_some(&*literal), &literal, after);
                    if !literal.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Hole(names.number(name), style));
                    rest = after;
                    continue;
                }
                None => escape(rest, kind).unwrap_or((c.len_utf8(), &rest[..c.len_utf8()])),
            };
            place.pass(shown);
            literal.push_str(shown);
            rest = &rest[taken..];
        }
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Template { parts }
    }

    /// The text, where there is nothing to fill in.
    pub(super) fn fixed(&self) -> Option<&str> {
        match &self.parts[..] {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text, filled from the row.
    ///
    /// # Errors
    /// Names the value that is missing or cannot stand in its place.
    pub(super) fn fill(&self, names: &Names, values: &dyn Values) -> Result<String, String> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Hole(name, style) => {
                    let value = values.value(*name)?;
                    if *style == Style::Segment && matches!(&*value.text, "" | "." | "..") {
                        let name = names.name(*name);
                        return Err(format!("{name:?} is {:?}, which would ask for another path", value.text));
                    }
                    put(&mut out, *style, &value);
                }
            }
        }
        Ok(out)
    }

    /// Whether what is filled in leaves JSON: tried with values.
    ///
    /// # Errors
    /// Where and why it is none.
    pub(super) fn check_json(&self) -> Result<(), serde_json::Error> {
        let mut sample = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => sample.push_str(text),
                Part::Hole(..) => sample.push('0'),
            }
        }
        serde_json::from_str::<serde::de::IgnoredAny>(&sample).map(|_| ())
    }
}

/// Where in the template a placeholder stands.
struct Place {
    in_query: bool,
    in_string: bool,
    escaped: bool,
}

impl Place {
    fn pass(&mut self, text: &str) {
        for c in text.chars() {
            self.in_query |= c == '?' || c == '#';
            self.in_string ^= c == '"' && !self.escaped;
            self.escaped = self.in_string && c == '\\' && !self.escaped;
        }
    }

    /// `first` is the text before it where no other placeholder came before, `before` the text since the last one.
    fn style(&self, kind: Kind, first: Option<&str>, before: &str, after: &str) -> Style {
        let at_start = first == Some("");
        match kind {
            Kind::Plain => Style::Plain,
            Kind::Json if self.in_string => Style::JsonText,
            Kind::Json => Style::JsonValue,
            Kind::Url { has_base: false } if at_start => Style::Plain,
            Kind::Url { .. } => {
                let alone =
                    (at_start || before.ends_with('/')) && (after.is_empty() || after.starts_with(['/', '?', '#']));
                if alone && !self.in_query { Style::Segment } else { Style::Percent }
            }
        }
    }
}

/// The name that stands here, up to a closing brace.
fn name_of(text: &str) -> Option<&str> {
    let name = &text[..text.find('}')?];
    let first = name.chars().next()?;
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ');
    let is_name = (first.is_alphabetic() || first == '_') && !name.ends_with(' ') && name.chars().all(fits);
    is_name.then_some(name)
}

/// Where a brace is that no other one closes, the first of them.
fn unclosed(text: &str, kind: Kind) -> Option<usize> {
    let (mut open, mut at) = (Vec::new(), 0);
    while let Some(found) = text[at..].find(['{', '}']) {
        at += found;
        let rest = &text[at..];
        let placeholder = rest.strip_prefix('{').and_then(name_of).map(|name| name.len() + 2);
        at += match placeholder.or_else(|| escape(rest, kind).map(|(taken, _)| taken)) {
            Some(taken) => taken,
            None if rest.starts_with('{') => {
                open.push(at);
                1
            }
            None => {
                open.pop();
                1
            }
        };
    }
    open.first().copied()
}

/// A doubled brace: how long it is, and what it stands for.
fn escape(text: &str, kind: Kind) -> Option<(usize, &str)> {
    if let Some(inner) = text.strip_prefix("{{")
        && let Some(name) = name_of(inner)
        && inner[name.len()..].starts_with("}}")
    {
        return Some((name.len() + 4, &text[1..name.len() + 3]));
    }
    let doubled = matches!(kind, Kind::Url { .. }) && (text.starts_with("{{") || text.starts_with("}}"));
    doubled.then(|| (2, &text[..1]))
}

fn put(out: &mut String, style: Style, value: &Value<'_>) {
    match style {
        Style::Plain => out.push_str(&value.text),
        Style::Percent | Style::Segment => out.extend(utf8_percent_encode(&value.text, &RESERVED)),
        Style::JsonText => {
            let quoted = quoted(&value.text);
            out.push_str(&quoted[1..quoted.len() - 1]);
        }
        Style::JsonValue => match value.json {
            Some(json) => out.push_str(json),
            None if is_json_scalar(&value.text) => out.push_str(&value.text),
            None => out.push_str(&quoted(&value.text)),
        },
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("invariant: a string can be written as JSON")
}

/// A number (RFC 8259 §6), `true`, `false` or `null`. Not `007`, which is a name made of digits.
fn is_json_scalar(text: &str) -> bool {
    if matches!(text, "true" | "false" | "null") {
        return true;
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (number, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(n, e)| (n, Some(e)));
    let (whole, fraction) = number.split_once('.').map_or((number, None), |(w, f)| (w, Some(f)));
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)))
}
