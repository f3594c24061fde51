//! Heads between their two forms: a request's fields as HTTP/2 may carry them (RFC 9113 §8.2, §8.3), and a response's
//! as the rest of the library knows them.

use gannet_core::h1::ProtocolError;
use gannet_core::headers::is_credential;
use gannet_core::{ErrorKind, Headers, Phase};
use http::header::{COOKIE, HeaderMap, HeaderName, HeaderValue, TE};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use url::{Position, Url};

use crate::error::{Error, Result};

/// The most fields a head may have, as with HTTP/1.1.
const MAX_FIELDS: usize = 100;
/// What a field costs beside name and value, as its line of HTTP/1.1 would.
const LINE: usize = 4;

/// Where a request goes: what becomes `:scheme`, `:authority` and `:path`.
pub(crate) struct Target {
    pub(crate) authority: Authority,
}

impl Target {
    /// The URL's host, and its port if it is not the scheme's own.
    pub(crate) fn of(url: &Url) -> Result<Self> {
        let host = &url[Position::BeforeHost..Position::AfterPort];
        let authority = host.parse().map_err(|error| bad_url("host", error))?;
        Ok(Target { authority })
    }
}

/// The request's target. A Host field of its own takes the place of the URL's host.
pub(crate) fn uri(url: &Url, is_https: bool, authority: &Authority, host: Option<&[u8]>) -> Result<Uri> {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(if is_https { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Some(match host {
        Some(own) => Authority::try_from(own).map_err(|error| bad_url("Host field", error))?,
        None => authority.clone(),
    });
    let path = &url[Position::BeforePath..Position::AfterQuery];
    parts.path_and_query = Some(PathAndQuery::try_from(path).map_err(|error| bad_url("path or query", error))?);
    Uri::from_parts(parts).map_err(|error| bad_url("target", error))
}

/// Adds the fields to send to `all`. What belongs to a connection of HTTP/1.1, or to the framing, is left out;
/// secrets are never put into the compression's table; a cookie is cut into its crumbs (§8.2.3), so that many of them
/// do not exceed a server's bound on one field.
pub(crate) fn request_fields(all: &mut HeaderMap, headers: &Headers) -> Result<()> {
    let connection: Vec<&[u8]> = headers.get_all("connection").collect();
    for (name, value, secret) in headers.iter_marked() {
        if is_left_out(name, &connection) {
            continue;
        }
        let field = HeaderName::from_bytes(name.as_bytes()).map_err(|error| bad_field(name, error))?;
        let secret = secret || is_credential(name);
        if field == TE && !value.eq_ignore_ascii_case(b"trailers") {
            continue;
        }
        if field == COOKIE {
            for crumb in value.split(|&byte| byte == b';').map(<[u8]>::trim_ascii).filter(|crumb| !crumb.is_empty()) {
                append(all, &field, crumb, secret)?;
            }
        } else {
            append(all, &field, value, secret)?;
        }
    }
    Ok(())
}

/// A response's fields, or the trailers behind it; `room` is what heads may still take, and gets smaller.
pub(crate) fn from_map(map: &HeaderMap, room: &mut usize) -> std::result::Result<Headers, ProtocolError> {
    if map.len() > MAX_FIELDS {
        return Err(ProtocolError::TooManyFields);
    }
    let size: usize = map.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    *room = room.checked_sub(size + map.len() * LINE).ok_or(ProtocolError::HeadTooLarge)?;
    let mut headers = Headers::with_capacity(size, map.len());
    for (name, value) in map {
        headers.append(name.as_str(), value.as_bytes()).map_err(|_| ProtocolError::Field)?;
    }
    Ok(headers)
}

fn append(all: &mut HeaderMap, name: &HeaderName, value: &[u8], secret: bool) -> Result<()> {
    let mut value = HeaderValue::from_bytes(value).map_err(|error| bad_field(name.as_str(), error))?;
    value.set_sensitive(secret);
    all.try_append(name, value).map(drop).map_err(|error| bad_field(name.as_str(), error))
}

/// §8.2.2, and what the frames say instead.
fn is_left_out(name: &str, connection: &[&[u8]]) -> bool {
    const NAMES: [&str; 7] =
        ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "host", "content-length"];
    if NAMES.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return true;
    }
    let named = |value: &&[u8]| {
        value.split(|&byte| byte == b',').any(|token| token.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
    };
    connection.iter().any(named)
}

fn bad_url(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Url, Phase::Prepare, format!("{what} that HTTP/2 cannot carry")).with_source(error)
}

fn bad_field(name: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::request(format!("header field {name} cannot be sent over HTTP/2")).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(fields: &[(&str, &str)]) -> HeaderMap {
        let mut headers = Headers::new();
        for (name, value) in fields {
            headers.append(name, value).unwrap();
        }
        let mut all = HeaderMap::new();
        request_fields(&mut all, &headers).unwrap();
        all
    }

    #[test]
    fn what_belongs_to_a_connection_or_to_the_framing_is_left_out() {
        let all = sent(&[
            ("Connection", "keep-alive, X-Hop"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "h2c"),
            ("Host", "other"),
            ("Content-Length", "5"),
            ("X-Hop", "1"),
            ("TE", "gzip"),
            ("X-Kept", "2"),
        ]);
        assert_eq!(all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["x-kept"]);
        assert_eq!(sent(&[("TE", "trailers")]).get("te").unwrap(), "trailers");
    }

    #[test]
    fn cookies_are_cut_into_crumbs_and_secrets_are_not_indexed() {
        let all = sent(&[("Cookie", "a=1; b=2;c=3"), ("Authorization", "Bearer x"), ("Accept", "*/*")]);
        let crumbs: Vec<_> = all.get_all(COOKIE).iter().collect();
        assert_eq!(crumbs, ["a=1", "b=2", "c=3"]);
        assert!(crumbs.iter().all(|crumb| crumb.is_sensitive()));
        assert!(all["authorization"].is_sensitive() && !all["accept"].is_sensitive());
        let mut headers = Headers::new();
        headers.append_secret("x-mine", "s").unwrap();
        let mut all = HeaderMap::new();
        request_fields(&mut all, &headers).unwrap();
        assert!(all["x-mine"].is_sensitive());
    }

    #[test]
    fn a_target_is_the_urls_or_the_host_fields() {
        let url = Url::parse("https://u:p@example.com:8443/a|b?c=%20#f").unwrap();
        let target = Target::of(&url).unwrap();
        let own = uri(&url, true, &target.authority, None).unwrap();
        assert_eq!(own.to_string(), "https://example.com:8443/a|b?c=%20");
        let other = uri(&url, true, &target.authority, Some(b"other:1")).unwrap();
        assert_eq!(other.authority().unwrap(), "other:1");
        let v6 = Url::parse("http://[::1]/").unwrap();
        assert_eq!(Target::of(&v6).unwrap().authority, "[::1]");
    }

    #[test]
    fn item_20_fields_are_counted_by_number_and_by_size() {
        let mut map = HeaderMap::new();
        map.insert("a", HeaderValue::from_static("12345"));
        let mut room = 20;
        assert_eq!(from_map(&map, &mut room).unwrap().get("A"), Some("12345"));
        assert_eq!(room, 10);
        assert!(from_map(&map, &mut room).is_ok());
        assert_eq!(from_map(&map, &mut room).unwrap_err(), ProtocolError::HeadTooLarge);
        for n in 0..101 {
            map.append("b", HeaderValue::from(n));
        }
        assert_eq!(from_map(&map, &mut 1_000_000).unwrap_err(), ProtocolError::TooManyFields);
    }
}
