//! The list of hosts that are asked without a proxy: what curl, Go and Python read from NO_PROXY, with curl's answer
//! where they differ. Only what stands in the URL is compared; no name is looked up for it.
//!
//! Names are compared in the URL parser's spelling, without trailing dots. An address is never a name: what stands
//! behind the `%` of an IPv6 zone must not match a suffix.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Host;

/// Hosts that are asked directly, separated by commas or blanks.
///
/// `*` is every host. `example.com`, `.example.com` and `*.example.com` are that name and all below it. Addresses
/// (`10.0.0.1`, `::1`) and networks (`10.0.0.0/8`) hold for hosts written as addresses. All but networks may have
/// a port (`example.com:8080`, `[::1]:80`), and hold for that port only.
///
/// ```
/// use gannet_core::proxy::NoProxy;
/// let list: NoProxy = "localhost, .internal, 10.0.0.0/8".parse()?;
/// assert!(list.contains(&url::Host::Domain("api.internal"), 443));
/// assert!(!list.contains(&url::Host::Domain("example.com"), 443));
/// # Ok::<(), gannet_core::proxy::NoProxyError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    Name(Box<str>),
    Network { address: IpAddr, bits: u8 },
}

impl NoProxy {
    /// Every host.
    pub fn all() -> Self {
        NoProxy { entries: vec![Entry { hosts: Hosts::All, port: None }] }
    }

    /// Reads a list and passes over what it cannot read: an environment variable was written for other programs too.
    pub fn lenient(text: &str) -> Self {
        NoProxy { entries: parts(text).filter_map(Entry::read).collect() }
    }

    /// Whether nothing stands in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a request to this host and port goes without a proxy.
    pub fn contains(&self, host: &Host<&str>, port: u16) -> bool {
        self.entries.iter().any(|entry| entry.port.is_none_or(|own| own == port) && entry.hosts.contain(host))
    }
}

impl FromStr for NoProxy {
    type Err = NoProxyError;

    fn from_str(text: &str) -> Result<Self, NoProxyError> {
        let read = |part| Entry::read(part).ok_or_else(|| NoProxyError(part.to_owned()));
        Ok(NoProxy { entries: parts(text).map(read).collect::<Result<_, _>>()? })
    }
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_whitespace()).filter(|part| !part.is_empty())
}

impl Entry {
    fn read(text: &str) -> Option<Entry> {
        if let Some((address, bits)) = text.split_once('/') {
            let address: IpAddr = address.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
            let bits: u8 = bits.parse().ok()?;
            return (bits <= width(address)).then_some(Entry { hosts: Hosts::network(address, bits), port: None });
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Entry { hosts: Hosts::network(address, width(address)), port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            // A colon inside brackets is the address's.
            Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok()?)),
            _ => (text, None),
        };
        Some(Entry { hosts: Hosts::read(host)?, port })
    }
}

impl Hosts {
    fn read(text: &str) -> Option<Hosts> {
        if text == "*" {
            return Some(Hosts::All);
        }
        let name = text.strip_prefix('*').unwrap_or(text);
        let name = name.strip_prefix('.').unwrap_or(name);
        Some(match Host::parse(name).ok()? {
            Host::Domain(name) => Hosts::Name(bare(&name).filter(|name| is_name(name))?.into()),
            Host::Ipv4(ip) => Hosts::network(ip.into(), 32),
            Host::Ipv6(ip) => Hosts::network(ip.into(), 128),
        })
    }

    fn network(address: IpAddr, bits: u8) -> Hosts {
        match address {
            // ::ffff:10.0.0.0/104 is 10.0.0.0/8.
            IpAddr::V6(six) if bits >= 96 && six.to_ipv4_mapped().is_some() => {
                Hosts::Network { address: address.to_canonical(), bits: bits - 96 }
            }
            _ => Hosts::Network { address, bits },
        }
    }

