//! The one error of this library: what went wrong, while doing what, for which host, after how long.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use gannet_core::{ErrorKind, Headers, Phase};
use http::StatusCode;
use url::Url;

use crate::redact::RedactedUrl;

/// Why a request has no usable response.
///
/// One pointer wide. Its text never holds a password, a token in the query, or a secret header.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    phase: Phase,
    message: Cow<'static, str>,
    url: Option<RedactedUrl>,
    host: Option<Box<str>>,
    status: Option<StatusCode>,
    headers: Option<Headers>,
    body: Option<Bytes>,
    elapsed: Option<Duration>,
    attempts: u32,
    note: Option<Note>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What the server let us know beside the failure itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// It did not look at the request.
    Unprocessed,
    /// It asks for less.
    Throttled,
}

/// What most calls of this library return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn new(kind: ErrorKind, phase: Phase, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        let inner = Inner {
            kind,
            phase,
            message,
            url: None,
            host: None,
            status: None,
            headers: None,
            body: None,
            elapsed: None,
            attempts: 1,
            note: None,
            source: None,
        };
        Error { inner: Box::new(inner) }
    }

    pub(crate) fn request(message: impl Into<Cow<'static, str>>) -> Self {
        Error::new(ErrorKind::Request, Phase::Prepare, message)
    }

    pub(crate) fn closed() -> Self {
        Error::new(ErrorKind::Closed, Phase::Pool, "the session is closed")
    }

    pub(crate) fn timeout(kind: ErrorKind, phase: Phase, limit: Duration) -> Self {
        Error::new(kind, phase, format!("timed out {phase} (limit {limit:?})"))
    }

    pub(crate) fn of_status(status: StatusCode) -> Self {
        let message = match status.canonical_reason() {
            Some(reason) => Cow::Owned(format!("{} {reason}", status.as_u16())),
            None => Cow::Owned(status.as_u16().to_string()),
        };
        let mut error = Error::new(ErrorKind::Status, Phase::Head, message);
        error.inner.status = Some(status);
        error
    }

    /// An I/O failure; what this machine lacks (descriptors, ports, memory) is never charged to the server.
    pub(crate) fn io(kind: ErrorKind, phase: Phase, message: &'static str, source: std::io::Error) -> Self {
        let kind = if is_exhaustion(&source) { ErrorKind::Resources } else { kind };
        Error::new(kind, phase, message).with_source(source)
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    pub(crate) fn with_note(mut self, note: Note) -> Self {
        self.inner.note = Some(note);
        self
    }

    pub(crate) fn with_url(mut self, url: &Url) -> Self {
        if self.inner.url.is_none() {
            self.inner.host = url.host_str().map(Box::from);
            self.inner.url = Some(RedactedUrl::new(url));
        }
        self
    }

    pub(crate) fn with_elapsed(mut self, elapsed: Duration) -> Self {
        self.inner.elapsed.get_or_insert(elapsed);
        self
    }

    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        self.inner.attempts = attempts;
        self
    }

    pub(crate) fn with_headers(mut self, headers: Headers) -> Self {
        self.inner.headers = Some(headers);
        self
    }

    pub(crate) fn with_body(mut self, body: Bytes) -> Self {
        self.inner.body = Some(body);
        self
    }

    pub(crate) fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.inner.message = message.into();
        self
    }

    pub(crate) fn with_phase(mut self, phase: Phase) -> Self {
        self.inner.phase = phase;
        self
    }

    pub(crate) fn with_proxy_status(mut self, status: Option<u16>) -> Self {
        self.inner.status = status.and_then(|status| StatusCode::from_u16(status).ok());
        self
    }

    /// The message alone, without causes.
    pub(crate) fn bare_message(&self) -> &str {
        &self.inner.message
    }

    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.inner.kind = kind;
        self
    }

    /// What went wrong, for deciding what to do.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// What was being done when it went wrong.
    pub fn phase(&self) -> Phase {
        self.inner.phase
    }

    /// The URL that was asked (the last one, after redirects), its secrets blanked.
    pub fn url(&self) -> Option<&str> {
        self.inner.url.as_ref().map(RedactedUrl::as_str)
    }

    /// The host that was asked.
    pub fn host(&self) -> Option<&str> {
        self.inner.host.as_deref()
    }

    /// The status, where the kind is [`ErrorKind::Status`].
    pub fn status(&self) -> Option<StatusCode> {
        self.inner.status.filter(|_| self.inner.kind == ErrorKind::Status)
    }

    /// The status that a proxy refused a tunnel with, where the kind is [`ErrorKind::Proxy`] and it speaks HTTP.
    /// The origin has then said nothing.
    pub fn proxy_status(&self) -> Option<StatusCode> {
        self.inner.status.filter(|_| self.inner.kind == ErrorKind::Proxy)
    }

    /// The fields of the response, where a [`crate::Response`] or a download made the error of its status: what
    /// Retry-After or the number of the request says. In a bulk run they are with the outcome's response.
    pub fn headers(&self) -> Option<&Headers> {
        self.inner.headers.as_ref()
    }

    /// The beginning of the body that came with the status, decoded, where
    /// [`crate::Response::error_for_status_with_body`] made the error. Never part of its text: a body may hold secrets.
    pub fn body(&self) -> Option<&Bytes> {
        self.inner.body.as_ref()
    }

    /// As [`Error::body`], as text: what is not UTF-8 becomes U+FFFD.
    pub fn body_text(&self) -> Option<Cow<'_, str>> {
        self.inner.body.as_ref().map(|body| String::from_utf8_lossy(body))
    }

    /// From the start of the request (the last attempt of a bulk row) to the failure.
    pub fn elapsed(&self) -> Option<Duration> {
        self.inner.elapsed
    }

    /// How many attempts were made: 1, but for rows of a bulk run, downloads and
    /// [`crate::Session::execute_retrying`].
    pub fn attempts(&self) -> u32 {
        self.inner.attempts
    }

    /// Whether this is one of the timeouts; [`Error::kind`] tells which.
    pub fn is_timeout(&self) -> bool {
        self.inner.kind.is_timeout()
    }

    /// Whether the server surely did not look at the request, so that it may be sent again whatever its method:
    /// HTTP/2's REFUSED_STREAM, or a GOAWAY below the request's stream (RFC 9113 §8.7). The session has sent it
    /// again by itself, where it could.
    pub fn is_unprocessed(&self) -> bool {
        self.inner.note == Some(Note::Unprocessed)
    }

    /// Whether the server asks for less, other than by a status: HTTP/2's ENHANCE_YOUR_CALM.
    pub fn is_throttled(&self) -> bool {
        self.inner.note == Some(Note::Throttled)
    }

    /// Whether the server answered with a status of 400 or above.
    pub fn is_status(&self) -> bool {
        self.inner.kind == ErrorKind::Status
    }

    /// Whether no connection could be made: name, TCP, TLS or a proxy's tunnel.
    pub fn is_connect(&self) -> bool {
        use ErrorKind::{Connect, Dns, Proxy, TimeoutConnect, Tls};
        matches!(self.inner.kind, Dns | Connect | Tls | Proxy | TimeoutConnect)
    }

    /// The message with its causes, without the URL: what a result row shows.
    pub fn message(&self) -> String {
        let mut text = self.inner.message.clone().into_owned();
        if self.is_timeout() {
            if let Some(host) = &self.inner.host {
                text.push_str(&format!(", host {host}"));
            }
            if let Some(elapsed) = self.inner.elapsed {
                text.push_str(&format!(", after {:.3} s", elapsed.as_secs_f64()));
            }
        }
        let mut source = self.inner.source.as_deref().map(|s| s as &dyn std::error::Error);
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !text.contains(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            source = cause.source();
        }
        text
    }
}

