//! A place in a field's value, and the pieces that values are made of: tokens, quoted strings, parameters.

pub(super) struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(rest: &'a str) -> Self {
        Cursor { rest }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    /// Takes this character if it is the next one.
    pub(super) fn eat(&mut self, wanted: char) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Everything up to one of these characters or the end.
    pub(super) fn until(&mut self, ends: &[char]) -> &'a str {
        let at = self.rest.find(ends).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(at);
        self.rest = rest;
        taken
    }

    /// A quoted string whose opening quote is the next character, with its escapes undone (RFC 9110 §5.6.4). One
    /// that does not end is taken up to the end.
    fn quoted(&mut self) -> String {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, char)) = chars.next() {
            match char {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return text;
                }
                '\\' => text.extend(chars.next().map(|(_, escaped)| escaped)),
                _ => text.push(char),
            }
        }
        self.rest = "";
        text
    }

    /// The parameters from here on: `; name=value; name="value"`, up to one of `ends` outside of quotes. Names come
    /// in lower case; one without a value has an empty one; what is neither is skipped.
    pub(super) fn parameters(&mut self, ends: &[char]) -> Vec<(String, String)> {
        let stops = [ends, &[';']].concat();
        let mut params = Vec::new();
        loop {
            // Whatever stands between a value and the next semicolon has no meaning.
            self.skip_to(&stops);
            if !self.eat(';') {
                return params;
            }
            self.skip_blanks();
            let name = self.until(&[&stops[..], &['=', '"']].concat()).trim_end_matches([' ', '\t']);
            let mut value = String::new();
            if self.eat('=') {
                self.skip_blanks();
                value = if self.rest.starts_with('"') {
                    self.quoted()
                } else {
                    self.until(&stops).trim_end_matches([' ', '\t']).to_owned()
                };
            }
            if !name.is_empty() {
                params.push((name.to_ascii_lowercase(), value));
            }
        }
    }

    /// Skips to one of these characters outside of quotes.
    pub(super) fn skip_to(&mut self, stops: &[char]) {
        loop {
            self.until(&[stops, &['"']].concat());
            if !self.rest.starts_with('"') {
                return;
            }
            self.quoted();
        }
    }
}
