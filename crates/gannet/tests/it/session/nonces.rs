//! Digest at a server that takes each nonce once and never says `stale`: what requests that run at once, and realms
//! that share an origin, make of it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use futures_util::{StreamExt, stream};
use gannet::{AuthScheme, Credentials, Session};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::*;

/// A server with a realm for the first segment of a path.
#[derive(Default)]
struct Realms {
    nonces: Mutex<Nonces>,
    /// A signed request to a path that ends in `/held` has come; it is answered after `release`.
    arrived: Notify,
    release: Notify,
}

#[derive(Default)]
struct Nonces {
    made: u32,
    open: HashSet<String>,
}

impl Realms {
    async fn start() -> (Arc<Self>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (realms, url) =
            (Arc::new(Realms::default()), format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port()));
        let server = realms.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(server.clone().talk(stream));
            }
        });
        (realms, url)
    }

    async fn talk(self: Arc<Self>, mut stream: TcpStream) {
        let mut seen = Vec::new();
        loop {
            while !seen.ends_with(b"\r\n\r\n") {
                if stream.read_buf(&mut seen).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            let head = text(&std::mem::take(&mut seen));
            let path = head.split(' ').nth(1).unwrap();
            let answer = self.answer(path.split('/').nth(1).unwrap(), &head);
            if answer == OK && path.ends_with("/held") {
                self.arrived.notify_one();
                self.release.notified().await;
            }
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    fn answer(&self, realm: &str, head: &str) -> String {
        let shown = head.split_once(" nonce=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(nonce, _)| nonce);
        let mut nonces = self.nonces.lock().unwrap();
        let is_good = |nonce: &str| nonce.starts_with(&format!("{realm}-"));
        if shown.is_some_and(|nonce| nonces.open.remove(nonce) && is_good(nonce)) {
            return OK.to_owned();
        }
        nonces.made += 1;
        let nonce = format!("{realm}-{}", nonces.made);
        let asks = format!("www-authenticate: Digest realm={realm}, nonce=\"{nonce}\", qop=auth");
        nonces.open.insert(nonce);
        format!("HTTP/1.1 401 Unauthorized\r\n{asks}\r\ncontent-length: 0\r\n\r\n")
    }
}

fn knowing() -> Session {
    session(|options| options.auth.credentials = Some(Credentials::new("me", "pw", AuthScheme::Digest)))
}

/// Asks for this path while the answer to another signed request is on its way.
async fn meanwhile(realms: &Realms, session: &Session, held: String, path: String) -> [u16; 2] {
    let first = Box::pin(async { session.get(held).send().await.unwrap().status().as_u16() });
    let second = Box::pin(async {
        realms.arrived.notified().await;
        let status = session.get(path).send().await.unwrap().status().as_u16();
        realms.release.notify_one();
        status
    });
    in_time(async { tokio::join!(first, second) }).await.into()
}

#[tokio::test]
async fn who_starts_while_the_first_answer_is_under_way_is_not_taken_for_refused() {
    let (realms, url) = Realms::start().await;
    let session = knowing();
    assert_eq!(meanwhile(&realms, &session, format!("{url}/a/held"), format!("{url}/a/b")).await, [200, 200]);
}

#[tokio::test]
async fn many_first_requests_against_one_time_nonces_all_succeed() {
    let (realms, url) = Realms::start().await;
    let session = knowing();
    let first = Box::pin(session.get(format!("{url}/a/held")).send());
    let others = Box::pin(async {
        realms.arrived.notified().await;
        let all = stream::iter(0..300).map(|_| session.get(format!("{url}/a/b")).send()).buffer_unordered(16);
        let statuses: Vec<u16> = all.map(|response| response.unwrap().status().as_u16()).collect().await;
        realms.release.notify_one();
        statuses
    });
    let (first, others) = in_time(async { tokio::join!(first, others) }).await;
    assert_eq!((first.unwrap().status().as_u16(), others), (200, vec![200; 300]));
}

#[tokio::test]
async fn of_two_realms_on_one_origin_the_one_that_was_answered_is_remembered_as_such() {
    let (realms, url) = Realms::start().await;
    let session = knowing();
    assert_eq!(meanwhile(&realms, &session, format!("{url}/a/held"), format!("{url}/b/c")).await, [200, 200]);
    for path in ["/a/d", "/b/d", "/a/d", "/a/d", "/b/d"] {
        let response = in_time(session.get(format!("{url}{path}")).send()).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
    }
}
