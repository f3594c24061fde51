//! Proxies: by option and by environment, with their credentials kept where they belong.

use gannet_origin::{Identity, Origin, Proxy};

use crate::gannet::{Place, command, gannet, ran};

/// A URL by a name that only the proxy knows.
fn named(origin: &Origin, path: &str) -> String {
    format!("http://only-the-proxy-knows.invalid:{}{path}", origin.addr().port())
}

#[test]
fn every_kind_of_proxy_is_used_by_get_and_fetch() {
    let origin = Origin::start_blocking().unwrap();
    let proxy = Proxy::builder().credentials("me", "pw").start_blocking().unwrap();
    let url = named(&origin, "/items/7");
    for command in ["get", "fetch"] {
        for scheme in ["http", "socks5h"] {
            let apart = gannet([command, &url, "-x", &proxy.url(scheme), "-U", "me:pw"]).assert_code(0);
            assert!(apart.text().contains("\"id\":7"), "{apart:?}");
            let inside = format!("--proxy={}", proxy.url(scheme).replace("://", "://me:pw@"));
            gannet([command, &url, &inside]).assert_code(0);
            // What was a usage error for nobody is a failed row here.
            gannet([command, &url, "-x", &proxy.url(scheme), "--noproxy", "*.invalid"]).assert_code(3);
        }
    }
    assert_eq!(proxy.asked().len(), 8);
    let row =
        gannet(["fetch", &origin.https_url("/"), "--retries", "0", "-x", &proxy.url("http")]).assert_code(3).row();
    assert_eq!(row["error"]["kind"], "proxy");
    assert!(row.get("status").is_none(), "a proxy's status is not the host's: {row}");
    assert!(row["error"]["message"].as_str().unwrap().contains("407"), "{row}");
}

#[test]
fn the_environment_is_read_unless_told_otherwise() {
    let origin = Origin::start_blocking().unwrap();
    let (proxy, other) = (Proxy::start_blocking().unwrap(), Proxy::start_blocking().unwrap());
    let url = origin.url("/items/7");
    let with = |variables: &[(&str, &str)], more: &[&str]| {
        let mut command = command(["get", &url].iter().chain(more));
        command.envs(variables.iter().copied());
        let before = (proxy.asked().len(), other.asked().len());
        ran(command).assert_code(0);
        (proxy.asked().len() - before.0, other.asked().len() - before.1)
    };
    let (here, there) = (proxy.url("http"), other.url("http"));
    let socks = proxy.url("socks5h");
    for (variables, more, wanted) in [
        (&[("http_proxy", &*here)][..], &[][..], (1, 0)),
        (&[("HTTP_PROXY", &here)], &[], (1, 0)),
        (&[("HTTP_PROXY", &here), ("REQUEST_METHOD", "GET")], &[], (0, 0)),
        (&[("https_proxy", &here)], &[], (0, 0)),
        (&[("all_proxy", &socks)], &[], (1, 0)),
        (&[("ALL_PROXY", &there), ("http_proxy", &here)], &[], (1, 0)),
        (&[("http_proxy", &here), ("no_proxy", "127.0.0.0/8")], &[], (0, 0)),
        (&[("http_proxy", &here), ("NO_PROXY", "a.test,127.0.0.1")], &[], (0, 0)),
        (&[("http_proxy", &here), ("no_proxy", "127.0.0.1")], &["--noproxy", ""], (1, 0)),
        (&[("http_proxy", &here)], &["--noproxy", "127.0.0.1"], (0, 0)),
        (&[("http_proxy", &here)], &["--proxy", &there], (0, 1)),
        (&[("http_proxy", "not: a proxy")], &["--proxy", &there], (0, 1)),
        (&[("no_proxy", "127.0.0.1")], &["--proxy", &there], (0, 0)),
        (&[("http_proxy", &here)], &["--proxy", ""], (0, 0)),
    ] {
        assert_eq!(with(variables, more), wanted, "{variables:?} {more:?}");
    }
}

#[test]
fn an_https_proxy_is_verified_by_its_own_options() {
    let origin = Origin::start_blocking().unwrap();
    let identity = Identity::for_names(&["127.0.0.1"]).unwrap();
    let proxy = Proxy::builder().identity(&identity).start_blocking().unwrap();
    let place = Place::new();
    let (own, origins) = (place.file("proxy.pem", identity.ca_pem()), place.file("origin.pem", origin.ca_pem()));
    let (url, through) = (origin.https_url("/items/7"), proxy.url("https"));
    let get = |more: &[&str]| gannet(["get", &url, "-x", &through].iter().chain(more));
    get(&["--cacert", &origins, "--proxy-cacert", &own]).assert_code(0);
    get(&["--cacert", &origins, "--proxy-insecure"]).assert_code(0);
    get(&["--insecure"]).assert_code(3).assert_says("tls").assert_says(&through);
    get(&["--cacert", &own, "--proxy-cacert", &own]).assert_code(3).assert_says("tls");
    get(&["--proxy-cacert", &place.name("missing.pem")]).assert_code(2).assert_says("--proxy-cacert");
}

