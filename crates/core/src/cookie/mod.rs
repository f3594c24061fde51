//! The cookie jar of a session: RFC 6265bis on the client's side, without I/O; time comes in.
//! Refused: what the URL may not set (a foreign domain, a public suffix, Secure from plain http, a broken
//! prefix), what cannot stand in a header, and what is too long. Ports and schemes share cookies, as the RFC
//! says; Secure ones go to https only, to loopback where [`Jar::trust_loopback`] says so. HttpOnly and SameSite are
//! kept as data, SameSite=None without Secure among them: there is no page here from which a script or another site
//! could ask.

mod entry;
mod file;
mod parse;
mod scope;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::time::SystemTime;

use url::{Host, Url};

pub use self::entry::{Cookie, Refused, SameSite};
pub use self::file::{FileError, Format};
use self::parse::Lifetime;
use self::scope::{Target, domain_match, path_match};

/// The most Set-Cookie lines read of one response.
pub const MAX_PER_RESPONSE: usize = 50;
/// The most cookies kept of one site (its registrable domain with all hosts below it).
pub const MAX_PER_SITE: usize = 180;
/// The most cookies kept in all.
pub const MAX_ALL: usize = 3300;
/// The most cookies sent with one request.
pub const MAX_SENT: usize = 150;
/// The largest file of cookies worth reading, in bytes: some room above what a full jar comes to.
pub const MAX_FILE: u64 = 16 << 20;
/// The longest Cookie header sent, in bytes.
pub const MAX_HEADER: usize = 8190;

/// Cookies, kept by site.
///
/// Filled beyond [`MAX_PER_SITE`] or [`MAX_ALL`], it drops expired cookies first, within a site then those
/// without Secure, and among equals the least recently used: of all sites a twentieth at once.
#[derive(Clone, Default)]
pub struct Jar {
    sites: HashMap<Box<str>, Vec<Cookie>>,
    len: usize,
    /// Counts stores and uses: the order of creation and of last use, whatever the clock does.
    tick: u64,
    changes: u64,
    loopback_is_secure: bool,
    /// In the spelling of URLs, without trailing dot.
    secure_hosts: Vec<Box<str>>,
}

impl Jar {
    /// An empty jar; allocates nothing.
    pub fn new() -> Self {
        Jar::default()
    }

    /// Whether plain http to this machine itself (`localhost` and names below it, 127.0.0.0/8, ::1) counts as secure, as
    /// browsers have it: Secure cookies are then taken from it and sent to it. Off in a new jar.
    pub fn trust_loopback(&mut self, trusted: bool) {
        self.loopback_is_secure = trusted;
    }

