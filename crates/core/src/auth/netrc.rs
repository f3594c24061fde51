//! netrc files: who one is at which machine, as ftp(1), curl and git read them. Comments and macros are skipped,
//! tokens may stand in quotes. A file that cannot be read in full is refused, with its line and what to do.

use std::fmt;

/// The entries of a netrc file in their order. Its text never leaves through `Debug`.
#[derive(Clone, Default)]
pub struct Netrc {
    entries: Vec<Entry>,
}

/// A user's name and password at a machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Login<'a> {
    /// The user's name.
    pub user: &'a str,
    /// The password; empty where the entry has none.
    pub password: &'a str,
}

/// Why a netrc file was refused. It never quotes the file but for a word that should have been a keyword's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetrcError {
    /// The line, from 1 on.
    pub line: usize,
    /// What is wrong there and what to do.
    pub problem: &'static str,
}

impl fmt::Display for NetrcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl std::error::Error for NetrcError {}

#[derive(Clone, Default)]
struct Entry {
    /// In lower case, without trailing dot; `None` for `default`.
    machine: Option<String>,
    login: Option<String>,
    password: Option<String>,
}

impl Netrc {
    /// Reads a file's text.
    ///
    /// # Errors
    /// [`NetrcError`]: a word that is no keyword, a keyword without its value, a quote that does not end, something
    /// before the first `machine`.
    pub fn parse(text: &str) -> Result<Self, NetrcError> {
        let mut netrc = Netrc::default();
        let mut words = Words { text, line: 1 };
        while let Some(word) = words.next()? {
            let line = words.line;
            let error = |problem| Err(NetrcError { line, problem });
            match &*word {
                "machine" => {
                    let name = words.value("machine must be followed by a host's name")?;
                    let machine = Some(name.trim_end_matches('.').to_ascii_lowercase());
                    netrc.entries.push(Entry { machine, ..Entry::default() });
                }
                "default" => netrc.entries.push(Entry::default()),
                "macdef" => words.skip_macro(),
                "login" | "password" | "account" => {
                    let value = words.value("login, password and account must be followed by their value")?;
                    let Some(entry) = netrc.entries.last_mut() else {
                        return error("this must stand behind a machine or default");
                    };
                    match &*word {
                        "login" => entry.login = Some(value),
                        "password" => entry.password = Some(value),
                        _ => {}
                    }
                }
                _ => {
                    return error(
                        "not a keyword: write machine, default, login, password, account or macdef; a value with blanks in it stands in \"quotes\"",
                    );
                }
            }
        }
        Ok(netrc)
    }

    /// Who one is at this host: the first entry of that machine with a login, or with no login where `user` is given;
    /// else, unless `named_only`, that of `default`. With a `user`, of that user and no other: an entry of another user
    /// never gives its password.
    ///
    /// `named_only` is for hosts that the user did not choose, such as a redirect's target.
    pub fn find<'a>(&'a self, host: &str, user: Option<&'a str>, named_only: bool) -> Option<Login<'a>> {
        let host = host.trim_end_matches('.').trim_start_matches('[').trim_end_matches(']');
        let here = |entry: &&Entry| match &entry.machine {
            Some(machine) => machine.eq_ignore_ascii_case(host),
            None => false,
        };
        let fallback = self.entries.iter().find(|entry| entry.machine.is_none() && !named_only);
        let candidates = self.entries.iter().filter(here).chain(fallback);
        let login = |entry: &'a Entry| {
            let login = entry.login.as_deref();
            let user = match (login, user) {
                (Some(login), None) => login,
                (Some(login), Some(user)) if login == user => login,
                // A password for whoever asks at this very machine.
                (None, Some(user)) if entry.machine.is_some() => user,
                _ => return None,
            };
            Some(Login { user, password: entry.password.as_deref().unwrap_or_default() })
        };
        candidates.into_iter().find_map(login)
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Shows how many entries there are.
impl fmt::Debug for Netrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Netrc({} entries)", self.entries.len())
    }
}

/// Shows neither name nor password.
impl fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(***)")
    }
}

struct Words<'a> {
    text: &'a str,
    line: usize,
}

