//! What makes another origin on the wire: the scheme alone or the name alone, on one port.

use std::net::SocketAddr;

use gannet::Session;
use gannet_origin::Identity;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;

/// Leads the first connection to the first of these servers, and the second one to the second.
fn relaying(listener: TcpListener, servers: [SocketAddr; 2]) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut relays = JoinSet::new();
        for to in servers {
            let (mut inside, _) = listener.accept().await.unwrap();
            relays.spawn(async move {
                let mut outside = TcpStream::connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut inside, &mut outside).await;
            });
        }
        relays.join_all().await;
    });
    tasks
}

fn with_credentials(session: &Session, url: String) -> gannet::RequestBuilder {
    session.get(url).bearer_auth("s3cret").header("Cookie", "c=s3cret").secret_header("X-Custom", "s3cret")
}

#[tokio::test]
async fn item_01_another_scheme_on_the_same_port_is_another_origin() {
    let identity = Identity::for_names(&["127.0.0.1"]).unwrap();
    let session = session(|options| options.tls.extra_roots = vec![identity.ca_pem().to_owned()]);
    for (from, to) in [("https", "http"), ("http", "https")] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let head = format!("HTTP/1.1 302 X\r\nlocation: {to}://{addr}/landed\r\ncontent-length: 0\r\n\r\n");
        let (away, lands) = (answers(head), answers(OK));
        let (secure, plain) = if from == "https" { (away, lands) } else { (lands, away) };
        let secure = ScriptedServer::start_tls([secure], &identity).await.unwrap();
        let plain = serve([plain]).await;
        let (here, there) = if from == "https" { (&secure, &plain) } else { (&plain, &secure) };
        let _relays = relaying(listener, [here.addr(), there.addr()]);
        let response = in_time(with_credentials(&session, format!("{from}://{addr}/start")).send()).await.unwrap();
        assert_eq!(response.url().as_str(), format!("{to}://{addr}/landed"));
        assert_eq!(text(&here.received().concat()).matches("s3cret").count(), 3);
        let landed = text(&there.received().concat());
        assert!(landed.contains("GET /landed") && !landed.contains("s3cret"), "{from} to {to}: {landed}");
    }
}

#[tokio::test]
async fn item_01_another_name_on_the_same_port_is_another_origin() {
    let (origin, session) = (origin().await, Session::default());
    let port = origin.addr().port();
    for (from, to, kept) in
        [("127.0.0.1", "localhost", 0), ("localhost", "127.0.0.1", 0), ("localhost", "localhost", 3)]
    {
        let url = format!("http://{from}:{port}/redirect-to?url=http://{to}:{port}/anything");
        let seen = json(with_credentials(&session, url).send().await).await;
        assert_eq!(seen["url"], format!("http://{to}:{port}/anything"));
        assert_eq!(seen.to_string().matches("s3cret").count(), kept, "{from} to {to}: {seen}");
    }
}
