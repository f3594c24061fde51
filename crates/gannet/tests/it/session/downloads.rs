//! Bodies as files: whole or not at all under their name, gone on with where they broke off.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gannet::bulk::{Backoff, RetryPolicy};
use gannet::{Coding, Download, DownloadOptions, ErrorKind, SaveAs, Session};
use tempfile::TempDir;
use tokio::sync::Notify;

use super::*;

pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn read(&self, name: &str) -> Option<String> {
        fs::read(self.path(name)).ok().map(|bytes| text(&bytes))
    }

    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

const TAG: &str = "etag: \"v1\"\r\n";

/// A 200 of this whole text; `sent` of it come, and then the connection ends.
fn whole(fields: &str, body: &str, sent: usize) -> Script {
    let head = format!("HTTP/1.1 200 OK\r\n{fields}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    Script::new().expect_head().send(format!("{head}{}", &body[..sent])).close()
}

/// A 206 of the rest of this text from `from` to `to`.
fn rest(fields: &str, body: &str, from: usize, to: usize) -> Script {
    let range = format!("content-range: bytes {from}-{}/{}\r\ncontent-length: {}\r\n", to - 1, body.len(), to - from);
    let head = format!("HTTP/1.1 206 Partial Content\r\n{fields}{range}connection: close\r\n\r\n");
    Script::new().expect_head().send(format!("{head}{}", &body[from..to])).close()
}

fn status(line: &str, fields: &str) -> Script {
    let head = format!("HTTP/1.1 {line}\r\n{fields}content-length: 4\r\nconnection: close\r\n\r\noops");
    Script::new().expect_head().send(head).close()
}

pub(super) fn at_once(attempts: u32) -> DownloadOptions {
    let backoff = Backoff { base: Duration::ZERO, max: Duration::ZERO };
    DownloadOptions { retry: RetryPolicy { attempts, backoff, ..RetryPolicy::default() }, ..DownloadOptions::default() }
}

/// A download that broke off after "hello" of "hello world".
async fn broken(folder: &Folder, server: &ScriptedServer) {
    let error = in_time(Session::default().download(server.url("/a"), folder.path("f")).send()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Body, "{error}");
    assert_eq!((folder.read("f.part").as_deref(), folder.read("f")), (Some("hello"), None));
}

const BODY: &str = "hello world";

#[tokio::test]
async fn a_file_is_whole_or_not_there_and_nothing_else_is_left() {
    let (origin, folder, session) = (origin().await, Folder::new(), Session::default());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = seen.clone();
    let download = session.download(origin.url("/bytes/3000000?seed=1"), folder.path("f"));
    let saved = download.on_progress(move |progress| told.lock().unwrap().push(progress)).send().await.unwrap();
    assert_eq!((saved.length, saved.resumed_at, saved.attempts), (3_000_000, 0, 1));
    assert!(fs::read(&saved.path).unwrap() == gannet_origin::payload(1, 3_000_000));
    assert_eq!(folder.names(), ["f"]);
    let last = *seen.lock().unwrap().last().unwrap();
    assert_eq!((last.done, last.total), (3_000_000, Some(3_000_000)));
}

#[tokio::test]
async fn a_killed_download_leaves_its_part_and_no_torn_file() {
    let (folder, sent) = (Folder::new(), Arc::new(Notify::new()));
    let head = format!("HTTP/1.1 200 OK\r\n{TAG}content-length: 11\r\n\r\nhello");
    let server = serve([Script::new().expect_head().send(head).signal(&sent).hang(), rest("", BODY, 5, 11)]).await;
    let session = Session::default();
    let killed = session.download(server.url("/a"), folder.path("f")).send();
    tokio::select! {
        ended = killed => panic!("{ended:?}"),
        () = until(|| folder.read("f.part").as_deref() == Some("hello")) => {}
    }
    assert_eq!(folder.names(), ["f.part", "f.part.json"]);
    assert!(!folder.read("f.part.json").unwrap().contains("127.0.0.1"), "a URL may hold secrets");
    let saved = in_time(session.download(server.url("/a#x"), folder.path("f")).send()).await.unwrap();
    assert_eq!((saved.resumed_at, folder.read("f").as_deref()), (5, Some(BODY)));
    assert_eq!(folder.names(), ["f"]);
    let asked = text(&server.received()[1]);
    assert!(asked.contains("range: bytes=5-\r\n") && asked.contains("if-range: \"v1\"\r\n"), "{asked}");
    assert!(asked.contains("accept-encoding: identity\r\n"), "{asked}");
}

#[tokio::test]
async fn what_is_not_vouched_for_starts_over() {
    let other = "HELLO WORLD!";
    let changed = || whole("etag: \"v2\"\r\n", other, other.len());
    for (answers, asked) in [
        // Changed, or a server that knows no ranges.
        (vec![changed()], 2),
        // A rest of another version, place or length is not appended; it is asked for the whole.
        (vec![rest("etag: \"v2\"\r\n", BODY, 5, 11), changed()], 3),
        (vec![rest(TAG, BODY, 4, 11), changed()], 3),
        (vec![rest(TAG, "hello world, all of you", 5, 23), changed()], 3),
        (vec![rest(&format!("{TAG}content-encoding: gzip\r\n"), BODY, 5, 11), changed()], 3),
        (vec![status("416 Range Not Satisfiable", "content-range: bytes */3\r\n"), changed()], 3),
    ] {
        let folder = Folder::new();
        let server = serve([whole(TAG, BODY, 5)].into_iter().chain(answers)).await;
        broken(&folder, &server).await;
        let saved = in_time(Session::default().download(server.url("/a"), folder.path("f")).send()).await.unwrap();
        assert_eq!((saved.resumed_at, folder.read("f").as_deref()), (0, Some(other)));
        assert_eq!(server.connections(), asked);
        assert!(text(&server.received()[1]).contains("range: bytes=5-"));
        assert!(asked == 2 || !text(&server.received()[2]).contains("range"));
        assert_eq!(folder.names(), ["f"]);
    }
}

#[tokio::test]
async fn a_part_is_not_gone_on_with_without_a_strong_validator_or_for_another_url_or_when_told_not_to() {
    let weak = ["", "etag: W/\"v1\"\r\n", "last-modified: Sun, 06 Nov 1994 12:00:00 GMT\r\n"];
    for fields in weak {
        let folder = Folder::new();
        let server = serve([whole(fields, BODY, 5), whole("", BODY, 11)]).await;
        let download = || Session::default().download(server.url("/a"), folder.path("f")).send();
        in_time(download()).await.unwrap_err();
        assert!(folder.names().is_empty(), "{fields}: {:?}", folder.names());
        in_time(download()).await.unwrap();
        assert!(!text(&server.received()[1]).contains("range"));
    }
    let folder = Folder::new();
    let server = serve([whole(TAG, BODY, 5), whole(TAG, BODY, 11), whole(TAG, BODY, 11)]).await;
    broken(&folder, &server).await;
    let fresh = DownloadOptions { resume: false, overwrite: true, ..DownloadOptions::default() };
    let download = Session::default().download(server.url("/a"), folder.path("f")).options(fresh);
    in_time(download.send()).await.unwrap();
    fs::write(folder.path("f.part"), "hello").unwrap();
    in_time(Session::default().download(server.url("/other"), folder.path("f")).overwrite(true).send()).await.unwrap();
    for asked in &server.received()[1..] {
        assert!(!text(asked).contains("range"), "{}", text(asked));
    }
}

#[tokio::test]
async fn last_modified_vouches_where_it_is_old_enough() {
    let dates = "last-modified: Sun, 06 Nov 1994 12:00:00 GMT\r\ndate: Sun, 06 Nov 1994 12:00:05 GMT\r\n";
    let folder = Folder::new();
    let server = serve([whole(dates, BODY, 5), rest(dates, BODY, 5, 11)]).await;
    broken(&folder, &server).await;
    in_time(Session::default().download(server.url("/a"), folder.path("f")).send()).await.unwrap();
    assert_eq!(folder.read("f").as_deref(), Some(BODY));
    assert!(text(&server.received()[1]).contains("if-range: Sun, 06 Nov 1994 12:00:00 GMT\r\n"));
}

#[tokio::test]
async fn item_18_attempts_go_on_where_they_broke_off_within_their_bound() {
    let folder = Folder::new();
    let steps = || {
        let busy = status("503 Busy", "");
        [whole(TAG, BODY, 5), busy, Script::new().expect_head().reset(), rest(TAG, BODY, 5, 11)]
    };
    let server = serve(steps()).await;
    let download = Session::default().download(server.url("/a"), folder.path("f")).options(at_once(4));
    let saved = in_time(download.send()).await.unwrap();
    assert_eq!((saved.attempts, saved.resumed_at, folder.read("f").as_deref()), (4, 5, Some(BODY)));
    let folder = Folder::new();
    let server = serve(steps()).await;
    let download = Session::default().download(server.url("/a"), folder.path("f")).options(at_once(2));
    let error = in_time(download.send()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Status, 2));
    assert_eq!(folder.names(), ["f.part", "f.part.json"]);
}

