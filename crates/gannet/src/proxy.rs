//! The session's proxies as they are used: what each is told, how its connections are told apart in the pool, and
//! what a failed one is called.
//!
//! What is meant for a proxy (its credentials, its header fields) lives here and nowhere in a request, so that it
//! can reach neither an origin nor the next hop's proxy.

use std::fmt::{self, Write};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, OnceLock};

use gannet_core::auth::basic;
use gannet_core::proxy::{ProxyCredentials, ProxyRules, ProxyUrl, ProxyUrlError, TunnelError};
use gannet_core::{ErrorKind, Headers, Phase};

use crate::error::{Error, Result};
use crate::options::{self, HttpVersion};
use crate::request::append;

/// One proxy, ready for use.
pub(crate) struct ProxyServer {
    url: ProxyUrl,
    /// Its host as text.
    name: Box<str>,
    /// Told to a proxy that speaks SOCKS.
    credentials: Option<ProxyCredentials>,
    /// Told to a proxy that speaks HTTP, its Proxy-Authorization among them.
    fields: Headers,
    /// In the pool's names: the proxy, and which identity we have there.
    mark: Box<str>,
}

/// What one request says about proxies, in place of its session.
#[derive(Clone, Debug)]
pub(crate) enum OwnProxy {
    Direct,
    Through(Arc<ProxyServer>),
}

impl OwnProxy {
    /// The proxy of this URL, with the credentials that stand in it.
    ///
    /// # Errors
    /// Kind `request`: no proxy's URL.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let url: ProxyUrl = url.parse().map_err(|error: ProxyUrlError| Error::request(error.to_string()))?;
        Ok(OwnProxy::Through(Arc::new(ProxyServer::new(url, None, &Headers::new())?)))
    }
}

pub(crate) type Proxies = ProxyRules<Arc<ProxyServer>>;

impl ProxyServer {
    /// A proxy that is told these fields, beside the credentials: those given, or else those of its URL.
    pub(crate) fn new(url: ProxyUrl, credentials: Option<&ProxyCredentials>, fields: &Headers) -> Result<Self> {
        let credentials = credentials.or(url.credentials()).cloned();
        let mut all = fields.clone();
        // They belong to the single request, whoever it is sent to.
        for name in ["host", "content-length", "transfer-encoding"] {
            all.remove(name);
        }
        if let Some(ProxyCredentials { user, password }) = credentials.as_ref().filter(|_| url.scheme().is_http()) {
            all.remove(AUTHORIZATION);
            append(&mut all, AUTHORIZATION, basic(user, password).as_bytes(), true)?;
        }
        let mark = mark(&url, credentials.as_ref(), &all).into();
        let name = url.host().to_string().into();
        Ok(ProxyServer { url, name, credentials, fields: all, mark })
    }

    pub(crate) fn url(&self) -> &ProxyUrl {
        &self.url
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn credentials(&self) -> Option<&ProxyCredentials> {
        self.credentials.as_ref()
    }

    /// What goes to this proxy and to nobody else.
    pub(crate) fn fields(&self) -> &Headers {
        &self.fields
    }

    /// Whether a request for a URL of this scheme is sent to the proxy itself, in absolute form, with no tunnel. What
    /// is said to a proxy is HTTP/1.1, so that HTTP/2 alone always needs a tunnel.
    pub(crate) fn is_forwarding(&self, is_https: bool, version: HttpVersion) -> bool {
        self.url.scheme().is_http() && !is_https && version != HttpVersion::Http2PriorKnowledge
    }

    /// The pool's name of connections to this origin through this proxy. Those on which requests are forwarded lead
    /// to the proxy whatever the origin, and are shared; a tunnel leads to one origin.
    pub(crate) fn pool_name(&self, origin: &str, forwards: bool) -> String {
        if forwards { self.mark.to_string() } else { format!("{origin} {}", self.mark) }
    }

    /// The failure of a connection to the proxy itself: it is named, and the origin is not to blame.
    pub(crate) fn unreached(&self, error: Error) -> Error {
        let message = format!("the proxy {}: {}", self.url, error.bare_message());
        error.with_message(message).with_phase(Phase::Proxy)
    }

    /// It took too long on the way through it.
    pub(crate) fn timed_out(&self, error: Error) -> Error {
        let message = format!("{}, by the proxy {}", error.bare_message(), self.url);
        error.with_message(message)
    }

    /// A tunnel that was not opened.
    pub(crate) fn refused(&self, error: TunnelError) -> Error {
        let message = format!("the proxy {} {error}", self.url);
        Error::new(error.kind(), Phase::Tunnel, message).with_proxy_status(error.status())
    }

    /// The connection broke while the tunnel was asked for.
    pub(crate) fn broke(&self, error: std::io::Error) -> Error {
        let message = format!("the connection to the proxy {} broke before the tunnel was open", self.url);
        Error::io(ErrorKind::Connect, Phase::Tunnel, "", error).with_message(message)
    }
}

impl fmt::Debug for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.url, f)
    }
}

