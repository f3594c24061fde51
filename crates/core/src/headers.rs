//! Header fields as one block of bytes and a list of offsets: the order, case and repetition of the wire are
//! kept, a whole response head costs two allocations, and nothing is parsed that nobody asks for.
//! Names and values are checked on the way in, so that no field can carry a line break onto the wire.

use std::fmt;

/// Why a header field was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// The name is empty or holds a byte outside RFC 9110's `token`.
    Name,
    /// The value holds CR, LF, NUL or another control character (a tab is fine).
    Value,
    /// The fields together would exceed 4 GiB, or one name or value 64 KiB / 16 MiB.
    TooLong,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeaderError::Name => "a header name may hold letters, digits and !#$%&'*+-.^_`|~ only",
            HeaderError::Value => "a header value may not hold CR, LF, NUL or other control characters",
            HeaderError::TooLong => "the header is too long",
        })
    }
}

impl std::error::Error for HeaderError {}

#[derive(Clone, Copy)]
struct Entry {
    name_at: u32,
    value_at: u32,
    value_len: u32,
    name_len: u16,
    secret: bool,
}

/// A list of header fields. Lookups ignore case; order and repeats are kept.
#[derive(Clone, Default)]
pub struct Headers {
    block: Vec<u8>,
    entries: Vec<Entry>,
}

impl Headers {
    /// An empty list; allocates nothing.
    pub const fn new() -> Self {
        Headers { block: Vec::new(), entries: Vec::new() }
    }

    /// An empty list with room for this many bytes of names and values in this many fields.
    pub fn with_capacity(bytes: usize, fields: usize) -> Self {
        Headers { block: Vec::with_capacity(bytes), entries: Vec::with_capacity(fields) }
    }

    /// How many fields there are, repeats counted.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The first value under this name, if it is UTF-8 (see [`Headers::get_bytes`] for all others).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_bytes(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The first value under this name, as it came.
    pub fn get_bytes(&self, name: &str) -> Option<&[u8]> {
        self.find(name).map(|entry| self.value(entry))
    }

    /// All values under this name, in their order.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.entries.iter().filter(move |e| self.is_named(e, name)).map(|e| self.value(e))
    }

    /// Whether there is a field of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// All fields in their order, as (name, value).
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> + '_ {
        self.entries.iter().map(|e| (self.name(e), self.value(e)))
    }

    /// All fields in their order, as (name, value, whether it is marked secret).
    pub fn iter_marked(&self) -> impl Iterator<Item = (&str, &[u8], bool)> + '_ {
        self.entries.iter().map(|e| (self.name(e), self.value(e), e.secret))
    }

    /// Adds a field behind those that are there. The value's surrounding blanks are cut (RFC 9110 §5.5).
    ///
    /// # Errors
    /// [`HeaderError`] where name or value cannot stand on the wire; the list is then unchanged.
    pub fn append(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HeaderError> {
        self.append_marked(name, value.as_ref(), false)
    }

    /// As [`Headers::append`], and marks the field: it is shown as `***` and does not follow a redirect to
    /// another origin.
    ///
    /// # Errors
    /// As [`Headers::append`].
    pub fn append_secret(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HeaderError> {
        self.append_marked(name, value.as_ref(), true)
    }

    /// Puts this field in the place of all of its name.
    ///
    /// # Errors
    /// As [`Headers::append`]; what was there then stays.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HeaderError> {
        check(name.as_bytes(), trim(value.as_ref()))?;
        self.remove(name);
        self.append(name, value)
    }

    /// Takes away every field of this name; whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        self.retain(|field, _| !field.eq_ignore_ascii_case(name))
    }

    /// Keeps only the fields for which `keep(name, secret)` holds; whether any went.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, bool) -> bool) -> bool {
        let before = self.entries.len();
        let block = &self.block;
        self.entries.retain(|e| keep(name_of(block, e), e.secret));
        before != self.entries.len()
    }

    /// Adds every field of `other` whose name is not here yet.
    pub fn extend_missing(&mut self, other: &Headers) {
        let own = self.entries.len();
        for (name, value, secret) in other.iter_marked() {
            let here = self.entries[..own].iter().any(|e| self.is_named(e, name));
            if !here {
                self.push(name.as_bytes(), value, secret);
            }
        }
    }

    /// Makes a list from a block that holds the fields already and their places in it.
    /// For parsers: `fields` gives (name, value) as slices of `block`; what is no UTF-8 name is skipped.
    pub(crate) fn from_block<'a>(block: &'a [u8], fields: impl ExactSizeIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let base = block.as_ptr() as usize;
        let mut entries = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            // An empty value may point anywhere; its place does not matter then.
            let value_at = if value.is_empty() { 0 } else { value.as_ptr() as usize - base };
            entries.push(Entry {
                name_at: (name.as_ptr() as usize - base) as u32,
                name_len: name.len() as u16,
                value_at: value_at as u32,
                value_len: value.len() as u32,
                secret: false,
            });
        }
        Headers { block: block.to_vec(), entries }
    }

    fn append_marked(&mut self, name: &str, value: &[u8], secret: bool) -> Result<(), HeaderError> {
        let value = trim(value);
        check(name.as_bytes(), value)?;
        if self.block.len() + name.len() + value.len() > u32::MAX as usize {
            return Err(HeaderError::TooLong);
        }
        self.push(name.as_bytes(), value, secret);
        Ok(())
    }

    fn push(&mut self, name: &[u8], value: &[u8], secret: bool) {
        let name_at = self.block.len() as u32;
        self.block.extend_from_slice(name);
        let value_at = self.block.len() as u32;
        self.block.extend_from_slice(value);
        let (name_len, value_len) = (name.len() as u16, value.len() as u32);
        self.entries.push(Entry { name_at, value_at, value_len, name_len, secret });
    }

    fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|e| self.is_named(e, name))
    }

    /// By bytes: that they are text again, each look would have to prove anew.
    fn is_named(&self, entry: &Entry, name: &str) -> bool {
        name_bytes(&self.block, entry).eq_ignore_ascii_case(name.as_bytes())
    }

    fn name(&self, entry: &Entry) -> &str {
        name_of(&self.block, entry)
    }

    fn value(&self, entry: &Entry) -> &[u8] {
        &self.block[entry.value_at as usize..][..entry.value_len as usize]
    }
}

