//! What goes out of a request on one hop: its framing, the fields with the session's beneath them, cookies, credentials
//! and what is a proxy's; as a head of HTTP/1.1 or of HTTP/2. In the usual case no field is copied. Called by
//! [`Sending`](super::Sending) for each connection that it tries.

use std::borrow::Cow;
use std::time::SystemTime;

use gannet_core::Headers;
use gannet_core::auth::basic;
use gannet_core::h1::{self, RequestBody, RequestHead, Version};
use http::Method;
use http::header::{CONTENT_LENGTH, HeaderValue};
use percent_encoding::percent_decode_str;
use url::{Position, Url};

use super::Sending;
use crate::cookies;
use crate::error::{Error, Result};
use crate::http2::{self, Muxed};
use crate::proxy;
use crate::request::append;
use crate::session::{ACCEPT_ENCODING, Inner};
use crate::trace::{self, Event, ShownHeaders, ShownUrl};

impl Sending<'_> {
    pub(super) fn framing(&self) -> RequestBody {
        let request = &self.request;
        match request.body.length() {
            Some(0) if request.body.is_empty() => match request.method {
                Method::POST | Method::PUT | Method::PATCH => RequestBody::Empty,
                _ => RequestBody::None,
            },
            Some(length) => RequestBody::Length(length),
            None => RequestBody::Chunked,
        }
    }

    /// Whether the request tells the server to close the connection behind it.
    pub(super) fn asks_to_close(&self) -> bool {
        let own = &self.request.headers;
        says_close(own) || (self.session.defaults_close && !self.defaults_merged && !own.contains("connection"))
    }

    pub(super) fn write_head(&self, out: &mut Vec<u8>, body: RequestBody) -> Result<()> {
        let url = &self.request.url;
        let (headers, block) = self.fields()?;
        let path = if self.forwarder().is_some() { &url[..Position::AfterPath] } else { url.path() };
        h1::write_head(
            out,
            &RequestHead {
                method: self.request.method.as_str(),
                target: (path, url.query()),
                host: (url.host_str().unwrap_or_default(), url.port()),
                headers: &headers,
                block,
                body,
            },
        );
        if self.tracer.is_some() {
            let defaults = (!block.is_empty()).then_some(&self.session.defaults);
            self.tell_head(Version::Http11, &trace::http1_fields(url, &headers, defaults, body)?);
        }
        Ok(())
    }

    #[cold]
    fn tell_head(&self, version: Version, headers: &Headers) {
        let (method, url, headers) = (&self.request.method, ShownUrl(&self.request.url), ShownHeaders(headers));
        self.tell(&Event::Sending { version, method, url, whole: self.forwarder().is_some(), headers });
    }

    pub(super) fn http2_head(&self, muxed: &Muxed) -> Result<http::Request<()>> {
        let (headers, block) = self.fields()?;
        let mut all = if block.is_empty() { http::HeaderMap::new() } else { self.session.http2_defaults()?.clone() };
        http2::request_fields(&mut all, &headers)?;
        match self.framing() {
            RequestBody::None | RequestBody::Chunked => {}
            RequestBody::Empty => drop(all.insert(CONTENT_LENGTH, HeaderValue::from_static("0"))),
            RequestBody::Length(length) => drop(all.insert(CONTENT_LENGTH, HeaderValue::from(length))),
        }
        let mut head = http::Request::new(());
        *head.method_mut() = self.request.method.clone();
        *head.uri_mut() =
            http2::uri(&self.request.url, muxed.is_https(), muxed.authority(), headers.get_bytes("host"))?;
        *head.version_mut() = http::Version::HTTP_2;
        *head.headers_mut() = all;
        if self.tracer.is_some() {
            self.tell_head(Version::Http2, &trace::http2_fields(&head)?);
        }
        Ok(head)
    }

    /// The fields to send. In the usual case nothing is copied: the request's own fields, and the session's
    /// defaults as a block that was written once.
    fn fields(&self) -> Result<(Cow<'_, Headers>, &[u8])> {
        let own = &self.request.headers;
        let decode = self.request.own.decode.unwrap_or(self.session.options.decode.enabled);
        let defaults = &self.session.defaults;
        // A Cookie field written by the caller, for the request or the session, is sent in place of the jar's.
        let is_left_out = self.left_out().iter().any(|name| name.eq_ignore_ascii_case("cookie"));
        let by_default = !self.defaults_merged && !is_left_out && defaults.contains("cookie");
        let written = own.contains("cookie") || by_default;
        let join = self.session.options.cookies.join;
        let cookie = if written && !join { None } else { self.session.cookies_for(&self.request.url) };
        let overrides = !own.is_empty() && defaults.iter().any(|(name, _)| own.contains(name));
        let overrides = overrides || !self.left_out().is_empty() || self.concerns_proxies();
        let signed = self.signing.as_ref().and_then(|signing| signing.field());
        if cookie.is_none()
            && signed.is_none()
            && !overrides
            && !self.defaults_merged
            && decode == self.session.options.decode.enabled
        {
            return Ok((Cow::Borrowed(own), &self.session.default_block));
        }
        let mut all = own.clone();
        if let Some(cookie) = cookie {
            let written = if by_default && !own.contains("cookie") { defaults } else { own };
            let cookie = if join { cookies::joined(written, &cookie) } else { cookie };
            all.remove("cookie");
            append(&mut all, "cookie", cookie.as_bytes(), true)?;
        }
        if let Some(signed) = signed {
            append(&mut all, "authorization", signed.as_bytes(), true)?;
        }
        if !self.defaults_merged {
            self.add_defaults(&mut all)?;
        }
        self.settle_proxy_fields(&mut all)?;
        Ok((Cow::Owned(all), &[]))
    }

    /// Whether proxies have a say in the fields: one is sent the request itself, or credentials for one stand among
    /// them.
    fn concerns_proxies(&self) -> bool {
        let named = |headers: &Headers| headers.contains(proxy::AUTHORIZATION);
        self.has_proxies()
            && (self.forwarder().is_some() || named(&self.request.headers) || named(&self.session.defaults))
    }

    fn has_proxies(&self) -> bool {
        self.session.proxies.is_some() || self.request.own.proxy.is_some()
    }

    /// What is meant for a proxy goes to that proxy alone: with proxies in play, a Proxy-Authorization that stands in
    /// the request goes nowhere.
    fn settle_proxy_fields(&self, all: &mut Headers) -> Result<()> {
        if self.has_proxies() {
            all.remove(proxy::AUTHORIZATION);
        }
        let Some(proxy) = self.forwarder() else { return Ok(()) };
        for (name, _) in proxy.fields().iter() {
            all.remove(name);
        }
        proxy.fields().iter_marked().try_for_each(|(name, value, secret)| append(all, name, value, secret))
    }

    /// The names of fields that the session does not add to this request.
    fn left_out(&self) -> &[String] {
        self.request.own.hooks.as_ref().map_or(&[], |hooks| &hooks.without)
    }

    /// Puts the session's defaults beneath the request's own fields. Codings are offered if they will be decoded.
    pub(super) fn add_defaults(&self, headers: &mut Headers) -> Result<()> {
        let own_codings = headers.contains("accept-encoding");
        let without = self.left_out();
        let is_in = |names: &[String], name: &str| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        if without.is_empty() {
            headers.extend_missing(&self.session.defaults);
        } else {
            let mut defaults = self.session.defaults.clone();
            defaults.retain(|name, _| !is_in(without, name));
            headers.extend_missing(&defaults);
        }
        if !own_codings
            && (is_in(without, "accept-encoding") || is_in(&self.session.options.without_headers, "accept-encoding"))
        {
            return Ok(());
        }
        let decode = self.request.own.decode.unwrap_or(self.session.options.decode.enabled);
        match (own_codings, decode) {
            (false, true) if !headers.contains("accept-encoding") => {
                append(headers, "accept-encoding", ACCEPT_ENCODING.as_bytes(), false)
            }
            (false, false) => {
                headers.remove("accept-encoding");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Credentials in the URL become a header, and are asked for by nobody who reads the URL later.
    pub(super) fn take_userinfo(&mut self) -> Result<()> {
        let url = &mut self.request.url;
        if url.username().is_empty() && url.password().is_none() {
            return Ok(());
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (user, password) = (decoded(url.username()), url.password().map(decoded));
        let _ = url.set_username("");
        let _ = url.set_password(None);
        if self.request.headers.contains("authorization") {
            return Ok(());
        }
        if let Some(signing) = &mut self.signing {
            signing.on_userinfo(&self.session.keys, &self.request, user, password);
            return Ok(());
        }
        let value = basic(&user, &password.unwrap_or_default());
        append(&mut self.request.headers, "authorization", value.as_bytes(), true)
    }
}

impl Inner {
    /// The defaults as HTTP/2 carries them, made at the first request that needs them.
    fn http2_defaults(&self) -> Result<&http::HeaderMap> {
        if self.http2_defaults.get().is_none() {
            let mut all = http::HeaderMap::new();
            http2::request_fields(&mut all, &self.defaults)?;
            let _ = self.http2_defaults.set(all);
        }
        self.http2_defaults.get().ok_or_else(Error::closed)
    }

    fn cookies_for(&self, url: &Url) -> Option<String> {
        if !self.options.cookies.enabled {
            return None;
        }
        let mut jar = self.jar();
        if jar.is_empty() { None } else { jar.header_for(url, SystemTime::now()) }
    }
}

/// Whether these fields ask for the end of the connection (RFC 9112 §9.6).
pub(crate) fn says_close(headers: &Headers) -> bool {
    let is_close = |word: &[u8]| word.trim_ascii().eq_ignore_ascii_case(b"close");
    headers.get_all("connection").any(|value| value.split(|byte| *byte == b',').any(is_close))
}
