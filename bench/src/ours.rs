//! How every client of ours makes its session.

use crate::Args;

/// A session with the default options but for what the command line says. Panics when it cannot be made.
pub fn session(args: &Args) -> gannet::Session {
    let mut options = gannet::Options::default();
    options.connections.max = args.connections;
    if args.http2 {
        options.connections.max = 1;
        options.http.version = gannet::HttpVersion::Http2PriorKnowledge;
    }
    options.tls.extra_roots.extend(args.ca_pem());
    options.tls.only_extra_roots = args.ca.is_some();
    gannet::Session::new(options).expect("the options make a session")
}
