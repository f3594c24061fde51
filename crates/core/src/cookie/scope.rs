//! Which hosts and paths a cookie belongs to: hosts in one spelling (lower case, A-labels, no trailing dot),
//! public suffixes, and the matching rules of RFC 6265bis §5.1.3 and §5.1.4. Addresses match themselves only.

use url::{Host, Url};

use super::Refused;

/// What of a URL matters to cookies.
pub(super) struct Target<'a> {
    /// Without trailing dot; the URL parser has lowered it and made it ASCII.
    pub(super) host: &'a str,
    is_ip: bool,
    /// The URL writes the host with a dot behind it.
    is_rooted: bool,
    /// Whether nobody on the way can read or change what is sent; the jar decides about loopback.
    pub(super) secure: bool,
    pub(super) path: &'a str,
}

impl<'a> Target<'a> {
    /// `None` for a URL that is neither http nor https or has no host.
    pub(super) fn of(url: &'a Url) -> Option<Self> {
        let secure = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let is_ip = !matches!(url.host()?, Host::Domain(_));
        let written = url.host_str()?;
        let host = written.trim_end_matches('.');
        let is_rooted = host.len() < written.len();
        (!host.is_empty()).then_some(Target { host, is_ip, is_rooted, secure, path: url.path() })
    }

    /// Whether it is this machine itself.
    pub(super) fn is_loopback(&self) -> bool {
        match Host::parse(self.host) {
            Ok(Host::Ipv4(ip)) => ip.is_loopback(),
            Ok(Host::Ipv6(ip)) => ip.is_loopback(),
            Ok(Host::Domain(name)) => domain_match(&name, "localhost"),
            Err(_) => false,
        }
    }

    /// The registrable domain, under which the jar keeps all cookies of a site; a host that has none stands
    /// for itself.
    pub(super) fn site(&self) -> &'a str {
        if self.is_ip { self.host } else { registrable(self.host) }
    }

    /// Whether a cookie of this domain and path is for this URL.
    pub(super) fn matches(&self, domain: &str, host_only: bool, path: &str) -> bool {
        let host = if host_only { self.host == domain } else { self.in_domain(domain) };
        host && path_match(self.path, path)
    }

    /// The domain a cookie is kept under, and whether it is for this very host only.
    ///
    /// `attribute` is the Domain attribute without its leading dot. One with a dot behind it is another name, unless
    /// the URL has that dot too (RFC 6265bis §5.1.2). Other than §5.7 asks, a domain across the
    /// border of a registrable domain is refused even where the suffix list has no rule for it by itself
    /// (`compute.amazonaws.com` beside `*.compute.amazonaws.com`), as browsers do.
    pub(super) fn scope(&self, attribute: &str) -> Result<(String, bool), Refused> {
        let mut domain = attribute.to_ascii_lowercase();
        domain.truncate(domain.trim_end_matches('.').len());
        if domain.is_empty() || (self.is_ip && domain == self.host) {
            return Ok((self.host.to_owned(), true));
        }
        if is_public_suffix(&domain) {
            let own = domain == self.host;
            return if own { Ok((domain, true)) } else { Err(Refused::PublicSuffix) };
        }
        if !self.in_domain(&domain) || (attribute.ends_with('.') && !self.is_rooted) {
            return Err(Refused::Domain);
        }
        if registrable(&domain) != registrable(self.host) {
            return Err(Refused::PublicSuffix);
        }
        Ok((domain, false))
    }

    /// The path of a cookie that names none: up to the last slash.
    pub(super) fn default_path(&self) -> &'a str {
        match self.path.rfind('/') {
            None | Some(0) => "/",
            Some(at) => &self.path[..at],
        }
    }

    fn in_domain(&self, domain: &str) -> bool {
        if self.is_ip { self.host == domain } else { domain_match(self.host, domain) }
    }
}

/// The site a cookie of this domain is kept under, as [`Target::site`].
pub(super) fn site_of(domain: &str) -> &str {
    let is_ip = domain.starts_with('[') || domain.parse::<std::net::Ipv4Addr>().is_ok();
    if is_ip { domain } else { registrable(domain) }
}

/// Whether `host` is `domain` or below it. Both in one spelling; for names, not addresses.
pub(super) fn domain_match(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Whether a request for `path` gets cookies of `cookie_path`.
pub(super) fn path_match(path: &str, cookie_path: &str) -> bool {
    path.strip_prefix(cookie_path)
        .is_some_and(|rest| rest.is_empty() || cookie_path.ends_with('/') || rest.starts_with('/'))
}

/// A name without any rule counts by its last label, so `localhost` and `internal` are suffixes as well.
pub(super) fn is_public_suffix(domain: &str) -> bool {
    psl::suffix_str(domain) == Some(domain)
}

fn registrable(host: &str) -> &str {
    psl::domain_str(host).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_match_at_slashes_only() {
        for (path, cookie_path, expected) in [
            ("/", "/", true),
            ("/a", "/", true),
            ("/a", "/a", true),
            ("/a/", "/a", true),
            ("/a/b", "/a", true),
            ("/a/b", "/a/", true),
            ("/ab", "/a", false),
            ("/a", "/a/", false),
            ("/A", "/a", false),
            ("/", "/a", false),
        ] {
            assert_eq!(path_match(path, cookie_path), expected, "{path} {cookie_path}");
        }
    }

    #[test]
    fn the_default_path_ends_before_the_last_slash() {
        for (url, expected) in [
            ("https://a.test", "/"),
            ("https://a.test/x", "/"),
            ("https://a.test/x/", "/x"),
            ("https://a.test/x/y?q=/z", "/x"),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(Target::of(&url).unwrap().default_path(), expected, "{url}");
        }
    }

    #[test]
    fn suffixes_are_found_as_a_labels_and_for_unlisted_names() {
        for (name, expected) in [
            ("com", true),
            ("co.uk", true),
            ("github.io", true),
            ("xn--55qx5d.cn", true),
            ("localhost", true),
            ("example.com", false),
            ("me.github.io", false),
            ("a.xn--55qx5d.cn", false),
        ] {
            assert_eq!(is_public_suffix(name), expected, "{name}");
        }
    }
}
