//! What is shown to servers and what theirs must be: client certificates, pins, names, versions, resumption.

use aws_lc_rs::digest::{SHA256, digest};
use gannet::{ClientCertificate, ErrorKind, HttpVersion, Pin, Session, TlsVersion};
use gannet_origin::Identity;

use super::*;

async fn https(identity: &Identity) -> Origin {
    Origin::builder().https(true).identity(identity.clone()).start().await.unwrap()
}

fn loopback() -> Identity {
    Identity::for_names(&["127.0.0.1", "localhost"]).unwrap()
}

fn trusting(identity: &Identity, change: impl FnOnce(&mut Options)) -> Session {
    session(|options| {
        options.tls.extra_roots = vec![identity.ca_pem().to_owned()];
        change(options);
    })
}

fn shown(identity: &Identity) -> Option<ClientCertificate> {
    let (chain, key) = identity.pem();
    Some(ClientCertificate { chain: chain.to_owned(), key: key.to_owned() })
}

async fn fails_in_tls(session: &Session, url: &str) -> String {
    let error = in_time(session.get(url).send()).await.map(|response| response.status()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    error.to_string()
}

#[tokio::test]
async fn a_server_that_demands_a_certificate_is_shown_ones_own() {
    let (server, client, other) = (loopback(), loopback(), loopback());
    let origin = https(&server.demanding_client_of(client.ca_pem()).unwrap()).await;
    let url = origin.https_url("/items/1");
    let known = trusting(&server, |options| options.tls.client = shown(&client));
    assert_eq!(json(known.get(&url).send().await).await["id"], 1);
    // The server looks at it only behind the handshake, so that its alert stands where a response would.
    for (shows, version) in [shown(&other), None].into_iter().flat_map(|shows| {
        [HttpVersion::Http1, HttpVersion::Auto, HttpVersion::Http2PriorKnowledge]
            .map(|version| (shows.clone(), version))
    }) {
        let refused = trusting(&server, |options| {
            options.tls.client = shows;
            options.http.version = version;
        });
        for method in ["GET", "POST"] {
            let before = origin.stats().connections_total;
            let error = in_time(refused.request_named(method, &url).send()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Tls, "{version:?}: {error}");
            assert!(error.to_string().contains("alert"), "{version:?}: {error}");
            assert_eq!(origin.stats().connections_total - before, 1, "{version:?}: sent once");
        }
        let both = [refused.get(&url).send(), refused.get(&url).send()];
        for result in in_time(futures_util::future::join_all(both)).await {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Tls, "{version:?}");
        }
        let outcomes = refused.fetch_all([&url]).outcomes().await;
        assert_eq!((outcomes[0].error_kind(), outcomes[0].attempts), (Some(ErrorKind::Tls), 1), "{version:?}");
        assert_eq!(refused.pool_stats(), pool(0, 0, 0));
    }
    assert_eq!(origin.stats().requests, 1);
}

#[tokio::test]
async fn a_pinned_key_is_the_only_one_that_is_spoken_to() {
    let (server, other) = (loopback(), loopback());
    let origin = https(&server).await;
    let url = origin.https_url("/items/1");
    let pin = |identity: &Identity| Pin::sha256(digest(&SHA256, identity.public_key()).as_ref().try_into().unwrap());
    let both = trusting(&server, |options| options.tls.pins = vec![pin(&other), pin(&server)]);
    assert_eq!(json(both.get(&url).send().await).await["id"], 1);
    let wrong = trusting(&server, |options| options.tls.pins = vec![pin(&other)]);
    let said = fails_in_tls(&wrong, &url).await;
    assert!(said.contains("none of the pins") && said.contains(&pin(&server).to_string()), "{said}");
    // A pin is no trust by itself, and holds where all other trust is given up.
    fails_in_tls(&session(|options| options.tls.pins = vec![pin(&server)]), &url).await;
    let careless = |identity: &Identity| {
        let pin = pin(identity);
        session(|options| {
            options.tls.danger.accept_invalid_certs = true;
            options.tls.pins = vec![pin];
        })
    };
    assert_eq!(json(careless(&server).get(&url).send().await).await["id"], 1);
    fails_in_tls(&careless(&other), &url).await;
}

#[tokio::test]
async fn the_server_name_takes_the_place_of_the_urls_host() {
    let server = Identity::for_names(&["inside.test"]).unwrap();
    let origin = https(&server).await;
    let url = origin.https_url("/items/1");
    let named = |name: &str| {
        let name = name.to_owned();
        trusting(&server, |options| options.tls.server_name = Some(name))
    };
    assert_eq!(json(named("inside.test").get(&url).send().await).await["id"], 1);
    fails_in_tls(&named("outside.test"), &url).await;
    fails_in_tls(&trusting(&server, |_| {}), &url).await;
}

#[tokio::test]
async fn a_version_below_the_lowest_is_refused() {
    let server = loopback();
    let origin = https(&server.speaking_only_tls12().unwrap()).await;
    let url = origin.https_url("/items/1");
    assert_eq!(json(trusting(&server, |_| {}).get(&url).send().await).await["id"], 1);
    fails_in_tls(&trusting(&server, |options| options.tls.min_version = TlsVersion::V1_3), &url).await;
    let newer = https(&server).await;
    let newest = trusting(&server, |options| options.tls.min_version = TlsVersion::V1_3);
    assert_eq!(json(newest.get(newer.https_url("/items/2")).send().await).await["id"], 2);
}

