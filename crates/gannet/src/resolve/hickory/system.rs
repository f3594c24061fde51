//! What the machine's files say: `/etc/hosts`, and of `/etc/resolv.conf` the servers, the search list and the options
//! that mean something here (resolv.conf(5)).

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use hickory_net::runtime::TokioRuntimeProvider;
use hickory_proto::rr::Name;
use resolv_conf::{Config, ScopedIp};

use super::HickoryOptions;
use super::ask::Servers;

const PORT: u16 = 53;

/// Names and their addresses, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Hosts(HashMap<Box<str>, Vec<IpAddr>>);

/// As what else a name may be meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Search {
    domains: Vec<String>,
    /// With so many dots a name is tried as it stands first.
    dots: usize,
}

impl Hosts {
    /// # Errors
    /// It is there and cannot be read.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        Ok(Hosts::parse(&String::from_utf8_lossy(&if_there(path)?)))
    }

    fn parse(text: &str) -> Self {
        let mut hosts = HashMap::<Box<str>, Vec<IpAddr>>::new();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let Some(address) = words.next().and_then(|word| word.parse().ok()) else { continue };
            for name in words {
                hosts.entry(name.to_ascii_lowercase().into()).or_default().push(address);
            }
        }
        Hosts(hosts)
    }

    pub(super) fn find(&self, name: &str) -> Option<Vec<IpAddr>> {
        self.0.get(name).cloned()
    }
}

impl Search {
    /// The names to try in turn. None where DNS can have no such name.
    pub(super) fn names(&self, name: &str) -> Vec<Name> {
        let is_absolute = name.ends_with('.');
        let as_it_is = || absolute(name.strip_suffix('.').unwrap_or(name));
        let longer = self.domains.iter().filter(|_| !is_absolute);
        let longer = longer.filter_map(|domain| absolute(&format!("{name}.{domain}")));
        let dots = name.bytes().filter(|byte| *byte == b'.').count();
        match is_absolute || dots >= self.dots {
            true => as_it_is().into_iter().chain(longer).collect(),
            false => longer.chain(as_it_is()).collect(),
        }
    }
}

fn absolute(name: &str) -> Option<Name> {
    Name::from_ascii(format!("{name}.")).ok()
}

/// # Errors
/// The file is there and cannot be read.
pub(super) fn configuration(options: &HickoryOptions) -> io::Result<(Search, Servers)> {
    // What it holds that nobody understands is passed over, as everywhere on the machine.
    let (config, _) = Config::parse_with_errors(&if_there(&options.resolv_conf)?);
    let mut addrs = options.servers.clone();
    if addrs.is_empty() {
        addrs = config.nameservers.iter().map(server).collect();
    }
    if addrs.is_empty() {
        addrs.push((Ipv4Addr::LOCALHOST, PORT).into());
    }
    let domains =
        config.get_last_search_or_domain().filter(|domain| *domain != ".").map(|domain| bare(domain)).collect();
    let search = Search { domains, dots: config.ndots as usize };
    let servers = Servers {
        addrs,
        timeout: options.timeout.unwrap_or(Duration::from_secs(config.timeout.max(1).into())),
        attempts: options.attempts.unwrap_or(config.attempts),
        rotate: config.rotate,
        tcp_only: config.use_vc,
        edns: config.edns0,
        first: AtomicUsize::new(0),
        provider: TokioRuntimeProvider::new(),
    };
    Ok((search, servers))
}

fn bare(domain: &str) -> String {
    domain.strip_suffix('.').unwrap_or(domain).to_owned()
}

fn server(ip: &ScopedIp) -> SocketAddr {
    match ip {
        ScopedIp::V4(ip) => (*ip, PORT).into(),
        ScopedIp::V6(ip, scope) => {
            let scope = scope.as_deref().and_then(interface).unwrap_or_default();
            SocketAddrV6::new(*ip, PORT, 0, scope).into()
        }
    }
}

/// The number of a network interface: as it is, or by its name.
fn interface(text: &str) -> Option<u32> {
    let by_name = || std::fs::read_to_string(format!("/sys/class/net/{text}/ifindex")).ok()?.trim().parse().ok();
    text.parse().ok().or_else(by_name)
}

fn if_there(path: &Path) -> io::Result<Vec<u8>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(names: &[Name]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_hosts_file_is_read_as_the_system_reads_it() {
        let hosts = Hosts::parse("127.0.0.1 Here here.test # not.this\n::1\there\n\nnonsense x\n#10.0.0.1 y\n10.0.0.2");
        assert_eq!(hosts.find("here"), Some(vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()]));
        assert_eq!(hosts.find("here.test").map(|found| found.len()), Some(1));
        assert_eq!((hosts.find("not.this"), hosts.find("x"), hosts.find("y")), (None, None, None));
    }

    #[test]
    fn short_names_are_searched_for_first_and_others_last() {
        let search = Search { domains: vec!["a.test".into(), "b.test".into()], dots: 1 };
        assert_eq!(shown(&search.names("www")), ["www.a.test.", "www.b.test.", "www."]);
        assert_eq!(shown(&search.names("x.y")), ["x.y.", "x.y.a.test.", "x.y.b.test."]);
        assert_eq!(shown(&search.names("www.")), ["www."]);
        assert!(search.names(&"l".repeat(64)).is_empty(), "longer than a label can be");
    }

    #[test]
    fn a_configuration_is_read_and_what_is_given_goes_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        let text = "nameserver 10.0.0.1\nnameserver fe80::1%7\nsearch a.test. b.test\nfrom another time\n\
            options ndots:2 timeout:3 attempts:4 rotate edns0 use-vc\n";
        std::fs::write(&path, text).unwrap();
        let mut options = HickoryOptions { resolv_conf: path, ..HickoryOptions::default() };
        let (search, servers) = configuration(&options).unwrap();
        assert_eq!(search, Search { domains: vec!["a.test".into(), "b.test".into()], dots: 2 });
        assert_eq!(servers.addrs, ["10.0.0.1:53".parse().unwrap(), "[fe80::1%7]:53".parse().unwrap()]);
        assert_eq!((servers.timeout, servers.attempts), (Duration::from_secs(3), 4));
        assert!(servers.rotate && servers.edns && servers.tcp_only);
        options.servers = vec!["127.0.0.1:5353".parse().unwrap()];
        (options.timeout, options.attempts) = (Some(Duration::from_millis(50)), Some(1));
        let (search, servers) = configuration(&options).unwrap();
        assert_eq!((servers.addrs, servers.attempts), (options.servers.clone(), 1));
        assert_eq!((servers.timeout, search.dots), (Duration::from_millis(50), 2));
    }

    #[test]
    fn a_machine_without_configuration_asks_itself_and_one_whose_file_is_none_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let mut options = HickoryOptions { resolv_conf: missing, ..HickoryOptions::default() };
        let (search, servers) = configuration(&options).unwrap();
        assert_eq!(servers.addrs, ["127.0.0.1:53".parse().unwrap()]);
        assert_eq!((search.dots, servers.attempts, servers.timeout), (1, 2, Duration::from_secs(5)));
        options.resolv_conf = folder.path().to_owned();
        let error = super::super::Hickory::new(&options).unwrap_err();
        assert!(error.message().contains(&folder.path().display().to_string()), "{error}");
    }
}
