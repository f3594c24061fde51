//! Which proxy a request goes through: chosen by the URL of the hop that is about to be made, and nothing else.

use url::Url;

use super::{NoProxy, ProxyUrl};

/// The proxies for http and for https, and the hosts that are asked without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyRules<P = ProxyUrl> {
    /// For URLs of the scheme http.
    pub http: Option<P>,
    /// For URLs of the scheme https.
    pub https: Option<P>,
    /// Hosts that are asked directly.
    pub no_proxy: NoProxy,
}

impl<P> ProxyRules<P> {
    /// The proxy for this URL; `None` to ask its host directly.
    pub fn choose(&self, url: &Url) -> Option<&P> {
        let proxy = if url.scheme() == "https" { self.https.as_ref() } else { self.http.as_ref() }?;
        let (host, port) = (url.host()?, url.port_or_known_default()?);
        (!self.no_proxy.contains(&host, port)).then_some(proxy)
    }

    /// Whether no request goes through a proxy.
    pub fn is_empty(&self) -> bool {
        self.http.is_none() && self.https.is_none()
    }

    /// The same rules over what becomes of each proxy.
    pub fn map<Q>(self, mut change: impl FnMut(P) -> Q) -> ProxyRules<Q> {
        ProxyRules { http: self.http.map(&mut change), https: self.https.map(&mut change), no_proxy: self.no_proxy }
    }
}

impl<P> Default for ProxyRules<P> {
    fn default() -> Self {
        ProxyRules { http: None, https: None, no_proxy: NoProxy::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_chooses_and_the_list_excepts() {
        let rules = ProxyRules { http: Some("h"), https: Some("s"), no_proxy: ".internal:443".parse().unwrap() };
        let chosen = |url: &str| rules.choose(&Url::parse(url).unwrap()).copied();
        assert_eq!(chosen("http://a.test/"), Some("h"));
        assert_eq!(chosen("https://a.test/"), Some("s"));
        assert_eq!(chosen("https://x.internal/"), None);
        assert_eq!(chosen("http://x.internal/"), Some("h"));
        assert!(ProxyRules::<&str>::default().is_empty() && !rules.is_empty());
    }
}
