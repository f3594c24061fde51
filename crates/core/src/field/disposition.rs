//! Content-Disposition (RFC 6266): whether a body is meant to be saved, and under what name.

use super::cursor::Cursor;
use super::{parameter, safe_filename, text_of};

/// What a Content-Disposition field says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentDisposition {
    /// `attachment`, `inline` or another type, in lower case. Empty where a server sent parameters alone.
    pub kind: String,
    /// The parameters in their order, names in lower case, values as they came.
    pub parameters: Vec<(String, String)>,
}

impl ContentDisposition {
    /// Reads the field's value; `None` where there is nothing in it.
    ///
    /// ```
    /// use gannet_core::field::ContentDisposition;
    /// let value = b"attachment; filename=\"EUR.txt\"; filename*=UTF-8''%e2%82%ac.txt";
    /// let disposition = ContentDisposition::parse(value).unwrap();
    /// assert_eq!(disposition.filename().as_deref(), Some("€.txt"));
    /// ```
    pub fn parse(value: &[u8]) -> Option<Self> {
        let text = text_of(value);
        let mut cursor = Cursor::new(text.trim_matches([' ', '\t']));
        if cursor.is_at_end() {
            return None;
        }
        let first = cursor.until(&[';']).trim_end_matches([' ', '\t']);
        if first.contains('=') {
            // `filename=x` without a type: seen in the wild, and clear enough.
            let parameters = Cursor::new(&format!(";{text}")).parameters(&[]);
            return Some(ContentDisposition { kind: String::new(), parameters });
        }
        Some(ContentDisposition { kind: first.to_ascii_lowercase(), parameters: cursor.parameters(&[]) })
    }

    /// Whether the body is to be saved rather than shown. A type that nobody knows counts as `attachment`
    /// (RFC 6266 §4.2).
    pub fn is_attachment(&self) -> bool {
        !self.kind.is_empty() && self.kind != "inline"
    }

    /// The name the server gives, `filename*` before `filename`. It is the server's word: never a path to write to,
    /// see [`ContentDisposition::safe_filename`].
    pub fn filename(&self) -> Option<String> {
        parameter(&self.parameters, "filename")
    }

    /// The name as one that a file may be given: see [`safe_filename`].
    pub fn safe_filename(&self) -> Option<String> {
        self.filename().and_then(|name| safe_filename(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filename(value: &str) -> Option<String> {
        ContentDisposition::parse(value.as_bytes())?.filename()
    }

    #[test]
    fn the_name_is_read_in_all_its_forms() {
        for (value, wanted) in [
            ("attachment; filename=a.txt", Some("a.txt")),
            ("attachment; filename=\"a b.txt\"", Some("a b.txt")),
            ("attachment; filename = \"a.txt\" ; x=y", Some("a.txt")),
            ("attachment; FILENAME=A.txt", Some("A.txt")),
            ("attachment;filename=\"a\\\"b\\\\c.txt\"", Some("a\"b\\c.txt")),
            ("attachment; filename=\"a;b.txt\"", Some("a;b.txt")),
            ("attachment; filename=a b.txt", Some("a b.txt")),
            ("attachment; filename=a.txt; filename=b.txt", Some("a.txt")),
            ("attachment; filename*=UTF-8''%e2%82%ac%20rates", Some("€ rates")),
            ("attachment; filename*=utf-8'en'x; filename=y", Some("x")),
            ("attachment; filename=y; filename*=iso-8859-1''%A3", Some("£")),
            // What cannot be decoded gives way to the plain name.
            ("attachment; filename=y; filename*=UTF-8''%ff", Some("y")),
            ("attachment; filename=y; filename*=UTF-8''%e", Some("y")),
            ("attachment; filename=y; filename*=koi8-r''x", Some("y")),
            ("attachment; filename=y; filename*=x", Some("y")),
            ("attachment; filename=", Some("")),
            ("attachment; filename=\"open", Some("open")),
            ("attachment; filename=\"a\"b\"c;d\"; x=y", Some("a")),
            ("attachment; =x; ; \"y\"; filename=z", Some("z")),
            ("filename=a.txt", Some("a.txt")),
            ("attachment", None),
            ("attachment; name=a", None),
            ("", None),
        ] {
            assert_eq!(filename(value).as_deref(), wanted, "{value}");
        }
    }

    #[test]
    fn raw_bytes_are_utf_8_or_else_latin_1() {
        let parse = |value: &[u8]| ContentDisposition::parse(value).unwrap().filename();
        assert_eq!(parse("inline; filename=\"ü.txt\"".as_bytes()).as_deref(), Some("ü.txt"));
        assert_eq!(parse(b"inline; filename=\"\xfc.txt\"").as_deref(), Some("ü.txt"));
    }

    #[test]
    fn unknown_types_are_attachments() {
        let is = |value: &str| ContentDisposition::parse(value.as_bytes()).unwrap().is_attachment();
        assert!(is("Attachment; x=y") && is("form-data") && !is("INLINE; filename=x") && !is("filename=x"));
    }
}
