//! How hosts are reached: by which address, socket and certificate, and that they are not where they must not be.

use std::io::copy;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use gannet_origin::names::{Answer, NameServer};
use gannet_origin::{Identity, Origin};

use crate::gannet::{Place, command, gannet, ran};

const COMMANDS: [&str; 2] = ["get", "fetch"];

/// Leads what comes to this Unix socket to this port.
fn unix_door(path: &Path, to: SocketAddr) {
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        for outside in listener.incoming() {
            let (outside, inside) = (outside.unwrap(), TcpStream::connect(to).unwrap());
            let (mut from, mut into) = (outside.try_clone().unwrap(), inside.try_clone().unwrap());
            std::thread::spawn(move || copy(&mut from, &mut into));
            std::thread::spawn(move || copy(&mut &inside, &mut &outside));
        }
    });
}

#[test]
fn a_host_is_reached_by_the_address_given_for_it() {
    let origin = Origin::start_blocking().unwrap();
    let port = origin.addr().port();
    let url = format!("http://some.invalid:{port}/anything");
    for command in COMMANDS {
        gannet([command, &url]).assert_code(3).assert_says("dns");
        let resolve = format!("some.invalid:{port}:127.0.0.1");
        let ran = gannet([command, &url, "--resolve", &resolve, "-4"]).assert_code(0);
        assert!(ran.text().contains(&format!("some.invalid:{port}")), "the host stays as it is: {}", ran.text());
        gannet([command, &url, "--resolve", "*:*:127.0.0.1"]).assert_code(0);
        gannet([command, &url, "--resolve", &resolve, "-6"]).assert_code(3).assert_says("dns");
    }
    gannet(["get", &url, "--resolve", "some.invalid:127.0.0.1"]).assert_code(2).assert_says("host:port:address");
    gannet(["get", &url, "--resolve", "127.0.0.1:80:127.0.0.1"]).assert_code(2).assert_says("--resolve: ");
}

#[test]
fn names_are_asked_of_the_servers_that_were_given() {
    let origin = Origin::start_blocking().unwrap();
    let names = NameServer::start_blocking(|asked| match &*asked.name {
        "none.test" => Answer::NoSuchName,
        "fails.test" => Answer::Fails,
        "silent.test" => Answer::Silence,
        _ => Answer::addresses(&["127.0.0.1"]),
    });
    let names = names.unwrap();
    let server = names.addr().to_string();
    let url = |name: &str| format!("http://{name}:{}/anything", origin.addr().port());
    for command in COMMANDS {
        gannet([command, &url("some.test"), "--dns-servers", &server]).assert_code(0);
        gannet([command, &url("some.test"), "--dns-servers", &server, "--deny-private"]).assert_code(3);
        let by_hand = ["--resolve", "none.test:*:127.0.0.1"];
        gannet([command, &url("none.test"), "--dns-servers", &server, by_hand[0], by_hand[1]]).assert_code(0);
        gannet([command, &url("localhost"), "--resolver", "async"]).assert_code(0);
    }
    assert_eq!(names.asked().len(), 8);
    let get = |name: &str| gannet(["get", &url(name), "--dns-servers", &server]).assert_code(3);
    get("none.test").assert_says("error: dns: ").assert_says("there is no such name");
    get("fails.test").assert_says("error: dns: ").assert_says("may later");
    for command in COMMANDS {
        let args = [command, &url("silent.test"), "--dns-servers", &server, "--dns-timeout", "0.1"];
        let ran = gannet(args.iter().copied().chain(["--retries", "0"].into_iter().filter(|_| command == "fetch")));
        ran.assert_code(3).assert_says("timeout.connect");
    }
    gannet(["get", &url("some.test"), "--dns-servers", "localhost"]).assert_code(2).assert_says("--dns-servers");
}

#[test]
fn a_run_over_many_hosts_looks_many_names_up_at_once() {
    let origin = Origin::start_blocking().unwrap();
    let slowly = || Answer::After(Duration::from_millis(5), Box::new(Answer::addresses(&["127.0.0.1"])));
    let names = NameServer::start_blocking(move |_| slowly()).unwrap();
    let place = Place::new();
    let lines: Vec<_> = (0..300).map(|n| format!("http://h{n}.test:{}/items/1", origin.addr().port())).collect();
    let file = place.file("urls.txt", &lines.join("\n"));
    let server = names.addr().to_string();
    let run = |more: &[&str]| {
        let args = [&["fetch", &file, "--format", "none", "--dns-servers", &server], more].concat();
        gannet(args).assert_code(0);
    };
    run(&["--dns-lookups", "4"]);
    assert!(names.most_at_once() <= 8, "{}", names.most_at_once());
    run(&[]);
    assert!(names.most_at_once() > 32, "{}", names.most_at_once());
    // A datagram may be lost, and is sent again if anybody still waits for its answer: every row was led to its host by
    // its IPv4 address, in both runs.
    let mut of_v4: Vec<_> = names.asked().into_iter().filter(|asked| !asked.v6).map(|asked| asked.name).collect();
    assert!(of_v4.len() >= 600, "{}", of_v4.len());
    of_v4.sort_unstable();
    of_v4.dedup();
    assert_eq!(of_v4.len(), 300);
}

