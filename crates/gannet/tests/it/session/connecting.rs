//! Names, addresses and ports that do or do not answer.

use std::path::PathBuf;

use gannet::{ErrorKind, Phase, Session};

use super::*;

/// A Unix socket that leads to this port of the loopback, for as long as the directory is kept.
fn unix_door(to: std::net::SocketAddr) -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("door");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut outside, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut inside = tokio::net::TcpStream::connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    (place, path)
}

#[tokio::test]
async fn a_refused_connection_is_of_kind_connect_and_names_the_address() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let session = Session::default();
    let error = session.get(format!("http://{addr}/")).send().await.unwrap_err();
    assert_eq!((error.kind(), error.phase(), error.host()), (ErrorKind::Connect, Phase::Connect, Some("127.0.0.1")));
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
    assert_eq!(session.pool_stats(), pool(0, 0, 0));
}

#[tokio::test]
async fn a_name_without_address_is_of_kind_dns() {
    let session = Session::default();
    for _ in 0..2 {
        let error = in_time(session.get("http://no-such-host.invalid/").send()).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.phase(), error.host()),
            (ErrorKind::Dns, Phase::Dns, Some("no-such-host.invalid"))
        );
        assert!(error.is_connect());
    }
    assert_eq!(session.pool_stats(), pool(0, 0, 0));
}

#[tokio::test]
async fn localhost_is_reached_whichever_of_its_addresses_listens() {
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        // A machine without IPv6 has only the first.
        let Ok(origin) = gannet_origin::Origin::builder().listen(listen).start().await else { continue };
        let session = Session::default();
        let url = format!("http://localhost:{}/items/1", origin.addr().port());
        match in_time(session.get(url).send()).await {
            Ok(response) => assert_eq!(response.json::<Value>().await.unwrap()["id"], 1),
            // Where the hosts file gives localhost no IPv6 address.
            Err(error) => assert!(listen.starts_with('[') && error.kind() == ErrorKind::Connect, "{listen}: {error}"),
        }
        let literal = json(session.get(origin.url("/items/2")).send().await).await;
        assert_eq!(literal["id"], 2);
    }
}

#[tokio::test]
async fn item_28_hosts_are_compared_in_one_spelling() {
    let (origin, session) = (origin().await, Session::default());
    let port = origin.addr().port();
    for host in ["127.0.0.1", "127。0。0。1", "127.1", "0x7f.0.0.1", "2130706433", "%3127.0.0.1"] {
        let response = session.get(format!("http://{host}:{port}/items/1")).send().await.unwrap();
        assert_eq!(response.url().host_str(), Some("127.0.0.1"), "{host}");
        response.bytes().await.unwrap();
    }
    assert_eq!(origin.stats().connections_total, 1);
    assert_eq!(
        session.get(format!("http://127.0.0.1%2F@x:{port}%2F/")).send().await.unwrap_err().kind(),
        ErrorKind::Url
    );
    assert_eq!(session.get(format!("http://evil%2F.com:{port}/")).send().await.unwrap_err().kind(), ErrorKind::Url);
}

#[tokio::test]
async fn a_unix_socket_is_reached_whatever_the_url_names_and_its_connections_are_kept() {
    let origin = origin().await;
    let (_place, path) = unix_door(origin.addr());
    let plain = session(|options| options.connections.unix_socket = Some(path));
    for id in 0..3 {
        let seen = json(plain.get("http://no-such-host.invalid/anything").query([("id", id)]).send().await).await;
        assert_eq!(seen["headers"]["Host"], "no-such-host.invalid");
        plain.post("http://no-such-host.invalid/anything").body("x").send().await.unwrap().bytes().await.unwrap();
    }
    assert_eq!(origin.stats().connections_total, 1);

    let (_place, path) = unix_door(origin.https_addr().unwrap());
    let secure = session(|options| {
        options.connections.unix_socket = Some(path);
        options.tls.extra_roots = vec![origin.ca_pem().to_owned()];
    });
    assert_eq!(json(secure.get("https://localhost/items/7").send().await).await["id"], 7);
    let other = secure.get("https://other.invalid/").send().await.unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Tls, "the certificate is for another name");
}

#[tokio::test]
async fn a_unix_socket_that_is_not_there_is_of_kind_connect_and_named() {
    let session = session(|options| options.connections.unix_socket = Some("/nonexistent/door".into()));
    let error = session.get("http://127.0.0.1/").send().await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Connect, Phase::Connect));
    assert!(error.to_string().contains("/nonexistent/door"), "{error}");
}
