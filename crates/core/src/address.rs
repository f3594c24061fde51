//! What kind of place an IP address names: the open internet, or something of this machine, its network or a
//! registry's special use. For a guard that keeps requests from where URLs of strangers must not lead (server-side
//! request forgery). It judges addresses only; a URL's spelling of one (octal, decimal, mapped) is the URL parser's
//! to read, and a name's addresses the lookup's to find.
//!
//! Sources: the IANA special-purpose registries for IPv4 and IPv6 (RFC 6890 and its updates), RFC 4291, RFC 6052.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What kind of place an address names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressClass {
    /// A host of the internet, by all that its address tells.
    Public,
    /// `0.0.0.0/8` and `::`: this host, on this network.
    Unspecified,
    /// `127.0.0.0/8` and `::1`.
    Loopback,
    /// RFC 1918, and fc00::/7 and fec0::/10.
    Private,
    /// `169.254.0.0/16`, where clouds keep their metadata, and fe80::/10.
    LinkLocal,
    /// `100.64.0.0/10`: carrier-grade NAT (RFC 6598).
    Shared,
    /// Multicast and broadcast.
    Multicast,
    /// An address that holds another one, which a gateway may make of it: v4-mapped, v4-compatible, NAT64, 6to4,
    /// Teredo. Never public, whatever stands in it.
    Translated,
    /// Documentation, benchmarks, protocol assignments, and all that nobody was given.
    Reserved,
}

impl AddressClass {
    /// The class of this address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(four) => of_four(four),
            IpAddr::V6(six) => of_six(six),
        }
    }

    /// Whether it is a host of the internet.
    pub fn is_public(self) -> bool {
        self == AddressClass::Public
    }

    /// As an adjective, for messages.
    pub fn as_str(self) -> &'static str {
        match self {
            AddressClass::Public => "public",
            AddressClass::Unspecified => "unspecified",
            AddressClass::Loopback => "loopback",
            AddressClass::Private => "private",
            AddressClass::LinkLocal => "link-local",
            AddressClass::Shared => "carrier-grade NAT",
            AddressClass::Multicast => "multicast",
            AddressClass::Translated => "translated",
            AddressClass::Reserved => "reserved",
        }
    }
}

impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A block of addresses, `10.0.0.0/8` or `fd00::/8`; an address alone is a block of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    base: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether this address is of it. A v4-mapped IPv6 address is of no IPv4 block.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(four)) => {
                let shift = 32 - u32::from(self.prefix);
                u64::from(base.to_bits()) >> shift == u64::from(four.to_bits()) >> shift
            }
            (IpAddr::V6(base), IpAddr::V6(six)) => starts_with(six, base, self.prefix),
            _ => false,
        }
    }
}

/// Why a text is no [`Network`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkError(String);

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no block of addresses: write 10.0.0.0/8, fd00::/8 or an address", self.0)
    }
}

impl std::error::Error for NetworkError {}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let refused = || NetworkError(text.to_owned());
        let (base, prefix) = match text.split_once('/') {
            Some((base, prefix)) => (base, Some(prefix)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().map_err(|_| refused())?;
        let longest = if base.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| refused())?
            }
            Some(_) => return Err(refused()),
        };
        if prefix > longest { Err(refused()) } else { Ok(Network { base, prefix }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

fn of_four(address: Ipv4Addr) -> AddressClass {
    match address.octets() {
        [0, ..] => AddressClass::Unspecified,
        [127, ..] => AddressClass::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressClass::Private,
        [169, 254, ..] => AddressClass::LinkLocal,
        [100, 64..=127, ..] => AddressClass::Shared,
        [224..=239, ..] | [255, 255, 255, 255] => AddressClass::Multicast,
        // The relays of 6to4 (RFC 7526).
        [192, 88, 99, _] => AddressClass::Translated,
        // Protocol assignments, documentation (three blocks), benchmarks, and the former class E.
        [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [198, 18 | 19, ..] | [240..=255, ..] => {
            AddressClass::Reserved
        }
        _ => AddressClass::Public,
    }
}

fn of_six(address: Ipv6Addr) -> AddressClass {
    let within = |base: Ipv6Addr, prefix| starts_with(address, base, prefix);
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressClass::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        // v4-compatible, v4-mapped and v4-translated (RFC 4291 §2.5.5, RFC 2765).
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => AddressClass::Translated,
        // NAT64 by its well-known prefix and by local ones (RFC 6052, RFC 8215).
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] => AddressClass::Translated,
        // Teredo and 6to4.
        [0x2001, 0, ..] | [0x2002, ..] => AddressClass::Translated,
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => AddressClass::Private,
        [0xfe80..=0xfebf, ..] => AddressClass::LinkLocal,
        [0xff00..=0xffff, ..] => AddressClass::Multicast,
        // Protocol assignments, ORCHID among them, and documentation (two blocks).
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => AddressClass::Reserved,
        // Nothing outside of it has been given to anybody as global unicast.
        _ if within(GLOBAL_UNICAST, 3) => AddressClass::Public,
        _ => AddressClass::Reserved,
    }
}

fn starts_with(address: Ipv6Addr, base: Ipv6Addr, prefix: u8) -> bool {
    let bits = |address: Ipv6Addr| address.to_bits().checked_shr(128 - u32::from(prefix)).unwrap_or(0);
    bits(address) == bits(base)
}

const GLOBAL_UNICAST: Ipv6Addr = Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0);

