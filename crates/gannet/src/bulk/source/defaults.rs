//! What every row gets unless it says otherwise, made ready once: templates read, JSON tried, fixed parts encoded.
//! Puts each row's request together from its own parts and these.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use gannet_core::timeout::Timeouts;
use gannet_core::{ErrorKind, Headers};
use http::Method;
use url::Url;

use super::template::{Kind, Names, Template, Values};
use super::{Draft, unreadable};
use crate::body::Coding;
use crate::error::{Error, Result};
use crate::proxy::OwnProxy;
use crate::request::{IntoUrl, Request, Transfer, append, finished};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// What every row gets unless it says otherwise. Texts may hold `{name}`, filled from the row: a column of CSV, a
/// key of JSONL (where [`RequestDefaults::url`] is given), `{line}` or `{url}` for a line of text or a URL,
/// `{index}` always. `{{name}}` stands for `{name}` itself.
#[derive(Clone, Debug, Default)]
pub struct RequestDefaults {
    /// The method; GET, or POST where there is a body.
    pub method: Option<Method>,
    /// Header fields, for rows that have none of the same name. Values may be templates.
    pub headers: Headers,
    /// Query parameters, for rows whose `params` have none of the same name. Values may be templates.
    pub query: Vec<(String, String)>,
    /// The body, for rows without one.
    pub body: BodyTemplate,
    /// The content type of a body of [`BodyTemplate::Data`] or [`BodyTemplate::Bytes`], where the headers have none; the
    /// others bring theirs.
    pub content_type: Option<String>,
    /// The template of every row's URL. Values are percent-encoded, but for a placeholder at the very start where
    /// there is no base URL: it holds the scheme and host. It, or one of the others, has to name something of the
    /// row, and `{{` is a brace that begins no name. Without it rows have a URL of their own.
    pub url: Option<String>,
    /// The session's timeouts: what a row with a `timeout` (its `total`) has for the others.
    pub timeouts: Timeouts,
    /// What bodies are compressed in on their way ([`crate::RequestBuilder::compress`]); none.
    pub compress: Option<Coding>,
    /// How long a body waits for the server to ask for it ([`crate::RequestBuilder::expect_continue`]); it does not.
    pub expect_continue: Option<Duration>,
    /// Whether rows of JSONL may name their own `proxy`; off, such a row fails. A proxy is not judged by the session's
    /// address guard: who reads rows of strangers leaves this off.
    pub own_proxies: bool,
}

/// A body, filled from the row. Form and JSON bring their content type where the headers have none.
#[derive(Clone, Debug, Default)]
pub enum BodyTemplate {
    /// No body.
    #[default]
    None,
    /// JSON. A placeholder within quotes is filled with escaped text; a bare one becomes a JSON value: a number,
    /// `true`, `false` or `null` where the text is one, otherwise a string.
    Json(String),
    /// Fields of a form, percent-encoded.
    Form(Vec<(String, String)>),
    /// Text as it is, values put in as they are.
    Data(String),
    /// Bytes as they are; nothing is put in.
    Bytes(Bytes),
}

/// What a row says itself.
#[derive(Debug, Default)]
pub(super) struct Own {
    pub(super) method: Option<Method>,
    pub(super) headers: Headers,
    pub(super) params: Vec<(String, String)>,
    pub(super) body: Option<OwnBody>,
    pub(super) total: Option<Duration>,
    pub(super) proxy: Option<OwnProxy>,
}

/// A row's own body.
#[derive(Debug)]
pub(super) enum OwnBody {
    Json(Vec<u8>),
    Form(Vec<(String, String)>),
    Bytes(Vec<u8>),
}

/// The defaults, made ready.
pub(super) struct Plan {
    base: Option<Url>,
    method: Option<Method>,
    url: Option<Template>,
    query: Vec<(String, Template)>,
    headers: Headers,
    filled_headers: Vec<HeaderTemplate>,
    body: Option<Content>,
    /// Of a body that is sent as it is.
    content_type: Option<String>,
    timeouts: Timeouts,
    transfer: Option<Box<Transfer>>,
    own_proxies: bool,
    pub(super) names: Names,
}

struct HeaderTemplate {
    name: String,
    value: Template,
    secret: bool,
}

/// The content type that a body brings.
#[derive(Clone, Copy)]
enum Type {
    Json,
    /// What [`RequestDefaults::content_type`] says.
    Given,
}

