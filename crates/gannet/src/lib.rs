//! Gannet: very many HTTP requests, concurrently, cheaply and politely.
//!
//! A [`Session`] is a reusable HTTP client with real limits: pooled connections, cookies, redirects, timeouts that
//! name their phase. It sends one request, or hands a million to the [`bulk`] engine: results keep their order or
//! come as they finish, one failure never stops the rest, and every row is accounted for exactly once.

mod alarm;
mod auth;
pub mod blocking;
mod body;
mod buffer;
pub mod bulk;
mod connect;
mod cookies;
mod decode;
mod download;
mod error;
mod event_source;
mod exchange;
mod hooks;
mod http2;
mod lines;
mod middleware;
mod multipart;
mod options;
mod pool;
mod progress;
mod proxy;
mod redact;
mod redirect_rule;
mod request;
mod resolve;
mod response;
mod retrying;
mod send;
mod session;
mod timings;
pub mod trace;
mod upgrade;
mod upload;

/// One GET with a session of its own and the usual options, whose connection nobody uses again. More than one request is
/// a [`Session`]'s.
///
/// ```no_run
/// # async fn example() -> gannet::Result<()> {
/// let text = gannet::get("https://example.com/").await?.error_for_status()?.text().await?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// As [`RequestBuilder::send`].
pub async fn get(url: impl IntoUrl) -> Result<Response> {
    Session::new(Options::default())?.get(url).send().await
}

pub use body::{Body, BodyStream, Coding};
pub use connect::TlsInfo;
pub use download::{Download, DownloadOptions, SaveAs, Saved, filename_of};
pub use error::{Error, Result};
pub use event_source::{EventSource, EventSourceOptions};
pub use gannet_core::address::{AddressClass, Network};
pub use gannet_core::auth::basic as basic_auth;
pub use gannet_core::auth::{Credentials, Netrc, Scheme as AuthScheme};
pub use gannet_core::cookie;
pub use gannet_core::events::{Event, EventLimits, EventParser};
pub use gannet_core::field::{ContentDisposition, ContentRange, MediaType, safe_filename};
pub use gannet_core::h1::Version;
pub use gannet_core::headers::is_credential;
pub use gannet_core::multipart::{MultipartError, MultipartLimits, MultipartParser, PartEvent};
pub use gannet_core::proxy::{
    NoProxy, NoProxyError, ProxyCredentials, ProxyRules, ProxyScheme, ProxyUrl, ProxyUrlError,
};
pub use gannet_core::redirect::RedirectPolicy;
pub use gannet_core::retry::{Backoff, RetryPolicy, StatusSet};
pub use gannet_core::timeout::Timeouts;
pub use gannet_core::{ErrorKind, Headers, Phase};
pub use http::{Method, StatusCode};
pub use middleware::{Handling, Middleware, Next};
pub use multipart::{Form, Part, Parts};
pub use options::{
    Auth, ClientCertificate, Connections, Cookies, Danger, Decode, Dns, DnsOverride, Guard, Http, HttpVersion,
    IpVersion, NetrcFile, Options, Pin, Proxy, ResponseLimits, Tls, TlsVersion,
};
pub use pool::{HostStats, PoolClosed, PoolCounters, PoolStats};
pub use progress::Progress;
pub use redact::RedactedUrl;
pub use redirect_rule::{RedirectAction, RedirectStep};
pub use request::{IntoUrl, Request, RequestBuilder};
pub use resolve::{Answer, Resolve, Resolving};
#[cfg(feature = "hickory")]
pub use resolve::{Hickory, HickoryOptions};
pub use response::{Chunks, Events, Link, Multipart, ReceivedPart, Redirected, Response, ResponseLines};
pub use session::{ConnectionLimits, Session, SessionBuilder};
pub use timings::Timings;
pub use upgrade::Upgraded;
pub use url::Url;
