//! A proxy's address: scheme, host, port and credentials. It has no path and no query, and never shows its password.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::{Host, Url};

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxyScheme {
    /// `http`: requests for http in absolute form, tunnels by CONNECT for https.
    Http,
    /// `https`: the same inside TLS to the proxy.
    Https,
    /// `socks4`: SOCKS 4 with addresses; names are looked up here. IPv4 only, a user name and no password.
    Socks4,
    /// `socks4a`: SOCKS 4 with names; the proxy looks them up. IPv4 only, a user name and no password.
    Socks4a,
    /// `socks5`: SOCKS 5 (RFC 1928); names are looked up here.
    Socks5,
    /// `socks5h`: SOCKS 5; the proxy looks names up.
    Socks5h,
}

impl ProxyScheme {
    /// As it stands in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            ProxyScheme::Http => "http",
            ProxyScheme::Https => "https",
            ProxyScheme::Socks4 => "socks4",
            ProxyScheme::Socks4a => "socks4a",
            ProxyScheme::Socks5 => "socks5",
            ProxyScheme::Socks5h => "socks5h",
        }
    }

    /// The port where a URL names none: 80, 443, and 1080 for SOCKS. curl takes 1080 for http too.
    pub const fn default_port(self) -> u16 {
        match self {
            ProxyScheme::Http => 80,
            ProxyScheme::Https => 443,
            ProxyScheme::Socks4 | ProxyScheme::Socks4a | ProxyScheme::Socks5 | ProxyScheme::Socks5h => 1080,
        }
    }

    /// Whether it speaks HTTP: a plain http request then needs no tunnel.
    pub const fn is_http(self) -> bool {
        matches!(self, ProxyScheme::Http | ProxyScheme::Https)
    }
}

/// Who we are to a proxy. Never shown.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyCredentials {
    /// The user's name.
    pub user: String,
    /// The password; may be empty.
    #[serde(default)]
    pub password: String,
}

impl fmt::Debug for ProxyCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyCredentials(***)")
    }
}

/// The URL of a proxy: `[scheme://][user:password@]host[:port]`, the scheme `http` where there is none.
///
/// Shown and written by serde without its credentials.
///
/// ```
/// use gannet_core::proxy::ProxyUrl;
/// let proxy: ProxyUrl = "socks5h://me:secret@proxy.example".parse()?;
/// assert_eq!((proxy.port(), proxy.to_string()), (1080, "socks5h://proxy.example:1080".to_owned()));
/// # Ok::<(), gannet_core::proxy::ProxyUrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ProxyUrl {
    scheme: ProxyScheme,
    host: Host<String>,
    port: u16,
    credentials: Option<ProxyCredentials>,
}

impl ProxyUrl {
    /// How it is spoken to.
    pub fn scheme(&self) -> ProxyScheme {
        self.scheme
    }

    /// Its host, in the one spelling that hosts are compared in.
    pub fn host(&self) -> Host<&str> {
        match &self.host {
            Host::Domain(name) => Host::Domain(name),
            Host::Ipv4(ip) => Host::Ipv4(*ip),
            Host::Ipv6(ip) => Host::Ipv6(*ip),
        }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The credentials that stood in the URL, percent-decoded.
    pub fn credentials(&self) -> Option<&ProxyCredentials> {
        self.credentials.as_ref()
    }

    /// The same proxy with these credentials.
    #[must_use]
    pub fn with_credentials(mut self, credentials: ProxyCredentials) -> Self {
        self.credentials = Some(credentials);
        self
    }
}

impl FromStr for ProxyUrl {
    type Err = ProxyUrlError;

