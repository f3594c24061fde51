//! What a server says of its own limits: the RateLimit field of draft-ietf-httpapi-ratelimit-headers, a list such as
//! `"default";r=50;t=30`; the three fields of its older drafts; and, when asked for, the X-RateLimit fields before it.
//!
//! A statement is a ceiling, never leave to go faster than one's own limits. Retry-After wins over it, which is the
//! caller's to see to. What is malformed counts as not said, and so does what comes out of a cache.

use std::time::Duration;

use crate::Headers;

/// No more than `remaining` requests within `reset`, from the moment the response came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeclaredLimit {
    /// How many more requests the server will take; 0 is none before `reset`.
    pub remaining: u64,
    /// When it will take more again; above zero, and 136 years at most, so that it can be added to any clock.
    pub reset: Duration,
}

impl DeclaredLimit {
    /// `None` where the time is over already: then nothing is limited.
    fn new(remaining: u64, reset_secs: u64) -> Option<Self> {
        let reset = Duration::from_secs(reset_secs).min(LONGEST);
        (reset > Duration::ZERO).then_some(DeclaredLimit { remaining, reset })
    }

    /// Whichever allows the lower rate; of two that allow none, the one that lasts longer, and of two equal rates the
    /// one that allows fewer requests at once.
    fn stricter(self, other: DeclaredLimit) -> DeclaredLimit {
        let own = u128::from(self.remaining) * other.reset.as_nanos();
        let others = u128::from(other.remaining) * self.reset.as_nanos();
        let rank = own.cmp(&others);
        let none = self.remaining == 0 && other.remaining == 0;
        let by_reset = if none { other.reset.cmp(&self.reset) } else { self.reset.cmp(&other.reset) };
        if rank.then(by_reset).is_le() { self } else { other }
    }
}

/// The strictest item of a RateLimit field. An item needs `r`, the requests that remain, and `t`, the seconds until
/// they are renewed; one without `t` says nothing that can be kept to, and is passed over.
/// `None` also where the value is no list of items as RFC 9651 has it: one bad item voids all.
pub fn parse_rate_limit(value: &[u8]) -> Option<DeclaredLimit> {
    parse_list(value).unwrap_or_default()
}

/// The strictest limit a response's head declares: by RateLimit, else by RateLimit-Remaining and RateLimit-Reset.
/// With `legacy`, failing both, by X-RateLimit-Remaining and X-RateLimit-Reset. A reset of 1,000,000,000 or more is no
/// number of seconds from now but seconds (or milliseconds) since 1970, read against the response's own Date.
///
/// A response with an Age field comes from a cache, and what it says is of another time: `None`.
pub fn declared_limit(headers: &Headers, legacy: bool) -> Option<DeclaredLimit> {
    if headers.contains("Age") {
        return None;
    }
    from_list(headers)
        .or_else(|| from_pair(headers, "RateLimit-Remaining", "RateLimit-Reset"))
        .or_else(|| if legacy { from_pair(headers, "X-RateLimit-Remaining", "X-RateLimit-Reset") } else { None })
}

fn from_list(headers: &Headers) -> Option<DeclaredLimit> {
    let mut strictest = None;
    for line in headers.get_all("RateLimit") {
        strictest = stricter(strictest, parse_list(line)?);
    }
    strictest
}

fn from_pair(headers: &Headers, remaining: &str, reset: &str) -> Option<DeclaredLimit> {
    let remaining = only_number(headers, remaining)?;
    let reset = only_number(headers, reset)?;
    if reset < FIRST_DATE {
        return DeclaredLimit::new(remaining, reset);
    }
    let at = Duration::from_secs(if reset < FIRST_DATE * 1000 { reset } else { reset.div_ceil(1000) });
    let sent = httpdate::parse_http_date(headers.get("Date")?).ok()?;
    let sent = sent.duration_since(std::time::SystemTime::UNIX_EPOCH).ok()?;
    DeclaredLimit::new(remaining, at.saturating_sub(sent).as_secs())
}

