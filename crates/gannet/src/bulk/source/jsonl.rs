//! JSON lines: one request per line, only `url` needed. A key that is not known is refused, so that a misspelt
//! `header` is not sent without; a key that is `null` counts as not given. Where there is a template for the URL
//! the keys are the user's own, and only `id` has a meaning.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use gannet_core::Headers;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::defaults::{Own, OwnBody, Plan};
use super::template::{Names, Value, Values};
use super::{Draft, unreadable};
use crate::error::{Error, Result};
use crate::proxy::OwnProxy;
use crate::request::{append, parse_method};

/// The longest line of a JSONL input, in bytes; it may hold a body.
pub(super) const LONGEST: usize = 16 << 20;

/// The longest `timeout` of a row, thirty years: beyond it no clock can say when it ends.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(1_000_000_000);

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The row of a trimmed line; `None` where it is blank.
pub(super) fn draft(plan: &Plan, line: &[u8], index: u64) -> Option<Draft> {
    if line.is_empty() {
        return None;
    }
    let Ok(text) = std::str::from_utf8(line) else {
        let known = Known::read(&String::from_utf8_lossy(line));
        return Some(Draft::refused(known.0, known.1, "the line is not UTF-8"));
    };
    let draft = if plan.has_url() { filled(plan, text, index) } else { request(plan, text, index) };
    Some(draft.unwrap_or_else(|error| {
        let (id, url) = Known::read(text);
        Draft { id, url, request: Err(error) }
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    url: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    headers: Option<Pairs<'a>>,
    #[serde(borrow, default)]
    params: Option<Pairs<'a>>,
    #[serde(borrow, default)]
    json: Option<&'a RawValue>,
    #[serde(borrow, default)]
    form: Option<Pairs<'a>>,
    #[serde(borrow, default)]
    data: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    body_base64: Option<Cow<'a, str>>,
    #[serde(default)]
    timeout: Option<f64>,
    #[serde(borrow, default)]
    proxy: Option<Cow<'a, str>>,
}

fn request(plan: &Plan, text: &str, index: u64) -> Result<Draft> {
    let line: Line<'_> = serde_json::from_str(text).map_err(|error| not_read(&error))?;
    let id = line.id.map(id_of).transpose()?;
    let Some(url) = &line.url else { return Err(unreadable("there is no \"url\"")) };
    let own = match own(&line) {
        Ok(own) => own,
        Err(error) => return Ok(Draft { id, url: url.clone().into_owned(), request: Err(error) }),
    };
    let nothing = Keys { values: Vec::new(), plan, index };
    Ok(plan.draft(id, Some(url.trim()), own, &nothing))
}

fn own(line: &Line<'_>) -> Result<Own> {
    let mut headers = Headers::new();
    for (name, value) in texts("headers", line.headers.as_ref())? {
        append(&mut headers, &name, value.as_bytes(), false)?;
    }
    let total = line.timeout.map(|seconds| {
        let timeout = Duration::try_from_secs_f64(seconds)
            .ok()
            .filter(|timeout| !timeout.is_zero() && *timeout <= LONGEST_TIMEOUT);
        timeout.ok_or_else(|| unreadable("\"timeout\" must be a number of seconds above 0, and at most 1e9"))
    });
    Ok(Own {
        method: line.method.as_deref().map(parse_method).transpose()?,
        headers,
        params: texts("params", line.params.as_ref())?,
        body: body(line)?,
        total: total.transpose()?,
        proxy: line.proxy.as_deref().map(proxy).transpose()?,
    })
}

/// An empty one stands for none, as on the command line.
fn proxy(url: &str) -> Result<OwnProxy> {
    if url.is_empty() {
        return Ok(OwnProxy::Direct);
    }
    OwnProxy::parse(url).map_err(|error| unreadable(format!("\"proxy\": {}", error.message())))
}

fn body(line: &Line<'_>) -> Result<Option<OwnBody>> {
    let given = [
        ("json", line.json.is_some()),
        ("form", line.form.is_some()),
        ("data", line.data.is_some()),
        ("body_base64", line.body_base64.is_some()),
    ];
    let mut given = given.iter().filter(|(_, is_given)| *is_given).map(|(key, _)| key);
    if let (Some(one), Some(other)) = (given.next(), given.next()) {
        return Err(unreadable(format!("{one:?} and {other:?} are both given; a request has one body")));
    }
    Ok(if let Some(json) = line.json {
        Some(OwnBody::Json(json.get().as_bytes().to_vec()))
    } else if line.form.is_some() {
        Some(OwnBody::Form(texts("form", line.form.as_ref())?))
    } else if let Some(data) = &line.data {
        Some(OwnBody::Bytes(data.as_bytes().to_vec()))
    } else if let Some(encoded) = &line.body_base64 {
        let decoded = BASE64.decode(encoded.as_bytes());
        Some(OwnBody::Bytes(decoded.map_err(|error| unreadable("\"body_base64\" is not base64").with_source(error))?))
    } else {
        None
    })
}

/// The row whose URL comes from a template.
fn filled(plan: &Plan, text: &str, index: u64) -> Result<Draft> {
    let line: Pairs<'_> = serde_json::from_str(text).map_err(|error| not_read(&error))?;
    let mut keys = Keys { values: vec![None; plan.names.len()], plan, index };
    let mut id = None;
    for (key, value) in &line.0 {
        if let Some(name) = plan.names.find(key) {
            keys.values[name] = Some(value);
        }
        if key == "id" && value.get() != "null" {
            id = Some(id_of(value)?);
        }
    }
    Ok(plan.draft(id, None, Own::default(), &keys))
}

/// The keys that templates use, by the number of the name.
struct Keys<'a> {
    values: Vec<Option<&'a RawValue>>,
    plan: &'a Plan,
    index: u64,
}

impl Values for Keys<'_> {
    fn value(&self, name: usize) -> Result<Value<'_>, String> {
        match self.values.get(name).copied().flatten() {
            Some(value) => {
                let text = text_of(value).unwrap_or(Cow::Borrowed(value.get()));
                Ok(Value { text, json: Some(value.get()) })
            }
            None if name == Names::INDEX => Ok(Value { text: Cow::Owned(self.index.to_string()), json: None }),
            None => Err(format!("there is no {:?}", self.plan.names.name(name))),
        }
    }
}

