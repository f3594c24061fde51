//! HTTP/2 through every kind of proxy. What is said to a proxy is HTTP/1.1 or SOCKS, so that HTTP/2 always goes through
//! a tunnel.

use futures_util::future::join_all;
use gannet::{ErrorKind, Phase, Session};
use gannet_origin::{Identity, Proxy};

use super::*;

const SCHEMES: [&str; 5] = ["http", "https", "socks4a", "socks5", "socks5h"];

struct Proxies {
    plain: Proxy,
    secure: Proxy,
    identity: Identity,
}

impl Proxies {
    async fn start() -> Proxies {
        let identity = Identity::for_names(&["127.0.0.1"]).unwrap();
        let secure = Proxy::builder().identity(&identity).start().await.unwrap();
        Proxies { plain: Proxy::start().await.unwrap(), secure, identity }
    }

    fn of(&self, scheme: &str) -> &Proxy {
        if scheme == "https" { &self.secure } else { &self.plain }
    }

    fn session(&self, scheme: &str, origin: &Origin, version: HttpVersion) -> Session {
        session(|options| {
            options.http.version = version;
            options.proxy.url = Some(self.of(scheme).url(scheme).parse().unwrap());
            options.proxy.tls.extra_roots = vec![self.identity.ca_pem().to_owned()];
            options.tls.extra_roots = vec![origin.ca_pem().to_owned()];
        })
    }
}

#[tokio::test]
async fn every_kind_of_proxy_has_one_tunnel_that_all_requests_share() {
    let (origin, proxies) = (origin().await, Proxies::start().await);
    let upload = "x".repeat(1_000_000);
    for scheme in SCHEMES {
        for (version, base) in [
            (HttpVersion::Auto, origin.https_url("")),
            (HttpVersion::Http2PriorKnowledge, origin.https_url("")),
            (HttpVersion::Http2PriorKnowledge, origin.url("")),
        ] {
            let session = proxies.session(scheme, &origin, version);
            let before = (proxies.of(scheme).connections(), origin.stats().connections_total);
            let requests = (0..30).map(|id| session.get(format!("{base}/items/{id}?delay=0.01")).send());
            for (id, response) in in_time(join_all(requests)).await.into_iter().enumerate() {
                let response = response.unwrap();
                assert_eq!(response.version(), Version::Http2, "{scheme} {base}");
                assert_eq!(response.json::<Value>().await.unwrap()["id"], id);
            }
            let seen = json(in_time(session.put(format!("{base}/anything")).body(upload.clone()).send()).await).await;
            assert!(seen["data"] == upload.as_str(), "{scheme} {base}");
            let large = session.get(format!("{base}/bytes/2000000?seed=3")).send().await.unwrap();
            assert!(in_time(large.bytes()).await.unwrap() == gannet_origin::payload(3, 2_000_000));
            let after = (proxies.of(scheme).connections(), origin.stats().connections_total);
            assert_eq!((after.0 - before.0, after.1 - before.1), (1, 1), "{scheme} {base}");
            assert_eq!(session.pool_stats(), pool(1, 1, 0));
        }
    }
    let lines = proxies.plain.lines();
    assert!(lines.contains(&format!("CONNECT {}", origin.addr())), "a tunnel for http too: {lines:?}");
    assert!(lines.iter().all(|line| ["CONNECT ", "SOCKS4 ", "SOCKS5 "].iter().any(|asks| line.starts_with(asks))));
}

#[tokio::test]
async fn what_an_http_proxy_is_told_it_is_told_with_the_tunnel_and_the_origin_never() {
    let origin = origin().await;
    let proxy = Proxy::builder().credentials("me", "pw").start().await.unwrap();
    let session = speaking(|options| {
        options.proxy.url = Some(proxy.url("http").replace("://", "://me:pw@").parse().unwrap());
        options.proxy.headers.append("X-Tenant", "blue").unwrap();
    });
    let seen = json(in_time(session.get(origin.url("/headers")).send()).await).await;
    let headers = seen["headers"].as_object().unwrap();
    assert_eq!(headers["Host"], origin.addr().to_string());
    assert!(!headers.contains_key("Proxy-Authorization") && !headers.contains_key("X-Tenant"), "{headers:?}");
    let asked = proxy.asked();
    assert_eq!((asked.len(), asked[0].credentials.as_deref()), (1, Some("me:pw")));
    assert!(asked[0].fields.contains(&("x-tenant".to_owned(), "blue".to_owned())));
}

#[tokio::test]
async fn a_proxy_that_gives_no_tunnel_is_named_and_nothing_goes_in_the_clear() {
    let origin = origin().await;
    let proxy = Proxy::builder().refuse(403).start().await.unwrap();
    for scheme in ["http", "socks5h"] {
        let session = speaking(|options| options.proxy.url = Some(proxy.url(scheme).parse().unwrap()));
        let error = in_time(session.get(origin.url("/items/1")).send()).await.unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Proxy, Phase::Tunnel), "{error}");
        assert!(error.to_string().contains(&proxy.url(scheme)), "{error}");
        assert_eq!(session.pool_stats(), pool(0, 0, 0));
    }
    assert_eq!(origin.stats().connections_total, 0);
}

#[tokio::test]
async fn a_request_chooses_its_proxy_and_shares_no_connection_with_another_way() {
    let (origin, proxy) = (origin().await, Proxy::start().await.unwrap());
    let session = offering(&origin);
    let url = origin.https_url("/items/1");
    for (request, tunnels) in [
        (session.get(&url), 0),
        (session.get(&url).proxy(&proxy.url("http")), 1),
        (session.get(&url).proxy(&proxy.url("socks5")), 2),
        (session.get(&url).proxy(&proxy.url("http")), 2),
        (session.get(&url).no_proxy(), 2),
    ] {
        let response = in_time(request.send()).await.unwrap();
        assert_eq!((response.version(), proxy.connections()), (Version::Http2, tunnels));
        response.bytes().await.unwrap();
    }
    assert_eq!((session.pool_stats(), connections(&origin.stats())), (pool(3, 3, 0), (3, 3)));
}

#[tokio::test]
async fn names_are_looked_up_by_the_proxy_and_redirects_choose_the_way_anew() {
    let (origin, proxy) = (origin().await, Proxy::start().await.unwrap());
    let session = speaking(|options| {
        options.proxy.url = Some(proxy.url("http").parse().unwrap());
        options.proxy.no_proxy = Some("127.0.0.1".parse().unwrap());
    });
    let named = format!("http://only-the-proxy-knows.invalid:{}", origin.addr().port());
    let away = format!("{named}/redirect-to?url={}", origin.url("/items/7"));
    let out = origin.url(&format!("/redirect-to?url={named}/items/8"));
    assert_eq!(json(in_time(session.get(&away).send()).await).await["id"], 7);
    assert_eq!(json(in_time(session.get(&out).send()).await).await["id"], 8);
    let authority = named.trim_start_matches("http://");
    assert_eq!(proxy.lines(), [format!("CONNECT {authority}")]);
    assert_eq!(session.pool_stats(), pool(2, 2, 0));
}
