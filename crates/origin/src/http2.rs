//! HTTP/2: how a connection of it is known, served, and its requests read like others.

use std::convert::Infallible;

use http::header::{COOKIE, HOST};
use http::{HeaderValue, Request, Response, Version, request};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::body::Body;

/// Whether the client begins as one of HTTP/2 does (RFC 9113 section 3.4). Takes
/// nothing from the stream; three bytes tell it from every method in use.
pub(crate) async fn begins_with_preface(stream: &TcpStream) -> bool {
    let mut seen = [0; 3];
    loop {
        match stream.peek(&mut seen).await {
            Ok(3) => return seen == *b"PRI",
            Ok(0) | Err(_) => return false,
            Ok(some) if seen[..some] != b"PRI"[..some] => return false,
            Ok(_) => tokio::task::yield_now().await,
        }
    }
}

/// Serves it until either side ends it.
pub(crate) async fn serve<S, F>(stream: S, service: F, max_streams: u32)
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
    F::Future: Send + 'static,
{
    let mut http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    http.max_concurrent_streams(max_streams);
    // Tests cancel many requests on purpose.
    http.max_pending_accept_reset_streams(10_000);
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

/// A Host field from `:authority`, and one Cookie field of all crumbs (RFC 9113
/// section 8.2.3), as the handlers expect them. Other requests stay as they are.
pub(crate) fn as_http1(head: &mut request::Parts) {
    if head.version != Version::HTTP_2 {
        return;
    }
    if let Some(authority) = head.uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        head.headers.insert(HOST, host);
    }
    let crumbs: Vec<&[u8]> = head.headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1
        && let Ok(whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        head.headers.insert(COOKIE, whole);
    }
}