#[tokio::test]
async fn the_largest_body_bounds_the_whole_file_and_not_each_answer() {
    let folder = Folder::new();
    let server = serve([whole(TAG, BODY, 5), rest(TAG, BODY, 5, 11), rest(TAG, BODY, 5, 11)]).await;
    broken(&folder, &server).await;
    for (max, wanted) in [(10, Err(ErrorKind::TooLarge)), (11, Ok(11))] {
        let session = session(|options| options.response.max_body = Some(max));
        let saved = in_time(session.download(server.url("/a"), folder.path("f")).send()).await;
        assert_eq!(saved.map(|saved| saved.length).map_err(|error| error.kind()), wanted);
    }
    assert_eq!(folder.read("f").as_deref(), Some(BODY));
}

#[tokio::test]
async fn a_server_that_gives_a_slice_at_a_time_is_asked_until_the_whole_is_there() {
    let folder = Folder::new();
    let slices = [whole(TAG, BODY, 2), rest(TAG, BODY, 2, 6), rest(TAG, BODY, 6, 9), rest(TAG, BODY, 9, 11)];
    let server = serve(slices).await;
    let download = Session::default().download(server.url("/a"), folder.path("f")).options(at_once(2));
    assert_eq!(in_time(download.send()).await.unwrap().attempts, 2);
    assert_eq!(folder.read("f").as_deref(), Some(BODY));
}