enum Content {
    Fixed(Bytes, Type),
    Text(Template, Type),
    Form(Vec<(String, Template)>),
}

impl Plan {
    /// # Errors
    /// Kind `input` for a template that cannot become JSON, and for one of a URL with a brace that is not closed, or
    /// by which all rows would ask the same.
    pub(super) fn new(defaults: &RequestDefaults, base: Option<Url>) -> Result<Self> {
        let mut names = Names::new();
        let url = defaults.url.as_deref().map(|url| Template::url(url.trim(), base.is_some(), &mut names));
        let url = url.transpose().map_err(|why| unreadable(format!("the URL template: {why}")))?;
        let query = pairs(&defaults.query, &mut names);
        let (headers, filled_headers) = headers(&defaults.headers, &mut names)?;
        let body = content(&defaults.body, &mut names)?;
        // One URL for rows that differ in their bodies, headers or queries is as good as any.
        if url.is_some() && names.used().next().is_none() {
            let message = "the URL template names no column of the rows: every row would ask the same URL";
            return Err(unreadable(message));
        }
        let (method, timeouts) = (defaults.method.clone(), defaults.timeouts.clone());
        let RequestDefaults { compress, expect_continue: expect, own_proxies, .. } = *defaults;
        let transfer = Transfer::wish(compress, expect).map(Box::new);
        let content_type = defaults.content_type.clone();
        Ok(Plan {
            base,
            method,
            url,
            query,
            headers,
            filled_headers,
            body,
            content_type,
            timeouts,
            transfer,
            own_proxies,
            names,
        })
    }

    /// Whether rows take their URL from a template.
    pub(super) fn has_url(&self) -> bool {
        self.url.is_some()
    }

    /// The row: from its own URL, unless there is a template for it.
    pub(super) fn draft(&self, id: Option<String>, url: Option<&str>, own: Own, values: &dyn Values) -> Draft {
        let text = match &self.url {
            Some(template) => match template.fill(&self.names, values) {
                Ok(filled) => Cow::Owned(filled),
                Err(why) => return Draft::refused(id, url.unwrap_or_default().to_owned(), why),
            },
            None => Cow::Borrowed(url.unwrap_or_default()),
        };
        let (url, resolved) = match self.resolve(&text) {
            Ok(resolved) => resolved,
            Err(error) => return Draft { id, url: text.into_owned(), request: Err(error) },
        };
        let is_other = resolved || !own.params.is_empty() || !self.query.is_empty();
        let request = self.request(url, own, values);
        let url = match &request {
            Ok(request) if is_other => request.url.as_str().to_owned(),
            _ => text.into_owned(),
        };
        Draft { id, url, request }
    }

    /// The URL, and whether the base was needed.
    fn resolve(&self, text: &str) -> Result<(Url, bool)> {
        match (Url::parse(text), &self.base) {
            (Ok(url), _) => Ok((url, false)),
            (Err(url::ParseError::RelativeUrlWithoutBase), Some(base)) => Ok((text.into_url(Some(base))?, true)),
            (Err(_), _) => Ok((text.into_url(None)?, false)),
        }
    }

    #[inline]
    fn request(&self, url: Url, own: Own, values: &dyn Values) -> Result<Request> {
        let has_body = own.body.is_some() || self.body.is_some();
        let method = own.method.or_else(|| self.method.clone());
        let method = method.unwrap_or(if has_body { Method::POST } else { Method::GET });
        let mut request = Request::new(method, url)?;
        if !own.params.is_empty() || !self.query.is_empty() {
            self.add_query(&mut request, &own.params, values)?;
        }
        request.headers = own.headers;
        self.add_headers(&mut request, values)?;
        self.add_body(&mut request, own.body, values)?;
        if own.total.is_some() {
            request.own.timeouts = Some(Box::new(Timeouts { total: own.total, ..self.timeouts.clone() }));
        }
        if own.proxy.is_some() && !self.own_proxies {
            return Err(unreadable("a row may not name its own \"proxy\" here"));
        }
        request.own.proxy = own.proxy;
        match &self.transfer {
            Some(transfer) if !request.body.is_empty() => {
                request.own.transfer = Some(transfer.clone());
                finished(Ok(request))
            }
            _ => Ok(request),
        }
    }

    fn add_query(&self, request: &mut Request, own: &[(String, String)], values: &dyn Values) -> Result<()> {
        let mut query = request.url.query_pairs_mut();
        query.extend_pairs(own);
        for (name, template) in &self.query {
            if !own.iter().any(|(known, _)| known == name) {
                query.append_pair(name, &self.fill(template, values)?);
            }
        }
        Ok(())
    }

