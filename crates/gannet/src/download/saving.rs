//! Sends a download: asks for what is missing, writes what comes, and tries again within its bounds.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use gannet_core::field::safe_filename;
use gannet_core::resume::{Step, Validator, decide};
use gannet_core::retry::{Outcome, Rng};
use gannet_core::{ErrorKind, Phase};
use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use url::Url;

use super::part::Part;
use super::{Download, DownloadOptions, SaveAs, Saved};
use crate::error::{Error, Result};
use crate::progress::{OnProgress, Progress};
use crate::request::{Request, set_missing};
use crate::response::{Response, read_before, too_large};
use crate::retrying::{outcome_of_error, outcome_of_head};
use crate::session::Session;
use crate::trace::{Event, OwnTrace};

impl Download {
    /// Sends it, and returns when the file is in its place. Dropping the future closes the connection (over HTTP/2
    /// it resets the stream) and leaves the part to go on with, if [`SaveAs::File`] says where.
    ///
    /// # Errors
    /// Kind `status` for a status of 400 or more, and for one that brings no body of use (304, a redirect that is not
    /// followed): then no file changes. `request` for a path that is taken or cannot be written, a body that can be
    /// sent once only, and a method other than GET. `body` and the rest as [`Response::bytes`].
    pub async fn send(self) -> Result<Saved> {
        let Download { session, request, place, options, on_progress } = self;
        let request = request?;
        if *request.method() != Method::GET {
            return Err(Error::request("only what GET answers is downloaded").with_url(request.url()));
        }
        let part = match &place {
            SaveAs::File(path) => Some(Part::open(path, &options, key_of(request.url()))?),
            SaveAs::Folder(_) => None,
        };
        let mut saving = Saving { session, request, place, options, on_progress, part, resumed_at: 0 };
        saving.send().await
    }
}

impl Response {
    /// Makes a file of the body, as [`crate::RequestBuilder::download`] does, without asking for anything again; how
    /// many bytes it has. The status is the caller's to look at first. A file that is there is kept unless
    /// `options.overwrite`; `options.resume` and `options.retry` have no meaning here. What breaks off leaves a part
    /// that a later download of the same URL can go on with.
    ///
    /// # Errors
    /// As [`Response::bytes`]; kind `request` for a path that is taken or cannot be written.
    pub async fn save_to(&mut self, path: impl AsRef<Path>, options: &DownloadOptions) -> Result<u64> {
        if self.body.begun {
            return Err(self.told(read_before()));
        }
        let asked = self.history().first().map_or(self.url(), |first| &first.url);
        let fresh = DownloadOptions { resume: false, ..options.clone() };
        let mut part = Part::open(path.as_ref(), &fresh, key_of(asked))?;
        write_whole(self, &mut part, None).await?;
        let length = part.length;
        finish(part).await?;
        Ok(length)
    }
}

struct Saving {
    session: Session,
    request: Request,
    place: SaveAs,
    options: DownloadOptions,
    on_progress: Option<OnProgress>,
    /// None until the name is known.
    part: Option<Part>,
    resumed_at: u64,
}

/// A failed attempt, and what the rules of retrying have to know of it.
struct Failed {
    error: Error,
    outcome: Outcome,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        // A download is a GET.
        let outcome = outcome_of_error(&error, true);
        Failed { error, outcome }
    }
}

/// What an answer came to.
enum Came {
    Whole(StatusCode, gannet_core::Headers, Url),
    /// Some of it, as much as the server gives at once.
    Some,
    /// Nothing of use: to be asked without the part.
    Nothing,
}

impl Saving {
    async fn send(&mut self) -> Result<Saved> {
        let mut rng = Rng::new(fastrand::u64(..));
        let mut attempts = 1;
        loop {
            // Boxed: what many downloads at once hold must not lie in each other's futures.
            match Box::pin(self.attempt()).await {
                Ok(Came::Whole(status, headers, url)) => {
                    let part = self.part.take().expect("invariant: what is whole was written somewhere");
                    let length = part.length;
                    let path = finish(part).await?;
                    return Ok(Saved { path, length, resumed_at: self.resumed_at, attempts, status, headers, url });
                }
                // Both come to an end: with more of the file, or without the part.
                Ok(Came::Some | Came::Nothing) => {}
                Err(Failed { error, outcome }) => match self.options.retry.decide(&outcome, attempts, &mut rng) {
                    Some(wait) => {
                        let (attempt, status) = (attempts, error.status());
                        let failed = Some(&error).filter(|error| !error.is_status());
                        OwnTrace::tell_of(&self.request, &Event::Backoff { attempt, status, error: failed, wait });
                        attempts += 1;
                        tokio::time::sleep(wait).await;
                    }
                    None => return Err(error.with_attempts(attempts)),
                },
            }
        }
    }

