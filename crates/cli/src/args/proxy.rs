//! Through which proxy requests go.

use std::path::PathBuf;

use clap::Args;
use gannet::Pin;

use super::values::{self, HeaderArg, ProxyArg};

/// Proxies. Without `--proxy` those of `http_proxy`, `https_proxy` and `all_proxy`, but for the hosts of `no_proxy`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Proxy")]
pub(crate) struct ProxyArgs {
    /// The proxy, [scheme://][name:password@]host[:port], by http (default), https, socks5 or socks4 (names are looked up
    /// here), socks5h or socks4a (there); '' for none [default: http_proxy, https_proxy, all_proxy of the environment]
    #[arg(short = 'x', long, value_name = "URL", value_parser = values::proxy)]
    pub(crate) proxy: Option<ProxyArg>,

    /// Credentials for the proxy; they stand in the process list, those in http_proxy do not
    #[arg(short = 'U', long, value_name = "NAME:PASSWORD", value_parser = values::credentials)]
    pub(crate) proxy_user: Option<(String, String)>,

    /// Hosts to ask directly: names with all below them, addresses, networks (10.0.0.0/8), host:port, or * for all
    /// [default: no_proxy of the environment]
    #[arg(long = "noproxy", value_name = "LIST", value_parser = values::no_proxy)]
    pub(crate) no_proxy: Option<gannet::NoProxy>,

    /// A header field for the proxy, 'Name: value' or @FILE; with https the origin does not see it
    #[arg(long = "proxy-header", value_name = "FIELD", value_parser = values::header)]
    pub(crate) proxy_headers: Vec<HeaderArg>,

    /// Trust the certificates of this PEM file too, for an https proxy
    #[arg(long, value_name = "FILE")]
    pub(crate) proxy_cacert: Vec<PathBuf>,

    /// Show this certificate to an https proxy that asks for one: a PEM file, the key in it or in --proxy-key
    #[arg(long, value_name = "FILE")]
    pub(crate) proxy_cert: Option<PathBuf>,

    /// The private key of --proxy-cert: a PEM file, not encrypted
    #[arg(long, value_name = "FILE", requires = "proxy_cert")]
    pub(crate) proxy_key: Option<PathBuf>,

    /// Speak only to an https proxy with one of these public keys, written as for --pinnedpubkey
    #[arg(long, value_name = "HASHES", value_delimiter = ';')]
    pub(crate) proxy_pinnedpubkey: Vec<Pin>,

    /// Accept any certificate of an https proxy
    #[arg(long)]
    pub(crate) proxy_insecure: bool,
}
