//! HTTPS: who is trusted, who is not, and that its connections are kept like others.

use gannet::{ErrorKind, HttpVersion, Session};
use gannet_origin::Identity;

use super::*;

fn trusting(ca_pem: &str) -> Session {
    session(|options| options.tls.extra_roots = vec![ca_pem.to_owned()])
}

#[tokio::test]
async fn a_root_of_ones_own_is_trusted_and_connections_are_kept() {
    let origin = origin().await;
    let session = trusting(origin.ca_pem());
    for id in 0..5 {
        assert_eq!(json(session.get(origin.https_url(&format!("/items/{id}"))).send().await).await["id"], id);
    }
    let large = session.get(origin.https_url("/bytes/3000000?seed=1")).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(large, gannet_origin::payload(1, 3_000_000));
    let upload = "x".repeat(3_000_000);
    let seen = json(session.post(origin.https_url("/anything")).body(upload.clone()).send().await).await;
    assert!(seen["data"] == upload.as_str());
    assert_eq!(origin.stats().connections_total, 1);
    let by_name = format!("https://localhost:{}/items/1", origin.https_addr().unwrap().port());
    assert_eq!(json(session.get(by_name).send().await).await["id"], 1);
}

#[tokio::test]
async fn item_30_certificates_that_do_not_hold_are_refused_as_kind_tls() {
    let names = ["127.0.0.1", "localhost"];
    let good = Identity::for_names(&names).unwrap();
    let (wrong, expired) = (Identity::for_names(&["example.com"]).unwrap(), Identity::expired(&names).unwrap());
    for (identity, trusted) in [(&good, wrong.ca_pem()), (&wrong, wrong.ca_pem()), (&expired, expired.ca_pem())] {
        let server = ScriptedServer::start_tls([answers(OK)], identity).await.unwrap();
        for only in [false, true] {
            for url in [server.url("/"), format!("https://localhost:{}/", server.addr().port())] {
                let session = session(|options| {
                    options.tls.extra_roots = vec![trusted.to_owned()];
                    options.tls.only_extra_roots = only;
                });
                let error = in_time(session.get(&url).send()).await.unwrap_err();
                assert_eq!((error.kind(), error.phase()), (ErrorKind::Tls, gannet::Phase::Tls), "{only} {error:?}");
                assert!(error.is_connect() && !error.kind().is_transient());
                assert_eq!(session.pool_stats(), pool(0, 0, 0));
            }
        }
        assert!(server.received().iter().all(Vec::is_empty), "nothing was sent");
    }
    let server = ScriptedServer::start_tls([answers(OK)], &good).await.unwrap();
    assert_eq!(Session::default().get(server.url("/")).send().await.unwrap_err().kind(), ErrorKind::Tls);
}

#[tokio::test]
async fn item_30_an_ipv6_address_is_what_a_certificate_has_to_name() {
    for (name, holds) in [("::1", true), ("127.0.0.1", false), ("::2", false), ("localhost", false)] {
        let identity = Identity::for_names(&[name]).unwrap();
        let builder = Origin::builder().listen("[::1]:0").https(true).identity(identity.clone());
        // A machine without IPv6 has nothing to show.
        let Ok(origin) = builder.start().await else { return };
        let url = format!("https://[::1]:{}/items/1", origin.https_addr().unwrap().port());
        for version in [HttpVersion::Http1, HttpVersion::Auto] {
            let session = session(|options| {
                options.tls.extra_roots = vec![identity.ca_pem().to_owned()];
                options.http.version = version;
            });
            match in_time(session.get(&url).send()).await {
                Ok(response) => assert!(holds && response.ok(), "{name}"),
                Err(error) => assert!(!holds && error.kind() == ErrorKind::Tls, "{name}: {error}"),
            }
        }
    }
}

#[tokio::test]
async fn item_14_the_danger_switch_accepts_anyone_and_stays_with_its_session() {
    let expired = Identity::expired(&["example.com"]).unwrap();
    let server = ScriptedServer::start_tls([answers(OK)], &expired).await.unwrap();
    let careless = session(|options| options.tls.danger.accept_invalid_certs = true);
    assert_eq!(careless.get(server.url("/")).send().await.unwrap().text().await.unwrap(), "ok");
    assert_eq!(Session::default().get(server.url("/")).send().await.unwrap_err().kind(), ErrorKind::Tls);
}

#[tokio::test]
async fn an_unreadable_root_is_an_error_of_the_session() {
    for pem in ["", "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n", "no pem"] {
        let mut options = Options::default();
        options.tls.extra_roots = vec![pem.to_owned()];
        let made = Session::new(options);
        assert_eq!(made.unwrap_err().kind(), ErrorKind::Request, "{pem:?}");
    }
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_replaced_with_and_without_a_farewell() {
    let identity = Identity::for_names(&["127.0.0.1"]).unwrap();
    for end in [Script::close as fn(Script) -> Script, Script::shutdown_write, Script::reset] {
        for late in [false, true] {
            let first = Script::new().expect_head().send(OK);
            let first = end(if late { first.expect_head() } else { first }).hang();
            let server = ScriptedServer::start_tls([first, answers(OK)], &identity).await.unwrap();
            let session = trusting(identity.ca_pem());
            session.get(server.url("/")).send().await.unwrap();
            assert_eq!(session.pool_stats(), pool(1, 1, 0));
            let again = in_time(session.get(server.url("/")).send()).await.unwrap();
            assert_eq!((again.text().await.unwrap().as_str(), server.connections()), ("ok", 2));
        }
    }
}

#[tokio::test]
async fn item_18_an_end_without_farewell_does_not_end_a_body() {
    let identity = Identity::for_names(&["127.0.0.1"]).unwrap();
    let head = "HTTP/1.1 200 OK\r\n\r\npart";
    let cut = Script::new().expect_head().send(head).close();
    let whole = Script::new().expect_head().send(head).shutdown_write().hang();
    let server = ScriptedServer::start_tls([cut, whole], &identity).await.unwrap();
    let session = trusting(identity.ca_pem());
    let error = session.get(server.url("/")).send().await.unwrap().bytes().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Body);
    assert_eq!(session.get(server.url("/")).send().await.unwrap().text().await.unwrap(), "part");
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_of_kind_tls_and_one_that_hangs_up_of_kind_connect() {
    let server = serve([Script::new().send("HTTP/1.1 400 Bad Request\r\n\r\n").hang(), Script::new().close()]).await;
    let session = Session::default();
    let url = format!("https://{}/", server.addr());
    assert_eq!(in_time(session.get(&url).send()).await.unwrap_err().kind(), ErrorKind::Tls);
    assert_eq!(in_time(session.get(&url).send()).await.unwrap_err().kind(), ErrorKind::Connect);
}
