//! Link fields (RFC 8288): how a server says where the next page is.

use super::cursor::Cursor;
use super::{parameter, text_of};

/// One link of a Link field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it leads, as it stands there: often relative, to be resolved against the response's URL.
    pub target: String,
    /// The relation types in their order: `["next"]`. Those without a `:` are in lower case, since case has no
    /// meaning in them.
    pub relations: Vec<String>,
    /// All parameters in their order, names in lower case, values as they came.
    pub parameters: Vec<(String, String)>,
}

impl Link {
    /// Whether it is of this relation, as `next`; case has no meaning.
    pub fn is(&self, relation: &str) -> bool {
        self.relations.iter().any(|known| known.eq_ignore_ascii_case(relation))
    }

    /// A parameter by its name in lower case, its extended form (`title*`) first.
    pub fn parameter(&self, name: &str) -> Option<String> {
        parameter(&self.parameters, name)
    }

    /// What the link says something about, where it is not the response's own URL.
    pub fn anchor(&self) -> Option<String> {
        self.parameter("anchor")
    }
}

/// The links of a response's Link fields, in their order. What is no link is skipped, up to the next comma.
///
/// ```
/// use gannet_core::field::parse_links;
/// let links = parse_links([&b"</items?page=2>; rel=\"next\", </items?page=9>; rel=last"[..]]);
/// assert!(links[0].is("next") && links[0].target == "/items?page=2");
/// ```
pub fn parse_links<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Vec<Link> {
    let mut links = Vec::new();
    for value in values {
        let text = text_of(value);
        let mut cursor = Cursor::new(&text);
        while !cursor.is_at_end() {
            cursor.skip_blanks();
            if cursor.eat('<') {
                let target = cursor.until(&['>']).trim().to_owned();
                if !cursor.eat('>') {
                    break;
                }
                let parameters = cursor.parameters(&[',']);
                links.push(Link { relations: relations(&parameters), target, parameters });
            } else {
                cursor.skip_to(&[',']);
            }
            cursor.eat(',');
        }
    }
    links
}

/// The first `rel` counts, further ones do not (RFC 8288 §3.3).
fn relations(parameters: &[(String, String)]) -> Vec<String> {
    let rel = parameters.iter().find(|(name, _)| name == "rel").map_or("", |(_, value)| value);
    let lower = |name: &str| if name.contains(':') { name.to_owned() } else { name.to_ascii_lowercase() };
    rel.split_ascii_whitespace().map(lower).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(value: &str) -> Vec<(String, Vec<String>)> {
        parse_links([value.as_bytes()]).into_iter().map(|link| (link.target, link.relations)).collect()
    }

    fn link(target: &str, relations: &[&str]) -> (String, Vec<String>) {
        (target.to_owned(), relations.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn one_field_or_many_hold_one_link_or_many() {
        let pages = "<https://h/?page=2>; rel=\"next\", <https://h/?page=5>; rel=\"last\"";
        assert_eq!(links(pages), [link("https://h/?page=2", &["next"]), link("https://h/?page=5", &["last"])]);
        let both = parse_links([&b"<a>; rel=x"[..], &b"<b>;rel=y"[..]]);
        assert_eq!(both.len(), 2);
    }

    #[test]
    fn what_stands_in_brackets_or_quotes_ends_nothing() {
        for (value, wanted) in [
            ("<a,b;c>; rel=next", vec![link("a,b;c", &["next"])]),
            ("<a>; title=\"x, y; rel=z\"; rel=next", vec![link("a", &["next"])]),
            ("<a>; title=\"q \\\" , <b>\"; rel=next, <c>", vec![link("a", &["next"]), link("c", &[])]),
            ("<>; rel=self", vec![link("", &["self"])]),
            ("< a >", vec![link("a", &[])]),
        ] {
            assert_eq!(links(value), wanted, "{value}");
        }
    }

    #[test]
    fn relations_are_a_list_the_first_rel_counts_and_case_does_not() {
        assert_eq!(links("<a>; rel=\"Next  https://h/Rel\"; rel=prev"), [link("a", &["next", "https://h/Rel"])]);
        let links = parse_links([&b"<a>; REL=NEXT; title*=UTF-8''%c3%bc; title=u; anchor=\"#x\""[..]]);
        assert!(links[0].is("next") && links[0].is("Next") && !links[0].is("prev"));
        assert_eq!(links[0].parameter("title").as_deref(), Some("ü"));
        assert_eq!(links[0].anchor().as_deref(), Some("#x"));
    }

    #[test]
    fn what_is_no_link_is_skipped() {
        assert_eq!(links("nonsense, \"quoted, <x>\", <a>; rel=next,, ,<b"), [link("a", &["next"])]);
        assert_eq!(links(""), []);
        assert_eq!(links("<a> rel=next; rel=prev"), [link("a", &["prev"])]);
    }
}