    /// These hosts count as secure over plain http too, as [`Jar::trust_loopback`] has it for this machine: for a network
    /// that nobody else can read. A name stands for itself alone, on every port. In place of those named before; none in a
    /// new jar.
    ///
    /// # Errors
    /// The first that is no host; nothing changes then.
    pub fn trust_hosts<'a>(&mut self, hosts: impl IntoIterator<Item = &'a str>) -> Result<(), &'a str> {
        let spelt = |host: &'a str| match Host::parse(host) {
            Ok(parsed) => Ok(parsed.to_string().trim_end_matches('.').into()),
            Err(_) => Err(host),
        };
        self.secure_hosts = hosts.into_iter().map(spelt).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Takes in one Set-Cookie value from a response to `url`.
    ///
    /// It replaces the cookie of the same name, domain and path, whose place in the order it keeps; with an
    /// end at or before `now` it removes it. Max-Age wins over Expires; either is cut to 400 days.
    ///
    /// # Errors
    /// [`Refused`]; the jar is then unchanged.
    pub fn store(&mut self, url: &Url, set_cookie: &[u8], now: SystemTime) -> Result<(), Refused> {
        let target = self.target(url).ok_or(Refused::Url)?;
        let parsed = parse::parse(set_cookie)?;
        let (domain, host_only) = target.scope(parsed.domain)?;
        let cookie = Cookie {
            name: parsed.name.into(),
            value: parsed.value.into(),
            domain: domain.into(),
            path: parsed.path.unwrap_or_else(|| target.default_path()).into(),
            host_only,
            secure: parsed.secure,
            http_only: parsed.http_only,
            same_site: parsed.same_site,
            expires: None,
            created: 0,
            used: 0,
        };
        if cookie.secure && !target.secure {
            return Err(Refused::SecureFromHttp);
        }
        cookie.check_prefix(parsed.path.is_some())?;
        if !target.secure && self.shadows_secure(target.site(), &cookie, now) {
            return Err(Refused::SecureExists);
        }
        match parsed.lifetime(now) {
            Lifetime::Past => {
                self.take_out(target.site(), |old| old.same_place(&cookie));
            }
            Lifetime::Session => self.put(target.site(), cookie, Some(now)),
            Lifetime::Until(end) => {
                self.put(target.site(), Cookie { expires: Some(end), ..cookie }, Some(now));
            }
        }
        Ok(())
    }

    /// [`Jar::store`] for every Set-Cookie value of one response, of which the first [`MAX_PER_RESPONSE`] are
    /// read; how many were taken in.
    pub fn store_all<'a>(
        &mut self,
        url: &Url,
        set_cookies: impl IntoIterator<Item = &'a [u8]>,
        now: SystemTime,
    ) -> usize {
        let read = set_cookies.into_iter().take(MAX_PER_RESPONSE);
        read.filter(|line| self.store(url, line, now).is_ok()).count()
    }

    /// Puts a cookie in by hand: for the host of `url` alone, every path, until the jar is dropped; Secure if
    /// `url` is secure, so that it never leaves in the clear.
    ///
    /// # Errors
    /// [`Refused`]: a name that is empty or holds `=`, a name or value that holds `;` or control characters
    /// or is edged by blanks, or a URL without host.
    pub fn set(&mut self, url: &Url, name: &str, value: &str) -> Result<(), Refused> {
        let target = self.target(url).ok_or(Refused::Url)?;
        if name.bytes().chain(value.bytes()).any(parse::is_control) {
            return Err(Refused::ControlCharacter);
        }
        let edged = |text: &str| text.starts_with([' ', '\t']) || text.ends_with([' ', '\t']);
        if name.is_empty() || name.contains(['=', ';']) || value.contains(';') || edged(name) || edged(value) {
            return Err(Refused::Syntax);
        }
        parse::check_pair(name, value)?;
        let cookie = Cookie {
            name: name.into(),
            value: value.into(),
            domain: target.host.into(),
            path: "/".into(),
            host_only: true,
            secure: target.secure,
            http_only: false,
            same_site: None,
            expires: None,
            created: 0,
            used: 0,
        };
        cookie.check_prefix(true)?;
        self.put(target.site(), cookie, None);
        Ok(())
    }

    /// The value of the Cookie header for a request to `url`, or `None` if there is nothing to send.
    ///
    /// Longest path first, then oldest first; at most [`MAX_SENT`] cookies and [`MAX_HEADER`] bytes, a cookie
    /// that no longer fits is left out. Expired ones of this site are dropped on the way. Costs nothing when
    /// the jar is empty.
    pub fn header_for(&mut self, url: &Url, now: SystemTime) -> Option<String> {
        if self.len == 0 {
            return None;
        }
        let target = self.target(url)?;
        self.take_out(target.site(), |cookie| cookie.is_expired(now));
        let kept = self.sites.get_mut(target.site())?;
        let mut matching: Vec<&mut Cookie> = kept.iter_mut().filter(|cookie| cookie.is_for(&target)).collect();
        matching.sort_by_key(|cookie| (Reverse(cookie.path.len()), cookie.created));
        let mut header = String::new();
        for cookie in matching.into_iter().take(MAX_SENT) {
            let separator = if header.is_empty() { 0 } else { 2 };
            if header.len() + separator + cookie.name.len() + 1 + cookie.value.len() > MAX_HEADER {
                continue;
            }
            self.tick += 1;
            cookie.used = self.tick;
            cookie.write_to(&mut header);
        }
        (!header.is_empty()).then_some(header)
    }

    /// All cookies, those that have expired unnoticed among them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Cookie> + '_ {
        self.sites.values().flatten()
    }

    /// Puts cookies back that [`Jar::iter`] gave, host-only ones as such; those in the same place are replaced.
    pub fn restore(&mut self, cookies: impl IntoIterator<Item = Cookie>) {
        let mut cookies: Vec<Cookie> = cookies.into_iter().collect();
        cookies.sort_by_key(|cookie| cookie.created);
        for cookie in cookies {
            let site = scope::site_of(&cookie.domain).to_owned();
            self.put(&site, cookie, None);
        }
    }

    /// Grows with every cookie that is set, changed or removed; what was sent and used does not count.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Removes the cookies of this domain, path and name; whether there was one.
    pub fn remove(&mut self, domain: &str, path: &str, name: &str) -> bool {
        let domain = domain.trim_start_matches('.').trim_end_matches('.').to_ascii_lowercase();
        let wanted = |cookie: &Cookie| *cookie.domain == domain && *cookie.path == *path && *cookie.name == *name;
        let Some(site) = self.sites.iter().find(|(_, kept)| kept.iter().any(wanted)).map(|(site, _)| site.clone())
        else {
            return false;
        };
        self.take_out(&site, wanted) > 0
    }

    /// Removes every cookie.
    pub fn clear(&mut self) {
        self.sites.clear();
        self.changes += 1;
        self.len = 0;
    }

    /// How many cookies are kept, those that have expired unnoticed among them.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no cookie is kept.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn target<'a>(&self, url: &'a Url) -> Option<Target<'a>> {
        let mut target = Target::of(url)?;
        target.secure |= self.loopback_is_secure && target.is_loopback();
        target.secure |= self.secure_hosts.iter().any(|host| **host == *target.host);
        Some(target)
    }

    /// "Leave Secure cookies alone" (RFC 6265bis §5.7, step 16): from plain http, none may be overwritten, nor
    /// hidden by a cookie of the same name that would be sent in its stead.
    fn shadows_secure(&self, site: &str, new: &Cookie, now: SystemTime) -> bool {
        self.sites.get(site).into_iter().flatten().any(|old| {
            old.secure
                && !old.is_expired(now)
                && old.name == new.name
                && (domain_match(&old.domain, &new.domain) || domain_match(&new.domain, &old.domain))
                && path_match(&new.path, &old.path)
        })
    }

    fn put(&mut self, site: &str, mut cookie: Cookie, now: Option<SystemTime>) {
        self.tick += 1;
        self.changes += 1;
        (cookie.created, cookie.used) = (self.tick, self.tick);
        if !self.sites.contains_key(site) {
            self.sites.insert(site.into(), Vec::new());
        }
        let kept = self.sites.get_mut(site).expect("invariant: the site was put in above");
        if let Some(old) = kept.iter_mut().find(|old| old.same_place(&cookie)) {
            cookie.created = old.created;
            *old = cookie;
            return;
        }
        kept.push(cookie);
        self.len += 1;
        if kept.len() > MAX_PER_SITE {
            self.shrink_site(site, now);
        }
        if self.len > MAX_ALL {
            self.shrink_all(now);
        }
    }

    fn shrink_site(&mut self, site: &str, now: Option<SystemTime>) {
        if now.is_some_and(|now| self.take_out(site, |cookie| cookie.is_expired(now)) > 0) {
            return;
        }
        // Secure ones last: what a plain http response sets must not push them out.
        let victim = self.sites.get(site).into_iter().flatten().min_by_key(|c| (c.secure, c.used)).map(|c| c.used);
        self.take_out(site, |cookie| Some(cookie.used) == victim);
    }

    fn shrink_all(&mut self, now: Option<SystemTime>) {
        if let Some(now) = now {
            self.take_out_anywhere(|cookie| cookie.is_expired(now));
        }
        if self.len > MAX_ALL {
            // Several at once: looking at all of them for each new one would be dear.
            let mut uses: Vec<u64> = self.sites.values().flatten().map(|cookie| cookie.used).collect();
            let (_, last, _) = uses.select_nth_unstable(MAX_ALL / 20);
            let last = *last;
            self.take_out_anywhere(|cookie| cookie.used <= last);
        }
    }

    fn take_out_anywhere(&mut self, unwanted: impl Fn(&Cookie) -> bool) {
        let sites: Vec<Box<str>> = self.sites.keys().cloned().collect();
        for site in sites {
            self.take_out(&site, &unwanted);
        }
    }

    fn take_out(&mut self, site: &str, mut unwanted: impl FnMut(&Cookie) -> bool) -> usize {
        let Some(kept) = self.sites.get_mut(site) else { return 0 };
        let before = kept.len();
        kept.retain(|cookie| !unwanted(cookie));
        let gone = before - kept.len();
        if kept.is_empty() {
            self.sites.remove(site);
        }
        self.len -= gone;
        self.changes += gone as u64;
        gone
    }
}

/// Shows each cookie without its value.
impl fmt::Debug for Jar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
