//! How hosts are reached: the options of connections and TLS, as the library has them.

use std::path::PathBuf;

use gannet::{ClientCertificate, ErrorKind, Hickory, HickoryOptions, IpVersion, Options, TlsVersion};

use crate::args::{ConnectArgs, values};
use crate::exit::usage;

/// Lookups at once where none takes a thread: at 20 ms each some 12,000 a second.
const ASYNC_LOOKUPS: usize = 256;

/// Puts them into a session's options. Keys are logged where SSLKEYLOGFILE says so, as with curl.
///
/// # Errors
/// Usage: a file that cannot be read.
pub(super) fn apply(args: &ConnectArgs, options: &mut Options) -> anyhow::Result<()> {
    let tls = &mut options.tls;
    tls.only_extra_roots = args.cacert_only;
    tls.client = client([&args.cert, &args.key], ["--cert", "--key"])?;
    tls.pins = args.pinnedpubkey.clone();
    tls.server_name = args.tls_server_name.clone();
    tls.min_version = if args.tlsv1_3 { TlsVersion::V1_3 } else { TlsVersion::V1_2 };
    tls.key_log = true;
    let connections = &mut options.connections;
    connections.ip_version = match (args.ipv4, args.ipv6) {
        (true, _) => IpVersion::V4,
        (_, true) => IpVersion::V6,
        _ => IpVersion::Any,
    };
    connections.unix_socket = args.unix_socket.clone();
    match args.interface.as_deref().map(|text| (text, text.parse())) {
        Some((_, Ok(address))) => connections.local_address = Some(address),
        Some((name, Err(_))) => connections.interface = Some(name.to_owned()),
        None => {}
    }
    connections.keepalive = args.keepalive();
    connections.eyeballs_delay = args.eyeballs_delay().unwrap_or(connections.eyeballs_delay);
    connections.max_age = args.connection_max_age;
    options.dns.spread = args.spread;
    options.dns.overrides = args.resolve.clone();
    // What takes no thread can be many.
    let lookups = if args.asks_servers() { ASYNC_LOOKUPS } else { options.dns.max_lookups };
    options.dns.max_lookups = args.dns_lookups.unwrap_or(lookups);
    options.guard.deny_private = args.deny_private;
    options.guard.allow = args.allow_private.clone();
    Ok(())
}

/// What looks names up in place of the system's resolver.
///
/// # Errors
/// Usage: the machine's configuration cannot be read.
pub(super) fn resolver(args: &ConnectArgs) -> anyhow::Result<Option<Hickory>> {
    let options = HickoryOptions { servers: args.dns_servers.clone(), ..HickoryOptions::default() };
    let made = args.asks_servers().then(|| Hickory::new(&options)).transpose();
    made.map_err(|error| usage(format!("--resolver async: {}", error.message())))
}

/// An error of a session's options, by the name of the option on the command line.
pub(super) fn refused(error: &gannet::Error) -> Option<anyhow::Error> {
    let message = error.message();
    let (path, rest) = message.split_once(':').unwrap_or((&message, ""));
    let name = match path.split('[').next().unwrap_or(path) {
        "tls.client.key" => "--key",
        "tls.client.chain" | "tls.client" => "--cert",
        "tls.server_name" => "--tls-server-name",
        "dns.overrides" => "--resolve",
        "tls.extra_roots" | "tls.only_extra_roots" => "--cacert",
        "proxy.tls.extra_roots" => "--proxy-cacert",
        "proxy.tls.client.key" => "--proxy-key",
        "proxy.tls.client.chain" | "proxy.tls.client" => "--proxy-cert",
        _ => return None,
    };
    (error.kind() == ErrorKind::Request).then(|| usage(format!("{name}:{rest}")))
}

/// The certificate to show and its key, of two files or of one that holds both.
///
/// # Errors
/// Usage: a file that cannot be read.
pub(super) fn client(files: [&Option<PathBuf>; 2], options: [&str; 2]) -> anyhow::Result<Option<ClientCertificate>> {
    let Some(cert) = files[0] else { return Ok(None) };
    let chain = values::read_file(cert, options[0])?;
    let key = match files[1] {
        Some(key) => values::read_file(key, options[1])?,
        None => chain.clone(),
    };
    Ok(Some(ClientCertificate { chain, key }))
}
