//! Multipart bodies: the head of a part of multipart/form-data (RFC 7578) on its way out, with names escaped as browsers
//! do it (WHATWG HTML §4.10.21.8), and the reading of any that come in ([`MultipartParser`]). Refused: NUL in names. A
//! name cannot end its line or its quotes.

mod read;

use std::fmt;

pub use read::{MultipartError, MultipartLimits, MultipartParser, PartEvent};

use crate::headers::Headers;

/// A name holds a NUL, which no server reads as the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError {
    name: String,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the name {:?} holds a NUL", self.name)
    }
}

impl std::error::Error for NameError {}

/// Appends a part's boundary line, its Content-Disposition, these fields and the empty line.
///
/// # Errors
/// [`NameError`]; nothing is then written.
pub fn write_part_head(
    out: &mut Vec<u8>,
    boundary: &str,
    name: &str,
    filename: Option<&str>,
    headers: &Headers,
) -> Result<(), NameError> {
    let mut disposition = format!("form-data; name=\"{}\"", escape(name)?);
    if let Some(filename) = filename {
        disposition.push_str(&format!("; filename=\"{}\"", escape(filename)?));
    }
    let disposition = format!("Content-Disposition: {disposition}\r\n");
    write_head(out, boundary, disposition.as_bytes(), headers);
    Ok(())
}

/// Appends the boundary line, these fields and the empty line of a part that has no name.
pub fn write_nameless_part_head(out: &mut Vec<u8>, boundary: &str, headers: &Headers) {
    write_head(out, boundary, b"", headers);
}

/// What a file name is told as outside forms: the value of an attachment's Content-Disposition.
///
/// # Errors
/// [`NameError`].
pub fn attachment(filename: &str) -> Result<String, NameError> {
    Ok(format!("attachment; filename=\"{}\"", escape(filename)?))
}

fn write_head(out: &mut Vec<u8>, boundary: &str, first: &[u8], headers: &Headers) {
    out.extend_from_slice(&[b"--", boundary.as_bytes(), b"\r\n", first].concat());
    for (field, value) in headers.iter() {
        out.extend_from_slice(&[field.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    out.extend_from_slice(b"\r\n");
}

/// A name within quotes: the three characters that would end it are percent-encoded, nothing else is.
fn escape(name: &str) -> Result<String, NameError> {
    if name.contains('\0') {
        return Err(NameError { name: name.to_owned() });
    }
    Ok(name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_19_a_name_ends_neither_its_quotes_nor_its_line() {
        let mut headers = Headers::new();
        headers.append("Content-Type", "text/plain").unwrap();
        let mut out = Vec::new();
        write_part_head(&mut out, "b", "a\"\r\nx: y", Some("f;\".txt"), &headers).unwrap();
        let wanted = "--b\r\nContent-Disposition: form-data; name=\"a%22%0D%0Ax: y\"; filename=\"f;%22.txt\"\r\nContent-Type: text/plain\r\n\r\n";
        assert_eq!(String::from_utf8(out.clone()).unwrap(), wanted);
        let before = out.len();
        assert!(write_part_head(&mut out, "b", "a\0", None, &headers).is_err());
        assert!(write_part_head(&mut out, "b", "a", Some("\0"), &headers).is_err());
        assert_eq!(out.len(), before);
    }
}