/// Shows names and values; as `***` those marked secret, credentials, cookies, and the query of another place.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value, secret) in self.iter_marked() {
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            let place = ["location", "content-location", "referer", "link", "refresh"].into_iter().any(is);
            if secret || is_credential(name) || is("set-cookie") || (place && value.contains(&b'@')) {
                map.entry(&name, &"***");
                continue;
            }
            let value = String::from_utf8_lossy(value);
            match value.find(['?', '#']).filter(|_| place) {
                Some(at) => map.entry(&name, &format_args!("{}***", &value[..=at])),
                None => map.entry(&name, &value),
            };
        }
        map.finish()
    }
}

/// Whether a header of this name carries credentials by its very name, and so never crosses to another origin.
pub fn is_credential(name: &str) -> bool {
    const NAMES: [&str; 7] =
        ["authorization", "cookie", "cookie2", "proxy-authorization", "x-api-key", "api-key", "x-auth-token"];
    NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether these bytes are a `token` (RFC 9110 §5.6.2): a header's name, a method.
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

fn check(name: &[u8], value: &[u8]) -> Result<(), HeaderError> {
    if !is_token(name) {
        return Err(HeaderError::Name);
    }
    if value.iter().any(|&b| (b < 0x20 && b != b'\t') || b == 0x7f) {
        return Err(HeaderError::Value);
    }
    if name.len() > u16::MAX as usize || value.len() > 16 << 20 {
        return Err(HeaderError::TooLong);
    }
    Ok(())
}

fn name_bytes<'a>(block: &'a [u8], entry: &Entry) -> &'a [u8] {
    &block[entry.name_at as usize..][..entry.name_len as usize]
}

fn name_of<'a>(block: &'a [u8], entry: &Entry) -> &'a str {
    std::str::from_utf8(name_bytes(block, entry)).expect("invariant: names are checked to be ASCII on the way in")
}

fn trim(value: &[u8]) -> &[u8] {
    let start = value.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(value.len());
    let end = value.iter().rposition(|b| !matches!(b, b' ' | b'\t')).map_or(start, |at| at + 1);
    &value[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_case_and_repeats_and_finds_without_case() {
        let mut headers = Headers::new();
        headers.append("Set-Cookie", "a=1").unwrap();
        headers.append("X-One", " padded\t").unwrap();
        headers.append("set-cookie", "b=2").unwrap();
        assert_eq!(headers.get("x-one"), Some("padded"));
        assert_eq!(headers.get_all("SET-COOKIE").collect::<Vec<_>>(), [b"a=1", b"b=2"]);
        assert_eq!(headers.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["Set-Cookie", "X-One", "set-cookie"]);
    }

    #[test]
    fn refuses_what_would_break_the_line() {
        let mut headers = Headers::new();
        for value in ["a\r\nb: c", "a\nb", "a\0b", "a\x7f"] {
            assert_eq!(headers.append("x", value), Err(HeaderError::Value), "{value:?}");
        }
        for name in ["", "a b", "a:", "a\r\n", "ä"] {
            assert_eq!(headers.append(name, "v"), Err(HeaderError::Name), "{name:?}");
        }
        assert!(headers.is_empty());
    }

    #[test]
    fn a_refused_set_leaves_the_old_value() {
        let mut headers = Headers::new();
        headers.append("k", "old").unwrap();
        assert!(headers.set("k", "new\n").is_err());
        assert_eq!(headers.get("k"), Some("old"));
        headers.set("K", "new").unwrap();
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("K", &b"new"[..])]);
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut headers = Headers::new();
        headers.append("Authorization", "Bearer abc").unwrap();
        headers.append_secret("X-Mine", "abc").unwrap();
        headers.append("X-Plain", "seen").unwrap();
        let shown = format!("{headers:?}");
        assert!(!shown.contains("abc") && shown.contains("seen"), "{shown}");
    }

    #[test]
    fn defaults_fill_only_what_is_missing() {
        let mut own = Headers::new();
        own.append("accept", "text/html").unwrap();
        let mut defaults = Headers::new();
        defaults.append("Accept", "*/*").unwrap();
        defaults.append("X-A", "1").unwrap();
        defaults.append("X-A", "2").unwrap();
        own.extend_missing(&defaults);
        assert_eq!(own.get_all("accept").count(), 1);
        assert_eq!(own.get_all("x-a").count(), 2);
    }
}
