//! What a response's fields say, in types of their own: links, content type, charset, disposition, cookies.

use std::fmt;
use std::time::SystemTime;

use gannet_core::cookie::{Cookie, Jar};
use gannet_core::field::{ContentDisposition, MediaType, parse_links};
use url::Url;

use super::Response;
use crate::redact::RedactedUrl;

/// One link of a response's Link fields (RFC 8288), its target resolved.
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    /// Where it leads.
    pub url: Url,
    /// The relation types in their order: `["next"]`.
    pub relations: Vec<String>,
    /// All parameters in their order, names in lower case, values as they came.
    pub parameters: Vec<(String, String)>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("url", &RedactedUrl::new(&self.url))
            .field("relations", &self.relations)
            .field("parameters", &self.parameters)
            .finish()
    }
}

impl Response {
    /// The links of all Link fields in their order, resolved against the response's URL. What is no link, or leads
    /// to no URL, is left out; so are links about something else than this response (`anchor`).
    pub fn links(&self) -> Vec<Link> {
        let found = parse_links(self.headers.get_all("link"));
        let own = found.into_iter().filter(|link| link.anchor().is_none_or(|anchor| self.is_own(&anchor)));
        own.filter_map(|link| {
            let url = self.url.join(&link.target).ok()?;
            Some(Link { url, relations: link.relations, parameters: link.parameters })
        })
        .collect()
    }

    /// Where the first link of this relation leads: `response.link("next")` is the next page.
    pub fn link(&self, relation: &str) -> Option<Url> {
        let is = |link: &Link| link.relations.iter().any(|known| known.eq_ignore_ascii_case(relation));
        self.links().into_iter().find(is).map(|link| link.url)
    }

    /// What Content-Type says; `None` without one, or where it is no media type.
    pub fn content_type(&self) -> Option<MediaType> {
        self.headers.get_bytes("content-type").and_then(MediaType::parse)
    }

    /// The charset that Content-Type names, in the server's spelling. What [`Response::text`] reads by is this,
    /// unless the body begins with a byte order mark.
    pub fn charset(&self) -> Option<String> {
        self.content_type().and_then(|media| media.charset().map(str::to_owned))
    }

    /// What Content-Disposition says (RFC 6266). Its file name is the server's word:
    /// [`ContentDisposition::safe_filename`] makes of it what a file may be called.
    pub fn content_disposition(&self) -> Option<ContentDisposition> {
        self.headers.get_bytes("content-disposition").and_then(ContentDisposition::parse)
    }

    /// The cookies that this response sets, as far as its host may set them, and whether or not the session keeps
    /// any. One that is deleted (expired on arrival) is not among them.
    pub fn cookies(&self) -> Vec<Cookie> {
        let mut jar = Jar::new();
        jar.store_all(&self.url, self.headers.get_all("set-cookie"), SystemTime::now());
        jar.iter().cloned().collect()
    }

    fn is_own(&self, anchor: &str) -> bool {
        self.url.join(anchor).is_ok_and(|context| {
            let (mut context, mut own) = (context, self.url.clone());
            context.set_fragment(None);
            own.set_fragment(None);
            context == own
        })
    }
}
