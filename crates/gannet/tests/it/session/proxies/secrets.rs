//! What is meant for a proxy reaches that proxy and nobody else, and connections are as separate as identities.

use super::*;

const FIELD: &str = "Proxy-Authorization";

fn with_credentials(proxy: &Proxy, change: impl FnOnce(&mut Options)) -> Session {
    session(|options| {
        options.proxy.url = Some(proxy.url("http").parse().unwrap());
        options.proxy.credentials = Some(ProxyCredentials { user: "me".to_owned(), password: "sesame".to_owned() });
        options.proxy.headers.append_secret("X-Tenant", "blue").unwrap();
        change(options);
    })
}

/// Whether one of the things that the proxy was asked carried such a field.
fn told(proxy: &Proxy, name: &str, part: &str) -> Vec<bool> {
    let has = |asked: &gannet_origin::Asked| {
        asked.fields.iter().any(|(known, value)| known.eq_ignore_ascii_case(name) && value.contains(part))
    };
    proxy.asked().iter().map(has).collect()
}

#[tokio::test]
async fn item_11_a_tunnel_carries_nothing_that_is_for_the_proxy() {
    let (origin, proxy) = (origin().await, proxy().await);
    let session = with_credentials(&proxy, |options| {
        options.tls.extra_roots = vec![origin.ca_pem().to_owned()];
        options.headers.append(FIELD, "Basic c2Vzc2lvbg==").unwrap();
    });
    let request = session.get(origin.https_url("/headers")).header(FIELD, "Basic cmVxdWVzdA==").header("X-Own", "1");
    let seen = json(request.send().await).await["headers"].clone();
    assert_eq!((seen.get(FIELD), seen.get("X-Tenant"), &seen["X-Own"]), (None, None, &"1".into()), "{seen}");
    assert_eq!((told(&proxy, FIELD, "bWU6c2VzYW1l"), told(&proxy, "x-tenant", "blue")), (vec![true], vec![true]));
    assert_eq!(told(&proxy, "x-own", ""), [false], "and the proxy nothing that is for the origin");
}

#[tokio::test]
async fn item_11_no_field_for_a_proxy_leaves_by_another_way() {
    let (origin, proxy, other) = (origin().await, proxy().await, proxy().await);
    let session = with_credentials(&proxy, |options| options.proxy.no_proxy = Some("127.0.0.1".parse().unwrap()));
    let to = |url: String| format!("/redirect-to?url={url}");
    // Through the proxy, then directly.
    let led = session.get(named(&origin, "a.test", &to(origin.url("/headers")))).header(FIELD, "Basic eA==");
    let seen = json(led.send().await).await["headers"].clone();
    assert_eq!((seen.get(FIELD), seen.get("X-Tenant")), (None, None), "{seen}");
    assert_eq!(told(&proxy, FIELD, "bWU6c2VzYW1l"), [true], "its own, not the request's");
    // Directly, with a field of the caller's.
    let direct = session.get(origin.url("/headers")).header(FIELD, "Basic eA==");
    assert_eq!(json(direct.send().await).await["headers"].get(FIELD), None);
    // Through another proxy, that of the request.
    let own = session.get(named(&origin, "a.test", "/headers")).proxy(&other.url("http")).header(FIELD, "Basic eA==");
    json(own.send().await).await;
    assert_eq!((told(&other, FIELD, ""), told(&other, "x-tenant", "")), (vec![false], vec![false]));
    assert_eq!(proxy.asked().len(), 1);
    // Directly, because every host is.
    let session = with_credentials(&proxy, |options| options.proxy.no_proxy = Some("*".parse().unwrap()));
    let direct = session.get(origin.url("/headers")).header(FIELD, "Basic eA==");
    assert_eq!(json(direct.send().await).await["headers"].get(FIELD), None);
    assert_eq!(proxy.asked().len(), 1);
}

#[tokio::test]
async fn item_11_a_forwarded_request_tells_the_proxy_and_the_proxy_tells_nobody() {
    let (origin, proxy) = (origin().await, proxy().await);
    let session = with_credentials(&proxy, |_| {});
    let seen = json(session.get(origin.url("/headers")).send().await).await["headers"].clone();
    assert_eq!(seen.get(FIELD), None);
    assert_eq!(told(&proxy, FIELD, "bWU6c2VzYW1l"), [true]);
}

