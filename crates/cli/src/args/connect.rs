//! The options of connections: where they go, how they are made, and what is shown and asked in TLS.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use gannet::{DnsOverride, Network, Pin};

use super::values;

/// How hosts are reached.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS & network")]
pub(crate) struct ConnectArgs {
    /// Trust the certificates of --cacert alone, not the machine's own
    #[arg(long, requires = "cacert")]
    pub(crate) cacert_only: bool,

    /// Show this certificate to servers that ask for one: a PEM file, the key in it or in --key
    #[arg(short = 'E', long, value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,

    /// The private key of --cert: a PEM file, not encrypted
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,

    /// Speak only to servers with one of these public keys, sha256//BASE64 and more of them behind a semicolon
    #[arg(long, value_name = "HASHES", value_delimiter = ';')]
    pub(crate) pinnedpubkey: Vec<Pin>,

    /// The name to tell servers and to look for in their certificates, in place of the URL's host
    #[arg(long, value_name = "NAME")]
    pub(crate) tls_server_name: Option<String>,

    /// Speak TLS 1.2 or newer; the default
    #[arg(long = "tlsv1.2")]
    pub(crate) tlsv1_2: bool,

    /// Speak TLS 1.3 or newer
    #[arg(long = "tlsv1.3", conflicts_with = "tlsv1_2")]
    pub(crate) tlsv1_3: bool,

    /// Use IPv4 addresses only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub(crate) ipv4: bool,

    /// Use IPv6 addresses only
    #[arg(short = '6', long)]
    pub(crate) ipv6: bool,

    /// Use these addresses for a host and port, without a lookup; * stands for any host or port
    #[arg(long, value_name = "HOST:PORT:ADDR[,ADDR]")]
    pub(crate) resolve: Vec<DnsOverride>,

    /// Ask these name servers and not the system's resolver, each with :PORT where it is not 53; implies --resolver async
    #[arg(long, value_name = "ADDR[,ADDR]", value_delimiter = ',', value_parser = values::name_server)]
    pub(crate) dns_servers: Vec<SocketAddr>,

    /// Who looks names up. system knows all that the machine knows, and takes a thread for each lookup under way; async
    /// asks the servers of /etc/resolv.conf itself, for very many hosts
    #[arg(long, value_enum, value_name = "WHICH", default_value = "system")]
    pub(crate) resolver: ResolverArg,

    /// Names looked up at once [default: 16; 256 with --resolver async]
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub(crate) dns_lookups: Option<usize>,

    /// Connect to this Unix socket, whatever host the URL names
    #[arg(long, value_name = "PATH", conflicts_with = "deny_private")]
    pub(crate) unix_socket: Option<PathBuf>,

    /// Connect from this address of this machine, or over this network interface
    #[arg(long, value_name = "ADDR|NAME")]
    pub(crate) interface: Option<String>,

    /// Probe connections that are silent for so long (TCP keep-alive) [default: never]
    #[arg(long, value_name = "SECONDS", value_parser = values::count)]
    pub(crate) keepalive_time: Option<usize>,

    /// Begin no request on a connection that is older; a host whose addresses change is so looked up again [default:
    /// any age]
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds)]
    pub(crate) connection_max_age: Option<Duration>,

    /// Begin each connection at another of a host's addresses, at random, so that they share the load
    #[arg(long)]
    pub(crate) spread: bool,

    /// How long an address of a host is waited for before the next is tried beside it [default: 250]
    #[arg(long, value_name = "MILLISECONDS", value_parser = values::count)]
    pub(crate) happy_eyeballs_timeout_ms: Option<usize>,

    /// Connect only to public addresses: for URLs of strangers. Loopback, private, link-local and reserved ones fail
    /// with the kind denied, in redirects too
    #[arg(long)]
    pub(crate) deny_private: bool,

    /// A network that may be connected to all the same, as in 10.1.0.0/16
    #[arg(long, value_name = "NETWORK", requires = "deny_private")]
    pub(crate) allow_private: Vec<Network>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ResolverArg {
    System,
    Async,
}

impl ConnectArgs {
    /// Whether names are looked up without the system's resolver.
    pub(crate) fn asks_servers(&self) -> bool {
        self.resolver == ResolverArg::Async || !self.dns_servers.is_empty()
    }

    /// How long a silent connection is left alone.
    pub(crate) fn keepalive(&self) -> Option<Duration> {
        self.keepalive_time.map(|seconds| Duration::from_secs(seconds as u64))
    }

    /// How long one address is waited for.
    pub(crate) fn eyeballs_delay(&self) -> Option<Duration> {
        self.happy_eyeballs_timeout_ms.map(|millis| Duration::from_millis(millis as u64))
    }
}
