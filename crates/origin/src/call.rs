//! One request as a handler sees it, and what a handler may answer. Handlers are
//! plain functions: all waiting is left to the connection and the body.

use std::borrow::Cow;
use std::fmt::Display;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue, Response, StatusCode, request};
use serde_json::{Value, json};

use crate::body::{Body, OnSent};
use crate::connection::Shared;
use crate::wire::Cut;

/// A request with its whole body.
pub(crate) struct Call {
    pub(crate) head: request::Parts,
    pub(crate) body: Bytes,
    /// What the path had in the place of each `{name}`, percent-decoded.
    pub(crate) args: Vec<String>,
    pub(crate) peer: SocketAddr,
    /// The listening address, by index.
    pub(crate) host: usize,
    pub(crate) local: SocketAddr,
    pub(crate) tls: bool,
    /// When the head arrived.
    pub(crate) arrived: Instant,
    pub(crate) shared: Arc<Shared>,
    pub(crate) cut: Arc<Cut>,
}

/// What a handler answers.
pub(crate) enum Reply {
    /// This response.
    Now(Response<Body>),
    /// This response, after a wait.
    After(Duration, Response<Body>),
    /// Nothing, until the client goes away.
    Never,
    /// A RST instead of a response.
    Reset,
}

/// A request that makes no sense: a 4xx with the reason as JSON.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) reason: String,
}

/// A handler's result.
pub(crate) type Answer = Result<Reply, Refusal>;

impl Call {
    /// The path's nth argument; empty when the pattern has none.
    pub(crate) fn arg(&self, nth: usize) -> &str {
        self.args.get(nth).map_or("", String::as_str)
    }

    /// The nth argument as a number.
    pub(crate) fn number<T: FromStr>(&self, nth: usize) -> Result<T, Refusal>
    where
        T::Err: Display,
    {
        let text = self.arg(nth);
        text.parse().map_err(|why| Refusal::bad(format!("cannot read {text:?} in the path: {why}")))
    }

    /// The query's pairs in order, decoded.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        url::form_urlencoded::parse(self.head.uri.query().unwrap_or("").as_bytes())
    }

    /// The first value of this name in the query.
    pub(crate) fn param(&self, name: &str) -> Option<Cow<'_, str>> {
        self.pairs().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The first value of this name as a number, or else this default.
    pub(crate) fn param_or<T: FromStr>(&self, name: &str, default: T) -> Result<T, Refusal>
    where
        T::Err: Display,
    {
        let Some(text) = self.param(name) else {
            return Ok(default);
        };
        text.parse().map_err(|why| Refusal::bad(format!("cannot read {name}={text}: {why}")))
    }

    /// The first value of this name as seconds, at most a minute.
    pub(crate) fn seconds_or(&self, name: &str, default: f64) -> Result<Duration, Refusal> {
        seconds(self.param_or(name, default)?)
    }

    /// Whether the query has this name with a value other than 0 and false.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.param(name).is_some_and(|value| !matches!(&*value, "0" | "false"))
    }

    /// Path and query as sent.
    pub(crate) fn target(&self) -> &str {
        self.head.uri.path_and_query().map_or("/", |target| target.as_str())
    }

    /// `http://` or `https://` with the Host field, or without one our own address.
    pub(crate) fn base(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let host = self.head.headers.get(HOST).and_then(|host| host.to_str().ok());
        match host {
            Some(host) => format!("{scheme}://{host}"),
            None => format!("{scheme}://{}", self.local),
        }
    }
}

impl Reply {
    /// 200 with this value, indented as httpbin does.
    pub(crate) fn json(value: &Value) -> Reply {
        Reply::Now(json_response(StatusCode::OK, value))
    }

    /// 200 with this body.
    pub(crate) fn of(media_type: &'static str, body: Body) -> Reply {
        let mut response = Response::new(body);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        Reply::Now(response)
    }

    /// The status alone, with an empty body.
    pub(crate) fn status(status: StatusCode) -> Reply {
        let mut response = Response::new(Body::whole(Bytes::new()));
        *response.status_mut() = status;
        Reply::Now(response)
    }

    /// Sets the status; no effect without a response.
    pub(crate) fn with_status(mut self, status: StatusCode) -> Reply {
        if let Some(response) = self.response_mut() {
            *response.status_mut() = status;
        }
        self
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Reply {
        if let Some(response) = self.response_mut() {
            response.headers_mut().append(name, value);
        }
        self
    }

    /// Adds a header whose value came from the request.
    pub(crate) fn with_text(self, name: HeaderName, value: &str) -> Answer {
        let value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| Refusal::bad(format!("{value:?} cannot be a header's value")))?;
        Ok(self.with(name, value))
    }

    /// Calls this once the whole body has been handed to the connection.
    pub(crate) fn on_sent(self, call: OnSent) -> Reply {
        match self {
            Reply::Now(response) => Reply::Now(response.map(|body| body.on_sent(call))),
            other => other,
        }
    }

    /// Puts a wait before the response.
    pub(crate) fn after(self, wait: Duration) -> Reply {
        match self {
            Reply::Now(response) if !wait.is_zero() => Reply::After(wait, response),
            other => other,
        }
    }

    fn response_mut(&mut self) -> Option<&mut Response<Body>> {
        match self {
            Reply::Now(response) | Reply::After(_, response) => Some(response),
            Reply::Never | Reply::Reset => None,
        }
    }
}

impl Refusal {
    /// 400 for this reason.
    pub(crate) fn bad(reason: impl Into<String>) -> Refusal {
        Refusal { status: StatusCode::BAD_REQUEST, reason: reason.into() }
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        json_response(self.status, &json!({ "error": self.reason }))
    }
}

/// A number of seconds as a duration, at most a minute.
pub(crate) fn seconds(seconds: f64) -> Result<Duration, Refusal> {
    // Not f64::min, which would make a minute of NaN.
    let most = if seconds > 60.0 { 60.0 } else { seconds };
    Duration::try_from_secs_f64(most).map_err(|_| Refusal::bad(format!("{seconds} is not a number of seconds")))
}

/// A status code a final response may have.
pub(crate) fn final_status(code: u16) -> Result<StatusCode, Refusal> {
    match StatusCode::from_u16(code) {
        Ok(status) if code >= 200 => Ok(status),
        _ => Err(Refusal::bad(format!("{code} is not the status of a final response"))),
    }
}

fn json_response(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::whole(format!("{value:#}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