    fn from_str(text: &str) -> Result<Self, ProxyUrlError> {
        // The URL parser would pass over them in silence.
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(ProxyUrlError::Control);
        }
        let text = text.trim();
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&with_scheme).map_err(|error| ProxyUrlError::Url(error.to_string()))?;
        let scheme = match url.scheme() {
            "http" => ProxyScheme::Http,
            "https" => ProxyScheme::Https,
            "socks4" => ProxyScheme::Socks4,
            "socks4a" => ProxyScheme::Socks4a,
            "socks5" => ProxyScheme::Socks5,
            "socks5h" => ProxyScheme::Socks5h,
            other => return Err(ProxyUrlError::Scheme(other.to_owned())),
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(ProxyUrlError::Path);
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        // Of schemes that it does not know the parser leaves the host as it was written.
        let host = Host::parse(&decoded(url.host_str().filter(|host| !host.is_empty()).ok_or(ProxyUrlError::NoHost)?))
            .map_err(|error| ProxyUrlError::Url(error.to_string()))?;
        let port = url.port().unwrap_or(scheme.default_port());
        let credentials = (!url.username().is_empty() || url.password().is_some()).then(|| ProxyCredentials {
            user: decoded(url.username()),
            password: decoded(url.password().unwrap_or_default()),
        });
        Ok(ProxyUrl { scheme, host, port, credentials })
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme.as_str(), self.host, self.port)
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ProxyUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ProxyUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What is wrong with a proxy's URL; never says what stood in it beyond its scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyUrlError {
    /// It is no URL.
    Url(String),
    /// No scheme of a proxy.
    Scheme(String),
    /// It has no host.
    NoHost,
    /// It has a path, a query or a fragment.
    Path,
    /// It holds a control character.
    Control,
}

impl fmt::Display for ProxyUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProxyUrlError::Url(why) => write!(f, "not the URL of a proxy: {why}"),
            ProxyUrlError::Scheme(scheme) => {
                write!(f, "no proxy is spoken to by {scheme:?}; use http, https, socks5, socks5h, socks4 or socks4a")
            }
            ProxyUrlError::NoHost => f.write_str("the URL of a proxy needs a host"),
            ProxyUrlError::Path => f.write_str("the URL of a proxy has no path, query or fragment"),
            ProxyUrlError::Control => f.write_str("the URL of a proxy holds a control character"),
        }
    }
}

impl std::error::Error for ProxyUrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, ProxyUrlError> {
        let proxy: ProxyUrl = text.parse()?;
        let credentials = proxy.credentials().map(|c| format!(" as {}:{}", c.user, c.password)).unwrap_or_default();
        Ok(format!("{proxy}{credentials}"))
    }

    #[test]
    fn schemes_hosts_ports_and_credentials_are_read() {
        for (text, wanted) in [
            ("proxy", "http://proxy:80"),
            ("proxy:3128", "http://proxy:3128"),
            ("me:pw@proxy:3128", "http://proxy:3128 as me:pw"),
            (" http://Proxy.Example/ ", "http://proxy.example:80"),
            ("https://proxy", "https://proxy:443"),
            ("https://proxy:80", "https://proxy:80"),
            ("socks5://127.0.0.1", "socks5://127.0.0.1:1080"),
            ("socks5://127.1:80", "socks5://127.0.0.1:80"),
            ("SOCKS5H://[::1]:9050", "socks5h://[::1]:9050"),
            ("socks4://proxy", "socks4://proxy:1080"),
            ("socks4a://BÜCHER.example", "socks4a://xn--bcher-kva.example:1080"),
            ("[::1]:3128", "http://[::1]:3128"),
            ("http://u%40x:p%3Aw%20@proxy", "http://proxy:80 as u@x:p:w "),
            ("http://:pw@proxy", "http://proxy:80 as :pw"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused() {
        for text in [
            "",
            "http://",
            "ftp://proxy",
            "socks6://proxy",
            "socks5://",
            "http://proxy/path",
            "http://proxy?q",
            "http://proxy#f",
            "http://pro\r\nxy",
            "proxy:99999",
            "http://evil%2Fhost",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_password_is_never_shown_and_never_written() {
        let proxy: ProxyUrl = serde_json::from_str(r#""http://me:sesame@proxy:3128""#).unwrap();
        let shown = format!("{proxy} {proxy:?} {:?} {}", proxy.credentials(), serde_json::to_string(&proxy).unwrap());
        assert!(!shown.contains("sesame") && !shown.contains("me:"), "{shown}");
        assert_eq!(serde_json::to_string(&proxy).unwrap(), r#""http://proxy:3128""#);
    }
}
