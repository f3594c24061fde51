//! Reads form bodies: `application/x-www-form-urlencoded` and
//! `multipart/form-data` (RFC 7578). A multipart body that does not keep to its
//! boundary is refused, so that a client that writes one wrongly is found out.

use serde_json::{Map, Value};

use crate::call::Refusal;
use crate::echo::{add, data_value};

/// What a form holds.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pub(crate) form: Map<String, Value>,
    pub(crate) files: Map<String, Value>,
}

/// The form in a body of this media type; `None` when it is not a form.
pub(crate) fn read(content_type: &str, body: &[u8]) -> Result<Option<Fields>, Refusal> {
    let (media_type, params) = content_type.split_once(';').unwrap_or((content_type, ""));
    match media_type.trim().to_ascii_lowercase().as_str() {
        "application/x-www-form-urlencoded" => {
            let mut fields = Fields::default();
            for (name, value) in url::form_urlencoded::parse(body) {
                add(&mut fields.form, &name, Value::from(&*value));
            }
            Ok(Some(fields))
        }
        "multipart/form-data" => {
            let boundary =
                parameter(params, "boundary").ok_or_else(|| Refusal::bad("multipart/form-data without a boundary"))?;
            multipart(&boundary, body).map(Some)
        }
        _ => Ok(None),
    }
}

fn multipart(boundary: &str, body: &[u8]) -> Result<Fields, Refusal> {
    // A delimiter owns the line end before it; the first may stand at the start.
    let delimiter = format!("\r\n--{boundary}");
    let mut rest = match body.strip_prefix(&delimiter.as_bytes()[2..]) {
        Some(rest) => rest,
        None => {
            split(body, delimiter.as_bytes()).ok_or_else(|| Refusal::bad("the multipart body lacks its boundary"))?.1
        }
    };
    let mut fields = Fields::default();
    loop {
        if rest.starts_with(b"--") {
            return Ok(fields);
        }
        // RFC 2046 section 5.1.1 lets blanks follow the boundary.
        let (padding, part) =
            split(rest, b"\r\n").ok_or_else(|| Refusal::bad("no line end after a multipart boundary"))?;
        if padding.iter().any(|byte| !matches!(byte, b' ' | b'\t')) {
            return Err(Refusal::bad("something other than a line end after a multipart boundary"));
        }
        let (part, after) = split(part, delimiter.as_bytes())
            .ok_or_else(|| Refusal::bad("the multipart body ends without its last boundary"))?;
        read_part(part, &mut fields)?;
        rest = after;
    }
}

fn read_part(part: &[u8], fields: &mut Fields) -> Result<(), Refusal> {
    let (head, content) = match part.strip_prefix(b"\r\n") {
        Some(content) => (&b""[..], content),
        None => split(part, b"\r\n\r\n").ok_or_else(|| Refusal::bad("a multipart part without an empty line"))?,
    };
    let head = String::from_utf8_lossy(head);
    let mut media_type = None;
    let mut disposition = None;
    for line in head.split("\r\n") {
        let (name, value) =
            line.split_once(':').ok_or_else(|| Refusal::bad(format!("{line:?} is not a header of a part")))?;
        match name.to_ascii_lowercase().as_str() {
            "content-type" => media_type = Some(value.trim().to_owned()),
            "content-disposition" => disposition = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let disposition = disposition.ok_or_else(|| Refusal::bad("a multipart part without Content-Disposition"))?;
    let params = disposition
        .strip_prefix("form-data")
        .ok_or_else(|| Refusal::bad("a part's Content-Disposition is not form-data"))?;
    let name = parameter(params, "name").ok_or_else(|| Refusal::bad("a multipart part without a name"))?;
    let name = undo_percent(&name);
    let is_file = parameter(params, "filename").is_some() || parameter(params, "filename*").is_some();
    let media_type = media_type.as_deref().unwrap_or("application/octet-stream");
    let value = data_value(content, media_type);
    add(if is_file { &mut fields.files } else { &mut fields.form }, &name, value);
    Ok(())
}

/// The value of a `name=value` parameter, without its quotes (RFC 9110 section 5.6.6).
fn parameter(params: &str, name: &str) -> Option<String> {
    let mut rest = params;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        let (key, after) = rest.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = after;
    }
}

/// The text up to the closing quote, and what follows that.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(letters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// Undoes what browsers escape in a name (HTML, section 4.10.21.8).
fn undo_percent(name: &str) -> String {
    name.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n")
}

/// What stands before and after the first occurrence of `mark`.
fn split<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut from = 0;
    loop {
        // To the next first byte, which is rare, rather than every window of a large file.
        let at = from + bytes[from..].iter().position(|byte| *byte == mark[0])?;
        if bytes[at..].starts_with(mark) {
            return Some((&bytes[..at], &bytes[at + mark.len()..]));
        }
        from = at + 1;
    }
}
