//! The address guard: no request reaches what is not of the internet, whichever way it is led there. In these tests
//! 127.0.0.1 plays the internet, by being allowed; 127.0.0.2 is what must not be reached.

use gannet::{ErrorKind, Phase, Session};
use gannet_origin::{Identity, Proxy};

use super::resolving::{Answers, resolving};
use super::*;

pub(super) fn guarded(options: &mut Options) {
    options.guard.deny_private = true;
    options.guard.allow = vec!["127.0.0.1".parse().unwrap()];
    options.tls.danger.accept_invalid_certs = true;
    options.connections.idle = Duration::ZERO;
}

pub(super) async fn two_hosts() -> Origin {
    Origin::builder().listen("127.0.0.1:0").also_listen("127.0.0.2:0").https(true).start().await.unwrap()
}

/// Connections that came to 127.0.0.2.
pub(super) fn reached(origin: &Origin) -> u64 {
    let hosts = origin.stats().hosts;
    hosts.iter().filter(|(name, _)| name.starts_with("127.0.0.2:")).map(|(_, host)| host.connections_total).sum()
}

pub(super) fn assert_denied(result: gannet::Result<Response>, what: &str) {
    let error = result.map(|response| response.status()).unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Denied, Phase::Connect), "{what}: {error}");
    assert!(!error.kind().is_transient() && error.to_string().contains("guard.deny_private"), "{what}: {error}");
}

#[tokio::test]
async fn item_31_addresses_in_urls_are_denied_in_every_spelling_and_scheme() {
    let origin = Origin::builder().listen("127.0.0.1:0").https(true).start().await.unwrap();
    let session = session(|options| options.guard.deny_private = true);
    let hosts = [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "localhost",
        "LOCALHOST",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fd00::1]",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "192.168.1.1",
        "224.0.0.1",
        "255.255.255.255",
    ];
    for host in hosts {
        for (scheme, addr) in [("http", origin.addr()), ("https", origin.https_addr().unwrap())] {
            let url = format!("{scheme}://{host}:{}/items/1", addr.port());
            assert_denied(in_time(session.get(&url).send()).await, &url);
        }
    }
    assert_eq!((origin.stats().connections_total, session.pool_stats()), (0, pool(0, 0, 0)));
}

#[tokio::test]
async fn item_31_every_hop_of_a_redirect_is_judged_over_both_schemes() {
    let origin = two_hosts().await;
    let session = session(guarded);
    let secure = format!("https://{}/items/1", origin.https_addrs()[1]);
    for target in [origin.url_at(1, "/items/1"), secure] {
        for from in [origin.url("/redirect-to"), origin.https_url("/redirect-to")] {
            let sent = session.get(&from).query([("url", &target)]).send().await;
            assert_denied(sent, &format!("{from} to {target}"));
        }
    }
    let allowed = session.get(origin.url("/redirect-to")).query([("url", origin.url("/items/1"))]).send().await;
    assert_eq!(json(allowed).await["id"], 1);
    assert_eq!(reached(&origin), 0);
}

