//! The address guard: judges each address in the moment it is connected to, whatever it came from: a name, an
//! address in the URL, a redirect. What was looked up before and judged then would not count: a name may be answered
//! otherwise the next time.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use gannet_core::address::{AddressClass, Network};

use crate::options;

/// What a session may connect to.
pub(super) struct Guard {
    deny_private: bool,
    allow: Vec<Network>,
}

/// An address that may not be connected to, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) address: SocketAddr,
    /// None for an address of this machine that tells nothing by itself.
    class: Option<AddressClass>,
}

impl Guard {
    pub(super) fn new(options: &options::Guard) -> Self {
        Guard { deny_private: options.deny_private, allow: options.allow.clone() }
    }

    pub(super) fn is_on(&self) -> bool {
        self.deny_private
    }

    /// # Errors
    /// It may not be connected to.
    pub(super) fn judge(&self, address: SocketAddr) -> Result<(), Refused> {
        self.judge_on(address, is_own)
    }

    /// As [`Guard::judge`], on a machine that has the addresses of which `is_own` says so.
    fn judge_on(&self, address: SocketAddr, is_own: impl Fn(IpAddr) -> bool) -> Result<(), Refused> {
        if !self.deny_private || self.allow.iter().any(|network| network.contains(address.ip())) {
            return Ok(());
        }
        match AddressClass::of(address.ip()) {
            AddressClass::Public if is_own(address.ip()) => Err(Refused { address, class: None }),
            AddressClass::Public => Ok(()),
            class => Err(Refused { address, class: Some(class) }),
        }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ip = self.address.ip();
        match self.class {
            Some(class) => write!(f, "the address {ip} is {class}")?,
            None => write!(f, "the address {ip} is this machine's own")?,
        }
        f.write_str(", and guard.deny_private is on")
    }
}

/// Whether this machine has the address: only then can a socket be bound to it, unless the machine lets sockets be bound
/// to any; then it is what would be sent from to reach it. Nothing is sent.
fn is_own(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok() && (!binds_any(ip) || sends_from(ip).is_ok_and(|from| from == ip))
}

/// As machines that take over others' addresses are set up.
fn binds_any(ip: IpAddr) -> bool {
    let family = if ip.is_ipv4() { "ipv4" } else { "ipv6" };
    let setting = std::fs::read(format!("/proc/sys/net/{family}/ip_nonlocal_bind"));
    setting.is_ok_and(|text| text.trim_ascii() != b"0")
}

fn sends_from(ip: IpAddr) -> io::Result<IpAddr> {
    let any = if ip.is_ipv4() { IpAddr::from([0; 4]) } else { IpAddr::from([0; 16]) };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect((ip, 9))?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(deny_private: bool, allow: &[&str]) -> Guard {
        let allow = allow.iter().map(|network| network.parse().unwrap()).collect();
        Guard::new(&options::Guard { deny_private, allow })
    }

    #[test]
    fn item_31_what_is_no_place_of_the_internet_is_refused_unless_allowed() {
        let at = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 80);
        for ip in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "::ffff:127.0.0.1", "64:ff9b::7f00:1"] {
            let refused = guard(true, &["10.9.0.0/16"]).judge(at(ip)).unwrap_err();
            assert!(refused.to_string().contains(ip) && refused.to_string().contains("deny_private"), "{refused}");
            assert_eq!(guard(false, &[]).judge(at(ip)), Ok(()));
        }
        assert_eq!(guard(true, &["10.9.0.0/16"]).judge(at("10.9.1.1")), Ok(()));
        assert_eq!(guard(true, &[]).judge(at("1.1.1.1")), Ok(()));
    }

    #[test]
    fn item_31_an_address_of_this_machine_is_known_as_its_own() {
        let own = SocketAddr::from(([93, 184, 216, 34], 80));
        let refused = guard(true, &[]).judge_on(own, |ip| ip == own.ip()).unwrap_err();
        assert!(refused.to_string().contains("this machine's own"), "{refused}");
        assert_eq!(guard(true, &[]).judge_on(own, |_| false), Ok(()));
        assert_eq!(guard(true, &["93.184.216.34/32"]).judge_on(own, |_| true), Ok(()));
        assert!(is_own(IpAddr::from([127, 0, 0, 1])));
        assert!(!is_own(IpAddr::from([192, 0, 2, 1])));
        // Where sockets may be bound to any address, that says nothing.
        assert_eq!(sends_from(IpAddr::from([127, 0, 0, 1])).unwrap(), IpAddr::from([127, 0, 0, 1]));
        assert_ne!(sends_from(IpAddr::from([192, 0, 2, 1])).ok(), Some(IpAddr::from([192, 0, 2, 1])));
    }
}
