//! Cookies in files: what is kept, for whose eyes, and what a failure leaves behind.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use gannet::cookie::Format;
use gannet::{ErrorKind, Session};
use serde_json::json;

use super::*;

const FORMATS: [Format; 2] = [Format::Json, Format::Netscape];

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn item_25_another_session_goes_on_with_what_one_has_saved() {
    let (origin, folder) = (origin().await, tempfile::tempdir().unwrap());
    for format in FORMATS {
        let path = folder.path().join("jar");
        let session = Session::default();
        session.get(origin.url("/cookies/set?a=1&b=2")).send().await.unwrap();
        session.save_cookies(&path, format).unwrap();
        let next = Session::default();
        next.get(origin.url("/cookies/set?b=old&c=3")).send().await.unwrap();
        assert_eq!(next.load_cookies(&path).unwrap(), 2);
        let seen = json(next.get(origin.url("/cookies")).send().await).await;
        assert_eq!(seen["cookies"], json!({"a": "1", "b": "2", "c": "3"}), "{format:?}");
        // Those of one host stay that host's.
        let other = format!("http://localhost:{}/cookies", origin.addr().port());
        assert_eq!(json(next.get(&other).send().await).await["cookies"], json!({}));
    }
}

#[tokio::test]
async fn item_25_a_file_is_for_its_owners_eyes_and_never_for_more_than_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jar");
    for (before, after) in
        [(None, 0o600), (Some(0o644), 0o600), (Some(0o666), 0o600), (Some(0o400), 0o400), (Some(0o200), 0o200)]
    {
        if let Some(before) = before {
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(before)).unwrap();
        }
        Session::default().save_cookies(&path, Format::Json).unwrap();
        assert_eq!(mode(&path), after, "{before:?}");
        fs::remove_file(&path).unwrap();
    }
    // A link stays one, and its target is treated alike.
    let link = folder.path().join("link");
    fs::write(&path, "").unwrap();
    symlink(&path, &link).unwrap();
    Session::default().save_cookies(&link, Format::Netscape).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink() && mode(&path) == 0o600);
    assert!(fs::read_to_string(&path).unwrap().starts_with("# Netscape"));
    assert_eq!(names(folder.path()), ["jar", "link"]);
}

#[tokio::test]
async fn item_25_a_save_that_fails_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let session = Session::default();
    let full = Path::new("/dev/full");
    assert_eq!(session.save_cookies(full, Format::Netscape).unwrap_err().kind(), ErrorKind::Request);
    session.save_cookies("/dev/null", Format::Json).unwrap();
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
    let missing = folder.path().join("no/jar");
    let error = session.save_cookies(&missing, Format::Json).unwrap_err();
    assert!(error.to_string().contains("no/jar"), "{error}");
    // In a folder that takes no new file nothing is begun.
    let locked = folder.path().join("locked");
    fs::create_dir(&locked).unwrap();
    let path = locked.join("jar");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&locked, Permissions::from_mode(0o500)).unwrap();
    let is_root = fs::write(locked.join("probe"), "").is_ok();
    if !is_root {
        session.save_cookies(&path, Format::Json).unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    }
    fs::set_permissions(&locked, Permissions::from_mode(0o700)).unwrap();
    // A place that cannot be written over is found out when all is ready: the half-made file goes again.
    let taken = folder.path().join("taken");
    fs::create_dir(&taken).unwrap();
    session.save_cookies(&taken, Format::Json).unwrap_err();
    assert!(names(folder.path()).iter().all(|name| !name.starts_with(".gannet")), "{:?}", names(folder.path()));
}

#[tokio::test]
async fn item_25_a_save_takes_the_place_of_the_file_and_never_writes_into_it() {
    let (origin, folder, session) = (origin().await, tempfile::tempdir().unwrap(), Session::default());
    session.get(origin.url("/cookies/set?a=1")).send().await.unwrap();
    for format in FORMATS {
        let (path, other) = (folder.path().join("jar"), folder.path().join(format!("{format:?}")));
        fs::write(&path, "old").unwrap();
        fs::hard_link(&path, &other).unwrap();
        session.save_cookies(&path, format).unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "old", "{format:?}");
        assert_eq!(Session::default().load_cookies(&path).unwrap(), 1);
        fs::remove_file(&path).unwrap();
    }
}

