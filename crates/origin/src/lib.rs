//! A simulated HTTP origin, for tests, lessons and practice.
//!
//! [`Origin`] answers httpbin's endpoints, a few cheap JSON ones and a set of
//! injected faults, over HTTP and HTTPS, and counts what reached it.
//! [`script::ScriptedServer`] plays raw bytes on a socket, for faults below HTTP.
//! It speaks HTTP/1.1, and HTTP/2 to who asks for it: by ALPN over HTTPS, by its
//! preface over HTTP.
//! [`Proxy`] stands between a client and either; [`names::NameServer`] tells names.
//! The HTTP side is hyper's server: an implementation apart from the client's,
//! so that the two cannot share a mistake.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! let origin = gannet_origin::Origin::start().await?;
//! let url = origin.url("/items/17");
//! // ... send requests to `url` ...
//! assert_eq!(origin.stats().requests, 0);
//! origin.shutdown().await;
//! # Ok(()) }
//! ```

mod body;
mod call;
mod chance;
mod compress;
mod connection;
mod digest;
mod echo;
mod faults;
mod form;
mod http2;
mod limited;
pub mod names;
mod origin;
mod pages;
mod proxy;
mod range;
mod redirect;
mod route;
mod runner;
pub mod script;
mod stats;
mod streams;
mod tls;
mod wire;

pub use chance::payload;
pub use origin::{Builder, Origin};
pub use proxy::{Asked, Proxy, ProxyBuilder};
pub use route::endpoints;
pub use stats::{HostStats, LimitedStats, PerSecond, Stats};
pub use tls::Identity;
