//! How a request is put together: query, header fields, credentials in a field, body. Called by whoever writes a
//! request, through a session's `get`, `post`, `request`. Refuses nothing at once: the first part that is wrong stands in
//! for the request, and is told by `send` and `build`.

use std::borrow::Borrow;
use std::fmt::Display;

use gannet_core::Headers;
use gannet_core::auth::basic;
use serde::Serialize;

use super::{Request, append, finished, set_missing};
use crate::body::Body;
use crate::error::{Error, Result};
use crate::middleware;
use crate::multipart::{Encoded, Form, FormError, Parts};
use crate::response::Response;
use crate::send::send_alone;
use crate::session::Session;

/// Builds a request of a session; [`RequestBuilder::send`] sends it.
///
/// The same for both doors: `S` is [`Session`], or [`crate::blocking::Session`] with a `send` that waits.
#[must_use = "nothing is sent before `send`"]
#[derive(Debug)]
pub struct RequestBuilder<S = Session> {
    pub(crate) session: S,
    pub(crate) request: Result<Request>,
}

impl<S: AsRef<Session>> RequestBuilder<S> {
    pub(crate) fn new(session: S, request: Result<Request>) -> Self {
        RequestBuilder { session, request }
    }

    /// Appends query parameters, percent-encoded: `[("page", 2)]`.
    pub fn query<K: AsRef<str>, V: Display, P: Borrow<(K, V)>>(self, pairs: impl IntoIterator<Item = P>) -> Self {
        self.change(|request| {
            let mut query = request.url.query_pairs_mut();
            for pair in pairs {
                let (name, value) = pair.borrow();
                query.append_pair(name.as_ref(), &value.to_string());
            }
            drop(query);
            if request.url.query() == Some("") {
                request.url.set_query(None);
            }
            Ok(())
        })
    }

    /// Adds a header field. CR, LF and NUL are refused. A Host takes the place of the URL's; Content-Length and
    /// Transfer-Encoding are not sent, as the body decides them, nor over HTTP/2 what is for one connection (RFC 9113
    /// §8.2.2).
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.change(|request| append(&mut request.headers, name, value.as_ref(), false))
    }

    /// Adds a header field that is never shown and does not follow a redirect to another origin.
    pub fn secret_header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.change(|request| append(&mut request.headers, name, value.as_ref(), true))
    }

    /// Adds all these header fields.
    pub fn headers(self, headers: &Headers) -> Self {
        self.change(|request| {
            headers
                .iter_marked()
                .try_for_each(|(name, value, secret)| append(&mut request.headers, name, value, secret))
        })
    }

    /// `Authorization: Basic …` (RFC 7617), in place of one that is there.
    pub fn basic_auth(self, user: &str, password: Option<&str>) -> Self {
        self.authorization(&basic(user, password.unwrap_or_default()))
    }

    /// `Authorization: Bearer …` (RFC 6750), in place of one that is there.
    pub fn bearer_auth(self, token: &str) -> Self {
        self.authorization(&format!("Bearer {token}"))
    }

    fn authorization(self, value: &str) -> Self {
        self.change(|request| {
            request.headers.remove("authorization");
            append(&mut request.headers, "authorization", value.as_bytes(), true)
        })
    }

    /// Asks the server to switch to another protocol on this connection: `websocket`, or several by commas. The
    /// response then has the status 101 and [`crate::Response::upgrade`] hands the connection out; any other status is
    /// the server's way to decline (RFC 9110 §7.8). Over https it is asked on a connection that offers HTTP/1.1 alone,
    /// which `connections.max_per_host` counts apart. A proxy that is sent http requests itself has to know of it.
    pub fn upgrade(self, protocol: &str) -> Self {
        self.change(|request| {
            append(&mut request.headers, "connection", b"upgrade", false)?;
            append(&mut request.headers, "upgrade", protocol.as_bytes(), false)
        })
    }

    /// The body as it is; no content type is added.
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.change(|request| {
            request.body = body.into();
            Ok(())
        })
    }

    /// The value as JSON, with its content type unless one is set.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Self {
        self.change(|request| {
            let bytes = serde_json::to_vec(value)
                .map_err(|error| Error::request("the JSON body cannot be written").with_source(error))?;
            set_missing(&mut request.headers, "content-type", "application/json")?;
            request.body = bytes.into();
            Ok(())
        })
    }

    /// The pairs as `application/x-www-form-urlencoded`.
    pub fn form<K: AsRef<str>, V: Display, P: Borrow<(K, V)>>(self, pairs: impl IntoIterator<Item = P>) -> Self {
        self.change(|request| {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            for pair in pairs {
                let (name, value) = pair.borrow();
                form.append_pair(name.as_ref(), &value.to_string());
            }
            set_missing(&mut request.headers, "content-type", "application/x-www-form-urlencoded")?;
            request.body = form.finish().into_bytes().into();
            Ok(())
        })
    }

    /// A `multipart/form-data` body; its files are read while they are sent.
    pub fn multipart(self, form: Form) -> Self {
        self.encoded(form.encode())
    }

    /// A multipart body that is no form: `multipart/mixed`, `multipart/related`; its files are read while they are sent.
    pub fn parts(self, parts: Parts) -> Self {
        self.encoded(parts.encode())
    }

    /// The finished request, unsent.
    ///
    /// # Errors
    /// What was wrong with any of the parts.
    pub fn build(self) -> Result<Request> {
        finished(self.request)
    }

    fn encoded(self, encoded: Result<Encoded, FormError>) -> Self {
        self.change(|request| {
            let encoded = encoded.map_err(|error| Error::request("multipart body").with_source(error))?;
            set_missing(&mut request.headers, "content-type", &encoded.content_type)?;
            request.body = Body::multipart(encoded);
            Ok(())
        })
    }

    pub(super) fn change(mut self, change: impl FnOnce(&mut Request) -> Result<()>) -> Self {
        if let Ok(request) = &mut self.request
            && let Err(error) = change(request)
        {
            let error = error.with_url(&request.url);
            self.request = Err(error);
        }
        self
    }
}

impl RequestBuilder {
    /// Sends the request and returns when the response's head is there. Dropping the future closes the connection
    /// it was using or, over HTTP/2, resets its stream, and leaks nothing.
    ///
    /// # Errors
    /// Everything but a status: a 404 is a response, unless the session or the request says otherwise; see
    /// [`Response::error_for_status`].
    pub async fn send(self) -> Result<Response> {
        let RequestBuilder { session, request } = self;
        let (session, request) = (&session.inner, finished(request)?);
        let raises = request.raises(&session.options);
        // Boxed where middlewares stand around it: all others would carry their room.
        let response = match middleware::chain_of(session, &request) {
            None => send_alone(session, request, None).await?,
            Some(chain) => middleware::send_through(session, chain, request).await?,
        };
        if raises { response.error_for_status() } else { Ok(response) }
    }
}
