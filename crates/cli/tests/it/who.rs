//! Who asks: cookies in files, Digest, bearer tokens, netrc.

use std::os::unix::fs::PermissionsExt;

use gannet_origin::Origin;
use serde_json::{Value, json};

use crate::gannet::{Place, command, gannet, ran, rows_in};

fn cookies(args: &[&str]) -> Value {
    let ran = gannet([&["get"], args].concat()).assert_code(0);
    serde_json::from_slice::<Value>(&ran.out).unwrap()["cookies"].clone()
}

#[test]
fn cookies_go_from_one_command_to_the_next_in_either_format() {
    let origin = Origin::start_blocking().unwrap();
    let (set, seen) = (origin.url("/cookies/set?a=1"), origin.url("/cookies"));
    let place = Place::new();
    for (name, begins) in [("jar.txt", "# Netscape HTTP Cookie File"), ("jar.json", "{\"gannet_cookies\":1")] {
        let jar = place.name(name);
        // As curl's users write it: the same file in and out, which is not there yet.
        gannet(["get", &set, "-b", &jar, "-c", &jar]).assert_code(0);
        let text = std::fs::read_to_string(&jar).unwrap();
        assert!(text.starts_with(begins), "{text}");
        assert_eq!(std::fs::metadata(&jar).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(cookies(&[&seen, "-b", &jar]), json!({"a": "1"}), "{name}");
        assert_eq!(cookies(&[&seen, "-b", &jar, "--cookie", "b=2; c=3"]), json!({"a": "1", "b": "2", "c": "3"}));
        assert_eq!(cookies(&[&seen, "-b", &jar, "-j"]), json!({}), "without an end of its own");
    }
    // However it ended: a status of 400 and more, too.
    let jar = place.name("jar.txt");
    let failing = origin.url("/status/404");
    gannet(["get", &failing, "-c", &jar]).assert_code(3);
    assert!(!std::fs::read_to_string(&jar).unwrap().contains('\t'), "an empty jar replaces a full one");
    let printed = gannet(["get", &origin.url("/cookies/set?a=1"), "-c", "-"]).assert_code(0);
    assert!(printed.text().contains("127.0.0.1\tFALSE\t/\tFALSE\t0\ta\t1\n"), "{}", printed.text());
}

#[test]
fn a_run_takes_cookies_from_a_file_and_writes_them_in_the_end() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let (jar, out) = (place.name("jar.txt"), place.path("rows.jsonl"));
    gannet(["get", &origin.url("/cookies/set?a=1"), "-c", &jar]).assert_code(0);
    let args = ["fetch", &origin.url("/cookies"), "-b", &jar, "-c", &jar, "-b", "b=2", "-o", out.to_str().unwrap()];
    gannet(args).assert_code(0);
    assert_eq!(rows_in(&out)[0]["json"]["cookies"], json!({"a": "1", "b": "2"}));
    // What was given by hand is of the rows, and not of the jar.
    let text = std::fs::read_to_string(&jar).unwrap();
    assert!(text.contains("\ta\t1\n") && !text.contains("\tb\t"), "{text}");
    gannet(["fetch", &origin.url("/cookies"), "-c", "-"]).assert_code(2).assert_says("--cookie-jar");
}

#[test]
fn no_cookies_are_kept_where_that_is_asked_for() {
    let origin = Origin::start_blocking().unwrap();
    let set = origin.url("/cookies/set?a=1");
    assert_eq!(cookies(&[&set]), json!({"a": "1"}), "the redirect shows what was set");
    assert_eq!(cookies(&[&set, "--no-cookies"]), json!({}));
    assert_eq!(cookies(&[&set, "--no-cookies", "-H", "Cookie: b=2"]), json!({"b": "2"}));
    let (place, seen) = (Place::new(), origin.url("/cookies"));
    let out = place.name("rows.jsonl");
    let args = ["fetch", &set, &seen, "--no-cookies", "--concurrency", "1", "-o", &out];
    gannet(args).assert_code(0);
    for row in rows_in(out.as_ref()) {
        assert_eq!(row["json"]["cookies"], json!({}), "{row}");
    }
    gannet(["fetch", &set, &seen, "-o", &out]).assert_code(2).assert_says("--no-cookies");
    for args in [&["-b", "a=1"][..], &["-c", "-"], &["-j"]] {
        gannet([&["get", "--no-cookies", &seen], args].concat()).assert_code(2).assert_says("cannot be used with");
    }
}

