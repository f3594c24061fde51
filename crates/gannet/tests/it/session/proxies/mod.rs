//! Proxies: every kind carries http and https, which requests go through which, and how connections are kept.

mod failures;
mod secrets;

use gannet::{ErrorKind, ProxyCredentials, ProxyScheme, Session, Url};
use gannet_origin::{Identity, Proxy};

use super::*;

async fn proxy() -> Proxy {
    Proxy::start().await.unwrap()
}

fn through(url: &str) -> Session {
    session(|options| options.proxy.url = Some(url.parse().unwrap()))
}

/// A URL of the origin by another name, which only the proxy knows.
fn named(origin: &Origin, name: &str, path: &str) -> String {
    format!("http://{name}:{}{path}", origin.addr().port())
}

#[tokio::test]
async fn plain_requests_are_sent_in_absolute_form_on_connections_that_all_hosts_share() {
    let (origin, proxy) = (origin().await, proxy().await);
    let session = through(&proxy.url("http"));
    for (id, name) in ["a.test", "b.test", "127.0.0.1"].into_iter().enumerate() {
        let url = named(&origin, name, &format!("/anything/{id}"));
        let seen = json(session.post(&url).query([("x", "y z")]).body("hi").send().await).await;
        assert_eq!((&seen["data"], &seen["args"]["x"]), (&"hi".into(), &"y z".into()));
        assert_eq!(seen["headers"]["Host"], format!("{name}:{}", origin.addr().port()));
        assert_eq!(proxy.lines()[id], format!("POST {url}?x=y+z"));
    }
    assert_eq!((proxy.connections(), session.pool_stats()), (1, pool(1, 1, 0)));
    let large = session.get(named(&origin, "a.test", "/bytes/3000000?seed=1")).send().await.unwrap();
    assert!(large.bytes().await.unwrap() == gannet_origin::payload(1, 3_000_000));
}

#[tokio::test]
async fn every_kind_of_proxy_carries_http_and_https_and_its_tunnels_are_kept() {
    let origin = origin().await;
    let identity = Identity::for_names(&["127.0.0.1"]).unwrap();
    let (plain, secure) = (proxy().await, Proxy::builder().identity(&identity).start().await.unwrap());
    let upload = "x".repeat(1_000_000);
    for scheme in ["http", "https", "socks4", "socks4a", "socks5", "socks5h"] {
        let proxy = if scheme == "https" { &secure } else { &plain };
        let session = session(|options| {
            options.proxy.url = Some(proxy.url(scheme).parse().unwrap());
            options.proxy.tls.extra_roots = vec![identity.ca_pem().to_owned()];
            options.tls.extra_roots = vec![origin.ca_pem().to_owned()];
        });
        for url in [origin.url(""), origin.https_url("")] {
            let before = proxy.connections();
            for id in 0..3 {
                assert_eq!(json(session.get(format!("{url}/items/{id}")).send().await).await["id"], id, "{scheme}");
            }
            let seen = json(session.put(format!("{url}/anything")).body(upload.clone()).send().await).await;
            assert!(seen["data"] == upload.as_str(), "{scheme} {url}");
            assert_eq!(proxy.connections() - before, 1, "{scheme} {url}");
        }
        assert_eq!(session.pool_stats(), pool(2, 2, 0), "{scheme}");
    }
    let https = origin.https_addr().unwrap();
    assert_eq!(secure.lines().last().unwrap(), &format!("CONNECT {https}"));
    let tunnels = plain.lines().into_iter().filter(|line| !line.contains("http:")).collect::<Vec<_>>();
    let wanted = [
        format!("CONNECT {https}"),
        format!("SOCKS4 {}", origin.addr()),
        format!("SOCKS4 {https}"),
        format!("SOCKS4 {}", origin.addr()),
        format!("SOCKS4 {https}"),
        format!("SOCKS5 {}", origin.addr()),
        format!("SOCKS5 {https}"),
        format!("SOCKS5 {}", origin.addr()),
        format!("SOCKS5 {https}"),
    ];
    assert_eq!(tunnels, wanted);
}

#[tokio::test]
async fn names_are_looked_up_here_for_socks4_and_5_and_by_the_proxy_for_the_others() {
    let (origin, proxy) = (origin().await, proxy().await);
    let url = named(&origin, "only-the-proxy-knows.invalid", "/items/7");
    for scheme in ["socks4", "socks5"] {
        let error = in_time(through(&proxy.url(scheme)).get(&url).send()).await.unwrap_err();
        assert_eq!((error.kind(), proxy.asked().len()), (ErrorKind::Dns, 0), "{error}");
    }
    for scheme in ["http", "socks4a", "socks5h"] {
        assert_eq!(json(through(&proxy.url(scheme)).get(&url).send().await).await["id"], 7, "{scheme}");
        assert!(proxy.lines().last().unwrap().contains("only-the-proxy-knows.invalid"));
    }
    // Whichever addresses localhost has, one of them leads to the origin.
    for scheme in ["socks4", "socks5"] {
        let local = through(&proxy.url(scheme)).get(named(&origin, "localhost", "/items/7")).send().await;
        assert_eq!(json(local).await["id"], 7);
        let version = scheme.to_uppercase();
        assert_eq!(proxy.lines().last().unwrap(), &format!("{version} {}", origin.addr()));
    }
    let six = session(|options| {
        options.proxy.url = Some(proxy.url("socks4").parse().unwrap());
        options.dns.overrides = vec!["six.test:80:[::1]".parse().unwrap()];
    });
    let error = in_time(six.get("http://six.test/").send()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Proxy, "{error}");
}