#[tokio::test]
async fn item_13_the_certificate_of_an_https_proxy_is_verified_apart_from_that_of_origins() {
    let origin = origin().await;
    let names = ["127.0.0.1"];
    let good = Identity::for_names(&names).unwrap();
    let (wrong, expired) = (Identity::for_names(&["example.com"]).unwrap(), Identity::expired(&names).unwrap());
    for (identity, trusted) in [(&good, origin.ca_pem()), (&wrong, wrong.ca_pem()), (&expired, expired.ca_pem())] {
        let proxy = Proxy::builder().identity(identity).start().await.unwrap();
        let ask = |danger: bool, url: String| {
            let session = session(|options| {
                options.proxy.url = Some(proxy.url("https").parse().unwrap());
                options.proxy.tls.extra_roots = vec![trusted.to_owned()];
                options.proxy.tls.danger.accept_invalid_certs = danger;
                // What origins are trusted for says nothing about proxies, nor the other way round.
                options.tls.extra_roots = vec![identity.ca_pem().to_owned()];
                options.tls.danger.accept_invalid_certs = !danger;
            });
            async move { in_time(session.get(url).send()).await }
        };
        for url in [origin.url("/items/7"), origin.https_url("/items/7")] {
            let error = ask(false, url).await.unwrap_err();
            assert_eq!((error.kind(), error.phase()), (ErrorKind::Tls, gannet::Phase::Proxy), "{error:?}");
            assert!(error.to_string().contains(&proxy.url("https")), "{error}");
        }
        assert!(proxy.asked().is_empty(), "nothing was sent");
        assert_eq!(json(ask(true, origin.url("/items/7")).await).await["id"], 7);
        let error = ask(true, origin.https_url("/items/7")).await.unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Tls, gannet::Phase::Tls), "the origin is still verified");
    }
}

#[tokio::test]
async fn item_14_and_15_connections_are_shared_by_one_proxy_and_one_identity_only() {
    let origin = origin().await;
    let proxy = Proxy::builder().identity(&Identity::for_names(&["127.0.0.1"]).unwrap()).start().await.unwrap();
    let plain = self::proxy().await;
    let session = session(|options| {
        options.proxy.tls.danger.accept_invalid_certs = true;
        options.tls.extra_roots = vec![origin.ca_pem().to_owned()];
    });
    let with = |proxy: &Proxy, scheme: &str, user: &str| proxy.url(scheme).replace("://", &format!("://{user}@"));
    for url in [origin.url("/items/7"), origin.https_url("/items/7")] {
        let choices = [
            None,
            Some(plain.url("http")),
            Some(with(&plain, "http", "a:1")),
            Some(with(&plain, "http", "a:2")),
            Some(plain.url("socks5h")),
            Some(with(&plain, "socks5h", "a:1")),
            Some(proxy.url("https")),
        ];
        let opened = session.pool_stats().open;
        // Twice: the second time each finds its own connection again.
        for round in 0..2 {
            for (number, choice) in choices.iter().enumerate() {
                let request = session.get(&url);
                let request = match choice {
                    Some(proxy) => request.proxy(proxy),
                    None => request,
                };
                assert_eq!(json(request.send().await).await["id"], 7);
                let wanted = if round == 0 { number + 1 } else { choices.len() };
                assert_eq!(session.pool_stats().open - opened, wanted, "{choice:?} {url}");
            }
        }
    }
    assert_eq!((plain.connections(), proxy.connections()), (10, 2));
}

#[tokio::test]
async fn options_and_errors_show_no_credentials() {
    let mut options = Options::default();
    options.proxy.url = Some("http://me:sesame@127.0.0.1:1".parse().unwrap());
    options.proxy.credentials = Some(ProxyCredentials { user: "me".to_owned(), password: "sesame".to_owned() });
    options.proxy.headers.append_secret("x-token", "sesame").unwrap();
    let text = serde_json::to_string(&options).unwrap();
    assert!(!format!("{options:?} {text}").contains("sesame"));
    assert!(text.contains("http://127.0.0.1:1"));
    let error = Session::new(options).unwrap().get("http://a.test/").send().await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("sesame"));
    let read: Options = serde_json::from_str(
        r#"{"proxy":{"url":"socks5h://me:pw@h","credentials":{"user":"a"},"no_proxy":"a.test","headers":{"x":"y"}}}"#,
    )
    .unwrap();
    assert_eq!((read.proxy.url.unwrap().port(), read.proxy.from_env), (1080, false));
}
