//! A session's options: plain nested structs with public fields, the same paths in Rust, in a configuration
//! file (serde) and on the command line.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use gannet_core::Headers;
use gannet_core::auth::{Credentials, Scheme};
use gannet_core::proxy::{NoProxy, ProxyCredentials, ProxyUrl};
use gannet_core::redirect::RedirectPolicy;
use gannet_core::timeout::Timeouts;
use serde::{Deserialize, Deserializer, Serialize};

mod network;
mod tls;

pub use network::{DnsOverride, Guard, IpVersion};
pub use tls::{ClientCertificate, Danger, Pin, Tls, TlsVersion};

use crate::decode::content::DecodeLimits;
use crate::redact::ShownText;

/// Everything about a session that can be chosen. `Options::default()` is fit for use.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What relative URLs are resolved against; none by default.
    pub base_url: Option<String>,
    /// Header fields sent with every request that does not set them itself. Beside them go `accept: */*`,
    /// `accept-encoding` and `user-agent`, unless set here. Host, Content-Length and Transfer-Encoding are left out: they
    /// are the single request's. Never written out by serde: they may be secret.
    #[serde(skip_serializing, deserialize_with = "headers_from_map")]
    pub headers: Headers,
    /// Names of fields that are not added by themselves: accept, accept-encoding, user-agent; none.
    pub without_headers: Vec<String>,
    /// The timeouts.
    pub timeouts: Timeouts,
    /// Open sockets.
    pub connections: Connections,
    /// Redirects.
    pub redirects: RedirectPolicy,
    /// The version of HTTP, and what only HTTP/2 needs to know.
    pub http: Http,
    /// TLS.
    pub tls: Tls,
    /// Proxies.
    pub proxy: Proxy,
    /// Name lookups.
    pub dns: Dns,
    /// Where requests must not lead.
    pub guard: Guard,
    /// Cookies.
    pub cookies: Cookies,
    /// Credentials.
    pub auth: Auth,
    /// Content codings.
    pub decode: Decode,
    /// What of a response is accepted.
    pub response: ResponseLimits,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("base_url", &self.base_url.as_deref().map(ShownText))
            .field("headers", &self.headers)
            .field("without_headers", &self.without_headers)
            .field("timeouts", &self.timeouts)
            .field("connections", &self.connections)
            .field("redirects", &self.redirects)
            .field("http", &self.http)
            .field("tls", &self.tls)
            .field("proxy", &self.proxy)
            .field("dns", &self.dns)
            .field("guard", &self.guard)
            .field("cookies", &self.cookies)
            .field("auth", &self.auth)
            .field("decode", &self.decode)
            .field("response", &self.response)
            .finish()
    }
}

/// Caps on open sockets, idle ones included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Connections {
    /// Sockets open at once, over all hosts; 512. At the cap an idle one of another host is closed to make room,
    /// and where none is idle a request waits its turn (first come, first served).
    pub max: usize,
    /// Sockets open at once to one scheme, host and port; none. Requests for an upgrade over https are counted apart, as
    /// the others of their host may share connections.
    pub max_per_host: Option<usize>,
    /// How long an unused connection is kept, in seconds; 60. Zero keeps none.
    #[serde(with = "gannet_core::timeout::seconds")]
    pub idle: Duration,
    /// How old a connection may be when a request begins on it, in seconds; none. Older ones are closed when they are next
    /// looked at, so that a host whose addresses change is looked up again; requests under way go on.
    #[serde(with = "gannet_core::timeout::seconds::optional")]
    pub max_age: Option<Duration>,
    /// Connect to this Unix socket, whatever host and port a URL names; none. The URL still decides the Host field,
    /// the cookies, and with https the name that the certificate is for. No name is looked up.
    pub unix_socket: Option<PathBuf>,
    /// Of which IP version addresses are used; any.
    pub ip_version: IpVersion,
    /// The address of this machine that connections are made from; whichever the system chooses. Only hosts that have
    /// an address of its IP version can be reached, and no more connections than there are local ports.
    pub local_address: Option<IpAddr>,
    /// The network interface that connections are made over, by its name; whichever the system chooses. On Linux alone.
    pub interface: Option<String>,
    /// Probe connections that are silent for so long, in seconds, and as often again, until the system gives them up
    /// (TCP keep-alive); none.
    #[serde(with = "gannet_core::timeout::seconds::optional")]
    pub keepalive: Option<Duration>,
    /// Where a host has several addresses, how long one is waited for before the next is tried beside it (RFC 8305), in
    /// seconds; 0.25, and at least 0.01.
    #[serde(with = "gannet_core::timeout::seconds")]
    pub eyeballs_delay: Duration,
}