#[tokio::test]
async fn roots_of_ones_own_can_be_the_only_ones() {
    let server = loopback();
    let origin = https(&server).await;
    let only = trusting(&server, |options| options.tls.only_extra_roots = true);
    assert_eq!(json(only.get(origin.https_url("/items/1")).send().await).await["id"], 1);
    let other = trusting(&loopback(), |options| options.tls.only_extra_roots = true);
    fails_in_tls(&other, &origin.https_url("/items/1")).await;
}

#[tokio::test]
async fn item_14_a_second_connection_resumes_the_first_and_none_of_another_session() {
    for tls12 in [false, true] {
        let identity = loopback();
        let server = if tls12 { identity.speaking_only_tls12().unwrap() } else { identity.clone() };
        let origin = https(&server).await;
        let url = origin.https_url("/items/1");
        let no_keeping = |options: &mut Options| {
            options.connections.idle = Duration::ZERO;
            options.http.version = HttpVersion::Http1;
        };
        let careless = session(|options| {
            no_keeping(options);
            options.tls.danger.accept_invalid_certs = true;
        });
        for resumed in 0..3 {
            assert_eq!(json(careless.get(&url).send().await).await["id"], 1);
            assert_eq!(origin.stats().tls_resumed, resumed, "TLS 1.2: {tls12}");
        }
        // What was accepted without a look lends nothing to a session that looks.
        fails_in_tls(&session(no_keeping), &url).await;
        let trusting = trusting(&identity, no_keeping);
        assert_eq!(json(trusting.get(&url).send().await).await["id"], 1);
        assert_eq!((origin.stats().tls_resumed, origin.stats().connections_total), (2, 5));
        assert_eq!(json(trusting.get(&url).send().await).await["id"], 1);
        assert_eq!(origin.stats().tls_resumed, 3);
    }
}

#[tokio::test]
async fn item_30_wildcards_stand_for_one_whole_label_and_addresses_for_no_name() {
    let cases = [
        ("*.gannet.test", "a.gannet.test", true),
        ("*.gannet.test", "a.gannet.test.", true),
        ("*.gannet.test", "b.a.gannet.test", false),
        ("*.gannet.test", "gannet.test", false),
        ("xn--*.gannet.test", "xn--bcher-kva.gannet.test", false),
        ("x*.gannet.test", "xn--bcher-kva.gannet.test", false),
        ("*a.gannet.test", "xn--bcher-kva.gannet.test", false),
        ("127.0.0.1", "127.0.0.1", false),
        ("*.0.0.1", "127.0.0.1", false),
    ];
    for (certified, host, holds) in cases {
        let identity = Identity::for_dns_names(&[certified]).unwrap();
        let origin = https(&identity).await;
        let session = trusting(&identity, |options| options.dns.overrides = vec!["*:*:127.0.0.1".parse().unwrap()]);
        let url = format!("https://{host}:{}/items/1", origin.https_addr().unwrap().port());
        if holds {
            assert_eq!(json(session.get(&url).send().await).await["id"], 1, "{certified}: {host}");
        } else {
            fails_in_tls(&session, &url).await;
        }
        assert_eq!(origin.stats().requests, u64::from(holds), "{certified}: {host}");
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_an_error_of_the_session() {
    let (one, other) = (loopback(), loopback());
    let mixed = ClientCertificate { chain: one.pem().0.to_owned(), key: other.pem().1.to_owned() };
    let keyless = ClientCertificate { chain: one.pem().0.to_owned(), key: String::new() };
    let changes: [&dyn Fn(&mut Options); 5] = [
        &|options| options.tls.client = Some(mixed.clone()),
        &|options| options.tls.client = Some(keyless.clone()),
        &|options| options.tls.server_name = Some("no name".into()),
        &|options| options.tls.only_extra_roots = true,
        &|options| options.dns.overrides = vec!["127.0.0.1:80:10.0.0.1".parse().unwrap()],
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut options = Options::default();
        change(&mut options);
        assert_eq!(Session::new(options).unwrap_err().kind(), ErrorKind::Request, "{number}");
    }
}

#[tokio::test]
async fn a_response_tells_how_its_connection_is_secured() {
    let identity = loopback();
    for (tls12, version) in [(false, TlsVersion::V1_3), (true, TlsVersion::V1_2)] {
        let server = if tls12 { identity.speaking_only_tls12().unwrap() } else { identity.clone() };
        let origin = https(&server).await;
        let session = trusting(&identity, |options| options.connections.idle = Duration::ZERO);
        for resumed in [false, true] {
            let response = session.get(origin.https_url("/items/1")).send().await.unwrap();
            let tls = response.tls().unwrap();
            assert_eq!((tls.version(), tls.alpn(), tls.is_resumed()), (version, Some("h2"), resumed));
            assert!(tls.cipher().starts_with("TLS_") && tls.cipher().contains("_SHA"), "{tls:?}");
            let own = &tls.certificates()[0];
            let key = identity.public_key();
            assert!(own.windows(key.len()).any(|window| window == key), "not the server's certificate");
            response.bytes().await.unwrap();
        }
        let http1 = trusting(&identity, |options| options.http.version = HttpVersion::Http1);
        for _ in 0..2 {
            let response = http1.get(origin.https_url("/items/1")).send().await.unwrap();
            assert_eq!(response.tls().unwrap().alpn(), Some("http/1.1"), "of a kept connection too");
            response.bytes().await.unwrap();
        }
        assert!(session.get(origin.url("/items/1")).send().await.unwrap().tls().is_none());
    }
}
