//! One connection: reads requests with hyper, finds their endpoint, counts them
//! and turns what the handler answered into a response, a wait or a cut.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::ALLOW;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::HandshakeKind;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::body::Body;
use crate::call::{Answer, Call, Refusal, Reply};
use crate::digest::Nonces;
use crate::faults::Attempts;
use crate::http2;
use crate::limited::Limiter;
use crate::route::{self, Endpoint};
use crate::stats::{Flight, Recorder, Stats};
use crate::wire::{Cut, Ending, Wire};

/// What all connections of an origin share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) attempts: Attempts,
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) nonces: Nonces,
}

impl Shared {
    pub(crate) fn new(hosts: Vec<String>, keep_urls: usize) -> Shared {
        Shared {
            recorder: Arc::new(Recorder::new(hosts, keep_urls)),
            attempts: Attempts::default(),
            limiter: Arc::new(Limiter::default()),
            nonces: Nonces::default(),
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        self.recorder.read(self.limiter.stats())
    }

    /// As if the origin had just started; what is open or in flight stays counted.
    pub(crate) fn reset(&self) {
        self.recorder.reset(Instant::now());
        self.attempts.reset();
        self.limiter.reset();
        self.nonces.reset();
    }
}

/// What the requests of one connection have in common.
pub(crate) struct Connection {
    pub(crate) shared: Arc<Shared>,
    pub(crate) host: usize,
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
    pub(crate) tls: Option<TlsAcceptor>,
    /// How many requests a connection of HTTP/2 carries at once.
    pub(crate) max_streams: u32,
}

impl Connection {
    /// Serves it until either side ends it.
    pub(crate) async fn serve(self, stream: TcpStream) {
        let _open = self.shared.recorder.connect(self.host);
        let cut = Arc::new(Cut::default());
        let is_http2 = self.tls.is_none() && http2::begins_with_preface(&stream).await;
        let wire = Wire::new(stream, Arc::clone(&cut));
        match self.tls.clone() {
            None => self.serve_http(wire, cut, is_http2).await,
            Some(acceptor) => {
                // A client that does not like the certificate ends here.
                if let Ok(stream) = acceptor.accept(wire).await {
                    if stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed) {
                        self.shared.recorder.on_resumed();
                    }
                    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    self.serve_http(stream, cut, is_http2).await;
                }
            }
        }
    }

    async fn serve_http<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S, cut: Arc<Cut>, is_http2: bool) {
        let connection = Arc::new((self, cut));
        let service = service_fn(|request| {
            let connection = Arc::clone(&connection);
            async move { Ok::<_, Infallible>(answer(request, &connection.0, &connection.1).await) }
        });
        if is_http2 {
            let serving = pin!(http2::serve(stream, service, connection.0.max_streams));
            tokio::select! {
                biased;
                () = connection.1.fired() => {}
                () = serving => {}
            }
            return;
        }
        let mut http = hyper::server::conn::http1::Builder::new();
        // Idle connections stay open: when they close is the client's affair, or a script's.
        http.header_read_timeout(None);
        let serving = pin!(http.serve_connection(TokioIo::new(stream), service));
        // Both end the connection: the cut by dropping it with the socket.
        tokio::select! {
            biased;
            () = connection.1.fired() => {}
            _ = serving => {}
        }
    }
}

/// Answers one request. A reply that never comes is a future that never ends:
/// hyper drops it when the client goes away.
async fn answer(request: Request<Incoming>, connection: &Connection, cut: &Arc<Cut>) -> Response<Body> {
    let arrived = Instant::now();
    let (mut head, body) = request.into_parts();
    http2::as_http1(&mut head);
    let found = route::find(head.uri.path());
    let flight = begin(connection, found.as_ref().map(|(endpoint, _)| *endpoint), &head, arrived);
    let body = match collect(body).await {
        Ok(body) => body,
        Err(refusal) => return finish(refusal.into_response(), flight),
    };
    let Some((endpoint, args)) = found else {
        let reason = format!("no endpoint at {}; see /", head.uri.path());
        let refusal = Refusal { status: StatusCode::NOT_FOUND, reason };
        return finish(refusal.into_response(), flight);
    };
    if !endpoint.allows(&head.method) {
        return finish(wrong_method(endpoint, &head.method), flight);
    }
    let call = Call {
        head,
        body,
        args,
        peer: connection.peer,
        host: connection.host,
        local: connection.local,
        tls: connection.tls.is_some(),
        arrived,
        shared: Arc::clone(&connection.shared),
        cut: Arc::clone(cut),
    };
    let reply = (endpoint.run)(&call);
    drop(call);
    perform(reply, flight, cut).await
}

/// Counts the request, unless it asks for the figures themselves.
fn begin(
    connection: &Connection,
    endpoint: Option<&'static Endpoint>,
    head: &http::request::Parts,
    now: Instant,
) -> Option<Flight> {
    let pattern = endpoint.map_or("(unknown)", |endpoint| endpoint.pattern);
    let url = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let recorder = &connection.shared.recorder;
    (pattern != route::STATS).then(|| recorder.begin(connection.host, pattern, url, now))
}

async fn collect(body: Incoming) -> Result<Bytes, Refusal> {
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            reason: format!("the body is longer than {MAX_BODY} bytes"),
        }),
        Err(error) => Err(Refusal::bad(format!("cannot read the body: {error}"))),
    }
}

async fn perform(reply: Answer, flight: Option<Flight>, cut: &Cut) -> Response<Body> {
    match reply {
        Ok(Reply::Now(response)) => finish(response, flight),
        Ok(Reply::After(wait, response)) => {
            tokio::time::sleep(wait).await;
            finish(response, flight)
        }
        Ok(Reply::Never) => std::future::pending().await,
        Ok(Reply::Reset) => {
            cut.now(Ending::Reset);
            std::future::pending().await
        }
        Err(refusal) => finish(refusal.into_response(), flight),
    }
}

fn finish(response: Response<Body>, flight: Option<Flight>) -> Response<Body> {
    response.map(|body| body.carrying(flight))
}

fn wrong_method(endpoint: &Endpoint, method: &Method) -> Response<Body> {
    let reason = format!("{method} is not for {}", endpoint.pattern);
    let refusal = Refusal { status: StatusCode::METHOD_NOT_ALLOWED, reason };
    let mut response = refusal.into_response();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(endpoint.methods));
    response
}

/// Bodies are held whole to be echoed; 64 MiB is beyond any test of an echo.
const MAX_BODY: usize = 64 * 1024 * 1024;
