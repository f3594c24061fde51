//! `{1..20}` and `{a,b}` in a URL on the command line. The URLs are made by their number, never all at once, so a
//! range of a billion costs nothing. Braces that are neither a range nor a list stay as they are.

#[cfg(test)]
mod tests;

use std::fmt::Write;

/// A URL with its ranges and lists.
#[derive(Debug)]
pub(super) struct Expansion {
    parts: Vec<Part>,
    count: u64,
}

#[derive(Debug)]
enum Part {
    Text(String),
    /// Both ends included; `to` below `from` counts down. Padded with zeros to `width` digits.
    Range {
        from: u64,
        to: u64,
        width: usize,
    },
    List(Vec<String>),
}

impl Expansion {
    /// Reads the pattern. The ranges and lists of one URL combine, the rightmost changing fastest.
    ///
    /// # Errors
    /// Says so where there would be more than 2⁶⁴ − 1 URLs.
    pub(super) fn parse(pattern: &str) -> Result<Self, String> {
        let (mut parts, mut text, mut rest) = (Vec::new(), String::new(), pattern);
        while let Some(open) = rest.find('{') {
            text.push_str(&rest[..open]);
            rest = &rest[open..];
            let found = rest[1..].find(['{', '}']).map(|at| at + 1);
            let part = found.filter(|&end| rest.as_bytes()[end] == b'}').and_then(|end| part(&rest[1..end]));
            match (part, found) {
                (Some(part), Some(end)) => {
                    if !text.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut text)));
                    }
                    parts.push(part);
                    rest = &rest[end + 1..];
                }
                _ => {
                    text.push('{');
                    rest = &rest[1..];
                }
            }
        }
        text.push_str(rest);
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        let count = parts.iter().try_fold(1u64, |count, part| count.checked_mul(part.count()?));
        let count = count.ok_or_else(|| format!("{pattern} stands for more URLs than can be counted"))?;
        Ok(Expansion { parts, count })
    }

    /// How many URLs it stands for.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// URL number `n` (below [`Expansion::count`]).
    pub(super) fn nth(&self, n: u64) -> String {
        let mut url = String::new();
        let (mut left, mut n) = (self.count, n);
        for part in &self.parts {
            let count = part.count().expect("invariant: counted when it was parsed");
            left /= count;
            let pick = n / left;
            n %= left;
            part.write(&mut url, pick);
        }
        url
    }
}

impl Part {
    fn count(&self) -> Option<u64> {
        match self {
            Part::Text(_) => Some(1),
            Part::Range { from, to, .. } => from.abs_diff(*to).checked_add(1),
            Part::List(items) => Some(items.len() as u64),
        }
    }

    fn write(&self, url: &mut String, pick: u64) {
        match self {
            Part::Text(text) => url.push_str(text),
            Part::Range { from, to, width } => {
                let number = if from <= to { from + pick } else { from - pick };
                // Writing into a String cannot fail.
                let _ = write!(url, "{number:0width$}");
            }
            Part::List(items) => url.push_str(&items[pick as usize]),
        }
    }
}

/// What stands between two braces, if it is a range or a list.
fn part(inner: &str) -> Option<Part> {
    if inner.contains(',') {
        return Some(Part::List(inner.split(',').map(str::to_owned).collect()));
    }
    let (from, to) = inner.split_once("..")?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(from) || !is_number(to) {
        return None;
    }
    let is_padded = |text: &str| text.len() > 1 && text.starts_with('0');
    let width = if is_padded(from) || is_padded(to) { from.len().max(to.len()) } else { 0 };
    Some(Part::Range { from: from.parse().ok()?, to: to.parse().ok()?, width })
}
