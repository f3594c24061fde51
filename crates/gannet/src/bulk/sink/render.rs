//! An outcome as one line of JSON: `index, id, line, url, status, ok, attempts, elapsed_ms, error, final_url,
//! headers`, then the body under `json`, `text` or `body_base64`. What is not known or not asked for is left out.
//! The body's own JSON is checked and handed on as it came, never parsed into values: large integers survive.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gannet_core::decimal::write_decimal;
use gannet_core::{ErrorKind, Headers, Phase};
use serde::{Deserialize, Serialize};

use super::json::{as_json, write_escaped, write_millis, write_on_one_line, write_string};
use crate::bulk::{Fetched, Outcome};
use crate::decode::charset;
use crate::error::Error;

/// How a row shows its body. An empty body is never shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyFormat {
    /// Valid JSON in UTF-8 under `json`, exactly as it came but for line breaks between its tokens, which become
    /// blanks; other text under `text`; anything else under `body_base64`. The default.
    #[default]
    Auto,
    /// As [`BodyFormat::Auto`], and an ok row whose body is not JSON, or is missing where its status has one, fails
    /// with the kind `decode`.
    Json,
    /// Under `text`, by the charset of its Content-Type. An ok row whose body is not in that charset, or whose charset
    /// nobody knows, fails with the kind `decode`; what is no character then becomes U+FFFD.
    Text,
    /// Under `body_base64`.
    Base64,
    /// Not at all.
    None,
}

/// How a row is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RowFormat {
    /// How the body is shown; `auto`.
    pub body: BodyFormat,
    /// Whether the response's headers are shown; off.
    pub headers: bool,
}

/// Makes outcomes rows: checked, and rendered where somebody wants to read them.
#[derive(Clone, Copy, Debug)]
pub struct RowMaker {
    format: RowFormat,
    renders: bool,
}

impl RowMaker {
    /// Checks as [`RowFormat::check`]; with `renders`, makes rows as [`RowFormat::render`].
    pub fn new(format: RowFormat, renders: bool) -> Self {
        RowMaker { format, renders }
    }

    /// Appends the outcome's row to `row`, after its check.
    pub fn make(&self, outcome: &mut Outcome, row: &mut Vec<u8>) {
        self.format.check(outcome);
        if self.renders {
            self.format.render(outcome, row);
        }
    }
}

impl RowFormat {
    /// Makes an ok row fail with the kind `decode` where its body is not what was asked for. With
    /// [`BodyFormat::Json`]: no JSON; an empty body is none either, but for the statuses 204, 205 and 304, which
    /// have no body. With [`BodyFormat::Text`]: no text in its charset. A row that failed keeps its error. To be
    /// called before the row is counted; again does nothing.
    pub fn check(&self, outcome: &mut Outcome) {
        let Some(response) = outcome.response.as_ref().filter(|_| outcome.error.is_none()) else {
            return;
        };
        let refused = match self.body {
            BodyFormat::Json => refused_json(response),
            BodyFormat::Text => refused_text(response),
            BodyFormat::Auto | BodyFormat::Base64 | BodyFormat::None => None,
        };
        if let Some(why) = refused {
            let error = Error::new(ErrorKind::Decode, Phase::Decode, why);
            let error = error.with_url(&response.final_url).with_elapsed(outcome.elapsed);
            outcome.error = Some(error.with_attempts(outcome.attempts));
        }
    }

    /// Appends the row with its line break; there is no other line break in it.
    pub fn render(&self, outcome: &Outcome, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"index\":");
        write_decimal(out, outcome.index);
        if let Some(id) = &outcome.id {
            write_field("id", id, out);
        }
        if let (Some(line), Some(_)) = (outcome.line, &outcome.error) {
            out.extend_from_slice(b",\"line\":");
            write_decimal(out, line);
        }
        write_field("url", &outcome.url, out);
        let status = outcome.status().or_else(|| outcome.error.as_ref().and_then(Error::status));
        if let Some(status) = status {
            out.extend_from_slice(b",\"status\":");
            write_decimal(out, u64::from(status.as_u16()));
        }
        let ok: &[u8] = if outcome.is_ok() { b",\"ok\":true" } else { b",\"ok\":false" };
        out.extend_from_slice(ok);
        out.extend_from_slice(b",\"attempts\":");
        write_decimal(out, u64::from(outcome.attempts));
        out.extend_from_slice(b",\"elapsed_ms\":");
        write_millis(outcome.elapsed, out);
        if let Some(error) = &outcome.error {
            out.extend_from_slice(b",\"error\":{\"kind\":\"");
            out.extend_from_slice(error.kind().as_str().as_bytes());
            out.push(b'"');
            write_field("message", &error.message(), out);
            out.push(b'}');
        }
        if let Some(response) = &outcome.response {
            self.render_response(response, out);
        }
        out.extend_from_slice(b"}\n");
    }

    fn render_response(&self, response: &Fetched, out: &mut Vec<u8>) {
        if response.redirected {
            write_field("final_url", response.final_url.as_str(), out);
        }
        if self.headers {
            write_headers(&response.headers, out);
        }
        if response.body.is_empty() {
            return;
        }
        match self.body {
            BodyFormat::None => {}
            BodyFormat::Text => write_field("text", &as_text(response).0, out),
            BodyFormat::Base64 => write_base64(&response.body, out),
            BodyFormat::Auto | BodyFormat::Json => match as_json(&response.body) {
                Ok(json) => {
                    out.extend_from_slice(b",\"json\":");
                    write_on_one_line(json, out);
                }
                Err(_) => match as_text(response) {
                    (text, false) if !is_binary(&text) => write_field("text", &text, out),
                    _ => write_base64(&response.body, out),
                },
            },
        }
    }
}