#[test]
fn a_file_of_cookies_that_is_none_is_told_with_line_and_remedy() {
    let place = Place::new();
    let bad = place.file("jar", "a.com\tFALSE\t/\tFALSE\t0\tk\tv\nhunter2\n");
    let ran = gannet(["get", "http://127.0.0.1:9/", "-b", &bad]).assert_code(2).assert_says("line 2");
    assert!(!ran.err.contains("hunter2"), "{}", ran.err);
    let missing = place.name("missing");
    gannet(["get", "http://127.0.0.1:9/", "-b", &missing]).assert_code(2).assert_says("name=value");
    gannet(["get", "http://127.0.0.1:9/", "-c", &place.name("no/jar")]).assert_code(2).assert_says("--cookie-jar");
}

#[test]
fn digest_and_what_the_server_asks_for() {
    let origin = Origin::start_blocking().unwrap();
    let (digest, basic) = (origin.url("/digest-auth/auth/me/pw/SHA-256?more=1"), origin.url("/basic-auth/me/pw"));
    for (url, scheme, code) in [
        (&digest, "--digest", 0),
        (&digest, "--anyauth", 0),
        (&digest, "--basic", 3),
        (&basic, "--digest", 3),
        (&basic, "--anyauth", 0),
        (&basic, "--basic", 0),
    ] {
        gannet(["get", url, "-u", "me:pw", scheme]).assert_code(code);
    }
    let in_url = digest.replace("http://", "http://me:pw@");
    gannet(["get", &in_url, "--digest"]).assert_code(0);
    gannet(["get", &digest, "-u", "me:pw", "--digest", "--anyauth"]).assert_code(2);
    let posted = gannet(["get", &origin.url("/digest-auth/auth-int/me/pw"), "-u", "me:pw", "--digest", "-d", "text"]);
    assert!(posted.assert_code(0).text().contains("\"data\": \"text\""));
    let before = origin.stats().requests;
    let many: Vec<_> = (0..20).map(|n| origin.url(&format!("/digest-auth/auth/me/pw?n={n}"))).collect();
    let args = ["fetch", "-u", "me:pw", "--digest", "--concurrency", "1", "--format", "none"];
    gannet(args.into_iter().chain(many.iter().map(String::as_str))).assert_code(0);
    assert_eq!(origin.stats().requests - before, 21, "one challenge for all rows");
}

#[test]
fn a_bearer_token_comes_from_the_command_line_or_a_file() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let file = format!("@{}", place.file("token", "sesame\n"));
    for token in ["sesame", &file] {
        let ran = gannet(["get", "-v", &origin.url("/bearer"), "--oauth2-bearer", token]).assert_code(0);
        assert!(ran.text().contains("\"token\": \"sesame\"") && !ran.err.contains("sesame"), "{}", ran.err);
    }
    gannet(["get", &origin.url("/bearer"), "--oauth2-bearer", "x", "-u", "a:b"]).assert_code(2);
}

#[test]
fn netrc_is_read_when_asked_for() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let netrc = place.file("netrc", "machine 127.0.0.1 login me password pw\n");
    let url = origin.url("/basic-auth/me/pw");
    gannet(["get", &url]).assert_code(3);
    // The file is open to others, which is told and no more.
    gannet(["get", &url, "--netrc-file", &netrc]).assert_code(0).assert_says("chmod 600");
    std::fs::set_permissions(&netrc, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut named = command(["get", &url, "-n"]);
    assert_eq!(
        ran({
            named.env("NETRC", &netrc);
            named
        })
        .assert_code(0)
        .err,
        ""
    );
    let home = place.path("home");
    std::fs::create_dir(&home).unwrap();
    let mut none = command(["get", &url, "-n"]);
    none.env_remove("NETRC").env("HOME", &home);
    ran(none).assert_code(3);
    std::fs::copy(&netrc, home.join(".netrc")).unwrap();
    let mut usual = command(["get", &url, "-n"]);
    usual.env_remove("NETRC").env("HOME", &home);
    ran(usual).assert_code(0);
    let digest = origin.url("/digest-auth/auth/me/pw");
    gannet(["get", &digest, "--digest", "--netrc-file", &netrc]).assert_code(0);
    let bad = place.file("bad", "machine a\npasword hunter2");
    let told = gannet(["get", &url, "--netrc-file", &bad]).assert_code(2).assert_says("line 2");
    assert!(!told.err.contains("hunter2"), "{}", told.err);
    gannet(["get", &url, "--netrc-file", &place.name("missing")]).assert_code(2).assert_says("--netrc");
}
