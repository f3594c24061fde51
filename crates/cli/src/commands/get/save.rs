//! `get` into a file: under the name that was given, that of the URL, or that of the response; gone on with and tried
//! again where that was asked for. What is under the final name is always whole.

use std::path::{Path, PathBuf};

use gannet::bulk::{Backoff, RetryPolicy};
use gannet::trace::Event;
use gannet::{Download, DownloadOptions, Method, Request, SaveAs, Saved, Session};

use super::bar::Bar;
use crate::args::{GetArgs, SaveArgs};
use crate::exit::usage;
use crate::tell;

/// Where a download goes, if this is one: a file whose name is to be found, or one that is to be gone on with.
///
/// # Errors
/// Usage: the URL has no name to take, or the method is not GET.
pub(super) fn target(args: &GetArgs, request: &Request) -> anyhow::Result<Option<SaveAs>> {
    let save = &args.save;
    let is_get = *request.method() == Method::GET;
    let target = if save.remote_header_name {
        SaveAs::Folder(save.output_dir.clone().unwrap_or_default())
    } else if save.remote_name {
        let name = gannet::filename_of(request.url());
        let name = name.ok_or_else(|| usage("-O: the URL's path ends without a name; give one with -o"))?;
        SaveAs::File(save.in_folder(name.as_ref()))
    } else {
        match args.file() {
            // What GET does not answer cannot be gone on with, and is sent again by the usual rules.
            Some(path) if save.continue_at.is_some() || (save.retry > 0 && is_get && args.range.is_none()) => {
                SaveAs::File(path)
            }
            _ if save.continue_at.is_some() => return Err(usage("-C: what goes to stdout cannot be gone on with")),
            _ => return Ok(None),
        }
    };
    if args.writes_head() {
        return Err(usage("-i and -I: a file that is gone on with or named by others holds the body alone"));
    }
    if !is_get {
        return Err(usage(format!("-O, -J and -C go with GET, and this is {}", request.method())));
    }
    Ok(Some(target))
}

/// Downloads into a file. A status of 400 or more leaves every file as it was: it is an error here.
pub(super) async fn download(
    session: &Session,
    request: Request,
    target: SaveAs,
    args: &GetArgs,
    bar: &Bar,
) -> gannet::Result<Saved> {
    let mut download = Download::new(session, request, target).options(options(args));
    if let Some(show) = bar.of_download() {
        download = download.on_progress(show);
    }
    let saved = download.send().await;
    bar.finish();
    if let Ok(saved) = &saved
        && (args.verbose || args.save.remote_header_name)
    {
        tell(&report(saved, args.verbose));
    }
    saved
}

/// Whether nothing is left to go on with: the file is there, and no part of it. Only what is whole has the name.
pub(super) fn is_whole(args: &GetArgs, path: &Path) -> bool {
    let goes_on = args.save.continue_at.is_some() && !args.save.clobber;
    goes_on && path.is_file() && !part_of(path).exists()
}

/// Says what is left of a download that failed, if that can be gone on with.
pub(super) fn tell_kept(path: &Path) {
    let part = part_of(path);
    let length = part.metadata().map_or(0, |meta| meta.len());
    // Without its note nobody knows of which version it is.
    if length > 0 && with_suffix(&part, ".json").is_file() {
        tell(&format!("{length} bytes are kept in {}; -C - goes on with them", part.display()));
    }
}

/// What to say where the folder of this file, or that for a file to be named, is not there.
pub(super) fn missing_folder(args: &GetArgs, file: Option<&Path>) -> Option<String> {
    let folder = match file {
        Some(file) => file.parent(),
        None => args.save.output_dir.as_deref().filter(|_| args.save.remote_header_name),
    };
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())?;
    let what = file.unwrap_or(folder);
    Some(format!("cannot write {}: there is no folder {}", what.display(), folder.display()))
}

/// Where the library lets a file grow: beside what a link leads to.
fn part_of(path: &Path) -> PathBuf {
    let whole = if path.is_symlink() { path.canonicalize() } else { Ok(path.to_owned()) };
    with_suffix(&whole.unwrap_or_else(|_| path.to_owned()), ".part")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// How a file is made of a response that is here.
pub(super) fn options(args: &GetArgs) -> DownloadOptions {
    let save = &args.save;
    DownloadOptions {
        overwrite: save.output.is_some() || save.clobber,
        resume: save.continue_at.is_some(),
        retry: retry(save),
        ..DownloadOptions::default()
    }
}

/// Tells of the waits between attempts while they last, where there can be any, and what is not sent again.
pub(super) fn tell_waits(args: &GetArgs, request: &mut Request, bar: &Bar) {
    let save = &args.save;
    if save.retry == 0 || save.silent {
        return;
    }
    if !request.is_repeatable() && !save.retry_unsafe {
        let method = request.method();
        let sure = "is sent again only where the server surely did not act on it; --retry-unsafe sends it in any case";
        tell(&format!("note: {method} {sure}"));
    }
    let (bar, most) = (bar.clone(), save.retry);
    request.watch(move |event: &Event<'_>| {
        let Event::Backoff { attempt, status, error, wait } = event else { return };
        let why = match (status, error) {
            (Some(status), _) => status.to_string(),
            (None, error) => error.map(|error| error.kind().to_string()).unwrap_or_default(),
        };
        // Of a second or more, parts of it tell nothing.
        let precision = if wait.as_secs() == 0 { 1 } else { 0 };
        let left = most.saturating_sub(*attempt) + 1;
        bar.aside(|| tell(&format!("{why}: again in {:.precision$} s, {left} left", wait.as_secs_f64())));
    });
}

/// When a request is sent again.
pub(super) fn retry(save: &SaveArgs) -> RetryPolicy {
    let backoff = Backoff { base: save.retry_delay, ..Backoff::default() };
    RetryPolicy {
        attempts: save.retry.saturating_add(1),
        statuses: save.retry_on.unwrap_or_default(),
        unsafe_methods: save.retry_unsafe,
        backoff,
    }
}

/// Whether there is something at this path that is written into and not replaced: a device, a pipe.
pub(super) fn is_special(path: &PathBuf) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| !meta.is_file())
}

fn report(saved: &Saved, verbose: bool) -> String {
    let mut text = format!("saved as {}", saved.path.display());
    if verbose {
        text += &format!(
            ": {} bytes, {} of them there before, {} attempts",
            saved.length, saved.resumed_at, saved.attempts
        );
    }
    text
}