impl Connections {
    /// Into how many parts they can be divided. With few connections in each, requests would wait behind a slow one
    /// while another part's are idle.
    pub(crate) fn most_shards(&self) -> usize {
        const LEAST: usize = 8;
        (self.max.min(self.max_per_host.unwrap_or(usize::MAX)) / LEAST).max(1)
    }
}

impl Default for Connections {
    fn default() -> Self {
        Connections {
            max: 512,
            max_per_host: None,
            idle: Duration::from_secs(60),
            max_age: None,
            unix_socket: None,
            ip_version: IpVersion::Any,
            local_address: None,
            interface: None,
            keepalive: None,
            eyeballs_delay: Duration::from_millis(250),
        }
    }
}

/// Which version of HTTP is spoken, and what only HTTP/2 needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// The version; [`HttpVersion::Auto`].
    pub version: HttpVersion,
    /// How long nothing may come on a connection of HTTP/2 that carries requests before a ping asks whether the server
    /// is still there, in seconds; none, no pings.
    #[serde(with = "gannet_core::timeout::seconds::optional")]
    pub ping_interval: Option<Duration>,
    /// How long the answer to a ping may take, in seconds; 20. Then the connection is closed, and its requests fail.
    #[serde(with = "gannet_core::timeout::seconds")]
    pub ping_timeout: Duration,
    /// How many bytes of one response of HTTP/2 may be on their way or waiting to be read, at first; 2 MiB. It bounds
    /// what an unread body holds, and with the round trip how fast one download can be.
    pub stream_window: u32,
    /// To how many that grows when a body larger than that is read as fast as it comes, for all responses on its
    /// connection; 16 MiB, or less so that those under way have 64 MiB together, also when more come. No less than
    /// `stream_window`.
    pub stream_window_max: u32,
}

impl Default for Http {
    fn default() -> Self {
        Http {
            version: HttpVersion::Auto,
            ping_interval: None,
            ping_timeout: Duration::from_secs(20),
            stream_window: 2 << 20,
            stream_window_max: 16 << 20,
        }
    }
}

/// The version of HTTP that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HttpVersion {
    /// `auto`: over https HTTP/2 where the server takes the offer (ALPN), else HTTP/1.1; over http HTTP/1.1.
    #[default]
    Auto,
    /// `http1`: HTTP/1.1 only.
    Http1,
    /// `http2-prior-knowledge`: HTTP/2 only, over http too, without asking (RFC 9113 §3.3). An `http` or `https` proxy
    /// is asked for a tunnel (CONNECT) for http too, as what is sent to a proxy itself is HTTP/1.1.
    #[serde(rename = "http2-prior-knowledge")]
    Http2PriorKnowledge,
}

/// The proxy that requests go through. For each hop of a redirect it is chosen anew.
///
/// Requests for http are sent to an `http` or `https` proxy in absolute form; it can read and change them. All others,
/// and where HTTP/2 alone is spoken ([`HttpVersion::Http2PriorKnowledge`]) those for http too,
/// go through a tunnel (CONNECT, SOCKS) that the proxy sees nothing of but the host's name and port.
/// [`crate::RequestBuilder::proxy`] and [`crate::RequestBuilder::no_proxy`] say otherwise for one request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Proxy {
    /// The proxy for http and https; none. Written out by serde without its credentials.
    pub url: Option<ProxyUrl>,
    /// Who we are to the proxies of this session, in place of what stands in their URLs; none. Never written out by
    /// serde.
    #[serde(skip_serializing)]
    pub credentials: Option<ProxyCredentials>,
    /// Hosts that are asked directly; without it, those of `NO_PROXY` where the environment is read.
    pub no_proxy: Option<NoProxy>,
    /// Read `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` (or in upper case) when the session is made; `url`
    /// goes before them. Off: a library in another's process should not send its requests, and what they
    /// carry, elsewhere because of a variable that nobody meant for it. The command does read them.
    pub from_env: bool,
    /// Header fields for the proxies of this session that speak HTTP: of CONNECT, and beside the request's own where
    /// that is sent in absolute form. A proxy passes on to the origin what it does not know, so what must not get
    /// there belongs into `credentials`. Never written out by serde.
    #[serde(skip_serializing, deserialize_with = "headers_from_map")]
    pub headers: Headers,
    /// How `https` proxies are verified; apart from [`Options::tls`], which is for origins.
    pub tls: Tls,
}

/// Name lookups, by the system's resolver or by one that the session was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dns {
    /// How long an answer is used again, in seconds; 30, and a day at the most. Zero asks every time. A lookup that
    /// failed is believed for a second at the most.
    #[serde(with = "gannet_core::timeout::seconds")]
    pub ttl: Duration,
    /// Names kept at the most; 10,000.
    pub cache_max: usize,
    /// Lookups at once; 16. Further ones wait, and that wait counts towards no timeout but `total`. The system's
    /// resolver takes a thread for each.
    pub max_lookups: usize,
    /// Addresses in place of a lookup; none. Where several fit, the last one does.
    pub overrides: Vec<DnsOverride>,
    /// Begin each connection at another of a name's addresses, at random, so that they share the load; off, the order is
    /// the lookup's. IPv4 and IPv6 keep their order (RFC 8305).
    pub spread: bool,
}