#[tokio::test]
async fn a_part_that_lacks_nothing_needs_no_more_bytes() {
    let folder = Folder::new();
    let server = serve([
        whole(TAG, BODY, 5),
        rest(TAG, BODY, 5, 11),
        status("416 Range Not Satisfiable", "content-range: bytes */11\r\n"),
    ])
    .await;
    broken(&folder, &server).await;
    // What stands under the name meanwhile is kept, and so is the part that is whole.
    let session = Session::default();
    let taken = session.download(server.url("/a"), folder.path("f"));
    let sent = Arc::new(Notify::new());
    let download = taken.on_progress({
        let (path, sent) = (folder.path("f"), sent.clone());
        move |_| {
            fs::write(&path, "mine").unwrap();
            sent.notify_one();
        }
    });
    let error = in_time(download.send()).await.unwrap_err();
    assert_eq!((error.kind(), folder.read("f").as_deref()), (ErrorKind::Request, Some("mine")));
    assert_eq!(folder.read("f.part").as_deref(), Some(BODY));
    let saved = in_time(session.download(server.url("/a"), folder.path("f")).overwrite(true).send()).await.unwrap();
    assert_eq!((saved.status.as_u16(), saved.resumed_at, folder.read("f").as_deref()), (416, 11, Some(BODY)));
    assert_eq!(folder.names(), ["f"]);
}

