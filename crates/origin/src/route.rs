//! The table of endpoints: from it come dispatch, the index at `/`, and the
//! list that `gannet origin --help` prints. A new endpoint is one row here.

use std::sync::LazyLock;

use http::Method;

use crate::call::{Answer, Call};
use crate::{compress, digest, echo, faults, limited, pages, redirect, streams};

/// One row of the table.
pub(crate) struct Endpoint {
    /// Segments; `{name}` stands for any one segment, a last `{name*}` for the
    /// rest of the path, none of it included.
    pub(crate) pattern: &'static str,
    /// The methods it answers as an Allow field has them; empty for all. HEAD
    /// goes with GET.
    pub(crate) methods: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Call) -> Answer,
}

impl Endpoint {
    pub(crate) fn allows(&self, method: &Method) -> bool {
        self.methods.is_empty()
            || self.methods.split(", ").any(|allowed| allowed == method.as_str())
            || (method == Method::HEAD && self.methods.split(", ").any(|allowed| allowed == "GET"))
    }
}

/// Every endpoint: its path, with `{name}` for what varies, and a line about it.
pub fn endpoints() -> &'static [(&'static str, &'static str)] {
    static LIST: LazyLock<Vec<(&str, &str)>> =
        LazyLock::new(|| TABLE.iter().map(|row| (row.pattern, row.about)).collect());
    &LIST
}

/// The endpoint for a path, and what stands in its `{name}`s, percent-decoded.
pub(crate) fn find(path: &str) -> Option<(&'static Endpoint, Vec<String>)> {
    TABLE.iter().find_map(|row| Some((row, arguments(row.pattern, path)?)))
}

fn arguments(pattern: &str, path: &str) -> Option<Vec<String>> {
    let mut args = Vec::new();
    let mut path = path.strip_prefix('/').map(|rest| rest.split('/'))?;
    for part in pattern.trim_start_matches('/').split('/') {
        if part.ends_with("*}") {
            return Some(args);
        }
        let segment = path.next()?;
        if part.starts_with('{') {
            if segment.is_empty() {
                return None;
            }
            args.push(decode(segment));
        } else if part != segment {
            return None;
        }
    }
    path.next().is_none().then_some(args)
}

fn decode(segment: &str) -> String {
    if !segment.contains('%') {
        return segment.to_owned();
    }
    // A form decoder is what is at hand: it would read '+' as a space.
    let text = segment.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    url::form_urlencoded::parse(text.as_bytes()).next().map_or_else(String::new, |(key, _)| key.into())
}

pub(crate) const STATS: &str = "/stats";

const GET: &str = "GET";
const ANY: &str = "";

type Row = (&'static str, &'static str, fn(&Call) -> Answer, &'static str);

static TABLE: LazyLock<Vec<Endpoint>> = LazyLock::new(|| {
    let endpoint = |&(pattern, methods, run, about): &Row| Endpoint { pattern, methods, about, run };
    ROWS.iter().map(endpoint).collect()
});

// First what a bulk run asks for most: the search goes from top to bottom.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("/items/{id}", GET, pages::item, "a small JSON object made from the id; ?delay=0.2 waits first"),
    ("/users/{id}", GET, pages::user, "the same with a name and an address"),
    ("/get", GET, echo::echo, "the request as JSON: args, headers, origin, url"),
    ("/post", "POST", echo::echo, "the same with the body: data, form, files, json"),
    ("/put", "PUT", echo::echo, "the same for PUT"),
    ("/patch", "PATCH", echo::echo, "the same for PATCH"),
    ("/delete", "DELETE", echo::echo, "the same for DELETE"),
    ("/anything", ANY, echo::echo, "the same for any method"),
    ("/anything/{path*}", ANY, echo::echo, "the same for any method and path"),
    ("/headers", GET, echo::headers, "the request's headers"),
    ("/ip", GET, echo::ip, "the client's address"),
    ("/user-agent", GET, echo::user_agent, "the User-Agent header"),
    ("/status/{code}", ANY, pages::status, "that status with no body; ?retry_after=1 adds the header"),
    ("/response-headers", "GET, POST", pages::response_headers, "the query's pairs as response headers"),
    ("/delay/{seconds}", ANY, echo::delay, "as /anything after a wait of at most 60 s"),
    ("/bytes/{n}", GET, streams::bytes, "n bytes made from ?seed=0, or a Range of them; &duration= in all, &chunked=1 leaves the length out"),
    ("/stream/{n}", GET, streams::lines, "n lines of JSON, chunked; ?interval=0.1 waits between them"),
    ("/drip", GET, streams::drip, "?numbytes=10 over ?duration=2 seconds, &code=200, &delay=0 before"),
    ("/redirect/{n}", ANY, redirect::count, "n redirects, then /get; ?absolute=1, ?status_code=302"),
    ("/redirect-to", ANY, redirect::to, "a redirect to ?url=, &status_code=302"),
    ("/cookies", GET, redirect::cookies, "the request's cookies"),
    ("/cookies/set", GET, redirect::set_cookies, "sets the query's pairs as cookies, then /cookies"),
    ("/cookies/delete", GET, redirect::delete_cookies, "expires the cookies named in the query, then /cookies"),
    ("/basic-auth/{user}/{password}", GET, pages::basic_auth, "200 with these credentials, else 401"),
    ("/digest-auth/{qop}/{user}/{password}", ANY, digest::digest_auth, "the same by Digest, qop auth, auth-int, both, none; ?uses= of a nonce, &userhash=1, &domain="),
    ("/digest-auth/{qop}/{user}/{password}/{algorithm}", ANY, digest::digest_auth, "the same with MD5, SHA-256, SHA-512-256, -sess or not"),
    ("/bearer", GET, pages::bearer, "200 with any bearer token, else 401"),
    ("/gzip", GET, compress::gzip, "JSON with Content-Encoding: gzip"),
    ("/deflate", GET, compress::deflate, "the same with deflate in zlib's format; ?raw=1 without it"),
    ("/brotli", GET, compress::brotli, "the same with br"),
    ("/zstd", GET, compress::zstd, "the same with zstd"),
    ("/bomb", GET, compress::bomb, "?mib=64 of zeros as a gzip a thousandth of that size"),
    ("/json", GET, pages::json, "a JSON document"),
    ("/html", GET, pages::html, "an HTML page"),
    ("/robots.txt", GET, pages::robots, "a text file"),
    ("/encoding/utf8", GET, pages::utf8, "text in UTF-8"),
    ("/encoding/latin1", GET, pages::latin1, "text in ISO 8859-1, so labelled"),
    ("/flaky", ANY, faults::flaky, "fails ?p=0.05 of attempts by ?seed=1: &status=503, &mode=status|reset|hang|truncate|mixed"),
    ("/limited", ANY, limited::limited, "?rate=50 a second, &burst= at once, per &key=; else 429 and Retry-After"),
    ("/hang", ANY, faults::hang, "never answers; ?after=head stops within the body"),
    ("/reset", ANY, faults::reset, "a TCP reset before any answer; ?after=head within the body"),
    ("/truncate", ANY, faults::truncate, "half of the body and a close; ?chunked=1 without the last chunk"),
    (STATS, "GET, DELETE", pages::stats, "what reached this server; DELETE starts again from nothing"),
    ("/", GET, pages::index, "this list"),
];