/// The value of the one field of this name, if it is nothing but digits. Several are as good as none.
fn only_number(headers: &Headers, name: &str) -> Option<u64> {
    let mut all = headers.get_all(name);
    let value = std::str::from_utf8(all.next()?).ok()?;
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    if all.next().is_some() || !is_number { None } else { value.parse().ok() }
}

fn stricter(one: Option<DeclaredLimit>, other: Option<DeclaredLimit>) -> Option<DeclaredLimit> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.stricter(other)),
        (one, other) => one.or(other),
    }
}

/// The strictest item (`Some(None)` if none limits anything), or `None` if the value is malformed.
fn parse_list(value: &[u8]) -> Option<Option<DeclaredLimit>> {
    let mut rest = Cursor(value);
    rest.skip(b" ");
    let mut strictest = None;
    if rest.0.is_empty() {
        return Some(None);
    }
    loop {
        strictest = stricter(strictest, item(&mut rest)?);
        rest.skip(b" \t");
        if rest.0.is_empty() {
            return Some(strictest);
        }
        rest.expect(b',')?;
        rest.skip(b" \t");
    }
}

/// One item: the name of a policy, as a string or a token, and its parameters.
fn item(rest: &mut Cursor<'_>) -> Option<Option<DeclaredLimit>> {
    match rest.bare_item()? {
        Bare::Text => {}
        Bare::Integer(_) | Bare::Other => return None,
    }
    let (mut remaining, mut reset) = (None, None);
    while rest.eat(b';') {
        rest.skip(b" ");
        let name = rest.key()?;
        let value = if rest.eat(b'=') { rest.bare_item()? } else { Bare::Other };
        // Of a parameter given twice the last counts (RFC 9651 §3.1.2).
        match name {
            b"r" => remaining = Some(value),
            b"t" => reset = Some(value),
            _ => {}
        }
    }
    let remaining = remaining?.number()?;
    match reset {
        Some(reset) => Some(DeclaredLimit::new(remaining, reset.number()?)),
        None => Some(None),
    }
}

/// A bare item of RFC 9651 §3.3, as far as it matters here.
#[derive(Clone, Copy)]
enum Bare {
    Text,
    Integer(i64),
    Other,
}

impl Bare {
    fn number(self) -> Option<u64> {
        match self {
            Bare::Integer(number) => u64::try_from(number).ok(),
            Bare::Text | Bare::Other => None,
        }
    }
}

/// What is left to read of a structured field.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn eat(&mut self, byte: u8) -> bool {
        let rest = self.0.strip_prefix(&[byte]);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.eat(byte).then_some(())
    }

    fn skip(&mut self, any_of: &[u8]) {
        self.take_while(|byte| any_of.contains(&byte));
    }

    fn take_while(&mut self, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.0.iter().position(|byte| !fits(*byte)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    fn key(&mut self) -> Option<&'a [u8]> {
        let starts = self.0.first().is_some_and(|byte| byte.is_ascii_lowercase() || *byte == b'*');
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte);
        starts.then(|| self.take_while(fits))
    }

    fn bare_item(&mut self) -> Option<Bare> {
        match *self.0.first()? {
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            b'*' | b'a'..=b'z' | b'A'..=b'Z' => {
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte);
                self.take_while(fits);
                Some(Bare::Text)
            }
            b'?' => {
                self.eat(b'?');
                (self.eat(b'0') || self.eat(b'1')).then_some(Bare::Other)
            }
            b':' => {
                self.eat(b':');
                self.take_while(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
                self.expect(b':').map(|()| Bare::Other)
            }
            b'@' => {
                self.eat(b'@');
                match self.number()? {
                    Bare::Integer(_) => Some(Bare::Other),
                    Bare::Text | Bare::Other => None,
                }
            }
            _ => None,
        }
    }

    fn string(&mut self) -> Option<Bare> {
        self.expect(b'"')?;
        loop {
            self.take_while(|byte| (b' '..=b'~').contains(&byte) && !b"\"\\".contains(&byte));
            if self.eat(b'"') {
                return Some(Bare::Text);
            }
            self.expect(b'\\')?;
            if !self.eat(b'"') {
                self.expect(b'\\')?;
            }
        }
    }

    fn number(&mut self) -> Option<Bare> {
        let negative = self.eat(b'-');
        let whole = self.take_while(|byte| byte.is_ascii_digit());
        if self.eat(b'.') {
            let fraction = self.take_while(|byte| byte.is_ascii_digit());
            let fits = (1..=12).contains(&whole.len()) && (1..=3).contains(&fraction.len());
            return fits.then_some(Bare::Other);
        }
        if whole.len() > 15 {
            return None;
        }
        let number: i64 = std::str::from_utf8(whole).ok()?.parse().ok()?;
        Some(Bare::Integer(if negative { -number } else { number }))
    }
}

