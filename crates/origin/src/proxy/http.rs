//! An HTTP proxy: CONNECT by hand, everything else forwarded with hyper on both sides.

use std::convert::Infallible;
use std::io;

use ::http::header::{CONNECTION, HOST, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION};
use ::http::{HeaderMap, Method, Request, Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::serve::{Client, Seen};
use super::{Asked, Unreached, reach};

pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send>(
    mut stream: Seen<S>,
    client: &Client,
) -> io::Result<()> {
    const CONNECT: &[u8] = b"CONNECT ";
    while stream.seen.len() < CONNECT.len() && CONNECT.starts_with(&stream.seen) {
        stream.read_more().await?;
    }
    if stream.seen.starts_with(CONNECT) {
        return connect(stream, client).await;
    }
    let service = service_fn(|request| async { Ok::<_, Infallible>(forward(request, client).await) });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.header_read_timeout(None);
    http.serve_connection(TokioIo::new(stream), service).await.map_err(io::Error::other)
}

async fn connect<S: AsyncRead + AsyncWrite + Unpin>(mut stream: Seen<S>, client: &Client) -> io::Result<()> {
    let end = loop {
        match stream.seen.windows(4).position(|window| window == b"\r\n\r\n") {
            Some(at) => break at + 4,
            None if stream.seen.len() > MAX_HEAD => return Err(io::ErrorKind::InvalidData.into()),
            None => stream.read_more().await?,
        }
    };
    let head = String::from_utf8_lossy(&stream.seen.split_to(end)).into_owned();
    let mut lines = head.lines();
    let line = lines.next().unwrap_or_default();
    let fields: Vec<_> = lines.filter_map(|line| line.split_once(':')).map(field).collect();
    let told = fields.iter().find(|(name, _)| name == "proxy-authorization");
    let credentials = told.and_then(|(_, value)| decode(value));
    let mut words = line.split(' ');
    let (Some("CONNECT"), Some(target), Some("HTTP/1.1"), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return refuse(&mut stream, StatusCode::BAD_REQUEST).await;
    };
    let what = format!("CONNECT {target}");
    client.log.asked(Asked { connection: client.nth, what, credentials: credentials.clone(), fields });
    if !client.log.admits(credentials.as_deref()) {
        return refuse(&mut stream, StatusCode::PROXY_AUTHENTICATION_REQUIRED).await;
    }
    if let Some(status) = client.log.rules.refuses {
        return refuse(&mut stream, status).await;
    }
    let place = target.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let Some((host, port)) = place else { return refuse(&mut stream, StatusCode::BAD_REQUEST).await };
    match reach(host, port).await {
        Ok(target) => {
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            stream.flush().await?;
            stream.relay(target).await
        }
        Err(unreached) => refuse(&mut stream, unreached.status()).await,
    }
}

/// The refusal of a tunnel, with a body that must not be taken for the origin's.
async fn refuse<S: AsyncWrite + Unpin>(stream: &mut S, status: StatusCode) -> io::Result<()> {
    let body = "the proxy says no";
    let asks = if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED { BASIC_FIELD } else { "" };
    let head = format!("HTTP/1.1 {status}\r\n{asks}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes()).await?;
    stream.shutdown().await
}

async fn forward(request: Request<Incoming>, client: &Client) -> Response<Full<Bytes>> {
    let (mut head, body) = request.into_parts();
    let told = head.headers.get(PROXY_AUTHORIZATION).and_then(|value| value.to_str().ok());
    let credentials = told.and_then(decode);
    let (connection, what) = (client.nth, format!("{} {}", head.method, head.uri));
    let fields = fields_of(&head.headers);
    client.log.asked(Asked { connection, what, credentials: credentials.clone(), fields });
    if !client.log.admits(credentials.as_deref()) {
        let mut response = plain(StatusCode::PROXY_AUTHENTICATION_REQUIRED);
        response.headers_mut().insert(PROXY_AUTHENTICATE, HeaderValue::from_static(BASIC));
        return response;
    }
    if let Some(status) = client.log.rules.refuses {
        return plain(status);
    }
    let (Some("http"), Some(authority)) = (head.uri.scheme_str(), head.uri.authority().cloned()) else {
        // What is for a server and not for a proxy has only a path.
        return plain(StatusCode::BAD_REQUEST);
    };
    if head.method == Method::CONNECT {
        return plain(StatusCode::BAD_REQUEST);
    }
    let path = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let Ok(uri) = path.parse() else { return plain(StatusCode::BAD_REQUEST) };
    head.uri = uri;
    for name in HOP_BY_HOP {
        head.headers.remove(name);
    }
    // RFC 9112 §3.2.2: the target's host, whatever the field says.
    let Ok(host) = HeaderValue::from_str(authority.as_str()) else { return plain(StatusCode::BAD_REQUEST) };
    head.headers.insert(HOST, host);
    head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else { return plain(StatusCode::BAD_REQUEST) };
    let request = Request::from_parts(head, Full::new(body.to_bytes()));
    match reach(authority.host(), authority.port_u16().unwrap_or(80)).await {
        Ok(target) => exchange(TokioIo::new(target), request).await.unwrap_or_else(|| plain(StatusCode::BAD_GATEWAY)),
        Err(unreached) => plain(unreached.status()),
    }
}

/// Sends the request to its origin and takes the whole response.
async fn exchange(
    target: TokioIo<tokio::net::TcpStream>,
    request: Request<Full<Bytes>>,
) -> Option<Response<Full<Bytes>>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(target).await.ok()?;
    let exchange = async move {
        let (mut head, body) = sender.send_request(request).await.ok()?.into_parts();
        // Framed anew for our client.
        for name in HOP_BY_HOP {
            head.headers.remove(name);
        }
        Some(Response::from_parts(head, Full::new(body.collect().await.ok()?.to_bytes())))
    };
    let (response, _) = tokio::join!(exchange, connection);
    response
}

impl Unreached {
    fn status(&self) -> StatusCode {
        match self {
            Unreached::NotAllowed => StatusCode::FORBIDDEN,
            Unreached::Failed => StatusCode::BAD_GATEWAY,
        }
    }
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"the proxy says no")));
    *response.status_mut() = status;
    response
}

fn field((name, value): (&str, &str)) -> (String, String) {
    (name.to_ascii_lowercase(), value.trim().to_owned())
}

fn fields_of(headers: &HeaderMap) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| field((name.as_str(), &String::from_utf8_lossy(value.as_bytes())))).collect()
}

/// `user:password` of a Basic field.
fn decode(value: &str) -> Option<String> {
    let (scheme, token) = value.split_once(' ')?;
    let bytes = STANDARD.decode(token.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    String::from_utf8(bytes).ok()
}

const HOP_BY_HOP: [HeaderName; 5] = [
    CONNECTION,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("transfer-encoding"),
];

const BASIC: &str = "Basic realm=\"gannet-origin proxy\"";
const BASIC_FIELD: &str = "proxy-authenticate: Basic realm=\"gannet-origin proxy\"\r\n";
const MAX_HEAD: usize = 64 * 1024;
const MAX_BODY: usize = 64 * 1024 * 1024;
