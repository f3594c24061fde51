//! Reading WWW-Authenticate (RFC 9110 §11.6.1): a list of challenges in which each challenge is a list, both parted
//! by commas, spread over any number of fields. What cannot be read ends the field; the challenges before it count.
//! Bounded, so that a hostile field costs no more than its bytes.

/// The most challenges read of one response.
const MAX_CHALLENGES: usize = 16;
/// A challenge with more parameters is not heard.
const MAX_PARAMS: usize = 32;

/// One challenge: a scheme and what goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// The scheme as it came; compare it without regard to case.
    pub scheme: &'a str,
    /// What stands in the place of parameters, as in `Negotiate YII=`; mostly empty.
    pub token68: &'a str,
    params: Vec<(&'a str, String)>,
}

impl Challenge<'_> {
    /// Whether it is of this scheme.
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// The parameter of this name, in any case, without its quotes.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    /// Says nothing twice and not too much: of two realms, which one counts?
    fn is_clear(&self) -> bool {
        let twice = |at: usize| self.params[..at].iter().any(|(name, _)| name.eq_ignore_ascii_case(self.params[at].0));
        self.params.len() <= MAX_PARAMS && !(1..self.params.len()).any(twice)
    }
}

/// The challenges of these fields in their order, at most 16. One that has a parameter twice, or more than 32, is
/// left out, and so is a field that is not UTF-8.
pub fn challenges<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Vec<Challenge<'a>> {
    let mut found = Vec::new();
    for field in fields.into_iter().filter_map(|field| std::str::from_utf8(field).ok()) {
        let mut reader = Reader { rest: field };
        while let Some(challenge) = reader.challenge() {
            if found.len() == MAX_CHALLENGES {
                return found;
            }
            if challenge.is_clear() {
                found.push(challenge);
            }
        }
    }
    found
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn challenge(&mut self) -> Option<Challenge<'a>> {
        self.skip(|c| is_blank(c) || c == ',');
        let scheme = self.token()?;
        let mut challenge = Challenge { scheme, token68: "", params: Vec::new() };
        let before = self.rest;
        self.skip(is_blank);
        if self.is_at_end_of_element() {
            return Some(challenge);
        }
        if self.rest.len() == before.len() {
            // Something stands directly behind the scheme, as in `realm="x"`: no challenge begins like that.
            return self.give_up();
        }
        if let Some(token) = self.token68() {
            challenge.token68 = token;
            return Some(challenge);
        }
        loop {
            let Some(param) = self.param() else { return self.give_up() };
            // Beyond the bound they are read and not kept: one more tells that there were too many.
            if challenge.params.len() <= MAX_PARAMS {
                challenge.params.push(param);
            }
            self.skip(is_blank);
            if !self.is_at_end_of_element() {
                return self.give_up();
            }
            self.skip(|c| is_blank(c) || c == ',');
            if !self.is_at_param() {
                return Some(challenge);
            }
        }
    }

    /// `name=value` or `name="value"`, blanks around the equals sign allowed.
    fn param(&mut self) -> Option<(&'a str, String)> {
        let name = self.token()?;
        self.skip(is_blank);
        self.rest = self.rest.strip_prefix('=')?;
        self.skip(is_blank);
        let value = match self.rest.strip_prefix('"') {
            Some(quoted) => self.quoted(quoted)?,
            None => self.token()?.to_owned(),
        };
        Some((name, value))
    }

    /// What stands in quotes, without backslashes; it must end.
    fn quoted(&mut self, text: &'a str) -> Option<String> {
        let mut value = String::new();
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &text[at + 1..];
                    return Some(value);
                }
                '\\' => value.push(chars.next().map(|(_, c)| c).filter(is_text)?),
                c if is_text(&c) => value.push(c),
                _ => return None,
            }
        }
        None
    }

    /// A token68 that ends its element.
    fn token68(&mut self) -> Option<&'a str> {
        let is_inner = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
        let inner = self.rest.find(|c| !is_inner(c)).unwrap_or(self.rest.len());
        let behind = self.rest[inner..].trim_start_matches('=');
        let (token, rest) = self.rest.split_at(self.rest.len() - behind.len());
        let ends = rest.trim_start_matches(is_blank);
        if inner == 0 || !(ends.is_empty() || ends.starts_with(',')) {
            return None;
        }
        self.rest = rest;
        Some(token)
    }

    /// Whether a parameter comes next, and no other challenge.
    fn is_at_param(&self) -> bool {
        let mut ahead = Reader { rest: self.rest };
        ahead.token().is_some() && {
            ahead.skip(is_blank);
            ahead.rest.starts_with('=')
        }
    }

    fn is_at_end_of_element(&self) -> bool {
        self.rest.is_empty() || self.rest.starts_with(',')
    }

    fn token(&mut self) -> Option<&'a str> {
        let is_tchar = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let end = self.rest.find(|c| !is_tchar(c)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!token.is_empty()).then_some(token)
    }

    fn skip(&mut self, unwanted: impl Fn(char) -> bool) {
        self.rest = self.rest.trim_start_matches(unwanted);
    }

    fn give_up<T>(&mut self) -> Option<T> {
        self.rest = "";
        None
    }
}

