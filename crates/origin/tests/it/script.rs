use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;

use gannet_origin::script::{Script, ScriptedServer};
use tokio::io::AsyncReadExt;
use tokio::sync::{Barrier, Notify};

use crate::client::Client;

async fn read_all(client: &mut Client<tokio::net::TcpStream>) -> (Vec<u8>, Option<ErrorKind>) {
    let mut read = Vec::new();
    let end = client.stream.read_to_end(&mut read).await;
    (read, end.err().map(|error| error.kind()))
}

#[tokio::test]
async fn each_connection_gets_the_next_script_and_the_last_one_repeats() {
    let says = |text: &str| Script::new().expect_head().send(text).close();
    let server = ScriptedServer::start([says("one"), says("two")]).await.unwrap();
    for said in ["one", "two", "two"] {
        let mut client = Client::connect(server.addr()).await;
        client.send(format!("GET /{said} HTTP/1.1\r\n\r\n")).await;
        assert_eq!(read_all(&mut client).await, (said.as_bytes().to_vec(), None));
    }
    server.wait_for_connections_closed().await;
    assert_eq!(server.connections(), 3);
    assert_eq!(server.received()[1], b"GET /two HTTP/1.1\r\n\r\n");
}

#[tokio::test]
async fn a_closure_chooses_by_the_number_of_the_connection() {
    let server = ScriptedServer::start_with(|nth| Script::new().send(nth.to_string())).await.unwrap();
    for nth in 0..3 {
        let mut client = Client::connect(server.addr()).await;
        assert_eq!(read_all(&mut client).await.0, nth.to_string().as_bytes());
    }
}

#[tokio::test]
async fn a_body_is_read_to_its_length_and_no_further() {
    let script = Script::new().expect_head().expect_body(5).send("!").expect_head().send("?");
    let server = ScriptedServer::start([script]).await.unwrap();
    let mut client = Client::connect(server.addr()).await;
    client.send("POST / HTTP/1.1\r\n\r\nab").await;
    server.wait_for_received(21).await;
    client.send("cdeGET /next").await;
    assert_eq!(client.until(b"!").await.unwrap(), b"!");
    client.send(" HTTP/1.1\r\n\r\n").await;
    assert_eq!(read_all(&mut client).await, (b"?".to_vec(), None));
    let sent = b"POST / HTTP/1.1\r\n\r\nabcdeGET /next HTTP/1.1\r\n\r\n";
    assert_eq!(server.received(), [sent.to_vec()]);
}

#[tokio::test]
async fn a_repeated_script_serves_a_connection_until_it_closes() {
    let script = Script::new().expect_head().send("HTTP/1.1 204 No Content\r\n\r\n").repeated();
    let server = ScriptedServer::start([script]).await.unwrap();
    let mut client = Client::connect(server.addr()).await;
    for _ in 0..5 {
        assert_eq!(client.get("/").await.unwrap().status, 204);
    }
    assert_eq!(server.connections(), 1);
    drop(client);
    server.wait_for_closed(1).await;
}

#[tokio::test]
async fn reset_is_econnreset_after_what_was_sent() {
    let server = ScriptedServer::start([Script::new().expect_head().send("part").reset()]).await.unwrap();
    let mut client = Client::connect(server.addr()).await;
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    let end = read_all(&mut client).await;
    assert_eq!(end, (b"part".to_vec(), Some(ErrorKind::ConnectionReset)));
}

#[tokio::test]
async fn slow_bytes_all_arrive_in_order() {
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    let server = ScriptedServer::start([Script::new().expect_head().send_slowly(text)]).await.unwrap();
    let mut client = Client::connect(server.addr()).await;
    assert_eq!(client.get("/").await.unwrap().text(), "hi");
}

#[tokio::test]
async fn a_script_waits_until_the_test_says_go() {
    let (go, there) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let script = Script::new().send("a").signal(&there).wait_for(&go).send("b");
    let server = ScriptedServer::start([script]).await.unwrap();
    let mut client = Client::connect(server.addr()).await;
    there.notified().await;
    assert_eq!(client.until(b"a").await.unwrap(), b"a");
    assert_eq!(client.stream.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    go.notify_one();
    assert_eq!(read_all(&mut client).await, (b"b".to_vec(), None));
}

#[tokio::test]
async fn scripts_of_several_connections_meet() {
    let barrier = Arc::new(Barrier::new(2));
    let server = ScriptedServer::start([Script::new().meet(&barrier).send("x")]).await.unwrap();
    let mut first = Client::connect(server.addr()).await;
    server.wait_for_connections(1).await;
    assert_eq!(first.stream.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    let mut second = Client::connect(server.addr()).await;
    assert_eq!(read_all(&mut first).await.0, b"x");
    assert_eq!(read_all(&mut second).await.0, b"x");
}

#[tokio::test]
async fn a_half_closed_connection_still_receives() {
    let script = Script::new().send("bye").shutdown_write().expect_end();
    let server = ScriptedServer::start([script]).await.unwrap();
    let mut client = Client::connect(server.addr()).await;
    assert_eq!(read_all(&mut client).await, (b"bye".to_vec(), None));
    client.send("late").await;
    drop(client);
    server.wait_for_connections_closed().await;
    assert_eq!(server.received(), [b"late".to_vec()]);
}

#[tokio::test]
async fn hang_records_until_the_client_goes() {
    let server = ScriptedServer::start([Script::new().hang()]).await.unwrap();
    let mut client = Client::connect(server.addr()).await;
    client.send("one").await;
    server.wait_for_received(3).await;
    client.send("two").await;
    drop(client);
    server.wait_for_closed(1).await;
    assert_eq!(server.received(), [b"onetwo".to_vec()]);
}

#[tokio::test]
async fn shutdown_cuts_scripts_that_hang() {
    let server = ScriptedServer::start([Script::new().hang_unread()]).await.unwrap();
    let addr = server.addr();
    let mut client = Client::connect(addr).await;
    server.wait_for_connections(1).await;
    server.shutdown().await;
    assert_eq!(read_all(&mut client).await.0, b"");
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn a_server_needs_a_script() {
    assert_eq!(ScriptedServer::start([]).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_blocking_server_needs_no_runtime() {
    let script = Script::new().expect_head().send("ok").close();
    let server = ScriptedServer::start_blocking([script]).unwrap();
    let mut stream = std::net::TcpStream::connect(server.addr()).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text, "ok");
}