    fn contain(&self, host: &Host<&str>) -> bool {
        match (self, host) {
            (Hosts::All, _) => true,
            (Hosts::Name(name), Host::Domain(host)) => bare(host).is_some_and(|host| is_within(host, name)),
            (Hosts::Network { address, bits }, Host::Ipv4(ip)) => is_in((*ip).into(), *address, *bits),
            (Hosts::Network { address, bits }, Host::Ipv6(ip)) => {
                // A mapped address is the IPv4 host that is reached by it.
                is_in((*ip).into(), *address, *bits) || is_in(IpAddr::from(*ip).to_canonical(), *address, *bits)
            }
            _ => false,
        }
    }
}

/// A name without the dot of the root.
fn bare(name: &str) -> Option<&str> {
    Some(name.strip_suffix('.').unwrap_or(name)).filter(|name| !name.is_empty())
}

/// Whether every label holds something, and none stands for any. A comma (`%2c`, and wide ones) would make it two entries
/// where the list is written down and read again.
fn is_name(name: &str) -> bool {
    name.split('.').all(|label| !label.is_empty()) && !name.contains(['*', ','])
}

/// Whether `host` is `name` or below it.
fn is_within(host: &str, name: &str) -> bool {
    let Some(at) = host.len().checked_sub(name.len()) else { return false };
    // By bytes: a name of the list's length need not begin between two characters.
    let (above, rest) = host.as_bytes().split_at(at);
    rest.eq_ignore_ascii_case(name.as_bytes()) && (above.is_empty() || above.ends_with(b"."))
}

fn is_in(ip: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            let differ = u32::from(ip) ^ u32::from(network);
            bits == 0 || differ.leading_zeros() >= u32::from(bits)
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            let differ = u128::from(ip) ^ u128::from(network);
            bits == 0 || differ.leading_zeros() >= u32::from(bits)
        }
        _ => false,
    }
}

