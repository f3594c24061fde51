//! Proxies without I/O: what a proxy's URL says, which requests go through which proxy, and how a tunnel through
//! one is opened.
//!
//! [`ProxyRules`] choose by the URL of a single hop, so that a redirect chooses anew. [`Handshake`] is fed with the
//! proxy's bytes and says what to write; it refuses bytes that come behind the proxy's answer, since in every
//! tunnel it opens the client speaks first. The session's connector drives it.

mod connect;
mod environment;
mod no_proxy;
mod rules;
mod socks;
#[cfg(test)]
mod tests;
mod tunnel;
mod url;

pub use environment::EnvironmentError;
pub use no_proxy::{NoProxy, NoProxyError};
pub use rules::ProxyRules;
pub use tunnel::{Handshake, Refusal, Target, TunnelError};
pub use url::{ProxyCredentials, ProxyScheme, ProxyUrl, ProxyUrlError};