#[tokio::test]
async fn a_file_that_is_there_is_kept_unless_told_and_then_hands_on_its_mode() {
    let (origin, folder, session) = (origin().await, Folder::new(), Session::default());
    fs::write(folder.path("f"), "mine").unwrap();
    let url = origin.url("/bytes/10");
    let error = session.download(&url, folder.path("f")).send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Request);
    assert!(error.message().contains("kept"), "{error}");
    assert_eq!(origin.stats().requests, 0, "nothing is sent in vain");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |name: &str| fs::metadata(folder.path(name)).unwrap().permissions().mode() & 0o777;
        fs::set_permissions(folder.path("f"), fs::Permissions::from_mode(0o640)).unwrap();
        session.download(&url, folder.path("f")).overwrite(true).send().await.unwrap();
        assert_eq!((mode("f"), fs::metadata(folder.path("f")).unwrap().len()), (0o640, 10));
        let secret = DownloadOptions { mode: Some(0o600), ..DownloadOptions::default() };
        session.download(&url, folder.path("g")).options(secret).send().await.unwrap();
        assert_eq!(mode("g"), 0o600);
        std::os::unix::fs::symlink(folder.path("g"), folder.path("h.part")).unwrap();
        session.download(&url, folder.path("h")).send().await.unwrap_err();
        assert_eq!(fs::metadata(folder.path("g")).unwrap().len(), 10, "no link is followed");
        // The target's own link is: it stays, and what it leads to is replaced.
        std::os::unix::fs::symlink(folder.path("g"), folder.path("l")).unwrap();
        session.download(origin.url("/bytes/20"), folder.path("l")).send().await.unwrap_err();
        session.download(origin.url("/bytes/20"), folder.path("l")).overwrite(true).send().await.unwrap();
        assert!(fs::symlink_metadata(folder.path("l")).unwrap().is_symlink());
        assert_eq!((fs::metadata(folder.path("g")).unwrap().len(), mode("g")), (20, 0o600));
    }
    session.download(&url, folder.path("no/f")).send().await.unwrap_err();
    session.download(&url, folder.0.path()).overwrite(true).send().await.unwrap_err();
}

#[tokio::test]
async fn two_downloads_to_the_same_path_do_not_mix() {
    let (folder, go) = (Folder::new(), Arc::new(Notify::new()));
    let head = format!("HTTP/1.1 200 OK\r\n{TAG}content-length: 11\r\n\r\n");
    let script = Script::new().expect_head().send(format!("{head}hello")).wait_for(&go).send(" world").hang();
    let server = serve([script]).await;
    let session = Session::default();
    let first = session.download(server.url("/a"), folder.path("f")).send();
    let second = async {
        until(|| folder.read("f.part").as_deref() == Some("hello")).await;
        let error = session.download(server.url("/a"), folder.path("f")).send().await.unwrap_err();
        assert!(error.message().contains("another download"), "{error}");
        go.notify_one();
    };
    let (first, ()) = in_time(Box::pin(async { tokio::join!(first, second) })).await;
    assert_eq!((first.unwrap().length, folder.read("f").as_deref()), (11, Some(BODY)));
}

#[tokio::test]
async fn item_33_a_name_of_the_servers_stays_in_its_folder_and_replaces_nothing() {
    let session = Session::default();
    for (fields, path, name) in [
        ("content-disposition: attachment; filename=\"../../evil\"\r\n", "/x/y.txt", "evil"),
        ("content-disposition: attachment; filename*=UTF-8''%2Fetc%2Fp%C3%BC\r\n", "/x", "pü"),
        ("content-disposition: attachment; filename=\"..\"\r\n", "/x/y.txt", "y.txt"),
        ("", "/x/y%20z.txt?a=b", "y z.txt"),
        ("", "/x/..%2Fz", "z"),
        ("", "/", "download"),
    ] {
        let (outer, server) = (Folder::new(), serve([whole(fields, BODY, 11), whole(fields, BODY, 11)]).await);
        let inner = outer.path("in");
        fs::create_dir(&inner).unwrap();
        let saved = in_time(session.get(server.url(path)).download_into(&inner).send()).await.unwrap();
        assert_eq!(saved.path, inner.join(name));
        assert_eq!((outer.names(), fs::read_to_string(&saved.path).unwrap().as_str()), (vec!["in".to_owned()], BODY));
        // Whatever the options say.
        fs::write(&saved.path, "mine").unwrap();
        let again = session.get(server.url(path)).build().unwrap();
        let again = Download::new(&session, again, SaveAs::Folder(inner.clone())).overwrite(true);
        assert_eq!(in_time(again.send()).await.unwrap_err().kind(), ErrorKind::Request);
        assert_eq!(fs::read_to_string(&saved.path).unwrap(), "mine");
    }
}