/// The session's rules; `None` where no request goes through a proxy. The environment is read here, once.
pub(crate) fn rules(options: &options::Proxy) -> Result<Option<Proxies>> {
    let variable = |name: &str| std::env::var(name).ok();
    let read = match (options.from_env, &options.url) {
        (false, _) => Ok(ProxyRules::default()),
        (true, None) => ProxyRules::from_variables(variable),
        (true, Some(_)) => {
            ProxyRules::from_variables(|name| variable(name).filter(|_| name.eq_ignore_ascii_case("no_proxy")))
        }
    };
    let mut rules = read.map_err(|error| Error::request(error.to_string()))?;
    if let Some(url) = &options.url {
        (rules.http, rules.https) = (Some(url.clone()), Some(url.clone()));
    }
    if let Some(list) = &options.no_proxy {
        rules.no_proxy = list.clone();
    }
    if rules.is_empty() {
        return Ok(None);
    }
    let made = |url: Option<ProxyUrl>| -> Result<_> {
        let server = |url| ProxyServer::new(url, options.credentials.as_ref(), &options.headers).map(Arc::new);
        url.map(server).transpose()
    };
    Ok(Some(ProxyRules { http: made(rules.http)?, https: made(rules.https)?, no_proxy: rules.no_proxy }))
}

/// Proxies with other credentials or fields must not share connections, and the pool's names are counters' names
/// too: secrets go in as a hash under keys of this process, 128 bits of it.
fn mark(url: &ProxyUrl, credentials: Option<&ProxyCredentials>, fields: &Headers) -> String {
    static KEYS: OnceLock<[RandomState; 2]> = OnceLock::new();
    let mut mark = format!("via {url}");
    if credentials.is_some() || !fields.is_empty() {
        let fields: Vec<_> = fields.iter().collect();
        mark.push('#');
        for key in KEYS.get_or_init(Default::default) {
            let _ = write!(mark, "{:016x}", key.hash_one((credentials, &fields)));
        }
    }
    mark
}

/// Never sent to an origin where proxies are in play.
pub(crate) const AUTHORIZATION: &str = "proxy-authorization";

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str, user: Option<&str>) -> ProxyServer {
        let credentials = user.map(|user| ProxyCredentials { user: user.to_owned(), password: "sesame".to_owned() });
        ProxyServer::new(url.parse().unwrap(), credentials.as_ref(), &Headers::new()).unwrap()
    }

    fn name(server: &ProxyServer, url: &str) -> String {
        let forwards = server.is_forwarding(url.starts_with("https:"), HttpVersion::Auto);
        server.pool_name("origin", forwards)
    }

    #[test]
    fn item_14_each_proxy_and_each_identity_there_has_its_own_connections() {
        let all = [
            server("http://proxy:1", None),
            server("http://proxy:2", None),
            server("https://proxy:1", None),
            server("http://proxy:1", Some("a")),
            server("http://proxy:1", Some("b")),
            server("http://a:other@proxy:1", None),
            server("socks5://proxy:1", None),
            server("socks5h://proxy:1", Some("a")),
        ];
        let mut names: Vec<_> = all.iter().map(|server| name(server, "https://h/")).collect();
        assert!(!names.concat().contains("sesame"));
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all.len());
        assert_eq!(name(&all[3], "https://h/"), name(&server("http://a:sesame@proxy:1", None), "https://h/"));
        let mut fields = Headers::new();
        fields.append_secret("x-tenant", "sesame").unwrap();
        let other = ProxyServer::new("http://proxy:1".parse().unwrap(), None, &fields).unwrap();
        assert!(!names.contains(&name(&other, "https://h/")));
    }

    #[test]
    fn forwarded_requests_share_connections_and_tunnels_do_not() {
        let (http, socks) = (server("http://proxy", None), server("socks5h://proxy", None));
        assert_eq!(name(&http, "http://h/"), "via http://proxy:80");
        assert_eq!(name(&http, "https://h/"), "origin via http://proxy:80");
        assert_eq!(name(&socks, "http://h/"), "origin via socks5h://proxy:1080");
        assert!(!http.is_forwarding(false, HttpVersion::Http2PriorKnowledge));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let proxy = server("http://me:sesame@proxy", None);
        assert!(!format!("{proxy:?} {}", proxy.refused(TunnelError::Status(407))).contains("sesame"));
        assert_eq!(proxy.fields().get(AUTHORIZATION), Some("Basic bWU6c2VzYW1l"));
        assert!(server("socks5://me:pw@proxy", None).fields().is_empty(), "SOCKS has its own way to say it");
    }
}