const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl fmt::Display for NoProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, Entry { hosts, port }) in self.entries.iter().enumerate() {
            f.write_str(if number > 0 { "," } else { "" })?;
            match (hosts, port) {
                (Hosts::All, _) => f.write_str("*")?,
                (Hosts::Name(name), _) => f.write_str(name)?,
                (Hosts::Network { address: IpAddr::V6(ip), .. }, Some(_)) => write!(f, "[{ip}]")?,
                (Hosts::Network { address, bits }, _) if *bits == width(*address) => write!(f, "{address}")?,
                (Hosts::Network { address, bits }, _) => write!(f, "{address}/{bits}")?,
            }
            if let Some(port) = port {
                write!(f, ":{port}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for NoProxy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NoProxy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A part of the list that is neither a name, an address nor a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoProxyError(String);

impl fmt::Display for NoProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = &self.0;
        write!(f, "{part:?} is no host to ask directly: write example.com, 10.0.0.1, 10.0.0.0/8, host:port or *")
    }
}

impl std::error::Error for NoProxyError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(list: &str, url: &str) -> bool {
        let url = url::Url::parse(url).unwrap();
        let list: NoProxy = list.parse().unwrap();
        list.contains(&url.host().unwrap(), url.port_or_known_default().unwrap())
    }

    #[test]
    fn item_12_hosts_of_the_list_and_others() {
        for (list, url, wanted) in [
            // Exact, and below.
            ("example.com", "http://example.com/", true),
            ("example.com", "https://a.b.example.com/", true),
            ("example.com", "http://notexample.com/", false),
            ("example.com", "http://example.com.evil/", false),
            ("example.com", "http://com/", false),
            (".example.com", "http://a.example.com/", true),
            (".example.com", "http://example.com/", true),
            ("*.example.com", "http://a.example.com/", true),
            (".example.com", "http://aexample.com/", false),
            // Case, trailing dots, other dots and other letters.
            ("EXAMPLE.com", "http://Example.COM/", true),
            ("example.com.", "http://example.com/", true),
            ("example.com", "http://example.com./", true),
            ("example.com", "http://example。com/", true),
            ("bücher.example", "http://xn--bcher-kva.example/", true),
            // Ports.
            ("example.com:8080", "http://example.com:8080/", true),
            ("example.com:8080", "http://a.example.com:8080/", true),
            ("example.com:8080", "http://example.com/", false),
            ("example.com:443", "https://example.com/", true),
            ("10.0.0.1:80", "http://10.0.0.1/", true),
            ("10.0.0.1:80", "https://10.0.0.1/", false),
            ("[::1]:80", "http://[::1]/", true),
            ("[::1]:80", "http://[::1]:81/", false),
            ("*:8080", "http://anything:8080/", true),
            ("*:8080", "http://anything/", false),
            // Addresses and networks.
            ("127.0.0.1", "http://127.0.0.1:99/", true),
            ("127.0.0.1", "http://127.1/", true),
            ("127.0.0.1", "http://2130706433/", true),
            ("127.0.0.1", "http://127.0.0.2/", false),
            ("::1", "http://[::1]/", true),
            ("[::1]", "http://[0:0:0:0:0:0:0:1]/", true),
            ("10.0.0.0/8", "http://10.255.3.4/", true),
            ("10.0.0.0/8", "http://11.0.0.1/", false),
            ("10.1.2.3/8", "http://10.9.9.9/", true),
            ("192.168.1.128/25", "http://192.168.1.127/", false),
            ("0.0.0.0/0", "http://8.8.8.8/", true),
            ("0.0.0.0/0", "http://[2001:db8::1]/", false),
            ("2001:db8::/32", "http://[2001:db8:ffff::1]/", true),
            ("2001:db8::/32", "http://[2001:db9::1]/", false),
            ("10.0.0.0/8", "http://[::ffff:10.1.1.1]/", true),
            ("::ffff:10.0.0.0/104", "http://10.1.1.1/", true),
            // A name is no address, and an address no name.
            ("10.0.0.0/8", "http://a.10.example/", false),
            ("1", "http://0.0.0.1/", true),
            ("example.com", "http://[::1]/", false),
            // Lists.
            ("*", "http://anything/", true),
            ("*", "http://[::1]/", true),
            ("", "http://anything/", false),
            (" a.test ,, b.test\tc.test", "http://c.test/", true),
            ("a.test b.test", "http://b.test/", true),
        ] {
            assert_eq!(holds(list, url), wanted, "{list:?} {url}");
        }
    }

    #[test]
    fn item_12_a_zone_is_no_name() {
        for entry in ["::1%.example.com", "[::1%25.example.com]", "fe80::1%eth0", "[fe80::1%25eth0]:80"] {
            assert!(entry.parse::<NoProxy>().is_err(), "{entry}");
            assert!(NoProxy::lenient(entry).is_empty(), "{entry}");
        }
        assert!(url::Url::parse("http://[::1%25.example.com]/").is_err(), "no URL with a zone comes this far");
    }

    #[test]
    fn what_is_no_host_is_an_error_or_passed_over() {
        for part in [
            "10.0.0.0/33",
            "::/129",
            "a.test/8",
            "example.com:port",
            "exa mple:x",
            "a*b",
            "a.*.b",
            "**",
            "..a",
            "a..",
            "a..b",
            "a%2cb.test",
            "a，b.test",
            "[::1",
        ] {
            assert!(part.parse::<NoProxy>().is_err(), "{part}");
        }
        let list = NoProxy::lenient("10.0.0.0/33, example.com, a.test/8");
        assert_eq!(list.to_string(), "example.com");
    }

    #[test]
    fn a_list_reads_back_as_it_was() {
        let text = "*,example.com:80,10.0.0.0/8,10.0.0.1,::1,[::1]:80,2001:db8::/32";
        let list: NoProxy = text.parse().unwrap();
        assert_eq!(list.to_string(), text);
        let json = serde_json::to_string(&list).unwrap();
        assert_eq!(serde_json::from_str::<NoProxy>(&json).unwrap(), list);
    }
}
