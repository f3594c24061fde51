//! A jar as text, and back: our own JSON, which keeps all there is, and cookies.txt as Netscape had it and curl has
//! it, for others. Which of them a text is shows in its first byte. Data only; nothing in it is run or followed.
//!
//! What a text says is believed no further than a server would be: a domain that everyone shares, a broken prefix or
//! an overlong value is left out, and so is what has expired. What cannot be a cookie at all refuses the whole text,
//! with its line: half a jar would be worse than none.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use url::Host;

use super::parse::{self, LONGEST};
use super::{Cookie, Jar, Refused, SameSite, scope};

/// How cookies are written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Our own, in JSON, a cookie a line: everything is kept.
    #[default]
    Json,
    /// cookies.txt: seven fields parted by tabs. SameSite is lost, and a cookie with a tab in it is left out.
    Netscape,
}

/// Why a text was refused. It never quotes the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// The line, from 1 on.
    pub line: usize,
    /// What is wrong there, and what to do.
    pub problem: String,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl std::error::Error for FileError {}

/// The version of our JSON.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Document<C> {
    gannet_cookies: u32,
    cookies: Vec<C>,
}

/// A cookie as it stands in JSON; what is left out is none or false.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    value: String,
    domain: String,
    path: String,
    #[serde(default)]
    host_only: bool,
    #[serde(default)]
    secure: bool,
    #[serde(default)]
    http_only: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    same_site: Option<SameSite>,
    /// Seconds since 1970, rounded up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<i64>,
}

impl Jar {
    /// The jar as text, the oldest cookie first, those without an end included (see [`Jar::end_session`]). It holds
    /// their values: whoever writes it down keeps the file to its owner.
    pub fn write(&self, format: Format) -> String {
        let mut cookies: Vec<&Cookie> = self.iter().collect();
        cookies.sort_by_key(|cookie| cookie.created);
        match format {
            Format::Json => {
                let lines: Vec<String> = cookies.into_iter().map(|cookie| Entry::of(cookie).line()).collect();
                format!("{{\"gannet_cookies\":{VERSION},\"cookies\":[\n{}\n]}}\n", lines.join(",\n"))
            }
            Format::Netscape => {
                let head = "# Netscape HTTP Cookie File\n# Written by gannet; whoever has it has the cookies.\n\n";
                cookies.into_iter().filter_map(netscape).fold(head.to_owned(), |text, line| text + &line)
            }
        }
    }

