//! Rows that a Rust program has: a list, or a stream. They are kept in memory until they are finished, because a row
//! may be asked for again.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_util::StreamExt;
use http::Method;
use url::Url;

use super::{Draft, Source};
use crate::bulk::Row;
use crate::error::Error;
use crate::request::{IntoUrl, Request};

/// How many rows of a stream may be parked at once.
const MAX_PARKED: usize = 10_000;

/// What a row is made of: a URL, which is fetched by GET, or a request.
#[derive(Debug)]
pub enum Target {
    /// A URL; resolved against the session's base if it is relative.
    Url(String),
    /// A request. One whose body can be sent only once is given out once: it is not tried again.
    Request(Box<Request>),
}

impl From<&str> for Target {
    fn from(url: &str) -> Self {
        Target::Url(url.to_owned())
    }
}

impl From<String> for Target {
    fn from(url: String) -> Self {
        Target::Url(url)
    }
}

impl From<&String> for Target {
    fn from(url: &String) -> Self {
        Target::Url(url.clone())
    }
}

impl From<Url> for Target {
    fn from(url: Url) -> Self {
        Target::Url(url.into())
    }
}

impl From<Request> for Target {
    fn from(request: Request) -> Self {
        Target::Request(Box::new(request))
    }
}

/// The rows of a list. A finished row's memory is given back at once, the list's own at the end.
#[derive(Debug)]
pub struct ListSource {
    base: Option<Url>,
    items: Vec<Item>,
    next: usize,
}

impl ListSource {
    /// The rows in the list's order; relative URLs are resolved against `base`.
    pub fn new(base: Option<Url>, items: Vec<Target>) -> Self {
        ListSource { base, items: items.into_iter().map(Item::Here).collect(), next: 0 }
    }
}

impl Source for ListSource {
    fn poll_next(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<Option<Row>>> {
        let index = self.next as u64;
        let Some(item) = self.items.get_mut(self.next) else { return Poll::Ready(Ok(None)) };
        self.next += 1;
        Poll::Ready(Ok(Some(item.give(self.base.as_ref()).at(index, index, None))))
    }

    fn recall(&mut self, index: u64, place: u64) -> io::Result<Row> {
        let item = usize::try_from(place).ok().and_then(|at| self.items.get_mut(at)).ok_or_else(unknown)?;
        Ok(item.give(self.base.as_ref()).at(index, place, None))
    }

    fn on_finished(&mut self, index: u64) {
        if let Some(item) = usize::try_from(index).ok().and_then(|at| self.items.get_mut(at)) {
            *item = Item::Given(String::new());
        }
    }

    fn total(&self) -> Option<u64> {
        Some(self.items.len() as u64)
    }
}

/// The rows of a stream, taken from it as there is room for them. Those that are not finished are kept in memory,
/// at most 10,000 of them parked.
#[derive(Debug)]
pub struct StreamSource<St> {
    base: Option<Url>,
    /// `None` once it has ended.
    stream: Option<St>,
    kept: HashMap<u64, Item>,
    next: u64,
}

impl<St: Stream<Item: Into<Target>> + Send + Unpin> StreamSource<St> {
    /// The rows in the stream's order; relative URLs are resolved against `base`.
    pub fn new(base: Option<Url>, stream: St) -> Self {
        StreamSource { base, stream: Some(stream), kept: HashMap::new(), next: 0 }
    }
}

impl<St: Stream<Item: Into<Target>> + Send + Unpin> Source for StreamSource<St> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Row>>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(None)) };
        let Some(target) = ready!(stream.poll_next_unpin(cx)) else {
            self.stream = None;
            return Poll::Ready(Ok(None));
        };
        let index = self.next;
        self.next += 1;
        let item = self.kept.entry(index).insert_entry(Item::Here(target.into()));
        Poll::Ready(Ok(Some(item.into_mut().give(self.base.as_ref()).at(index, index, None))))
    }

    fn recall(&mut self, index: u64, place: u64) -> io::Result<Row> {
        let item = self.kept.get_mut(&place).ok_or_else(unknown)?;
        Ok(item.give(self.base.as_ref()).at(index, place, None))
    }

    fn on_finished(&mut self, index: u64) {
        self.kept.remove(&index);
    }

    fn total(&self) -> Option<u64> {
        match &self.stream {
            None => Some(self.next),
            Some(stream) => match stream.size_hint() {
                (least, Some(most)) if least == most => Some(self.next + most as u64),
                _ => None,
            },
        }
    }

    fn max_parked(&self) -> Option<usize> {
        Some(MAX_PARKED)
    }
}

#[derive(Debug)]
enum Item {
    Here(Target),
    /// Finished, or a request that could be given out only once: its URL.
    Given(String),
}

impl Item {
    fn give(&mut self, base: Option<&Url>) -> Draft {
        let given = Item::Given(String::new());
        let (kept, draft) = match std::mem::replace(self, given) {
            Item::Here(Target::Url(url)) => {
                let draft = of_url(&url, base);
                (Item::Here(Target::Url(url)), draft)
            }
            Item::Here(Target::Request(request)) => {
                let url = request.url.as_str().to_owned();
                match request.try_clone() {
                    Some(again) => (Item::Here(Target::Request(request)), Draft { id: None, url, request: Ok(again) }),
                    None => (Item::Given(url.clone()), Draft { id: None, url, request: Ok(*request) }),
                }
            }
            Item::Given(url) => {
                let why = "its body can be sent only once; give it as bytes, a file, or Body::replayable";
                (Item::Given(url.clone()), Draft { id: None, url, request: Err(Error::request(why)) })
            }
        };
        *self = kept;
        draft
    }
}

fn of_url(text: &str, base: Option<&Url>) -> Draft {
    let (url, resolved) = match Url::parse(text) {
        Ok(url) => (Ok(url), false),
        Err(_) => (text.into_url(base), true),
    };
    let shown = match &url {
        Ok(url) if resolved => url.as_str().to_owned(),
        _ => text.to_owned(),
    };
    Draft { id: None, url: shown, request: url.and_then(|url| Request::new(Method::GET, url)) }
}

fn unknown() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "there is no row at this place, or it is finished")
}
