//! Content-Type (RFC 9110 §8.3): what a body is.

use super::cursor::Cursor;
use super::text_of;
use crate::headers::is_token;

/// A media type and its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType {
    /// Type and subtype in lower case: `text/html`.
    pub essence: String,
    /// The parameters in their order, names in lower case.
    pub parameters: Vec<(String, String)>,
}

impl MediaType {
    /// Reads the field's value; `None` where it is no media type.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let text = text_of(value);
        let mut cursor = Cursor::new(text.trim_matches([' ', '\t']));
        let essence = cursor.until(&[';']).trim_end_matches([' ', '\t']);
        let (kind, subtype) = essence.split_once('/')?;
        if !is_token(kind.as_bytes()) || !is_token(subtype.as_bytes()) {
            return None;
        }
        Some(MediaType { essence: essence.to_ascii_lowercase(), parameters: cursor.parameters(&[]) })
    }

    /// A parameter by its name in lower case; the first of a name counts.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The charset in the server's spelling.
    pub fn charset(&self) -> Option<&str> {
        self.parameter("charset").filter(|charset| !charset.is_empty())
    }

    /// Whether it is JSON: `application/json`, `text/json`, or anything that ends in `+json`.
    pub fn is_json(&self) -> bool {
        matches!(&self.essence[..], "application/json" | "text/json") || self.essence.ends_with("+json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_without_case_and_their_parameters_with() {
        let html = MediaType::parse(b" Text/HTML ; Charset=\"UTF-8\"; x=Y").unwrap();
        assert_eq!(
            (html.essence.as_str(), html.charset(), html.parameter("x")),
            ("text/html", Some("UTF-8"), Some("Y"))
        );
        let problem = MediaType::parse(b"application/problem+json").unwrap();
        assert!(problem.is_json() && problem.charset().is_none() && !html.is_json());
        for value in ["", "text", "text/", "/html", "te xt/html", "text/html, text/plain"] {
            assert_eq!(MediaType::parse(value.as_bytes()), None, "{value}");
        }
    }
}
