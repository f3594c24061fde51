//! A proxy's URL, and behind 0xff a list of hosts that go without it, as they stand in the environment: what is read is
//! the same after it was written, its text never shows the password, and what cannot be read does not show it either; the
//! list holds for the hosts that a plainer reading of it means.

#![no_main]

use std::net::IpAddr;

use gannet_core::address::Network;
use gannet_core::proxy::{NoProxy, ProxyUrl};
use libfuzzer_sys::fuzz_target;
use url::{Host, Url};

const URLS: [&str; 8] = [
    "http://test.com/",
    "https://a.test.com./",
    "http://nottest.com:8080/",
    "http://xn--bcher-kva.test/",
    "http://127.0.0.1/",
    "http://10.1.2.3:81/",
    "http://[::1]/",
    "http://[::ffff:10.0.0.1]/",
];

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |&byte| byte == 0xff).map(String::from_utf8_lossy);
    check_proxy(&parts.next().unwrap_or_default());
    check_list(&parts.next().unwrap_or_default());
});

fn check_proxy(text: &str) {
    let Ok(proxy) = text.parse::<ProxyUrl>() else { return };
    let shown = proxy.to_string();
    let back: ProxyUrl = shown.parse().expect("what is shown is a proxy's URL");
    assert_eq!((back.scheme(), back.host(), back.port()), (proxy.scheme(), proxy.host(), proxy.port()));
    assert_eq!((back.credentials(), back.to_string()), (None, shown));
    // The same with a password that no host's name can hold.
    if let Some((scheme, rest)) = text.split_once("://") {
        let host = rest.rsplit('@').next().unwrap_or_default();
        let secret = format!("{scheme}://me:SEsame%3d_@{host}");
        match secret.parse::<ProxyUrl>() {
            Ok(proxy) => {
                let credentials = proxy.credentials().expect("they stand there");
                assert_eq!((&credentials.user[..], &credentials.password[..]), ("me", "SEsame=_"));
                assert!(!format!("{proxy} {proxy:?}").contains("SEsame"));
            }
            Err(error) => assert!(!format!("{error} {error:?}").contains("SEsame"), "{error}"),
        }
    }
}

fn check_list(text: &str) {
    let lenient = NoProxy::lenient(text);
    let written = lenient.to_string();
    assert_eq!(written.parse::<NoProxy>().as_ref(), Ok(&lenient), "{written}");
    if let Ok(strict) = text.parse::<NoProxy>() {
        assert_eq!(strict, lenient);
    }
    for url in URLS.map(|url| Url::parse(url).expect("these are URLs")) {
        let (host, port) = (url.host().expect("a host"), url.port_or_known_default().expect("a port"));
        let any = written.split(',').any(|entry| is_meant(entry, &host, port));
        assert_eq!(lenient.contains(&host, port), any, "{written} and {url}");
    }
}

/// Whether an entry, in the list's own spelling, means this host: a plainer idea of the same rules.
fn is_meant(entry: &str, host: &Host<&str>, port: u16) -> bool {
    let is_address = entry.parse::<IpAddr>().is_ok();
    let (hosts, own) = match entry.rsplit_once(':') {
        Some((hosts, own)) if !is_address && !entry.contains('/') => (hosts, own.parse::<u16>().ok()),
        _ => (entry, None),
    };
    let hosts = hosts.trim_matches(['[', ']']);
    let in_network = |ip: IpAddr| {
        let network: Option<Network> = hosts.parse().ok();
        network.is_some_and(|network| network.contains(ip) || network.contains(ip.to_canonical()))
    };
    let fits = match host {
        _ if hosts == "*" => true,
        Host::Domain(name) => {
            format!(".{}", name.trim_end_matches('.')).ends_with(&format!(".{hosts}")) && !hosts.is_empty()
        }
        Host::Ipv4(ip) => in_network((*ip).into()),
        Host::Ipv6(ip) => in_network((*ip).into()),
    };
    fits && own.is_none_or(|own| own == port)
}
