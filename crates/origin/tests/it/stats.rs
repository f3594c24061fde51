use gannet_origin::Origin;
use serde_json::json;

use crate::client::{Client, exchange, get, start};

#[tokio::test]
async fn requests_are_counted_per_route_and_per_url() {
    let origin = start().await;
    let mut client = Client::connect(origin.addr()).await;
    for target in ["/items/1", "/items/2", "/items/2", "/get?a=1", "/nowhere", "/stats"] {
        client.get(target).await.unwrap();
    }
    let stats = origin.stats();
    assert_eq!(stats.requests, 5);
    assert_eq!((stats.in_flight, stats.max_in_flight), (0, 1));
    assert_eq!((stats.connections, stats.connections_total), (1, 1));
    assert_eq!(json!(stats.paths), json!({ "/items/{id}": 3, "/get": 1, "(unknown)": 1 }));
    let urls = json!({ "/items/1": 1, "/items/2": 2, "/get?a=1": 1, "/nowhere": 1 });
    assert_eq!(json!(stats.urls), urls);
    assert_eq!(stats.per_second.max, 5);
    assert_eq!(stats.per_second.starts.iter().sum::<u64>(), 5);
}

#[tokio::test]
async fn the_endpoint_gives_the_same_figures_and_resets_them() {
    let origin = start().await;
    let mut client = Client::connect(origin.addr()).await;
    client.get("/items/1").await.unwrap();
    let told = client.get("/stats").await.unwrap().json();
    assert_eq!(told, serde_json::to_value(origin.stats()).unwrap());
    assert_eq!(told["requests"], 1);
    let reset = exchange(&origin, "DELETE /stats HTTP/1.1\r\nHost: t\r\n\r\n").await.json();
    assert_eq!((&reset["requests"], &reset["connections_total"]), (&json!(0), &json!(0)));
    assert_eq!(reset["urls"], json!({}));
    // What is open stays counted: this client's connection, and that of the DELETE.
    assert_eq!(reset["connections"], 2);
}

#[tokio::test]
async fn the_most_at_once_is_counted_in_all_and_per_address() {
    let origin = Origin::builder().listen("127.0.0.2:0").also_listen("127.0.0.3:0").start().await.unwrap();
    let mut clients = Vec::new();
    for (host, count) in [(0, 3), (1, 2)] {
        for _ in 0..count {
            let mut client = Client::connect(origin.addrs()[host]).await;
            client.send("GET /hang HTTP/1.1\r\nHost: t\r\n\r\n").await;
            clients.push(client);
        }
    }
    while origin.stats().in_flight < 5 {
        tokio::task::yield_now().await;
    }
    drop(clients);
    while origin.stats().connections > 0 {
        tokio::task::yield_now().await;
    }
    get(&origin, "/get").await;
    let stats = origin.stats();
    assert_eq!((stats.requests, stats.in_flight, stats.max_in_flight), (6, 0, 5));
    let host = |nth: usize| &stats.hosts[&origin.addrs()[nth].to_string()];
    assert_eq!((host(0).requests, host(0).max_in_flight, host(0).per_second.max), (4, 3, 4));
    assert_eq!((host(1).requests, host(1).max_in_flight, host(1).max_connections), (2, 2, 2));
    assert_eq!(stats.hosts.len(), 2);
}

#[tokio::test]
async fn a_client_that_waits_for_each_answer_never_has_two_in_flight() {
    let origin = start().await;
    let mut clients = [Client::connect(origin.addr()).await, Client::connect(origin.addr()).await];
    for n in 0..200 {
        for target in ["/items/1", "/bytes/100000", "/stream/3", "/status/204"] {
            clients[n % 2].get(target).await.unwrap();
        }
    }
    assert_eq!(origin.stats().max_in_flight, 1);
}

#[tokio::test]
async fn only_so_many_urls_are_kept() {
    let origin = Origin::builder().keep_urls(2).start().await.unwrap();
    for n in [1, 2, 3, 1, 3] {
        get(&origin, &format!("/items/{n}")).await;
    }
    let stats = origin.stats();
    assert_eq!(json!(stats.urls), json!({ "/items/1": 2, "/items/2": 1 }));
    assert_eq!((stats.urls_left_off, stats.requests), (2, 5));
}