    fn add_headers(&self, request: &mut Request, values: &dyn Values) -> Result<()> {
        if self.headers.is_empty() && self.filled_headers.is_empty() {
            return Ok(());
        }
        let mut defaults = self.headers.clone();
        for HeaderTemplate { name, value, secret } in &self.filled_headers {
            append(&mut defaults, name, self.fill(value, values)?.as_bytes(), *secret)?;
        }
        if request.headers.is_empty() {
            request.headers = defaults;
        } else {
            request.headers.extend_missing(&defaults);
        }
        Ok(())
    }

    fn add_body(&self, request: &mut Request, own: Option<OwnBody>, values: &dyn Values) -> Result<()> {
        let (bytes, content_type) = match (own, &self.body) {
            (None, None) => return Ok(()),
            (Some(OwnBody::Json(json)), _) => (json.into(), Some(JSON)),
            (Some(OwnBody::Form(pairs)), _) => {
                let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
                (form.into(), Some(FORM))
            }
            (Some(OwnBody::Bytes(bytes)), _) => (bytes.into(), None),
            (None, Some(Content::Fixed(bytes, is))) => (bytes.clone(), self.content_type(*is)),
            (None, Some(Content::Text(template, is))) => (self.fill(template, values)?.into(), self.content_type(*is)),
            (None, Some(Content::Form(pairs))) => {
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                for (name, template) in pairs {
                    form.append_pair(name, &self.fill(template, values)?);
                }
                (form.finish().into(), Some(FORM))
            }
        };
        if let Some(content_type) = content_type
            && !request.headers.contains("content-type")
        {
            append(&mut request.headers, "content-type", content_type.as_bytes(), false)?;
        }
        request.body = bytes.into();
        Ok(())
    }

    fn content_type(&self, is: Type) -> Option<&str> {
        match is {
            Type::Json => Some(JSON),
            Type::Given => self.content_type.as_deref(),
        }
    }

    fn fill(&self, template: &Template, values: &dyn Values) -> Result<String> {
        match template.fixed() {
            Some(text) => Ok(text.to_owned()),
            None => template.fill(&self.names, values).map_err(unreadable),
        }
    }
}

fn pairs(pairs: &[(String, String)], names: &mut Names) -> Vec<(String, Template)> {
    pairs.iter().map(|(name, value)| (name.clone(), Template::parse(value, Kind::Plain, names))).collect()
}

/// The fields that are the same for every row, and those to be filled.
fn headers(given: &Headers, names: &mut Names) -> Result<(Headers, Vec<HeaderTemplate>)> {
    let (mut fixed, mut filled) = (Headers::new(), Vec::new());
    for (name, value, secret) in given.iter_marked() {
        let template = std::str::from_utf8(value).ok().map(|text| Template::parse(text, Kind::Plain, names));
        match template {
            Some(template) if template.fixed().is_none() => {
                filled.push(HeaderTemplate { name: name.to_owned(), value: template, secret });
            }
            Some(template) => append(&mut fixed, name, template.fixed().unwrap_or_default().as_bytes(), secret)?,
            None => append(&mut fixed, name, value, secret)?,
        }
    }
    Ok((fixed, filled))
}

fn content(body: &BodyTemplate, names: &mut Names) -> Result<Option<Content>> {
    let (template, is) = match body {
        BodyTemplate::None => return Ok(None),
        BodyTemplate::Form(fields) => return Ok(Some(Content::Form(pairs(fields, names)))),
        BodyTemplate::Bytes(bytes) => return Ok(Some(Content::Fixed(bytes.clone(), Type::Given))),
        BodyTemplate::Data(text) => (Template::parse(text, Kind::Plain, names), Type::Given),
        BodyTemplate::Json(text) => {
            let template = Template::parse(text, Kind::Json, names);
            template.check_json().map_err(|error| {
                let message = "the JSON template does not become JSON (a placeholder that is a key needs quotes)";
                Error::new(ErrorKind::Input, gannet_core::Phase::Prepare, message).with_source(error)
            })?;
            (template, Type::Json)
        }
    };
    Ok(Some(match template.fixed().map(str::to_owned) {
        Some(text) => Content::Fixed(text.into(), is),
        None => Content::Text(template, is),
    }))
}