/// The name and the URL of a line that cannot be read as a request, as far as they are there.
#[derive(Default, Deserialize)]
struct Known<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    url: Option<&'a RawValue>,
}

impl Known<'_> {
    fn read(text: &str) -> (Option<String>, String) {
        let known: Known<'_> = serde_json::from_str(text).unwrap_or_default();
        let url = known.url.and_then(text_of).unwrap_or_default().into_owned();
        (known.id.and_then(|id| id_of(id).ok()), url)
    }
}

/// An object, its keys in their order.
struct Pairs<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for PairsVisitor<'a> {
            type Value = Pairs<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'a>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry::<Key<'a>, &'a RawValue>()? {
                    pairs.push((pair.0.0, pair.1));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor(PhantomData))
    }
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// Names and texts: a scalar is one, an array of scalars several, `null` none.
fn texts(what: &str, pairs: Option<&Pairs<'_>>) -> Result<Vec<(String, String)>> {
    let mut texts = Vec::new();
    for (name, value) in pairs.map_or(&[][..], |pairs| &pairs.0) {
        let bad =
            || unreadable(format!("{name:?} in {what:?} must be a text, a number, a truth value or a list of them"));
        let values = match value.get().as_bytes()[0] {
            b'[' => serde_json::from_str(value.get()).map_err(|error| not_read(&error))?,
            _ => vec![*value],
        };
        for value in values {
            match value.get().as_bytes()[0] {
                b'n' => {}
                b'[' | b'{' => return Err(bad()),
                _ => texts.push((name.to_string(), text_of(value).ok_or_else(bad)?.into_owned())),
            }
        }
    }
    Ok(texts)
}

/// A string's text, a number or truth value as written; no object, array or `null`.
fn text_of(value: &RawValue) -> Option<Cow<'_, str>> {
    match value.get().as_bytes().first()? {
        b'"' => serde_json::from_str::<Key<'_>>(value.get()).ok().map(|key| key.0),
        b'{' | b'[' | b'n' => None,
        _ => Some(Cow::Borrowed(value.get())),
    }
}

fn id_of(value: &RawValue) -> Result<String> {
    let is_fit = matches!(value.get().as_bytes()[0], b'"' | b'-' | b'0'..=b'9');
    let text = is_fit.then(|| text_of(value)).flatten();
    text.map(Cow::into_owned).ok_or_else(|| unreadable("\"id\" must be a text or a number"))
}

/// The parser's complaint; it knows one line only, so it gives the column.
fn not_read(error: &serde_json::Error) -> Error {
    let (text, column) = (error.to_string(), error.column());
    let what = text.rsplit_once(" at line ").map_or(&*text, |(what, _)| what);
    unreadable(format!("not a request: {what} (column {column})"))
}
