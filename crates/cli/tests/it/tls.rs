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