#[tokio::test]
async fn a_download_that_is_dropped_leaves_its_part_only_if_a_later_one_can_go_on_with_it() {
    for (fields, left) in [(TAG, vec!["f.part", "f.part.json"]), ("", vec![])] {
        let folder = Folder::new();
        let head = format!("HTTP/1.1 200 OK\r\n{fields}content-length: 11\r\n\r\nhello");
        let server = serve([Script::new().expect_head().send(head).hang()]).await;
        tokio::select! {
            saved = Session::default().download(server.url("/a"), folder.path("f")).send() => panic!("{saved:?}"),
            () = until(|| folder.read("f.part").as_deref() == Some("hello")) => {}
        }
        assert_eq!(folder.names(), left, "{fields}");
    }
    let folder = Folder::new();
    let error = Session::default().download("http://127.0.0.1:1/", folder.path("no/f")).send().await.unwrap_err();
    assert!(error.message().contains(&format!("there is no folder {}", folder.path("no").display())), "{error}");
}

#[tokio::test]
async fn what_another_download_left_stays_until_a_body_takes_its_place() {
    let folder = Folder::new();
    let left = || {
        fs::write(folder.path("f.part"), "of another").unwrap();
        fs::write(folder.path("f.part.json"), "{}").unwrap();
    };
    left();
    for kind in [ErrorKind::Connect, ErrorKind::Status] {
        for resume in [true, false] {
            let missing = serve([status("404 Not Found", "")]).await;
            let url = if kind == ErrorKind::Status { missing.url("/") } else { "http://127.0.0.1:1/".to_owned() };
            let options = DownloadOptions { resume, ..DownloadOptions::default() };
            let download = Session::default().download(url, folder.path("f")).options(options);
            assert_eq!(in_time(download.send()).await.unwrap_err().kind(), kind);
            assert_eq!(folder.read("f.part").as_deref(), Some("of another"));
            assert_eq!(folder.names(), ["f.part", "f.part.json"]);
        }
    }
    let server = serve([whole("", BODY, 5), whole("", BODY, 11)]).await;
    in_time(Session::default().download(server.url("/"), folder.path("f")).send()).await.unwrap_err();
    assert!(folder.names().is_empty(), "what took its place is of no use: {:?}", folder.names());
    left();
    in_time(Session::default().download(server.url("/"), folder.path("f")).send()).await.unwrap();
    assert_eq!((folder.names(), folder.read("f").as_deref()), (vec!["f".to_owned()], Some(BODY)));
}

/// Whoever watches a request sees its attempts, and why and how long it waits between them.
#[tokio::test]
async fn the_waits_between_attempts_are_told() {
    let steps = Arc::new(Mutex::new(Vec::new()));
    let seen = steps.clone();
    let watch = move |event: &gannet::trace::Event<'_>| {
        if let gannet::trace::Event::Backoff { attempt, status, error, wait } = event {
            let kind = error.map(gannet::Error::kind);
            seen.lock().unwrap().push((*attempt, status.map(|status| status.as_u16()), kind, *wait));
        }
    };
    let session = Session::default();
    let server = serve([status("503 Busy", ""), whole("", BODY, 5), whole("", BODY, 11)]).await;
    let folder = Folder::new();
    let request = session.get(server.url("/a")).trace(watch.clone()).build().unwrap();
    let download = Download::new(&session, request, SaveAs::File(folder.path("f"))).options(at_once(3));
    in_time(download.send()).await.unwrap();
    let server = serve([status("503 Busy", ""), Script::new().expect_head().close(), answers(OK)]).await;
    let request = session.get(server.url("/a")).trace(watch).build().unwrap();
    in_time(session.execute_retrying(request, &at_once(3).retry)).await.unwrap();
    let told = |attempt, status, kind| (attempt, status, kind, Duration::ZERO);
    let wanted = [
        told(1, Some(503), None),
        told(2, None, Some(ErrorKind::Body)),
        told(1, Some(503), None),
        told(2, None, Some(ErrorKind::Connection)),
    ];
    assert_eq!(*steps.lock().unwrap(), wanted);
}

