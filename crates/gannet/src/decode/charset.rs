//! From bytes to text (WHATWG Encoding standard): a byte order mark wins, then the charset of Content-Type,
//! then UTF-8.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use encoding_rs::{DecoderResult, Encoding, UTF_8};

use super::DecodeError;

/// A body as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The text, without a byte order mark.
    pub text: String,
    /// The charset it was read as, by its WHATWG name (`UTF-8`, `windows-1252`).
    pub charset: &'static str,
    /// Whether some bytes were no characters and stand as U+FFFD.
    pub lossy: bool,
}

/// Reads a body as text; bytes that are no characters become U+FFFD, and a charset nobody knows is taken for
/// UTF-8. A `Vec<u8>` of plain UTF-8 is not copied.
pub fn text<'a>(body: impl Into<Cow<'a, [u8]>>, content_type: Option<&str>) -> Text {
    text_or(body, content_type, UTF_8)
}

/// As [`text`], with another charset where none is named that anybody knows.
pub fn text_or<'a>(body: impl Into<Cow<'a, [u8]>>, content_type: Option<&str>, otherwise: &'static Encoding) -> Text {
    let body = body.into();
    let charset = bom(&body).or_else(|| known(content_type)).unwrap_or(otherwise);
    let start = bom_len(&body);
    if charset == UTF_8 && start == 0 {
        return match String::from_utf8(body.into_owned()) {
            Ok(text) => Text { text, charset: charset.name(), lossy: false },
            Err(error) => {
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                Text { text, charset: charset.name(), lossy: true }
            }
        };
    }
    let (text, lossy) = charset.decode_without_bom_handling(&body[start..]);
    Text { text: text.into_owned(), charset: charset.name(), lossy }
}

/// The text of a body that is in this charset, whatever is said of it elsewhere; its own byte order mark is left out.
pub fn text_as(body: &[u8], charset: &'static Encoding) -> String {
    charset.decode_with_bom_removal(body).0.into_owned()
}

/// A charset by one of its names (WHATWG Encoding §4.2).
pub fn named(label: &str) -> Option<&'static Encoding> {
    Encoding::for_label_no_replacement(label.as_bytes())
}

/// As [`text`], and refuses what that would mend.
///
/// # Errors
/// [`gannet_core::ErrorKind::Decode`], naming the charset and the place in the body of the first bytes that
/// are no character; or the charset that nobody knows.
pub fn text_strict<'a>(body: impl Into<Cow<'a, [u8]>>, content_type: Option<&str>) -> Result<Text, DecodeError> {
    let body = body.into();
    let charset = match (bom(&body), content_type.and_then(charset_of)) {
        (Some(charset), _) => charset,
        (None, None) => UTF_8,
        (None, Some(label)) => {
            named(&label).ok_or_else(|| DecodeError::broken(format!("unknown charset {:?}", short(&label))))?
        }
    };
    let start = bom_len(&body);
    let text = if charset == UTF_8 && start == 0 {
        String::from_utf8(body.into_owned()).map_err(|error| malformed(charset, error.utf8_error().valid_up_to()))?
    } else {
        decode_strict(charset, &body[start..]).map_err(|at| malformed(charset, start + at))?
    };
    Ok(Text { text, charset: charset.name(), lossy: false })
}

/// The charset a Content-Type names, in its own spelling.
pub fn charset_of(content_type: &str) -> Option<Cow<'_, str>> {
    let mut rest = parameters(content_type);
    while let Some((name, value, behind)) = next_parameter(rest) {
        if name.eq_ignore_ascii_case("charset") && !value.is_empty() {
            return Some(value);
        }
        rest = behind;
    }
    None
}

const BLANKS: [char; 2] = [' ', '\t'];

fn known(content_type: Option<&str>) -> Option<&'static Encoding> {
    named(&charset_of(content_type?)?)
}

fn bom(body: &[u8]) -> Option<&'static Encoding> {
    Encoding::for_bom(body).map(|(charset, _)| charset)
}

fn bom_len(body: &[u8]) -> usize {
    Encoding::for_bom(body).map_or(0, |(_, len)| len)
}

/// The text, or the place of the first bytes that are no character.
fn decode_strict(charset: &'static Encoding, body: &[u8]) -> Result<String, usize> {
    let mut decoder = charset.new_decoder_without_bom_handling();
    let room = decoder.max_utf8_buffer_length_without_replacement(body.len());
    let mut text = String::with_capacity(room.unwrap_or(body.len()));
    let mut at = 0;
    loop {
        let (result, read) = decoder.decode_to_string_without_replacement(&body[at..], &mut text, true);
        at += read;
        match result {
            DecoderResult::InputEmpty => return Ok(text),
            DecoderResult::OutputFull => text.reserve(body.len() - at + 16),
            // The decoder has read the bytes that are no character, and some behind them.
            DecoderResult::Malformed(bad, behind) => {
                return Err(at.saturating_sub(usize::from(bad + behind)));
            }
        }
    }
}

fn malformed(charset: &'static Encoding, at: usize) -> DecodeError {
    DecodeError::broken(format!("the body is not {}: no character at byte {at}", charset.name()))
}

fn short(label: &str) -> String {
    label.chars().take(40).collect()
}

/// What follows the media type, from its first `;` on.
fn parameters(content_type: &str) -> &str {
    content_type.find(';').map_or("", |at| &content_type[at..])
}

/// The next `; name=value`, quoted or not (RFC 9110 §5.6.6), and what is behind it.
fn next_parameter(rest: &str) -> Option<(&str, Cow<'_, str>, &str)> {
    let rest = rest.trim_start_matches([';', ' ', '\t']);
    if rest.is_empty() {
        return None;
    }
    let end = rest.find(['=', ';']).unwrap_or(rest.len());
    let name = rest[..end].trim_matches(BLANKS);
    let Some(value) = rest[end..].strip_prefix('=') else {
        return Some((name, Cow::Borrowed(""), &rest[end..]));
    };
    let value = value.trim_start_matches(BLANKS);
    if let Some(quoted) = value.strip_prefix('"') {
        let (value, behind) = unquote(quoted);
        let next = behind.find(';').unwrap_or(behind.len());
        return Some((name, value, &behind[next..]));
    }
    let end = value.find(';').unwrap_or(value.len());
    // Some senders quote with apostrophes, which no charset's name holds.
    let bare = value[..end].trim_matches(BLANKS).trim_matches('\'');
    Some((name, Cow::Borrowed(bare), &value[end..]))
}

/// The inside of a quoted string whose opening quote is read, and what is behind its closing quote.
fn unquote(quoted: &str) -> (Cow<'_, str>, &str) {
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (Cow::Owned(value), &quoted[at + 1..]),
            '\\' => value.extend(letters.next().map(|(_, escaped)| escaped)),
            _ => value.push(letter),
        }
    }
    (Cow::Owned(value), "")
}