    async fn attempt(&mut self) -> Result<Came, Failed> {
        let again = || Error::request("a download needs a request that can be sent again");
        let mut request = self.request.try_clone().ok_or_else(again)?;
        set_missing(&mut request.headers, "accept-encoding", "identity")?;
        let partial = self.part.as_ref().and_then(Part::partial);
        if let Some(partial) = &partial {
            let fields = [
                ("range", format!("bytes={}-", partial.length)),
                ("if-range", partial.validator.if_range().to_owned()),
            ];
            for (name, value) in fields {
                request.headers.set(name, value).map_err(|error| Error::request(format!("{name}: {error}")))?;
            }
        }
        let mut response = self.session.answer(request).await?;
        let step = decide(partial.as_ref(), response.status().as_u16(), response.headers());
        if matches!(step, Step::Fail) {
            return Err(refused(&response));
        }
        let max = self.request.own.max_body.or(self.session.settings().response.max_body);
        let part = match &mut self.part {
            Some(part) => part,
            None => {
                let path = self.place.path(&response, self.request.url());
                self.part.insert(Part::open_apart(&path, &self.options)?)
            }
        };
        // What is decoded on the way has no place in what was not.
        let is_coded = response.headers().contains("content-encoding");
        match step {
            Step::Append { total, end } if !is_coded => {
                // The bound is the file's, not that of each answer.
                if let Some(max) = max.filter(|max| total > *max) {
                    return Err(response.told(too_large(max)).into());
                }
                part.total = Some(total);
                self.resumed_at = part.length;
                let before = part.length;
                copy(&mut response, part, self.on_progress.as_ref()).await?;
                if part.length > before && part.length <= end && part.length < total {
                    return Ok(Came::Some);
                }
                if part.length != total || part.length > end {
                    let length = part.length;
                    part.forget();
                    let message = format!("{end} bytes were announced, and with the rest there are {length}");
                    return Err(Error::new(ErrorKind::Body, Phase::Body, message).with_url(response.url()).into());
                }
            }
            Step::Whole => self.resumed_at = part.length,
            Step::Append { .. } | Step::AskAgain => {
                part.forget();
                return Ok(Came::Nothing);
            }
            Step::StartOver | Step::Fail => {
                self.resumed_at = 0;
                write_whole(&mut response, part, self.on_progress.as_ref()).await?;
            }
        }
        let Response { status, headers, url, .. } = response;
        Ok(Came::Whole(status, headers, url))
    }
}

impl SaveAs {
    /// Where the body of this response goes.
    fn path(&self, response: &Response, asked: &Url) -> PathBuf {
        match self {
            SaveAs::File(path) => path.clone(),
            SaveAs::Folder(folder) => {
                let given = response.content_disposition().and_then(|disposition| disposition.safe_filename());
                folder.join(given.or_else(|| filename_of(asked)).unwrap_or_else(|| "download".to_owned()))
            }
        }
    }
}

/// The last part of a URL's path as a file may be called ([`safe_filename`]); `None` where the path ends with a slash.
pub fn filename_of(url: &Url) -> Option<String> {
    let last = url.path_segments()?.next_back()?;
    safe_filename(&percent_decode_str(last).decode_utf8_lossy())
}

/// Empties the part and writes the whole body into it.
async fn write_whole(response: &mut Response, part: &mut Part, on: Option<&OnProgress>) -> Result<()> {
    // A piece that somebody asked for begins elsewhere than the file: nothing can be put behind it.
    let is_whole = response.status() != StatusCode::PARTIAL_CONTENT && !response.headers().contains("content-encoding");
    let validator = if is_whole { Validator::of(response.headers()) } else { None };
    part.restart(validator, response.content_length())?;
    copy(response, part, on).await
}

async fn copy(response: &mut Response, part: &mut Part, on: Option<&OnProgress>) -> Result<()> {
    let tell = |part: &Part| {
        if let Some(on) = on {
            on.tell(Progress { done: part.length, total: part.total });
        }
    };
    tell(part);
    while let Some(piece) = response.chunk().await? {
        part.write(&piece)?;
        tell(part);
        // Bytes that are at hand come without a wait; other tasks get their turn all the same.
        tokio::task::coop::consume_budget().await;
    }
    Ok(())
}

/// Syncing may take seconds: not on a thread that moves other requests.
async fn finish(part: Part) -> Result<PathBuf> {
    let joined = tokio::task::spawn_blocking(move || part.finish()).await;
    joined.unwrap_or_else(|_| Err(Error::closed()))
}

fn refused(response: &Response) -> Failed {
    let status = response.status();
    let mut error = response.status_error();
    if status.as_u16() < 400 {
        error = error.with_message(format!("{} brings no body to save", status.as_u16()));
    }
    let outcome = Outcome { error: Some(ErrorKind::Status), ..outcome_of_head(response) };
    Failed { error, outcome }
}

/// What a part is of: the URL without its fragment, as a digest, since it may hold secrets.
fn key_of(url: &Url) -> String {
    let mut url = url.clone();
    url.set_fragment(None);
    let digest = digest(&SHA256, url.as_str().as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
