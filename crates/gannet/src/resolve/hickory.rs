//! A DNS client in place of the system's resolver (feature `hickory`): what one lookup asks, of which names in turn,
//! and what its answers mean. [`ask`] is one question to servers that fail, [`system`] what the machine's files say.
//! The messages and the exchange over UDP and TCP are hickory's.

mod ask;
mod system;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, unfold};
use hickory_proto::rr::{Name, RecordType};
use serde::{Deserialize, Serialize};

use super::{Answer, Resolve, Resolving};
use crate::error::{Error, Result};
use ask::{Fault, Servers};
use system::{Hosts, Search};

/// A DNS client of its own, for jobs with very many hosts: a lookup is a few packets and takes no thread, so that
/// hundreds can run at once ([`crate::Options::dns`]`.max_lookups` is to be raised with it, to 256 or so).
///
/// IPv4 and IPv6 addresses are asked for at once and given on apart, as they come. It knows `/etc/hosts`, the search
/// list and the servers of `/etc/resolv.conf`, and nothing else that the machine may look names up with (mDNS, LDAP,
/// what else stands in nsswitch.conf); `localhost` is this machine, and of `.invalid` and `.onion` nobody is asked
/// (RFC 6761, RFC 7686). It keeps no answers: the session does, for as long as the answer says, and `dns.ttl` at the most.
///
/// A server that cannot be reached, says nothing or cannot say makes way for the next one; an answer that is cut is
/// fetched over TCP.
/// A lookup that is dropped closes its sockets at once. Answers are neither encrypted nor verified by DNSSEC.
///
/// ```
/// use gannet::{Hickory, HickoryOptions, Options, Session};
///
/// let mut options = Options::default();
/// options.dns.max_lookups = 256;
/// let resolver = Hickory::new(&HickoryOptions::default())?;
/// let session = Session::builder(options).resolver(resolver).build()?;
/// # Ok::<(), gannet::Error>(())
/// ```
#[derive(Clone)]
pub struct Hickory {
    shared: Arc<Shared>,
}

/// What [`Hickory`] can be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HickoryOptions {
    /// The name servers, asked in this order; none stands for those of `resolv_conf`.
    pub servers: Vec<SocketAddr>,
    /// How long a server may take until the next is asked, in seconds; none for what `resolv_conf` says, which is 5
    /// unless it says otherwise. Within it a question is sent three times.
    #[serde(with = "gannet_core::timeout::seconds::optional")]
    pub timeout: Option<Duration>,
    /// How often the servers are gone through; none for what `resolv_conf` says, which is twice unless it says otherwise.
    pub attempts: Option<u32>,
    /// The machine's configuration, read when the resolver is made; `/etc/resolv.conf`. One that is not there stands
    /// for a server on this machine.
    pub resolv_conf: PathBuf,
    /// Names that nobody is asked for, read when the resolver is made; `/etc/hosts`. It may be missing.
    pub hosts: PathBuf,
}

impl Default for HickoryOptions {
    fn default() -> Self {
        HickoryOptions {
            servers: Vec::new(),
            timeout: None,
            attempts: None,
            resolv_conf: "/etc/resolv.conf".into(),
            hosts: "/etc/hosts".into(),
        }
    }
}

struct Shared {
    hosts: Hosts,
    search: Search,
    servers: Servers,
}

impl Hickory {
    /// Reads the machine's files.
    ///
    /// # Errors
    /// Kind `request`: a file is there and cannot be read.
    pub fn new(options: &HickoryOptions) -> Result<Self> {
        let hosts = Hosts::read(&options.hosts).map_err(|error| unreadable(&options.hosts, &error))?;
        let (search, servers) =
            system::configuration(options).map_err(|error| unreadable(&options.resolv_conf, &error))?;
        Ok(Hickory { shared: Arc::new(Shared { hosts, search, servers }) })
    }
}

fn unreadable(path: &std::path::Path, error: &io::Error) -> Error {
    Error::request(format!("cannot read {}: {error}", path.display()))
}

impl fmt::Debug for Hickory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hickory").field("servers", &self.shared.servers.addrs).finish_non_exhaustive()
    }
}

impl Resolve for Hickory {
    fn resolve(&self, name: &str) -> Resolving {
        let bare = name.strip_suffix('.').unwrap_or(name);
        match self.shared.hosts.find(bare).or_else(|| special(bare)) {
            Some(known) if known.is_empty() => {
                Resolving::new(async { Err::<Answer, io::Error>(Fault::NoSuchName.into()) })
            }
            Some(known) => Resolving::new(async move { Ok(known) }),
            None => {
                let names = self.shared.search.names(name).into_iter();
                let lookup =
                    Lookup { shared: self.shared.clone(), names, asking: FuturesUnordered::new(), fault: None };
                Resolving::apart(unfold((lookup, false), |(lookup, found)| lookup.step(found)))
            }
        }
    }
}

/// What is answered without being asked; no address says that there is no such name.
fn special(name: &str) -> Option<Vec<IpAddr>> {
    let is = |zone: &str| name == zone || name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'));
    if is("localhost") {
        return Some(vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]);
    }
    (is("invalid") || is("onion")).then(Vec::new)
}

/// One lookup: names in turn, of which the first that exists is the one; both families of each at once.
struct Lookup {
    shared: Arc<Shared>,
    names: std::vec::IntoIter<Name>,
    asking: FuturesUnordered<BoxFuture<'static, std::result::Result<Answer, Fault>>>,
    /// Why there is no address of this name, or of those before it.
    fault: Option<Fault>,
}

type Step = Option<(io::Result<Answer>, (Lookup, bool))>;

impl Lookup {
    /// The next answer; `found` is whether there was one before, or an error that ended it.
    async fn step(mut self, found: bool) -> Step {
        loop {
            match self.asking.next().await {
                Some(Ok(answer)) => return Some((Ok(answer), (self, true))),
                Some(Err(fault)) => self.fault = Some(fault.or(self.fault.take())),
                None if found => return None,
                None => {
                    // A name that nobody could answer for may exist: the next one would be another's.
                    let goes_on = self.fault.as_ref().is_none_or(Fault::is_definite);
                    match self.names.next().filter(|_| goes_on) {
                        Some(name) => self.ask(&name),
                        None => {
                            let fault = self.fault.take().unwrap_or(Fault::NoSuchName);
                            return Some((Err(fault.into()), (self, true)));
                        }
                    }
                }
            }
        }
    }

    fn ask(&self, name: &Name) {
        for kind in [RecordType::AAAA, RecordType::A] {
            let (shared, name) = (self.shared.clone(), name.clone());
            self.asking.push(async move { shared.servers.addresses(name, kind).await }.boxed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_names_are_nobodys_to_answer() {
        let loopback = Some(vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]);
        assert_eq!(special("localhost"), loopback);
        assert_eq!(special("a.b.localhost"), loopback);
        assert_eq!((special("x.invalid"), special("onion")), (Some(Vec::new()), Some(Vec::new())));
        for name in ["mylocalhost", "localhost.com", "invalid.test", "a"] {
            assert_eq!(special(name), None, "{name}");
        }
    }
}
