//! URLs that cannot print their secrets: passwords and query values of telling names come out as `***`.

use std::fmt;

use url::Url;

/// A URL as text, made when its secrets were taken out; the original is not kept.
#[derive(Clone, PartialEq, Eq)]
pub struct RedactedUrl(Box<str>);

impl RedactedUrl {
    /// Blanks the userinfo, and the values of parameters (in query or fragment) whose name speaks of a secret.
    pub fn new(url: &Url) -> Self {
        if url.cannot_be_a_base() && url.path().contains('@') {
            // `me:secret@host/`, whose scheme was forgotten.
            return RedactedUrl(without_userinfo(url.as_str()).into());
        }
        let has_userinfo = !url.username().is_empty() || url.password().is_some();
        let has_secret = url.query().is_some_and(|query| pairs(query).any(|(name, _)| is_secret_name(name)));
        // What an authorization server hands to a page stands in the fragment.
        let in_fragment = url.fragment().is_some_and(|text| pairs(text).any(|(name, _)| is_secret_name(name)));
        if !has_userinfo && !has_secret && !in_fragment {
            return RedactedUrl(url.as_str().into());
        }
        let mut shown = url.clone();
        if has_userinfo {
            // Cannot fail: a URL with userinfo may have one.
            let _ = shown.set_username("***");
            let _ = shown.set_password(None);
        }
        if has_secret {
            shown.set_query(url.query().map(blanked).as_deref());
        }
        if in_fragment {
            shown.set_fragment(url.fragment().map(blanked).as_deref());
        }
        RedactedUrl(shown.as_str().into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A text that may be a URL, and shows itself without that one's secrets.
pub(crate) struct ShownText<'a>(pub(crate) &'a str);

impl ShownText<'_> {
    fn text(&self) -> String {
        if let Ok(url) = Url::parse(self.0) {
            return RedactedUrl::new(&url).to_string();
        }
        let text = without_userinfo(self.0);
        let (place, query) = text.split_once('?').unwrap_or((&text, ""));
        if query.is_empty() { place.to_owned() } else { format!("{place}?{}", blanked(query)) }
    }
}

impl fmt::Display for ShownText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for ShownText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text(), f)
    }
}

/// Of a text that is no URL: whatever stands before an @ may be a password.
fn without_userinfo(text: &str) -> String {
    text.rsplit_once('@').map_or(text.to_owned(), |(_, behind)| format!("***@{behind}"))
}

fn blanked(query: &str) -> String {
    let blank = |(name, value): (&str, Option<&str>)| match value {
        Some(_) if is_secret_name(name) => format!("{name}=***"),
        Some(value) => format!("{name}={value}"),
        None => name.to_owned(),
    };
    pairs(query).map(blank).collect::<Vec<_>>().join("&")
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (pair, None),
    })
}

fn is_secret_name(name: &str) -> bool {
    const PARTS: [&str; 9] =
        ["token", "secret", "password", "passwd", "apikey", "api_key", "api-key", "signature", "credential"];
    const WHOLE: [&str; 5] = ["key", "sig", "auth", "pwd", "code"];
    let name = name.to_ascii_lowercase();
    PARTS.iter().any(|part| name.contains(part)) || WHOLE.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_telling_parameters_are_blanked_and_nothing_else() {
        let shown = |url: &str| RedactedUrl::new(&Url::parse(url).unwrap()).to_string();
        assert_eq!(shown("http://h/p?a=1&b"), "http://h/p?a=1&b");
        assert_eq!(shown("http://me:pw@h/p"), "http://***@h/p");
        assert_eq!(shown("http://h/?page=2&access_token=abc&KEY=d&x"), "http://h/?page=2&access_token=***&KEY=***&x");
        assert_eq!(shown("http://h/#access_token=abc&state=1"), "http://h/#access_token=***&state=1");
        // No userinfo where there is no host.
        assert_eq!(shown("me:1secret@h/a"), "***@h/a");
        for text in ["http://me:p?w@h/", "http://me:p@w@ h/", "me:secret@h/", "//me:pw@h"] {
            let shown = ShownText(text).to_string();
            assert!(shown.starts_with("***@") && shown.contains('h'), "{text}: {shown}");
        }
        assert_eq!(ShownText("/a?token=x&b=1").to_string(), "/a?token=***&b=1");
    }
}