#[tokio::test]
async fn the_rest_of_a_body_is_not_saved_as_the_whole() {
    let (origin, folder) = (origin().await, Folder::new());
    let options = DownloadOptions::default();
    let mut response = Session::default().get(origin.url("/bytes/400000")).send().await.unwrap();
    response.chunk().await.unwrap().unwrap();
    for _ in 0..2 {
        let error = response.save_to(folder.path("f"), &options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Body, "{error}");
    }
    let mut response = Session::default().get(origin.url("/bytes/4")).send().await.unwrap();
    assert_eq!(response.save_to(folder.path("g"), &options).await.unwrap(), 4);
    assert_eq!(response.save_to(folder.path("h"), &options).await.unwrap_err().kind(), ErrorKind::Body);
    assert_eq!(folder.names(), ["g"]);
}

#[tokio::test]
async fn a_rest_that_is_longer_than_its_range_is_not_taken() {
    let folder = Folder::new();
    let head = format!("HTTP/1.1 206 Partial Content\r\n{TAG}content-range: bytes 5-7/11\r\ncontent-length: 6\r\n\r\n");
    let long = Script::new().expect_head().send(format!("{head} world")).close();
    let server = serve([whole(TAG, BODY, 5), long]).await;
    broken(&folder, &server).await;
    let error = in_time(Session::default().download(server.url("/a"), folder.path("f")).send()).await.unwrap_err();
    assert_eq!((error.kind(), folder.read("f")), (ErrorKind::Body, None), "{error}");
}

#[tokio::test]
async fn a_torn_piece_of_a_file_is_nothing_to_go_on_with() {
    let folder = Folder::new();
    let head =
        format!("HTTP/1.1 206 Partial Content\r\n{TAG}content-range: bytes 6-10/11\r\ncontent-length: 5\r\n\r\n");
    let server = serve([Script::new().expect_head().send(format!("{head}wo")).close()]).await;
    let request = Session::default().get(server.url("/a")).header("range", "bytes=6-10");
    let mut response = request.send().await.unwrap();
    let error = response.save_to(folder.path("f"), &DownloadOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Body);
    assert!(folder.names().is_empty(), "{:?}", folder.names());
}

/// They may be parts of anybody's.
#[tokio::test]
async fn item_33_a_name_of_the_servers_touches_nothing_that_is_named_like_its_part() {
    let session = Session::default();
    let named = format!("{TAG}content-disposition: attachment; filename=evil\r\n");
    for (script, is_saved) in
        [(whole(&named, BODY, 11), true), (whole(&named, BODY, 5), false), (status("404 Not Found", &named), false)]
    {
        let (folder, server) = (Folder::new(), serve([script]).await);
        fs::write(folder.path("mine"), "mine").unwrap();
        fs::write(folder.path("evil.part"), "mine").unwrap();
        let note = folder.path("evil.part.json");
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.path("mine"), &note).unwrap();
        #[cfg(not(unix))]
        fs::write(&note, "mine").unwrap();
        let saved = in_time(session.get(server.url("/")).download_into(folder.0.path()).send()).await;
        assert_eq!(saved.is_ok(), is_saved, "{saved:?}");
        let mut names = vec!["evil.part", "evil.part.json", "mine"];
        for name in &names {
            assert_eq!(folder.read(name).as_deref(), Some("mine"), "{name}");
        }
        names.splice(0..0, is_saved.then_some("evil"));
        assert_eq!(folder.names(), names, "nothing is left of what broke off");
        assert_eq!(folder.read("evil").as_deref(), is_saved.then_some(BODY));
    }
}