#[test]
fn a_unix_socket_and_a_local_address_are_used_when_asked_for() {
    let (origin, place) = (Origin::start_blocking().unwrap(), Place::new());
    let path = place.path("door");
    unix_door(&path, origin.addr());
    for command in COMMANDS {
        let ran = gannet([command, "http://some.invalid/anything", "--unix-socket", path.to_str().unwrap()]);
        assert!(ran.assert_code(0).text().contains("some.invalid"));
        let ran = gannet([command, &origin.url("/ip"), "--interface", "127.0.0.5", "--keepalive-time", "30"]);
        assert!(ran.assert_code(0).text().contains("127.0.0.5"));
        gannet([command, &origin.url("/ip"), "--interface", "nosuch0"]).assert_code(3).assert_says("connect");
    }
}

#[test]
fn item_31_what_is_private_is_denied_and_not_tried_again() {
    let origin = Origin::start_blocking().unwrap();
    let url = origin.url("/items/1");
    gannet(["get", &url, "--deny-private"]).assert_code(3).assert_says("denied");
    let row = gannet(["fetch", &url, "--deny-private"]).assert_code(3).row();
    assert_eq!((&row["error"]["kind"], &row["attempts"]), (&"denied".into(), &1.into()));
    assert_eq!(origin.stats().connections_total, 0);
    for command in COMMANDS {
        gannet([command, &url, "--deny-private", "--allow-private", "127.0.0.0/8"]).assert_code(0);
    }
    gannet(["get", &url, "--allow-private", "127.0.0.0/8"]).assert_code(2).assert_says("--deny-private");
    gannet(["get", &url, "--deny-private", "--unix-socket", "x"]).assert_code(2);
}

#[test]
fn certificates_keys_pins_and_versions_are_shown_and_asked_for() {
    let (identity, client) =
        (Identity::for_names(&["inside.test"]).unwrap(), Identity::for_names(&["client.test"]).unwrap());
    let server = identity.demanding_client_of(client.ca_pem()).unwrap();
    let origin = Origin::builder().https(true).identity(server).start_blocking().unwrap();
    let (place, url) = (Place::new(), origin.https_url("/items/1"));
    let (ca, cert) = (place.file("ca.pem", identity.ca_pem()), place.file("cert.pem", client.pem().0));
    let key = place.file("key.pem", client.pem().1);
    let both = place.file("both.pem", &[client.pem().0, client.pem().1].concat());
    let usual = ["--cacert", &ca, "--cacert-only", "--tls-server-name", "inside.test", "--http1.1"];
    let get = |more: &[&str]| gannet(["get", &url].iter().chain(&usual).chain(more));
    get(&["--cert", &cert, "--key", &key, "--tlsv1.3"]).assert_code(0);
    get(&["-E", &both, "--tlsv1.2"]).assert_code(0);
    get(&[]).assert_code(3).assert_says("tls");
    get(&["--cert", &cert]).assert_code(2).assert_says("--key: ");
    get(&["--cert", &place.name("none.pem")]).assert_code(2).assert_says("--cert: ");
    let wrong = format!("sha256//{}=", "A".repeat(43));
    let pinned = get(&["-E", &both, "--pinnedpubkey", &wrong]).assert_code(3).assert_says("none of the pins");
    let right = pinned.err.split("sha256//").nth(1).unwrap().split(',').next().unwrap();
    get(&["-E", &both, "--pinnedpubkey", &format!("{wrong};sha256//{right}")]).assert_code(0);
    get(&["--pinnedpubkey", "sha256//no"]).assert_code(2).assert_says("base64");
    gannet(["fetch", &url, "-E", &both].iter().chain(&usual)).assert_code(0);
}

#[test]
fn the_machines_roots_count_unless_told_that_they_do_not() {
    let origin = Origin::start_blocking().unwrap();
    let (place, url) = (Place::new(), origin.https_url("/items/1"));
    let (machine, other) = (place.file("machine.pem", origin.ca_pem()), Identity::for_names(&["a.test"]).unwrap());
    let other = place.file("other.pem", other.ca_pem());
    let get = |more: &[&str]| {
        let mut command = command(["get", &url].iter().chain(more));
        command.env("SSL_CERT_FILE", &machine).env_remove("SSL_CERT_DIR");
        ran(command)
    };
    get(&["--cacert", &other]).assert_code(0);
    get(&["--cacert", &other, "--cacert-only"]).assert_code(3).assert_says("tls");
}

#[test]
fn keys_are_logged_where_the_environment_says() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let log = place.path("keys");
    let mut command = command(["get", "-k", &origin.https_url("/items/1")]);
    command.env("SSLKEYLOGFILE", &log);
    ran(command).assert_code(0);
    let logged = std::fs::read_to_string(&log).unwrap();
    assert!(logged.contains("CLIENT_TRAFFIC_SECRET_0 "), "{logged}");
    std::fs::remove_file(&log).unwrap();
    gannet(["get", "-k", &origin.https_url("/items/1")]).assert_code(0);
    assert!(!log.exists());
}