/// No control character: what is read here is written into a field again.
fn is_text(c: &char) -> bool {
    !c.is_ascii_control() || *c == '\t'
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `scheme token68|name=value|…`, challenge by challenge.
    fn read(fields: &[&str]) -> Vec<String> {
        let shown = |challenge: &Challenge<'_>| {
            let params: Vec<_> = challenge.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("{} {}{}", challenge.scheme, challenge.token68, params.join("|"))
        };
        challenges(fields.iter().map(|field| field.as_bytes())).iter().map(shown).collect()
    }

    #[test]
    fn lists_of_lists_part_where_the_schemes_begin() {
        for (field, expected) in [
            ("Basic realm=\"x\"", &["Basic realm=x"][..]),
            ("Basic", &["Basic "]),
            (" , Basic ,, ", &["Basic "]),
            ("Basic realm=\"a, b=\\\"c\\\"\" , charset = UTF-8", &["Basic realm=a, b=\"c\"|charset=UTF-8"]),
            ("Digest realm=\"r\", nonce=n,Basic realm=s", &["Digest realm=r|nonce=n", "Basic realm=s"]),
            ("Negotiate, NTLM, Basic realm=\"x\"", &["Negotiate ", "NTLM ", "Basic realm=x"]),
            ("Negotiate YII==, Basic realm=x", &["Negotiate YII==", "Basic realm=x"]),
            ("Newauth a=1, b=\"\", Other", &["Newauth a=1|b=", "Other "]),
            ("Scheme a=1,,\t, b=2", &["Scheme a=1|b=2"]),
            ("Basic realm=", &["Basic realm="]),
        ] {
            assert_eq!(read(&[field]), expected, "{field}");
        }
    }

    #[test]
    fn several_fields_are_one_list() {
        assert_eq!(read(&["Digest a=1", "Digest a=2, Basic realm=x"]), ["Digest a=1", "Digest a=2", "Basic realm=x"]);
    }

    #[test]
    fn what_cannot_be_read_ends_its_field_and_no_other() {
        for field in [
            "",
            ",",
            "realm=\"x\"",
            "=",
            "\"x\"",
            "Basic realm=\"open",
            "Basic realm=\"x\\",
            "Basic realm=\"x\r\ny\"",
            "Basic realm=\"x\\\0\"",
            "Basic realm=\"x\" y",
            "Basic a b",
            "Basic ä=1",
            "Digest realm=a, realm=b",
        ] {
            assert_eq!(read(&[field, "Other"]), ["Other "], "{field}");
        }
        assert_eq!(read(&["Basic realm=x, Digest nonce=\"open"]), ["Basic realm=x"]);
        assert_eq!(challenges([&b"Basic realm=\xff"[..], b"Other"]).len(), 1);
    }

    #[test]
    fn a_hostile_field_is_bounded() {
        let many = "A,".repeat(1000);
        assert_eq!(read(&[&many]).len(), MAX_CHALLENGES);
        let params: String = (0..5000).map(|n| format!("p{n}=1,")).collect();
        assert_eq!(read(&[&format!("A {params} B x=1")]), ["B x=1"]);
        let repeated = "p=1,".repeat(10_000);
        assert_eq!(read(&[&format!("A {repeated}")]), [""; 0]);
    }
}
