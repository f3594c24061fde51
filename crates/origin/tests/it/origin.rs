use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use gannet_origin::Origin;
use tokio::io::AsyncReadExt;

use crate::client::{Client, start};

#[tokio::test]
async fn shutdown_frees_the_port_and_cuts_what_was_open() {
    let origin = start().await;
    let addr = origin.addr();
    let mut idle = Client::connect(addr).await;
    idle.get("/get").await.unwrap();
    let mut busy = Client::connect(addr).await;
    busy.send("GET /hang HTTP/1.1\r\nHost: t\r\n\r\n").await;
    origin.shutdown().await;
    assert_eq!(tokio::net::TcpStream::connect(addr).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    for client in [&mut idle, &mut busy] {
        // Closed or reset, but not open.
        assert!(matches!(client.stream.read(&mut [0]).await, Ok(0) | Err(_)));
    }
    let again = Origin::builder().listen(addr).start().await.unwrap();
    assert_eq!(again.addr(), addr);
}

#[tokio::test]
async fn drop_ends_every_task() {
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let origin = Origin::start().await.unwrap();
    let mut busy = Client::connect(origin.addr()).await;
    busy.send("GET /delay/60 HTTP/1.1\r\nHost: t\r\n\r\n").await;
    while origin.stats().in_flight == 0 {
        tokio::task::yield_now().await;
    }
    drop(origin);
    while tokio::runtime::Handle::current().metrics().num_alive_tasks() > before {
        tokio::task::yield_now().await;
    }
    assert!(matches!(busy.stream.read(&mut [0]).await, Ok(0) | Err(_)));
}

#[test]
fn a_blocking_origin_needs_no_runtime_and_is_gone_after_drop() {
    let origin = Origin::start_blocking().unwrap();
    let addr = origin.addr();
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(b"GET /items/1 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("\"item 1\""), "{text}");
    assert_eq!(origin.stats().requests, 1);
    assert_eq!(origin.url("/x"), format!("http://{addr}/x"));
    drop(origin);
    assert_eq!(TcpStream::connect(addr).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let error = Origin::builder().listen(addr).start_blocking().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
}