    /// Takes in the cookies of a text in either format; how many. Those in the same place are replaced; what has
    /// expired by `now`, and what no server could have set, is left out; every end is cut to 400 days.
    ///
    /// # Errors
    /// [`FileError`]; the jar is then unchanged.
    pub fn read(&mut self, text: &[u8], now: SystemTime) -> Result<usize, FileError> {
        let text = std::str::from_utf8(text).map_err(|error| {
            let line = text[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() + 1;
            FileError { line, problem: "this is no text in UTF-8, and so no file of cookies".to_owned() }
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let entries = if text.trim_start().starts_with('{') { read_json(text)? } else { read_netscape(text)? };
        let mut cookies = Vec::with_capacity(entries.len());
        for (line, entry) in entries {
            match entry.check(now) {
                Ok(cookie) => cookies.push(cookie),
                Err(Unfit::Left) => {}
                Err(Unfit::Wrong(problem)) => return Err(FileError { line, problem: format!("{problem}{REMEDY}") }),
            }
        }
        let count = cookies.len();
        for cookie in cookies {
            let site = scope::site_of(&cookie.domain).to_owned();
            self.put(&site, cookie, Some(now));
        }
        Ok(count)
    }

    /// Removes the cookies that have no end of their own, as a browser does when it is closed; how many.
    pub fn end_session(&mut self) -> usize {
        let sites: Vec<Box<str>> = self.sites.keys().cloned().collect();
        sites.iter().map(|site| self.take_out(site, |cookie| cookie.expires.is_none())).sum()
    }
}

const REMEDY: &str = "; mend or remove this line";

/// Why an entry is not taken in.
enum Unfit {
    /// It is sound, and no longer or not at all for us.
    Left,
    /// It cannot be a cookie.
    Wrong(&'static str),
}

impl Entry {
    fn of(cookie: &Cookie) -> Entry {
        Entry {
            name: cookie.name.to_string(),
            value: cookie.value.to_string(),
            domain: cookie.domain.to_string(),
            path: cookie.path.to_string(),
            host_only: cookie.host_only,
            secure: cookie.secure,
            http_only: cookie.http_only,
            same_site: cookie.same_site,
            expires: cookie.expires.map(seconds),
        }
    }

    fn line(&self) -> String {
        serde_json::to_string(self).expect("invariant: strings, numbers and flags can be written as JSON")
    }

    fn check(self, now: SystemTime) -> Result<Cookie, Unfit> {
        let parts = [&self.name, &self.value, &self.path];
        if parts.iter().any(|part| part.bytes().any(|byte| parse::is_control(byte) || byte == b';')) {
            return Err(Unfit::Wrong("a control character or ; stands in this cookie"));
        }
        if self.name.contains('=') {
            return Err(Unfit::Wrong("the name of this cookie holds a ="));
        }
        if !self.path.starts_with('/') {
            return Err(Unfit::Wrong("the path of this cookie does not begin with /"));
        }
        if [&self.name, &self.value].iter().any(|part| parse::trim(part).len() != part.len()) {
            return Err(Unfit::Wrong("this cookie's name or value is edged by blanks"));
        }
        let (domain, is_ip) = spelled(&self.domain).ok_or(Unfit::Wrong("this cookie has no host's name"))?;
        match parse::check_pair(&self.name, &self.value) {
            Ok(()) => {}
            Err(Refused::TooLong) => return Err(Unfit::Left),
            Err(_) => return Err(Unfit::Wrong("this cookie has neither name nor value, or would read as another")),
        }
        let host_only = self.host_only || is_ip;
        if !host_only && scope::is_public_suffix(&domain) {
            return Err(Unfit::Left);
        }
        let expires = match self.expires {
            None => None,
            Some(at) => {
                let at = UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(at).unwrap_or(0)));
                let latest = now.checked_add(LONGEST);
                let end = at.into_iter().chain(latest).min().filter(|end| *end > now);
                Some(end.ok_or(Unfit::Left)?)
            }
        };
        let cookie = Cookie {
            name: self.name.into(),
            value: self.value.into(),
            domain: domain.into(),
            path: self.path.into(),
            host_only,
            secure: self.secure,
            http_only: self.http_only,
            same_site: self.same_site,
            expires,
            created: 0,
            used: 0,
        };
        cookie.check_prefix(true).map_err(|_| Unfit::Left)?;
        Ok(cookie)
    }
}

/// A host in the jar's spelling, and whether it is an address.
fn spelled(domain: &str) -> Option<(String, bool)> {
    let name = domain.trim_end_matches('.');
    let host = Host::parse(name).or_else(|_| Host::parse(&format!("[{name}]"))).ok()?;
    let is_ip = !matches!(host, Host::Domain(_));
    let text = host.to_string();
    // Percent-encoded or as U+3002, a dot may come to the end only now; without it, it may be an address.
    if text.ends_with('.') {
        return spelled(&text);
    }
    (!text.is_empty() && !text.starts_with('.')).then_some((text, is_ip))
}

fn read_json(text: &str) -> Result<Vec<(usize, Entry)>, FileError> {
    let bad = |error: &serde_json::Error, above: usize| {
        let what = match error.classify() {
            serde_json::error::Category::Data => "this is not how gannet writes cookies",
            _ => "this is not whole JSON; was the file cut?",
        };
        FileError { line: above + error.line().max(1), problem: format!("{what}{REMEDY}") }
    };
    let document: Document<&RawValue> = serde_json::from_str(text).map_err(|error| bad(&error, 0))?;
    if document.gannet_cookies != VERSION {
        let version = document.gannet_cookies;
        let problem = format!("version {version} of the format, of which this gannet knows {VERSION}; use a newer one");
        return Err(FileError { line: 1, problem });
    }
    let mut entries = Vec::with_capacity(document.cookies.len());
    let (mut line, mut counted) = (1, 0);
    for raw in document.cookies {
        // What is borrowed lies in the text: its place tells its line.
        let at = raw.get().as_ptr() as usize - text.as_ptr() as usize;
        line += text.as_bytes()[counted..at].iter().filter(|&&byte| byte == b'\n').count();
        counted = at;
        entries.push((line, serde_json::from_str(raw.get()).map_err(|error| bad(&error, line - 1))?));
    }
    Ok(entries)
}

fn read_netscape(text: &str) -> Result<Vec<(usize, Entry)>, FileError> {
    let mut entries = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let (http_only, line) = match line.strip_prefix("#HttpOnly_") {
            Some(line) => (true, line),
            None => (false, line),
        };
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let entry = netscape_entry(line, http_only);
        entries
            .push((number + 1, entry.map_err(|problem| FileError { line: number + 1, problem: problem.to_owned() })?));
    }
    Ok(entries)
}

fn netscape_entry(line: &str, http_only: bool) -> Result<Entry, &'static str> {
    let fields: Vec<&str> = line.splitn(7, '\t').collect();
    // Without value, editors cut the last tab away.
    let [domain, below, path, secure, expires, name, ref value @ ..] = fields[..] else {
        return Err(
            "a cookie is seven fields parted by tabs: domain, TRUE or FALSE for hosts below it, path, TRUE or FALSE for \
             https only, its end in seconds since 1970 or 0, name, value; mend or remove this line",
        );
    };
    let flag = |text: &str| match text {
        _ if text.eq_ignore_ascii_case("true") => Ok(true),
        _ if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err("the second and fourth field are TRUE or FALSE; mend or remove this line"),
    };
    // Some exporters write fractions.
    let digits = expires.split_once('.').map_or(expires, |(whole, _)| whole);
    let number = digits.strip_prefix('-').unwrap_or(digits);
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("the fifth field is the cookie's end in seconds since 1970, or 0; mend or remove this line");
    }
    let end = if number.len() == digits.len() { number.parse().unwrap_or(i64::MAX) } else { i64::MIN };
    Ok(Entry {
        name: name.to_owned(),
        value: value.first().copied().unwrap_or_default().to_owned(),
        domain: domain.strip_prefix('.').unwrap_or(domain).to_owned(),
        path: path.to_owned(),
        host_only: !flag(below)?,
        secure: flag(secure)?,
        http_only,
        same_site: None,
        expires: Some(end).filter(|end| *end != 0),
    })
}

/// A line of cookies.txt; none for what it has no room for.
fn netscape(cookie: &Cookie) -> Option<String> {
    if [&cookie.name, &cookie.value, &cookie.path].iter().any(|part| part.contains('\t')) {
        return None;
    }
    let flag = |on: bool| if on { "TRUE" } else { "FALSE" };
    Some(format!(
        "{}{}{}\t{}\t{}\t{}\t{}\t{}\t{}\n",
        if cookie.http_only { "#HttpOnly_" } else { "" },
        if cookie.host_only { "" } else { "." },
        cookie.domain,
        flag(!cookie.host_only),
        cookie.path,
        flag(cookie.secure),
        cookie.expires.map_or(0, seconds),
        cookie.name,
        cookie.value,
    ))
}

/// Since 1970, rounded up: a cookie never ends before its time.
fn seconds(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs() + u64::from(since.subsec_nanos() > 0)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
