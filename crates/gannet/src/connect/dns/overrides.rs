//! What the options say of names: addresses in place of a lookup.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use url::Host;

use crate::error::{Error, Result};
use crate::options::DnsOverride;

/// Names without their dot at the end, the way the URL parser writes them; `*` for all.
pub(super) struct Overrides {
    names: HashMap<Box<str>, Vec<Entry>>,
}

/// Of one port or of all, and what is connected to.
type Entry = (Option<u16>, Arc<[IpAddr]>);

impl Overrides {
    /// # Errors
    /// Kind `request`: a host that is no name, or no address.
    pub(super) fn new(options: &[DnsOverride]) -> Result<Self> {
        let mut names: HashMap<_, Vec<_>> = HashMap::new();
        for DnsOverride { host, port, addresses } in options {
            let bad = |why: &str| Error::request(format!("dns.overrides: {host:?}: {why}"));
            let name = match Host::parse(host) {
                _ if host == "*" => host.clone(),
                Ok(Host::Domain(name)) => name,
                Ok(_) => return Err(bad("an address is not looked up")),
                Err(error) => return Err(bad(&error.to_string())),
            };
            if addresses.is_empty() {
                return Err(bad("no address is given"));
            }
            names.entry(bare(&name).into()).or_default().push((*port, addresses.as_slice().into()));
        }
        Ok(Overrides { names })
    }

    /// A name's own entries come before those of `*`; among them, what was said last holds.
    pub(super) fn get(&self, name: &str, port: u16) -> Option<Arc<[IpAddr]>> {
        if self.names.is_empty() {
            return None;
        }
        let fits = |of: &Option<u16>| of.is_none_or(|of| of == port);
        [bare(name), "*"].into_iter().find_map(|name| {
            let entries = self.names.get(name)?;
            entries.iter().rev().find(|(of, _)| fits(of)).map(|(_, addresses)| addresses.clone())
        })
    }
}

fn bare(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overrides(texts: &[&str]) -> Overrides {
        let options: Vec<DnsOverride> = texts.iter().map(|text| text.parse().unwrap()).collect();
        Overrides::new(&options).unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_comes_before_the_star_and_the_last_word_holds() {
        let overrides =
            overrides(&["*:80:10.0.0.9", "a.test:80:10.0.0.1", "A.test.:80:10.0.0.2,[::2]", "a.test:*:10.0.0.3"]);
        let got = |name, port| overrides.get(name, port).map(|ips| ips.to_vec());
        assert_eq!(got("a.test", 80), Some(vec![ip("10.0.0.3")]));
        assert_eq!(got("a.test.", 443), Some(vec![ip("10.0.0.3")]));
        assert_eq!(got("b.test", 80), Some(vec![ip("10.0.0.9")]));
        assert_eq!(got("b.test", 443), None);
    }

    #[test]
    fn item_28_an_override_means_its_host_in_every_spelling() {
        let overrides = overrides(&["B\u{fc}cher.TEST.:80:10.0.0.1,[::2]"]);
        assert_eq!(overrides.get("xn--bcher-kva.test", 80).unwrap().to_vec(), [ip("10.0.0.1"), ip("::2")]);
    }

    #[test]
    fn what_is_no_override_is_refused() {
        for text in ["", "a.test", "a.test:80", "a.test:80:", "a.test:x:10.0.0.1", "a.test:80:b", ":80:10.0.0.1"] {
            assert!(text.parse::<DnsOverride>().is_err(), "{text}");
        }
        for text in ["127.0.0.1:80:10.0.0.1", "a b:80:10.0.0.1"] {
            assert!(Overrides::new(&[text.parse().unwrap()]).is_err(), "{text}");
        }
    }
}
