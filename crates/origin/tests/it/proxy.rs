use gannet_origin::{Identity, Origin, Proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Client, start};
use crate::tls::connect;

async fn to(proxy: &Proxy) -> Client<TcpStream> {
    Client::connect(proxy.addr()).await
}

/// Opens a tunnel by CONNECT; the status of the answer.
async fn tunnel(proxy: &Proxy, target: &str, more: &str) -> (u16, Client<TcpStream>) {
    let mut client = to(proxy).await;
    client.send(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{more}\r\n")).await;
    let status = client.response().await.unwrap().status;
    (status, client)
}

#[tokio::test]
async fn absolute_form_is_forwarded_on_one_connection_to_any_name() {
    let (origin, proxy) = (start().await, Proxy::start().await.unwrap());
    let port = origin.addr().port();
    let mut client = to(&proxy).await;
    for host in ["a.test", "b.test", "127.0.0.1"] {
        let url = format!("http://{host}:{port}/anything?x=1");
        client.send(format!("POST {url} HTTP/1.1\r\nHost: wrong\r\nContent-Length: 2\r\n\r\nhi")).await;
        let seen = client.response().await.unwrap().json();
        assert_eq!((&seen["data"], &seen["headers"]["Host"]), (&"hi".into(), &format!("{host}:{port}").into()));
    }
    assert_eq!((proxy.connections(), proxy.asked().len()), (1, 3));
    assert_eq!(proxy.lines()[0], format!("POST http://a.test:{port}/anything?x=1"));
    client.send("GET /path HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    assert_eq!(client.response().await.unwrap().status, 400);
}

#[tokio::test]
async fn a_tunnel_carries_what_goes_through_it_and_closes_with_its_ends() {
    let (origin, proxy) = (start().await, Proxy::start().await.unwrap());
    let target = format!("a.test:{}", origin.addr().port());
    let (status, mut client) = tunnel(&proxy, &target, "").await;
    assert_eq!(status, 200);
    assert_eq!(client.get("/items/7").await.unwrap().json()["id"], 7);
    assert_eq!((proxy.lines(), proxy.open()), (vec![format!("CONNECT {target}")], 1));
    drop(client);
    while proxy.open() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn it_leads_to_this_machine_only_and_refuses_what_it_cannot_reach() {
    let proxy = Proxy::start().await.unwrap();
    assert_eq!(tunnel(&proxy, "192.0.2.1:80", "").await.0, 403);
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(tunnel(&proxy, &free.to_string(), "").await.0, 502);
    let refusing = Proxy::builder().refuse(407).start().await.unwrap();
    assert_eq!(tunnel(&refusing, "a.test:1", "").await.0, 407);
}

#[tokio::test]
async fn credentials_are_asked_for() {
    let origin = start().await;
    let proxy = Proxy::builder().credentials("me", "pw").start().await.unwrap();
    let target = origin.addr().to_string();
    assert_eq!(tunnel(&proxy, &target, "").await.0, 407);
    assert_eq!(tunnel(&proxy, &target, "Proxy-Authorization: Basic bWU6cHc=\r\n").await.0, 200);
    let mut client = to(&proxy).await;
    client.send(format!("GET http://{target}/get HTTP/1.1\r\nHost: {target}\r\n\r\n")).await;
    let response = client.response().await.unwrap();
    assert_eq!((response.status, response.header("proxy-authenticate").is_some()), (407, true));
    let told: Vec<_> = proxy.asked().into_iter().map(|asked| asked.credentials).collect();
    assert_eq!(told, [None, Some("me:pw".to_owned()), None]);
}

#[tokio::test]
async fn socks_5_and_4_lead_through() {
    let (origin, proxy) = (start().await, Proxy::start().await.unwrap());
    let port = origin.addr().port();
    let [high, low] = port.to_be_bytes();
    for (hello, request, answer) in [
        (&[5, 1, 0][..], [&[5, 1, 0, 3, 6][..], b"a.test", &[high, low]].concat(), 10),
        (&[5, 2, 0, 2], vec![5, 1, 0, 1, 127, 0, 0, 1, high, low], 10),
        (&[], [&[4, 1, high, low, 0, 0, 0, 1][..], b"me\0a.test\0"].concat(), 8),
    ] {
        let mut client = to(&proxy).await;
        client.send(hello).await;
        if !hello.is_empty() {
            let mut method = [0; 2];
            client.stream.read_exact(&mut method).await.unwrap();
            assert_eq!(method, [5, 0]);
        }
        client.send(request).await;
        let mut reply = vec![0; answer];
        client.stream.read_exact(&mut reply).await.unwrap();
        assert!(matches!(reply[..2], [5, 0] | [0, 90]), "{reply:?}");
        assert_eq!(client.get("/items/7").await.unwrap().json()["id"], 7);
    }
    let wanted = ["SOCKS5 a.test", "SOCKS5 127.0.0.1", "SOCKS4 a.test"].map(|to| format!("{to}:{port}"));
    assert_eq!(proxy.lines(), wanted);
}

#[tokio::test]
async fn socks_5_knows_its_users_and_its_limits() {
    let proxy = Proxy::builder().credentials("me", "pw").start().await.unwrap();
    for (said, answer) in [
        (&b"\x05\x01\x00"[..], &[5, 0xff][..]),
        (b"\x05\x01\x02\x01\x02me\x02no", &[5, 2, 1, 1]),
        (b"\x05\x01\x02\x01\x02me\x02pw\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50", &[5, 2, 1, 0, 5, 2]),
    ] {
        let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
        stream.write_all(said).await.unwrap();
        let mut reply = vec![0; answer.len()];
        stream.read_exact(&mut reply).await.unwrap();
        assert_eq!(reply, answer);
    }
}

#[tokio::test]
async fn it_speaks_inside_tls() {
    let origin: Origin = start().await;
    let identity = Identity::for_names(&["localhost"]).unwrap();
    let proxy = Proxy::builder().identity(&identity).start().await.unwrap();
    let mut client = connect(proxy.addr(), "localhost", identity.ca_pem()).await.unwrap();
    let target = origin.addr();
    client.send(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")).await;
    assert_eq!(client.response().await.unwrap().status, 200);
    assert_eq!(client.get("/items/7").await.unwrap().json()["id"], 7);
}
