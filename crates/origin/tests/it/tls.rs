use std::sync::Arc;

use gannet_origin::script::{Script, ScriptedServer};
use gannet_origin::{Identity, Origin};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::Client;

pub(crate) async fn connect(
    addr: std::net::SocketAddr,
    name: &'static str,
    ca_pem: &str,
) -> std::io::Result<Client<TlsStream<TcpStream>>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(addr).await?;
    let name = ServerName::try_from(name).unwrap();
    Ok(Client { stream: TlsConnector::from(Arc::new(config)).connect(name, stream).await? })
}

#[tokio::test]
async fn https_answers_under_each_of_its_names() {
    let origin = Origin::start().await.unwrap();
    let addr = origin.https_addr().unwrap();
    assert_eq!(origin.https_url("/a"), format!("https://{addr}/a"));
    for name in ["localhost", "127.0.0.1", "::1"] {
        let mut client = connect(addr, name, origin.ca_pem()).await.unwrap();
        let value = client.get("/get").await.unwrap().json();
        assert_eq!(value["url"], "https://test/get");
    }
    assert_eq!(origin.stats().hosts[&addr.to_string()].requests, 3);
}

#[tokio::test]
async fn a_stranger_a_wrong_name_and_an_expired_certificate_are_not_trusted() {
    let origin = Origin::start().await.unwrap();
    let addr = origin.https_addr().unwrap();
    let stranger = Identity::for_names(&["localhost"]).unwrap();
    assert!(connect(addr, "localhost", stranger.ca_pem()).await.is_err());
    assert!(connect(addr, "other.example", origin.ca_pem()).await.is_err());

    let expired = Identity::expired(&["localhost"]).unwrap();
    let origin = Origin::builder().https(true).identity(expired.clone()).start().await.unwrap();
    let refused = connect(origin.https_addr().unwrap(), "localhost", expired.ca_pem()).await;
    let error = refused.err().unwrap();
    assert!(error.to_string().to_lowercase().contains("expired"), "{error}");
}

#[tokio::test]
async fn a_reset_and_a_truncation_go_through_tls() {
    let origin = Origin::start().await.unwrap();
    for (target, kind) in [
        ("/reset", std::io::ErrorKind::ConnectionReset),
        ("/reset?after=head", std::io::ErrorKind::ConnectionReset),
        ("/truncate", std::io::ErrorKind::UnexpectedEof),
    ] {
        let addr = origin.https_addr().unwrap();
        let mut client = connect(addr, "localhost", origin.ca_pem()).await.unwrap();
        assert_eq!(client.get(target).await.unwrap_err().kind(), kind, "{target}");
    }
}

#[tokio::test]
async fn scripts_run_inside_tls() {
    let identity = Identity::for_names(&["localhost"]).unwrap();
    let polite = Script::new().expect_head().send("ab").shutdown_write();
    let rude = Script::new().expect_head().send("ab").close();
    let server = ScriptedServer::start_tls([polite, rude], &identity).await.unwrap();
    assert!(server.url("/").starts_with("https://127.0.0.1:"));
    let mut ends = Vec::new();
    for _ in 0..2 {
        let mut client = connect(server.addr(), "localhost", identity.ca_pem()).await.unwrap();
        client.send("GET / HTTP/1.1\r\n\r\n").await;
        let mut read = Vec::new();
        ends.push(client.stream.read_to_end(&mut read).await.map_err(|error| error.kind()));
        assert_eq!(read, b"ab");
    }
    // With close_notify the end is clean; without it rustls says it is not.
    assert_eq!(ends, [Ok(2), Err(std::io::ErrorKind::UnexpectedEof)]);
    assert_eq!(server.received()[0], b"GET / HTTP/1.1\r\n\r\n");
}