#[cfg(test)]
mod tests {
    use super::*;

    fn class(text: &str) -> AddressClass {
        AddressClass::of(text.parse().unwrap())
    }

    #[test]
    fn item_31_every_special_block_has_its_class_at_both_ends_and_not_beyond() {
        use AddressClass::*;
        let blocks = [
            ("0.0.0.0", "0.255.255.255", "1.0.0.0", Unspecified),
            ("10.0.0.0", "10.255.255.255", "11.0.0.0", Private),
            ("100.64.0.0", "100.127.255.255", "100.128.0.0", Shared),
            ("127.0.0.0", "127.255.255.255", "128.0.0.0", Loopback),
            ("169.254.0.0", "169.254.255.255", "169.255.0.0", LinkLocal),
            ("172.16.0.0", "172.31.255.255", "172.32.0.0", Private),
            ("192.0.0.0", "192.0.0.255", "192.0.1.0", Reserved),
            ("192.0.2.0", "192.0.2.255", "192.0.3.0", Reserved),
            ("192.88.99.0", "192.88.99.255", "192.88.100.0", Translated),
            ("192.168.0.0", "192.168.255.255", "192.169.0.0", Private),
            ("198.18.0.0", "198.19.255.255", "198.20.0.0", Reserved),
            ("198.51.100.0", "198.51.100.255", "198.51.101.0", Reserved),
            ("203.0.113.0", "203.0.113.255", "203.0.114.0", Reserved),
            ("2001:db8::", "2001:db8:ffff:ffff::", "2001:db9::", Reserved),
            ("2001:1::", "2001:1ff:ffff::", "2001:200::", Reserved),
            ("2001::", "2001:0:ffff::1", "2001:200::", Translated),
            ("2002::", "2002:ffff::1", "2003::", Translated),
            ("3fff::", "3fff:fff:ffff::", "3fff:1000::", Reserved),
        ];
        for (first, last, beyond, wanted) in blocks {
            assert_eq!((class(first), class(last), class(beyond)), (wanted, wanted, Public), "{first}");
        }
        for (first, last, wanted) in [
            ("224.0.0.0", "239.255.255.255", Multicast),
            ("240.0.0.0", "255.255.255.254", Reserved),
            ("255.255.255.255", "255.255.255.255", Multicast),
            ("::", "::", Unspecified),
            ("::1", "::1", Loopback),
            ("::2", "::ffff:ffff", Translated),
            ("::ffff:0.0.0.0", "::ffff:255.255.255.255", Translated),
            ("::ffff:0:1.2.3.4", "::ffff:0:1.2.3.4", Translated),
            ("64:ff9b::", "64:ff9b::255.255.255.255", Translated),
            ("64:ff9b:1::", "64:ff9b:1:ffff::1", Translated),
            ("fc00::", "fdff:ffff::1", Private),
            ("fe80::", "febf:ffff::1", LinkLocal),
            ("fec0::", "feff:ffff::1", Private),
            ("ff00::", "ffff:ffff::1", Multicast),
            ("100::", "100::1", Reserved),
            ("5f00::", "5f00:ffff::1", Reserved),
            ("4000::", "fbff::1", Reserved),
        ] {
            assert_eq!((class(first), class(last)), (wanted, wanted), "{first}");
            assert!(!wanted.is_public());
        }
    }

    #[test]
    fn addresses_of_the_internet_are_public() {
        for text in ["1.1.1.1", "9.255.255.255", "93.184.216.34", "223.255.255.255", "2606:4700::1111", "2a00::1"] {
            assert!(class(text).is_public(), "{text}");
        }
    }

    #[test]
    fn a_block_holds_its_addresses_and_no_other() {
        for (block, inside, outside) in [
            ("10.1.2.0/24", "10.1.2.255", "10.1.3.0"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("0.0.0.0/0", "255.1.1.1", "::1"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::/0", "ff00::1", "1.1.1.1"),
            ("::1", "::1", "::2"),
            ("127.0.0.0/8", "127.9.9.9", "::ffff:127.0.0.1"),
        ] {
            let network: Network = block.parse().unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{block}");
            assert!(!network.contains(outside.parse().unwrap()), "{block}");
            assert_eq!(network.to_string().parse::<Network>().unwrap(), network);
        }
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10.0.0/8", "host/8", "10.0.0.0/8/8"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