#[test]
fn an_https_proxy_is_shown_a_certificate_and_held_to_its_pins() {
    let origin = Origin::start_blocking().unwrap();
    let identity = Identity::for_names(&["127.0.0.1"]).unwrap();
    let client = Identity::for_names(&["client.test"]).unwrap();
    let demanding = identity.demanding_client_of(client.ca_pem()).unwrap();
    let proxy = Proxy::builder().identity(&demanding).start_blocking().unwrap();
    let place = Place::new();
    let (ca, cert) = (place.file("proxy.pem", identity.ca_pem()), place.file("cert.pem", client.pem().0));
    let key = place.file("key.pem", client.pem().1);
    let both = place.file("both.pem", &[client.pem().0, client.pem().1].concat());
    let (url, through) = (origin.url("/items/7"), proxy.url("https"));
    for command in ["get", "fetch"] {
        let usual = [command, &url, "-x", &through, "--proxy-cacert", &ca];
        let run = |more: &[&str]| gannet(usual.iter().chain(more));
        run(&["--proxy-cert", &cert, "--proxy-key", &key]).assert_code(0);
        run(&["--proxy-cert", &both]).assert_code(0);
        run(&["--proxy-cert", &cert]).assert_code(2).assert_says("--proxy-key: ");
        run(&["--proxy-cert", &place.name("none.pem")]).assert_code(2).assert_says("--proxy-cert: ");
        run(&["--proxy-key", &key]).assert_code(2).assert_says("--proxy-cert");
    }
    let get = |more: &[&str]| {
        let usual = ["get", &url, "-x", &through, "--proxy-cacert", &ca, "--proxy-cert", &both];
        gannet(usual.iter().chain(more))
    };
    // What is shown to origins is not shown to proxies.
    gannet(["get", &url, "-x", &through, "--proxy-cacert", &ca, "--cert", &both]).assert_code(3).assert_says("tls");
    let wrong = format!("sha256//{}=", "A".repeat(43));
    let pinned =
        get(&["--proxy-pinnedpubkey", &wrong]).assert_code(3).assert_says(&through).assert_says("none of the pins");
    let right = pinned.err.split("sha256//").nth(1).unwrap().split(',').next().unwrap();
    get(&["--proxy-pinnedpubkey", &format!("{wrong};sha256//{right}")]).assert_code(0);
}

#[test]
fn fields_for_the_proxy_go_to_it_and_not_through_it() {
    let origin = Origin::start_blocking().unwrap();
    let proxy = Proxy::start_blocking().unwrap();
    let place = Place::new();
    let file = place.file("fields", "X-Secret: sesame\n");
    let (url, through, at) = (origin.https_url("/headers"), proxy.url("http"), format!("@{file}"));
    let more = ["-k", "-v", "-x", &through, "--proxy-header", &at, "--proxy-header", "X-Shown: 1"];
    let ran = gannet(["get", &url].iter().chain(&more)).assert_code(0);
    assert!(!ran.text().contains("sesame") && !ran.text().contains("X-Shown"), "{ran:?}");
    assert!(!ran.err.contains("sesame"), "{ran:?}");
    ran.assert_says(&format!("* through the proxy {through}"));
    let told = proxy.asked().remove(0).fields;
    assert!(told.contains(&("x-secret".to_owned(), "sesame".to_owned())), "{told:?}");
}

#[test]
fn what_is_no_proxy_is_a_usage_error() {
    for (option, value) in [
        ("--proxy", "gopher://proxy"),
        ("--proxy", "http://proxy/path"),
        ("--proxy-user", "me"),
        ("--noproxy", "10.0.0.0/33"),
        ("--proxy-header", "no colon"),
    ] {
        gannet(["get", "http://127.0.0.1:1/", option, value]).assert_code(2).assert_says(option);
    }
    let mut command = command(["get", "http://127.0.0.1:1/"]);
    command.env("all_proxy", "gopher://me:sesame@proxy");
    let ran = ran(command).assert_code(2).assert_says("all_proxy").assert_says("--proxy ''");
    assert!(!ran.err.contains("sesame"), "{ran:?}");
}

#[test]
fn a_runs_state_keeps_no_proxy_and_another_may_go_on() {
    let origin = Origin::start_blocking().unwrap();
    let proxy = Proxy::builder().credentials("me", "sesame").start_blocking().unwrap();
    let place = Place::new();
    let (out, url) = (place.name("rows.jsonl"), named(&origin, "/status/500"));
    let through = proxy.url("http").replace("://", "://me:sesame@");
    gannet(["fetch", &url, "-o", &out, "--retries", "0", "-x", &through]).assert_code(3);
    for suffix in ["", ".state", ".state-wal"] {
        let kept = std::fs::read(place.path(&format!("rows.jsonl{suffix}"))).unwrap_or_default();
        assert!(!kept.windows(6).any(|window| window == b"sesame"), "{suffix}");
    }
    // Through which proxy a row is asked is no part of what is asked.
    gannet(["fetch", &url, "-o", &out, "--retries", "0"]).assert_code(3);
}

#[test]
fn a_file_that_holds_no_certificate_is_told_by_the_option_that_named_it() {
    let place = Place::new();
    let none = place.file("none.pem", "nothing of the kind");
    let broken = place.file("broken.pem", "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n");
    for (option, other) in [("--cacert", "--proxy-cacert"), ("--proxy-cacert", "--cacert")] {
        for file in [&none, &broken] {
            for command in ["get", "fetch"] {
                let ran = gannet([command, "http://127.0.0.1:9/", option, file]).assert_code(2);
                assert!(ran.err.contains(option), "{}", ran.err);
                assert!(!ran.err.replace(option, "").contains(other), "{}", ran.err);
            }
        }
    }
}