const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// September 2001: a reset of this many seconds or more is a date.
const FIRST_DATE: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limit(remaining: u64, secs: u64) -> Option<DeclaredLimit> {
        Some(DeclaredLimit { remaining, reset: Duration::from_secs(secs) })
    }

    fn parse(value: &str) -> Option<DeclaredLimit> {
        parse_rate_limit(value.as_bytes())
    }

    fn declared(fields: &[(&str, &str)], legacy: bool) -> Option<DeclaredLimit> {
        let mut headers = Headers::new();
        for (name, value) in fields {
            headers.append(name, value).unwrap();
        }
        declared_limit(&headers, legacy)
    }

    #[test]
    fn the_strictest_item_counts() {
        for (value, wanted) in [
            (r#""default";r=50;t=30"#, limit(50, 30)),
            (r#"default;r=50;t=30"#, limit(50, 30)),
            (r#""a\"b\\";t=30; r=50;pk=:cHsdsRa894==:;x;y=?1;z="s";q=1.5;d=@1659578233"#, limit(50, 30)),
            (r#""burst";r=10;t=1, "daily";r=8000;t=86400"#, limit(8000, 86_400)),
            (r#""daily";r=8000;t=86400 ,	"burst";r=10;t=1"#, limit(8000, 86_400)),
            (r#""a";r=0;t=5,"b";r=0;t=60,"c";r=1;t=4000"#, limit(0, 60)),
            (r#""a";r=10;t=20,"b";r=5;t=10"#, limit(5, 10)),
            (r#""a";r=1,"b";r=5;t=10"#, limit(5, 10)),
            (r#""a";r=0;t=0,"b";r=5;t=10"#, limit(5, 10)),
            (r#""a";r=9;t=10;r=3"#, limit(3, 10)),
            (r#""a";r=999999999999999;t=999999999999999"#, limit(999_999_999_999_999, u64::from(u32::MAX))),
        ] {
            assert_eq!(parse(value), wanted, "{value}");
        }
    }

    #[test]
    fn what_says_nothing_or_is_malformed_is_ignored() {
        for value in [
            "",
            " ",
            r#""a";r=5"#,
            r#""a";r=0;t=0"#,
            r#""a";t=5"#,
            r#""a""#,
            r#""a";r=-1;t=5"#,
            r#""a";r=1;t=-5"#,
            r#""a";r=1.5;t=5"#,
            r#""a";r="1";t=5"#,
            r#""a";r;t=5"#,
            r#""a";r=1;t=5,"#,
            r#""a";r=1;t=5,,"b";r=1;t=5"#,
            r#""a";r=1;t=5 "b";r=1;t=5"#,
            r#""a";r=1;t=5,"b";r=x;t=1"#,
            r#""a;r=1;t=5"#,
            r#""a\n";r=1;t=5"#,
            r#""a";R=1;t=5"#,
            r#""a";r =1;t=5"#,
            r#""a";r=1000000000000000;t=5"#,
            r#"("a" "b");r=1;t=5"#,
            r#"5;r=1;t=5"#,
            r#"limit=100, remaining=50, reset=5"#,
            "50",
            "\u{e4};r=1;t=5",
        ] {
            assert_eq!(parse(value), None, "{value}");
        }
        assert_eq!(parse_rate_limit(b"\"\xff\";r=1;t=5"), None);
    }

    #[test]
    fn the_field_may_come_in_several_lines_one_bad_line_voids_it() {
        let good = ("RateLimit", r#""a";r=50;t=30"#);
        assert_eq!(declared(&[good, ("ratelimit", r#""b";r=1;t=30"#)], false), limit(1, 30));
        assert_eq!(declared(&[good, ("RateLimit", "!")], false), None);
    }

    #[test]
    fn the_older_fields_are_read_where_the_newer_say_nothing() {
        let older = [("RateLimit-Limit", "100, 100;w=60"), ("RateLimit-Remaining", "7"), ("RateLimit-Reset", "9")];
        assert_eq!(declared(&older, false), limit(7, 9));
        assert_eq!(declared(&older[1..], false), limit(7, 9));
        assert_eq!(declared(&older[2..], false), None);
        let both = [older.as_slice(), &[("RateLimit", "a;r=1;t=2")]].concat();
        assert_eq!(declared(&both, false), limit(1, 2));
        for bad in ["", "-1", "+1", "1.5", "1, 2", "soon", "99999999999999999999"] {
            assert_eq!(declared(&[("RateLimit-Remaining", bad), ("RateLimit-Reset", "9")], false), None, "{bad}");
            assert_eq!(declared(&[("RateLimit-Remaining", "7"), ("RateLimit-Reset", bad)], false), None, "{bad}");
        }
        let twice = [("RateLimit-Remaining", "7"), ("RateLimit-Remaining", "8"), ("RateLimit-Reset", "9")];
        assert_eq!(declared(&twice, false), None);
    }

    #[test]
    fn legacy_fields_are_read_when_asked_for_only() {
        let date = ("Date", "Sun, 09 Sep 2001 01:47:40 GMT"); // 1,000,000,060
        let remaining = ("X-RateLimit-Remaining", "3");
        for (reset, with_date, without) in [
            ("60", limit(3, 60), limit(3, 60)),
            ("1000000090", limit(3, 30), None),
            ("1000000090000", limit(3, 30), None),
            ("1000000000", None, None),
        ] {
            let fields = [remaining, ("X-RateLimit-Reset", reset), date];
            assert_eq!(declared(&fields, false), None);
            assert_eq!(declared(&fields, true), with_date, "{reset}");
            assert_eq!(declared(&fields[..2], true), without, "{reset}");
        }
    }

    #[test]
    fn a_cached_response_declares_nothing() {
        assert_eq!(declared(&[("RateLimit", "a;r=1;t=2"), ("Age", "0")], true), None);
    }

    proptest! {
        #[test]
        fn bytes_of_any_kind_are_read_without_a_panic(
            value in prop::collection::vec(prop::sample::select(br#""a;=,rt10-. \?:@*("#.to_vec()), 0..40),
            noise in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            for value in [value, noise] {
                if let Some(limit) = parse_rate_limit(&value) {
                    prop_assert!(limit.reset > Duration::ZERO && limit.reset <= LONGEST);
                }
            }
        }

        #[test]
        fn no_item_allows_a_lower_rate_than_the_one_that_counts(
            items in prop::collection::vec((0u64..1_000, 1u64..100_000), 1..8),
        ) {
            let value: Vec<_> = items.iter().map(|(r, t)| format!("\"p\";r={r};t={t}")).collect();
            let strictest = parse(&value.join(", ")).unwrap();
            let secs = strictest.reset.as_secs();
            prop_assert!(items.contains(&(strictest.remaining, secs)));
            prop_assert!(items.iter().all(|(r, t)| strictest.remaining * t <= r * secs));
            let mut backwards = value;
            backwards.reverse();
            prop_assert_eq!(parse(&backwards.join(",")), Some(strictest));
        }
    }
}
