//! A response's body as a file: written beside its place as `PATH.part`, put into its place when whole, gone on with
//! where it broke off. What is under the final name is always whole: whoever kills us leaves the part, not a torn
//! file. Under a name of the server's choice it is written apart, and nothing is gone on with. Whether an answer fits what is there decides `gannet_core::resume`.

mod part;
mod saving;

pub use self::saving::filename_of;

use std::fmt;
use std::path::PathBuf;

use gannet_core::Headers;
use gannet_core::retry::RetryPolicy;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::error::Result;
use crate::progress::{OnProgress, Progress};
use crate::redact::RedactedUrl;
use crate::request::{IntoUrl, Request, RequestBuilder};
use crate::session::Session;

/// How a body becomes a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DownloadOptions {
    /// Whether a file that is there is replaced, keeping its mode; off: then it is an error, before anything is sent
    /// and again when the file is put into its place.
    pub overwrite: bool,
    /// Whether a part that an earlier download of the same URL left is gone on with, where the server vouches that
    /// it is still of the same version; on. Off starts over. Attempts of one download go on in any case.
    pub resume: bool,
    /// The permissions of a new file on Unix, as in `0o600`; what the process' mask leaves of 0o666.
    pub mode: Option<u32>,
    /// Whether file and folder are synced before the download counts as done, so that it survives a power cut; on.
    pub sync: bool,
    /// When it is tried again, going on where it broke off. One attempt by default.
    pub retry: RetryPolicy,
}

impl Default for DownloadOptions {
    fn default() -> Self {
        let retry = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
        DownloadOptions { overwrite: false, resume: true, mode: None, sync: true, retry }
    }
}

/// A download to be sent. Made by [`RequestBuilder::download`] and [`Session::download`].
///
/// ```no_run
/// # async fn example(session: gannet::Session) -> gannet::Result<()> {
/// let saved = session.download("https://example.com/large.iso", "large.iso").send().await?;
/// println!("{} bytes, of which {} were there already", saved.length, saved.resumed_at);
/// # Ok(()) }
/// ```
#[must_use = "nothing is sent before `send`"]
#[derive(Debug)]
pub struct Download {
    session: Session,
    request: Result<Request>,
    place: SaveAs,
    options: DownloadOptions,
    on_progress: Option<OnProgress>,
}

/// Where a download goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaveAs {
    /// To this path.
    File(PathBuf),
    /// Into this folder, under the name that the response gives in Content-Disposition
    /// ([`crate::ContentDisposition::safe_filename`]), or else the last part of the URL's path. A file that is there is
    /// never replaced, whatever the options say: the name is the server's choice. While it comes it is a file of a
    /// name of its own, which goes if the download fails or is dropped.
    Folder(PathBuf),
}

/// A download that is whole.
#[derive(Clone)]
pub struct Saved {
    /// Where it is.
    pub path: PathBuf,
    /// How many bytes it has.
    pub length: u64,
    /// How many of them were there before the answer that made it whole.
    pub resumed_at: u64,
    /// Attempts, the first included.
    pub attempts: u32,
    /// The status of the last answer: 200, 206, or 416 where nothing was missing.
    pub status: StatusCode,
    /// The fields of the last answer.
    pub headers: Headers,
    /// The URL that answered: the last one, after redirects.
    pub url: Url,
}

impl fmt::Debug for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Saved")
            .field("path", &self.path)
            .field("length", &self.length)
            .field("resumed_at", &self.resumed_at)
            .field("attempts", &self.attempts)
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("url", &RedactedUrl::new(&self.url))
            .finish()
    }
}

impl Session {
    /// Starts a GET of this URL into a file. See [`RequestBuilder::download`].
    pub fn download(&self, url: impl IntoUrl, path: impl Into<PathBuf>) -> Download {
        self.get(url).download(path)
    }
}

impl<S: AsRef<Session>> RequestBuilder<S> {
    /// Makes a file of the response's body. It grows as `PATH.part`, with what names its version in `PATH.part.json`,
    /// and is renamed when it is whole. Asks for no content coding unless the request does, since a part of a coded
    /// body cannot be gone on with as it was decoded.
    ///
    /// A download that failed, was dropped or killed leaves its part, if the response had a strong entity tag or
    /// date; the next one of the same URL to the same path goes on with it (Range, If-Range). A changed resource, and a
    /// server without ranges, start over.
    pub fn download(self, path: impl Into<PathBuf>) -> Download {
        self.into_download(SaveAs::File(path.into()))
    }

    /// As [`RequestBuilder::download`], as [`SaveAs::Folder`] says.
    pub fn download_into(self, folder: impl Into<PathBuf>) -> Download {
        self.into_download(SaveAs::Folder(folder.into()))
    }

    fn into_download(self, place: SaveAs) -> Download {
        let session = self.session.as_ref().clone();
        Download::of(session, self.build(), place)
    }
}

impl Download {
    /// A download of a finished request.
    pub fn new(session: &Session, request: Request, place: SaveAs) -> Self {
        Download::of(session.clone(), Ok(request), place)
    }

    fn of(session: Session, request: Result<Request>, place: SaveAs) -> Self {
        Download { session, request, place, options: DownloadOptions::default(), on_progress: None }
    }

    /// How it is done.
    pub fn options(self, options: DownloadOptions) -> Self {
        Download { options, ..self }
    }

    /// Replaces a file that is there.
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.options.overwrite = overwrite;
        self
    }

    /// Tells this function how far the file has come, what was there already included, after each piece written.
    pub fn on_progress(self, tell: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Download { on_progress: Some(OnProgress::new(tell)), ..self }
    }
}