impl Default for Dns {
    fn default() -> Self {
        Dns { ttl: Duration::from_secs(30), cache_max: 10_000, max_lookups: 16, overrides: Vec::new(), spread: false }
    }
}

/// The cookie jar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cookies {
    /// Keep cookies that servers set and send them back; on.
    pub enabled: bool,
    /// Send the jar's cookies beside those of a Cookie field written by hand, which otherwise stands alone; off. Of two
    /// with one name, the field's is sent.
    pub join: bool,
    /// Let plain http to this machine itself set and get Secure cookies, as browsers do; off.
    pub secure_loopback: bool,
    /// Let plain http to these hosts set and get Secure cookies too, each for itself alone; none. For a network that
    /// nobody else can read.
    pub secure_hosts: Vec<String>,
}

impl Default for Cookies {
    fn default() -> Self {
        Cookies { enabled: true, join: false, secure_loopback: false, secure_hosts: Vec::new() }
    }
}

/// Who one is at the servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// A user's name and password, and the scheme that shows them; none. They are for the origin that a request names,
    /// with a `base_url` for its origin alone, and never for one that a redirect leads to. A request's own come first,
    /// then its URL's, then these. Never written out by serde.
    #[serde(skip_serializing)]
    pub credentials: Option<Credentials>,
    /// How a user and password that stand in a URL or a netrc file are shown; Basic.
    pub scheme: Scheme,
    /// Names and passwords by host, for requests that have no other credentials.
    pub netrc: NetrcFile,
}

/// A netrc file, as curl and git read it. It is read once, when the session is made; see that nobody else can.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetrcFile {
    /// Look the host of every request, and of every redirect's target, up in it; off. Its `default` is for hosts that
    /// requests name, not for those that redirects lead to, and after a hop over https nothing of it goes in the clear.
    pub enabled: bool,
    /// The file, which then has to be there; none stands for `$NETRC`, or else `.netrc` in the home directory, which
    /// may be missing.
    pub file: Option<PathBuf>,
}

/// Content codings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Decode {
    /// Offer gzip, deflate, br and zstd, and decode what comes; on.
    pub enabled: bool,
    /// How many times its compressed size a body may grow, once past `ratio_from`; 250. Text and JSON grow 3 to 20
    /// times and the most monotonous logs about 100 times; gzip ends at 1032, which only long runs of the same
    /// byte reach. None does not look. Beyond it reading fails with [`crate::ErrorKind::TooLarge`].
    pub max_ratio: Option<u32>,
    /// Below this much output the ratio is not looked at, in bytes; 100 MiB. So small bodies pass however well they
    /// compress, and no bomb makes more than this.
    pub ratio_from: u64,
}

impl Decode {
    /// The limits of one body, `max_output` its largest size.
    pub(crate) fn limits(&self, max_output: Option<u64>) -> DecodeLimits {
        DecodeLimits { max_output, max_ratio: self.max_ratio, ratio_from: self.ratio_from }
    }
}

impl Default for Decode {
    fn default() -> Self {
        let DecodeLimits { max_ratio, ratio_from, .. } = DecodeLimits::default();
        Decode { enabled: true, max_ratio, ratio_from }
    }
}

/// What of a response is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResponseLimits {
    /// Bytes of status line, fields, interim responses and trailers together; 64 KiB.
    pub max_head: usize,
    /// Bytes of a body, after decoding; none. Beyond it reading fails with [`crate::ErrorKind::TooLarge`].
    pub max_body: Option<u64>,
    /// Whether a status of 400 or more is an error by itself, as [`crate::Response::error_for_status`] makes it, for
    /// requests that are sent one by one; off. Middlewares see the response; downloads, event sources and bulk runs
    /// have rules of their own for statuses.
    pub error_for_status: bool,
}

impl Default for ResponseLimits {
    fn default() -> Self {
        ResponseLimits { max_head: 64 << 10, max_body: None, error_for_status: false }
    }
}

/// `{"name": "value"}` or `{"name": ["one", "two"]}`.
fn headers_from_map<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Headers, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Values {
        One(String),
        Many(Vec<String>),
    }
    let mut headers = Headers::new();
    for (name, values) in BTreeMap::<String, Values>::deserialize(deserializer)? {
        let values = match values {
            Values::One(value) => vec![value],
            Values::Many(values) => values,
        };
        for value in values {
            headers
                .append(&name, &value)
                .map_err(|error| serde::de::Error::custom(format!("headers.{name}: {error}")))?;
        }
    }
    Ok(headers)
}