#[tokio::test]
async fn item_31_every_address_of_a_name_is_judged_and_the_good_ones_are_used() {
    let origin = two_hosts().await;
    let port = origin.addrs()[1].port();
    let mixed = Answers::new(&[&["127.0.0.2", "::1", "127.0.0.1"]]);
    let session = resolving(&mixed, guarded);
    // Nobody listens at this port of 127.0.0.1: what was allowed is what failed.
    let error = in_time(session.get(format!("http://some.test:{port}/")).send()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    let url = format!("http://some.test:{}/items/1", origin.addr().port());
    assert_eq!(json(in_time(session.get(url).send()).await).await["id"], 1);
    let session = resolving(&Answers::new(&[&["127.0.0.2", "::1"]]), guarded);
    assert_denied(in_time(session.get(format!("http://some.test:{port}/")).send()).await, "none is left");
    assert_eq!(reached(&origin), 0);
}

#[tokio::test]
async fn item_31_a_name_that_is_answered_otherwise_the_next_time_is_judged_again() {
    let origin = two_hosts().await;
    let port = origin.addr().port();
    let rebinding = Answers::new(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let session = resolving(&rebinding, |options| {
        guarded(options);
        options.dns.ttl = Duration::ZERO;
    });
    let url = format!("http://some.test:{port}/items/1");
    assert_eq!(json(session.get(&url).send().await).await["id"], 1);
    assert_denied(session.get(&url).send().await, "the second answer");

    // The same from an address of the internet. From 127.0.0.1 no packet leaves for it: the kernel refuses.
    let rebinding = Answers::new(&[&["1.1.1.1"], &["127.0.0.1"]]);
    let session = resolving(&rebinding, |options| {
        options.guard.deny_private = true;
        options.dns.ttl = Duration::ZERO;
        options.connections.local_address = "127.0.0.1".parse().ok();
    });
    let connections = origin.stats().connections_total;
    assert_eq!(in_time(session.get(&url).send()).await.unwrap_err().kind(), ErrorKind::Connect);
    assert_denied(session.get(&url).send().await, "the second answer");
    assert_eq!((reached(&origin), origin.stats().connections_total), (0, connections));
}

#[tokio::test]
async fn item_31_a_denied_row_is_not_tried_again() {
    let session = session(|options| options.guard.deny_private = true);
    let outcomes = session.fetch_all(["http://127.0.0.1:9/", "http://10.0.0.1/"]).outcomes().await;
    for outcome in outcomes {
        assert_eq!((outcome.error_kind(), outcome.attempts), (Some(ErrorKind::Denied), 1));
    }
}

#[tokio::test]
async fn item_31_a_unix_socket_and_the_guard_exclude_each_other() {
    let mut options = Options::default();
    options.guard.deny_private = true;
    options.connections.unix_socket = Some("/run/door".into());
    assert_eq!(Session::new(options).unwrap_err().kind(), ErrorKind::Request);
}

#[tokio::test]
async fn item_31_proxies_lead_nowhere_else() {
    let origin = two_hosts().await;
    let identity = Identity::for_names(&["127.0.0.1"]).unwrap();
    let plain = Proxy::start().await.unwrap();
    let secure = Proxy::builder().identity(&identity).start().await.unwrap();
    // 127.0.0.2 is the internet here; a proxy is where it is because the options or the request say so.
    let sent = async |proxy: &str, of_the_request: bool, url: &str| {
        let session = session(|options| {
            guarded(options);
            options.guard.allow = vec!["127.0.0.2".parse().unwrap()];
            options.proxy.tls.extra_roots = vec![identity.ca_pem().to_owned()];
            options.proxy.url = (!of_the_request).then(|| proxy.parse().unwrap());
        });
        let request = session.get(url);
        in_time(if of_the_request { request.proxy(proxy) } else { request }.send()).await
    };
    let urls_at = |at: usize| [origin.url_at(at, "/items/1"), format!("https://{}/items/1", origin.https_addrs()[at])];
    let named = urls_at(0).map(|url| url.replace("127.0.0.1", "localhost"));
    for own in [false, true] {
        for proxy in [plain.url("http"), secure.url("https"), plain.url("socks4a"), plain.url("socks5h")] {
            for url in [urls_at(0), urls_at(1), named.clone()].concat() {
                assert_denied(sent(&proxy, own, &url).await, &format!("{proxy} to {url}"));
            }
        }
    }
    assert_eq!(plain.connections() + secure.connections(), 0, "those that look names up themselves are not asked");
    for (own, scheme) in [(false, "socks4"), (false, "socks5"), (true, "socks4"), (true, "socks5")] {
        let given_addresses = plain.url(scheme);
        for url in urls_at(1) {
            assert_eq!(json(sent(&given_addresses, own, &url).await).await["id"], 1, "{scheme} to {url}");
        }
        for url in [urls_at(0), named.clone()].concat() {
            assert_denied(sent(&given_addresses, own, &url).await, &format!("{scheme} to {url}"));
        }
    }
    let elsewhere = origin
        .stats()
        .hosts
        .iter()
        .filter(|(name, _)| name.starts_with("127.0.0.1:"))
        .all(|(_, host)| host.connections_total == 0);
    assert!(elsewhere);
}

#[tokio::test]
async fn item_31_an_override_is_judged_like_a_lookup() {
    let (origin, proxy) = (two_hosts().await, Proxy::start().await.unwrap());
    let overridden = |to: &str, proxy: Option<String>| {
        session(|options| {
            guarded(options);
            options.dns.overrides = vec![to.parse().unwrap()];
            options.proxy.url = proxy.map(|url| url.parse().unwrap());
        })
    };
    let by_name = |addr: std::net::SocketAddr, scheme: &str| format!("{scheme}://some.test:{}/items/1", addr.port());
    for through in [None, Some(proxy.url("socks5"))] {
        for to in ["some.test:*:127.0.0.2", "*:*:127.0.0.2", "*:*:[::ffff:127.0.0.2]"] {
            let session = overridden(to, through.clone());
            for url in [by_name(origin.addrs()[1], "http"), by_name(origin.https_addrs()[1], "https")] {
                assert_denied(in_time(session.get(&url).send()).await, &format!("{to}: {url} through {through:?}"));
            }
        }
        let allowed = overridden("*:*:127.0.0.1", through);
        for url in [by_name(origin.addr(), "http"), by_name(origin.https_addrs()[0], "https")] {
            assert_eq!(json(in_time(allowed.get(url).send()).await).await["id"], 1);
        }
    }
    assert_eq!(reached(&origin), 0);
}