#[tokio::test]
async fn item_25_a_file_that_is_none_is_refused_by_line_and_changes_nothing() {
    let (origin, folder) = (origin().await, tempfile::tempdir().unwrap());
    let path = folder.path().join("jar");
    let session = Session::default();
    session.get(origin.url("/cookies/set?a=1")).send().await.unwrap();
    for (text, line) in [
        ("a.com\tFALSE\t/\tFALSE\t0\tk\tv\na.com FALSE / FALSE 0 hunter2 v\n", "line 2"),
        ("{\"gannet_cookies\":1,\"cookies\":[\n{\"name\":\"hunter2\"}]}", "line 2"),
        ("\u{80}\u{3}pickled", "line 1"),
    ] {
        fs::write(&path, text).unwrap();
        let error = session.load_cookies(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Request);
        let told = error.to_string();
        assert!(told.contains(line) && told.contains("jar") && !told.contains("hunter2"), "{told}");
        assert_eq!(session.cookies().len(), 1);
    }
    let missing = session.load_cookies(folder.path().join("missing")).unwrap_err();
    assert!(missing.to_string().contains("No such file"), "{missing}");
    assert!(session.load_cookies("/dev/zero").unwrap_err().to_string().contains("16 MiB"));
}

#[tokio::test]
async fn a_field_by_hand_and_the_jar_can_be_joined() {
    let origin = origin().await;
    let session = session(|options| {
        options.cookies.join = true;
        options.headers.append("cookie", "default=1").unwrap();
    });
    session.get(origin.url("/cookies/set?jar=1&default=2")).send().await.unwrap();
    let seen = json(session.get(origin.url("/cookies")).send().await).await;
    assert_eq!(seen["cookies"], json!({"default": "1", "jar": "1"}));
    let own = session.get(origin.url("/redirect-to?url=/cookies")).header("Cookie", "own=1; jar=mine");
    assert_eq!(json(own.send().await).await["cookies"], json!({"own": "1", "jar": "mine", "default": "2"}));
    let plain = json(session.get(origin.url("/anything")).send().await).await;
    assert_eq!(plain["headers"]["Cookie"], "default=1; jar=1", "one field");
    let without = json(session.get(origin.url("/anything")).without_header("cookie").send().await).await;
    assert_eq!(without["headers"]["Cookie"], "jar=1; default=2", "the jar's alone");
}

#[tokio::test]
async fn item_05_a_joined_field_by_hand_stays_at_its_origin() {
    let elsewhere = serve([answers(OK)]).await;
    let away = format!(
        "HTTP/1.1 302 Found\r\nlocation: {}\r\nset-cookie: jar=1\r\ncontent-length: 0\r\n\r\n",
        elsewhere.url("/")
    );
    let here = serve([answers(away)]).await;
    let session = session(|options| options.cookies.join = true);
    session.get(here.url("/")).header("cookie", "own=s3cret").send().await.unwrap();
    let seen = text(&elsewhere.received().concat());
    // Ports share cookies, as RFC 6265bis has it.
    assert!(seen.contains("cookie: jar=1\r\n") && !seen.contains("s3cret"), "{seen}");
}

#[tokio::test]
async fn loopback_can_be_trusted_with_secure_cookies() {
    let origin = origin().await;
    let url = origin.url("/response-headers?set-cookie=__Host-a=1;%20Secure;%20Path=/");
    for (trusted, expected) in [(false, json!({})), (true, json!({"__Host-a": "1"}))] {
        let session = super::session(|options| options.cookies.secure_loopback = trusted);
        session.get(&url).send().await.unwrap();
        assert_eq!(json(session.get(origin.url("/cookies")).send().await).await["cookies"], expected);
    }
}

#[tokio::test]
async fn hosts_that_are_named_are_trusted_with_secure_cookies() {
    let origin = origin().await;
    let url = origin.url("/response-headers?set-cookie=__Host-a=1;%20Secure;%20Path=/");
    for (host, expected) in [("127.0.0.2", json!({})), ("127.0.0.1", json!({"__Host-a": "1"}))] {
        let session = super::session(|options| options.cookies.secure_hosts = vec![host.to_owned()]);
        session.get(&url).send().await.unwrap();
        assert_eq!(json(session.get(origin.url("/cookies")).send().await).await["cookies"], expected);
    }
    let mut options = gannet::Options::default();
    options.cookies.secure_hosts = vec!["no host".to_owned()];
    assert_eq!(Session::new(options).unwrap_err().kind(), gannet::ErrorKind::Request);
}