#[tokio::test]
async fn credentials_are_told_to_a_proxy_in_its_own_way() {
    let origin = origin().await;
    let proxy = Proxy::builder().credentials("me@home", "p:w ü").start().await.unwrap();
    let credentials = ProxyCredentials { user: "me@home".to_owned(), password: "p:w ü".to_owned() };
    for scheme in ["http", "socks5h"] {
        let bare = proxy.url(scheme);
        let inside = bare.replace("://", "://me%40home:p%3Aw%20%C3%BC@");
        let apart = session(|options| {
            options.proxy.url = Some(bare.replace("://", "://other:one@").parse().unwrap());
            options.proxy.credentials = Some(credentials.clone());
            options.tls.extra_roots = vec![origin.ca_pem().to_owned()];
        });
        let own = session(|options| options.tls.extra_roots = vec![origin.ca_pem().to_owned()]);
        for url in [origin.url("/items/7"), origin.https_url("/items/7")] {
            assert_eq!(json(apart.get(&url).send().await).await["id"], 7, "{scheme} {url}");
            assert_eq!(json(own.get(&url).proxy(&inside).send().await).await["id"], 7, "{scheme} {url}");
        }
    }
    assert!(proxy.asked().iter().all(|asked| asked.credentials.as_deref() == Some("me@home:p:w ü")));
    assert_eq!(proxy.asked().len(), 8);
}

#[tokio::test]
async fn a_request_has_its_own_proxy_or_none() {
    let (origin, first, second) = (origin().await, proxy().await, proxy().await);
    let session = session(|options| {
        options.proxy.url = Some(first.url("http").parse().unwrap());
        options.proxy.no_proxy = Some("localhost".parse().unwrap());
    });
    let asked = || (first.asked().len(), second.asked().len());
    let url = origin.url("/items/7");
    for (request, wanted) in [
        (session.get(&url), (1, 0)),
        (session.get(&url).proxy(&second.url("http")), (1, 1)),
        (session.get(&url).no_proxy(), (1, 1)),
        (session.get(named(&origin, "localhost", "/items/7")), (1, 1)),
        (session.get(named(&origin, "localhost", "/items/7")).proxy(&second.url("socks5h")), (1, 2)),
        (session.get(&url), (2, 2)),
    ] {
        assert_eq!(json(request.send().await).await["id"], 7);
        assert_eq!(asked(), wanted);
    }
    let error = session.get(&url).proxy("gopher://me:sesame@h").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Request);
    assert!(!error.to_string().contains("sesame"), "{error}");
}

#[tokio::test]
async fn item_12_hosts_of_the_list_are_asked_directly() {
    let (origin, proxy) = (origin().await, proxy().await);
    let session = session(|options| {
        options.proxy.url = Some(proxy.url("http").parse().unwrap());
        options.proxy.no_proxy = Some(".LOCALHOST, 127.0.0.0/8".parse().unwrap());
    });
    for name in ["localhost", "127.0.0.1", "127.1", "0x7f.1"] {
        assert_eq!(json(session.get(named(&origin, name, "/items/7")).send().await).await["id"], 7, "{name}");
        assert!(proxy.asked().is_empty(), "{name}");
    }
    json(session.get(named(&origin, "notlocalhost", "/items/7")).send().await).await;
    assert_eq!(proxy.asked().len(), 1);
    let through = |url: &str| session.proxy_for(&Url::parse(url).unwrap()).map(gannet::ProxyUrl::scheme);
    assert_eq!(through("https://example.com/"), Some(ProxyScheme::Http));
    assert_eq!(
        (through("https://a.localhost/"), through("http://localhost./"), through("http://ＬＯＣＡＬＨＯＳＴ/")),
        (None, None, None)
    );
}

#[tokio::test]
async fn a_redirect_chooses_its_proxy_anew() {
    let (origin, proxy) = (origin().await, proxy().await);
    let session = session(|options| {
        options.proxy.url = Some(proxy.url("http").parse().unwrap());
        options.proxy.no_proxy = Some("127.0.0.1".parse().unwrap());
    });
    let to = |url: &str| format!("/redirect-to?url={url}");
    let out = origin.url(&to(&named(&origin, "a.test", &to(&origin.url("/items/7")))));
    assert_eq!(json(session.get(&out).send().await).await["id"], 7);
    let asked = proxy.lines();
    assert!(asked.len() == 1 && asked[0].contains("http://a.test"), "{asked:?}");
    // A request's own proxy is its own on every hop.
    assert_eq!(json(session.get(&out).proxy(&proxy.url("http")).send().await).await["id"], 7);
    assert_eq!(proxy.asked().len(), 4);
}

#[tokio::test]
async fn the_blocking_door_has_proxies_too() {
    let (origin, proxy) = (origin().await, proxy().await);
    let (url, through) = (origin.url("/items/7"), proxy.url("socks5h"));
    let call = move || {
        let session = gannet::blocking::Session::new(Options::default()).unwrap();
        session.get(&url).proxy(&through).send().unwrap().json::<Value>().unwrap()["id"].clone()
    };
    assert_eq!(tokio::task::spawn_blocking(call).await.unwrap(), 7);
    assert_eq!(proxy.lines(), [format!("SOCKS5 {}", origin.addr())]);
}