impl From<gannet_core::HeaderError> for Error {
    fn from(error: gannet_core::HeaderError) -> Self {
        Error::request(error.to_string())
    }
}

impl From<gannet_core::limit::RateError> for Error {
    fn from(error: gannet_core::limit::RateError) -> Self {
        Error::request(error.to_string())
    }
}

impl From<gannet_core::retry::StatusSetError> for Error {
    fn from(error: gannet_core::retry::StatusSetError) -> Self {
        Error::request(error.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())?;
        match &self.inner.url {
            Some(url) => write!(f, " ({url})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.inner.kind)
            .field("phase", &self.inner.phase)
            .field("message", &self.message())
            .field("url", &self.url())
            .field("attempts", &self.inner.attempts)
            .field("elapsed", &self.inner.elapsed)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

pub(crate) const EADDRNOTAVAIL: i32 = 99;

/// EMFILE, ENFILE, ENOMEM, ENOBUFS, EADDRNOTAVAIL: this machine's limits.
pub(crate) fn is_exhaustion(error: &std::io::Error) -> bool {
    const EMFILE: i32 = 24;
    const ENFILE: i32 = 23;
    const ENOMEM: i32 = 12;
    const ENOBUFS: i32 = 105;
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE | ENOMEM | ENOBUFS | EADDRNOTAVAIL))
}

/// Whether the peer ended TLS because of a certificate. In TLS 1.3 a server looks at the client's only after the
/// client's side of the handshake is over (RFC 8446 §4.4), so that this comes in place of a response.
pub(crate) fn is_tls_refusal(error: &std::io::Error) -> bool {
    use rustls::AlertDescription as Alert;
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(
        tls,
        Some(rustls::Error::AlertReceived(
            Alert::CertificateRequired
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                // The signature over it does not fit: of an authority that has but the name of the right one.
                | Alert::DecryptError
        ))
    )
}
