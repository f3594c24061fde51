//! Which addresses are connected to: of which IP version, those given in place of a lookup, those that are denied.

use std::net::IpAddr;
use std::str::FromStr;

use gannet_core::address::Network;
use serde::{Deserialize, Serialize};

/// Of which IP version addresses are used; the others of a host are as if it had none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum IpVersion {
    /// Both (`any`); the default.
    #[default]
    #[serde(rename = "any")]
    Any,
    /// IPv4 alone (`4`).
    #[serde(rename = "4")]
    V4,
    /// IPv6 alone (`6`).
    #[serde(rename = "6")]
    V6,
}

/// Addresses of a host that are used without a lookup.
///
/// Its text form is curl's, `host:port:address[,address]`, an IPv6 address with or without brackets. The URL, the Host
/// field and the name that a certificate is for stay as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnsOverride {
    /// The name in any spelling a URL may have; `*` for every name that has no entry of its own.
    pub host: String,
    /// For this port alone; for all if there is none (`*` in text).
    #[serde(default)]
    pub port: Option<u16>,
    /// What is connected to, in this order; at least one.
    pub addresses: Vec<IpAddr>,
}

impl FromStr for DnsOverride {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("{text:?} is no override: write host:port:address[,address], * for any host or port");
        let mut parts = text.splitn(3, ':');
        let (Some(host), Some(port), Some(addresses)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(refused());
        };
        let port = match port {
            "*" => None,
            port => Some(port.parse().map_err(|_| refused())?),
        };
        let address = |text: &str| {
            let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
            bare.unwrap_or(text).parse().map_err(|_| refused())
        };
        let addresses: Vec<IpAddr> = addresses.split(',').map(address).collect::<Result<_, String>>()?;
        if host.is_empty() { Err(refused()) } else { Ok(DnsOverride { host: host.to_owned(), port, addresses }) }
    }
}

/// Where requests must not lead: for programs that fetch URLs of strangers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Guard {
    /// Connect only to public addresses; off. Judged is the address that is connected to, in that moment: of a name,
    /// of an IP address in the URL, of every redirect. Refused are this machine's own addresses, loopback, private,
    /// link-local and carrier-grade NAT addresses, everything reserved, and IPv6 addresses that hold an IPv4 one (NAT64,
    /// 6to4, Teredo, v4-mapped). A name that also has public addresses is reached by those. If none is left the error's
    /// kind is [`crate::ErrorKind::Denied`]. Through a proxy only `socks5` and `socks4` are used, which are given
    /// addresses: one that looks names up itself is refused with the same kind. Cannot go together with
    /// `connections.unix_socket`.
    pub deny_private: bool,
    /// Networks that may be connected to all the same: `10.1.0.0/16`, or an address alone; none.
    pub allow: Vec<Network>,
}
