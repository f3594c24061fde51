//! Certificates: refused unless trusted, or unless the user says that it does not matter.

use gannet_origin::Origin;

use crate::gannet::{Place, gannet};

#[test]
fn an_unknown_authority_is_refused_and_accepted_when_trusted() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let authority = place.file("ca.pem", origin.ca_pem());
    let url = origin.https_url("/get");
    for command in ["fetch", "get"] {
        gannet([command, &url]).assert_code(3);
        gannet([command, &url, "--cacert", &authority]).assert_code(0);
        gannet([command, &url, "--insecure"]).assert_code(0);
    }
    assert_eq!(gannet(["fetch", &url]).row()["error"]["kind"], "tls");
    gannet(["get", &url]).assert_says("tls");
}

#[test]
fn get_tells_how_a_connection_is_secured() {
    let origin = Origin::start_blocking().unwrap();
    let ran = gannet(["get", "-v", "-k", "-w", "%{num_certs}", "-o", "/dev/null", &origin.https_url("/get")]);
    ran.assert_code(0).assert_says("* TLSv1.3, TLS_").assert_says(", ALPN h2\n");
    let ran = gannet(["get", "-k", "--http1.1", "-w", "%{num_certs}", "-o", "/dev/null", &origin.https_url("/get")]);
    assert_eq!(ran.assert_code(0).text(), "1");
    let plain = gannet(["get", "-v", "-w", "%{num_certs}", "-o", "/dev/null", &origin.url("/get")]).assert_code(0);
    assert_eq!((plain.text(), plain.err.contains("TLS")), ("0", false));
}

#[test]
fn connections_have_an_age_and_begin_at_any_address() {
    let origin = Origin::start_blocking().unwrap();
    let urls = format!("{}/{{1..6}}", origin.url("/items"));
    let args = ["--concurrency", "1", "--spread", "--format", "none", "--no-adapt"];
    gannet([&["fetch", &urls], &args[..], &["--connection-max-age", "0"]].concat()).assert_code(0);
    assert_eq!(origin.stats().connections_total, 6);
    gannet([&["fetch", &urls], &args[..], &["--connection-max-age", "1h"]].concat()).assert_code(0);
    assert_eq!(origin.stats().connections_total, 7);
}