/// It goes on within the one download, and is gone with it.
#[tokio::test]
async fn a_download_under_a_name_of_the_servers_goes_on_where_it_broke_off() {
    let folder = Folder::new();
    let named = format!("{TAG}content-disposition: attachment; filename=name\r\n");
    let server = serve([whole(&named, BODY, 5), rest(TAG, BODY, 5, 11)]).await;
    let session = Session::default();
    let download = session.get(server.url("/")).download_into(folder.0.path()).options(at_once(2));
    let saved = in_time(download.send()).await.unwrap();
    assert_eq!((saved.resumed_at, saved.attempts, folder.names()), (5, 2, vec!["name".to_owned()]));
    assert_eq!(folder.read("name").as_deref(), Some(BODY));
    let sent = Arc::new(Notify::new());
    let half = format!("HTTP/1.1 200 OK\r\n{named}content-length: 11\r\n\r\nhello");
    let server = serve([Script::new().expect_head().send(half).signal(&sent).hang()]).await;
    let dropped = Folder::new();
    let download = session.get(server.url("/")).download_into(dropped.0.path()).send();
    tokio::select! {
        saved = download => panic!("{saved:?}"),
        () = until(|| !dropped.names().is_empty()) => {}
    }
    assert!(dropped.names().is_empty(), "{:?}", dropped.names());
}

#[tokio::test]
async fn what_is_no_success_changes_no_file() {
    let folder = Folder::new();
    let session = Session::default();
    for line in ["404 Not Found", "500 Oops", "304 Not Modified"] {
        let server = serve([status(line, TAG)]).await;
        let error = in_time(session.download(server.url("/a"), folder.path("f")).send()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Status, "{line}");
        assert!(folder.names().is_empty(), "{:?}", folder.names());
    }
    let error = session.post("http://127.0.0.1:1/").download(folder.path("f")).send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Request);
    let error = session.get("http://[/").compress(Coding::Gzip).download(folder.path("f")).send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Url);
    assert!(folder.names().is_empty());
}

#[tokio::test]
async fn a_response_that_is_here_becomes_a_file_decoded() {
    let (origin, folder, session) = (origin().await, Folder::new(), Session::default());
    let mut response = session.get(origin.url("/gzip")).send().await.unwrap();
    let length = response.save_to(folder.path("f"), &DownloadOptions::default()).await.unwrap();
    let saved = folder.read("f").unwrap();
    assert_eq!(length, saved.len() as u64);
    assert!(serde_json::from_str::<Value>(&saved).unwrap()["gzipped"].as_bool().unwrap());
    assert_eq!(response.bytes().await.unwrap_err().kind(), ErrorKind::Body, "it was read");
    // A coded body is no part to go on with: half of it leaves nothing.
    let server = serve([whole(&format!("{TAG}content-encoding: gzip\r\n"), BODY, 5)]).await;
    let mut response = session.get(server.url("/")).send().await.unwrap();
    response.save_to(folder.path("g"), &DownloadOptions::default()).await.unwrap_err();
    assert_eq!(folder.names(), ["f"]);
    // A plain one leaves a part, for a download of the same URL.
    let server = serve([whole(TAG, BODY, 5), rest(TAG, BODY, 5, 11)]).await;
    let mut response = session.get(server.url("/a")).send().await.unwrap();
    response.save_to(folder.path("h"), &DownloadOptions::default()).await.unwrap_err();
    session.download(server.url("/a"), folder.path("h")).send().await.unwrap();
    assert_eq!(folder.read("h").as_deref(), Some(BODY));
}

#[tokio::test]
async fn one_request_is_sent_again_by_the_rules_it_was_given() {
    let busy = || status("503 Busy", "");
    let policy = at_once(3).retry;
    let server = serve([busy(), Script::new().expect_head().reset(), whole("", BODY, 11)]).await;
    let session = Session::default();
    let request = || session.get(server.url("/")).build().unwrap();
    let response = in_time(session.execute_retrying(request(), &policy)).await.unwrap();
    assert_eq!(response.text().await.unwrap(), BODY);
    let server = serve([busy()]).await;
    let request = || session.get(server.url("/")).build().unwrap();
    assert_eq!(in_time(session.execute_retrying(request(), &policy)).await.unwrap().status(), 503);
    assert_eq!(server.connections(), 3);
    let post = session.post(server.url("/")).body("x").build().unwrap();
    assert_eq!(in_time(session.execute_retrying(post, &policy)).await.unwrap().status(), 503);
    assert_eq!(server.connections(), 4, "POST is not repeated");
}