impl Words<'_> {
    /// The next word, over line ends; what stands behind a `#` that begins a word is a comment.
    fn next(&mut self) -> Result<Option<String>, NetrcError> {
        loop {
            let rest = self.text.trim_start_matches(|c: char| c.is_ascii_whitespace());
            self.move_to(rest.len());
            if !rest.starts_with('#') {
                break;
            }
            self.move_to(rest.len() - rest.find('\n').unwrap_or(rest.len()));
        }
        self.word()
    }

    /// As a value a word may begin with `#`: passwords do.
    fn value(&mut self, problem: &'static str) -> Result<String, NetrcError> {
        let line = self.line;
        let rest = self.text.trim_start_matches(|c: char| c.is_ascii_whitespace());
        self.move_to(rest.len());
        self.word()?.ok_or(NetrcError { line, problem })
    }

    fn word(&mut self) -> Result<Option<String>, NetrcError> {
        if let Some(quoted) = self.text.strip_prefix('"') {
            return self.quoted(quoted).map(Some);
        }
        let end = self.text.find(|c: char| c.is_ascii_whitespace()).unwrap_or(self.text.len());
        let word = self.text[..end].to_owned();
        self.move_to(self.text.len() - end);
        Ok((!word.is_empty()).then_some(word))
    }

    /// Within quotes `\"`, `\\`, `\n`, `\r` and `\t` stand for what they do in curl.
    fn quoted(&mut self, text: &str) -> Result<String, NetrcError> {
        let mut word = String::new();
        let mut chars = text.char_indices();
        let open = NetrcError { line: self.line, problem: "the quote opened here does not end on its line" };
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.move_to(text.len() - at - 1);
                    return Ok(word);
                }
                '\n' => return Err(open),
                '\\' => match chars.next() {
                    Some((_, 'n')) => word.push('\n'),
                    Some((_, 'r')) => word.push('\r'),
                    Some((_, 't')) => word.push('\t'),
                    Some((_, '\n')) | None => return Err(open),
                    Some((_, other)) => word.push(other),
                },
                other => word.push(other),
            }
        }
        Err(open)
    }

    /// A macro ends at an empty line.
    fn skip_macro(&mut self) {
        let end = ["\n\n", "\n\r\n"].iter().filter_map(|gap| self.text.find(gap).map(|at| at + gap.len())).min();
        self.move_to(self.text.len() - end.unwrap_or(self.text.len()));
    }

    /// Moves on to where this many bytes are left.
    fn move_to(&mut self, left: usize) {
        let (passed, rest) = self.text.split_at(self.text.len() - left);
        self.line += passed.bytes().filter(|&byte| byte == b'\n').count();
        self.text = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# mine\n\
        machine example.com login me password one # trailing\n\
        machine\texample.com\n  login you\n  account x\n  password \"two \\\"words\\\"\"\n\
        macdef init\ncd /pub\nmachine evil.com login x password y\n\n\
        machine pass.com password #three\n\
        machine only.com login alone\n\
        default login anonymous password guest@\n";

    fn found(host: &str, user: Option<&str>, named_only: bool) -> Option<(String, String)> {
        let netrc = Netrc::parse(FILE).unwrap();
        netrc.find(host, user, named_only).map(|login| (login.user.to_owned(), login.password.to_owned()))
    }

    #[test]
    fn the_machines_entry_is_found_and_else_the_default() {
        for (host, user, password) in [
            ("example.com", "me", "one"),
            ("EXAMPLE.com.", "me", "one"),
            ("only.com", "alone", ""),
            ("sub.example.com", "anonymous", "guest@"),
            ("evil.com", "anonymous", "guest@"),
            ("pass.com", "anonymous", "guest@"),
        ] {
            assert_eq!(found(host, None, false), Some((user.into(), password.into())), "{host}");
        }
    }

    #[test]
    fn item_06_a_user_never_gets_another_users_password() {
        assert_eq!(found("example.com", Some("you"), false), Some(("you".into(), "two \"words\"".into())));
        assert_eq!(found("example.com", Some("she"), false), None);
        assert_eq!(found("elsewhere.com", Some("she"), false), None);
        assert_eq!(found("elsewhere.com", Some("anonymous"), false), Some(("anonymous".into(), "guest@".into())));
        assert_eq!(found("pass.com", Some("she"), false), Some(("she".into(), "#three".into())));
        let bare = Netrc::parse("machine a.com login me password one\ndefault password other").unwrap();
        assert_eq!(bare.find("b.com", Some("me"), false), None);
        assert_eq!(bare.find("b.com", None, false), None);
    }

    #[test]
    fn item_06_default_is_not_for_hosts_that_nobody_chose() {
        assert_eq!(found("elsewhere.com", None, true), None);
        assert_eq!(found("example.com", None, true), Some(("me".into(), "one".into())));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_refused_by_line() {
        for (text, line) in [
            ("machine a.com login me\npasswd x", 2),
            ("login me", 1),
            ("\n\nmachine", 3),
            ("machine a.com login", 1),
            ("machine a.com password \"open\nlogin me\"", 1),
            ("machine a.com password \"open", 1),
            ("machine a.com password two words", 1),
            ("macdef x\na\n\n\nnonsense", 5),
        ] {
            let error = Netrc::parse(text).unwrap_err();
            assert_eq!(error.line, line, "{text:?}: {error}");
        }
        for text in
            ["", "# only\n", "macdef x\nto the end", "machine a\n", "machine \"a.com\" login \"\" password \"\"\r\n"]
        {
            assert!(Netrc::parse(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let netrc = Netrc::parse(FILE).unwrap();
        let shown = format!("{netrc:?} {:?}", netrc.find("example.com", None, false));
        assert!(!shown.contains("one") && !shown.contains("me\""), "{shown}");
    }
}