/// Why the body is not the JSON that was asked for.
fn refused_json(response: &Fetched) -> Option<Cow<'static, str>> {
    // RFC 9110 §15.3.5, §15.3.6, §15.4.5: these have no content.
    if response.body.is_empty() && matches!(response.status.as_u16(), 204 | 205 | 304) {
        return None;
    }
    if response.body.is_empty() {
        return Some("the body is not JSON: it is empty".into());
    }
    as_json(&response.body).err().map(|why| format!("the body is not JSON: {why}").into())
}

/// Why the body is not the text that was asked for. An empty one is, in every charset.
fn refused_text(response: &Fetched) -> Option<Cow<'static, str>> {
    if response.body.is_empty() || plain_utf8(response).is_some() {
        return None;
    }
    let error = charset::text_strict(&response.body[..], response.headers.get("content-type")).err()?;
    Some(error.message)
}

/// `,"name":"text"`; the name is ours and needs no escape.
fn write_field(name: &str, text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    write_string(text, out);
}

fn write_base64(body: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"body_base64\":\"");
    let start = out.len();
    out.resize(start + body.len().div_ceil(3) * 4, 0);
    STANDARD.encode_slice(body, &mut out[start..]).expect("invariant: four characters for each three bytes fit");
    out.push(b'"');
}

/// Names in lower case, in the order of their first field; the values of a repeated name as an array.
fn write_headers(headers: &Headers, out: &mut Vec<u8>) {
    let fields: Vec<(&str, &[u8])> = headers.iter().collect();
    out.extend_from_slice(b",\"headers\":");
    let mut before = b'{';
    for (at, (name, value)) in fields.iter().enumerate() {
        let is_same = |field: &&(&str, &[u8])| field.0.eq_ignore_ascii_case(name);
        if fields[..at].iter().any(|field| is_same(&field)) {
            continue;
        }
        out.extend_from_slice(&[before, b'"']);
        before = b',';
        // A name is a token: it holds nothing to escape.
        let start = out.len();
        out.extend_from_slice(name.as_bytes());
        out[start..].make_ascii_lowercase();
        out.extend_from_slice(b"\":");
        let mut repeats = fields[at + 1..].iter().filter(is_same).peekable();
        if repeats.peek().is_none() {
            write_value(value, out);
            continue;
        }
        out.push(b'[');
        write_value(value, out);
        for (_, value) in repeats {
            out.push(b',');
            write_value(value, out);
        }
        out.push(b']');
    }
    out.extend_from_slice(if before == b'{' { b"{}" } else { b"}" });
}

/// A value that is not UTF-8 is read as ISO 8859-1, which every byte is (RFC 9110 §5.5).
fn write_value(value: &[u8], out: &mut Vec<u8>) {
    match std::str::from_utf8(value) {
        Ok(text) => write_string(text, out),
        Err(_) => {
            out.push(b'"');
            for &byte in value {
                write_escaped(char::from(byte).encode_utf8(&mut [0; 2]), out);
            }
            out.push(b'"');
        }
    }
}

/// The body as text, and whether some of it was no text. Copied only where it is not plain UTF-8.
fn as_text(response: &Fetched) -> (Cow<'_, str>, bool) {
    if let Some(text) = plain_utf8(response) {
        return (Cow::Borrowed(text), false);
    }
    let text = charset::text(&response.body[..], response.headers.get("content-type"));
    (Cow::Owned(text.text), text.lossy)
}

/// The body itself where it is UTF-8 and nothing says otherwise; as the decoder does, without a byte order mark.
fn plain_utf8(response: &Fetched) -> Option<&str> {
    let label = response.headers.get("content-type").and_then(charset::charset_of);
    let is_utf8 = label.is_none_or(|label| label.eq_ignore_ascii_case("utf-8") || label.eq_ignore_ascii_case("utf8"));
    let text = std::str::from_utf8(&response.body).ok().filter(|_| is_utf8)?;
    Some(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Whether it holds a binary data byte (WHATWG MIME Sniffing §3): a control character that no text has.
fn is_binary(text: &str) -> bool {
    text.bytes().any(|byte| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b))
}
